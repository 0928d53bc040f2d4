"""Regressions as components: linear, Poisson and logistic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from independent import jacobian_rank
from scipy import stats
from scipy.special import expit
from sklearn.linear_model import LogisticRegression as SklearnLogistic
from sklearn.linear_model import PoissonRegressor

import latentem as lem
from latentem.core import ColumnError, Degenerate, Unavailable
from latentem.family.regression.line_moments import LineMoments
from latentem.family.regression.predictor import level, linear_predictor
from latentem.numerics.solve import maximise
from latentem.testing import check_model

LINES = lem.LinearRegression()
FAMILY = {
    "linear": LINES,
    "poisson": lem.PoissonRegression(),
    "logistic": lem.LogisticRegression(),
    "binomial": lem.LogisticRegression(8),
}
TRUTH = np.array([[1.0, 0.5, -0.3], [-0.5, -0.8, 0.6]])


def rows(name, n=60, seed=0, coefficients=TRUTH):
    """Rows of two components in turn, and their labels."""
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(n, coefficients.shape[1] - 1)), np.arange(n) % len(coefficients)
    eta = coefficients[labels, 0] + (x * coefficients[labels, 1:]).sum(axis=1)
    y = {
        "linear": lambda: eta + 0.3 * rng.standard_normal(n),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "logistic": lambda: rng.binomial(1, expit(eta)),
        "binomial": lambda: rng.binomial(8, expit(eta)),
    }[name]()
    return np.column_stack([x, y]), labels


def some(name, coefficients=((0.5, 0.2, 0.1), (-0.2, -0.3, 0.3))):
    """Parameters that are no optimum."""
    return LINES.params(coefficients, [0.5, 1.5]) if name == "linear" else FAMILY[name].params(coefficients)


def laws(name, params, x):
    """scipy's log densities, (n, k)."""
    covariates, y = x[:, :-1], x[:, -1:]
    eta = params.coefficients[:, 0] + covariates @ params.coefficients[:, 1:].T
    if name == "linear":
        return stats.norm(eta, np.sqrt(params.variances)).logpdf(y)
    if name == "poisson":
        return stats.poisson(np.exp(eta)).logpmf(y)
    return stats.binom(FAMILY[name].trials, expit(eta)).logpmf(y)


def irls(x, weight, name, steps=60):
    """Iteratively reweighted least squares, written from the textbook."""
    design, y = np.column_stack([np.ones(len(x)), x[:, :-1]]), x[:, -1]
    trials = {"poisson": 1, "logistic": 1, "binomial": 8}[name]
    beta = np.zeros(design.shape[1])
    for _ in range(steps):
        eta = design @ beta
        mean = np.exp(eta) if name == "poisson" else trials * expit(eta)
        variance = mean if name == "poisson" else mean * (1 - mean / trials)
        root = np.sqrt(weight * variance)
        beta = np.linalg.lstsq(root[:, None] * design, root * (eta + (y - mean) / variance), rcond=None)[0]
    return beta


# What all of them do


@pytest.mark.parametrize("name", ["linear", "poisson", "binomial"])
def test_mixtures_keep_the_contract(name):
    """Mixtures of regressions keep the contract and agree with scipy's densities."""
    model = lem.Mixture(FAMILY[name], 2)

    def evidence(params, chunk):
        return np.log(np.exp(laws(name, params.components, chunk.x)) @ params.weights)

    check_model(model, model.params([0.4, 0.6], some(name)), rows(name, 40)[0], evidence=evidence)


