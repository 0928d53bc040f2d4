"""A covariance structure of one's own: clusters of one shape, each with a volume of its own.

Old Faithful's short and long eruptions vary in the same proportions, though not equally much. Celeux and Govaert (1995)
write the covariance of component j as volume_j times a matrix A that all share; here A is diagonal, the model VEI in
the names of mclust (Scrucca et al., 2016). Given A the best volumes have a closed form, and given the volumes so has A:
the M-step takes turns between the two. The library has the structure, too, with Newton's steps: `lem.structure("VEI")`.
"""

import numpy as np
from attrs import frozen
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class OneShape(lem.Structure):
    """Diagonal covariances volume_j x shape: VEI."""

    @property
    def each(self) -> lem.Diagonal:
        return lem.Diagonal()

    def size(self, k: int, d: int) -> int:
        return k + d - 1

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        volume = np.exp(np.log(current).mean(axis=1))
        while True:
            shape = np.maximum(count / count.sum() @ (own / volume[:, None]), floor / volume.min())
            before, volume = volume, np.maximum((own / shape).mean(axis=1), (floor / shape).max())
            if np.allclose(volume, before, rtol=1e-13, atol=0):
                return volume[:, None] * shape


def density(params: lem.model.MixtureParams, chunk: lem.Rows) -> Array:
    """The log evidence from scipy's densities."""
    normal = params.components
    each = [multivariate_normal(m, c).logpdf(chunk.x) for m, c in zip(normal.means, normal.dense(), strict=True)]
    return np.asarray(logsumexp(np.transpose(each), b=params.weights, axis=1))


x = lem.datasets.old_faithful()
model = lem.GaussianMixture(2, structure=OneShape())
start = model.params([0.4, 0.6], [[2.0, 55.0], [4.3, 80.0]], [[0.1, 40.0], [0.2, 80.0]])
for prior in (lem.Floor(), None, lem.InverseWishart([0.1, 40.0], 4.0)):
    mixture = lem.Mixture(lem.Gaussian(OneShape(), prior), 2)
    check_model(mixture, start, x[::8], evidence=density)

fit = lem.fit(model, x, start=start, stop=lem.remaining_below(1e-12))
tied = lem.fit(lem.GaussianMixture(2, structure=lem.Tied(lem.Diagonal())), x)
free = lem.fit(lem.GaussianMixture(2, structure=lem.Diagonal()), x)
print(fit)

# Of the same rows in both components, each counted once, the volumes are equal: then the M-step is that of a tied one.
moments = lem.Gaussian(OneShape()).statistics(np.vstack([x, x + 100]), np.repeat(np.eye(2), len(x), axis=0))
equal = lem.Gaussian(OneShape()).first(moments).covariances
one = lem.Gaussian(lem.Tied(lem.Diagonal())).first(moments.together()).covariances


def minus_log_likelihood(free: Array) -> float:
    """Of the log odds, the means, and the logarithms of volumes and shape."""
    odds, means, volumes, ratio = free[0], free[1:5].reshape(2, 2), np.exp(free[5:7]), np.exp([0, free[7]])
    params = model.params([1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(odds))], means, volumes[:, None] * ratio)
    return -float(density(params, model.chunk(x)).sum())


normal = fit.params.components
log_odds = [np.log(fit.params.weights[0] / fit.params.weights[1])]
ratio = [np.log(normal.covariances[0, 1] / normal.covariances[0, 0])]
at = np.concatenate([log_odds, normal.means.ravel(), np.log(normal.covariances[:, 0]), ratio])
best = minimize(minus_log_likelihood, at + 0.01, method="BFGS", options={"gtol": 1e-4})

theirs = lem.fit(lem.GaussianMixture(2, structure=lem.structure("VEI")), x)

assert fit.converged
assert abs(fit.log_likelihood - theirs.log_likelihood) < 1e-6
assert (np.diff(fit.history.objective) >= -1e-9).all()
assert [tied.n_parameters, fit.n_parameters, free.n_parameters] == [7, 8, 9]
assert tied.log_likelihood < fit.log_likelihood < free.log_likelihood
assert abs(fit.log_likelihood + best.fun) < 1e-5
np.testing.assert_allclose(np.divide(*normal.covariances), np.divide(*normal.covariances)[:1].repeat(2), rtol=1e-12)
np.testing.assert_allclose(equal, [one, one], rtol=1e-12)
