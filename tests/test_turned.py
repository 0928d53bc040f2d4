"""Correlated columns: features of turned rows have the digits of whitening, and say where they have not."""

from __future__ import annotations

from itertools import islice

import mpmath
import numpy as np
import pytest

import latentem as lem
from latentem.arrays import column_bounds
from latentem.core import LatentModel
from latentem.family.gaussian.kernels.turned import TurnedKernel
from latentem.kernel import Buffers, SideBySide, densities, fused, weighted_statistics

FULL, TIED = lem.Full(), lem.Tied()


def mixing(d, condition, rng):
    """A matrix that makes uncorrelated columns correlate: the covariance of what it gives has this condition."""
    one, other = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    return one * np.geomspace(1, condition**-0.5, d) @ other.T


def correlated(structure, k, d, condition, rng, apart=1.0):
    """Parameters of k Gaussians whose columns correlate alike."""
    mix = mixing(d, condition, rng)
    roots = mix @ (np.eye(d) + 0.3 * rng.standard_normal((k, d, d)) / np.sqrt(d))
    covariances = roots @ roots.transpose(0, 2, 1)
    means = apart * rng.standard_normal((k, d)) @ mix.T
    return lem.Gaussian(structure).params(means, covariances[0] if structure is TIED else covariances)


def rows_of(params, n, rng):
    """Rows drawn from the components in turn."""
    return lem.Gaussian(params.structure).sample(params, np.arange(n) % len(params.means), rng)


def precise(values):
    """An array as one of numbers of 60 digits."""
    return np.frompyfunc(lambda value: mpmath.mpf(float(value)), 1, 1)(values)


def half_distances(matrices, means, x):
    """Half the squared length of matrix (row - mean), in 60 digits: (k, n)."""
    with mpmath.workdps(60):
        away = [precise(x) - precise(mean) for mean in means]
        whitened = [y @ matrix.T for y, matrix in zip(away, matrices, strict=True)]
        return np.array([(z * z).sum(axis=1) / 2 for z in whitened])


def errors(log_joint, half, log_dets):
    """How far log densities, (n, k), are off, but for what the components of a row share; in nats."""
    with mpmath.workdps(60):
        off = precise(log_joint) + half.T + log_dets / 2
        return np.abs((off - off[:, :1]).astype(float))


@pytest.mark.parametrize("structure", [FULL, TIED], ids=str)
@pytest.mark.parametrize("condition", [4e3, 1e6])
@pytest.mark.parametrize("d", [3, 8])
def test_densities_of_correlated_columns_are_as_near_to_sixty_digits_as_whitened_ones(structure, condition, d):
    """A row's log densities are within the tolerance of 60 digits, beside what centred whitening is off itself."""
    rng = np.random.default_rng(d)
    params = correlated(structure, 3, d, condition, rng)
    x = np.vstack([rows_of(params, 9, rng), params.means])
    with mpmath.workdps(60):
        roots = [mpmath.cholesky(mpmath.matrix(each.tolist())) for each in params.dense()]
        log_dets = np.array([2 * sum(mpmath.log(root[i, i]) for i in range(d)) for root in roots])
        inverses = [np.array(mpmath.inverse(root).tolist()) for root in roots]
    half = half_distances(inverses, params.means, x)
    ours = TurnedKernel.of(params, np.zeros(3)).about(x.mean(axis=0))
    found = densities(ours, x, x.mean(axis=0), column_bounds(x))
    assert found is not None
    assert isinstance(found[0], TurnedKernel)
    plain = lem.Gaussian(structure).log_density(params, x)
    allowed = 2 * errors(plain, half, log_dets).max() + ours.tolerance
    assert errors(found[1], half, log_dets).max() <= allowed <= 1e-15 * d**2 * condition + 2 * ours.tolerance


@pytest.mark.parametrize("seed", range(24))
def test_the_bound_of_turned_features_holds(seed):
    """The error against 60 digits, the whiteners given, is below its bound for conditions from 1 to 1e11."""
    rng = np.random.default_rng(seed)
    d, k = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    structure = FULL if seed % 3 else TIED
    params = correlated(structure, k, d, 10 ** rng.uniform(0, 11), rng, apart=10 ** rng.uniform(-1, 1.5))
    params = lem.Gaussian(structure).params(params.means + seed % 2 * 1e3, params.covariances)
    x = rows_of(params, 60, rng)
    kernel, buffers = TurnedKernel.of(params, np.zeros(k)).about(x.mean(axis=0)), Buffers()
    read = kernel.read(x, buffers)
    bound = kernel.bound(np.abs(read[1 : 1 + d]).max(axis=1), *column_bounds(x))
    whiteners, log_dets = params.factors
    half = half_distances([precise(each) for each in whiteners], params.means, x)
    assert errors(kernel.log_joint(x, read, buffers).T, half, precise(log_dets)).max() <= 2 * bound
    assert kernel.confirms(read, *column_bounds(x)) is (bound <= kernel.tolerance)


