"""The Student-t family: densities, latent scales, degrees of freedom and fits, against scipy and mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from attrs import evolve
from independent import jacobian_rank, matched
from scipy import optimize, stats
from scipy.special import logsumexp
from subjects import STRUCTURES

import latentem as lem
from latentem.family.gaussian.scales import GammaScales
from latentem.family.gaussian.student import Student, StudentParams
from latentem.numerics.log_gamma import less_log, log_less_digamma, stirling
from latentem.testing import check_model

X = lem.datasets.old_faithful()
WIDE = {2: np.array([[0.5, 1.0], [1.0, 60.0]]), 1: np.array([0.5, 60.0]), 0: np.array(20.0)}


def begin(structure, dof=(3.0, 40.0), **options):
    """A mixture of two and parameters for it, not at an optimum."""
    family = Student(structure, **options)
    wide = WIDE[len(structure.each.one(2))]
    covariances = wide if structure.tied else np.stack([wide, 1.3 * wide])
    model = lem.Mixture(family, 2)
    return model, model.params([0.3, 0.7], family.params([[2.0, 50.0], [4.0, 75.0]], covariances, dof))


def evidence(params, chunk):
    own = params.components
    parts = zip(params.weights, own.means, own.dense(), own.dof, strict=True)
    return logsumexp([np.log(w) + stats.multivariate_t(m, c, df=v).logpdf(chunk.x) for w, m, c, v in parts], axis=0)


def moved(params, chunk, shift, scale):
    own = params.components
    there = evolve(own, means=scale * own.means + shift, covariances=scale**2 * own.covariances)
    return evolve(params, components=there), lem.Rows(scale * chunk.x + shift, chunk.weight)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_the_density_is_scipys(structure):
    """log_density is scipy's multivariate t to 1e-11, from heavy tails to light ones."""
    for dof in ([0.1, 1.0], [3.0, 40.0], [1e3, 1e4]):
        model, params = begin(structure, dof)
        found = model.log_evidence(params, model.chunk(X))
        np.testing.assert_allclose(found, evidence(params, lem.Rows(X)), rtol=1e-11 * max(1, dof[0] / 10))


def test_log_gammas_do_not_cancel_in_the_density():
    """At 1e6 degrees of freedom the density has mpmath's digits, and is the normal one to 1e-5."""
    family = Student()
    x = np.array([[0.3, -1.0, 2.0], [4.0, 0.0, 1.0]])
    params = family.params(np.zeros((1, 3)), np.eye(3)[None], 1e6)
    mpmath.mp.dps = 40
    v, d = mpmath.mpf(10**6), 3
    for row, found in zip(x, family.log_density(params, x)[:, 0], strict=True):
        exact = (
            mpmath.loggamma((v + d) / 2)
            - mpmath.loggamma(v / 2)
            - d * mpmath.log(v * mpmath.pi) / 2
            - (v + d) / 2 * mpmath.log(1 + mpmath.mpf(float(row @ row)) / v)
        )
        assert found == pytest.approx(float(exact), abs=1e-14)
    normal = stats.multivariate_normal(np.zeros(3)).logpdf(x)
    np.testing.assert_allclose(family.log_density(params, x)[:, 0], normal, atol=1e-4)


@pytest.mark.parametrize("a", [1e-3, 0.05, 1.0, 3.3, 9.99, 10.0, 25.0, 1e3, 5e5, 1e9])
def test_special_functions_have_mpmaths_digits(a):
    """Stirling's remainder, log less digamma and its slope, at small and at large arguments."""
    mpmath.mp.dps = 50
    big = mpmath.mpf(a)
    value, slope = log_less_digamma(np.array(a))
    assert value == pytest.approx(float(mpmath.log(big) - mpmath.digamma(big)), rel=3e-15)
    assert slope == pytest.approx(float(1 / big - mpmath.polygamma(1, big)), rel=3e-14)
    rest = mpmath.loggamma(big) - (big - 0.5) * mpmath.log(big) + big - mpmath.log(2 * mpmath.pi) / 2
    assert stirling(np.array(a)) == pytest.approx(float(rest), rel=1e-14, abs=1e-14)
    for t in (a, -a):
        if t > -1:
            exact = mpmath.mpf(t) - mpmath.log1p(mpmath.mpf(t))
            assert less_log(np.array(t)) == pytest.approx(float(exact), rel=1e-15, abs=0)


