"""Densities without parameters, components of different kinds, and zero inflation."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from attrs import evolve
from independent import jacobian_rank
from scipy import optimize, stats
from scipy.special import expit, logsumexp

import latentem as lem
from latentem.family.composite.assorted import Assorted
from latentem.family.composite.inflated import ZeroInflated, ZeroInflatedParams
from latentem.family.composite.point_mass import PointMass, Uniform
from latentem.family.composite.product import Product
from latentem.family.discrete import Geometric, Poisson
from latentem.family.gaussian.lognormal import LogNormal
from latentem.family.positive import Exponential, Gamma
from latentem.testing import check_model

LAMB = np.repeat([0, 1, 2, 3, 4, 7], [182, 41, 12, 2, 2, 1])[:, None].astype(float)
"""Movements of a foetal lamb in 240 intervals of five seconds (Leroux and Puterman, 1992)."""
ZIP = ZeroInflated(Poisson())
FIELDS = [[-9.0, -9.0], [9.0, 9.0]]


def zeros_and_counts(n=200, seed=0, rates=(2.0, 9.0)):
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 2, n)
    return np.where(rng.random(n) < np.array([0.5, 0.2])[z], 0, rng.poisson(np.array(rates)[z]))[:, None].astype(float)


def zip_evidence(params, chunk):
    parts = params.components
    pmf = stats.poisson(parts.family[:, 0]).pmf(chunk.x)
    return np.log(((parts.inflation * (chunk.x == 0)) + (1 - parts.inflation) * pmf) @ params.weights)


def noisy(n=150, seed=1):
    """Two clusters in the plane, and a tenth of noise."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(-4, 1, (n, 2)), rng.normal(4, 0.7, (n, 2)), rng.uniform(*FIELDS, (n // 5, 2))])
    return x.clip(-9, 9)


# Zero inflation


def test_mixtures_of_zero_inflated_poissons_keep_the_contract():
    """Two zero-inflated Poissons keep the contract, transformed too, and have the pmf written out with scipy's."""
    model = lem.Mixture(ZIP, 2)
    params = model.params([0.4, 0.6], ZIP.params([0.3, 0.15], [[1.5], [7.0]]))
    check_model(model, params, zeros_and_counts(50), evidence=zip_evidence)


def test_the_origin_of_a_zero_is_bernoulli():
    """q of a zero is Bayes' rule by hand; its entropies are those of two outcomes."""
    params = ZIP.params([0.3, 0.0], [[0.7], [2.0]])
    _, hidden = ZIP.infer(params, np.array([[0.0], [3.0]]))
    share = 0.3 / (0.3 + 0.7 * np.exp(-0.7))
    np.testing.assert_allclose(np.exp(hidden.log_structural), [[share, 0], [0, 0]], rtol=1e-14)
    np.testing.assert_allclose(hidden.entropies(), [[stats.bernoulli(share).entropy(), 0], [0, 0]], rtol=1e-13)


@pytest.mark.parametrize("x", [LAMB, zeros_and_counts(rates=(3.0, 3.0))], ids=["lamb", "drawn"])
def test_one_zero_inflated_poisson_is_at_the_maximum_of_its_likelihood(x):
    """A fit of one component is where scipy's own maximiser of the likelihood ends, and where the theory says.

    There the mean of the positive counts is rate / (1 - exp(-rate)), and the share of zeros is the data's own.
    """

    def loss(v):
        pi = expit(v[0])
        return -np.log(pi * (x == 0) + (1 - pi) * stats.poisson(np.exp(v[1])).pmf(x)).sum()

    best = optimize.minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-7})
    fit = lem.fit(lem.Mixture(ZIP, 1), x)
    pi, rate = fit.params.components.inflation[0], fit.params.components.family[0, 0]
    assert abs(fit.log_likelihood + best.fun) < 1e-8
    np.testing.assert_allclose([pi, rate], [expit(best.x[0]), np.exp(best.x[1])], rtol=1e-5)
    np.testing.assert_allclose(rate / -np.expm1(-rate), x[x > 0].mean(), rtol=1e-6)
    np.testing.assert_allclose(pi + (1 - pi) * np.exp(-rate), (x == 0).mean(), rtol=1e-6)
    assert fit.n_parameters == 2


