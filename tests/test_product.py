"""Families on columns, and products of them."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from attrs import evolve
from independent import jacobian_rank
from scipy import stats
from scipy.special import logsumexp
from stepmix.stepmix import StepMix

import latentem as lem
from latentem.core import ColumnError, find
from latentem.family.categorical import Categorical
from latentem.family.composite.inflated import ZeroInflated
from latentem.family.composite.parts import Parts
from latentem.family.composite.product import Product
from latentem.family.discrete import Bernoulli, Poisson
from latentem.family.positive import Exponential, Gamma
from latentem.testing import check_model

MEANS, WIDTHS = np.array([[0.0, 1.0], [3.0, -2.0]]), np.array([[[1.0, 0.3], [0.3, 2.0]], [[2.0, 0.0], [0.0, 0.5]]])
RATES = np.array([[2.0], [6.0]])
MIXED = Product(lem.Gaussian().on(3, 0), Poisson().on(2))  # columns out of order, and column 1 in no part


def mixed(n=120, seed=0):
    """Rows (second normal, something else, count, first normal) and their labels."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 2, n)
    normal = MEANS[z] + rng.normal(size=(n, 2)) * np.sqrt(np.diagonal(WIDTHS, axis1=1, axis2=2))[z]
    return np.column_stack([normal[:, 1], rng.normal(size=n), rng.poisson(RATES[z, 0]), normal[:, 0]]), z


def given(model, weights=(0.4, 0.6)):
    return model.params(weights, MIXED.params(lem.Gaussian().params(MEANS, WIDTHS), Poisson().params(RATES)))


def evidence(params, chunk):
    normal, rates = params.components
    each = [
        stats.multivariate_normal(mean, cov).logpdf(chunk.x[:, [3, 0]]) + stats.poisson(rate).logpmf(chunk.x[:, 2])
        for mean, cov, rate in zip(normal.means, normal.covariances, rates[:, 0], strict=True)
    ]
    return logsumexp(np.log(params.weights) + np.transpose(each), axis=1)


def test_a_product_keeps_the_contract():
    """Gaussian and Poisson columns keep all six clauses, transformed too, and multiply scipy's densities."""
    model = lem.Mixture(MIXED, 2)
    check_model(model, given(model), mixed(50)[0], evidence=evidence)


def test_weights_and_known_labels_reach_all_parts():
    """Rows of weight two leave the parameters of rows that stand there twice."""
    x, z = mixed()
    model = lem.Mixture(MIXED, 2)
    once = model.first(model.gathered(model.chunk(x, np.full(len(x), 2.0)), np.eye(2)[z]))
    twice = model.first(model.gathered(model.chunk(np.repeat(x, 2, axis=0)), np.eye(2)[np.repeat(z, 2)]))
    np.testing.assert_allclose(once.components[0].covariances, twice.components[0].covariances, rtol=1e-13)
    np.testing.assert_allclose(once.components[1], twice.components[1], rtol=1e-13)


def test_a_fit_finds_the_parts_and_ignores_the_other_column():
    """Weights, means and rates of 2,000 drawn rows come back, whatever stands in the column of no part."""
    x, z = mixed(2000)
    fit = lem.fit(lem.Mixture(MIXED, 2), x)
    order = fit.params.components[0].means[:, 0].argsort()
    np.testing.assert_allclose(fit.params.components[0].means[order], MEANS, atol=0.15)
    np.testing.assert_allclose(fit.params.components[1][order], RATES, atol=0.3)
    np.testing.assert_allclose(fit.params.weights[order], np.bincount(z) / len(z), atol=0.03)
    other = x.copy()
    other[:, 1] = 1e6
    start = given(fit.model)
    assert lem.fit(fit.model, x, start=start).params == lem.fit(fit.model, other, start=start).params


