"""The kernel of K-means: exact assignments, exact sums, and a memory that changes no bit."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from independent import lloyd
from sklearn.cluster import KMeans as Rival
from subjects import FAITHFUL

import latentem as lem
from latentem.core import e_step
from latentem.kmeans import Addends, log_evidence, nearest, recalled, separate
from latentem.kmeans.screened import Screened
from latentem.kmeans.search import Search

SHAPES = [(400, 1, 3), (600, 2, 8), (500, 3, 64), (500, 3, 65), (300, 33, 5), (400, 40, 60), (50, 4, 1), (300, 17, 2)]


def blobs(n, d, k, apart=1.0, seed=0):
    rng = np.random.default_rng([seed, n, d, k])
    centres = apart * rng.normal(size=(k, d))
    return centres[rng.integers(0, k, n)] + rng.normal(size=(n, d))


def by_hand(x, centres):
    """Labels by squared distances in double, the lowest of those that tie."""
    distance = np.zeros((len(x), len(centres)))
    for j, centre in enumerate(centres):
        distance[:, j] = ((x - centre) ** 2).sum(axis=1)
    return distance.argmin(axis=1)


def exactly(x, y):
    """|x - y|^2 of two rows of doubles as a fraction."""
    return sum((Fraction(float(a)) - Fraction(float(b))) ** 2 for a, b in zip(x, y, strict=True))


def course(x, centres, steps, cache, weight=None, allowed=None):
    """Labels and statistics of some steps of Lloyd's algorithm from one chunk."""
    chunk, seen = lem.Rows(x, weight, allowed), []
    for _ in range(steps):
        memory = recalled(centres, chunk, cache)
        statistics = memory.statistics()
        seen.append((centres, memory.labels, statistics))
        live = statistics.weights > 0
        centres = np.where(live[:, None], statistics.components.means(), centres)
    return seen


@pytest.mark.parametrize("apart", [0.5, 20.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_labels_are_those_of_plain_lloyd_at_every_step(shape, apart):
    """At every step of a run with memory each row has the label that distances in double give it."""
    x = blobs(*shape, apart=apart)
    for centres, labels, statistics in course(x, x[: shape[2]].copy(), 25, {}):
        np.testing.assert_array_equal(labels, by_hand(x, centres))
        np.testing.assert_array_equal(labels, nearest(centres, lem.Rows(x)))
        for j in np.unique(labels):
            np.testing.assert_allclose(
                statistics.components.means()[j], x[labels == j].mean(axis=0), rtol=1e-12, atol=1e-14
            )


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e-5, 1.0, 1e12, 1e100])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_units_and_offsets_change_no_label(scale, offset):
    """Data in other units, or far from zero, get the labels that their distances in double have."""
    x = (blobs(300, 3, 6) + offset) * scale
    for centres, labels, _ in course(x, x[:6].copy(), 8, {}):
        np.testing.assert_array_equal(labels, by_hand(x / scale, centres / scale))


@pytest.mark.parametrize("k", [2, 9, 64, 90])
def test_ties_go_to_the_lowest_label(k):
    """On a grid many distances tie exactly, and identical centres always do: the lowest label has the row."""
    rng = np.random.default_rng(k)
    x = rng.integers(0, 6, size=(500, 3)).astype(float)
    centres = rng.integers(0, 11, size=(k, 3)) / 2
    centres[-1] = centres[0]
    whole = ((2 * x[:, None] - 2 * centres) ** 2).sum(axis=2)  # whole numbers: exact
    wanted = whole.argmin(axis=1)
    assert np.count_nonzero(np.sort(whole, axis=1)[:, 0] == np.sort(whole, axis=1)[:, 1]) > 20
    np.testing.assert_array_equal(nearest(centres, lem.Rows(x)), wanted)
    assert k - 1 not in wanted
    memory = recalled(centres, lem.Rows(x), {})
    np.testing.assert_array_equal(memory.labels, wanted)