def test_a_fit_parts_two_zero_inflated_poissons():
    """Inflations and rates of 4,000 drawn counts of two kinds come back."""
    fit = lem.fit(lem.Mixture(ZIP, 2), zeros_and_counts(4000, rates=(3.0, 15.0)))
    order = fit.params.components.family[:, 0].argsort()
    np.testing.assert_allclose(fit.params.components.family[order, 0], [3, 15], rtol=0.05)
    np.testing.assert_allclose(
        fit.params.weights[order][1] * (1 - fit.params.components.inflation[order][1]), 0.4, atol=0.03
    )


def positive_and_zeros(n=200):
    return zeros_and_counts(n) * np.random.default_rng(6).gamma(3, 0.3, (n, 1))


def test_families_that_allow_no_zero_keep_the_contract():
    """Zeros among positive amounts are all structural, and the contract holds, transformed too."""
    inner = LogNormal()
    family = ZeroInflated(inner)
    model = lem.Mixture(family, 2)
    params = family.params([0.3, 0.6], inner.params([[0.0], [2.0]], [[[1.0]], [[0.3]]]))
    check_model(lem.Frozen(model, {"weights"}), model.params([0.5, 0.5], params), positive_and_zeros(40))


def test_a_hurdle_is_two_separate_fits():
    """With one component the inflation is the share of zeros, and the rest is the fit of the positive rows."""
    x = positive_and_zeros()
    fit = lem.fit(lem.Mixture(ZeroInflated(LogNormal()), 1), x)
    logs = np.log(x[x > 0])
    np.testing.assert_allclose(fit.params.components.inflation, (x == 0).mean(), rtol=1e-12)
    np.testing.assert_allclose(fit.params.components.family.means, logs.mean(), rtol=1e-12)
    np.testing.assert_allclose(fit.params.components.family.covariances, logs.var(), rtol=1e-12)
    fit = lem.fit(lem.Mixture(ZeroInflated(Gamma()), 1), x)
    shape, _, scale = stats.gamma.fit(x[x > 0], floc=0)
    np.testing.assert_allclose(fit.params.components.inflation, (x == 0).mean(), rtol=1e-12)
    np.testing.assert_allclose(fit.params.components.family.shapes, shape, rtol=1e-6)
    np.testing.assert_allclose(fit.params.components.family.means, shape * scale, rtol=1e-6)


def test_a_continuous_family_does_not_depend_on_units():
    """Rain in other units has the same inflation, though Exponential has a density at zero; a fit by hand agrees."""
    rng = np.random.default_rng(7)
    x = np.where(rng.random(300) < 0.4, 0.0, rng.exponential(2.0, 300))[:, None]
    model = lem.Mixture(ZeroInflated(Exponential(), continuous=True), 1)
    fits = [lem.fit(model, scale * x).params.components for scale in (1.0, 1e-6, 1e6)]
    for fit, scale in zip(fits, (1.0, 1e-6, 1e6), strict=True):
        np.testing.assert_allclose(fit.inflation, (x == 0).mean(), rtol=1e-12)
        np.testing.assert_allclose(1 / fit.family, scale * x[x > 0].mean(), rtol=1e-12)
    params = lem.model.MixtureParams([0.5, 0.5], evolve(fits[0], inflation=[0.2, 0.5], family=np.array([[1.0], [0.3]])))
    check_model(lem.Frozen(lem.Mixture(model.family, 2), {"weights"}), params, x[:40])


