"""A new family in a few lines: geometric counts 0, 1, 2, ..., with p(x) = p (1 - p)^x.

T(x) = x and log h(x) = 0 are what `ExponentialFamily` takes unless told otherwise; the mean of x is
(1 - p) / p. Sampling, restarts, the floor of the books and every transformer come with it.
"""

import numpy as np
from attrs import frozen
from scipy import stats

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class Geometric(lem.ExponentialFamily):
    """Counts before the first success; the parameters are its probabilities, shape (k, 1)."""

    def natural(self, params: Array) -> Array:
        return np.log1p(-params)

    def log_partition(self, params: Array) -> Array:
        return -np.log(params).sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        return 1 / (1 + mean)


def evidence(params: lem.model.MixtureParams, chunk: lem.Rows) -> Array:
    """The same log evidence from scipy, whose geometric counts from 1."""
    each = stats.geom(params.components[:, 0]).pmf(chunk.x + 1)
    return np.log(each @ params.weights)


rng = np.random.default_rng(0)
x = rng.geometric(np.repeat([0.6, 0.05], [300, 200]))[:, None] - 1
model = lem.Mixture(Geometric(), 2)
check_model(model, model.params([0.5, 0.5], np.array([[0.5], [0.1]])), x, evidence=evidence)

fit = lem.fit(model, x)
print(fit)

order = fit.params.components[:, 0].argsort()
assert fit.converged
np.testing.assert_allclose(fit.params.components[order, 0], [0.05, 0.6], rtol=0.2)
np.testing.assert_allclose(fit.params.weights[order], [0.4, 0.6], atol=0.06)