@pytest.mark.parametrize("structure", [FULL, TIED], ids=str)
@pytest.mark.parametrize("condition", [4e3, 1e6, 1e8])
def test_covariances_turned_back_have_the_digits_of_their_numbers(structure, condition):
    """In widths of the covariance they are off by no more than rounding of each number allows, at any condition."""
    rng, k, d = np.random.default_rng(2), 2, 5
    params = correlated(structure, k, d, condition, rng, apart=5.0)
    x, counts = rows_of(params, 300, rng), rng.dirichlet(np.ones(k), size=300)
    kernel = TurnedKernel.of(params, np.zeros(k)).about(x.mean(axis=0))
    moments = weighted_statistics(kernel, x, counts)
    with mpmath.workdps(60):
        rows, weights = precise(x), precise(counts)
        means = [weights[:, j] @ rows / weights[:, j].sum() for j in range(k)]
        second = np.array([(weights[:, j, None] * (rows - means[j])).T @ (rows - means[j]) for j in range(k)])
        second = second.sum(axis=0, keepdims=True) if structure is TIED else second

        centred = moments.about(moments.means()).second
        whiteners = [np.linalg.inv(np.linalg.cholesky(each.astype(float))) for each in second]
        for whitener, error, each in zip(whiteners, (precise(centred) - second).astype(float), second, strict=True):
            sizes = np.abs(whitener)
            # That is by how much rounding every number of the exact moments would put them off.
            rounded = np.finfo(float).eps / 2 * (sizes @ np.abs(each.astype(float)) @ sizes.T).max()
            assert np.abs(whitener @ error @ whitener.T).max() <= 4 * rounded
        away = (precise(moments.means()) - np.array(means)).astype(float)
    np.testing.assert_array_less(params.lengths(away) ** 0.5, 1e-14 * condition**0.5)


@pytest.mark.parametrize("structure", [FULL, TIED], ids=str)
@pytest.mark.parametrize(("k", "d", "n", "condition"), [(10, 8, 2000, 4e3), (10, 8, 3000, 1e6), (4, 16, 1200, 1e6)])
def test_a_pass_over_correlated_columns_is_one_of_features(structure, k, d, n, condition):
    """Where features of the rows have lost their digits, those of turned rows leave none over, with the same answer."""
    rng = np.random.default_rng(d)
    components = correlated(structure, k, d, condition, rng)
    model = lem.Mixture(lem.Gaussian(structure), k)
    params = model.params(rng.dirichlet(np.ones(k)), components)
    allowed = rng.random((n, k)) < 0.9
    allowed[np.arange(n), np.arange(n) % k] = True
    chunk = lem.Rows(rows_of(components, n, rng), rng.exponential(size=n), allowed)
    kernel = lem.Gaussian(structure).kernel(components, np.log(params.weights))
    if condition > 1e5:
        assert fused(kernel, chunk)[3] == [chunk]
    assert fused(kernel.otherwise, chunk)[3] == []
    ours, plain = model.expectation(params, chunk), LatentModel.expectation(model, params, chunk)
    scale = plain.observations + abs(model.log_joint(params, plain.statistics))
    assert abs(ours.entropy - plain.entropy) <= 1e-12 * scale
    following = model.m_step(plain.statistics, params)
    for at in (params, following):
        allowed_error = (1e-12 + model.rounding(at)) * scale
        assert abs(model.log_joint(at, ours.statistics) - model.log_joint(at, plain.statistics)) <= allowed_error


def test_a_row_far_away_sends_its_block_to_whitening_and_no_other():
    """Of 200,000 rows with an outlier 1e9 widths away, turned features serve all but its block."""
    rng = np.random.default_rng(5)
    components = correlated(FULL, 2, 3, 1e6, rng)
    x = np.array(rows_of(components, 200_000, rng))
    x[7] = 1e9
    kernel = lem.Gaussian().kernel(components, np.zeros(2)).otherwise
    *_, left = fused(kernel, lem.Rows(x))
    assert len(left) == 1
    assert 0 < len(left[0]) < 100_000
    assert left[0].x[7, 0] == 1e9