def test_latent_scales_are_gamma_distributions():
    """Means, E[u - 1 - log u] and entropies are those of scipy's gamma."""
    scales = GammaScales([0.8, 2.5, 40.0], [[0.3, 4.0, 41.0], [2.0, 2.0, 7.0]])
    for (i, j), rate in np.ndenumerate(scales.rate):
        law = stats.gamma(scales.shape[j], scale=1 / rate)
        assert scales.means()[i, j] == pytest.approx(law.mean(), rel=1e-14)
        assert scales.excesses()[i, j] == pytest.approx(law.mean() - 1 - law.expect(np.log), rel=1e-6)
        assert scales.entropies()[i, j] == pytest.approx(law.entropy(), rel=1e-12)


def test_scales_that_are_nearly_one_keep_their_digits():
    """At a shape of 5e5 entropies have mpmath's digits, where log gammas have lost nine."""
    a, b = 500001.0, 500003.5
    scales = GammaScales([a], [[b]])
    mpmath.mp.dps = 40
    big, rate = mpmath.mpf(a), mpmath.mpf(b)
    entropy = big - mpmath.log(rate) + mpmath.loggamma(big) + (1 - big) * mpmath.digamma(big)
    assert scales.entropies()[0, 0] == pytest.approx(float(entropy), abs=1e-14)
    excess = big / rate - 1 - mpmath.digamma(big) + mpmath.log(rate)
    assert scales.excesses()[0, 0] == pytest.approx(float(excess), rel=1e-10)


def test_student_mixtures_keep_the_contract():
    """Bare and under every transformer, at moderate and at extreme degrees of freedom, where data are far and small."""
    model, params = begin(lem.Full())
    check_model(model, params, X[:6], evidence=evidence)
    model, params = begin(lem.Tied(lem.Diagonal()), [1.2, 1e6])
    check_model(model, *moved(params, lem.Rows(X[:6], [1, 2, 1, 0, 1, 3.0]), 1e3, 1e-3))


def test_a_step_moves_with_the_data():
    """A step on data around 1e6, or in units of 1e-9, is the moved step, with the same degrees of freedom."""
    for shift, scale in ((1e6, 1.0), (0.0, 1e-9)):
        model, params = begin(lem.Full())
        there, rows = moved(params, lem.Rows(X), shift, scale)
        for _ in range(5):
            params = model.m_step(model.expectation(params, lem.Rows(X)).statistics, params)
            there = model.m_step(model.expectation(there, rows).statistics, there)
        wanted, _ = moved(params, lem.Rows(X), shift, scale)
        for name in ("means", "covariances", "dof"):
            found, expected = getattr(there.components, name), getattr(wanted.components, name)
            np.testing.assert_allclose(found, expected, rtol=1e-7 if shift else 1e-11)


def test_one_component_in_one_column_is_the_maximum_of_scipys_likelihood():
    """Location, scale and degrees of freedom are where scipy's t likelihood is largest, and not below scipy's fit."""
    y = stats.t(4.0).rvs(400, random_state=np.random.default_rng(1)) * 2 + 3
    fit = lem.fit(lem.Mixture(Student(), 1), y[:, None], stop=lem.remaining_below(1e-18))
    own = fit.params.components

    def loss(p):
        return -stats.t.logpdf(y, np.exp(p[0]), p[1], np.exp(p[2])).sum()

    best = optimize.minimize(loss, [1.0, 3.0, 0.5], method="BFGS", options={"gtol": 1e-5})
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-8)
    assert fit.log_likelihood >= stats.t.logpdf(y, *stats.t.fit(y)).sum()
    found = [np.log(own.dof[0]), own.means[0, 0], np.log(own.covariances[0, 0, 0]) / 2]
    np.testing.assert_allclose(found, best.x, atol=2e-5)


def test_degrees_of_freedom_solve_their_equation():
    """The block's value is mpmath's root of log(v/2) - digamma(v/2) = mean excess, and stays in its range."""
    model, params = begin(lem.Full())
    statistics = model.family.statistics(X, np.full((len(X), 2), 0.5))
    block = next(block for block in model.family.blocks() if block.path == ("dof",))
    mpmath.mp.dps = 30
    for dof in (0.1001, 0.7, 1.0, 4.0, 30.0, 1e3, 1e5, 9e5):
        half = mpmath.mpf(dof) / 2
        excess = float(mpmath.log(half) - mpmath.digamma(half))
        found = block.maximize(evolve(statistics, excess=excess * statistics.count), params.components)
        np.testing.assert_allclose(found, dof, rtol=4e-15 if dof < 1e4 else 1e-14)
    for excess, end in ((0.0, 1e6), (-1e-20, 1e6), (1e-9, 1e6), (100.0, 0.1), (1e200, 0.1)):
        found = block.maximize(evolve(statistics, excess=excess * statistics.count), params.components)
        np.testing.assert_array_equal(found, end)


