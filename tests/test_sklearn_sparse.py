"""K-means of sparse tables: the results are those of dense ones, and no dense copy of the rows is made."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, csr_matrix, random_array
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

import latentem as lem
from latentem.kmeans.sparse import SparseRows
from latentem.sklearn import KMeans, MiniBatchKMeans
from latentem.testing import check_model


def words(n=600, d=60, seed=0):
    """Counts of words in three kinds of texts, as a dense table."""
    rng = np.random.default_rng(seed)
    rates = rng.gamma(0.1, 2.0, (3, d))
    return rng.poisson(rates[rng.integers(0, 3, n)]).astype(float)


@pytest.mark.parametrize("make", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("beside", ["nothing", "weights", "labels"])
def test_sparse_rows_give_the_clusters_of_dense_ones(make, beside):
    """From one start the labels are equal and the centres agree to 1e-10, with weights and known labels, too."""
    x = words() * np.random.default_rng(1).normal(1, 0.1, (600, 60))
    weight = np.random.default_rng(2).integers(0, 3, 600) if beside == "weights" else None
    labels = np.full(600, -1)
    labels[:3] = 0, 1, 2
    y = labels if beside == "labels" else None
    options = {"init": x[[0, 200, 400, 599]], "random_state": 0}
    dense, sparse = (make(4, **options).fit(table, y, sample_weight=weight) for table in (x, csr_matrix(x)))
    np.testing.assert_array_equal(sparse.labels_, dense.labels_)
    np.testing.assert_allclose(sparse.cluster_centers_, dense.cluster_centers_, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(sparse.predict(coo_array(x)), dense.labels_)
    assert sparse.inertia_ == pytest.approx(dense.inertia_, rel=1e-12)
    assert sparse.score(csr_array(x), sample_weight=weight) == pytest.approx(dense.score(x, sample_weight=weight))
    assert sparse.n_iter_ == dense.n_iter_


@pytest.mark.parametrize("make", [KMeans, MiniBatchKMeans])
def test_no_chunk_of_a_wide_sparse_table_is_made_dense(make):
    """A fit of 20,000 rows and 50,000 columns stays far below what 256 dense rows take, which is 98 MiB."""
    x = random_array((20_000, 50_000), density=10 / 50_000, rng=np.random.default_rng(0), format="csr")
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            make(4, init="random", n_init=1, max_iter=2, random_state=0).fit(x)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 50 * 2**20


def test_ties_go_to_the_first_of_the_nearest_centres():
    """Among small whole numbers, where many distances tie, labels are those of exact arithmetic."""
    rng = np.random.default_rng(0)
    x, centres = rng.integers(-1, 2, (500, 5)), rng.integers(-1, 2, (7, 5))
    centres[5] = centres[2]
    exact = ((x[:, None] - centres) ** 2).sum(axis=2)
    assert (np.sort(exact, axis=1)[:, 0] == np.sort(exact, axis=1)[:, 1]).sum() > 100
    model = lem.KMeans(7)
    labels = model.labels(model.params(centres), SparseRows(csr_array(x)))
    np.testing.assert_array_equal(labels, exact.argmin(axis=1))


@pytest.mark.parametrize("offset", [0.0, 1e7])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_about_the_means_and_do_not_depend_on_the_order(offset, weighted):
    """Means have the same bits for permuted rows; second moments keep their digits far from zero."""
    rng = np.random.default_rng(3)
    x = rng.normal(offset, 1, (400, 6)) * (rng.random((400, 6)) < [1, 1, 1, 0.5, 0.1, 0.0])
    weight = rng.gamma(1.0, 1.0, 400) if weighted else None
    labels, order = rng.integers(0, 3, 400), rng.permutation(400)
    model = lem.KMeans(4)
    found = model.clustered(SparseRows(csr_array(x), weight), labels)
    turned = model.clustered(SparseRows(csr_array(x[order]), None if weight is None else weight[order]), labels[order])
    np.testing.assert_array_equal(turned.components.means(), found.components.means())
    for j in range(3):
        mine, heavy = x[labels == j], np.ones(400)[labels == j] if weight is None else weight[labels == j]
        mean = np.average(mine, axis=0, weights=heavy)
        np.testing.assert_allclose(found.components.means()[j], mean, rtol=1e-13, atol=1e-15)
        assert found.components.second[j] == pytest.approx((heavy @ (mine - mean) ** 2).sum(), rel=1e-9)
        assert found.weights[j] == pytest.approx(heavy.sum())
    assert found.weights[3] == 0


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_log_densities_keep_their_digits(offset):
    """Log densities are those of differences column by column, also where the product form would lose them."""
    rng = np.random.default_rng(4)
    x, centres = rng.normal(offset, 1, (300, 5)), rng.normal(offset, 1, (3, 5))
    model, variance = lem.KMeans(3), 0.25
    squared = ((x[:, None] - centres) ** 2).sum(axis=2)
    expected = logsumexp(-squared / (2 * variance), axis=1) - np.log(3) - 2.5 * np.log(2 * np.pi * variance)
    found = model.log_evidence(model.params(centres, variance), SparseRows(csr_array(x)))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_a_sparse_chunk_keeps_the_contract():
    """`check_model` passes for K-means on sparse rows, and `lem.fit` draws starts and moves empty clusters."""
    x = np.concatenate([np.random.default_rng(6).poisson(rate, (30, 3)) for rate in (0.5, 2, 5)]).astype(float)
    rows = SparseRows(csr_array(x), weight=np.random.default_rng(5).integers(1, 3, 90))
    fit = lem.fit(lem.KMeans(3), rows)
    check_model(lem.KMeans(3), lem.KMeans(3).params(x[::35]), rows)
    begin = lem.KMeans(3).params(np.concatenate([x[:2], np.full((1, 3), 1e3)]))
    moved, other = (lem.fit(lem.KMeans(3), data, start=begin) for data in (SparseRows(csr_array(x)), x))
    assert [event.kind for event in moved.events] == [event.kind for event in other.events] == ["reseeded"]
    np.testing.assert_allclose(moved.params.components.means, other.params.components.means, rtol=1e-12)
    parts = rows[:40], rows[40:]
    whole = sum(lem.KMeans(3).expectation(fit.params, part).observations for part in parts)
    assert whole == rows.observations


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: SparseRows(csr_array([[1.0, np.nan]])), "row 0 holds nan"),
        (lambda: SparseRows(csr_array(np.eye(2)), weight=[1.0, -1.0]), "the weight of row 1 is -1"),
        (lambda: SparseRows(csr_array(np.eye(2)), allowed=[[True], [False]]), "row 1 is allowed in no component"),
        (lambda: SparseRows(csr_array(np.eye(2) * 1j)), "complex"),
        (lambda: SparseRows(csr_array((0, 3))), "shape"),
        (lambda: lem.fit(lem.KMeans(3), SparseRows(csr_array(np.eye(2)))), "2 rows were given for 3 components"),
        (lambda: lem.fit(lem.KMeans(2), SparseRows(csr_array(np.eye(2))), weights=[1, 1]), "put them into"),
    ],
)
def test_unsound_sparse_rows_are_refused(make, told):
    """What cannot be clustered is an error that says where it is or what to give."""
    with pytest.raises((TypeError, ValueError), match=told):
        make()