@pytest.mark.parametrize("missing", [False, True])
def test_mixed_columns_agree_with_stepmix(missing):
    """At stepmix's parameters the evidence of normal, binary and categorical columns is stepmix's, to 1e-8 a unit."""
    rng = np.random.default_rng(1)
    z = rng.integers(0, 2, 300)
    binary = rng.random((300, 2)) < np.array([[0.2, 0.6], [0.8, 0.3]])[z]
    x = np.column_stack([rng.normal(3 * z, 1), rng.normal(-z, 2), binary, rng.integers(0, 3, 300) * z])
    if missing:
        x[rng.random(x.shape) < 0.1] = np.nan
    nan = "_nan" if missing else ""
    kinds = {"g": ("gaussian_diag", 2), "b": ("binary", 2), "c": ("categorical", 1)}
    measurement = {name: {"model": kind + nan, "n_columns": columns} for name, (kind, columns) in kinds.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of not having converged, which is no matter
        theirs = StepMix(2, measurement=measurement, max_iter=5, random_state=0, verbose=0, progress_bar=0).fit(x)
        score, found = theirs.score(x), theirs.get_parameters()
    parts = found["measurement"]
    normal, binary, categorical = lem.Gaussian(lem.Diagonal()), Bernoulli(), Categorical(3)
    family = Product(normal.on(0, 1), binary.on(2, 3), categorical.on(4))
    model = lem.Mixture(family, 2)
    # stepmix keeps probabilities off 0 and 1 and leaves their sums a little off one.
    table = parts["c"]["pis"].reshape(2, 1, 3)
    params = model.params(
        found["weights"] / found["weights"].sum(),
        family.params(
            normal.params(parts["g"]["means"], parts["g"]["covariances"]),
            binary.params(parts["b"]["pis"]),
            categorical.params(table / table.sum(axis=2, keepdims=True)),
        ),
    )
    assert abs(model.log_evidence(params, model.chunk(x)).mean() - score) < 1e-8
    assert family.takes_missing


def test_missing_cells_and_hidden_origins_of_several_parts_keep_the_contract():
    """Missing normal cells beside zero-inflated counts keep the contract: entropies add, powers multiply."""
    rng = np.random.default_rng(2)
    z = rng.integers(0, 2, 30)
    counts = np.where(rng.random(30) < 0.3, 0, rng.poisson(1 + 3 * z))
    x = np.column_stack([rng.normal(2 * z[:, None], 1, (30, 2)), counts])
    x[::5, 0] = np.nan
    normal, zeros = lem.Gaussian(lem.Diagonal()), ZeroInflated(Poisson())
    family = Product(normal.on(0, 1), zeros.on(2))
    model = lem.Mixture(family, 2)
    params = family.params(
        normal.params(MEANS, np.diagonal(WIDTHS, axis1=1, axis2=2)), zeros.params([0.3, 0.1], [[1.0], [3.0]])
    )
    # What is held makes the check short, and every entropy is in its identity nonetheless.
    check_model(lem.Frozen(model, {"weights", "means", "1.family"}), model.params([0.5, 0.5], params), x)


def test_blocks_are_named_after_their_part_and_can_be_held():
    """components.0.means is a block, held to the bit; the tail means names it too, and rates are components.1."""
    x, _ = mixed()
    model = lem.Mixture(MIXED, 2)
    names = [block.name for block in model.blocks()]
    assert names == ["weights", "components.0.means", "components.0.covariances", "components.1"]
    assert find(model.blocks(), "means").name == "components.0.means"
    params = given(model)
    held = lem.Frozen(model, {"components.0.means": lem.Fixed(components=[1]), "components.1": lem.Fixed()})
    fit = lem.fit(held, x, start=params)
    assert np.array_equal(fit.params.components[1], RATES)
    assert np.array_equal(fit.params.components[0].means[1], MEANS[1])
    assert not np.array_equal(fit.params.components[0].means[0], MEANS[0])
    assert fit.n_parameters == 1 + 2 + 6


def test_the_number_of_parameters_is_the_rank_of_the_jacobian():
    """Two normal columns, two categorical ones and a count have as many free numbers as the Jacobian has rank."""
    rng = np.random.default_rng(3)
    categorical = Categorical((2, 3))
    family = Product(lem.Gaussian().on(0, 1), categorical.on(2, 3), Poisson().on(4))
    model = lem.Mixture(family, 2)
    counts = [rng.integers(0, 2, 300), rng.integers(0, 3, 300), rng.poisson(3, 300)]
    x = np.column_stack([rng.normal(0, 2, (300, 2)), *counts])

    def unpacked(v):
        weights, means, free, logits, rates = np.split(v, [2, 6, 12, 22])
        factor = np.zeros((2, 2, 2))
        factor[:, [0, 1, 1], [0, 0, 1]] = free.reshape(2, 3)
        table = np.zeros((2, 2, 3))
        table[:, 0, :2], table[:, 1] = np.exp(logits[:4]).reshape(2, 2), np.exp(logits[4:]).reshape(2, 3)
        parts = (
            lem.Gaussian().params(means.reshape(2, 2), factor @ factor.transpose(0, 2, 1)),
            categorical.params(table / table.sum(axis=2, keepdims=True)),
            Poisson().params(np.exp(rates)[:, None]),
        )
        return model.params(np.exp(weights) / np.exp(weights).sum(), family.params(*parts))

    vector = np.concatenate(
        [[0.1, 0.3], MEANS.ravel(), [1.0, 0.2, 1.5, 0.8, -0.1, 0.9], 0.1 * np.arange(10), [0.5, 1.5]]
    )
    rank = jacobian_rank(lambda v: model.log_evidence(unpacked(v), model.chunk(x)), vector)
    assert rank == sum(block.size(unpacked(vector)) for block in model.blocks()) == 1 + 4 + 6 + 2 * 3 + 2


def test_draws_fill_the_columns_of_their_parts():
    """Moments of 20,000 draws are the mixture's in each column; a column of no part is refused by name."""
    family = Product(Poisson().on(1), lem.Gaussian().on(2, 0))
    model = lem.Mixture(family, 2)
    params = model.params([0.4, 0.6], family.params(Poisson().params(RATES), lem.Gaussian().params(MEANS, WIDTHS)))
    x, z = model.sample(params, 20_000, np.random.default_rng(0))
    for j in (0, 1):
        rows = x[z == j]
        np.testing.assert_allclose(rows.mean(axis=0), [MEANS[j, 1], RATES[j, 0], MEANS[j, 0]], atol=0.08)
        np.testing.assert_allclose(np.cov(rows[:, [2, 0]].T), WIDTHS[j], atol=0.08)
    with pytest.raises(lem.Unavailable, match="column 1 is in no part, so it cannot be drawn"):
        lem.Mixture(MIXED, 2).sample(given(lem.Mixture(MIXED, 2)), 10, np.random.default_rng(0))


def test_a_product_of_products_is_the_product():
    """A product over some columns as a part of another has the log density of all parts side by side."""
    x, _ = mixed()
    inner = Product(lem.Gaussian().on(1), Poisson().on(0))
    nested = Product(inner.on(2, 3), lem.Gaussian().on(0))
    flat = Product(lem.Gaussian().on(3), Poisson().on(2), lem.Gaussian().on(0))
    one, two = (lem.Gaussian().params(MEANS[:, [i]], WIDTHS[:, i : i + 1, i : i + 1]) for i in (0, 1))
    density = nested.log_density(nested.params(inner.params(one, RATES), two), x)
    np.testing.assert_allclose(density, flat.log_density(flat.params(one, RATES, two), x), rtol=1e-14)


def test_what_makes_no_product_is_refused_by_name():
    """Columns in two parts, none, twice, negative or true, and families without columns are refused with the remedy."""
    with pytest.raises(ValueError, match="column 1 is in two parts of a Product"):
        Product(lem.Gaussian().on(0, 1), Poisson().on(1))
    with pytest.raises(
        TypeError, match=r"Product was given Poisson\(\): say which columns it is on, as in .*on\(\.\.\.\)"
    ):
        Product(lem.Gaussian().on(0, 1), Poisson())
    with pytest.raises(ValueError, match="Product was given no part"):
        Product()
    for columns in ((), (1, 1), (-1,), (0.5,), (True,)):
        with pytest.raises(ValueError, match=r"columns were given as .*: give different whole numbers"):
            Poisson().on(*columns)


def test_parameters_of_another_product_are_refused():
    """Too few parts, parts of another number of components, and parts out of order are refused, saying which part."""
    normal, rates = lem.Gaussian().params(MEANS, WIDTHS), Poisson().params(RATES)
    with pytest.raises(ValueError, match="parameters of 1 parts were given: there are 2"):
        MIXED.params(normal)
    with pytest.raises(ValueError, match=r"part 1, Poisson\(\).on\(2\): rates of shape \(3, 1\)"):
        MIXED.params(normal, [[1.0], [2.0], [3.0]])
    with pytest.raises(ValueError, match="part 0"):
        MIXED.params(rates, normal)
    with pytest.raises(ValueError, match="those of each of its 2 parts"):
        MIXED.check_params(normal, 2)


def test_data_are_refused_by_their_own_columns():
    """A constant column, a NaN and a count below zero are named by column and row of the data, not of the part."""
    x, _ = mixed(50)
    model = lem.Mixture(MIXED, 2)
    constant = x.copy()
    constant[:, 3] = 7
    with pytest.raises(ColumnError, match="column 'd' is constant"):
        lem.fit(model, pd.DataFrame(constant, columns=list("abcd")))
    negative = x.copy()
    negative[9, 2] = -1
    with pytest.raises(ValueError, match=r"in Poisson\(\).on\(2\): row 9, .* is outside the support of Poisson"):
        lem.fit(model, negative)
    with pytest.raises(ValueError, match="needs column 3: the data have 3 columns"):
        lem.fit(model, x[:, :3])
    family = Product(Bernoulli().on(0), Poisson().on(2))
    model = lem.Mixture(family, 2)
    holes = np.column_stack([x[:, 0] > 0, x[:, 1], x[:, 2]])
    holes[4, 0] = np.nan
    fit = lem.fit(model, holes)
    holes[5, 2] = np.nan
    for ask in (lambda: lem.fit(model, holes), lambda: fit.predict(holes), lambda: fit.score_samples(holes)):
        with pytest.raises(ColumnError, match=r"column 2 holds NaN .*Poisson.* takes no missing values"):
            ask()


def test_what_a_part_reports_has_the_whole_s_names():
    """A floor is an event in the data's column and of the part's block; a collapse is degenerate there."""
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.poisson(3, 40), rng.normal(0, 1, 40), rng.normal(0, 1, 40)]).astype(float)
    x[:5, 1:] = 9.0
    family = Product(Poisson().on(0), lem.Gaussian(lem.Diagonal()).on(2, 1))
    fit = lem.fit(lem.Mixture(family, 2), x, start=(x[:, 1] != 9).astype(int))
    events = [event for event in fit.events if event.kind == "floor"]
    assert events
    assert {event.field for event in events} == {"1.covariances"}
    assert events[0].column in (1, 2)
    plain = Product(Poisson().on(0), lem.Gaussian(lem.Diagonal(), None).on(2, 1))
    model = lem.Mixture(plain, 2)
    statistics = model.gathered(model.chunk(x), np.eye(2)[(x[:, 1] != 9).astype(int)])
    with pytest.raises(lem.Degenerate, match=r"1\.covariances of component 0: collapsed"):
        model.m_step(statistics, model.first(statistics))


