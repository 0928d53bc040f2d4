"""Three extensions, each at most fifteen lines: an emission, a robust family, a regression.

- Heights of single sea waves follow the law of Rayleigh within one state of the sea (Longuet-Higgins, 1952), and the
  state changes slowly: an `ExponentialFamily` in a hidden Markov model.
- Laplace densities have no sufficient statistics: a `SampleFamily`, whose maximum is the weighted median and the mean
  absolute deviation from it. A wild row moves neither far.
- Exponential times whose log mean is linear in covariates (Feigl and Zelen, 1965): a `SampleFamily` whose maximum
  `newton.maximise` finds.
"""

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import optimize, stats
from scipy.special import logsumexp

import latentem as lem
from latentem.arrays import Array, Labels
from latentem.family import Coefficients
from latentem.numerics.solve import maximise
from latentem.testing import check_model


@frozen
class Rayleigh(lem.ExponentialFamily):
    """Heights, p(x) = x / s^2 exp(-x^2 / 2 s^2); the parameters are the scales s, shape (k, d)."""

    def T(self, x: Array) -> Array:  # noqa: N802 - the name that the field gives it
        return x**2

    def log_base(self, x: Array) -> Array:
        return np.where(x > 0, np.log(np.where(x > 0, x, 1)), -np.inf).sum(axis=1)

    def natural(self, params: Array) -> Array:
        return -1 / (2 * params**2)

    def log_partition(self, params: Array) -> Array:
        return 2 * np.log(params).sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        return np.sqrt(mean / 2)


@frozen
class Laplace(lem.SampleFamily[Array]):
    """Independent columns, p(x) = exp(-|x - m| / b) / 2b; the parameters are (m, b), shape (k, 2, d)."""

    def log_density(self, params: Array, x: Array) -> Array:
        m, b = params[:, 0], params[:, 1]
        return -(np.abs(x[:, None] - m) / b + np.log(2 * b)).sum(axis=2)

    def estimate(self, x: Array, weight: Array, current: Array | None) -> Array:
        order = x.argsort(axis=0)
        below = weight[order].cumsum(axis=0)
        middle = (below < below[-1] / 2).sum(axis=0)[None]
        m = np.take_along_axis(np.take_along_axis(x, order, axis=0), middle, axis=0)
        b = weight @ np.abs(x - m) / weight.sum()
        if not (b > 0).all():
            raise lem.Degenerate(None, "scale", "collapsed: most of its values are equal", "use fewer components")
        return np.array([[m[0], b]])


@frozen
class ExponentialRegression(lem.SampleFamily[Coefficients]):
    """Times with log mean intercept + slopes . covariates; a row is (covariates..., time)."""

    def log_density(self, params: Coefficients, x: Array) -> Array:
        log_mean = designed(x) @ params.coefficients.T
        with np.errstate(over="ignore"):  # far in the tail the density is zero
            return -log_mean - np.exp(np.log(x[:, -1:]) - log_mean)

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return x[:, -1] > 0

    def estimate(self, x: Array, weight: Array, current: Coefficients | None) -> Coefficients:
        flat = np.eye(1, x.shape[1])[0] * np.log(weight @ x[:, -1] / weight.sum())
        start = flat if current is None else current.coefficients[0]
        return Coefficients(maximise(lambda point: curve(point, designed(x), x[:, -1], weight), start)[None])


def designed(x: Array) -> Array:
    """A column of ones, and the covariates."""
    return np.column_stack([np.ones(len(x)), x[:, :-1]])


def curve(point: Array, design: Array, time: Array, weight: Array) -> tuple[float, Array, Array]:
    """The log likelihood of coefficients, its gradient, and minus its Hessian: it is concave."""
    with np.errstate(over="ignore", invalid="ignore"):  # a step too far is no number or infinite, and halved
        ratio = time * np.exp(-design @ point)
        value = -float(weight @ (design @ point + ratio))
        return value, design.T @ (weight * (ratio - 1)), design.T @ (design * (weight * ratio)[:, None])


# An emission: calm and rough sea.


def forward(params: lem.model.HiddenMarkovParams, chunk: lem.Sequences) -> Array:
    """The log evidence of each sequence by the forward recursion over scipy's densities."""
    totals = []
    for x in np.split(chunk.x, chunk.lengths.cumsum()[:-1]):
        emitted = stats.rayleigh(scale=params.emissions[:, 0]).logpdf(x)
        ahead = np.log(params.initial) + emitted[0]
        for row in emitted[1:]:
            ahead = logsumexp(ahead[:, None] + np.log(params.transitions), axis=0) + row
        totals.append(logsumexp(ahead))
    return np.array(totals)