def test_hidden_values_of_the_inflated_family_are_counted_in():
    """A zero-inflated Gaussian in the plane with missing cells keeps the contract: both kinds of entropy are there."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(40, 2)) + rng.integers(0, 2, (40, 1)) * 4
    x[::4] = 1.0
    x[1::6, 0] = x[::8, 1] = np.nan
    x[0] = np.nan
    family = ZeroInflated(lem.Gaussian(), at=[1.0, 1.0])
    model = lem.Mixture(family, 2)
    normal = lem.Gaussian().params([[0.0, 0.5], [4.0, 3.0]], [np.eye(2), 2 * np.eye(2)])
    params = model.params([0.5, 0.5], family.params([0.2, 0.1], normal))
    check_model(lem.Frozen(model, {"weights", "means"}), params, x)
    assert abs(model.log_evidence(params, model.chunk(x))[0]) < 1e-12  # nothing is known of it


def test_the_number_of_parameters_of_inflated_families_is_the_rank_of_the_jacobian():
    """Two zero-inflated geometric components: two inflations and two probabilities determine their densities."""
    family = ZeroInflated(Geometric())
    x = np.arange(30.0)[:, None]

    def unpacked(v):
        return family.params(expit(v[:2]), expit(v[2:])[:, None])

    vector = np.array([-1.0, -0.5, 0.3, -1.5])
    rank = jacobian_rank(lambda v: family.log_density(unpacked(v), x).ravel(), vector)
    assert rank == sum(block.size(unpacked(vector)) for block in family.blocks()) == 4


def test_a_mixture_of_one_inflated_column_has_only_the_sum_of_its_structural_zeros_from_the_data():
    """Shared out in another way, with the same drawn weights, they leave the evidence as it is."""
    model = lem.Mixture(ZIP, 2)
    rates = [[2.0], [9.0]]
    one = model.params([0.5, 0.5], ZIP.params([0.4, 0.2], rates))
    other = model.params([0.3, 0.7], ZIP.params([0.0, 3 / 7], rates))
    chunk = model.chunk(zeros_and_counts())
    np.testing.assert_allclose(model.log_evidence(one, chunk), model.log_evidence(other, chunk), rtol=1e-13)


def test_inflations_can_be_held_and_are_drawn():
    """One held inflation stays to the bit; of 20,000 draws the share of zeros is the model's, in each component."""
    model = lem.Mixture(ZIP, 2)
    params = model.params([0.4, 0.6], ZIP.params([0.3, 0.15], [[2.0], [9.0]]))
    held = lem.Frozen(model, {"inflation": lem.Fixed(components=[1])})
    fit = lem.fit(held, zeros_and_counts(), start=params)
    assert fit.params.components.inflation[1] == 0.15
    assert fit.n_parameters == 1 + 1 + 2
    x, z = model.sample(params, 20_000, np.random.default_rng(0))
    for j, (pi, rate) in enumerate([(0.3, 2.0), (0.15, 9.0)]):
        assert abs((x[z == j] == 0).mean() - (pi + (1 - pi) * np.exp(-rate))) < 0.015
        assert abs(x[z == j].mean() - (1 - pi) * rate) < 0.1


def test_the_corners_of_inflation_are_sound():
    """Inflation 0 is the family and 1 a point mass, without NaN, also for a row that cannot be."""
    params = ZIP.params([0.0, 1.0], [[2.0], [3.0]])
    x = np.array([[0.0], [4.0]])
    wanted = [[stats.poisson(2).logpmf(0), 0], [stats.poisson(2).logpmf(4), -np.inf]]
    np.testing.assert_allclose(ZIP.log_density(params, x), wanted)
    density, hidden = ZIP.infer(params, x)
    np.testing.assert_allclose(density, wanted)
    assert np.array_equal(hidden.entropies(), np.zeros((2, 2)))
    statistics = ZIP.expected(x, np.array([[0.5, 0.5], [1.0, 0.0]]), hidden)
    assert np.isfinite(ZIP.log_joint(params, statistics))


