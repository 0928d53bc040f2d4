"""Marginals of families: the law of some of the columns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import latentem as lem

MEANS = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, -1.0]])
FULL = np.array([np.diag([1.0, 2.0, 3.0]) + 0.5, np.diag([4.0, 1.0, 1.0]) + 0.2])
POSITIVE = np.array([[0.5, 1.0, 2.0], [3.0, 1.5, 0.7]])
SHARES = np.array([[0.2, 0.5, 0.7], [0.9, 0.4, 0.1]])
LEVELS = np.array([[[0.5, 0.5, 0], [0.2, 0.3, 0.5], [0.9, 0.1, 0]], [[0.1, 0.9, 0], [0.4, 0.4, 0.2], [0.3, 0.7, 0]]])
WHOLE = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 2.0, 1.0]])
REAL = np.array([[0.3, 1.2, 2.0], [1.0, 0.4, 0.1], [2.5, 2.0, 1.0]])
MIXED = lem.Product(lem.Poisson().on(2), lem.Gaussian().on(0, 1))

INDEPENDENT = [
    (lem.Poisson(), POSITIVE, WHOLE),
    (lem.Geometric(), lem.Geometric().params(SHARES), WHOLE),
    (lem.Exponential(), POSITIVE, REAL),
    (lem.Bernoulli(), SHARES, WHOLE.clip(0, 1)),
    (lem.Binomial((1, 2, 3)), SHARES, WHOLE),
    (lem.Categorical((2, 3, 2)), LEVELS, WHOLE),
    (lem.Gamma(), lem.Gamma().params(POSITIVE, POSITIVE[::-1]), REAL),
    (lem.Weibull(), lem.Weibull().params(POSITIVE, POSITIVE[::-1]), REAL),
    (lem.NegativeBinomial(), lem.NegativeBinomial().params(POSITIVE, SHARES), WHOLE),
    (lem.Gaussian(lem.Diagonal()), lem.Gaussian(lem.Diagonal()).params(MEANS, POSITIVE), REAL),
    (lem.Gaussian(lem.Tied(lem.Spherical())), lem.Gaussian(lem.Tied(lem.Spherical())).params(MEANS, 2.0), REAL),
    (lem.LogNormal(lem.Diagonal()), lem.LogNormal(lem.Diagonal()).params(MEANS, POSITIVE), REAL),
    (lem.Uniform([0, 0, 0], [3, 4, 5]), lem.Uniform([0, 0, 0], [3, 4, 5]).params(2), REAL),
    (lem.PointMass([1.0, 0.0, 0.0]), lem.PointMass([1.0, 0.0, 0.0]).params(2), WHOLE[1:2]),
]


@pytest.mark.parametrize(("family", "params", "x"), INDEPENDENT, ids=lambda given: type(given).__name__)
def test_independent_columns_are_the_product_of_their_marginals(family, params, x):
    """The log densities of the single columns, and of two of them beside the third, add up to that of the row."""
    whole = family.log_density(params, x)
    for parts in (((0,), (1,), (2,)), ((2, 0), (1,))):
        found = 0.0
        for columns in parts:
            own, its = family.marginal(params, columns, 3)
            found = found + own.log_density(its, x[:, columns])
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("columns", [(1,), (2, 0), (0, 1, 2)])
def test_correlated_columns_have_the_block_of_their_covariance(columns):
    """Gaussian and Student marginals are scipy's of the chosen means and block; so are those of mixtures of them."""
    block = np.ix_(columns, columns)
    x = REAL[:, columns]
    normal = [stats.multivariate_normal(MEANS[j][list(columns)], FULL[j][block]).logpdf(x) for j in (0, 1)]
    family = lem.Gaussian()
    own, its = family.marginal(family.params(MEANS, FULL), columns, 3)
    np.testing.assert_allclose(own.log_density(its, x), np.transpose(normal))
    student = lem.Student()
    own, its = student.marginal(student.params(MEANS, FULL, [3.0, 9.0]), columns, 3)
    for j, dof in enumerate((3.0, 9.0)):
        wanted = stats.multivariate_t(MEANS[j][list(columns)], FULL[j][block], dof).logpdf(x)
        np.testing.assert_allclose(own.log_density(its, x)[:, j], wanted)
    members = lem.MixtureOf(family, 2)
    own, its = members.marginal(members.params([[0.3, 0.7]], family.params(MEANS, FULL)), columns, 3)
    wanted = np.logaddexp(np.log(0.3) + normal[0], np.log(0.7) + normal[1])
    np.testing.assert_allclose(own.log_density(its, x)[:, 0], wanted)


def test_a_product_has_the_marginals_of_its_parts():
    """Columns of two parts are their product in the order that is asked for; of one part it is that part's family."""
    gaussian = lem.Gaussian().params(MEANS[:, :2], FULL[:, :2, :2])
    params = MIXED.params(POSITIVE[:, :1], gaussian)
    x = np.column_stack([WHOLE[:, 0], REAL[:, 1]])
    own, its = MIXED.marginal(params, (2, 1), 3)
    wanted = [
        stats.poisson.logpmf(x[:, 0], POSITIVE[j, 0]) + stats.norm.logpdf(x[:, 1], MEANS[j, 1], FULL[j, 1, 1] ** 0.5)
        for j in (0, 1)
    ]
    np.testing.assert_allclose(own.log_density(its, x), np.transpose(wanted))
    assert isinstance(MIXED.marginal(params, (1, 0), 3)[0], lem.Gaussian)
    centres, scales, dof = MIXED.marginal(params, (0, 1), 3)[0].elliptical(gaussian)
    np.testing.assert_array_equal(scales, FULL[:, :2, :2])
    assert np.isinf(dof).all()
    np.testing.assert_array_equal(centres, MEANS[:, :2])


def test_normal_parts_are_normal_together():
    """A product of Gaussian parts has a covariance of blocks."""
    product = lem.Product(lem.Gaussian().on(0), lem.Gaussian().on(1))
    own = [lem.Gaussian().params(MEANS[:, [i]], FULL[:, [i]][:, :, [i]]) for i in (0, 1)]
    _, scales, _ = product.elliptical(product.params(*own))
    np.testing.assert_array_equal(scales[0], np.diag([FULL[0, 0, 0], FULL[0, 1, 1]]))


def test_an_inflated_zero_is_one_in_each_column():
    """The marginal of a zero-inflated family is inflated alike at its own column of the point."""
    family = lem.ZeroInflated(lem.Poisson(), at=[0.0, 1.0, 0.0])
    params = family.params([0.2, 0.5], POSITIVE)
    own, its = family.marginal(params, (1,), 3)
    wanted = np.log([0.2, 0.5] + np.array([0.8, 0.5]) * stats.poisson.pmf(1, POSITIVE[:, 1]))
    np.testing.assert_allclose(own.log_density(its, np.array([[1.0]]))[0], wanted)


@pytest.mark.parametrize(
    ("family", "params"),
    [
        (lem.Multinomial(), SHARES / SHARES.sum(axis=1, keepdims=True)),
        (lem.LinearRegression(), None),
        (MIXED, lem.family.Parts([POSITIVE[:, :1], lem.Gaussian().params(MEANS[:, :2], FULL[:, :2, :2])])),
    ],
    ids=["multinomial", "regression", "product"],
)
def test_what_has_no_marginal_says_so(family, params):
    """Outcomes that share a total, a response alone, and columns in no part have none."""
    with pytest.raises(lem.Unavailable):
        family.marginal(params, (0, 3), 4)
