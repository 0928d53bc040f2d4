"""Lloyd's algorithm in compiled loops: to the bit what numpy computes, from labels and ties to the sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from test_lloyd import adversaries, blobs, by_hand, course, exactly

import latentem as lem
from latentem.compiled import VARIABLE, Loops
from latentem.engine import Processes, Serial, Threads
from latentem.kmeans import Addends, recalled
from latentem.kmeans.lloyd import LOOPS, Memory
from latentem.kmeans.sparse import SparseRows


@pytest.fixture(scope="module")
def loops():
    """The loops of K-means, ready in this process; skipped where numba is not installed."""
    numba = pytest.importorskip("numba", reason="the extra `fast` is not installed: pip install numba")
    found = Loops(LOOPS, numba.__version__)
    found.prepare()
    return found


@settings(max_examples=60, deadline=None)
@given(
    n=st.sampled_from([5, 255, 256, 257, 900]),
    d=st.sampled_from([1, 2, 3, 8, 15, 16, 17, 33, 63]),
    k=st.sampled_from([1, 2, 3, 4, 5, 8, 64, 70]),
    apart=st.sampled_from([0.1, 1.0, 30.0]),
    offset=st.sampled_from([0.0, 1e6]),
    weighted=st.booleans(),
    whole=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_run_has_the_same_bits_as_in_numpy(loops, n, d, k, apart, offset, weighted, whole, seed):
    """At every step labels and statistics are those of numpy to the bit, for rows that tie and with weights too."""
    x = blobs(n, d, min(k, n), apart, seed) + offset
    if whole:
        x = np.rint(x)
    weight = np.random.default_rng(seed).gamma(0.5, size=n) + 1e-4 if weighted else None
    centres = np.resize(x, (k, d)).copy()
    with loops.used():
        found = course(x, centres, 12, {}, weight)
    for mine, other in zip(found, course(x, centres, 12, {}, weight), strict=True):
        np.testing.assert_array_equal(mine[1], other[1])
        assert mine[2] == other[2]


@pytest.mark.parametrize("k", [2, 9, 64, 90])
def test_ties_go_to_the_lowest_label(loops, k):
    """On a grid many distances tie exactly, and identical centres always do: the lowest label has the row."""
    rng = np.random.default_rng(k)
    x = rng.integers(0, 6, size=(500, 3)).astype(float)
    centres = rng.integers(0, 11, size=(k, 3)) / 2
    centres[-1] = centres[0]
    distances = np.sort(whole := ((2 * x[:, None] - 2 * centres) ** 2).sum(axis=2), axis=1)
    assert np.count_nonzero(distances[:, 0] == distances[:, 1]) > 20
    with loops.used():
        np.testing.assert_array_equal(recalled(centres, lem.Rows(x), {}).labels, whole.argmin(axis=1))


def test_centres_at_any_distance_are_compared_soundly(loops):
    """Centres 1e12, 1e30 and 1e200 widths away neither overflow nor blur the others, nor do those that nearly tie."""
    x = blobs(200, 2, 3)
    near, far = x[:3], np.array([[1e12, 0.0], [0.0, -1e30], [1e200, 1e200]])
    cases = [np.concatenate([far, near]), np.concatenate([near, far]), far[:2], np.concatenate([near, near + 1e-13])]
    with loops.used():
        for centres in cases:
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(recalled(centres, lem.Rows(x), {}).labels, by_hand(x, centres))


@pytest.mark.parametrize(("name", "x"), list(adversaries()), ids=[name for name, _ in adversaries()])
def test_no_margin_is_wider_than_the_exact_one(loops, name, x):
    """The bound by how much the nearest centre is nearer than others is below the difference of exact distances."""
    rng = np.random.default_rng(9)
    centres = x[rng.integers(0, len(x), 9)] + 1e-3 * rng.normal(size=(9, x.shape[1])) * x.std(axis=0)
    with loops.used():
        memory = recalled(centres, lem.Rows(x), {})
    for i, row in enumerate(x[:12]):
        exact = np.sqrt([float(exactly(row, centre)) for centre in centres]) * memory._screened.unit
        label = memory.labels[i]
        assert memory._margins[i] <= np.delete(exact, label).min() - exact[label] + 1e-14


def test_displacements_are_those_of_numpy(loops):
    """By how much margins may have shrunk is the same within rounding, also for a centre at 1e200."""
    rng = np.random.default_rng(3)
    chunk = lem.Rows(blobs(300, 5, 4))
    for k in (2, 7):
        start = rng.normal(size=(k, 5))
        memory = Memory(chunk, start)
        for _ in range(3):
            memory._begin(rng.normal(size=(k, 5)))
        far = start.copy()
        far[0] = 1e200
        for now in (start, far):
            plain = memory._moved(now)
            with loops.used():
                np.testing.assert_allclose(memory._moved(now), plain, rtol=1e-6)


def test_rows_that_come_and_go_leave_the_sums_of_numpy(loops):
    """Sums made anew and sums moved from labels to labels have the bits of numpy's, with weights and without."""
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=(500, 3)) * [1e-9, 1.0, 1e9], [[1e-30, 1e15, -1e30]]])
    for weight in (None, rng.gamma(0.5, size=501) + 1e-4):
        addends, labels = Addends.of(x, weight), rng.integers(0, 7, 501)
        rows, after = np.sort(rng.choice(501, 60, replace=False)), rng.integers(0, 7, 60)
        between = np.stack([labels[rows], after], axis=1)
        with loops.used():
            total = addends.total(labels, 7)
            moved = addends.moved(total, rows, between)
        np.testing.assert_array_equal(total, addends.total(labels, 7))
        np.testing.assert_array_equal(moved, addends.moved(total, rows, between))