def test_a_block_holds_the_components_that_it_is_told():
    """Held degrees of freedom stay to the bit, in part or for all, and a component without units keeps its own."""
    model, params = begin(lem.Full())
    statistics = model.expectation(params, lem.Rows(X)).statistics
    block = model.family.blocks()[2].holding((1,))
    found = block.maximize(statistics.components, params.components)
    assert found[1] == 40.0
    assert found[0] != 3.0
    assert block.size(params.components) == 1
    empty = evolve(statistics.components, count=np.array([0.0, 5.0]))
    assert model.family.blocks()[2].maximize(empty, params.components)[0] == 3.0
    fit = lem.fit(lem.Frozen(model, {"dof": lem.Fixed(4.0)}), X, n_starts=2, stop=lem.remaining_below(1e-8))
    np.testing.assert_array_equal(fit.params.components.dof, [4.0, 4.0])


def test_outliers_do_not_move_the_centres():
    """Among uniform noise a Gaussian mixture loses a cluster that the Student mixture finds."""
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    x = np.concatenate(
        [centres[rng.integers(3, size=300)] + 0.5 * rng.normal(size=(300, 2)), rng.uniform(-60, 60, (30, 2))]
    )
    model = lem.Frozen(lem.Mixture(Student(), 3), {"dof": lem.Fixed(2.0)})
    soon = lem.remaining_below(1e-6)
    found = lem.fit(model, x, n_starts=3, stop=soon).params.components.means
    order = matched(found, centres)
    assert np.abs(found[order] - centres).max() < 0.2
    plain = lem.fit(lem.GaussianMixture(3), x, n_starts=3, stop=soon).params.components.means
    nearest = np.linalg.norm(plain[:, None] - centres, axis=2).min(axis=0)
    assert nearest.max() > 2


def test_a_known_mixture_is_recovered():
    """Weights, means, scales and degrees of freedom come back from 4,000 draws of two components."""
    family = Student(lem.Diagonal())
    model = lem.Mixture(family, 2)
    truth = model.params([0.3, 0.7], family.params([[0.0, 0.0], [12.0, 5.0]], [[1.0, 4.0], [2.0, 1.0]], [3.0, 8.0]))
    x, _ = model.sample(truth, 4000, np.random.default_rng(2))
    fit = lem.fit(model, x, n_starts=2, stop=lem.remaining_below(1e-7))
    order = matched(fit.params.components.means, truth.components.means)
    np.testing.assert_allclose(fit.params.weights[order], truth.weights, atol=0.03)
    np.testing.assert_allclose(fit.params.components.means[order], truth.components.means, atol=0.2)
    np.testing.assert_allclose(fit.params.components.covariances[order], truth.components.covariances, rtol=0.15)
    np.testing.assert_allclose(fit.params.components.dof[order], truth.components.dof, rtol=0.25)
    assert fit.log_likelihood > model.log_evidence(truth, model.chunk(x)).sum()


def test_draws_have_the_moments_of_the_density():
    """The covariance of draws is dof / (dof - 2) times the scale matrix; in one column they pass a Kolmogorov test."""
    family = Student()
    scale = np.array([[2.0, 0.6], [0.6, 1.0]])
    params = family.params([[1.0, -2.0], [0.0, 0.0]], [scale, np.eye(2)], [12.0, 0.5])
    rng = np.random.default_rng(3)
    x = family.sample(params, np.zeros(40_000, dtype=np.int64), rng)
    np.testing.assert_allclose(x.mean(axis=0), [1, -2], atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), 1.2 * scale, atol=0.06)
    heavy = family.sample(params, np.ones(4000, dtype=np.int64), rng)[:, 0]
    assert stats.kstest(heavy, stats.t(0.5).cdf).pvalue > 0.01


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_free_numbers_are_the_rank_of_the_jacobian(structure):
    """The sizes of the blocks add up to the rank of the log densities' derivatives."""
    model, params = begin(structure)
    own = params.components

    def densities(vector):
        means, dof, rest = vector[:4].reshape(2, 2), vector[4:6], vector[6:]
        covariances = rest.reshape(own.covariances.shape)
        if structure.each == lem.Full():
            covariances = (covariances + covariances.swapaxes(-1, -2)) / 2
        return model.family.log_density(StudentParams(means, covariances, dof, structure), X[:80]).ravel()

    vector = np.concatenate([own.means.ravel(), own.dof, own.covariances.ravel()])
    assert sum(block.size(own) for block in model.family.blocks()) == jacobian_rank(densities, vector)