def test_components_are_the_same_only_where_all_parts_are():
    """Equal normals with different rates are two components; equal rates too, and they are one."""
    normal = lem.Gaussian().params(MEANS[[0, 0]], WIDTHS[[0, 0]])
    assert MIXED.coincident(MIXED.params(normal, RATES)) == []
    assert MIXED.coincident(MIXED.params(normal, RATES[[1, 1]])) == [(0, 1)]


def test_ill_conditioned_parts_and_priors_are_counted():
    """A product is as rounded as its worst part, and its log prior is the sum of theirs."""
    narrow = np.array([[[1.0, 1 - 1e-9], [1 - 1e-9, 1.0]]])
    prior = lem.InverseWishart(2.0, 3.0)
    normal, other = lem.Gaussian(prior=prior), lem.Gaussian(lem.Spherical(), prior)
    family = Product(other.on(2), normal.on(0, 1))
    parts = other.params([[0.0]], [2.0]), normal.params([[0.0, 0.0]], narrow)
    assert family.rounding(family.params(*parts)) == normal.rounding(parts[1]) > 0
    assert family.log_prior(family.params(*parts)) == other.log_prior(parts[0]) + normal.log_prior(parts[1])


def test_given_covariances_below_the_floor_are_lifted_in_their_part():
    """A start that is too narrow is raised to the floor, as an event of the part; one that is wide enough is itself."""
    x, _ = mixed()
    model = lem.Mixture(MIXED, 2)
    params = given(model)
    statistics = lem.core.e_step(model, params, [model.chunk(x)]).statistics
    assert model.lift(params, statistics)[0] is params
    narrow = evolve(params.components[0], covariances=1e-12 * WIDTHS)
    lifted, events = model.lift(evolve(params, components=MIXED.params(narrow, RATES)), statistics)
    assert (lifted.components[0].variances() > 1e-10).all()
    assert {event.field for event in events} == {"0.covariances"}


