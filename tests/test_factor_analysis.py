"""Factor analysis and probabilistic PCA, against closed forms, scipy, mpmath and scikit-learn."""

from __future__ import annotations

import pickle
import tracemalloc

import mpmath
import numpy as np
import pytest
from attrs import evolve
from independent import jacobian_rank
from scipy import optimize, stats
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as SklearnFactorAnalysis

import latentem as lem
from latentem.core import ColumnError, LatentModel, tree_sum
from latentem.model import FactorAnalysis, FactorParams
from latentem.model.factor_values import FactorStatistics
from latentem.posterior.normal import NormalPosterior
from latentem.testing import check_model

BOTH = [lem.Diagonal(), lem.Spherical()]
EITHER = pytest.mark.parametrize("noise", BOTH, ids=str)
TIGHT = lem.EM(stop=lem.remaining_below(1e-15))
LOADINGS = np.array([[1.0, 0.2], [0.8, -0.5], [0.7, 0.1], [-0.6, 0.6], [0.3, 0.9], [0.1, -0.8], [0.9, 0.4]])
NOISE = np.array([0.4, 0.5, 0.6, 0.5, 0.3, 0.6, 0.4])
MEAN = np.arange(7.0)


def draws(n, seed=0, noise=NOISE):
    """Rows from two factors and seven columns, without the library."""
    rng = np.random.default_rng(seed)
    return MEAN + rng.normal(size=(n, 2)) @ LOADINGS.T + np.sqrt(noise) * rng.normal(size=(n, 7))


X = draws(250)


def implied(params):
    """The covariance of x, written out."""
    return params.loadings @ params.loadings.T + np.diag(np.broadcast_to(params.noise, params.mean.shape))


def evidence(params, chunk):
    return stats.multivariate_normal(params.mean, implied(params)).logpdf(chunk.x)


def some(noise, seed=3):
    """A model of two factors, and parameters that are no optimum."""
    rng = np.random.default_rng(seed)
    model = FactorAnalysis(2, noise)
    width = rng.uniform(0.3, 2, 7) if noise == lem.Diagonal() else 0.8
    return model, model.params(MEAN + rng.normal(size=7), rng.normal(size=(7, 2)), width)


def start(model, x, seed=0, weights=None):
    """Parameters from the guess."""
    chunks = model.chunks(x, weights)
    return model.first(tree_sum(model.statistics(chunk, model.guess(chunk, seed)) for chunk in chunks))


def fitted(model, x, seed=0, weights=None):
    result = TIGHT.run(model, start(model, x, seed, weights), model.chunks(x, weights))
    assert result.converged
    return result


def moved(params, chunk, shift, scale):
    there = evolve(
        params, mean=scale * params.mean + shift, loadings=scale * params.loadings, noise=scale**2 * params.noise
    )
    return there, lem.Rows(scale * chunk.x + shift, chunk.weight)


# The contract.


@EITHER
def test_both_kinds_of_noise_keep_the_contract(noise):
    """All six clauses hold, as given, shifted and scaled, with weights, two of them zero; the densities are scipy's."""
    model, params = some(noise)
    weights = np.array([1.0, 0.0, 2.0, 1.0, 0.5, 3.0, 0.0, 1.0])
    check_model(model, params, lem.Rows(X[:8], weights), evidence=evidence, moved=moved)


@pytest.mark.parametrize("name", ["mean", "loadings", "noise"])
def test_each_block_can_be_frozen(name):
    """All six clauses hold for the model that holds any one of its blocks."""
    model, params = some(lem.Diagonal())
    check_model(lem.Frozen(model, {name}), params, X[:15], evidence=evidence)


@pytest.mark.parametrize(
    ("noise", "prior"),
    [
        (lem.Diagonal(), None),
        (lem.Diagonal(), lem.Floor(0.4)),
        (lem.Diagonal(), lem.InverseWishart(0.5, 3.0)),
        (lem.Spherical(), lem.Floor(0.4)),
        (lem.Spherical(), lem.InverseWishart(np.diag(np.arange(1.0, 8)), 3.0)),
    ],
    ids=str,
)
def test_priors_keep_the_contract(noise, prior):
    """No prior, an active floor and an inverse Wishart keep the contract."""
    check_model(FactorAnalysis(2, noise, prior), some(noise)[1], X[:15], evidence=evidence)


# The E-step.


@EITHER
def test_the_posterior_is_the_conditional_of_the_joint_normal(noise):
    """Means and covariance of q are those of z given x under the joint normal of (z, x), written out."""
    model, params = some(noise)
    q = model.posterior(params, model.chunk(X))
    precision = np.linalg.inv(implied(params))
    np.testing.assert_allclose(q.means, (X - params.mean) @ precision @ params.loadings, rtol=1e-11, atol=1e-12)
    left = np.eye(2) - params.loadings.T @ precision @ params.loadings
    np.testing.assert_allclose(q.covariance, left, rtol=1e-11, atol=1e-12)


