"""Starts by model-based hierarchical agglomeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from subjects import FAITHFUL

import latentem as lem
from latentem.start.agglomeration import Hierarchy, agglomerated
from latentem.start.starts import starts

NAME = "hierarchical agglomeration"


def cost(x, count, members):
    """Twice what a group lacks of a classification log likelihood, by eigenvalues of numpy's covariance."""
    n = count[members].sum()
    scatter = n * np.cov(x[members].T, aweights=count[members], bias=True).reshape(x.shape[1], -1)
    return n * np.log(np.linalg.eigvalsh((scatter + np.eye(x.shape[1])) / (n + 1))).sum()


@pytest.mark.parametrize("d", [1, 2, 3])
def test_every_merger_is_the_best_of_all(d):
    """Of all pairs of groups the one is merged that leaves the criterion best, computed from the rows themselves."""
    rng = np.random.default_rng(d)
    x, count = rng.normal(size=(14, d)), rng.uniform(0.5, 2.0, 14)
    labels = np.r_[np.arange(11), [0, 0, 4]]
    groups = [np.flatnonzero(labels == j) for j in range(11)]
    hierarchy = Hierarchy(x, count, labels)
    while len(groups) > 1:
        split = list(combinations(range(len(groups)), 2))

        def merged(one, other, groups=groups):
            rest = [group for j, group in enumerate(groups) if j not in (one, other)]
            return [*rest, np.r_[groups[one], groups[other]]]

        groups = min((merged(*pair) for pair in split), key=lambda found: sum(cost(x, count, g) for g in found))
        hierarchy.merge()
        found = hierarchy.names[labels]
        assert len(hierarchy) == len(groups) == found.max() + 1
        assert all(len(set(found[group])) == 1 for group in groups)


def long_and_narrow(seed):
    """Rows of three parallel bars, ten times as long as wide, and which bar each is of."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], 100)
    return rng.normal(size=(300, 2)) * [3.0, 0.3] + np.outer(labels, [0.0, 2.0]), labels


def agreement(found, labels):
    """The share of rows whose group is mostly theirs."""
    table = np.array([[np.sum((found == i) & (labels == j)) for j in range(3)] for i in range(3)])
    return table.max(axis=1).sum() / len(labels)


def made(model, x, rng=0, **options):
    """The parameters of the start by agglomeration among ten."""
    start = next(s for s in starts(model, model.chunks(x, **options), None, 10, rng) if s.name == NAME)
    return start.make()


def test_long_narrow_groups_are_found_where_k_means_cuts_them():
    """Of parallel bars agglomeration keeps nine rows of ten together; k-means++ cuts them across."""
    for seed in range(5):
        x, labels = long_and_narrow(seed)
        model = lem.GaussianMixture(3)
        first = starts(model, model.chunks(x), None, 1, seed)[0].make()
        own, other = (model.posterior(params, model.chunk(x)).labels() for params in (made(model, x, seed), first))
        assert agreement(own, labels) > 0.9
        assert agreement(other, labels) < 0.8


def test_affine_maps_and_weights_leave_the_groups_as_they_are():
    """Other coordinates, units and origins map the start; weights count relatively, and one of zero is absence."""
    model, x = lem.GaussianMixture(3), FAITHFUL
    here = made(model, x)
    turn, origin = np.array([[2.0**40, 3.0], [-(2.0**39), 5.0]]), [2.0**50, -7.0]
    there = made(model, x @ turn + origin)
    back = np.linalg.solve(turn.T, (there.components.means - origin).T).T
    np.testing.assert_allclose(back, here.components.means, rtol=1e-6)
    np.testing.assert_allclose(there.weights, here.weights, rtol=1e-12)
    scaled = made(model, x, weights=np.full(272, 2.0**-60))
    np.testing.assert_allclose(scaled.components.covariances, here.components.covariances, rtol=1e-9)
    absent = made(model, np.r_[x, 100 * x[:50]], weights=np.r_[np.ones(272), np.zeros(50)])
    np.testing.assert_allclose(absent.components.means, here.components.means, rtol=1e-12)


def test_rows_that_are_alike_make_one_group():
    """Of three distinct rows, repeated, there are three groups at most, and of one there is one."""
    rng = np.random.default_rng(0)
    for distinct, k in ((3, 2), (3, 5), (1, 2)):
        rows = np.repeat(rng.normal(size=(distinct, 2)), 7, axis=0)
        labels = agglomerated(rows, np.ones(len(rows)), k, rng)
        assert labels.max() + 1 == min(distinct, k)
        assert (labels.reshape(distinct, 7) == labels[::7, None]).all()


STACKED = np.repeat(FAITHFUL[:3], 20, axis=0)
GAPS = np.where(np.random.default_rng(0).random(FAITHFUL.shape) < 0.1, np.nan, FAITHFUL)


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (lem.GaussianMixture(5), STACKED),
        (lem.GaussianMixture(3, lem.Spherical()), np.c_[FAITHFUL, np.full(272, 7.0)]),
        (lem.GaussianMixture(40), FAITHFUL),
        (lem.GaussianMixture(2), FAITHFUL[:2]),
        (lem.GaussianMixture(3), FAITHFUL[:, :1]),
        (lem.GaussianMixture(3), GAPS),
        (lem.GaussianMixture(3), np.tile(FAITHFUL, (20, 1)) + np.arange(5440)[:, None] % 7 / 10),
        (lem.GaussianMixture(3, noise=True), FAITHFUL),
        (lem.Mixture(lem.Student(), 3), FAITHFUL),
        (lem.Mixture(lem.LogNormal(), 3), FAITHFUL),
        (lem.HiddenMarkov(lem.Gaussian(), 3), FAITHFUL),
        (lem.Frozen(lem.GaussianMixture(3), {"weights"}), FAITHFUL),
    ],
    ids=["few-distinct", "constant", "many", "k=n", "one-column", "missing", "sample", "noise", *map(str, range(4))],
)
def test_it_begins_every_kind_of_data_and_model(model, x):
    """The start is sound: the model takes its parameters, and every row has a finite density."""
    model = model.settled(lem.Serial().place(model.chunks(x)))
    params = made(model, x)
    model.check_params(params)
    assert np.isfinite(model.log_evidence(params, model.chunk(x))).all()


def test_it_is_left_out_where_groups_say_little():
    """Known labels, many columns, many components, K-means and counts have none."""
    wide = np.random.default_rng(0).normal(size=(100, 17))
    known = np.r_[0, 1, np.full(270, -1)]
    for model, x, options in (
        (lem.GaussianMixture(2), FAITHFUL, {"allowed": known}),
        (lem.GaussianMixture(2, lem.Diagonal()), wide, {}),
        (lem.GaussianMixture(65), FAITHFUL, {}),
        (lem.KMeans(2), FAITHFUL, {}),
        (lem.Mixture(lem.Poisson(), 2), np.round(FAITHFUL), {}),
    ):
        assert NAME not in [s.name for s in starts(model, model.chunks(x, **options), None, 10, 0)]