def test_centres_at_any_distance_are_compared_soundly():
    """Centres 1e12, 1e30 and 1e200 widths away neither overflow nor blur the others; equal rows are no trouble."""
    x = blobs(200, 2, 3)
    near, far = x[:3], np.array([[1e12, 0.0], [0.0, -1e30], [1e200, 1e200]])
    for centres in (np.concatenate([far, near]), np.concatenate([near, far])):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(nearest(centres, lem.Rows(x)), by_hand(x, centres))
    two = far[:2]
    np.testing.assert_array_equal(nearest(two, lem.Rows(x)), by_hand(x, two))
    same = np.full((20, 2), 3.7)
    assert nearest(np.array([[9.0, 9.0], [3.7, 3.7]]), lem.Rows(same)).tolist() == [1] * 20
    between = np.concatenate([near, near + 1e-13])  # far nearer to one another than single precision can tell
    np.testing.assert_array_equal(nearest(between, lem.Rows(x)), by_hand(x, between))


def adversaries():
    """Rows and centres made to lose digits: far from their mean, of unlike columns, near ties, of long sums."""
    rng = np.random.default_rng(8)
    yield (
        "clusters tight and far apart",
        np.repeat(1e4 * rng.normal(size=(4, 3)), 10, axis=0) + rng.normal(size=(40, 3)),
    )
    yield "columns of unlike size", rng.normal(size=(40, 6)) * 10.0 ** np.arange(-9, 9, 3)
    yield "one far row", np.concatenate([rng.normal(size=(39, 4)), [[1e7, -1e7, 3e6, 1.0]]])
    yield "many columns of one sign", 1 + rng.random((40, 500))
    yield "signs in turn", np.where(np.arange(300) % 2, 1.0, -1.0) * (1 + 1e-3 * rng.random((40, 300)))


@pytest.mark.parametrize("k", [3, 70])
@pytest.mark.parametrize(("name", "x"), list(adversaries()), ids=[name for name, _ in adversaries()])
def test_the_error_bound_of_the_screening_holds(name, x, k):
    """Scores in single precision are within error (5 |x|^2 + 3 D) of exact distances, and no margin is too wide."""
    rng = np.random.default_rng(k)
    centres = x[rng.integers(0, len(x), k)] + 1e-3 * rng.normal(size=(k, x.shape[1])) * x.std(axis=0)
    screened = Screened.of(x, x.mean(axis=0))
    search = Search(screened, x, None, centres)
    scores = (screened.rows @ search._coefficients[:, :-1].T + search._coefficients[:, -1]).astype(float)
    labels, margins = search(None)
    again, confirmed = search(None, labels)
    np.testing.assert_array_equal(again, labels)
    margins = np.maximum(margins, confirmed)
    worst = 0.0
    for i, row in enumerate(x):
        length = float(exactly(row, screened.centre)) * screened.unit**2
        exact = [exactly(row, centre) * Fraction(screened.unit) ** 2 for centre in centres]
        for j, distance in enumerate(exact):
            off = abs(scores[i, j] + length - float(distance))
            allowance = float(search.error(packed=False)) * (5 * length + 3 * float(distance))
            worst = max(worst, off / allowance)
        lowest = min(exact)
        assert float(exact[labels[i]] - lowest) <= 1e-12 * float(lowest)
        others = min((distance for j, distance in enumerate(exact) if j != labels[i]), default=None)
        assert margins[i] <= np.sqrt(float(others)) - np.sqrt(float(exact[labels[i]])) + 1e-14
    assert 0 < worst < 1


@pytest.mark.parametrize("unit", [1.0, 1e-100, 1e100, 1e-158, 1e130])
def test_lengths_that_are_known_are_screened_to_the_same_bits(unit):
    """The sums' squares and reach give the rows that the screening would compute itself, in any unit."""
    x = unit * blobs(500, 20, 4)
    addends = Addends.of(x, None)
    ours, alone = Screened.of(x, addends.centre, addends.reach, addends.squared), Screened.of(x, addends.centre)
    assert (ours.unit, ours.longest) == (alone.unit, alone.longest)
    np.testing.assert_array_equal(ours.rows, alone.rows)
    np.testing.assert_array_equal(ours.squared, alone.squared)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(700, 2, 8), (500, 20, 12), (600, 5, 30)], ids=str)