@EITHER
def test_the_statistics_are_the_moments_written_out(noise):
    """About the origin zero, the statistics are the sums of E[h h'], E[x h'] and x x' that define them."""
    model, params = some(noise)
    weight = np.random.default_rng(2).uniform(0, 2, len(X))
    chunk = model.chunk(X, weight)
    q = model.posterior(params, chunk)
    found = model.statistics(chunk, q).about(np.zeros((7, 3)))
    gram, cross = np.zeros((3, 3)), np.zeros((7, 3))
    for w, x, z in zip(weight, X, q.means, strict=True):
        h = np.concatenate([[1.0], z])
        gram += w * (np.outer(h, h) + np.pad(q.covariance, (1, 0)))
        cross += w * np.outer(x, h)
    np.testing.assert_allclose(found.gram, gram, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(found.cross, cross, rtol=1e-12, atol=1e-10)
    squares = weight @ X**2
    np.testing.assert_allclose(found.second, squares if found.second.ndim else squares.sum(), rtol=1e-12)
    middle = np.average(X, axis=0, weights=weight)
    np.testing.assert_allclose(found.middle(), middle, rtol=1e-12)
    variances = np.average((X - middle) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(found.variances(), variances if found.second.ndim else variances.mean(), rtol=1e-11)


@pytest.mark.parametrize(("least", "tolerance"), [(1e-8, 1e-12), (1e-16, 1e-8)])
def test_noise_far_below_the_loadings_costs_few_digits(least, tolerance):
    """The bound agrees with mpmath to what rounding x costs beside the width of the noise, and so does the evidence."""
    noise = np.where(np.arange(7) == 2, least, 0.5)  # one direction of z is known, the other is not
    model = FactorAnalysis(2, prior=None)
    params = model.params(MEAN, LOADINGS, noise)
    x = draws(30, 1, noise)
    chunk = model.chunk(x)
    e = model.expectation(params, chunk)
    with mpmath.workdps(50):
        loadings = mpmath.matrix(LOADINGS.tolist())
        covariance = loadings * loadings.T + mpmath.diag([mpmath.mpf(v) for v in noise])
        precision, constant = covariance**-1, mpmath.log(mpmath.det(2 * mpmath.pi * covariance))
        rows = [mpmath.matrix([mpmath.mpf(v) - mpmath.mpf(c) for v, c in zip(row, MEAN, strict=True)]) for row in x]
        exact = [-(constant + (row.T * precision * row)[0]) / 2 for row in rows]
        total = mpmath.fsum(exact)
        assert abs(model.log_joint(params, e.statistics) + e.entropy - total) < tolerance * len(x)
        assert (
            max(abs(a - b) for a, b in zip(model.log_evidence(params, chunk).tolist(), exact, strict=True))
            < 10 * tolerance
        )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("noise", [lem.Diagonal(), lem.Spherical()], ids=repr)
@pytest.mark.parametrize("width", [1.0, 0.3])
def test_the_scatter_of_the_rows_is_all_that_a_pass_needs(noise, width, weighted):
    """Statistics from the scatter are those of q and of the rows, step after step, with offsets and weights."""
    rng = np.random.default_rng(4)
    x = 1e3 + rng.standard_normal((400, 3)) @ rng.standard_normal((3, 8)) + width * rng.standard_normal((400, 8))
    chunk = lem.Rows(x, rng.exponential(size=400) if weighted else None)
    model = FactorAnalysis(3, noise)
    params = model.params(x.mean(axis=0) + 0.1, rng.standard_normal((8, 3)), np.full(noise.one(8), 0.5))
    for _ in range(6):
        assert FactorStatistics.of_scatter(*chunk.scatter, params, noise) is not None
        ours, plain = model.expectation(params, chunk), LatentModel.expectation(model, params, chunk)
        assert ours.entropy == pytest.approx(plain.entropy, rel=1e-13)
        assert ours.observations == plain.observations
        there = plain.statistics.about(ours.statistics.origin)
        np.testing.assert_allclose(ours.statistics.second, there.second, rtol=1e-10)
        for name in ("gram", "cross"):
            scale = 1e-10 * ours.statistics.count
            np.testing.assert_allclose(getattr(ours.statistics, name), getattr(there, name), rtol=0, atol=scale)
        params = model.m_step(ours.statistics, params)


def test_the_rows_are_asked_where_their_scatter_has_lost_what_is_left_of_them():
    """With noise 1e-7 of the loadings' part the scatter is not enough, says so, and the variances keep their digits."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((400, 2)) @ rng.standard_normal((2, 6)) + 1e-7 * rng.standard_normal((400, 6))
    model, chunk = FactorAnalysis(2, prior=None), lem.Rows(x)
    loadings = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:2].T
    params = model.params(x.mean(axis=0), loadings, np.full(6, 1e-14))
    assert FactorStatistics.of_scatter(*chunk.scatter, params, lem.Diagonal()) is None
    ours = model.expectation(params, chunk)
    assert evolve(ours.statistics, rows=None) == LatentModel.expectation(model, params, chunk).statistics


def test_rounding_is_stated_where_it_counts():
    """Next to vanished noise the bound is off the evidence by more than is ordinary, and by less than is stated."""
    model = FactorAnalysis(2, prior=None)
    noise = np.where(np.arange(7) % 3 == 0, 1e-22, 0.5)
    params, ordinary = model.params(MEAN, LOADINGS, noise), model.params(MEAN, LOADINGS, NOISE)
    chunk = model.chunk(draws(500, 1, noise))
    e = model.expectation(params, chunk)
    q = model.log_joint(params, e.statistics)
    gap, size = abs(q + e.entropy - model.log_evidence(params, chunk).sum()), 500 + abs(q) + abs(e.entropy)
    assert 1e-10 * size < gap < model.rounding(params) * size
    assert model.rounding(ordinary) == 0


def test_two_thousand_columns_form_no_square_matrix():
    """A pass and an M-step over 2,000 columns allocate a small part of what one 2,000 x 2,000 matrix takes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 5)) @ rng.normal(size=(5, 2000)) + rng.normal(size=(600, 2000))
    model = FactorAnalysis(5)
    params, chunks = start(model, x), model.chunks(x)
    tracemalloc.start()
    following = model.m_step(lem.core.e_step(model, params, chunks).statistics, params)
    gained = lem.log_likelihood(model, following, chunks) - lem.log_likelihood(model, params, chunks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert gained > 0
    assert peak < 2000 * 2000 * 8 / 2


# Densities of others.


def test_densities_are_those_of_scikit_learns_factor_analysis():
    """At scikit-learn's parameters every row has scikit-learn's log density."""
    other = SklearnFactorAnalysis(2, tol=1e-3).fit(X)
    model = FactorAnalysis(2)
    params = model.params(other.mean_, other.components_.T, other.noise_variance_)
    np.testing.assert_allclose(model.log_evidence(params, model.chunk(X)), other.score_samples(X), atol=1e-8)


def test_densities_are_those_of_scikit_learns_pca():
    """At scikit-learn's parameters every row has the log density of scikit-learn's probabilistic PCA."""
    other = PCA(2, svd_solver="full").fit(X)
    model = FactorAnalysis(2, lem.Spherical())
    loadings = other.components_.T * np.sqrt(other.explained_variance_ - other.noise_variance_)
    params = model.params(other.mean_, loadings, other.noise_variance_)
    np.testing.assert_allclose(model.log_evidence(params, model.chunk(X)), other.score_samples(X), atol=1e-8)


# The maximum.


@pytest.mark.parametrize("m", [1, 2])
def test_probabilistic_pca_ends_at_the_closed_form(m):
    """The fit is Tipping and Bishop's (1999): the mean discarded eigenvalue, the principal axes, their likelihood."""
    result = fitted(FactorAnalysis(m, lem.Spherical()), X)
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
    noise, loadings = values[:-m].mean(), vectors[:, -m:] * np.sqrt(values[-m:] - values[:-m].mean())
    covariance = loadings @ loadings.T + noise * np.eye(7)
    np.testing.assert_allclose(result.params.noise, noise, rtol=1e-6)
    np.testing.assert_allclose(result.params.covariance(), covariance, atol=1e-5)
    best = stats.multivariate_normal(X.mean(axis=0), covariance).logpdf(X).sum()
    assert abs(result.bound - best) < 1e-8 * len(X)
    axes = np.abs(result.params.canonical().loadings)
    np.testing.assert_allclose(axes, np.abs(loadings[:, ::-1]), atol=1e-4)


def test_the_fit_is_as_good_as_scikit_learns_run_to_its_end():
    """The log likelihood reaches scikit-learn's, run tight, and the implied covariance is the same."""
    result = fitted(FactorAnalysis(2), X)
    other = SklearnFactorAnalysis(2, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(X)
    assert result.bound >= other.score(X) * len(X) - 1e-8 * len(X)
    np.testing.assert_allclose(result.params.covariance(), other.get_covariance(), atol=1e-4)


def test_the_maximum_is_stationary():
    """At the fit of diagonal noise, the gradients of the log likelihood in the loadings and the noise are zero."""
    params = fitted(FactorAnalysis(2), X).params
    precision = np.linalg.inv(implied(params))
    slope = precision @ (np.cov(X.T, bias=True) - implied(params)) @ precision
    np.testing.assert_allclose(params.mean, X.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(slope @ params.loadings, 0, atol=1e-5)
    np.testing.assert_allclose(np.diag(slope), 0, atol=1e-5)


@EITHER
def test_a_fit_recovers_known_parameters(noise):
    """From 20,000 rows the implied covariance, the mean and the noise come back."""
    width = NOISE if noise == lem.Diagonal() else np.array(0.5)
    x = draws(20_000, 5, np.broadcast_to(width, 7))
    model = FactorAnalysis(2, noise)
    found = lem.EM(stop=lem.remaining_below(1e-7)).run(model, start(model, x), x).params
    np.testing.assert_allclose(found.covariance(), LOADINGS @ LOADINGS.T + width * np.eye(7), atol=0.04)
    np.testing.assert_allclose(found.noise, width, atol=0.03)
    np.testing.assert_allclose(found.mean, MEAN, atol=0.03)


@EITHER
def test_offsets_and_units_only_move_the_fit(noise):
    """The fit of 2^30 + x / 2^10, whose every digit is exact, is the moved fit of x."""
    x = np.round(X * 2**10) / 2**10
    model = FactorAnalysis(2, noise)
    far = 2.0**30 + x / 2**10
    near, there = (lem.EM(max_steps=200).run(model, start(model, data), data) for data in (x, far))
    assert len(near.history) == len(there.history)
    np.testing.assert_allclose(there.params.covariance() * 2**20, near.params.covariance(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        (there.params.mean - 2.0**30) * 2**10, near.params.mean, atol=1e-3
    )  # 53 bits hold no more
    assert abs(there.bound - 10 * np.log(2) * x.size - near.bound) < 1e-6 * len(x)


def test_weights_are_repetitions():
    """Rows with whole weights are fitted as the rows repeated so often."""
    weights = np.random.default_rng(4).integers(0, 3, len(X))
    model = FactorAnalysis(2)
    params = some(lem.Diagonal())[1]
    once = lem.EM(max_steps=30).run(model, params, model.chunks(X, weights.astype(float)))
    repeated = lem.EM(max_steps=30).run(model, params, np.repeat(X, weights, axis=0))
    assert once.bound == pytest.approx(repeated.bound, rel=1e-12)
    np.testing.assert_allclose(once.params.covariance(), repeated.params.covariance(), rtol=1e-9)


def test_a_mean_that_starts_elsewhere_comes_back():
    """From a start whose mean is 1e8 widths away, the run ends at the mean of the data."""
    model = FactorAnalysis(2)
    params = start(model, X)
    result = lem.EM(max_steps=300).run(model, evolve(params, mean=params.mean + 1e8), X)
    np.testing.assert_allclose(result.params.mean, X.mean(axis=0), atol=1e-5)


# Starts.


@EITHER
def test_a_guess_does_not_see_units_or_offsets(noise):
    """Columns moved and (for diagonal noise) rescaled one by one give the start moved and rescaled alike."""
    units = np.array([1e6, 1e-6, 3.0, 1.0, 1e12, 1e-3, 7.0]) if noise == lem.Diagonal() else np.full(7, 1e9)
    model = FactorAnalysis(2, noise)
    near, there = start(model, X), start(model, (X + 1e3) * units)
    np.testing.assert_allclose(there.covariance() / np.outer(units, units), near.covariance(), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(there.mean / units - 1e3, near.mean, atol=1e-8)


def test_a_guess_is_one_projection_for_all_chunks():
    """In chunks of different sizes the start is nearly that of one chunk, and other seeds give others."""
    model = FactorAnalysis(2)
    x = draws(4000)
    pieces = [lem.Rows(part) for part in np.split(x, [500, 1700, 3999])]
    whole, cut, other = start(model, [lem.Rows(x)]), start(model, pieces), start(model, x, seed=1)
    assert np.abs(whole.covariance() - cut.covariance()).max() < 0.02
    assert np.abs(whole.covariance() - other.covariance()).max() > 0.1


def test_every_guess_leads_to_the_one_maximum_of_probabilistic_pca():
    """Five seeds end at the same likelihood."""
    bounds = [fitted(FactorAnalysis(2, lem.Spherical()), X, seed).bound for seed in range(5)]
    assert max(bounds) - min(bounds) < 1e-8 * len(X)


def test_a_start_does_not_depend_on_how_the_factors_were_guessed():
    """Guessed factors turned, stretched and moved make the same first mean and covariance."""
    model = FactorAnalysis(2)
    chunk = model.chunk(X)
    q, turn = model.guess(chunk, 0), np.array([[3.0, -1.0], [0.5, 0.2]])
    other = NormalPosterior(q.means @ turn.T + [5.0, -2.0], turn @ q.covariance @ turn.T)
    one, two = (model.first(model.statistics(chunk, each)) for each in (q, other))
    np.testing.assert_allclose(one.covariance(), two.covariance(), rtol=1e-9)
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-9)
    np.testing.assert_allclose(one.mean, X.mean(axis=0), rtol=1e-12)


def test_a_start_has_noise_even_where_the_guess_explains_all():
    """Under a q as narrow as can be, on data of rank two, the first noise is at the default floor and not at zero."""
    model = FactorAnalysis(2, prior=None)
    z = np.random.default_rng(0).normal(size=(50, 2))
    chunk = model.chunk(z @ LOADINGS.T)
    params = model.first(model.statistics(chunk, NormalPosterior(z, 1e-30 * np.eye(2))))
    np.testing.assert_allclose(params.noise, 1e-8 * chunk.x.var(axis=0), rtol=1e-9)


# Drawing, counting, showing.


@EITHER
def test_draws_have_the_moments_of_the_model(noise):
    """200,000 draws have the mean, covariance and regression on the factors that the parameters say."""
    model, params = some(noise)
    x, z = model.sample(params, 200_000, np.random.default_rng(0))
    assert x.shape == (200_000, 7)
    assert z.shape == (200_000, 2)
    np.testing.assert_allclose(x.mean(axis=0), params.mean, atol=0.02)
    np.testing.assert_allclose(np.cov(x.T), implied(params), atol=0.06)
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=0.02)
    np.testing.assert_allclose((x - params.mean).T @ z / len(x), params.loadings, atol=0.03)


@EITHER
@pytest.mark.parametrize(("d", "m"), [(2, 1), (3, 1), (3, 2), (4, 2), (5, 2), (5, 3), (6, 3)])
def test_the_number_of_parameters_is_the_rank_of_the_jacobian(noise, d, m):
    """Mean, loadings and noise have as many free numbers as the log densities can tell apart."""
    rng = np.random.default_rng(d + m)
    model = FactorAnalysis(m, noise)
    size = d if noise == lem.Diagonal() else 1
    vector = np.concatenate([rng.normal(size=d + d * m), rng.uniform(0.5, 1.5, size)])
    points = 2 * rng.normal(size=(80, d))

    def log_density(vector):
        mean, loadings, width = np.split(vector, [d, d + d * m])
        covariance = loadings.reshape(d, m) @ loadings.reshape(d, m).T + width * np.eye(d)
        return stats.multivariate_normal(mean, covariance).logpdf(points)

    params = model.params(
        vector[:d], vector[d:-size].reshape(d, m), vector[-size:] if noise == lem.Diagonal() else vector[-1]
    )
    assert sum(block.size(params) for block in model.blocks()) == jacobian_rank(log_density, vector)


@EITHER
def test_canonical_loadings_are_the_same_model_on_principal_axes(noise):
    """Rotated, the covariance stays, L' Psi^-1 L is diagonal and falls, and a second rotation changes nothing."""
    params = some(noise)[1]
    canonical = params.canonical()
    np.testing.assert_allclose(canonical.covariance(), implied(params), rtol=1e-12, atol=1e-12)
    inner = (canonical.loadings.T / params.noise) @ canonical.loadings
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-12 * inner.max())
    assert inner[0, 0] > inner[1, 1]
    np.testing.assert_allclose(canonical.canonical().loadings, canonical.loadings, rtol=1e-11)
    np.testing.assert_allclose(params.variances(), np.diag(implied(params)), rtol=1e-14)


def test_the_table_has_a_line_for_each_factor():
    """Shares and loadings come factor by factor, and shares with the noise's sum to one."""
    model, params = some(lem.Diagonal())
    shown = model.describe(params, model.statistics(model.chunk(X), model.guess(model.chunk(X), 0)))
    assert shown["share"].shape == (2,)
    assert shown["loading"].shape == (2, 7)
    unexplained = (params.noise / np.diag(implied(params))).mean()
    assert shown["share"].sum() + unexplained == pytest.approx(1, rel=1e-12)


# What can go wrong.


def test_a_heywood_case_comes_to_its_floor():
    """On iris one noise variance is best at zero: the run ends at its floor, at scipy's best, and says so."""
    x = lem.datasets.iris()[:, :4]
    fit = lem.fit(lem.FactorAnalysis(1), x, n_starts=1, max_steps=1500)
    assert fit.converged
    assert [(event.kind, event.column) for event in fit.events] == [("floor", 2)]
    scatter, d = np.cov(x.T, bias=True), x.shape[1]

    def lost(values):
        implied = np.outer(values[:d], values[:d]) + np.diag(np.exp(values[d:]))
        log_det = np.linalg.slogdet(implied)[1]
        return 0.5 * (d * np.log(2 * np.pi) + log_det + np.trace(np.linalg.solve(implied, scatter)))

    wide = np.log(np.diag(scatter))
    bounds = [(None, None)] * d + [(low, None) for low in wide + np.log(1e-8)]
    guess = [*(np.linalg.eigh(scatter)[1][:, -1] * 2), *(wide + np.log(0.1))]
    guess[d + 2] = wide[2] + np.log(1e-4)
    best = min(optimize.minimize(lost, guess, method=method, bounds=bounds).fun for method in ("L-BFGS-B", "SLSQP"))
    assert fit.objective / len(x) >= -best - 1e-7


def test_an_active_floor_is_an_event_that_names_the_column():
    """A column that another repeats is held at the floor, to the digit, and the event says which."""
    x = np.column_stack([X[:, :4], X[:, 1] + 1e-9 * X[:, 5]])
    model = FactorAnalysis(1, prior=lem.Floor(1e-3))
    result = lem.EM(max_steps=200).run(model, start(model, x), x)
    np.testing.assert_allclose(result.params.noise[[1, 4]], 1e-3 * x.var(axis=0)[[1, 4]], rtol=1e-12)
    (event,) = result.events
    assert event.kind == "floor"
    assert event.field == "noise"
    assert event.column in (1, 4)
    assert "2 of the noise variances" in event.message


@EITHER
def test_noise_that_vanishes_without_a_floor_is_degenerate_by_name(noise):
    """Data of rank two and two factors end a run without prior as degenerate, in the block noise."""
    x = X[:, :2] @ np.array([[1.0, 2.0, -1.0, 0.3], [0.5, 1.0, 1.0, -2.0]])
    x[:, 3] += X[:, 2]
    flat = x[:, :3] @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    model = FactorAnalysis(2, noise, None)
    result = lem.EM(max_steps=2000).run(model, start(model, flat), flat)
    assert result.status.ending is lem.run.Ending.DEGENERATE
    assert "noise: collapsed" in result.status.sentence


def test_given_noise_below_the_floor_is_raised_and_said():
    """A start below the floor is raised to it, as an event; one above it is left as it is."""
    model, params = FactorAnalysis(2, prior=lem.Floor(0.1)), some(lem.Diagonal())[1]
    statistics = lem.core.e_step(model, params, model.chunks(X)).statistics
    narrow = evolve(params, noise=np.full(7, 1e-3))
    lifted, events = model.lift(narrow, statistics)
    np.testing.assert_allclose(lifted.noise, 0.1 * X.var(axis=0), rtol=1e-12)
    assert [event.kind for event in events] == ["lifted"]
    assert model.lift(lifted, statistics) == (lifted, ())


def test_a_factor_without_loadings_is_an_event():
    """Loadings of rank one leave a factor that EM cannot move, and the run says so."""
    model = FactorAnalysis(2)
    params = model.params(MEAN, np.outer(LOADINGS[:, 0], [1.0, 2.0]), NOISE)
    result = lem.EM(max_steps=5).run(model, params, X)
    assert [event.kind for event in result.events] == ["empty"]
    assert np.linalg.matrix_rank(result.params.loadings, tol=1e-8) == 1


def test_a_model_that_makes_no_sense_is_refused():
    """No factors, another covariance structure and a wrong prior are refused by name."""
    with pytest.raises(ValueError, match="m was given as 0"):
        FactorAnalysis(0)
    with pytest.raises(TypeError, match=r"Full\(\): give Diagonal"):
        FactorAnalysis(1, lem.Full())
    with pytest.raises(TypeError, match=r"prior was given as 0\.1"):
        FactorAnalysis(1, prior=0.1)


@pytest.mark.parametrize(
    ("m", "x", "message"),
    [
        (7, X, "7 columns were given for 7 factors"),
        (3, X[:3], "3 rows were given for 3 factors"),
        (2, np.column_stack([X, np.ones(len(X))]), "column 7 is constant"),
        (2, X * 1e150, "beyond the range of floats"),
    ],
)
def test_data_that_cannot_be_fitted_are_refused(m, x, message):
    """Too many factors, too few rows, a constant column and units beyond floats are refused by name."""
    model = FactorAnalysis(m)
    with pytest.raises(ValueError, match=message):
        model.check(model.chunks(x))


def test_a_constant_column_is_fitted_where_it_does_no_harm():
    """Spherical noise, fixed noise and an inverse Wishart prior take a constant column; all constant is refused."""
    x = np.column_stack([X, np.ones(len(X))])
    spherical = FactorAnalysis(2, lem.Spherical())
    spherical.check(spherical.chunks(x))
    FactorAnalysis(2).check(spherical.chunks(x), {("noise",)})
    bayesian = FactorAnalysis(2, prior=lem.InverseWishart(1.0, 3.0))
    bayesian.check(bayesian.chunks(x))
    assert lem.EM(max_steps=20).run(bayesian, start(bayesian, x), x).params.noise[-1] > 0
    with pytest.raises(ColumnError, match="column 0 is constant"):
        spherical.check(spherical.chunks(np.ones((9, 4))))


def test_known_labels_are_refused():
    """A latent that is no label takes no `allowed`, given aside or within Rows."""
    model, labels = FactorAnalysis(2), np.zeros(len(X), dtype=int)
    with pytest.raises(lem.Unavailable, match="no allowed"):
        model.chunk(X, allowed=labels)
    with pytest.raises(lem.Unavailable, match="no allowed"):
        model.chunks([lem.Rows(X, allowed=np.ones((len(X), 2), dtype=bool))])
    with pytest.raises(ValueError, match="put them into the Rows"):
        model.chunks([lem.Rows(X)], np.ones(len(X)))


def test_parameters_of_another_kind_are_refused():
    """Wrong shapes, too many factors, noise that is not positive or that is lost beside the loadings are refused."""
    model = FactorAnalysis(2)
    with pytest.raises(ValueError, match="a mean of shape"):
        model.params(MEAN[:6], LOADINGS, NOISE)
    with pytest.raises(ValueError, match="noise holds NaN"):
        model.params(MEAN, LOADINGS, NOISE * np.nan)
    with pytest.raises(ValueError, match="needs"):
        model.params(MEAN, LOADINGS, 0.5)
    with pytest.raises(ValueError, match="needs"):
        model.params(MEAN[:2], LOADINGS[:2], NOISE[:2])
    with pytest.raises(ValueError, match="positive variances"):
        model.params(MEAN, LOADINGS, NOISE - 0.35)
    with pytest.raises(ValueError, match="too small beside the loadings"):
        model.params(MEAN, 1e100 * LOADINGS, 1e-100 * NOISE)
    with pytest.raises(ValueError, match=r"3.0 was given: parameters of FactorAnalysis.* are a FactorParams"):
        model.check_params(3.0)
    with pytest.raises(lem.Degenerate, match="smallest variance is 0"):
        model.posterior(FactorParams(MEAN, LOADINGS, 0 * NOISE), model.chunk(X))
    with pytest.raises(ValueError, match="data with 3 columns"):
        model.posterior(model.params(MEAN, LOADINGS, NOISE), model.chunk(X[:, :3]))


# The posterior as a value.

COVARIANCE = np.array([[1.0, 0.3], [0.3, 0.5]])


def test_the_entropy_is_that_of_the_normals():
    """The entropy is scipy's, each unit as often as it counts, whether q was made of a covariance or of a root."""
    means = np.arange(6.0).reshape(3, 2)
    each = stats.multivariate_normal([0, 0], COVARIANCE).entropy()
    assert NormalPosterior(means, COVARIANCE).entropy() == pytest.approx(3 * each, rel=1e-14)
    weighted = NormalPosterior.of_root(means, np.linalg.cholesky(COVARIANCE), np.array([0.5, 0.0, 2.0]))
    assert weighted.entropy() == pytest.approx(2.5 * each, rel=1e-14)
    np.testing.assert_allclose(weighted.covariance, COVARIANCE, rtol=1e-15)


def test_a_power_of_the_posterior_is_its_density_to_that_power():
    """Log densities of the power differ from the multiple of q's by a constant."""
    q = NormalPosterior([[1.0, -1.0]], COVARIANCE)
    power = q.power(2.5)
    points = np.random.default_rng(0).normal(size=(20, 2))
    one, other = (stats.multivariate_normal(r.means[0], r.covariance).logpdf(points) for r in (q, power))
    assert np.ptp(other - 2.5 * one) < 1e-12
    np.testing.assert_allclose(power.root @ power.root.T, power.covariance, rtol=1e-14)


@EITHER
def test_any_normal_q_is_below_the_evidence_by_its_divergence(noise):
    """The gap of a q of one's own is its KL divergence from the posterior, in closed form."""
    model, params = some(noise)
    exact = model.posterior(params, model.chunk(X))
    q = NormalPosterior(exact.means + 0.3, COVARIANCE)
    precision = np.linalg.inv(exact.covariance)
    each = np.trace(precision @ COVARIANCE) - 2 - np.linalg.slogdet(precision @ COVARIANCE)[1]
    wanted = len(X) / 2 * (each + 0.09 * precision.sum())
    assert lem.lower_bound(model, params, X, q).gap == pytest.approx(wanted, rel=1e-10)
    assert abs(lem.lower_bound(model, params, X, exact).gap) < 1e-9


def test_a_posterior_is_copied_whole():
    """Pickled and read again a posterior is equal, and keeps the digits of its root."""
    model, params = some(lem.Diagonal())
    q = model.posterior(params, model.chunk(X))
    again = pickle.loads(pickle.dumps(q))
    assert again == q
    assert np.array_equal(again.root, q.root)


@pytest.mark.parametrize(
    ("means", "covariance", "multiplicity", "message"),
    [
        (np.zeros((3, 2)), np.eye(3), None, "covariance has shape"),
        (np.zeros((3, 2)), [[1.0, 2.0], [2.0, 1.0]], None, "positive definite"),
        (np.zeros((3, 2)), [[1.0, 0.2], [0.1, 1.0]], None, "symmetric"),
        (np.zeros((3, 2)), [[1.0, np.nan], [np.nan, 1.0]], None, "finite and symmetric"),
        (np.zeros((3, 2)), np.eye(2), np.ones(2), "multiplicity has shape"),
        ([[0.0], [np.inf]], np.eye(1), None, "the mean of unit 1"),
    ],
)
def test_a_posterior_that_is_no_distribution_is_refused(means, covariance, multiplicity, message):
    """Shapes that disagree, values that are not finite and matrices that are no covariance are refused."""
    with pytest.raises(ValueError, match=message):
        NormalPosterior(means, covariance, multiplicity)


def test_hard_and_sampled_posteriors_are_refused_by_name():
    """A normal has no mode that counts and no draw, so Hard and Sampled say that they do not apply."""
    model, params = some(lem.Diagonal())
    with pytest.raises(lem.Unavailable, match="NormalPosterior has no mode"):
        lem.Hard(model).posterior(params, model.chunk(X))
    with pytest.raises(lem.Unavailable, match="NormalPosterior has no draw"):
        lem.Sampled(model).posterior(params, model.chunk(X))


def test_a_posterior_for_other_rows_is_refused():
    """A q with another number of units or of factors does not enter the statistics."""
    model = FactorAnalysis(2)
    with pytest.raises(ValueError, match=r"it must be \(250, 2\)"):
        model.statistics(model.chunk(X), NormalPosterior(np.zeros((250, 1)), np.eye(1)))


@EITHER
@pytest.mark.parametrize("prior", [None, lem.InverseWishart(0.5, 3.0)], ids=["plain", "prior"])
def test_a_shortcut_ends_where_em_does_not_move(noise, prior):
    """The M-step of a shortcut has a higher posterior than the run, and EM from there stays: it is a maximum."""
    rng = np.random.default_rng(12)
    x = rng.normal(size=(80, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(80, 6)) * rng.uniform(0.5, 1.0, 6)
    model = FactorAnalysis(2, noise=noise, prior=prior)
    chunk = model.chunk(x)
    params = model.first(model.statistics(chunk, model.guess(chunk, 3)))
    for _ in range(20):
        params = model.m_step(model.expectation(params, chunk).statistics, params)
    there = model.m_step(model.shortcut(params, model.expectation(params, chunk).statistics), params)

    def posterior(at):
        return model.log_evidence(at, chunk).sum() + model.log_prior(at)

    onward = there
    for _ in range(20):
        onward = model.m_step(model.expectation(onward, chunk).statistics, onward)
    assert posterior(there) > posterior(params) + 1e-6
    assert posterior(onward) == pytest.approx(posterior(there), abs=1e-9)
    np.testing.assert_allclose(onward.covariance(), there.covariance(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("units", [1.0, 1e-100, np.array([1e-9, 1.0, 1e9, 1e3, 1e-3])], ids=["one", "small", "mixed"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_two_noises_that_vanish_are_at_the_floor_in_any_units(units, offset):
    """A double Heywood case ends exactly at the floor of both columns, which is named, and neither of them counts."""
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(5, 2))
    x = rng.normal(size=(100, 2)) @ loadings.T + rng.normal(size=(100, 5))
    fit = lem.fit(FactorAnalysis(2), (x + offset) * units)
    assert fit.n_parameters == 17
    assert [event.kind for event in fit.events] == ["floor"]
    np.testing.assert_allclose(fit.params.noise[3:], 1e-8 * np.var((x * units)[:, 3:], axis=0), rtol=1e-6)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_equal_columns_end_at_the_floor_within_a_hundred_steps(m):
    """With two equal columns runs end converged, at one maximum, with the floor named: EM alone creeps there."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)) + 0.7 * rng.normal(size=(300, 6))
    x[:, 5] = x[:, 4]
    reports = lem.fit(FactorAnalysis(m), x, n_starts=3).starts
    at_floor = [report for report in reports if [event.kind for event in report.events] == ["floor"]]
    assert len(at_floor) >= 2
    for report in at_floor:
        assert report.status.converged
        assert report.steps < 100
        assert report.objective == pytest.approx(at_floor[0].objective, abs=1e-4)
