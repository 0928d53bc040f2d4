"""Directions: the von Mises-Fisher family, and the Bessel functions behind it."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from independent import jacobian_rank
from scipy import stats
from scipy.special import i0e, i1e, logsumexp

import latentem as lem
from latentem.family.directional import VonMisesFisher, VonMisesFisherParams
from latentem.numerics.bessel import log_bessel
from latentem.testing import check_model

FAMILY = VonMisesFisher()
KAPPAS = np.array([1e-6, 1e-3, 0.3, 2.0, 17.0, 150.0, 1e4, 1e6, 1e8])


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


DIRECTIONS = unit(np.array([[1.0, 2.0, 0.5], [-1.0, 0.3, 2.0]]))
PARAMS = FAMILY.params(DIRECTIONS, [8.0, 3.0])


def draws(n, params=PARAMS, seed=0):
    model = lem.Mixture(FAMILY, 2)
    return model.sample(model.params([0.4, 0.6], params), n, np.random.default_rng(seed))


def density(params, x):
    parts = zip(params.directions, params.concentrations, strict=True)
    return np.stack([stats.vonmises_fisher(m, kappa).logpdf(x) for m, kappa in parts], axis=1)


@pytest.mark.parametrize("d", [2, 3, 4, 10, 41, 42, 43, 200, 1000])
def test_the_log_partition_agrees_with_forty_digits(d):
    """Log partition and mean resultant length, and one less it, for kappa from 1e-6 to 1e8, to 1e-12 of themselves."""
    params = FAMILY.params(np.tile(np.eye(1, d), (len(KAPPAS), 1)), KAPPAS)
    _, ratio, rest = log_bessel(d / 2 - 1, KAPPAS)
    with mpmath.workdps(40):
        order = mpmath.mpf(d) / 2 - 1
        low, high = ([mpmath.besseli(order + i, mpmath.mpf(kappa)) for kappa in KAPPAS.tolist()] for i in (0, 1))
        partition = [
            (order + 1) * mpmath.log(2 * mpmath.pi) + mpmath.log(i) - order * mpmath.log(mpmath.mpf(kappa))
            for i, kappa in zip(low, KAPPAS.tolist(), strict=True)
        ]
        lengths = [b / a for a, b in zip(low, high, strict=True)]
        rests = [1 - length for length in lengths]
    np.testing.assert_allclose(FAMILY.log_partition(params), np.array(partition, float), rtol=1e-12)
    np.testing.assert_allclose(ratio, np.array(lengths, float), rtol=1e-12)
    np.testing.assert_allclose(rest, np.array(rests, float), rtol=1e-12)


def test_a_concentration_of_zero_is_uniform():
    """At kappa = 0 the density is one over the area of the sphere, 2 pi^(d/2) / Gamma(d/2)."""
    for d in (2, 3, 7, 1000):
        params = FAMILY.params(np.eye(1, d), [0.0])
        with mpmath.workdps(30):
            area = mpmath.log(2) + mpmath.mpf(d) / 2 * mpmath.log(mpmath.pi) - mpmath.loggamma(mpmath.mpf(d) / 2)
        assert FAMILY.log_density(params, np.eye(1, d))[0, 0] == pytest.approx(-float(area), rel=1e-13)


def test_the_smallest_orders_agree_with_scipy():
    """Orders 0 agree with scipy's exponentially scaled functions, argument zero and huge arguments included."""
    x = np.array([0.0, 1e-300, 0.5, 3.0, 700.0, 1e5])
    log_scaled, ratio, _ = log_bessel(0.0, x)
    np.testing.assert_allclose(log_scaled, np.log(i0e(x)) + x, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(ratio, i1e(x) / i0e(x), rtol=1e-13)
    assert all(np.isfinite(part).all() for part in log_bessel(0.0, np.array([1e20, 1e300])))


def test_densities_agree_with_scipy():
    """Log densities in 2, 3 and 12 dimensions agree with scipy's to 1e-12."""
    rng = np.random.default_rng(0)
    for d in (2, 3, 12):
        params = FAMILY.params(unit(rng.normal(size=(3, d))), [0.1, 4.0, 90.0])
        x = unit(rng.normal(size=(50, d)))
        np.testing.assert_allclose(FAMILY.log_density(params, x), density(params, x), rtol=1e-12, atol=1e-12)


def test_the_contract_is_kept():
    """A mixture of two keeps the six clauses, bare and transformed, and agrees with scipy's densities."""
    model = lem.Mixture(FAMILY, 2)

    def evidence(params, chunk):
        return logsumexp(np.log(params.weights) + density(params.components, chunk.x), axis=1)

    check_model(model, model.params([0.5, 0.5], PARAMS), draws(40)[0], evidence=evidence)


@pytest.mark.parametrize("d", [2, 300])
def test_concentrated_and_high_dimensional_mixtures_keep_the_contract(d):
    """The six clauses hold at kappa = 1e5 and 1, and in 300 dimensions."""
    directions = unit(np.random.default_rng(1).normal(size=(2, d)))
    params = FAMILY.params(directions, [1e5, 1.0 + d])
    model = lem.Mixture(FAMILY, 2)
    check_model(model, model.params([0.5, 0.5], params), draws(40, params)[0])


@pytest.mark.parametrize("d", [2, 3, 30, 1000])
def test_concentrations_solve_their_equation_to_machine_precision(d):
    """From the mean resultant length in 40 digits, rounded once, the concentration is as right as that rounding."""
    for kappa in KAPPAS.tolist():
        with mpmath.workdps(40):
            order = mpmath.mpf(d) / 2 - 1
            length = float(mpmath.besseli(order + 1, mpmath.mpf(kappa)) / mpmath.besseli(order, mpmath.mpf(kappa)))
        found = FAMILY.from_mean(length * np.eye(1, d)).concentrations[0]
        assert found == pytest.approx(kappa, rel=1e-14 + 4 * np.finfo(float).eps * kappa / (d - 1))


def test_draws_have_the_mean_of_their_component():
    """In 20,000 draws of each component the mean is within 5 standard errors of the exact one; kappa = 0 is uniform."""
    params = FAMILY.params(DIRECTIONS, [8.0, 0.0])
    labels = np.repeat([0, 1], 20_000)
    x = FAMILY.sample(params, labels, np.random.default_rng(3))
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-12)
    for j, length in enumerate((1 / np.tanh(8.0) - 1 / 8.0, 0.0)):  # on the sphere in three dimensions
        own = x[labels == j]
        error = own.mean(axis=0) - length * DIRECTIONS[j]
        assert (np.abs(error) <= 5 * own.std(axis=0) / np.sqrt(20_000)).all()
        np.testing.assert_allclose(FAMILY.mean(params)[j], length * DIRECTIONS[j], rtol=1e-12, atol=1e-15)