def test_parts_are_values():
    """Parts add, scale, iterate and pickle part by part, are equal with NaN equal to NaN, and are read-only."""
    parts = Parts([np.array([1.0, np.nan]), Parts([np.array([[2.0]])])])
    assert (len(parts), len(list(parts))) == (2, 2)
    assert parts == pickle.loads(pickle.dumps(parts))
    assert parts != Parts([np.array([1.0, np.nan])])
    assert (parts + 2.0 * parts - parts)[1][0] == 4.0
    with pytest.raises(ValueError, match="read-only"):
        parts[0][0] = 0
    assert pickle.loads(pickle.dumps(MIXED)) == MIXED


def test_the_table_shows_each_column_once_and_in_its_own_words():
    """A printed fit names data columns, leaves blank what has nothing to show, and leaves out columns of no part."""
    x, _ = mixed()
    x = np.column_stack([x, x[:, 2] > 3])
    family = Product(lem.Gaussian().on(3, 0), Poisson().on(2), Categorical(2).on(4))
    text = str(lem.fit(lem.Mixture(family, 2), pd.DataFrame(x, columns=["a", "b", "c", "d", "e"])))
    for header in ("a: mean ± sd", "c: rate", "d: mean ± sd", "P(e = 0)", "P(e = 1)"):
        assert text.count(header) == 1
    assert "b:" not in text
    assert "nan" not in text


def test_a_degenerate_family_is_named_by_its_part():
    """Waiting times that are all zero in one component are degenerate in that part, not in another."""
    family = Product(lem.Gaussian().on(0), Exponential().on(1), Gamma().on(2))
    rng = np.random.default_rng(5)
    x = np.column_stack([rng.normal(size=20), np.r_[np.zeros(10), np.ones(10)], rng.gamma(2, size=20)])
    model = lem.Mixture(family, 2)
    with pytest.raises(lem.Degenerate, match=r"1\.rates of component 0"):
        model.first(model.gathered(model.chunk(x), np.eye(2)[np.repeat([0, 1], 10)]))
