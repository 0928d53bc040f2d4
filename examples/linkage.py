"""A model straight on `LatentModel`: the linkage of Dempster, Laird and Rubin (1977), section 1.

197 animals fall into four classes with probabilities 1/2 + p/4, (1 - p)/4, (1 - p)/4, p/4. The first
class is really two, of probabilities 1/2 and p/4, seen as one: how many of its animals are of the
second kind is the latent variable z. A chunk is a table of counts, one experiment a row: shape (n, 4).

The complete-data log likelihood is (z + x4) log p + (x2 + x3) log(1 - p) and terms that p does not enter:
log multinomial coefficients, constant in p, are left out, as the four observed ones are.
"""

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy.special import xlogy

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class Split:
    """q: each animal of the first class is of its second kind with probability `share`; `counts` has shape (n,)."""

    counts: Array
    share: float

    def entropy(self) -> float:
        each = -xlogy(self.share, self.share) - xlogy(1 - self.share, 1 - self.share)
        return float(self.counts.sum() * each)


@frozen
class Linkage(lem.LatentModel[Array, Split, Array, float]):
    """Statistics: expected numbers of the five kinds, in the order of `kinds`."""

    def kinds(self, params: float) -> Array:
        return np.array([1 / 2, params / 4, (1 - params) / 4, (1 - params) / 4, params / 4])

    def posterior(self, params: float, chunk: Array) -> Split:
        return Split(chunk[:, 0], params / 4 / (1 / 2 + params / 4))

    def statistics(self, chunk: Array, posterior: Split) -> Array:
        second = posterior.counts * posterior.share
        return np.column_stack([chunk[:, 0] - second, second, chunk[:, 1:]]).sum(axis=0)

    def log_joint(self, params: float, statistics: Array) -> float:
        return float(xlogy(statistics, self.kinds(params)).sum())

    def blocks(self) -> Sequence[lem.Block[Array, float]]:
        return [lem.Block((), lambda statistics, params: self.first(statistics), lambda params: 1)]

    def first(self, statistics: Array) -> float:
        return float((statistics[1] + statistics[4]) / statistics[1:].sum())

    def log_evidence(self, params: float, chunk: Array) -> Array:
        first, second, *rest = self.kinds(params)
        return np.asarray(xlogy(chunk, [first + second, *rest]).sum(axis=1))


counts = np.array([[125.0, 18.0, 20.0, 34.0]])
model = Linkage()
check_model(model, 0.3, np.array([[125.0, 18.0, 20.0, 34.0], [30.0, 5.0, 4.0, 11.0]]))

states = list(lem.EM(stop=lem.remaining_below(1e-18)).iterate(model, 0.5, counts))
for state in states[:6]:
    print(f"{state.step.index}: p = {state.params:.11f}, bound {state.step.bound:.6f}, M gain {state.step.m_gain:.2e}")

path = np.array([state.params for state in states])
np.testing.assert_allclose(path[1:4], [0.60824742268, 0.624321050369, 0.62648887908], atol=5e-12)
assert abs(path[-1] - 0.6268214978709824) < 1e-12
rate = (path[6] - path[5]) / (path[5] - path[4])
assert abs(rate - 0.1327787337) < 1e-5
