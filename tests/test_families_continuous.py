"""Families of positive values: Exponential, Gamma and LogNormal."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from independent import jacobian_rank
from scipy import stats
from scipy.special import logsumexp

import latentem as lem
from latentem.family.exponential import ExponentialStatistics
from latentem.family.gaussian.lognormal import LogNormal
from latentem.family.positive import Exponential, Gamma, GammaParams
from latentem.testing import check_model

RATES = np.array([[2.0, 0.1], [0.5, 0.3]])
MEANS, SHAPES = np.array([[2.0, 30.0], [5.0, 10.0]]), np.array([[3.0, 0.7], [8.0, 2.0]])
LOGS = np.array([[0.0, 2.0], [1.5, 3.0]])
COVARIANCES = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.05], [-0.05, 0.4]]])


def exponential(params, x):
    return np.stack([stats.expon(scale=1 / rates).logpdf(x).sum(axis=1) for rates in params], axis=1)


def gamma(params, x):
    parts = zip(params.means, params.shapes, strict=True)
    return np.stack([stats.gamma(a, scale=m / a).logpdf(x).sum(axis=1) for m, a in parts], axis=1)


def log_normal(params, x):
    parts = zip(params.means, params.dense(), strict=True)
    logs = np.log(x)
    return np.stack([stats.multivariate_normal(m, c).logpdf(logs) - logs.sum(axis=1) for m, c in parts], axis=1)


CASES = {
    "exponential": (Exponential(), Exponential().params(RATES), exponential),
    "gamma": (Gamma(), Gamma().params(MEANS, SHAPES), gamma),
    "lognormal": (LogNormal(), LogNormal().params(LOGS, COVARIANCES), log_normal),
    "lognormal, diagonal": (
        LogNormal(lem.Diagonal(), None),
        LogNormal(lem.Diagonal(), None).params(LOGS, [[0.3, 0.2], [0.2, 0.4]]),
        log_normal,
    ),
}


def case(name, n=40, seed=0):
    family, params, density = CASES[name]
    model = lem.Mixture(family, 2)
    x, z = model.sample(model.params([0.4, 0.6], params), n, np.random.default_rng(seed))
    return family, params, density, np.array(x), z


@pytest.mark.parametrize("name", CASES)
def test_densities_agree_with_scipy(name):
    """Log densities of draws agree with scipy's to 1e-12."""
    family, params, density, x, _ = case(name)
    np.testing.assert_allclose(family.log_density(params, x), density(params, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "unit"), [*((name, 1.0) for name in CASES), ("exponential", 1e6), ("gamma", 1e-6)])
def test_the_contract_is_kept(name, unit):
    """A mixture of two keeps the six clauses, bare and transformed, also where numbers are large or small."""
    family, params, density, x, _ = case(name)
    if name == "exponential":
        params = family.params(params / unit)
    elif name == "gamma":
        params = family.params(unit * params.means, params.shapes)
    model = lem.Mixture(family, 2)

    def evidence(params, chunk):
        return logsumexp(np.log(params.weights) + density(params.components, chunk.x), axis=1)

    check_model(model, model.params([0.5, 0.5], params), unit * x, evidence=evidence)


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_distribution_of_their_component(name):
    """Columns of 4,000 draws of each component pass Kolmogorov and Smirnov's test against scipy's distributions."""
    family, params, _, _, _ = case(name)
    labels = np.repeat([0, 1], 4000)
    x = family.sample(params, labels, np.random.default_rng(5))
    for j, c in np.ndindex(2, 2):
        if name == "exponential":
            law = stats.expon(scale=1 / RATES[j, c])
        elif name == "gamma":
            law = stats.gamma(SHAPES[j, c], scale=MEANS[j, c] / SHAPES[j, c])
        else:
            law = stats.lognorm(np.sqrt(params.variances()[j, c]), scale=np.exp(LOGS[j, c]))
        assert stats.kstest(x[labels == j, c], law.cdf).pvalue > 0.001
    if name == "lognormal":
        for j in (0, 1):
            np.testing.assert_allclose(np.cov(np.log(x[labels == j]).T), COVARIANCES[j], atol=0.03)