def test_the_memory_changes_no_bit(shape, weighted):
    """Kept, emptied at random, left by another start or never there: labels and statistics are the same bits."""
    n, _, k = shape
    x = blobs(*shape) + 3.0
    weight = np.random.default_rng(1).gamma(1.0, size=n) + 1e-3 if weighted else None
    kept = course(x, x[:k].copy(), 30, {}, weight)
    other: dict = {}
    course(x, x[-k:].copy(), 5, other, weight)
    for label, cache in (("another start's", other), ("emptied", {})):
        rng = np.random.default_rng(3)
        for centres, labels, statistics in kept:
            if label == "emptied" and rng.random() < 0.3:
                cache.clear()
            memory = recalled(centres, lem.Rows(x, weight), cache)
            np.testing.assert_array_equal(memory.labels, labels)
            assert memory.statistics() == statistics
    back = course(x, kept[2][0], 3, other, weight)
    assert all(one[2] == two[2] for one, two in zip(back, kept[2:], strict=False))


def test_more_epochs_than_are_kept_change_no_label():
    """A slow run of hundreds of steps, longer than the memory of past centres, keeps every label exact."""
    x = blobs(300, 2, 4)
    cache, chunk = {}, lem.Rows(x)
    for step in range(150):
        centres = x[:4] + 0.02 * step * np.array([1.0, 0.5])
        np.testing.assert_array_equal(recalled(centres, chunk, cache).labels, by_hand(x, centres))


@pytest.mark.parametrize("shape", [(3000, 2, 6), (2000, 8, 12), (800, 30, 70)], ids=str)
def test_rows_beyond_the_horizon_are_where_they_would_be_if_they_were_asked(shape):
    """Centres that creep, halt, jump and creep on: few rows are asked at a time, and each has its label."""
    n, _, k = shape
    x, rng = blobs(*shape, apart=2.0), np.random.default_rng(3)
    cache, chunk, asked = {}, lem.Rows(x), []
    centres = x[:k].copy()
    for step in range(90):
        centres = centres + rng.normal(size=centres.shape) * (0.5 if step in (40, 41, 70) else 1e-4 * (step % 7))
        memory = recalled(centres, chunk, cache)
        np.testing.assert_array_equal(memory.labels, by_hand(x, centres))
        asked.append(n if memory._near is None else len(memory._near))
    assert sum(some < n / 4 for some in asked) > 40


def test_an_interrupted_pass_leaves_no_half_memory():
    """A pass that is broken off leaves the cache empty, and the next one is exact."""
    x = blobs(300, 2, 4)
    cache, chunk = {}, lem.Rows(x)
    recalled(x[:4], chunk, cache)
    with pytest.raises((ValueError, IndexError)):
        recalled(np.zeros((4, 2)), lem.Rows(x, allowed=np.ones((300, 3), bool)), cache)
    assert "lloyd" not in cache
    np.testing.assert_array_equal(recalled(x[4:8], chunk, cache).labels, by_hand(x, x[4:8]))


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("width", [1.0, 1e-6])
def test_the_sums_are_exact_where_floats_cancel(offset, width):
    """Means and second moments have all their digits, for clusters 1e6 widths apart or 1e8 from zero, with weights."""
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], 40)
    x = offset + labels[:, None] * [1.0, -2.0, 0.5] + width * rng.normal(size=(120, 3))
    for weight in (None, rng.random(120) + 0.1):
        addends = Addends.of(x, weight)
        statistics = addends.statistics(addends.total(labels, 4), lambda: labels)
        w = [Fraction(1)] * 120 if weight is None else [Fraction(float(v)) for v in weight]
        for j in range(3):
            rows = np.flatnonzero(labels == j)
            count = sum(w[i] for i in rows)
            mean = [sum(w[i] * Fraction(float(x[i, c])) for i in rows) / count for c in range(3)]
            assert float(count) == pytest.approx(statistics.weights[j], rel=1e-15)
            origin = [Fraction(float(value)) for value in statistics.components.origin[j]]
            np.testing.assert_allclose([float(value) for value in origin], [float(m) for m in mean], rtol=5e-16)
            first = [float(count * (m - value)) for m, value in zip(mean, origin, strict=True)]
            np.testing.assert_allclose(statistics.components.first[j], first, rtol=0, atol=1e-13)
            second = sum(w[i] * (Fraction(float(x[i, c])) - origin[c]) ** 2 for i in rows for c in range(3))
            assert statistics.components.second[j] == pytest.approx(float(second), rel=1e-12)
        assert statistics.weights[3] == 0