@pytest.mark.parametrize("name", FAMILY)
def test_every_block_holds_components_and_counts_the_free_numbers(name):
    """The sizes of the blocks add up to the rank of the Jacobian, and held components stay to the bit."""
    family, x, params = FAMILY[name], rows(name)[0], some(name)

    def log_density(vector):
        given = vector[:6].reshape(2, 3)
        return family.log_density(
            LINES.params(given, vector[6:]) if name == "linear" else family.params(given), x
        ).ravel()

    vector = np.concatenate([params.coefficients.ravel(), getattr(params, "variances", np.empty(0))])
    assert sum(block.size(params) for block in family.blocks()) == jacobian_rank(log_density, vector) == len(vector)
    statistics = family.statistics(x, np.full((len(x), 2), 0.5))
    for block in family.blocks():
        held = block.holding((1,))
        assert held.size(params) == block.size(params) // 2
        new, old = held.maximize(statistics, params), getattr(params, block.path[0])
        assert (new[1] == old[1]).all()
        assert (new[0] != old[0]).any()


@pytest.mark.parametrize("name", FAMILY)
def test_a_component_without_rows_stays_and_starts_as_the_pooled_data(name):
    """With zero count, the M-step keeps the parameters and `first` gives those of all rows."""
    family, x, params = FAMILY[name], rows(name)[0], some(name)
    statistics = family.statistics(x, np.stack([np.ones(60), np.zeros(60)], axis=1))
    first = family.first(statistics).coefficients
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(family.blocks()[0].maximize(statistics, params)[1], params.coefficients[1])


@pytest.mark.parametrize("name", FAMILY)
def test_a_regression_on_nothing_is_an_intercept(name):
    """Without covariates the intercept is the link of the weighted mean, and rows can be drawn."""
    family, weight = FAMILY[name], np.random.default_rng(0).random(60)
    y = rows(name)[0][:, -1:]
    mean = weight @ y[:, 0] / weight.sum()
    link = {"linear": mean, "poisson": np.log(mean)}.get(name)
    if link is None:
        share = mean / family.trials
        link = math.log(share / (1 - share))
    params = family.first(family.statistics(y, weight[:, None]))
    np.testing.assert_allclose(params.coefficients, [[link]], rtol=1e-12)
    draws = family.sample(params, np.zeros(40_000, dtype=int), np.random.default_rng(1))
    assert draws.shape == (40_000, 1)
    assert abs(draws.mean() - mean) < 5 * draws.std() / 200


@pytest.mark.parametrize("name", FAMILY)
def test_responses_are_drawn_given_covariates(name):
    """Residuals of drawn responses from the mean of their own component have mean 0; whole rows are not drawn."""
    family, params = FAMILY[name], some(name)
    rng = np.random.default_rng(1)
    covariates, labels = rng.normal(size=(40_000, 2)), rng.integers(2, size=40_000)
    y = family.respond(params, covariates, labels, rng)
    eta = linear_predictor(params.coefficients, covariates)[np.arange(40_000), labels]
    mean = {"linear": eta, "poisson": np.exp(eta)}.get(name, getattr(family, "trials", 1) * expit(eta))
    for j in range(2):
        residual = (y - mean)[labels == j]
        assert abs(residual.mean()) < 5 * residual.std() / math.sqrt(len(residual))
    with pytest.raises(Unavailable, match=r"family\.respond"):
        family.sample(params, labels, rng)


@pytest.mark.parametrize("name", FAMILY)
def test_rows_of_another_width_are_refused(name):
    """Rows with other columns than the parameters' covariates and the response are refused, with both numbers."""
    with pytest.raises(ValueError, match="rows of 2 columns were given: the parameters have 2 covariates"):
        FAMILY[name].log_density(some(name), np.ones((3, 2)))
    with pytest.raises(ValueError, match="the intercept first"):
        some(name, np.full((2, 3), np.nan))


