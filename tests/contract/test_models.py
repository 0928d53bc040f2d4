"""Every model of the library keeps the contract, bare, transformed, shifted and scaled."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from scipy import stats
from subjects import STRUCTURES

import latentem as lem
from latentem.testing import check_model

X = lem.datasets.old_faithful()[:45]


def start(structure):
    k, d = 3, 2
    widths = {2: np.diag([0.5, 60.0]), 1: np.array([0.5, 60.0]), 0: np.array(20.0)}[len(structure.each.one(d))]
    covariances = widths if structure.tied else np.stack([widths * (1 + 0.3 * j) for j in range(k)])
    model = lem.GaussianMixture(k, structure=structure)
    return model, model.params([0.2, 0.3, 0.5], [[2.0, 50.0], [4.0, 70.0], [4.5, 85.0]], covariances)


def evidence(params, chunk):
    dense = params.components.dense()
    density = sum(
        w * stats.multivariate_normal(m, c).pdf(chunk.x)
        for w, m, c in zip(params.weights, params.components.means, dense, strict=True)
    )
    return np.log(density)


def moved(params, chunk, shift, scale):
    parts = params.components
    squared = evolve(parts, means=scale * parts.means + shift, covariances=scale**2 * parts.covariances)
    return evolve(params, components=squared), lem.Rows(scale * chunk.x + shift, chunk.weight, chunk.allowed)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_gaussian_mixtures_keep_the_contract(structure):
    """Each structure keeps all six clauses, on shifted and scaled data, and agrees with scipy's densities."""
    model, params = start(structure)
    check_model(model, params, X, evidence=evidence, moved=moved)


@pytest.mark.parametrize(
    "prior",
    [
        lem.InverseWishart([[0.5, 1.0], [1.0, 40.0]], 4.0),
        lem.PseudoCounts(2.0),
        (lem.PseudoCounts(0.5), lem.Floor(1e-4)),
        lem.Floor(0.5),
    ],
    ids=str,
)
@pytest.mark.parametrize("structure", [lem.Full(), lem.Tied(lem.Diagonal()), lem.Spherical()], ids=str)
def test_priors_keep_the_contract(structure, prior):
    """Pseudo-counts, an inverse Wishart and a floor that is active everywhere keep the contract."""
    _, params = start(structure)
    check_model(lem.GaussianMixture(3, structure=structure, prior=prior), params, X)


def test_fixed_and_partly_fixed_fields_keep_the_contract():
    """Holding weights at a value, some means and some covariances keeps the contract."""
    _, params = start(lem.Full())
    model = lem.GaussianMixture(
        3,
        weights=lem.Fixed([0.2], components=[0]),
        means=lem.Fixed([[4.0, 70.0]], components=[1]),
        covariances=lem.Fixed(params.components.covariances[[2]], components=[2]),
    )
    check_model(model, params, X, evidence=evidence)


def test_weights_and_known_labels_keep_the_contract():
    """Row weights, some of them zero, and rows with one or two allowed components keep the contract."""
    rng = np.random.default_rng(3)
    model, params = start(lem.Full())
    allowed = rng.random((len(X), 3)) < 0.6
    allowed[np.arange(len(X)), rng.integers(3, size=len(X))] = True
    check_model(model, params, lem.Rows(X, rng.integers(0, 4, len(X)).astype(float), allowed))


def test_poisson_mixture_keeps_the_contract():
    """A Poisson mixture in two columns keeps the contract and agrees with scipy's densities."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.choice([[1.0, 4.0], [6.0, 0.5]], 80))
    model = lem.Mixture(lem.Poisson(), 2)
    params = model.params([0.4, 0.6], lem.Poisson().params([[2.0, 3.0], [4.0, 1.0]]))

    def poisson(params, chunk):
        each = [stats.poisson(rates).pmf(chunk.x).prod(axis=1) for rates in params.components]
        return np.log(np.transpose(each) @ params.weights)

    check_model(model, params, counts, evidence=poisson)


def test_kmeans_keeps_the_contract():
    """K-means keeps the contract, also shifted and scaled."""
    model = lem.KMeans(3)
    check_model(model, model.params([[2.0, 50.0], [4.0, 70.0], [4.5, 85.0]], 20.0), X, moved=moved)
