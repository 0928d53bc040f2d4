"""Gene counting (Ceppellini, Siniscalco and Smith, 1955): the ABO blood groups, straight on `LatentModel`.

A person has two genes, each A, B or O with probabilities p. Of the blood group only this is seen: AA and AO are
group A, BB and BO group B, AB and OO are groups of their own. The genotypes are latent. Given them, the maximum is a
share: each gene's count in the count of all. A chunk is a table of people in groups A, B, AB, O: shape (n, 4).

The counts are the 521 duodenal ulcer patients of Clarke and others (1959), as in Lange (Applied Probability,
Table 2.2). As in linkage.py, log multinomial coefficients, constant in p, are left out.
"""

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy import optimize
from scipy.special import xlogy

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model

# How many genes A, B, O the genotypes AA, AO, BB, BO, AB, OO have, and in how many ways each comes about.
GENES = np.array([[2.0, 0, 0], [1, 0, 1], [0, 2, 0], [0, 1, 1], [1, 1, 0], [0, 0, 2]])
WAYS = np.array([1.0, 2, 1, 2, 2, 1])


@frozen
class Carriers:
    """q: a person of group A or B carries an O with probability `share`, shape (2,); `counts` has shape (n, 2)."""

    counts: Array
    share: Array

    def entropy(self) -> float:
        each = -xlogy(self.share, self.share) - xlogy(1 - self.share, 1 - self.share)
        return float(self.counts.sum(axis=0) @ each)


@frozen
class BloodGroups(lem.LatentModel[Array, Carriers, Array, Array]):
    """Parameters: the probabilities of A, B, O. Statistics: expected numbers of the six genotypes, as in `GENES`."""

    def genotypes(self, params: Array) -> Array:
        return np.asarray(WAYS * np.prod(params**GENES, axis=1))

    def posterior(self, params: Array, chunk: Array) -> Carriers:
        pure, carrying = self.genotypes(params)[:4].reshape(2, 2).T
        return Carriers(chunk[:, :2], carrying / (pure + carrying))

    def statistics(self, chunk: Array, posterior: Carriers) -> Array:
        (a, b), (a_o, b_o) = chunk[:, :2].sum(axis=0), posterior.counts.sum(axis=0) * posterior.share
        return np.array([a - a_o, a_o, b - b_o, b_o, *chunk[:, 2:].sum(axis=0)])

    def log_joint(self, params: Array, statistics: Array) -> float:
        return float(xlogy(statistics, self.genotypes(params)).sum())

    def blocks(self) -> Sequence[lem.Block[Array, Array]]:
        return [lem.Block((), lambda statistics, params: self.first(statistics), lambda params: 2)]

    def first(self, statistics: Array) -> Array:
        return np.asarray(statistics @ GENES / (2 * statistics.sum()))  # (eq: gene-counting)

    def log_evidence(self, params: Array, chunk: Array) -> Array:
        return np.asarray(xlogy(chunk, groups(params)).sum(axis=1))


def groups(params: Array) -> Array:
    """Probabilities of the groups A, B, AB, O, by the law of Hardy and Weinberg."""
    a, b, o = params
    return np.array([a * (a + 2 * o), b * (b + 2 * o), 2 * a * b, o * o])


def minus_log_likelihood(logits: Array) -> float:
    """Of probabilities (softmax of the logits and 0), from the groups alone."""
    odds = np.exp([*logits, 0.0])
    return -float((counts * np.log(groups(odds / odds.sum()))).sum())


counts = np.array([[186.0, 38.0, 13.0, 284.0]])
model = BloodGroups()
check_model(model, np.array([0.3, 0.2, 0.5]), np.array([[186.0, 38.0, 13.0, 284.0], [20.0, 9.0, 4.0, 30.0]]))

states = list(lem.EM().iterate(model, np.array([0.3, 0.2, 0.5]), counts))
for state in states[:6]:
    print(f"{state.step.index}: A, B, O {np.round(state.params, 4)}, log likelihood {state.step.bound:.6f}")

# By hand: of group A, 3 in 13 are AA at the start, and of group B, 1 in 6 are BB.
a, b = (186 * (1 + 3 / 13) + 13) / 1042, (38 * (1 + 1 / 6) + 13) / 1042
np.testing.assert_allclose(states[1].params, [a, b, 1 - a - b], rtol=1e-14)

# The printed iterates are exact to a unit in the last digit and no more: the first A, 0.23217, was cut short, and O
# is what the printed A and B leave. The estimates are exact to half a unit.
printed = [[0.2321, 0.0550, 0.7129], [0.2160, 0.0503, 0.7337], [0.2139, 0.0502, 0.7359], [0.2136, 0.0501, 0.7363]]
np.testing.assert_allclose([state.params for state in states[1:5]], printed, rtol=0, atol=1e-4)
np.testing.assert_allclose(states[-1].params, printed[-1], rtol=0, atol=5e-5)

best = optimize.minimize(minus_log_likelihood, np.zeros(2), method="BFGS", options={"gtol": 1e-4})
odds = np.exp([*best.x, 0.0])
np.testing.assert_allclose(states[-1].params, odds / odds.sum(), atol=1e-7)
assert abs(states[-1].step.bound + best.fun) < 1e-8