def test_a_fit_finds_the_parameters_that_made_the_data():
    """From 5,000 draws of two components a fit from random starts recovers them to the sampling error."""
    x, z = draws(5000)
    fit = lem.fit(lem.Mixture(FAMILY, 2), x, n_starts=2)
    assert fit.converged
    order = [0, 1] if fit.params.weights[0] < 0.5 else [1, 0]
    np.testing.assert_allclose(fit.params.weights[order], np.bincount(z) / len(z), atol=0.04)
    np.testing.assert_allclose(fit.params.components.directions[order], DIRECTIONS, atol=0.05)
    np.testing.assert_allclose(fit.params.components.concentrations[order], [8.0, 3.0], rtol=0.1)


def test_one_component_agrees_with_scipy():
    """With one component the direction and concentration are those of scipy's fit."""
    x = stats.vonmises_fisher(DIRECTIONS[0], 5.0).rvs(300, random_state=np.random.default_rng(0))
    fit = lem.fit(lem.Mixture(FAMILY, 1), x)
    direction, kappa = stats.vonmises_fisher.fit(x)
    np.testing.assert_allclose(fit.params.components.directions[0], direction, rtol=1e-10)
    assert fit.params.components.concentrations[0] == pytest.approx(kappa, rel=1e-8)


def test_the_number_of_parameters_is_the_rank_of_the_jacobian():
    """Sizes of the blocks add up to the rank of the numerical Jacobian of scipy's log densities."""
    x, _ = draws(100)

    def log_densities(free):
        parts = free.reshape(2, 4)
        return density(VonMisesFisherParams(unit(parts[:, :3]), parts[:, 3]), x).ravel()

    rank = jacobian_rank(log_densities, np.column_stack([DIRECTIONS, [8.0, 3.0]]).ravel())
    assert sum(block.size(PARAMS) for block in FAMILY.blocks()) == rank == 6


