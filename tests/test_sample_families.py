"""Families that keep their rows: the sample itself, Weibull, negative binomial."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from attrs import frozen
from independent import jacobian_rank
from scipy import stats
from scipy.optimize import minimize, minimize_scalar

import latentem as lem
from latentem.core import Degenerate
from latentem.family.negative_binomial import _log_density, _score, _score_of
from latentem.family.sample import SampleFamily, WeightedSample
from latentem.testing import check_model

FAMILY = {"weibull": lem.Weibull(), "negative binomial": lem.NegativeBinomial()}


def speeds(n=90, d=1):
    rng = np.random.default_rng(0)
    return np.where(rng.random((n, 1)) < 0.5, 3 * rng.weibull(1.5, (n, d)), 9 * rng.weibull(3.0, (n, d)))


def counts(n=90, d=1):
    rng = np.random.default_rng(0)
    few = rng.random((n, 1)) < 0.5
    return np.where(few, rng.negative_binomial(3, 0.6, (n, d)), rng.negative_binomial(2, 0.1, (n, d))).astype(float)


def nb(means, dispersions):
    """scipy's negative binomial of these means and dispersions."""
    return stats.nbinom(1 / dispersions, 1 / (1 + dispersions * means))


# The sample


def test_a_sample_adds_by_concatenation_and_scales_its_weights():
    """The sum of samples of different rows holds the rows of both; a difference has negated weights."""
    one = WeightedSample([[1.0], [2.0]], [[1.0, 0.0], [0.5, 0.5]])
    two = WeightedSample([[3.0]], [[0.25, 0.75]])
    total = 2.0 * one - two
    np.testing.assert_array_equal(total.rows, [[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(total.weights, [[2.0, 0.0], [1.0, 1.0], [-0.25, -0.75]])


def test_weights_of_the_same_rows_add():
    """A difference of two passes over one chunk has as many rows as the chunk, and weights that do not cancel."""
    rows = np.arange(6.0)[:, None]
    one, two = (WeightedSample(rows.copy(), np.full((6, 1), w)) for w in (0.5, 0.5 + 2**-40))
    assert len((two - one).rows) == 6
    np.testing.assert_array_equal((two - one).weights, 2.0**-40)


def test_a_sample_refuses_weights_of_another_length():
    """Three rows with two rows of weights are refused, with both numbers."""
    with pytest.raises(ValueError, match="2 rows of weights were given for 3 rows"):
        WeightedSample(np.ones((3, 1)), np.ones((2, 1)))


def test_a_density_of_zero_counts_nothing_where_no_weight_is():
    """0 times minus infinity is 0 in log_joint."""
    family = lem.Weibull()
    params = family.params([[2.0]], [[1.0]])
    impossible = family.statistics(np.array([[1.0], [-1.0]]), np.array([[1.0], [0.0]]))
    assert family.log_joint(params, impossible) == pytest.approx(stats.weibull_min(2).logpdf(1.0), rel=1e-14)


@pytest.mark.parametrize("steps", [50, 100])
def test_a_run_takes_statistics_that_do_not_grow(steps):
    """However many steps a run takes, its statistics hold each row once."""
    x = speeds(300)
    model = lem.Mixture(lem.Weibull(), 2)
    start = model.params([0.5, 0.5], lem.Weibull().params([[1.0], [1.5]], [[2.0], [9.0]]))
    result = lem.EM(max_steps=steps, stop=lambda state: None).run(model, start, x)
    assert result.expectation.statistics.components.rows.shape == x.shape


def test_a_wrong_maximiser_breaks_the_contract():
    """A family of one's own whose estimate is no maximum is found out by check_model."""

    @frozen
    class Shifted(SampleFamily):
        def log_density(self, params, x):
            return stats.norm.logpdf(x, params[:, 0])

        def estimate(self, x, weight, current):
            return np.array([weight @ x / weight.sum() + 0.1])

    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="optimality"):
        check_model(
            lem.Mixture(Shifted(), 2),
            lem.Mixture(Shifted(), 2).params([0.5, 0.5], np.array([[0.0], [1.0]])),
            rng.normal(size=(40, 1)),
        )


# What all of them do


@pytest.mark.parametrize("name", FAMILY)
def test_mixtures_keep_the_contract(name):
    """Mixtures of each family keep the contract and agree with scipy's densities."""
    family, x = FAMILY[name], speeds() if name == "weibull" else counts()
    params = family.params([[1.2], [2.0]], [[2.0], [0.7]])

    def evidence(params, chunk):
        a, b = (np.asarray(value)[:, 0] for value in vars_of(params.components))
        density = stats.weibull_min(a, scale=b).pdf(chunk.x) if name == "weibull" else nb(a, b).pmf(chunk.x)
        return np.log(density @ params.weights)

    model = lem.Mixture(family, 2)
    check_model(model, model.params([0.4, 0.6], params), x, evidence=evidence)


def vars_of(params):
    return (params.shapes, params.scales) if hasattr(params, "shapes") else (params.means, params.dispersions)


@pytest.mark.parametrize("name", FAMILY)
def test_every_block_holds_components_and_counts_the_free_numbers(name):
    """The sizes of the blocks add up to the rank of the Jacobian, and held components stay to the bit."""
    family, x = FAMILY[name], speeds(60, 2) if name == "weibull" else counts(60, 2)
    shape = (2, 2)
    vector = np.array([1.2, 2.0, 3.0, 1.7, 2.5, 0.7, 1.1, 0.4])

    def log_density(values):
        return family.log_density(family.params(values[:4].reshape(shape), values[4:].reshape(shape)), x).ravel()

    params = family.params(vector[:4].reshape(shape), vector[4:].reshape(shape))
    assert sum(block.size(params) for block in family.blocks()) == jacobian_rank(log_density, vector) == 8
    statistics = family.statistics(x, np.full((60, 2), 0.5))
    for block in family.blocks():
        held = block.holding((1,))
        assert held.size(params) == block.size(params) // 2
        new = held.apply(statistics, params)
        assert all((a[1] == b[1]).all() for a, b in zip(vars_of(new), vars_of(params), strict=True))
        assert any((a[0] != b[0]).any() for a, b in zip(vars_of(new), vars_of(params), strict=True))


@pytest.mark.parametrize("name", FAMILY)
def test_a_component_without_rows_stays_and_starts_as_the_pooled_data(name):
    """With zero count, the M-step keeps the parameters and `first` gives those of all rows."""
    family, x = FAMILY[name], speeds() if name == "weibull" else counts()
    statistics = family.statistics(x, np.stack([np.ones(90), np.zeros(90)], axis=1))
    first = family.first(statistics)
    assert all(value[0] == value[1] for value in vars_of(first))
    params = family.params([[1.2], [2.0]], [[2.0], [0.7]])
    for block in family.blocks():
        params = block.apply(statistics, params)
    assert [value[1, 0] for value in vars_of(params)] == [2.0, 0.7]


@pytest.mark.parametrize("name", FAMILY)
def test_draws_have_the_moments_of_the_family(name):
    """Means and variances of 200,000 draws are scipy's, to their standard error."""
    family, labels = FAMILY[name], np.repeat([0, 1], 100_000)
    params = (
        family.params([[1.5], [4.0]], [[2.0], [0.0]])
        if name != "weibull"
        else family.params([[1.5], [3]], [[2.0], [9]])
    )
    x = family.sample(params, labels, np.random.default_rng(1))[:, 0]
    laws = (
        [nb(1.5, 2.0), stats.poisson(4.0)]
        if name != "weibull"
        else [stats.weibull_min(1.5, scale=2.0), stats.weibull_min(3, scale=9)]
    )
    for j, law in enumerate(laws):
        draws = x[labels == j]
        assert abs(draws.mean() - law.mean()) < 5 * law.std() / math.sqrt(len(draws))
        assert abs(draws.var() / law.var() - 1) < 0.05


def test_fits_find_what_made_the_data():
    """Mixtures of 2,000 draws come back to the parameters that they were drawn from."""
    rng = np.random.default_rng(2)
    windy = lem.Mixture(lem.Weibull(), 2)
    truth = windy.params([0.4, 0.6], lem.Weibull().params([[1.8], [4.0]], [[3.0], [10.0]]))
    found = lem.fit(windy, windy.sample(truth, 2000, rng)[0]).params
    order = found.components.scales[:, 0].argsort()
    np.testing.assert_allclose(found.components.scales[order, 0], [3.0, 10.0], rtol=0.1)
    np.testing.assert_allclose(found.components.shapes[order, 0], [1.8, 4.0], rtol=0.1)
    np.testing.assert_allclose(found.weights[order], [0.4, 0.6], atol=0.04)
    family = lem.NegativeBinomial()
    counted = lem.Mixture(family, 2)
    truth = counted.params([0.4, 0.6], family.params([[2.0], [40.0]], [[0.3], [0.1]]))
    found = lem.fit(counted, counted.sample(truth, 2000, rng)[0], n_starts=3).params
    order = found.components.means[:, 0].argsort()
    np.testing.assert_allclose(found.components.means[order, 0], [2.0, 40.0], rtol=0.1)
    np.testing.assert_allclose(found.components.dispersions[order, 0], [0.3, 0.1], rtol=0.3)


# Weibull


def test_a_weibull_is_fitted_as_scipy_fits_it():
    """At k = 1 the shape and scale are those that a numerical search with scipy's density finds, weights and all."""
    x, weight = speeds()[:, 0], np.random.default_rng(3).integers(0, 4, 90).astype(float)

    def loss(logs):
        return -weight @ stats.weibull_min(np.exp(logs[0]), scale=np.exp(logs[1])).logpdf(x)

    wanted = np.exp(minimize(loss, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}).x)
    found = lem.Weibull().first(lem.Weibull().statistics(x[:, None], weight[:, None]))
    np.testing.assert_allclose([found.shapes[0, 0], found.scales[0, 0]], wanted, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("shape", [0.02, 1.0, 1e4])
def test_a_weibull_shape_depends_on_no_unit(unit, shape):
    """The score of the profile likelihood is zero at the shape, in any unit, for flat and for narrow components."""
    x = unit * np.random.default_rng(0).weibull(shape, 500)
    found = lem.Weibull().first(lem.Weibull().statistics(x[:, None], np.ones((500, 1)))).shapes[0, 0]
    logs = np.log(x) - np.log(x).max()
    power = np.exp(found * logs)
    assert abs((power @ logs) / power.sum() - logs.mean() - 1 / found) * found < 1e-11


def test_a_weibull_of_one_value_is_degenerate_by_name():
    """A component all of whose values are equal names itself and its shapes."""
    statistics = lem.Weibull().statistics(np.array([[1.0], [2.0], [3.0], [3.0]]), np.repeat(np.eye(2), 2, axis=0))
    with pytest.raises(Degenerate, match="shapes of component 1: collapsed"):
        lem.Weibull().first(statistics)


def test_what_is_no_weibull_is_refused_by_name():
    """Zeros among the data, and scales that are not positive, are refused by name."""
    with pytest.raises(ValueError, match=r"row 1, .*outside the support of Weibull"):
        lem.fit(lem.Mixture(lem.Weibull(), 1), [[1.0], [0.0]])
    with pytest.raises(ValueError, match="scales were given as"):
        lem.Weibull().params([[1.0]], [[0.0]])
    with pytest.raises(ValueError, match="give one of each"):
        lem.Weibull().params([[1.0]], [[1.0], [2.0]])


# Negative binomial


def exact(x, mean, dispersion):
    """The log density in 60 digits."""
    with mpmath.workdps(60):
        x, mean, dispersion = (mpmath.mpf(float(v)) for v in (x, mean, dispersion))
        if dispersion == 0:
            return x * mpmath.log(mean) - mean - mpmath.loggamma(x + 1)
        size = 1 / dispersion
        gammas = mpmath.loggamma(x + size) - mpmath.loggamma(size) - mpmath.loggamma(x + 1)
        odds = dispersion * mean
        return gammas + x * mpmath.log(odds / (1 + odds)) - size * mpmath.log1p(odds)


def exact_score(x, mean, dispersion):
    """Its derivative by the dispersion."""
    with mpmath.workdps(80):
        x, mean, dispersion = (mpmath.mpf(float(v)) for v in (x, mean, dispersion))
        if dispersion == 0:
            return ((x - mean) ** 2 - x) / 2
        size = 1 / dispersion
        steps = size * x - size**2 * (mpmath.digamma(x + size) - mpmath.digamma(size))
        return steps + size**2 * mpmath.log1p(dispersion * mean) - (x + size) * mean / (1 + dispersion * mean)


@pytest.mark.parametrize("dispersion", [0, 1e-12, 1e-9, 1e-6, 1e-3, 0.06, 0.5, 3.0, 1e3, 1e6])
def test_the_negative_binomial_density_loses_no_digits(dispersion):
    """From the Poisson limit to a dispersion of 1e6, with counts up to 1e8, it has 14 digits of those of mpmath."""
    for mean in (1e-8, 0.5, 7.0, 1e4, 1e8):
        for x in (0, 1, 2, 15, 1e4, 123_456_789):
            wanted = exact(x, mean, dispersion)
            found = float(_log_density(np.array(float(x)), np.array(mean), np.array(float(dispersion))))
            assert abs(found - wanted) <= 1e-14 * max(1, abs(wanted)), (mean, x)


@pytest.mark.parametrize("dispersion", [0, 1e-12, 1e-9, 1e-6, 1e-3, 0.06, 0.5, 3.0, 1e3, 1e6])
def test_the_score_of_the_dispersion_loses_no_digits(dispersion):
    """The derivative by the dispersion, by Stirling's series and step by step, is that of 80-digit arithmetic."""
    for mean in (0.5, 7.0, 1e4):
        for x in (0, 1, 2, 15, 1e4, 123_456_789):
            wanted = exact_score(x, mean, dispersion)
            terms = (x * x + mean * mean + x * mean) / (1 + dispersion * max(x, mean))  # what must cancel
            found = [float(_score(np.array(float(x)), mean, np.array([float(dispersion)]))[0])]
            if x <= 1e4:
                found.append(float(_score_of(np.array([float(x)]), np.ones(1), mean)(float(dispersion))))
            for value in found:
                assert abs(value - wanted) <= 1e-13 * max(terms, abs(wanted)), (mean, x)


@pytest.mark.parametrize("mean", [None, 1.0, 60.0])
def test_the_dispersion_is_the_best_one(mean):
    """At the mean of the rows and at held ones, no dispersion that a search with scipy's density finds is better."""
    x, family = counts()[:, 0], lem.NegativeBinomial()
    weight = np.random.default_rng(3).random(90)
    mean = weight @ x / weight.sum() if mean is None else mean
    statistics = family.statistics(x[:, None], weight[:, None])
    block = family.blocks()[1]
    found = block.maximize(statistics, family.params([[mean]], [[1.0]]))[0, 0]

    def loss(log):
        return -weight @ nb(mean, np.exp(log)).logpmf(x)

    searched = minimize_scalar(loss, bounds=(-20, 20), method="bounded", options={"xatol": 1e-12})
    assert loss(np.log(found)) <= searched.fun + 1e-12 * abs(searched.fun)
    np.testing.assert_allclose(found, np.exp(searched.x), rtol=1e-6)


def test_counts_that_vary_less_than_poisson_have_dispersion_zero():
    """Where the variance is below the mean the optimum is the boundary, and the density there is Poisson's."""
    x, family = np.array([[3.0], [4.0], [4.0], [5.0]]), lem.NegativeBinomial()
    params = family.first(family.statistics(x, np.ones((4, 1))))
    assert params.dispersions[0, 0] == 0
    np.testing.assert_allclose(family.log_density(params, x), stats.poisson(4.0).logpmf(x), rtol=1e-14)


def test_a_column_of_zeros_has_mean_zero_and_keeps_its_dispersion():
    """Where the mean is zero nothing depends on the dispersion, and a count above zero is impossible."""
    family = lem.NegativeBinomial()
    statistics = family.statistics(np.zeros((3, 1)), np.ones((3, 1)))
    params = family.params([[1.0]], [[0.7]])
    for block in family.blocks():
        params = block.apply(statistics, params)
    assert (params.means[0, 0], params.dispersions[0, 0]) == (0.0, 0.7)
    assert family.log_joint(params, statistics) == 0
    assert family.log_density(params, np.ones((1, 1)))[0, 0] == -np.inf


def test_huge_counts_are_fitted_as_their_gamma_limit():
    """Counts near 1e9 of dispersion 0.25 are gamma variables of shape 4, and the dispersion says so."""
    rates = np.random.default_rng(0).gamma(4.0, 2.5e8, 4000)
    x = np.floor(rates)[:, None]
    family = lem.NegativeBinomial()
    found = family.first(family.statistics(x, np.ones((4000, 1)))).dispersions[0, 0]
    shape, _, _ = stats.gamma.fit(x[:, 0], floc=0)
    assert found == pytest.approx(1 / shape, rel=1e-6)


def test_what_is_no_count_is_refused_by_name():
    """Fractions among the data and negative dispersions are refused by name."""
    with pytest.raises(ValueError, match=r"row 1, .*outside the support of NegativeBinomial"):
        lem.fit(lem.Mixture(lem.NegativeBinomial(), 1), [[1.0], [0.5]])
    with pytest.raises(ValueError, match="dispersions were given as"):
        lem.NegativeBinomial().params([[1.0]], [[-0.1]])
    with pytest.raises(ValueError, match="give one of each"):
        lem.NegativeBinomial().params([[1.0]], [[1.0], [2.0]])


def test_dispersions_of_zero_are_named_and_not_counted():
    """Counts that vary less than Poisson ones end at Poisson components, whose dispersions are no free numbers."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.binomial(20, 0.3, 300), rng.negative_binomial(2, 0.2, 300)])
    fit = lem.fit(lem.Mixture(lem.NegativeBinomial(), 1), x)
    np.testing.assert_array_equal(fit.params.components.dispersions > 0, [[False, True]])
    assert fit.n_parameters == 3
    (event,) = fit.events
    assert (event.kind, event.component, event.field, event.column) == ("boundary", 0, "dispersions", 0)
    alone = lem.fit(lem.Mixture(lem.NegativeBinomial(), 1), x[:, :1])
    poisson = lem.fit(lem.Mixture(lem.Poisson(), 1), x[:, :1])
    assert (alone.n_parameters, alone.aic) == (1, pytest.approx(poisson.aic, rel=1e-12))
    assert "the dispersion, 0, of a column of component 0" in str(fit)
    assert "the component is Poisson" in str(alone)