@pytest.mark.parametrize("name", CASES)
def test_a_fit_finds_the_parameters_that_made_the_data(name):
    """From 6,000 draws of two components a fit from random starts recovers the parameters to the sampling error."""
    family, params, _, x, z = case(name, 6000)
    fit = lem.fit(lem.Mixture(family, 2), x, n_starts=2)
    assert fit.converged
    order = [0, 1] if abs(fit.params.weights[0] - 0.4) < 0.1 else [1, 0]
    np.testing.assert_allclose(fit.params.weights[order], np.bincount(z) / len(z), atol=0.05)
    found = fit.params.components
    if name == "exponential":
        np.testing.assert_allclose(found[order], RATES, rtol=0.15)
    elif name == "gamma":
        np.testing.assert_allclose(found.means[order], MEANS, rtol=0.15)
        np.testing.assert_allclose(found.shapes[order], SHAPES, rtol=0.2)
    else:
        np.testing.assert_allclose(found.means[order], LOGS, atol=0.1)
        np.testing.assert_allclose(found.covariances[order], params.covariances, atol=0.08)


def test_the_number_of_parameters_is_the_rank_of_the_jacobian():
    """Sizes of the blocks add up to the rank of the numerical Jacobian of scipy's log densities."""
    lower = np.linalg.cholesky(COVARIANCES)[:, *np.tril_indices(2)]

    def gaussian(free):
        root = np.zeros((2, 2, 2))
        root[:, *np.tril_indices(2)] = free[4:].reshape(2, 3)
        return LogNormal().params(free[:4].reshape(2, 2), root @ root.transpose(0, 2, 1))

    for name, at, make in (
        ("exponential", RATES, lambda free: free.reshape(2, 2)),
        ("gamma", np.stack([MEANS, SHAPES]), lambda free: GammaParams(*free.reshape(2, 2, 2))),
        ("lognormal", np.concatenate([LOGS.ravel(), lower.ravel()]), gaussian),
    ):
        family, params, density, x, _ = case(name, 200)
        rank = jacobian_rank(lambda free, make=make, density=density, x=x: density(make(free), x).ravel(), at.ravel())
        assert sum(block.size(params) for block in family.blocks()) == rank


def test_a_log_normal_fit_is_the_gaussian_fit_of_the_logarithms():
    """A LogNormal mixture ends where a Gaussian one of log x from the same start does, less the sum of log x."""
    _, params, _, x, _ = case("lognormal", 300)
    model, gaussian = lem.Mixture(LogNormal(), 2), lem.GaussianMixture(2)
    one = lem.fit(model, x, start=model.params([0.5, 0.5], params))
    other = lem.fit(gaussian, np.log(x), start=gaussian.params([0.5, 0.5], params.means, params.covariances))
    np.testing.assert_allclose(one.params.components.means, other.params.components.means, rtol=1e-9)
    assert one.log_likelihood == pytest.approx(other.log_likelihood - np.log(x).sum(), rel=1e-12)


@pytest.mark.parametrize("shape", [1e-2, 0.3, 1.0, 9.99, 10.01, 1e3, 1e6, 1e9])
def test_shapes_solve_their_equation_to_machine_precision(shape):
    """At exact E[x] and E[log x], from 40 digits, the shape is found to what the rounding of the two leaves."""
    with mpmath.workdps(40):
        exact = mpmath.mpf(shape)
        mean_log = float(mpmath.digamma(exact) - mpmath.log(exact))
    family = Gamma()
    found = family.from_mean(np.array([[1.0, mean_log]])).shapes[0, 0]
    assert found == pytest.approx(shape, rel=2e-14)
    held = family.params([[3.0]], [[1.0]])
    statistics = ExponentialStatistics([2.0], [[2.0, 2 * mean_log]])
    _, shapes = family.blocks()
    with mpmath.workdps(40):
        gap = mpmath.log(3) - mpmath.mpf(mean_log) + mpmath.mpf(1) / 3 - 1
        start = mpmath.mpf(1) / (2 * gap)
        wanted = mpmath.findroot(lambda a: mpmath.log(a) - mpmath.digamma(a) - gap, (start, 2.5 * start))
    assert shapes.maximize(statistics, held)[0, 0] == pytest.approx(float(wanted), rel=2e-14)