def test_rows_that_come_and_go_leave_the_sums_as_they_were():
    """Sums moved from labels to labels and back are, at each turn, those made anew, bit by bit."""
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=(500, 3)) * [1e-9, 1.0, 1e9], [[1e-30, 1e15, -1e30]]])
    for weight in (None, rng.gamma(0.5, size=501) + 1e-4):
        addends = Addends.of(x, weight)
        labels = rng.integers(0, 7, 501)
        total = addends.total(labels, 7)
        for _ in range(20):
            rows = np.sort(rng.choice(501, 60, replace=False))
            after = rng.integers(0, 7, 60)
            total = addends.moved(total, rows, np.stack([labels[rows], after], axis=1))
            labels[rows] = after
            np.testing.assert_array_equal(total, addends.total(labels, 7))


def test_weights_count_as_repeated_rows_and_may_be_as_unlike_as_they_like():
    """Whole weights are repeated rows; a weight of 1e-60 beside one of 1 keeps the centre of its own cluster."""
    x, times = blobs(200, 2, 3), np.random.default_rng(0).integers(0, 4, 200)
    model = lem.KMeans(3)
    start = model.params([[0.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    one = lem.fit(model, x, weights=times, start=start)
    other = lem.fit(model, np.repeat(x, times, axis=0), start=start)
    np.testing.assert_allclose(one.params.components.means, other.params.components.means, rtol=1e-13, atol=1e-15)
    assert one.inertia == pytest.approx(other.inertia, rel=1e-13)
    far = np.array([[0.0, 0.0], [1.0, 0.0], [1e3, 1.0], [1e3, 3.0]])
    light = lem.fit(lem.KMeans(2), far, weights=[1.0, 1.0, 1e-60, 3e-60], start=lem.KMeans(2).params(far[1:3]))
    np.testing.assert_allclose(light.params.components.means, [[0.5, 0.0], [1e3, 2.5]], rtol=1e-14)


def test_rows_stay_where_they_are_allowed():
    """With some places ruled out each row has the nearest of those left to it, memory or none."""
    x = blobs(400, 2, 5)
    allowed = np.random.default_rng(2).random((400, 5)) < 0.6
    allowed[np.arange(400), np.arange(400) % 5] = True
    for centres, labels, _ in course(x, x[:5].copy(), 12, {}, allowed=allowed):
        distance = ((x[:, None] - centres) ** 2).sum(axis=2)
        np.testing.assert_array_equal(labels, np.where(allowed, distance, np.inf).argmin(axis=1))


def test_every_engine_gives_the_same_bits():
    """One thread, three, or one chunk after the other without a memory: the same fit, bit by bit."""
    x = blobs(50_000, 3, 7)
    model = lem.KMeans(7)
    start = model.params(x[:7])
    fits = [lem.fit(model, x, start=start, engine=engine) for engine in (lem.Serial(), lem.Threads(1), lem.Threads(3))]
    chunks = model.chunks(x)
    assert len(chunks) == 2
    bare = lem.EM().run(model, start, list(chunks))
    for fit in fits:
        assert fit.params == bare.params
        assert fit.expectation == bare.expectation
        assert fit.status.sentence == "nothing moved between two passes"


@pytest.mark.parametrize(("n", "d", "k", "apart"), [(5000, 2, 8, 1.0), (3000, 16, 20, 3.0), (4000, 8, 64, 1.0)])
def test_a_run_ends_where_another_library_s_ends(n, d, k, apart):
    """From the same centres, until no assignment changes: scikit-learn's labels, centres and inertia."""
    x = blobs(n, d, k, apart)
    model = lem.KMeans(k)
    fit = lem.fit(model, x, start=model.params(x[:k]))
    rival = Rival(k, init=x[:k], n_init=1, tol=0, max_iter=10_000, algorithm="lloyd").fit(x)
    np.testing.assert_array_equal(fit.predict(x), rival.labels_)
    np.testing.assert_allclose(fit.params.components.means, rival.cluster_centers_, rtol=1e-9, atol=1e-11)
    assert fit.inertia == pytest.approx(rival.inertia_, rel=1e-12)
    assert not fit.events


def test_the_expectation_is_that_of_the_posterior():
    """What the kernel leaves behind is what posterior and statistics come to, for any chunking."""
    x = blobs(600, 4, 5)
    model = lem.KMeans(5)
    params = model.params(x[:5], 0.7)
    chunk = model.chunk(x, weights=np.random.default_rng(0).random(600))
    fused = model.expectation(params, chunk)
    composed = model.statistics(chunk, model.posterior(params, chunk))
    joint = model.log_joint(params, composed)
    assert model.log_joint(params, fused.statistics) == pytest.approx(joint, rel=1e-13)
    cut = e_step(model, params, [chunk[:50], chunk[50:51], chunk[51:]])
    assert model.log_joint(params, cut.statistics) == pytest.approx(joint, rel=1e-13)
    np.testing.assert_array_equal(
        model.posterior(params, chunk).labels(), model.inner.posterior(params, chunk).labels()
    )


def test_the_log_evidence_is_that_of_the_mixture():
    """Its product form has the mixture's digits, with rows ruled out too, and gives way where it would lose them."""
    x = blobs(300, 3, 4)
    model = lem.KMeans(4)
    allowed = np.random.default_rng(0).random((300, 4)) < 0.7
    allowed[:, 0] = True
    far = np.concatenate([x, x + 40.0, x])  # a hundred widths from every centre, between others that are near
    assert log_evidence(far[:4], 0.3, lem.Rows(far)).min() < -1000
    for chunk in (lem.Rows(x), lem.Rows(x, allowed=allowed), lem.Rows(x + 1e5), lem.Rows(far)):
        params = model.params(chunk.x[:4], 0.3)
        np.testing.assert_allclose(
            model.log_evidence(params, chunk), model.inner.log_evidence(params, chunk), rtol=1e-11, atol=1e-10
        )
    wide = lem.Rows(x * 1e7)
    assert log_evidence(wide.x[:4], 0.3, wide) is None
    params = model.params(wide.x[:4], 0.3)
    np.testing.assert_array_equal(model.log_evidence(params, wide), model.inner.log_evidence(params, wide))


def test_centres_that_nearly_coincide_are_told_from_those_that_do_not():
    """Only where two centres are within a thousandth of a width does the slow comparison of all pairs run."""
    grid = np.array(list(itertools.product(range(6), repeat=3)), float)
    assert separate(grid, np.array(1.0))
    assert not separate(np.concatenate([grid, grid[7:8] + 1e-6]), np.array(1.0))
    assert separate(np.zeros((1, 3)), np.array(1.0))
    model = lem.KMeans(3)
    start = model.params([[2.0, 50.0], [4.5, 80.0], [4.5, 80.0]])
    states = list(itertools.islice(lem.EM().iterate(model, start, FAITHFUL), 1))
    assert [event.kind for event in states[0].events] == ["empty", "coincident"]


def test_a_pass_after_convergence_moves_nothing():
    """Statistics depend on the labels alone, so that a run ends at the first pass that changes no assignment."""
    x = blobs(2000, 2, 5)
    model = lem.KMeans(5)
    states = list(lem.EM().iterate(model, model.params(x[:5]), x))
    path = lloyd(x, x[:5], len(states))
    labels = [by_hand(x, x[:5]), *(by_hand(x, centres) for centres in path)]
    unchanged = next(i for i in range(1, len(labels)) if np.array_equal(labels[i], labels[i - 1]))
    assert len(states) - 1 == unchanged
    assert states[-1].step.movement == 0