def test_inflated_data_and_parameters_are_refused_by_name():
    """Rows outside the family, rows that are all zero, shares above one and another k are refused, by row number."""
    with pytest.raises(ValueError, match=r"row 2, \[-1\.\], is outside the support of Poisson"):
        lem.fit(lem.Mixture(ZIP, 1), np.array([[0.0], [1.0], [-1.0]]))
    hurdle = lem.Mixture(ZeroInflated(LogNormal()), 1)
    with pytest.raises(ValueError, match=r"row 3, .*column 0 is -2"):
        lem.fit(hurdle, np.array([[0.0], [1.0], [0.0], [-2.0], [3.0]]))
    with pytest.raises(ValueError, match=r"every row is .*: leave it out"):
        lem.fit(hurdle, np.zeros((4, 1)))
    with pytest.raises(ValueError, match="inflation was given as"):
        ZIP.params([1.2], [[1.0]])
    with pytest.raises(ValueError, match="rates of shape"):
        ZIP.params([0.5], [[1.0], [2.0]])
    with pytest.raises(ValueError, match=r"parameters of 1 components were given for ZeroInflated.*the model has 2"):
        lem.Mixture(ZIP, 2).params([0.5, 0.5], ZIP.params([0.5], [[1.0]]))
    with pytest.raises(TypeError, match="ZeroInflated was given 3"):
        ZeroInflated(3)
    with pytest.raises(ValueError, match=r"data with 1 columns were given: the point \[0, 0\] has 2"):
        lem.fit(lem.Mixture(ZeroInflated(Poisson(), at=[0, 0]), 1), LAMB)


def test_inflated_components_are_the_same_only_with_the_same_inflation():
    """Equal rates with different inflations are two components."""
    assert ZIP.coincident(ZIP.params([0.1, 0.4], [[2.0], [2.0]])) == []
    assert ZIP.coincident(ZIP.params([0.4, 0.4], [[2.0], [2.0]])) == [(0, 1)]


def test_inflated_columns_are_parts_like_others():
    """In a product each column has an inflation of its own, which the table names after it."""
    rng = np.random.default_rng(9)
    x = np.where(rng.random((80, 2)) < [0.3, 0.6], 0, rng.poisson([3, 8], (80, 2))).astype(float)
    fit = lem.fit(lem.Mixture(Product(ZIP.on(0), ZIP.on(1)), 1), x)
    alone = [lem.fit(lem.Mixture(ZIP, 1), x[:, [i]]) for i in (0, 1)]
    assert abs(fit.log_likelihood - sum(one.log_likelihood for one in alone)) < 1e-9
    assert "inflation of x0" in str(fit)
    assert "x1: rate" in str(fit)


# Densities without parameters, and components of different kinds


def test_a_component_of_zeros_beside_poissons_keeps_the_contract():
    """A point mass beside two Poissons keeps the contract, and is a zero-inflated mixture written another way."""
    family = Assorted(PointMass(0), Poisson(), Poisson())
    model = lem.Mixture(family, 3)
    params = model.params([0.2, 0.5, 0.3], family.params(PointMass(0).params(), [[2.0]], [[8.0]]))

    def evidence(params, chunk):
        each = [chunk.x[:, 0] == 0, *(stats.poisson(rate).pmf(chunk.x[:, 0]) for rate in (2.0, 8.0))]
        return np.log(params.weights @ each)

    x = zeros_and_counts()
    check_model(lem.Frozen(model, {"weights"}), params, x[:50])
    np.testing.assert_allclose(model.log_evidence(params, lem.Rows(x)), evidence(params, lem.Rows(x)), rtol=1e-12)
    assert [block.name for block in model.blocks()] == ["weights", "components.1", "components.2"]