@pytest.mark.parametrize("held", [1e-3, 1e-12, 1e-90, 1e90])
def test_shapes_are_found_for_means_held_far_off(held):
    """With E[x] = 2 and E[log x] = 0.5, and the mean held elsewhere, the shape solves its equation in 40 digits."""
    statistics = ExponentialStatistics([1.0], [[2.0, 0.5]])
    found = Gamma().blocks()[1].maximize(statistics, Gamma().params([[held]], [[1.0]]))[0, 0]
    with mpmath.workdps(140):
        mean, a = mpmath.mpf(held), mpmath.mpf(float(found))
        gap = mpmath.log(mean) - mpmath.mpf(1) / 2 + 2 / mean - 1
        assert float((mpmath.log(a) - mpmath.digamma(a)) / gap) == pytest.approx(1, rel=1e-13)


def test_gamma_fit_of_one_component_agrees_with_scipy():
    """With one component and one column the fit is scipy's maximum likelihood fit with the origin at zero."""
    x = np.random.default_rng(3).gamma(2.5, 4.0, 500)[:, None]
    fit = lem.fit(lem.Mixture(Gamma(), 1), x)
    a, _, scale = stats.gamma.fit(x, floc=0)
    assert fit.params.components.shapes[0, 0] == pytest.approx(a, rel=1e-7)
    assert fit.params.components.means[0, 0] == pytest.approx(a * scale, rel=1e-7)
    assert fit.log_likelihood == pytest.approx(stats.gamma.logpdf(x, a, scale=scale).sum(), rel=1e-12)