def test_a_component_that_collapses_leaves_the_turned_features():
    """Narrowing from 1 to 1e-6 within a step takes the digits of turned moments too: they say that they have none."""
    rng = np.random.default_rng(6)
    components = correlated(FULL, 2, 4, 1e6, rng)
    x = np.array(rows_of(components, 2000, rng))
    x[:500] = components.means[0] + 20 * (x[0] - components.means[0]) + 1e-6 * x[:500]
    kernel = TurnedKernel.of(components, np.zeros(2)).about(x.mean(axis=0))
    counts = np.eye(2)[(np.arange(2000) >= 500).astype(int)]
    assert weighted_statistics(kernel, x, counts) is None


@pytest.mark.parametrize("structure", [FULL, TIED], ids=str)
def test_a_run_on_turned_columns_is_the_run_on_the_columns(structure):
    """EM on rows multiplied by a matrix of condition 1e6 takes the same steps, its bound off by log |det| a row."""
    rng = np.random.default_rng(8)
    components = correlated(structure, 3, 6, 1.0, rng, apart=1.5)
    x, mix = rows_of(components, 3000, rng), mixing(6, 1e6, rng)
    model = lem.Mixture(lem.Gaussian(structure), 3)
    start = model.params(np.full(3, 1 / 3), components)
    covariances = mix @ components.covariances @ mix.T
    turned = model.params(start.weights, lem.Gaussian(structure).params(components.means @ mix.T, covariances))
    plain = [state.bound for state in islice(lem.EM().iterate(model, start, x), 8)]
    ours = [state.bound for state in islice(lem.EM().iterate(model, turned, x @ mix.T), 8)]
    shift = len(x) * np.linalg.slogdet(mix)[1]
    np.testing.assert_allclose(np.array(ours) + shift, plain, rtol=1e-9)


def test_chains_of_correlated_columns_take_turned_features():
    """A hidden Markov model has the statistics and the entropy of posterior and statistics one after the other."""
    rng = np.random.default_rng(7)
    for structure in (FULL, TIED):
        emissions = correlated(structure, 3, 4, 1e6 if structure is FULL else 1e7, rng)
        x = rows_of(emissions, 300, rng)
        model = lem.HiddenMarkov(lem.Gaussian(structure), 3)
        params = model.params([0.2, 0.3, 0.5], np.full((3, 3), 0.1) + 0.7 * np.eye(3), emissions)
        chunk = model.chunk([x[:200], x[200:]])
        found = densities(model.family.kernel(emissions, np.zeros(3)), x, x.mean(axis=0), chunk.bounds)
        assert isinstance(found[0], TurnedKernel)
        ours, plain = model.expectation(params, chunk), LatentModel.expectation(model, params, chunk)
        assert ours.entropy == pytest.approx(plain.entropy, rel=1e-9)
        expected = model.log_joint(params, plain.statistics)
        assert model.log_joint(params, ours.statistics) == pytest.approx(expected, rel=1e-9)


def test_parts_of_a_row_are_turned_each_by_itself():
    """Logarithms that correlate, beside columns that do not, stay in one product, with the composed answer."""
    rng = np.random.default_rng(9)
    logs = correlated(FULL, 2, 3, 1e6, rng)
    family = lem.Product(lem.LogNormal().on(0, 1, 2), lem.Poisson().on(3))
    model = lem.Mixture(family, 2)
    params = model.params([0.5, 0.5], family.params(logs, np.array([[2.0], [5.0]])))
    chunk = lem.Rows(np.hstack([np.exp(rows_of(logs, 2000, rng)), rng.poisson(3.0, (2000, 1))]))
    kernel = family.kernel(params.components, np.zeros(2))
    assert fused(kernel, chunk)[3] == [chunk]
    assert isinstance(kernel.otherwise, SideBySide)
    assert fused(kernel.otherwise, chunk)[3] == []
    assert kernel.otherwise.otherwise is None
    ours, plain = model.expectation(params, chunk), LatentModel.expectation(model, params, chunk)
    assert ours.entropy == pytest.approx(plain.entropy, rel=1e-9)
    expected = model.log_joint(params, plain.statistics)
    assert model.log_joint(params, ours.statistics) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 8, 16, 17])
def test_bounds_of_columns_are_those_of_numpy(d):
    """The least and the largest of each column, and NaN where one is missing, however many rows there are."""
    for n in (1, 2047, 2048, 6145):
        x = np.random.default_rng(n).standard_normal((n, d))
        x[n // 2, d // 2] = np.nan
        np.testing.assert_array_equal(column_bounds(x), (x.min(axis=0), x.max(axis=0)))
