"""Numbers: offsets, units, precision, dimension and distance cost no digits that the data have."""

import tracemalloc

import mpmath
import numpy as np
import pytest
from scipy import stats
from subjects import SOON, STRUCTURES, TIGHT

import latentem as lem

EPS = np.finfo(float).eps


def grid(n=80, d=2, seed=0):
    """Two clusters of rows that are multiples of 2^-10, so that adding a power of two is exact."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(0, 1, (n, d)), rng.normal(6, 1.5, (n, d))])
    return np.round(x * 1024) / 1024


def scaled_covariances(params, unit):
    return params.components.dense() * np.multiply.outer(unit, unit)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("power", [20, 25, 30])
def test_offsets_give_the_same_fit(structure, power):
    """Random starts included, a fit at an offset of 2^power is that at zero, moved, but for rounding of the means."""
    x, offset = grid(), 2.0**power
    model = lem.GaussianMixture(2, structure=structure)
    here = lem.fit(model, x, n_starts=2)
    there = lem.fit(model, x + offset, n_starts=2)
    rounding = 4 * EPS * offset
    assert there.converged
    np.testing.assert_allclose(there.params.weights, here.params.weights, rtol=1e-6, atol=rounding)
    np.testing.assert_allclose(there.params.components.means - offset, here.params.components.means, atol=rounding)
    np.testing.assert_allclose(
        there.params.components.dense(), here.params.components.dense(), atol=1e-8 + rounding, rtol=1e-6
    )
    assert there.log_likelihood == pytest.approx(here.log_likelihood, abs=1e-7 + 160 * rounding)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_offset_of_two_to_the_forty_is_finite(structure):
    """At an offset of 2^40 the means round to 2e-4; the run ends, sound, within that of the fit at zero."""
    x, offset = grid(), 2.0**40
    model = lem.GaussianMixture(2, structure=structure)
    start = (x[:, 0] > 3).astype(int)
    here, there = (lem.fit(model, at, start=start, max_steps=500) for at in (x, x + offset))
    assert there.status.ending is not lem.run.Ending.OBJECTIVE_FELL
    np.testing.assert_allclose(there.params.components.means - offset, here.params.components.means, atol=1e-3)
    np.testing.assert_allclose(there.params.components.dense(), here.params.components.dense(), atol=5e-3)
    assert there.log_likelihood == pytest.approx(here.log_likelihood, abs=0.1)


@pytest.mark.parametrize("power", [20, 30])
def test_offsets_give_the_same_k_means(power):
    """K-means at an offset has the same inertia and labels."""
    x, offset = grid(), 2.0**power
    here, there = lem.fit(lem.KMeans(4), x, n_starts=3), lem.fit(lem.KMeans(4), x + offset, n_starts=3)
    np.testing.assert_array_equal(there.predict(x + offset), here.predict(x))
    assert there.inertia == pytest.approx(here.inertia, rel=1e-7)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("unit", [1e-12, 1e12, 2.0**-200, 2.0**200, 1e-100, 1e100], ids="{:g}".format)
def test_units_give_the_same_fit(structure, unit):
    """There is no absolute scale: in any unit the fit from random starts is the same, mapped back."""
    x = grid()
    model = lem.GaussianMixture(2, structure=structure)
    here, there = lem.fit(model, x, n_starts=2, stop=TIGHT), lem.fit(model, x * unit, n_starts=2, stop=TIGHT)
    assert there.converged
    assert [event.kind for event in there.events] == [event.kind for event in here.events]
    np.testing.assert_allclose(there.params.weights, here.params.weights, rtol=1e-6)
    np.testing.assert_allclose(there.params.components.means / unit, here.params.components.means, rtol=1e-6)
    dense = there.params.components.dense() / unit / unit
    np.testing.assert_allclose(dense, here.params.components.dense(), rtol=1e-5, atol=1e-8)
    expected = here.log_likelihood - x.size * np.log(unit)
    assert there.log_likelihood == pytest.approx(expected, abs=1e-6, rel=1e-11)


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if "Spherical" not in str(s)], ids=str)
@pytest.mark.parametrize("unit", [(1e-12, 1e12, 1.0), (1e12, 1.0, 1e-12), (1e-60, 1e60, 1.0)], ids=str)
def test_mixed_units_give_the_same_fit(structure, unit):
    """Columns of any units beside each other: the same fit from the same labels, mapped back."""
    x, start = grid(d=3), np.repeat([0, 1], 80)
    model = lem.GaussianMixture(2, structure=structure)
    here, there = lem.fit(model, x, start=start, stop=SOON), lem.fit(model, x * unit, start=start, stop=SOON)
    np.testing.assert_allclose(there.params.components.means / unit, here.params.components.means, rtol=1e-6)
    dense = there.params.components.dense() / np.multiply.outer(unit, unit)
    np.testing.assert_allclose(dense, here.params.components.dense(), rtol=1e-5, atol=1e-8)
    expected = here.log_likelihood - len(x) * np.log(unit).sum()
    assert there.log_likelihood == pytest.approx(expected, abs=1e-6, rel=1e-11)
    # What a fit returns is a start, and parameters by hand: no check may call it indefinite.
    again = lem.fit(model, x * unit, start=there.params)
    assert again.log_likelihood == pytest.approx(there.log_likelihood, abs=1e-6)
    given = model.params(there.params.weights, there.params.components.means, there.params.components.covariances)
    assert given == there.params


@pytest.mark.parametrize("unit", [1e-12, 1e12, 1e-60, 1e60])
def test_units_give_the_same_k_means(unit):
    """Inertia scales with the square of the unit, labels not at all."""
    x = grid()
    here, there = lem.fit(lem.KMeans(3), x, n_starts=3), lem.fit(lem.KMeans(3), x * unit, n_starts=3)
    np.testing.assert_array_equal(there.predict(x * unit), here.predict(x))
    assert there.inertia / unit / unit == pytest.approx(here.inertia, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-170, 1e160, 1e300], ids="{:g}".format)
@pytest.mark.parametrize("model", [lem.GaussianMixture(2), lem.KMeans(2)], ids=str)
def test_variances_beyond_the_range_of_floats_are_an_error(model, unit):
    """Where a variance would be 0 or infinite in float64 the fit refuses, with a word on units; nothing is silent."""
    with pytest.raises((ValueError, lem.Degenerate), match=r"unit|scale|range"):
        lem.fit(model, grid() * unit, n_starts=2)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_float32_at_an_offset_is_accumulated_in_float64(structure):
    """Single-precision rows at 1e4 give, to the last digits, the fit of the same values in double precision."""
    x = (grid() + 1e4).astype(np.float32)
    model = lem.GaussianMixture(2, structure=structure)
    single, double = lem.fit(model, x, n_starts=2), lem.fit(model, x.astype(float), n_starts=2)
    assert single == lem.fit(model, x, n_starts=2) or single.params == double.params
    np.testing.assert_array_equal(single.params.components.means, double.params.components.means)
    whole = lem.fit(lem.GaussianMixture(1, structure=structure), x, n_starts=1)
    np.testing.assert_allclose(whole.params.components.means[0], x.astype(float).mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(
        np.diagonal(whole.params.components.dense()[0]).sum(), x.astype(float).var(axis=0).sum(), rtol=1e-12
    )


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("distance", [1e2, 1e4, 1e8, 1e15, 1e100], ids="{:g}".format)
def test_rows_far_from_every_component_have_responsibilities(structure, distance):
    """All densities underflow, but not their ratios: responsibilities are finite and sum to one."""
    fit = lem.fit(lem.GaussianMixture(2, structure=structure), grid(), n_starts=2, stop=SOON)
    far = distance * np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [0.0, 1.0]])
    shares = fit.predict_proba(far)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(fit.predict(far), shares.argmax(axis=1))
    assert np.isfinite(fit.score_samples(far)).all()


def test_rows_whose_distance_overflows_are_named_or_assigned():
    """At 1e200 the squared distance is beyond float64: responsibilities are finite, or an error names the row."""
    fit = lem.fit(lem.GaussianMixture(2), grid(), n_starts=2, stop=SOON)
    said = ""
    try:
        shares = fit.predict_proba([[0.0, 0.0], [1e200, 0.0]])
    except lem.Degenerate as error:
        said = str(error)
        shares = np.ones((1, 1))
    assert "e+200" in said or len(shares) == 2
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_far_rows_go_to_the_nearest_centre_of_k_means():
    """K-means assigns a row at any finite distance, and says so with its posterior."""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]])
    fit = lem.fit(lem.KMeans(2), x, n_starts=2)
    right = fit.predict(x[2:3])[0]
    for distance in (1e3, 1e7):
        assert fit.predict([[distance, distance]])[0] == right
        assert fit.predict([[-distance, -distance]])[0] != right


@pytest.mark.parametrize("prior", [lem.Floor(), lem.InverseWishart(1.0, 2), None], ids=str)
@pytest.mark.parametrize("structure", [s for s in STRUCTURES if "Full" not in str(s)], ids=str)
def test_d_of_a_thousand_diagonal_forms_no_matrix(structure, prior):
    """At d = 1000 the structures without correlations never hold d x d numbers (8 MB) at once."""
    x = np.random.default_rng(0).normal(size=(60, 1000))
    x[:30] += 3
    tracemalloc.start()
    fit = lem.fit(lem.GaussianMixture(2, structure=structure, prior=prior), x, n_starts=2)
    fit.predict(x), fit.sample(10), str(fit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 7e6
    assert np.isfinite(fit.log_likelihood)


@pytest.mark.parametrize("condition", [1e2, 1e5, 1e8])
@pytest.mark.parametrize("d", [2, 5, 12])
def test_log_density_at_a_high_condition_number(condition, d):
    """The log density of a full covariance is that of mpmath within 50 cond eps."""
    rng = np.random.default_rng(d)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    root = rotation * np.sqrt(np.geomspace(1, 1 / condition, d))
    covariance = root @ root.T
    covariance = (covariance + covariance.T) / 2
    mean = rng.normal(size=d)
    x = mean + rng.normal(size=(20, d)) @ root.T
    model = lem.GaussianMixture(1)
    params = model.params([1.0], mean[None], covariance[None])
    ours = model.log_evidence(params, model.chunk(x))
    with mpmath.workdps(60):
        matrix = mpmath.matrix(covariance.tolist())
        inverse, log_det = matrix**-1, mpmath.log(mpmath.det(matrix))
        for row, value in zip(x, ours, strict=True):
            y = mpmath.matrix([mpmath.mpf(a) - mpmath.mpf(b) for a, b in zip(row.tolist(), mean.tolist(), strict=True)])
            exact = -(d * mpmath.log(2 * mpmath.pi) + log_det + (y.T * inverse * y)[0]) / 2
            assert abs(value - exact) <= 50 * condition * EPS


def test_weights_that_sum_to_one_but_for_rounding_are_weights():
    """A sum of 1 + 7e-16 is one: such weights can be given, fixed, sampled from and started at."""
    weights = np.full(7, 1 / 7) + 1e-16
    assert 0 < abs(weights.sum() - 1) < 2e-15
    model = lem.GaussianMixture(7, structure=lem.Spherical(), weights=lem.Fixed(weights))
    start = model.params(weights, np.arange(14.0).reshape(7, 2), np.ones(7))
    fit = lem.fit(model, grid(), start=start, stop=SOON)
    np.testing.assert_array_equal(fit.params.weights, weights)
    assert fit.sample(5)[0].shape == (5, 2)


def test_probabilities_of_exactly_zero_and_one_are_fine():
    """Weights (1, 0) give scipy's likelihood of the one component; 0 log 0 = 0 in Q, H and the bound."""
    x = grid()[:80]
    model = lem.GaussianMixture(2)
    params = model.params([1.0, 0.0], [[0.0, 0.0], [1.0, 1.0]], [np.eye(2), np.eye(2)])
    expected = stats.multivariate_normal.logpdf(x, [0, 0], np.eye(2)).sum()
    books = lem.lower_bound(model, params, x, np.tile([1.0, 0.0], (80, 1)))
    assert books.entropy == 0
    assert books.bound == pytest.approx(expected, abs=1e-9)
    fit = lem.fit(model, x, start=params)
    np.testing.assert_array_equal(fit.params.weights, [1.0, 0.0])
    np.testing.assert_allclose(fit.params.components.means[0], x.mean(axis=0), rtol=1e-12)
    assert [(event.kind, event.component) for event in fit.events] == [("empty", 1)]
    assert fit.sample(50)[1].max() == 0


def test_poisson_rates_of_exactly_zero_are_fine():
    """A component that never counts has the rate 0 at the optimum: the likelihood is scipy's, and nothing is NaN."""
    x = np.array([[0, 5], [0, 6], [0, 7], [30, 0], [31, 0], [29, 0]])
    fit = lem.fit(lem.Mixture(lem.Poisson(), 2), x, start=[0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(fit.params.components, [[0, 6], [30, 0]], atol=1e-200)
    expected = stats.poisson.logpmf(x, np.repeat([[0, 6], [30, 0]], 3, axis=0)).sum() + 6 * np.log(0.5)
    assert fit.log_likelihood == pytest.approx(expected, abs=1e-9)
    assert fit.bound == pytest.approx(expected, abs=1e-9)