def test_each_field_can_be_held():
    """With directions held, concentrations are the best for them: zero where the rows point away; and the reverse."""
    x, _ = draws(200)
    statistics = FAMILY.statistics(x, np.ones((200, 2)) * [1.0, 0.0])
    where, how = FAMILY.blocks()
    total = x.sum(axis=0)
    away = FAMILY.params(np.stack([-unit(total), DIRECTIONS[1]]), [2.0, 7.0])
    np.testing.assert_array_equal(how.maximize(statistics, away), [0.0, 7.0])
    np.testing.assert_allclose(where.maximize(statistics, away), [unit(total), DIRECTIONS[1]], rtol=1e-12)
    np.testing.assert_array_equal(where.holding((0,)).maximize(statistics, away), away.directions)
    np.testing.assert_array_equal(how.holding((0,)).maximize(statistics, away), [2.0, 7.0])
    assert (where.holding((0,)).size(away), how.holding((0,)).size(away)) == (2, 1)

    across = FAMILY.params(unit(np.array([[1.0, 1.0, 1.0]])), [1.0])
    one = FAMILY.statistics(x, np.ones((200, 1)))
    kappa = how.maximize(one, across)[0]
    along = across.directions[0] @ total / 200
    if along > 0:
        assert 1 / np.tanh(kappa) - 1 / kappa == pytest.approx(along, rel=1e-12)


def test_rows_that_are_all_one_direction_are_degenerate_by_name():
    """A component whose rows are one direction has no finite concentration, and is named."""
    x = np.array([DIRECTIONS[0], DIRECTIONS[1], [0, 0, 1.0]])
    statistics = FAMILY.statistics(x, np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 2.0]]))
    for ask in (FAMILY.first, lambda s: FAMILY.blocks()[1].maximize(s, FAMILY.params(x[[0, 2]], [1.0, 1.0]))):
        with pytest.raises(lem.Degenerate, match="concentrations of component 1: unbounded"):
            ask(statistics)


def test_rows_that_cancel_are_uniform():
    """Opposite rows have no mean direction: the maximiser is the uniform distribution, and stays finite."""
    statistics = FAMILY.statistics(np.vstack([DIRECTIONS, -DIRECTIONS]), np.ones((4, 1)))
    params = FAMILY.first(statistics)
    assert params.concentrations[0] < 1e-15
    assert np.linalg.norm(params.directions[0]) == pytest.approx(1)


def test_components_are_one_where_their_divergence_is_nothing():
    """Without concentration the direction does not matter; with it, it does."""
    assert FAMILY.coincident(FAMILY.params(DIRECTIONS, [0.0, 0.0])) == [(0, 1)]
    assert FAMILY.coincident(FAMILY.params(DIRECTIONS, [1.0, 1.0])) == []
    assert FAMILY.coincident(FAMILY.params(DIRECTIONS[[0, 0]], [1.0, 1.00001])) == [(0, 1)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FAMILY.params([[1.0, 1.0]], [1.0]), "divide each by its norm"),
        (lambda: FAMILY.params([[1.0]], [1.0]), "d at least 2"),
        (lambda: FAMILY.params([[1.0, 0.0]], [-1.0]), "at least 0"),
        (lambda: FAMILY.params([[1.0, 0.0]], [1.0, 2.0]), r"\(k,\)"),
        (lambda: lem.fit(lem.Mixture(FAMILY, 1), [[1.0, 0.0], [1.0, 1.0]]), "row 1.*norm 1.414.*divide each"),
        (lambda: lem.fit(lem.Mixture(FAMILY, 1), [[1.0], [1.0]]), "at least two"),
        (
            lambda: lem.Mixture(FAMILY, 3).params([0.2, 0.3, 0.5], PARAMS),
            "parameters of . components were given .*: the model has 3",
        ),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make, message):
    """Parameters and rows that are not allowed are refused with a sentence that says so."""
    with pytest.raises(ValueError, match=message):
        make()