def test_a_point_mass_beside_one_poisson_is_the_zero_inflated_poisson():
    """Both ways of writing it reach the same likelihood, rate and share of zeros on the lamb's movements."""
    inflated = lem.fit(lem.Mixture(ZIP, 1), LAMB)
    assorted = lem.fit(lem.Mixture(Assorted(PointMass(0), Poisson()), 2), LAMB)
    assert abs(assorted.log_likelihood - inflated.log_likelihood) < 1e-9
    np.testing.assert_allclose(assorted.params.weights[0], inflated.params.components.inflation[0], rtol=1e-5)
    assert assorted.n_parameters == inflated.n_parameters == 2


def test_noise_keeps_the_contract_and_leaves_the_clusters_alone():
    """Beside a uniform component two Gaussians find clusters that noise surrounds, and the density is scipy's."""
    family = Assorted(Uniform(*FIELDS), lem.Gaussian(), lem.Gaussian(lem.Spherical()))
    model = lem.Mixture(family, 3)
    x = noisy()
    fit = lem.fit(model, x)
    means = np.concatenate([fit.params.components[j].means for j in (1, 2)])
    np.testing.assert_allclose(means[means[:, 0].argsort()], [[-4, -4], [4, 4]], atol=0.25)
    assert abs(fit.params.weights[0] - 30 / 330) < 0.03

    def evidence(params, chunk):
        spherical = params.components[2]
        each = [
            stats.uniform(-9, 18).logpdf(chunk.x).sum(axis=1),
            stats.multivariate_normal(
                *(v[0] for v in (params.components[1].means, params.components[1].covariances))
            ).logpdf(chunk.x),
            stats.multivariate_normal(spherical.means[0], spherical.covariances[0] * np.eye(2)).logpdf(chunk.x),
        ]
        return logsumexp(np.log(params.weights) + np.transpose(each), axis=1)

    np.testing.assert_allclose(fit.score_samples(x), evidence(fit.params, lem.Rows(x)), rtol=1e-9)
    two = lem.Mixture(Assorted(*family.families[:2]), 2)
    start = lem.model.MixtureParams([0.2, 0.8], two.family.params(*fit.params.components.values[:2]))
    check_model(lem.Frozen(two, {"weights"}), start, x[::6])


def test_the_floor_of_one_component_is_relative_to_all_the_data():
    """A Gaussian of its own kind that sits on one repeated row stops at 1e-8 of the data's variance, and says so."""
    x = np.concatenate([np.random.default_rng(0).normal(0, 1, (60, 2)), np.full((5, 2), 3.0)])
    family = Assorted(lem.Gaussian(lem.Diagonal()), lem.Gaussian(lem.Diagonal()))
    fit = lem.fit(lem.Mixture(family, 2), x, start=(x[:, 0] == 3).astype(int))
    np.testing.assert_allclose(fit.params.components[1].covariances[0], 1e-8 * x.var(axis=0), rtol=1e-9)
    event = next(event for event in fit.events if event.kind == "floor")
    assert (event.component, event.field) == (1, "1.covariances")
    assert "component 1" in event.message
    both = lem.fit(lem.GaussianMixture(2, structure=lem.Diagonal()), x, start=(x[:, 0] == 3).astype(int))
    assert abs(fit.log_likelihood - both.log_likelihood) < 1e-8


def test_components_of_one_kind_are_a_plain_mixture():
    """Assorted families that are all the same give the fit of one family, to rounding."""
    x = zeros_and_counts()
    start = (x[:, 0] > 5).astype(int)
    plain = lem.fit(lem.Mixture(Poisson(), 2), x, start=start)
    assorted = lem.fit(lem.Mixture(Assorted(Poisson(), Poisson()), 2), x, start=start)
    assert abs(plain.log_likelihood - assorted.log_likelihood) < 1e-9
    np.testing.assert_allclose([rates[0, 0] for rates in assorted.params.components], plain.params.components[:, 0])