def test_a_memory_may_change_from_numpy_to_compiled_loops_and_back(loops):
    """Bounds that one has left are good for the other: the labels stay those of plain Lloyd."""
    x, cache = blobs(800, 3, 9), {}
    centres, chunk = x[:9].copy(), lem.Rows(x)
    for step in range(20):
        if step % 3:
            with loops.used():
                memory = recalled(centres, chunk, cache)
                statistics = memory.statistics()
        else:
            memory = recalled(centres, chunk, cache)
            statistics = memory.statistics()
        np.testing.assert_array_equal(memory.labels, by_hand(x, centres))
        centres = np.where(statistics.weights[:, None] > 0, statistics.components.means(), centres)


@pytest.mark.parametrize("engine", [Serial(), Threads(3), Processes(2)], ids=repr)
def test_a_fit_has_the_same_bits_in_compiled_loops_on_every_engine(loops, monkeypatch, engine):
    """From the same centres, one thread, three and two processes come to the fit that numpy comes to."""
    x = blobs(20_000, 4, 6, apart=3.0)
    model = lem.KMeans(6)

    def fitted(told, engine):
        monkeypatch.setenv(VARIABLE, told)
        return lem.fit(model, x, start=model.params(x[:6]), engine=engine)

    fit, plain = fitted("1", engine), fitted("0", Serial())
    assert fit.loops == f"numba {loops.numba}"
    assert plain.loops is None
    assert fit.params == plain.params
    assert fit.inertia == plain.inertia
    assert fit.log_likelihood == plain.log_likelihood


def test_few_distances_sparse_rows_and_known_labels_are_left_to_numpy(loops, monkeypatch):
    """Below 2^20 distances a pass numpy computes; sparse rows always stay with it, and so do rows with known labels."""
    model = lem.KMeans(4)
    assert model.loops(2**18 - 1) == ()
    assert model.loops(2**18) == LOOPS
    monkeypatch.setenv(VARIABLE, "1")
    x = blobs(400, 3, 4)
    sparse = lem.fit(model, SparseRows(csr_array(np.maximum(x, 0))), n_starts=2)
    assert sparse.loops is None
    allowed = np.random.default_rng(2).random((400, 4)) < 0.6
    allowed[np.arange(400), np.arange(400) % 4] = True
    with loops.used():
        found = recalled(x[:4], lem.Rows(x, None, allowed), {}).labels
    distances = np.where(allowed, ((x[:, None] - x[:4]) ** 2).sum(axis=2), np.inf)
    np.testing.assert_array_equal(found, distances.argmin(axis=1))