def test_the_floor_is_relative_to_the_data():
    """The variances behind the floor are the data's, whatever the latent scales, and an active floor is an event."""
    model, params = begin(lem.Full(), prior=lem.Floor(0.5))
    for dof in (0.2, 1e5):
        there = evolve(params, components=evolve(params.components, dof=dof))
        statistics = model.expectation(there, lem.Rows(X)).statistics
        np.testing.assert_allclose(statistics.components.moments.variances(), X.var(axis=0), rtol=1e-12)
    fitted = model.m_step(statistics, params)
    assert {event.kind for event in model.diagnose(fitted, statistics)} == {"floor"}
    low = evolve(params, components=evolve(params.components, covariances=1e-3 * params.components.covariances))
    lifted, events = model.lift(low, statistics)
    assert {event.kind for event in events} == {"lifted"}
    assert lifted.components.covariances[0, 0, 0] >= 0.5 * X[:, 0].var() * (1 - 1e-12)


def test_coincident_components_have_the_same_tails():
    """Two components of one place and width coincide only if their degrees of freedom are the same, too."""
    family = Student()
    same = [np.zeros((2, 2)), np.stack([np.eye(2)] * 2)]
    assert family.coincident(family.params(*same, [4.0, 4.0])) == [(0, 1)]
    assert family.coincident(family.params(*same, [4.0, 5.0])) == []


def test_parameters_are_refused_by_name():
    """Degrees of freedom out of range or of another shape, and missing values, are errors that say what is allowed."""
    family = Student()
    with pytest.raises(ValueError, match=r"dof was given as \[0\.01\]: give numbers from 0\.1 to 1e\+06"):
        family.params([[0.0]], [[[1.0]]], 0.01)
    with pytest.raises(ValueError, match="dof has shape"):
        family.params([[0.0]], [[[1.0]]], [1.0, 2.0])
    with pytest.raises(ValueError, match="dof was given"):
        family.params([[0.0]], [[[1.0]]], [np.nan])
    with pytest.raises(ValueError, match="not positive definite"):
        family.params([[0.0]], [[[-1.0]]], 3)
    with pytest.raises(ValueError, match=r"parameters of 1 components were given for Student.*: the model has 2"):
        lem.Mixture(family, 2).check_params(lem.model.MixtureParams([0.5, 0.5], family.params([[0.0]], [[[1.0]]], 3)))
    with pytest.raises(ValueError, match="2 columns were given"):
        family.log_density(family.params([[0.0]], [[[1.0]]], 3), X)
    with pytest.raises(ValueError, match="row 1, column 0 is nan"):
        lem.fit(lem.Mixture(family, 1), [[1.0], [np.nan], [3.0]])


def test_a_description_shows_the_tails():
    """A table of components has a column of degrees of freedom."""
    model, params = begin(lem.Full())
    assert set(model.family.describe(params.components)) == {"mean", "scale", "dof"}


def given_labels(rows, weights, params, inverse):
    """Sum of weight times the log of t densities of one component, by scipy, as a function of 2 / dof."""
    law = stats.multivariate_t(params.means[0], params.dense()[0], df=2 / inverse)
    return float(weights @ law.logpdf(rows))


@pytest.mark.parametrize("dof", [6.0, 30.0])
def test_the_step_ahead_is_newtons_on_the_log_likelihood_of_the_rows(dof):
    """`shortcut` leads to where Newton's method in 1 / dof does, by differences of densities that scipy computes."""
    rng = np.random.default_rng(2)
    rows, weights = rng.standard_t(9, (200, 3)), rng.random(200)
    family = lem.Student()
    params = family.params(np.zeros((1, 3)), np.eye(3)[None], dof)
    _, scales = family.infer(params, rows)
    found = family.shortcut(params, family.expected(rows, weights[:, None], scales))
    at, step = 2 / dof, 1e-4
    low, here, high = (given_labels(rows, weights, params, at + way * step) for way in (-1, 0, 1))
    newton = at - step * (high - low) / 2 / (high - 2 * here + low)
    moved = family.m_step(found, params)
    assert moved.dof[0] == pytest.approx(2 / newton, rel=1e-4)


