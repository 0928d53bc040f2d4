"""Discrete families: Poisson, Geometric, Bernoulli, Binomial, Categorical and Multinomial."""

from __future__ import annotations

import numpy as np
import pytest
from independent import jacobian_rank
from scipy import stats
from scipy.special import logsumexp
from stepmix.stepmix import StepMix

import latentem as lem
from latentem.family.categorical import Categorical, Multinomial
from latentem.family.discrete import Bernoulli, Binomial, Geometric, Poisson
from latentem.testing import check_model

P = np.array([[0.2, 0.7, 0.5], [0.9, 0.4, 0.1]])
LEVELS = (2, 4, 3)
TABLE = np.array([[[0.3, 0.7, 0, 0], [0.1, 0.2, 0.3, 0.4], [0.6, 0.3, 0.1, 0]]] * 2)
TABLE[1] = [[0.8, 0.2, 0, 0], [0.4, 0.4, 0.1, 0.1], [0.2, 0.2, 0.6, 0]]
OUTCOMES = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])


def categorical_log_pmf(table, x):
    """Log probability of the cells that are there, (n, k), one cell at a time."""
    cells = [[[p[c, int(v)] for c, v in enumerate(row) if not np.isnan(v)] for p in table] for row in x]
    return np.array([[np.log(part).sum() for part in row] for row in cells])


def by_column(law):
    return lambda params, x: np.stack([law(row).logpmf(x).sum(axis=1) for row in params], axis=1)


def bernoulli(params, x):
    each = [np.nansum(stats.bernoulli(row).logpmf(np.where(np.isnan(x), 0, x)) + 0 * x, axis=1) for row in params]
    return np.stack(each, axis=1)


CASES = {
    "poisson": (Poisson(), [[2.0, 3.0, 0.1], [4.0, 1.0, 30.0]], by_column(stats.poisson)),
    "geometric": (Geometric(), P, by_column(lambda p: stats.geom(p, loc=-1))),
    "bernoulli": (Bernoulli(), P, bernoulli),
    "binomial": (Binomial(7), P, by_column(lambda p: stats.binom(7, p))),
    "binomial, each": (Binomial((3, 1, 20)), P, by_column(lambda p: stats.binom([3, 1, 20], p))),
    "categorical": (Categorical(3), TABLE[:, [2, 2], :3], categorical_log_pmf),
    "categorical, each": (Categorical(LEVELS), TABLE, categorical_log_pmf),
    "multinomial": (
        Multinomial(9),
        OUTCOMES,
        lambda params, x: np.stack([stats.multinomial(x.sum(axis=1).astype(int), p).logpmf(x) for p in params], axis=1),
    ),
}

MEANS = {
    "poisson": np.array([[2.0, 3.0, 0.1], [4.0, 1.0, 30.0]]),
    "geometric": 1 / P - 1,
    "bernoulli": np.hstack([P, 1 - P]),
    "binomial": 7 * np.hstack([P, 1 - P]),
    "binomial, each": np.tile([3, 1, 20], 2) * np.hstack([P, 1 - P]),
    "categorical": TABLE[:, [2, 2], :3].reshape(2, 6),
    "categorical, each": TABLE.reshape(2, 12)[:, [0, 1, 4, 5, 6, 7, 8, 9, 10]],
    "multinomial": 9 * OUTCOMES,
}


def case(name, n=50, seed=0):
    family, values, density = CASES[name]
    params = family.params(values)
    model = lem.Mixture(family, 2)
    x, z = model.sample(model.params([0.4, 0.6], params), n, np.random.default_rng(seed))
    return family, params, density, np.array(x, float), z


def evidence(density):
    return lambda params, chunk: logsumexp(np.log(params.weights) + density(params.components, chunk.x), axis=1)