def test_a_row_need_suit_one_family_only():
    """Zeros go to the point mass and positive rows to LogNormal, which never sees a zero; -1 suits neither."""
    family = Assorted(PointMass(0), LogNormal())
    x = zeros_and_counts() * 1.5
    fit = lem.fit(lem.Mixture(family, 2), x)
    np.testing.assert_allclose(fit.params.weights[0], (x == 0).mean(), rtol=1e-12)
    np.testing.assert_allclose(fit.params.components[1].means, np.log(x[x > 0]).mean(), rtol=1e-12)
    check_model(lem.Frozen(fit.model, {"weights"}), fit.params, x[:40])
    x[7] = -1
    with pytest.raises(ValueError, match=r"row 7, .*-1.*, is outside the support of every family"):
        lem.fit(lem.Mixture(family, 2), x)


def test_hidden_values_of_some_components_are_counted_in():
    """A point mass, a zero-inflated Poisson and a geometric keep the contract: q of one component in three."""
    family = Assorted(PointMass(3), ZIP, Geometric())
    model = lem.Mixture(family, 3)
    params = family.params(PointMass(3).params(), ZIP.params([0.3], [[4.0]]), [[0.2]])
    check_model(
        lem.Frozen(model, {"weights", "components.2"}), model.params([0.2, 0.4, 0.4], params), zeros_and_counts(40)
    )


def test_a_foreign_q_that_puts_a_row_where_it_cannot_be_is_a_bound_of_minus_infinity():
    """Half a unit at a point where it is not makes Q minus infinity, not a bound above the evidence."""
    family = Assorted(PointMass(0), LogNormal())
    model = lem.Mixture(family, 2)
    params = model.params([0.5, 0.5], family.params(PointMass(0).params(), LogNormal().params([[0.0]], [[[1.0]]])))
    x = np.array([[0.0], [2.0]])
    for q in ([[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.5, 0.5]]):
        statistics = model.gathered(model.chunk(x), np.array(q))
        assert model.log_joint(params, statistics) == -np.inf


def test_the_number_of_components_is_that_of_the_families():
    """Another k is refused, whether a fit starts at random, from parameters or from labels."""
    family = Assorted(PointMass(0), Poisson())
    with pytest.raises(
        ValueError, match=r"Assorted\(PointMass\(0\), Poisson\(\)\) has 2 components, and 3 were asked for"
    ):
        lem.fit(lem.Mixture(family, 3), LAMB)
    with pytest.raises(ValueError, match="has 2 components, and 1 were asked for"):
        family.params([[1.0]])
    with pytest.raises(ValueError, match=r"component 1, Poisson\(\), which is one: rates of shape \(2, 1\)"):
        family.params(PointMass(0).params(), [[1.0], [2.0]])
    with pytest.raises(TypeError, match=r"Assorted was given .*: give a Family for each component"):
        Assorted(Poisson(), "noise")
    with pytest.raises(ValueError, match=r"no row is in the support of PointMass\(5\), component 0"):
        lem.fit(lem.Mixture(Assorted(PointMass(5), Poisson()), 2), LAMB)


def test_what_a_component_reports_has_its_number():
    """A collapse in the second family is of component 1, and equal families with equal parameters are coincident."""
    family = Assorted(Uniform(*FIELDS), lem.Gaussian(prior=None), lem.Gaussian(prior=None))
    model = lem.Mixture(family, 3)
    x = noisy(20)
    labels = np.arange(len(x)) % 2
    labels[:2] = 2
    statistics = model.gathered(model.chunk(x), np.eye(3)[labels])
    with pytest.raises(lem.Degenerate, match=r"2\.covariances of component 2: collapsed"):
        model.m_step(statistics, model.first(statistics))
    normal = lem.Gaussian().params([[1.0, 2.0]], [np.eye(2)])
    assert family.coincident(family.params(Uniform(*FIELDS).params(), normal, normal)) == [(1, 2)]
    moved = evolve(normal, means=[[1.1, 2.0]])
    assert family.coincident(family.params(Uniform(*FIELDS).params(), normal, moved)) == []


