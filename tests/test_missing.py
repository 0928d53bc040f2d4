"""Missing values of Gaussian mixtures: densities, EM, floors and starts, against references of their own."""

from __future__ import annotations

import pickle
import tracemalloc
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from attrs import evolve
from independent import matched
from scipy import stats
from scipy.special import logsumexp, softmax
from stepmix.emission.gaussian import GaussianDiagNan, GaussianSphericalNan, GaussianUnitNan
from subjects import FREE, STRUCTURES

import latentem as lem
from latentem.core import e_step
from latentem.family import Moments
from latentem.testing import check_model


def holed(n=60, d=3, seed=0, share=0.25):
    """Two clusters of correlated columns with holes; one row of nothing else, one of none."""
    rng = np.random.default_rng(seed)
    mix = np.eye(d) + 0.5 * rng.normal(size=(d, d))
    x = np.concatenate([rng.normal(0, 1, (n // 2, d)), rng.normal(3, 1.5, (n - n // 2, d))]) @ mix
    x[rng.random(x.shape) < share] = np.nan
    x[5], x[6] = np.nan, 1.0
    return x


X = holed()


def begin(structure, d=3, **options):
    """A mixture of two and parameters for it, not at an optimum."""
    a = np.linspace(1, 2, d)
    wide = {2: np.diag(a) + 0.4, 1: a, 0: np.array(1.5)}[len(structure.each.one(d))]
    model = lem.GaussianMixture(2, structure=structure, **options)
    covariances = wide if structure.tied else np.stack([wide, 1.5 * wide])
    return model, model.params([0.4, 0.6], [np.linspace(-1, 1, d), np.linspace(2, 4, d)], covariances)


def log_joint(params, x):
    """log weight + log density of the observed cells, (n, k), by scipy on blocks of the covariances."""
    out = np.empty((len(x), len(params.weights)))
    for i, row in enumerate(x):
        seen = ~np.isnan(row)
        parts = zip(params.weights, params.components.means, params.components.dense(), strict=True)
        for j, (weight, mean, covariance) in enumerate(parts):
            block = stats.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]) if seen.any() else None
            out[i, j] = np.log(weight) + (0 if block is None else block.logpdf(row[seen]))
    return out


def evidence(params, chunk):
    return logsumexp(log_joint(params, chunk.x), axis=1)


def moved(params, chunk, shift, scale):
    parts = params.components
    there = evolve(parts, means=scale * parts.means + shift, covariances=scale**2 * parts.covariances)
    return evolve(params, components=there), lem.Rows(scale * chunk.x + shift, chunk.weight, chunk.allowed)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_the_density_of_a_row_is_that_of_its_observed_cells(structure):
    """log_evidence is scipy's on the observed block, to 1e-10 a row, and 0 for a row of which nothing is observed."""
    model, params = begin(structure)
    found = model.log_evidence(params, model.chunk(X))
    np.testing.assert_allclose(found, evidence(params, lem.Rows(X)), rtol=1e-10, atol=1e-10)
    assert found[5] == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("structure", [lem.Full(), lem.Tied(lem.Diagonal())], ids=str)
def test_missing_values_keep_the_contract(structure):
    """Bare, Hard, Tempered, Sampled and WithPrior keep all clauses on rows with holes, row weights and known labels."""
    rng = np.random.default_rng(1)
    x, weight = X[:14], rng.integers(0, 3, 14).astype(float)
    allowed = rng.random((14, 2)) < 0.8
    allowed[~allowed.any(axis=1)] = True
    model, params = begin(structure)
    check_model(model, params, lem.Rows(x, weight, allowed) if structure.tied else x)


def test_an_active_floor_and_an_inverse_wishart_keep_the_contract():
    """A floor that holds up every covariance, and pseudo-scatter, are exact where cells are missing, too."""
    for structure, prior in ((lem.Diagonal(), lem.Floor(0.5)), (lem.Tied(lem.Spherical()), lem.InverseWishart(0.5, 3))):
        model, params = begin(structure, prior=prior)
        check_model(model, params, X[2:8])


def test_a_far_origin_in_small_units_keeps_the_contract():
    """Rows a million widths from zero, in units of a thousandth, keep all clauses."""
    model, params = begin(lem.Tied(lem.Full()))
    check_model(model, *moved(params, lem.Rows(X[2:8]), 1e3, 1e-3))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_observed_likelihood_rises_at_every_half_step(k):
    """With a fifth missing and full covariances, scipy's observed-data likelihood and the bound never fall."""
    x = holed(90, 3, seed=k, share=0.2)
    model = lem.GaussianMixture(k)
    params = model.first(model.inner.gathered(model.chunk(x), np.eye(k)[np.arange(len(x)) % k] * 0.9 + 0.1 / k))
    chunks, last = [model.chunk(x)], -np.inf
    for _ in range(12):
        expectation = e_step(model, params, chunks)
        likelihood = evidence(params, chunks[0]).sum()
        bound = model.log_joint(params, expectation.statistics) + expectation.entropy
        assert bound == pytest.approx(likelihood, rel=1e-12)  # the E half ends at the likelihood
        assert likelihood > last
        params = model.m_step(expectation.statistics, params)
        last = model.log_joint(params, expectation.statistics) + expectation.entropy
        assert likelihood < last < evidence(params, chunks[0]).sum()


def test_a_monotone_pattern_reaches_andersons_closed_form():
    """One component, the second column missing below the first: EM ends at the factored likelihood's maximum."""
    rng = np.random.default_rng(4)
    x = rng.multivariate_normal([1, 2], [[1, 0.7], [0.7, 2]], 200)
    x[120:, 1] = np.nan
    seen = x[:120]
    slope = np.cov(seen.T, bias=True)[0, 1] / seen[:, 0].var()
    residual = (seen[:, 1] - seen[:, 1].mean() - slope * (seen[:, 0] - seen[:, 0].mean())).var()
    mean, variance = x[:, 0].mean(), x[:, 0].var()
    second = seen[:, 1].mean() + slope * (mean - seen[:, 0].mean())
    fit = lem.fit(lem.GaussianMixture(1), x, stop=lem.remaining_below(1e-24))
    found = fit.params.components
    np.testing.assert_allclose(found.means[0], [mean, second], rtol=1e-10)
    wanted = [[variance, slope * variance], [slope * variance, residual + slope**2 * variance]]
    np.testing.assert_allclose(found.covariances[0], wanted, rtol=1e-9)


@pytest.mark.parametrize("structure", FREE, ids=str)
def test_complete_rows_take_the_plain_path(structure):
    """With nothing missing there is no hidden posterior and no second book, and the density is the plain formula's."""
    x = np.nan_to_num(X)
    model, params = begin(structure)
    family, own = model.inner.family, params.components
    density, hidden = family.infer(own, x)
    assert hidden is None
    assert family.statistics(x, np.ones((len(x), 2))).observed is None
    whiteners, log_det = own.factors
    z = [structure.whiten(whitener, x - mean) for whitener, mean in zip(whiteners, own.means, strict=True)]
    squares = np.stack([np.einsum("nd,nd->n", each, each) for each in z], axis=1)
    assert np.array_equal(density, -0.5 * (3 * float(np.log(2 * np.pi)) + log_det + squares))


@pytest.mark.parametrize(
    ("structure", "emission", "variances"),
    [
        (lem.Diagonal(), GaussianDiagNan, [[1.0, 2.0, 0.5], [0.3, 1.0, 4.0]]),
        (lem.Spherical(), GaussianSphericalNan, [0.7, 2.0]),
        (lem.Spherical(), GaussianUnitNan, [1.0, 1.0]),
    ],
)
def test_log_densities_are_those_of_stepmix(structure, emission, variances):
    """Diagonal, spherical and unit Gaussians with NaN agree with stepmix to 1e-8 a row."""
    means = np.array([[-1.0, 0.0, 1.0], [2.0, 3.0, 4.0]])
    other = emission(n_components=2, random_state=0)
    by_column = np.reshape(variances, (2, -1)) * np.ones((2, 3))
    other.parameters = {"means": means, "covariances": by_column}
    family = lem.Gaussian(structure)
    found = family.log_density(family.params(means, variances), X)
    np.testing.assert_allclose(found, other.log_likelihood(X), atol=1e-8)


def test_what_is_known_of_missing_cells_is_the_conditional_normal():
    """Means, covariances and entropies are those of the textbook's regression formulas."""
    family = lem.Gaussian()
    _, params = begin(lem.Full())
    means, covariances = params.components.means, params.components.covariances
    x = np.array([[0.3, np.nan, np.nan], [1.0, 2.0, 3.0], [np.nan, np.nan, 0.1]])
    _, hidden = family.infer(params.components, x)
    for i, j in ((0, 0), (0, 1), (2, 1)):
        seen = ~np.isnan(x[i])
        gain = covariances[j][np.ix_(~seen, seen)] @ np.linalg.inv(covariances[j][np.ix_(seen, seen)])
        mean = means[j][~seen] + gain @ (x[i, seen] - means[j][seen])
        left = covariances[j][np.ix_(~seen, ~seen)] - gain @ covariances[j][np.ix_(seen, ~seen)]
        np.testing.assert_allclose(hidden.filled(x, j)[i, ~seen], mean, rtol=1e-12)
        added = hidden.added(np.eye(3)[i], j, lem.Full())
        np.testing.assert_allclose(added[np.ix_(~seen, ~seen)], left, rtol=1e-12)
        assert np.abs(added).sum() == pytest.approx(np.abs(left).sum(), rel=1e-12)
        normal = stats.multivariate_normal(mean, left)
        assert hidden.entropies()[i, j] == pytest.approx(normal.entropy(), rel=1e-12)
    assert hidden.entropies()[1, 0] == 0


@pytest.mark.parametrize("beta", [0.1, 3.0])
def test_tempering_leaves_missing_cells_as_they_are(beta):
    """With one component there is no label to temper: the fit is plain EM's, however many cells are missing.

    With two, the labels are those of the observed densities to the power beta, by scipy.
    """
    x = np.random.default_rng(0).normal(2.0, 1.5, (200, 2))
    x[np.random.default_rng(1).random(x.shape) < 0.4] = np.nan
    one = lem.fit(lem.Tempered(lem.GaussianMixture(1), beta), x)
    assert one.params == lem.fit(lem.GaussianMixture(1), x).params
    model, params = begin(lem.Full())
    rows = np.array([[0.3, np.nan, np.nan], [1.0, 2.0, 3.0], [np.nan, np.nan, 0.1]])
    joint = np.empty((3, 2))
    for i, j in np.ndindex(joint.shape):
        seen = ~np.isnan(rows[i])
        law = stats.multivariate_normal(
            params.components.means[j][seen], params.components.covariances[j][np.ix_(seen, seen)]
        )
        joint[i, j] = np.log(params.weights[j]) + law.logpdf(rows[i, seen])
    labels = lem.Tempered(model, beta).posterior(params, lem.Rows(rows)).weights
    np.testing.assert_allclose(labels, softmax(beta * joint, axis=1), atol=1e-12)


def test_annealing_takes_missing_cells():
    """Stages at a beta below the share of missing cells keep sound covariances, and end at plain EM's mode."""
    rng = np.random.default_rng(3)
    x = rng.normal(3 * rng.integers(0, 2, 200)[:, None], 1, (200, 2))
    x[rng.random(x.shape) < 0.3] = np.nan
    annealed = lem.fit(lem.GaussianMixture(2), x, runner=lem.Annealing(), n_starts=3)
    plain = lem.fit(lem.GaussianMixture(2), x, n_starts=3)
    assert annealed.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)


def test_a_cell_that_the_others_nearly_determine_keeps_its_digits():
    """At a correlation of 1 - 1e-12 the conditional entropy has the digits that a difference of variances loses."""
    rest = 2.0**-40
    family = lem.Gaussian(prior=None)
    params = family.params([[0.0, 0.0]], [[[1.0, 1 - rest], [1 - rest, 1.0]]])
    _, hidden = family.infer(params, np.array([[1.0, np.nan]]))
    mpmath.mp.dps = 40
    variance = 1 - (1 - mpmath.mpf(rest)) ** 2
    exact = float(mpmath.log(2 * mpmath.pi * mpmath.e * variance) / 2)
    assert hidden.entropies()[0, 0] == pytest.approx(exact, abs=1e-4 * np.sqrt(rest))


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_chunks_with_and_without_holes_add_up(structure):
    """Complete chunks beside ones with holes, in any order, leave the statistics and the floor of one chunk."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(1e3, 2, (20, 3)), holed(30) + 1e3, rng.normal(1e3, 5, (20, 3))])
    model, params = begin(structure)
    params, _ = moved(params, lem.Rows(x), 1e3, 1.0)
    whole = e_step(model, params, [model.chunk(x)]).statistics.components
    for edges in ([0, 20, 50, 70], [0, 10, 20, 33, 70]):
        pieces = [lem.Rows(x[a:b]) for a, b in pairwise(edges)]
        parts = e_step(model, params, pieces[::-1]).statistics.components
        np.testing.assert_allclose(parts.variances(), whole.variances(), rtol=1e-12)
        np.testing.assert_allclose(parts.means(), whole.means(), rtol=1e-13)
        np.testing.assert_allclose(
            parts.about(params.components.means).second, whole.about(params.components.means).second
        )


def test_the_floor_is_the_datas_whatever_q():
    """The variances behind the floor are those of the observed cells, for any parameters, and weighted by rows."""
    weight = np.random.default_rng(3).integers(1, 4, len(X)).astype(float)
    repeated = np.repeat(X, weight.astype(int), axis=0)
    columns = np.nanvar(repeated, axis=0)
    deviations = repeated - np.nanmean(repeated, axis=0)
    for structure, wanted in (
        (lem.Full(), columns),
        (lem.Diagonal(), columns),
        (lem.Spherical(), np.nanmean(deviations**2)),
    ):
        model, params = begin(structure)
        for _ in range(3):
            statistics = model.expectation(params, lem.Rows(X, weight)).statistics
            np.testing.assert_allclose(statistics.components.variances(), wanted, rtol=1e-12)
            np.testing.assert_allclose((0.3 * statistics).components.variances(), wanted, rtol=1e-12)
            params = model.m_step(statistics, params)


def test_statistics_of_a_start_are_the_available_cases():
    """Before there are parameters each component has the means and variances of its own observed cells."""
    x = np.array([[1.0, np.nan], [3.0, 10.0], [np.nan, 14.0], [7.0, np.nan], [9.0, np.nan]])
    weights = np.eye(2)[[0, 0, 0, 1, 1]]
    for structure in (lem.Full(), lem.Diagonal()):
        moments = lem.Gaussian(structure).statistics(x, weights)
        np.testing.assert_allclose(moments.means(), [[2, 12], [8, 12]])  # the second has not seen column 1
        second = moments.about(moments.means()).second / moments.count.reshape(-1, *(1,) * (moments.second.ndim - 1))
        variances = np.diagonal(second, axis1=1, axis2=2) if second.ndim == 3 else second
        np.testing.assert_allclose(variances, [[1, 4], [1, 4]])
    nothing = lem.Gaussian().statistics(np.full((3, 2), np.nan), np.ones((3, 2)))
    assert np.isfinite(nothing.means()).all()
    assert np.isfinite(nothing.second).all()


def test_a_component_that_observes_nothing_of_a_column_stays_finite():
    """Where no row of a component has a column, its values there are held, and the fit goes on."""
    x = np.array([[0.0, 1.0], [0.2, 2.0], [0.1, 1.4], [9.0, np.nan], [9.3, np.nan], [8.9, np.nan]])
    fit = lem.fit(lem.GaussianMixture(2, structure=lem.Diagonal()), x, start=[0, 0, 0, 1, 1, 1])
    assert np.isfinite(fit.params.components.means).all()
    assert np.isfinite(fit.log_likelihood)
    assert fit.converged


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_clusters_are_found_through_the_holes(structure):
    """From k-means++ starts three clusters are recovered with 20 % of the cells missing."""
    rng = np.random.default_rng(5)
    centres = np.array([[0.0, 0, 0, 0], [8, 8, 0, 0], [0, 8, 8, 8]])
    labels = rng.integers(3, size=240)
    x = centres[labels] + rng.normal(size=(240, 4))
    x[rng.random(x.shape) < 0.2] = np.nan
    fit = lem.fit(lem.GaussianMixture(3, structure=structure), x, n_starts=4, stop=lem.remaining_below(1e-8))
    order = matched(fit.params.components.means, centres)
    assert np.abs(fit.params.components.means[order] - centres).max() < 0.5
    assert np.mean(np.array(order)[labels] == fit.predict(x)) > 0.9
    assert fit.log_likelihood == pytest.approx(evidence(fit.params, lem.Rows(x)).sum(), rel=1e-11)


@pytest.mark.parametrize(("shift", "scale"), [(1e8, 1.0), (0.0, 1e-9)])
def test_offsets_and_units_do_not_matter(shift, scale):
    """A step on data around 1e8, or in units of 1e-9, is the moved step, to what the data themselves keep."""
    x = np.round(holed(80), 3) * 8  # so that data around 1e8 lose nothing that matters
    model, params = begin(lem.Full())
    there, rows = moved(params, lem.Rows(x), shift, scale)
    for _ in range(5):
        params = model.m_step(model.expectation(params, lem.Rows(x)).statistics, params)
        there = model.m_step(model.expectation(there, rows).statistics, there)
    wanted, _ = moved(params, lem.Rows(x), shift, scale)
    error = np.abs(there.components.means - wanted.components.means).max() / scale
    assert error <= 4 * np.spacing(shift / scale) + 1e-13
    np.testing.assert_allclose(
        there.components.covariances, wanted.components.covariances, rtol=1e-6 if shift else 1e-11
    )


def test_columns_without_values_or_spread_are_refused_by_name():
    """A column of NaN, and one whose observed values are all the same, are errors that name the column."""
    x = holed()
    x[:, 1] = np.nan
    with pytest.raises(ValueError, match="column 1 has no value"):
        lem.Gaussian().check([x[:20], x[20:]], frozenset())
    x[3:6, 1] = 2.5
    with pytest.raises(ValueError, match=r"column 1 is constant \(2\.5\)"):
        lem.Gaussian().check([x[:20], x[20:]], frozenset())


def test_a_covariance_that_is_no_longer_definite_is_named():
    """A scale matrix that loses its rank in an order of columns is Degenerate, with the component's number."""
    family = lem.Gaussian(prior=None)
    singular = np.outer([1, 2, 3.0], [1, 2, 3.0])
    params = lem.family.GaussianParams(np.zeros((2, 3)), np.stack([np.eye(3), singular - 1e-9 * np.eye(3)]))
    with pytest.raises(lem.Degenerate, match="component 1"):
        family.infer(params, X)


def test_what_is_hidden_is_a_value():
    """It is equal to its pickled copy, and its arrays are read-only."""
    for structure in (lem.Full(), lem.Diagonal()):
        model, params = begin(structure)
        posterior = model.posterior(params, model.chunk(X))
        assert pickle.loads(pickle.dumps(posterior.hidden)) == posterior.hidden
    with pytest.raises(ValueError, match="read-only"):
        posterior.hidden.missing[0] = True


@pytest.mark.parametrize("structure", [lem.Diagonal(), lem.Spherical()], ids=str)
def test_uncorrelated_columns_need_no_matrix(structure):
    """A pass over 2,000 columns with holes takes less memory than one matrix of 2,000 by 2,000."""
    d = 2000
    model, params = begin(structure, d)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, d))
    x[rng.random(x.shape) < 0.2] = np.nan
    chunk = model.chunk(x)
    tracemalloc.start()
    model.m_step(model.expectation(params, chunk).statistics, params)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * d * d