@pytest.mark.parametrize("name", CASES)
def test_densities_agree_with_scipy(name):
    """Log probabilities of draws agree with scipy's, or with cells looked up one by one, to 1e-12."""
    family, params, density, x, _ = case(name)
    np.testing.assert_allclose(family.log_density(params, x), density(params, x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_the_contract_is_kept(name):
    """A mixture of two keeps the six clauses, bare and transformed, and its evidence is that of the reference."""
    family, params, density, x, _ = case(name)
    model = lem.Mixture(family, 2)
    check_model(model, model.params([0.5, 0.5], params), x, evidence=evidence(density))


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "categorical, each"])
def test_the_contract_is_kept_where_cells_are_missing(name):
    """With a third of the cells missing, whole rows among them, a mixture keeps the contract."""
    family, params, density, x, _ = case(name)
    x[np.random.default_rng(1).random(x.shape) < 0.33] = np.nan
    x[:2] = np.nan
    model = lem.Mixture(family, 2)
    check_model(model, model.params([0.5, 0.5], params), x, evidence=evidence(density))


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_probabilities_of_their_component(name):
    """In 20,000 draws of each component the mean of T is within 5 standard errors of the exact E[T]."""
    family, params, _, _, _ = case(name)
    labels = np.repeat([0, 1], 20_000)
    features = family.T(family.sample(params, labels, np.random.default_rng(5)))
    wanted = MEANS[name]
    for j in (0, 1):
        own = features[labels == j]
        assert (np.abs(own.mean(axis=0) - wanted[j]) <= 5 * own.std(axis=0) / np.sqrt(20_000)).all()
    np.testing.assert_allclose(family.mean(params), wanted, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_fit_finds_the_parameters_that_made_the_data(name):
    """From 4,000 draws of two components a fit recovers the probabilities or rates to the sampling error."""
    family, params, _, x, z = case(name, 4000)
    model = lem.Mixture(family, 2)
    fit = lem.fit(model, x, start=model.params([0.5, 0.5], params))
    assert fit.converged
    np.testing.assert_allclose(fit.params.weights, np.bincount(z) / len(z), atol=0.06)
    np.testing.assert_allclose(fit.params.components, params, rtol=0.15, atol=0.06)


@pytest.mark.parametrize("name", CASES)
def test_the_number_of_parameters_is_the_rank_of_the_jacobian(name):
    """The size of the block is the rank of the numerical Jacobian of scipy's log densities, as the parameters vary."""
    family, params, density, x, _ = case(name, 300)
    array = np.asarray(params)
    shares = name.startswith(("categorical", "multinomial"))

    def log_densities(free):
        values = array.copy()
        values[array > 0] = free
        return density(values / values.sum(axis=-1, keepdims=True) if shares else values, x).ravel()

    (block,) = family.blocks()
    assert block.size(params) == jacobian_rank(log_densities, array[array > 0])


@pytest.mark.parametrize("missing", [False, True])
def test_latent_classes_agree_with_stepmix(missing):
    """At stepmix's parameters binary and categorical evidence, with or without missing cells, is stepmix's to 1e-10."""
    for name, measurement in (("bernoulli", "binary"), ("categorical", "categorical")):
        family, _, _, x, _ = case(name, 500)
        if missing:
            x[np.random.default_rng(2).random(x.shape) < 0.2] = np.nan
        kind = f"{measurement}_nan" if missing else measurement
        theirs = StepMix(2, measurement=kind, random_state=0, verbose=0, progress_bar=0, abs_tol=1e-3).fit(x)
        found = theirs.get_parameters()["measurement"]["pis"]
        components = found if measurement == "binary" else found.reshape(2, x.shape[1], -1)
        model = lem.Mixture(family, 2)
        params = model.params(theirs.weights_ / theirs.weights_.sum(), family.params(components))
        ours = model.log_evidence(params, lem.Rows(x)).mean()
        assert ours == pytest.approx(theirs.score(x), abs=1e-10)


def test_probabilities_of_exactly_zero_and_one_are_an_optimum():
    """Columns of ones alone and of zeros alone fit at exactly 1 and 0, and the log likelihood stays finite."""
    rng = np.random.default_rng(0)
    odd = rng.random((80, 4)) < np.repeat([[0.9], [0.1]], 40, axis=0)
    x = np.column_stack([np.ones(80), np.zeros(80), odd]).astype(float)
    for family in (Bernoulli(), Binomial(1), Categorical(2)):
        fit = lem.fit(lem.Mixture(family, 2), x, n_starts=2)
        ones = fit.params.components[..., 1] if isinstance(family, Categorical) else fit.params.components
        assert (ones[:, 0] == 1).all()
        assert (ones[:, 1] == 0).all()
        assert np.isfinite(fit.log_likelihood)
    zeros = lem.fit(lem.Mixture(Geometric(), 1), np.zeros((9, 1)))
    assert zeros.params.components == 1
    assert zeros.log_likelihood == 0


@pytest.mark.parametrize("family", [Bernoulli(), Binomial(1), Geometric()], ids=str)
def test_a_share_that_rounds_to_one_stays_below_it(family):
    """A responsibility of 1e-30 for a row of the other kind leaves its log density finite after the M-step."""
    x = np.array([[1.0], [0.0]]) if not isinstance(family, Geometric) else np.array([[0.0], [1.0]])
    statistics = family.statistics(x, np.array([[1.0], [1e-30]]))
    params = family.first(statistics)
    assert params[0, 0] == np.nextafter(1, 0)
    assert np.isfinite(family.log_density(params, x)).all()
    assert family.log_joint(params, statistics) == pytest.approx(0, abs=1e-14)


def test_sums_that_are_next_to_nothing_are_none():
    """A row with a responsibility of 1e-320 is in no statistic, so no ratio of subnormals makes a parameter."""
    statistics = Poisson().statistics(np.array([[3.0], [0.0]]), np.array([[1e-320, 1.0], [1.0, 1e-321]]))
    np.testing.assert_array_equal(statistics.total, [[0], [3]])
    np.testing.assert_array_equal(statistics.count, [1, 1])


def test_a_column_without_an_observed_cell_is_uniform():
    """Where a component has no observed cell of a column, the maximiser is uniform over its levels, and finite."""
    x = np.array([[1.0, np.nan], [0.0, np.nan]])
    one = np.ones((2, 1))
    np.testing.assert_array_equal(Bernoulli().first(Bernoulli().statistics(x, one)), [[0.5, 0.5]])
    family = Categorical((2, 3))
    table = family.first(family.statistics(x, one))
    np.testing.assert_allclose(table, [[[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]], rtol=1e-15)
    np.testing.assert_array_equal(Multinomial().first(Multinomial().statistics(np.zeros((2, 4)), one)), [[0.25] * 4])


def test_missing_cells_are_left_out_of_the_average():
    """A probability is the weighted average over the observed cells of its column."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (50, 2)).astype(float)
    x[rng.random(x.shape) < 0.3] = np.nan
    weights = rng.random((50, 2))
    family = Categorical(3)
    table = family.first(family.statistics(x, weights))
    for j, c, level in np.ndindex(2, 2, 3):
        seen = ~np.isnan(x[:, c])
        average = np.average(x[seen, c] == level, weights=weights[seen, j])
        assert table[j, c, level] == pytest.approx(average, rel=1e-13)


@pytest.mark.parametrize(
    ("family", "one", "other", "same"),
    [
        (Bernoulli(), 1 - 1e-9, 1 - 1e-5, False),
        (Bernoulli(), 1 - 1e-5, 1 - 1.00001e-5, True),
        (Bernoulli(), 1.0, 1 - 1e-16, True),
        (Bernoulli(), 1.0, 0.999, False),
        (Bernoulli(), 0.0, 1e-30, True),
        (Bernoulli(), 0.5, 0.500001, True),
        (Bernoulli(), 0.5, 0.501, False),
        (Geometric(), 1.0, 0.999, False),
        (Geometric(), 1e-6, 2e-6, False),
        (Geometric(), 1e-6, 1.00000001e-6, True),
        (Poisson(), 1.00001, 1.00002, True),
        (Poisson(), 1.0, 1.01, False),
        (Poisson(), 0.0, 0.0, True),
        (Poisson(), 0.0, 0.01, False),
    ],
    ids=str,
)
def test_components_are_one_where_their_divergence_is_nothing(family, one, other, same):
    """Coincidence goes by the divergence of the distributions, not by natural parameters, which may be near 0."""
    assert family.coincident(family.params([[one], [other]])) == ([(0, 1)] if same else [])


def test_held_components_stay_and_need_not_be_sound():
    """A held component keeps its values though its own rows would make it degenerate; so does an empty one."""
    family = Geometric()
    (block,) = family.blocks()
    statistics = family.statistics(np.array([[2.0], [0.0]]), np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    params = family.params([[0.5], [0.25], [0.125]])
    np.testing.assert_array_equal(block.maximize(statistics, params), [[1 / 3], [1], [0.125]])
    np.testing.assert_array_equal(block.holding((0,)).maximize(statistics, params), [[0.5], [1], [0.125]])
    assert block.holding((0,)).size(params) == 2
    assert block.holding((0, 1)).maximize(statistics, params) is params


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bernoulli().params([[1.2]]), r"between 0 and 1, shape \(k, d\)"),
        (lambda: Bernoulli().params([0.2]), r"shape \(k, d\)"),
        (lambda: Geometric().params([[0.0]]), "above 0"),
        (lambda: Poisson().params([[np.nan]]), "finite rates of at least 0"),
        (lambda: Multinomial().params([[0.5, 0.6]]), "sum to 1"),
        (lambda: Categorical(3).params([[[0.5, 0.5]]]), r"\(k, d, 3\)"),
        (lambda: Categorical(2).params([[[0.5, 0.6]]]), "sum to 1"),
        (lambda: Categorical((2, 3)).params([[[0.5, 0.2, 0.3], [0.5, 0.2, 0.3]]]), "beyond them"),
        (lambda: Categorical((2, 3)).params([[[0.5, 0.5, 0.0]]]), "levels were given for 2 columns: there are 1"),
        (lambda: Categorical(0), "levels was given as 0"),
        (lambda: Binomial((3, 0)), "trials was given"),
        (lambda: Binomial(2.5), "trials was given as 2.5"),
        (lambda: Multinomial(0), "total was given as 0"),
        (lambda: lem.fit(lem.Mixture(Bernoulli(), 1), [[0.0], [2.0]]), "row 1.*outside the support of Bernoulli"),
        (lambda: lem.fit(lem.Mixture(Categorical(2), 1), [[0.0], [2.0]]), "row 1.*outside the support of Categorical"),
        (lambda: lem.fit(lem.Mixture(Binomial(3), 1), [[0.0], [4.0]]), "row 1.*outside the support of Binomial"),
        (lambda: lem.fit(lem.Mixture(Binomial((3, 2)), 1), [[0.0], [4.0]]), "trials were given for 2 columns"),
        (lambda: lem.fit(lem.Mixture(Geometric(), 1), [[0.0], [0.5]]), "row 1.*outside the support of Geometric"),
        (lambda: lem.fit(lem.Mixture(Multinomial(3), 1), [[1.0, 2], [1, 1]]), "row 1.*outside the support of Multinom"),
        (lambda: lem.Mixture(Bernoulli(), 3).params([0.2, 0.3, 0.5], P), "for 3 components"),
        (lambda: lem.Mixture(Categorical(LEVELS), 3).params([0.2, 0.3, 0.5], TABLE), "the model has 3"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(make, message):
    """Parameters, settings and rows that are not allowed are refused with a sentence that says so."""
    with pytest.raises(ValueError, match=message):
        make()


def test_multinomial_rows_need_a_total_to_be_drawn():
    """Multinomial() fits rows of any total, and says what it lacks when it is asked to draw."""
    x = np.array([[1.0, 2.0], [0.0, 0.0], [5.0, 0.0]])
    np.testing.assert_allclose(Multinomial().first(Multinomial().statistics(x, np.ones((3, 1)))), [[0.75, 0.25]])
    with pytest.raises(lem.Unavailable, match="total"):
        Multinomial().sample(np.array([[0.5, 0.5]]), np.zeros(2, int), np.random.default_rng(0))


def test_a_table_of_components_shows_every_level():
    """`describe` gives one figure a component for each level that a column has."""
    shown = Categorical(LEVELS).describe(Categorical(LEVELS).params(TABLE))
    assert len(shown) == sum(LEVELS)
    np.testing.assert_array_equal(shown["P(x1 = 3)"], [0.4, 0.1])