rng = np.random.default_rng(0)
sea = lem.HiddenMarkov(Rayleigh(), 2)
state = np.cumsum(rng.random(800) < 0.02) % 2
records = list(rng.rayleigh(np.array([0.4, 1.5])[state]).reshape(20, 40, 1))
rough = sea.params([0.5, 0.5], [[0.8, 0.2], [0.3, 0.7]], np.array([[0.5], [1.0]]))
check_model(sea, rough, [records[0][:8], records[1][:22], records[2][:10]], evidence=forward)
waves = lem.fit(sea, records)
is_rough = np.concatenate(waves.decode(records)) == waves.params.emissions.argmax()
print(waves)

# A robust family: two clusters of the same spread, and some wild rows.


def laplace(params: lem.model.MixtureParams, chunk: lem.Rows) -> Array:
    """The log evidence from scipy's densities."""
    m, b = params.components.swapaxes(0, 1)
    return np.asarray(logsumexp(stats.laplace(m, b).logpdf(chunk.x[:, None]).sum(axis=2), b=params.weights, axis=1))


cloud = rng.standard_normal((400, 2)) + np.repeat([[0.0, 0.0], [6.0, 6.0]], 200, axis=0)
cloud[::40] += rng.standard_cauchy((10, 2)) * 5
robust = lem.Mixture(Laplace(), 2)
check_model(
    robust, robust.params([0.4, 0.6], np.array([[[1.0, -1], [1, 2]], [[4, 5], [1, 1]]])), cloud[::4], evidence=laplace
)
clusters = lem.fit(robust, cloud)
print(clusters)
one = lem.fit(lem.Mixture(Laplace(), 1), cloud)
deviation = np.abs(cloud - np.median(cloud, axis=0)).mean(axis=0)

# A regression: of two kinds of machine, one wears out faster in the heat.


def times(params: lem.model.MixtureParams, chunk: lem.Rows) -> Array:
    """The log evidence from scipy's densities."""
    means = np.exp(designed(chunk.x) @ params.components.coefficients.T)
    return np.asarray(logsumexp(stats.expon(scale=means).logpdf(chunk.x[:, -1:]), b=params.weights, axis=1))


def minus_log_likelihood(free: Array) -> float:
    """Of the log odds of the first component, and the coefficients of both."""
    weight = 1 / (1 + np.exp(-free[0]))
    params = machines.params([weight, 1 - weight], Coefficients(free[1:].reshape(2, 2)))
    return -float(times(params, machines.chunk(rows)).sum())


kinds: Labels = np.repeat([0, 1], 400)
heat = rng.uniform(0, 4, 800)
rows = np.column_stack(
    [heat, rng.exponential(np.exp(np.array([0.0, 5.0])[kinds] + np.array([1.0, -1.0])[kinds] * heat))]
)
machines = lem.Mixture(ExponentialRegression(), 2)
check_model(
    machines,
    machines.params([0.5, 0.5], Coefficients(np.array([[1.0, 0.5], [3.0, -0.5]]))),
    rows[::10],
    evidence=times,
)
wear = lem.fit(machines, rows)
print(wear)

slopes = wear.params.components.coefficients[:, 1]
log_odds = np.log(wear.params.weights[0] / wear.params.weights[1])
at = np.array([log_odds, *wear.params.components.coefficients.ravel()])
best = optimize.minimize(minus_log_likelihood, at + 0.1, method="BFGS", options={"gtol": 1e-3})

assert waves.converged
assert clusters.converged
assert wear.converged
assert np.mean(is_rough == state) > 0.95
np.testing.assert_allclose(np.sort(waves.params.emissions, axis=0), [[0.4], [1.5]], rtol=0.1)
np.testing.assert_allclose(np.sort(clusters.params.components[:, 0], axis=0), [[0, 0], [6, 6]], atol=0.3)
np.testing.assert_allclose(one.params.components[0, 1], deviation, rtol=1e-12)
np.testing.assert_allclose(np.sort(slopes), [-1.0, 1.0], atol=0.2)
assert abs(wear.log_likelihood + best.fun) < 1e-5
assert [waves.n_parameters, clusters.n_parameters, wear.n_parameters] == [5, 9, 5]