def test_narrow_gammas_are_fitted_without_losing_the_bound():
    """Shapes near 1e8 are far into cancellation; the books still balance and the shapes are right to 1e-4."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.gamma(1e8, 3e-8, 400), rng.gamma(1e8, 5e-8, 400)])[:, None]
    fit = lem.fit(lem.Mixture(Gamma(), 2), x, n_starts=2)
    assert fit.converged
    logs = np.log(np.sort(x[:, 0])).reshape(2, 400)
    np.testing.assert_allclose(np.sort(fit.params.components.shapes[:, 0]), np.sort(1 / logs.var(axis=1)), rtol=1e-4)


def test_parts_of_a_gamma_can_be_held():
    """Shapes held at 1 give the exponential fit; a held component keeps both its fields, whatever its rows."""
    _, _, _, x, _ = case("gamma", 300)
    model = lem.Frozen(lem.Mixture(Gamma(), 1), {"shapes"})
    fit = lem.fit(model, x, start=lem.model.MixtureParams([1.0], Gamma().params([[1.0, 1.0]], [[1.0, 1.0]])))
    np.testing.assert_allclose(fit.params.components.means, [x.mean(axis=0)], rtol=1e-12)
    statistics = Gamma().statistics(np.ones((5, 2)), np.ones((5, 2)) * [1.0, 0.0])
    params = Gamma().params(MEANS, SHAPES)
    for block, field in zip(Gamma().blocks(), (MEANS, SHAPES), strict=True):
        np.testing.assert_array_equal(block.holding((0,)).maximize(statistics, params), field)
        assert block.holding((0,)).size(params) == 2


def test_unbounded_likelihoods_are_degenerate_by_name():
    """A component of zeros has no exponential rate, one of equal values no gamma shape; both are named, never NaN."""
    x = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 4.0]])
    labels = np.array([[0.0, 1], [0, 1], [1, 0]])
    with pytest.raises(lem.Degenerate, match=r"rates of component 1: unbounded.* column 1"):
        Exponential().first(Exponential().statistics(x, labels))
    statistics = Gamma().statistics(np.array([[1.0], [3.0], [0.7], [0.7]]), np.repeat(np.eye(2), 2, axis=0))
    with pytest.raises(lem.Degenerate, match=r"shapes of component 1: unbounded.* column 0"):
        Gamma().first(statistics)
    params = Gamma().params([[1.0], [0.7]], [[1.0], [2.0]])
    with pytest.raises(lem.Degenerate, match="shapes of component 1"):
        Gamma().blocks()[1].maximize(statistics, params)
    assert Gamma().blocks()[1].holding((1,)).maximize(statistics, params)[1, 0] == 2.0
    rng = np.random.default_rng(0)
    model = lem.Mixture(Exponential(), 2)
    spiked = np.concatenate([np.zeros(50), rng.exponential(size=100)])[:, None]
    with pytest.warns(lem.ConvergenceWarning, match="component 0"):
        fit = lem.fit(model, spiked, start=model.params([0.3, 0.7], Exponential().params([[1e6], [1.0]])))
    assert fit.status.ending is lem.run.Ending.DEGENERATE
    assert np.isfinite(fit.params.components).all()


def test_tiny_values_do_not_make_a_mean_of_zero():
    """A gamma component that holds values near the smallest float alone is degenerate by name."""
    statistics = Gamma().statistics(np.array([[1e-300], [2e-300], [1.0], [2.0]]), np.repeat(np.eye(2), 2, axis=0))
    for ask in (Gamma().first, lambda s: Gamma().blocks()[0].maximize(s, Gamma().params([[1.0], [1]], [[1.0], [1]]))):
        with pytest.raises(lem.Degenerate, match="means of component 0"):
            ask(statistics)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [((1.0, 2.0), (1.0, 2.0001), True), ((1.0, 2.0), (1.0, 2.01), False), ((1e-9, 2.0), (2e-9, 2.0), False)],
)
def test_gamma_components_are_one_where_their_divergence_is_nothing(one, other, same):
    """Coincidence goes by the divergence, whatever the units."""
    params = Gamma().params([[one[0]], [other[0]]], [[one[1]], [other[1]]])
    assert Gamma().coincident(params) == ([(0, 1)] if same else [])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Exponential().params([[0.0]]), "finite rates above 0"),
        (lambda: Gamma().params([[1.0]], [[1.0, 2.0]]), "both must be"),
        (lambda: Gamma().params([[1.0]], [[-1.0]]), "shapes were given"),
        (lambda: lem.fit(lem.Mixture(Exponential(), 1), [[1.0], [-1.0]]), "row 1.*outside the support of Exponential"),
        (lambda: lem.fit(lem.Mixture(Exponential(), 1), [[1.0, 0], [1, 0]]), "column 1 is all zeros"),
        (lambda: lem.fit(lem.Mixture(Exponential(), 1), [[1e200], [1.0]]), "in other units"),
        (lambda: lem.fit(lem.Mixture(Gamma(), 1), [[1.0], [0.0]]), "row 1.*outside the support of Gamma"),
        (lambda: lem.fit(lem.Mixture(Gamma(), 1), [[2.0], [2.0]]), "column 0 is constant"),
        (
            lambda: lem.fit(lem.Mixture(LogNormal(), 1), [[1.0], [0.0]]),
            "row 1, .*LogNormal: column 0 is 0, and it takes values above 0",
        ),
        (lambda: lem.fit(lem.Mixture(LogNormal(), 1), [[2.0], [2.0]]), "column 0 in logarithms is constant"),
        (lambda: LogNormal().params(LOGS, -COVARIANCES), "positive definite"),
        (
            lambda: lem.Mixture(Gamma(), 2).params([0.5, 0.5], RATES),
            "an array of shape .* was given: parameters of Gamma.* are a GammaParams",
        ),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make, message):
    """Parameters and rows that are not allowed are refused with a sentence that says so."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_log_normal_has_the_settings_of_a_gaussian():
    """Structures and priors are those of the Gaussian, and are checked when the family is made."""
    with pytest.raises(TypeError, match="structure was given"):
        LogNormal("full")
    assert LogNormal(prior=None) == LogNormal(prior=None)
    assert LogNormal(lem.Diagonal()).gaussian == lem.Gaussian(lem.Diagonal())