def standing(dof=30.0):
    """A mixture of two, parameters far from the best degrees of freedom, and the statistics of their pass."""
    model, params = begin(lem.Full(), [dof, dof])
    return model, params, model.expectation(params, lem.Rows(X)).statistics


def test_a_shortcut_leaves_alone_what_is_held():
    """Held degrees of freedom are led nowhere, so that other leaps have their turn; held means are no matter."""
    model, params, statistics = standing()
    assert model.shortcut(params, statistics) is not None
    for hold, due in [
        ({"dof"}, False),
        ({"dof": lem.Fixed(components=[0])}, False),
        ({"means": lem.Fixed(components=[0])}, True),
        ({"means", "weights"}, True),
    ]:
        frozen = lem.Frozen(model, hold)
        assert (frozen.shortcut(params, statistics) is not None) is due


def test_held_degrees_of_freedom_cost_no_leaps():
    """With degrees of freedom held where they are not best, leaps are as many passes ahead as with a Gaussian."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)) + 2.5 * (np.arange(400) % 2)[:, None] * [1.0, 0.0]
    family = lem.Student()
    frozen = lem.Frozen(lem.Mixture(family, 2), {"dof"})
    start = frozen.inner.params([0.5, 0.5], family.params([[0.0, 0.0], [2.0, 1.0]], np.stack([np.eye(2)] * 2), 4.0))
    plain, leaping = (lem.fit(frozen, x, start=start, accelerate=each) for each in (None, lem.Anderson()))
    assert leaping.objective == pytest.approx(plain.objective, abs=1e-7)
    assert len(leaping.history) < len(plain.history) / 2


def test_a_shortcut_sees_the_prior():
    """Under a conjugate prior the degrees of freedom to leap to are those of the data and the prior together."""
    model, params, statistics = standing()
    pseudo = 0.5 * model.expectation(begin(lem.Full(), [3.0, 3.0])[1], lem.Rows(X)).statistics
    prior = lem.WithPrior(model, pseudo)
    there = prior.m_step(prior.shortcut(params, statistics), params).components.dof
    together = statistics + pseudo
    np.testing.assert_allclose(there, model.m_step(model.shortcut(params, together), params).components.dof, rtol=1e-9)
    best = lem.fit(prior, X, start=params).params
    at = model.expectation(best, lem.Rows(X)).statistics
    assert prior.shortcut(best, at) is None


@pytest.mark.parametrize("degrees", [1e6, 50.0, 2.0])
def test_degrees_of_freedom_end_where_a_direct_search_does(degrees):
    """From any degrees of freedom, the normal limit among them, a fit ends at the maximum that scipy finds."""
    x = np.random.default_rng(0).standard_t(3, 300)
    best = optimize.minimize(
        lambda p: -stats.t(np.exp(p[0]), p[1], np.exp(p[2])).logpdf(x).sum(), [1.0, 0.0, 0.0], tol=1e-12
    )
    model = lem.Mixture(lem.Student(), 1)
    start = model.params([1.0], lem.Student().params(np.zeros((1, 1)), np.ones((1, 1, 1)), degrees))
    fit = lem.fit(model, x[:, None], start=start)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert fit.params.components.dof[0] == pytest.approx(np.exp(best.x[0]), rel=1e-3)
    assert fit.history[-1].passes < 60


def test_rows_without_heavy_tails_end_at_the_normal_limit():
    """Two t components of normal rows end, soon, at two Gaussians: named, not counted, and of the same likelihood."""
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(-1, 1, (300, 4)), rng.uniform(2, 5, (300, 4))])  # tails lighter than normal ones
    fit, normal = lem.fit(lem.Mixture(lem.Student(), 2), x), lem.fit(lem.GaussianMixture(2), x)
    np.testing.assert_array_equal(fit.params.components.dof, 1e6)
    assert fit.history[-1].passes < 60
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(normal.log_likelihood, abs=0.01)
    assert fit.n_parameters == normal.n_parameters
    assert [(event.kind, event.component, event.field, event.clean) for event in fit.events] == [
        ("boundary", 0, "dof", True),
        ("boundary", 1, "dof", True),
    ]
    assert "the component is Gaussian" in str(fit)


def test_held_degrees_of_freedom_are_not_led_anywhere():
    """Where they are held a leap ahead would be a plain step, and the boundary is no event."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    model = lem.Frozen(lem.Mixture(lem.Student(), 1), {"dof": lem.Fixed(np.array([1e6]))})
    fit = lem.fit(model, x)
    assert fit.params.components.dof[0] == 1e6
    assert fit.events == ()
    assert fit.converged
