"""A family without sufficient statistics: Weibull wind speeds of a windy and of a calm season, in metres a second.

A `SampleFamily` is a log density and how one component is fitted to weighted rows. No few sums say what the
data say of a Weibull shape, so the rows themselves are kept: the same EM, without streaming. The library's own
`Weibull` is this one with parameters by name, checks and sampling.
"""

import numpy as np
from attrs import frozen
from scipy import stats
from scipy.optimize import brentq

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class Weibull(lem.SampleFamily[Array]):
    """Positive speeds; the parameters are shape and scale, shape (k, 2)."""

    def log_density(self, params: Array, x: Array) -> Array:
        shape, scale = params.T
        relative = np.log(x / scale)
        return np.log(shape / x) + shape * relative - np.exp(shape * relative)

    def estimate(self, x: Array, weight: Array, current: Array | None) -> Array:
        log_x, share = np.log(x[:, 0]), weight / weight.sum()
        top = log_x.max()

        def excess(shape: float) -> float:
            tilted = share * np.exp(shape * (log_x - top))
            return float(tilted @ log_x / tilted.sum() - share @ log_x - 1 / shape)

        shape = brentq(excess, 0.01, 100, xtol=1e-14)
        scale = np.exp(top) * (share @ np.exp(shape * (log_x - top))) ** (1 / shape)
        return np.array([[shape, scale]])


def evidence(params: lem.model.MixtureParams, chunk: lem.Rows) -> Array:
    """The same log evidence from scipy."""
    shape, scale = params.components.T
    return np.log(stats.weibull_min(shape, scale=scale).pdf(chunk.x) @ params.weights)


rng = np.random.default_rng(0)
speeds = np.concatenate([9 * rng.weibull(3, 300), 3 * rng.weibull(1.8, 200)])[:, None]
model = lem.Mixture(Weibull(), 2)
check_model(model, model.params([0.5, 0.5], np.array([[2.0, 8.0], [1.0, 4.0]])), speeds[::10], evidence=evidence)

fit = lem.fit(model, speeds)
print(fit)

order = fit.params.components[:, 1].argsort()
assert fit.converged
np.testing.assert_allclose(fit.params.components[order], [[1.8, 3.0], [3.0, 9.0]], rtol=0.2)
np.testing.assert_allclose(fit.log_likelihood, lem.fit(lem.Mixture(lem.Weibull(), 2), speeds).log_likelihood)
