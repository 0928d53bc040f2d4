"""Two coins, five sets of ten tosses, and nobody noted which coin: Do and Batzoglou (2008, Nature Biotechnology 26).

Each set is tossed with one of two coins, chosen with equal chances, which are held. The family is written here as
an exponential family in the number of heads, with the log odds as its natural parameter; the library has it, too,
as `Binomial`, and both take the same steps.
"""

import numpy as np
from attrs import frozen
from scipy import stats
from scipy.special import betaln, logit

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class Coin(lem.ExponentialFamily):
    """Heads in so many tosses; the parameters are the probabilities of heads, shape (k, 1)."""

    tosses: int

    def log_base(self, x: Array) -> Array:
        possible = (x >= 0) & (x <= self.tosses) & (x == np.floor(x))
        heads = np.where(possible, x, 0)
        choices = -np.log1p(self.tosses) - betaln(self.tosses - heads + 1, heads + 1)
        return np.where(possible, choices, -np.inf).sum(axis=1)

    def natural(self, params: Array) -> Array:
        return np.asarray(logit(params))

    def log_partition(self, params: Array) -> Array:
        return -self.tosses * np.log1p(-params).sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        return mean / self.tosses


def evidence(params: lem.model.MixtureParams, chunk: lem.Rows) -> Array:
    """The same log evidence from scipy's binomial."""
    return np.log(stats.binom(10, params.components[:, 0]).pmf(chunk.x) @ params.weights)


heads = np.array([[5.0], [9.0], [8.0], [4.0], [7.0]])
mixture = lem.Mixture(Coin(10), 2)
start = mixture.params([0.5, 0.5], np.array([[0.6], [0.5]]))
check_model(mixture, start, heads, evidence=evidence)

model = lem.Frozen(mixture, {"weights"})
states = list(lem.EM(max_steps=10).iterate(model, start, heads))
for state in states:
    print(f"{state.step.index:2}: heads {np.round(state.params.components[:, 0], 2)}, bound {state.step.bound:.6f}")

built_in = lem.Frozen(lem.Mixture(lem.Binomial(10), 2), {"weights"})
same = lem.EM(max_steps=10).run(built_in, start, heads)

np.testing.assert_allclose(model.posterior(start, mixture.chunk(heads)).weights[:2, 0], [0.45, 0.80], atol=0.006)
np.testing.assert_allclose(states[1].params.components[:, 0], [0.71, 0.58], atol=0.005)
np.testing.assert_allclose(states[10].params.components[:, 0], [0.80, 0.52], atol=0.005)
np.testing.assert_allclose(states[10].params.components, same.params.components, rtol=1e-12)
np.testing.assert_array_equal(states[10].params.weights, [0.5, 0.5])