@pytest.mark.parametrize("name", ["linear", "poisson", "binomial"])
def test_a_fit_finds_the_components_that_made_the_data(name):
    """From ten random starts on 1,000 rows, two regressions fit as much better than the truth as chance explains."""
    truth = np.array([[1.0, 2.0], [-1.0, -1.0]]) if name != "poisson" else np.array([[2.0, 0.5], [1.0, -0.5]])
    x, _ = rows(name, 1000, seed=1, coefficients=truth)
    fit = lem.fit(lem.Mixture(FAMILY[name], 2), x)
    assert fit.converged
    assert fit.events == ()
    made = LINES.params(truth, [0.09, 0.09]) if name == "linear" else FAMILY[name].params(truth)
    likelihood = np.log(np.exp(laws(name, made, x)).mean(axis=1)).sum()
    assert 0 < 2 * (fit.log_likelihood - likelihood) < stats.chi2(fit.n_parameters).ppf(0.9999)  # Wilks (1938)
    found = fit.params.components.coefficients
    np.testing.assert_allclose(found[found[:, 0].argsort()[::-1]], truth, atol=0.2)
    assert "x0: slope" in str(fit)


# Linear


def test_a_line_is_weighted_least_squares():
    """At k = 1 the coefficients are numpy's weighted least squares, and the variance the weighted mean square."""
    x, _ = rows("linear")
    weight = np.random.default_rng(3).random(60)
    design, root = np.column_stack([np.ones(60), x[:, :-1]]), np.sqrt(weight)
    wanted = np.linalg.lstsq(root[:, None] * design, root * x[:, -1], rcond=None)[0]
    params = LINES.first(LINES.statistics(x, weight[:, None]))
    np.testing.assert_allclose(params.coefficients[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(
        params.variances[0], weight @ (x[:, -1] - design @ wanted) ** 2 / weight.sum(), rtol=1e-12
    )


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("noise", [1.0, 1e-6])
def test_neither_offsets_nor_a_close_fit_cost_digits(offset, noise):
    """With columns 1e8 from zero and residuals a millionth of the responses, a slope and a variance are right."""
    rng = np.random.default_rng(0)
    steps = np.round(rng.normal(size=(200, 1)) * 2**8) / 2**8
    residual = noise * (rng.integers(-8, 9, 200) / 8)
    x = np.column_stack([steps + offset, 4 * steps[:, 0] + residual + 3 * offset])
    seen = x[:, -1] - 3 * offset - 4 * (x[:, 0] - offset)  # as the floats have it
    line = np.polynomial.Polynomial.fit(x[:, 0] - offset, seen, 1, domain=[-1, 1], window=[-1, 1])
    wanted = (seen - line(x[:, 0] - offset)).var()
    parts = [LINES.statistics(part, np.ones((len(part), 1))) for part in (x[:50], x[50:60], x[60:])]
    params = LINES.first(parts[0] + parts[1] + parts[2])
    prior = max(wanted, 1e-8 * x[:, -1].var())
    np.testing.assert_allclose(params.coefficients[0, 1], 4 + line.coef[1], rtol=1e-14)
    np.testing.assert_allclose(params.variances[0], prior, rtol=1e-7 if offset else 1e-9)
    shifted = LINES.log_density(params, x).sum()
    joint = LINES.log_joint(params, parts[0] + parts[1] + parts[2])
    np.testing.assert_allclose(joint, shifted, rtol=1e-10)


def test_a_fit_is_the_same_far_from_the_origin():
    """Shifting covariates and response by 1e8 changes the log likelihood of a fit of two lines by 1e-9 at most."""
    x, labels = rows("linear", 300)
    x = np.round(x * 2**20) / 2**20  # so that the shift is exact
    near, far = (lem.fit(lem.Mixture(LINES, 2), x + shift, start=labels) for shift in (0.0, 2.0**26))
    assert far.log_likelihood == pytest.approx(near.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(
        far.params.components.coefficients[:, 1:], near.params.components.coefficients[:, 1:], rtol=1e-7
    )


def test_moments_about_a_line_add_as_those_of_all_rows():
    """Sums, differences and other reference lines leave the residuals of one pass over all rows."""
    x, _ = rows("linear", 90)
    weights = np.random.default_rng(0).random((90, 2))
    parts = [LineMoments.of(x[i : i + 30], weights[i : i + 30]) for i in (0, 30, 60)]
    lines = np.array([[0.5, 0.2, 0.1], [-0.2, -3.0, 0.3]])
    residual = x[:, -1:] - linear_predictor(lines, x[:, :-1])
    total = parts[0] + parts[1] + parts[2]
    np.testing.assert_allclose(total.residuals(lines), (weights * residual**2).sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose((total - parts[1]).residuals(lines), (parts[0] + parts[2]).residuals(lines), rtol=1e-12)
    np.testing.assert_allclose(
        total.pooled().residuals(lines[:1]), weights.sum(axis=1) @ residual[:, 0] ** 2, rtol=1e-13
    )


@pytest.mark.parametrize("kind", ["repeated column", "constant column", "fewer rows than columns"])
def test_a_design_without_full_rank_gives_the_smallest_maximiser(kind):
    """Where covariates do not determine slopes, they are numpy's least squares of least norm when standardised."""
    x, _ = rows("linear", 60)
    z = np.column_stack(
        [
            x[:, 0],
            {"repeated column": 3 * x[:, 0] + 1, "constant column": np.full(60, 0.1)}.get(kind, x[:, 1]),
            x[:, -1],
        ]
    )
    if kind == "fewer rows than columns":
        z = z[:2]
    params = LINES.first(LINES.statistics(z, np.ones((len(z), 1))))
    covariates, y = z[:, :-1] - z[:, :-1].mean(axis=0), z[:, -1] - z[:, -1].mean()
    scale = np.where(covariates.std(axis=0) > 1e-12, covariates.std(axis=0), np.inf)
    wanted = np.linalg.pinv(covariates / scale, rcond=1e-10) @ y / scale
    np.testing.assert_allclose(params.coefficients[0, 1:], wanted, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(params.coefficients[0, 0], z[:, -1].mean() - z[:, :-1].mean(axis=0) @ wanted, rtol=1e-9)


@pytest.mark.parametrize("prior", [lem.InverseWishart(0.5, 3.0), lem.Floor(0.3)], ids=str)
def test_priors_keep_the_contract(prior):
    """An inverse Wishart on each variance and a floor that is active keep the contract."""
    model = lem.Mixture(lem.LinearRegression(prior), 2)
    x, _ = rows("linear", 30, coefficients=TRUTH[:, :2])
    check_model(model, model.params([0.4, 0.6], LINES.params([[0.5, 0.2], [-0.2, -0.3]], [0.5, 1.5])), x)


def test_an_exact_line_is_held_up_by_its_floor_or_is_degenerate():
    """A component of rows on a line is an event with a floor, and Degenerate by name without one."""
    x, y = np.arange(40.0), np.where(np.arange(40) % 2, np.arange(40.0), np.random.default_rng(0).normal(size=40) * 9)
    labels, data = np.arange(40) % 2, np.column_stack([x, y])
    fit = lem.fit(lem.Mixture(LINES, 2), data, start=labels)
    assert [(event.kind, event.component, event.field) for event in fit.events] == [("floor", 1, "variances")]
    assert fit.params.components.variances[1] == pytest.approx(1e-8 * y.var(), rel=1e-9)
    bare = lem.LinearRegression(None)
    statistics = bare.statistics(data, np.eye(2)[labels])
    with pytest.raises(Degenerate, match="variances of component 1: collapsed"):
        bare.blocks()[1].maximize(statistics, bare.first(statistics))


def test_given_variances_below_the_floor_are_lifted():
    """A start whose variance is below the floor is raised to it, and an event says so."""
    x, _ = rows("linear")
    params = LINES.params([[0.5, 0.2, 0.1], [-0.2, -0.3, 0.3]], [0.5, 1e-30])
    lifted, events = LINES.lift(params, LINES.statistics(x, np.full((60, 2), 0.5)))
    assert lifted.variances.tolist() == [0.5, pytest.approx(1e-8 * x[:, -1].var(), rel=1e-12)]
    assert [(event.kind, event.component) for event in events] == [("lifted", 1)]


def test_a_response_that_cannot_be_fitted_is_refused_by_its_column():
    """A constant response, and a column beyond the range of floats, are named; a constant covariate is none of that."""
    x, _ = rows("linear")
    with pytest.raises(ColumnError, match="column 2 is constant"):
        lem.fit(lem.Mixture(LINES, 1), np.column_stack([x[:, :2], np.ones(60)]))
    with pytest.raises(ColumnError, match="column 0 runs from"):
        lem.fit(lem.Mixture(LINES, 1), x * [1e200, 1, 1])
    assert lem.fit(lem.Mixture(LINES, 1), np.column_stack([np.ones(60), x])).converged


def test_what_are_no_parameters_of_lines_is_refused():
    """Variances that are not positive or not one a line, and another kind of prior, are refused by name."""
    with pytest.raises(ValueError, match="1 variances were given for 2 rows"):
        LINES.params(np.ones((2, 2)), [1.0])
    with pytest.raises(ValueError, match="variances were given as"):
        LINES.params(np.ones((1, 2)), [0.0])
    with pytest.raises(TypeError, match="prior was given as 3"):
        lem.LinearRegression(3)
    with pytest.raises(ValueError, match=r"parameters of . components were given for"):
        lem.Mixture(LINES, 3).params([0.2, 0.3, 0.5], some("linear"))


def test_equal_lines_are_coincident_and_parallel_ones_far_from_the_origin_are_not():
    """Two components are one distribution where their numbers agree to rounding, not where an offset hides a gap."""
    assert LINES.coincident(LINES.params([[1.0, 2.0], [1.0, 2.0]], [1.0, 1.0])) == [(0, 1)]
    assert LINES.coincident(LINES.params([[1e8, 2.0], [1e8 + 3, 2.0]], [1.0, 1.0])) == []
    poisson = lem.PoissonRegression()
    assert poisson.coincident(poisson.params([[1.0, 2.0], [0.0, 2.0], [1.0, 2.0]])) == [(0, 2)]


def test_levels_are_rounded_once():
    """An intercept that cancels against slopes far from the origin leaves what rational arithmetic leaves."""
    coefficients, at = np.array([[-3e8 + 0.1, 3.0, 1e-3]]), np.array([1e8 + 1 / 3, 7.0])
    exact = Fraction(-3e8 + 0.1) + 3 * Fraction(at[0]) + Fraction(1e-3) * 7
    assert level(coefficients, at)[0] == float(exact)


# Poisson and logistic


@pytest.mark.parametrize("name", ["poisson", "logistic", "binomial"])
def test_coefficients_are_those_of_reweighted_least_squares(name):
    """At k = 1 they are an independent IRLS's, with weights, and also far from the origin and in other units."""
    x, _ = rows(name, 200)
    weight = np.random.default_rng(3).random(200)
    wanted = irls(x, weight, name)
    family = FAMILY[name]
    found = family.first(family.statistics(x, weight[:, None])).coefficients[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-13)
    far = x.copy()
    far[:, :-1] = np.round(x[:, :-1] * 2**20) / 2**20 * 1024 + 2.0**30
    slopes = family.first(family.statistics(far, weight[:, None])).coefficients[0, 1:]
    np.testing.assert_allclose(slopes * 1024, wanted[1:], rtol=1e-5, atol=1e-6)  # the rounded covariates' own


@pytest.mark.parametrize("name", ["poisson", "logistic"])
def test_coefficients_are_those_of_scikit_learn(name):
    """At k = 1 they are scikit-learn's without a penalty, to its tolerance."""
    x, _ = rows(name, 300)
    family = FAMILY[name]
    found = family.first(family.statistics(x, np.ones((300, 1)))).coefficients[0]
    rival = (
        PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000)
        if name == "poisson"
        else SklearnLogistic(C=np.inf, tol=1e-10, max_iter=1000)
    )
    rival.fit(x[:, :-1], x[:, -1])
    np.testing.assert_allclose(found, [np.ravel(rival.intercept_)[0], *np.ravel(rival.coef_)], rtol=1e-5)


@pytest.mark.parametrize("name", ["poisson", "logistic", "binomial"])
def test_a_far_start_leads_to_the_same_optimum(name):
    """From coefficients where means overflow or round to an end, the block reaches the same coefficients."""
    x, _ = rows(name, 200)
    family = FAMILY[name]
    statistics = family.statistics(x, np.ones((200, 1)))
    best = family.first(statistics).coefficients
    for start in ([[800.0, 300.0, 0.0]], [[-800.0, 0.0, 500.0]], [[0.0, 1e5, 1e5]]):
        np.testing.assert_allclose(family.blocks()[0].maximize(statistics, family.params(start)), best, rtol=1e-9)


@pytest.mark.parametrize("kind", ["all zero", "one side"])
@pytest.mark.parametrize("name", ["poisson", "logistic", "binomial"])
def test_separated_responses_stay_finite_and_are_an_event(name, kind):
    """Responses all of one kind, or split by a covariate, leave finite coefficients and an event."""
    x, _ = rows(name, 60)
    x[:, 0] = x[:, 0] > 0
    x[:, -1] = 0 if kind == "all zero" else getattr(FAMILY[name], "trials", 3) * x[:, 0]
    fit = lem.fit(lem.Mixture(FAMILY[name], 1), x)
    assert fit.converged
    assert np.isfinite(fit.params.components.coefficients).all()
    assert [(event.kind, event.component, event.field) for event in fit.events] == [("separated", 0, "coefficients")]


def test_a_steep_slope_is_not_separated():
    """Data that overlap by one row in a thousand give a steep logistic slope without an event."""
    x = np.linspace(-1, 1, 1000)
    y = (x > 0).astype(float)
    y[470] = 1.0
    fit = lem.fit(lem.Mixture(FAMILY["logistic"], 1), np.column_stack([x, y]))
    assert fit.events == ()
    assert fit.params.components.coefficients[0, 1] > 50


def test_a_covariate_that_repeats_another_changes_nothing():
    """A copied or a constant covariate leaves the fitted means of a Poisson regression as they are."""
    x, _ = rows("poisson", 100)
    family = FAMILY["poisson"]
    plain = family.first(family.statistics(x, np.ones((100, 1))))
    wide = np.column_stack([x[:, 0], np.full(100, 5.0), x])
    found = family.first(family.statistics(wide, np.ones((100, 1))))
    np.testing.assert_allclose(family.log_density(found, wide), family.log_density(plain, x), rtol=1e-10)


def test_means_beyond_floats_have_density_zero():
    """A Poisson regression at a predictor of 1e4 gives minus infinity, and no warning."""
    family = FAMILY["poisson"]
    assert family.log_density(family.params([[1e4]]), np.array([[3.0]]))[0, 0] == -np.inf


@pytest.mark.parametrize(("name", "bad"), [("poisson", 0.5), ("poisson", -1), ("logistic", 2), ("binomial", 9)])
def test_responses_outside_the_support_are_refused_by_row(name, bad):
    """Fractions, negative counts and more successes than trials are named with their row."""
    x, _ = rows(name)
    x[7, -1] = bad
    with pytest.raises(ValueError, match=r"row 7, .*outside the support"):
        lem.fit(lem.Mixture(FAMILY[name], 1), x)
    with pytest.raises(ValueError, match="trials was given as 0"):
        lem.LogisticRegression(0)


def test_newton_takes_a_concave_maximum_from_afar():
    """Halved steps reach the maximum of -log cosh from where whole ones diverge, and leave flat directions alone."""

    def function(point):
        tanh = np.tanh(point[0])
        value = -(np.abs(point[0]) + np.log1p(np.exp(-2 * np.abs(point[0]))))
        return float(value), np.array([-tanh, 0.0]), np.diag([1 - tanh**2, 0.0])

    np.testing.assert_allclose(maximise(function, np.array([5.0, 7.0])), [0.0, 7.0], atol=1e-12)