def test_moments_with_and_without_the_datas_own_are_linear():
    """Sums and differences of moments of complete and of completed rows are linear in what variances() reads."""
    rng = np.random.default_rng(7)
    family = lem.Gaussian(lem.Diagonal())
    _, params = begin(lem.Diagonal())
    weights = rng.dirichlet([1, 1], len(X))
    _, hidden = family.infer(params.components, X)
    holes, whole = family.expected(X, weights, hidden), Moments.of(np.nan_to_num(X), weights, lem.Diagonal())
    for total in (holes + whole, whole + holes, 2 * holes + whole - holes, (whole - holes) + 2 * holes):
        both = np.concatenate([X, np.nan_to_num(X)])
        np.testing.assert_allclose(total.variances(), np.nanvar(both, axis=0), rtol=1e-12)


def test_a_share_of_the_rows_knows_all_the_data():
    """Statistics of components that have only some of the rows read the floor from the rows that they are told of."""
    for structure in FREE:
        family = lem.Gaussian(structure)
        few = family.statistics(np.nan_to_num(X[:10]), np.full((10, 1), 0.3))
        told = family.sharing(few, X, np.ones(len(X)))
        wanted = family.statistics(X, np.ones((len(X), 1))).variances()
        np.testing.assert_allclose(told.variances(), wanted, rtol=1e-12)
        assert told.count == few.count