def test_an_empty_component_stays_as_it_is():
    """A component that no row is in keeps its parameters, and is reported as empty."""
    family = Assorted(Poisson(), Poisson(), PointMass(0))
    model = lem.Mixture(family, 3)
    params = model.params([0.5, 0.0, 0.5], family.params([[2.0]], [[5.0]], PointMass(0).params()))
    fit = lem.fit(model, LAMB, start=params)
    assert fit.params.components[1] == 5.0
    assert [event.kind for event in fit.events] == ["empty"]


def test_draws_are_of_their_own_kinds():
    """Of 20,000 draws one component has zeros alone, one the moments of its box, one those of Poisson counts."""
    family = Assorted(PointMass(0), Uniform([0, 10], [1, 30]), Poisson())
    params = family.params(PointMass(0).params(), Uniform([0, 10], [1, 30]).params(), [[2.0, 5.0]])
    x, z = lem.Mixture(family, 3).sample(
        lem.model.MixtureParams([0.3, 0.3, 0.4], params), 20_000, np.random.default_rng(0)
    )
    assert x.shape == (20_000, 2)
    assert not x[z == 0].any()
    np.testing.assert_allclose(x[z == 1].mean(axis=0), [0.5, 20], rtol=0.02)
    np.testing.assert_allclose(x[z == 1].var(axis=0), [1 / 12, 400 / 12], rtol=0.04)
    np.testing.assert_allclose(x[z == 2].mean(axis=0), [2, 5], rtol=0.03)


def test_densities_without_parameters_are_what_they_say():
    """A point has mass one at itself alone; a box has scipy's density, ends inside, whatever of a row is missing."""
    x = np.array([[0.0, 1.0], [0.0, 2.0], [np.nan, 1.0], [5.0, 0.0]])
    assert np.array_equal(PointMass([0, 1]).logs(x), [0, -np.inf, 0, -np.inf])
    box = Uniform([0, 0], [5, 1])
    np.testing.assert_allclose(box.logs(x), [-np.log(5), -np.inf, 0, -np.log(5)], atol=1e-15)
    wide = Uniform(-1.5e308, 1.5e308)
    np.testing.assert_allclose(wide.logs(np.array([[1.0]])), -np.log(1.5e308) - np.log(2), rtol=1e-14)
    model = lem.Mixture(Assorted(box, box), 2)
    assert model.family.coincident(model.family.params(box.params(), box.params())) == [(0, 1)]
    for value in (PointMass([0, 1]), box, model.family, ZIP):
        assert pickle.loads(pickle.dumps(value)) == value


def test_impossible_points_and_boxes_are_refused_by_name():
    """Infinite points, tables, empty boxes, other parameters and other widths are refused."""
    for at in (np.inf, [[1.0]], []):
        with pytest.raises(ValueError, match="was given: give a finite number"):
            PointMass(at)
    for low, high in ((1, 1), ([0, 0], [1, -1]), ([0, 0], 1)):
        with pytest.raises(ValueError, match=r"a box from .* was given: give as many"):
            Uniform(low, high)
    with pytest.raises(
        ValueError,
        match=r"shape \(1, 0\) was given: parameters of PointMass\(0\) hold no.*; give PointMass\(0\).params\(2\)",
    ):
        PointMass(0).check_params(PointMass(0).params(), 2)
    with pytest.raises(ValueError, match=r"data with 1 columns were given: the box .* has 2"):
        lem.fit(lem.Mixture(Assorted(Uniform(*FIELDS), Poisson()), 2), LAMB)


def test_inflated_parameters_are_values():
    """Inflations and the family's parameters are equal, pickled and read-only as other parameters are."""
    params = ZIP.params([0.5], [[1.0]])
    assert params == pickle.loads(pickle.dumps(params)) == ZeroInflatedParams([0.5], np.array([[1.0]]))
    with pytest.raises(ValueError, match="read-only"):
        params.family[0] = 2
