"""k-means||: a few weighted rows that stand for all, drawn where the rows are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import latentem as lem
from latentem.start.oversampling import oversampled


def clusters(n=30_000, k=40, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(k, size=n)
    return 100 * rng.standard_normal((k, 3))[labels] + rng.standard_normal((n, 3)), labels


def placed(x, weights=None, pieces=7):
    edges = [len(x) * i // pieces for i in range(pieces + 1)]
    rows = lem.Rows(x, weights)
    return lem.Threads(2).place([rows[a:b] for a, b in pairwise(edges)])


def test_every_cluster_has_a_stand_in_with_the_weight_of_its_rows():
    """Of 40 clusters far apart each is drawn from; the weights count who is nearest to each stand-in."""
    x, labels = clusters()
    found = oversampled(placed(x), 40, [1])
    nearest = ((x[:, None] - found.x) ** 2).sum(axis=2).argmin(axis=1)
    moved = np.abs(found.weight - np.bincount(nearest, minlength=len(found))).sum()
    assert moved <= len(x) / 1000  # single precision cannot tell some rows midway between two
    assert found.weight.sum() == len(x)
    assert 40 <= len(found) <= 81
    assert set(labels) == {labels[np.flatnonzero((x == row).all(axis=1))[0]] for row in found.x}


def test_rows_without_weight_are_not_drawn_and_do_not_count():
    """Half the rows weigh nothing: none of them stands for others, and the weights sum to what is left."""
    x, _ = clusters()
    weights = np.arange(len(x)) % 2 * 1.5
    found = oversampled(placed(x, weights), 10, [2])
    assert found.weight.sum() == weights.sum()
    counted = {row.tobytes() for row in x[weights > 0]}
    assert all(row.tobytes() in counted for row in found.x)


def test_the_draw_depends_on_the_seed_and_the_rows_alone():
    """The same seed draws the same rows, in one thread or two, with the caches emptied in between; another does not."""
    x, _ = clusters(5000)
    one, other = oversampled(placed(x), 8, [3]), oversampled(placed(x), 8, [3])
    assert one == other
    assert one != oversampled(placed(x), 8, [4])


def test_few_distinct_rows_give_no_more_stand_ins():
    """Three distinct rows, many times: three stand-ins, with their counts."""
    x = np.repeat([[0.0, 1.0], [5.0, 5.0], [9.0, 0.0]], [100, 200, 300], axis=0)
    found = oversampled(placed(x), 6, [5])
    assert sorted(found.weight) == [100, 200, 300]


def test_k_means_of_many_rows_begins_with_it():
    """From 2^16 rows on, one start of K-means in three is k-means||, and it finds clusters that are far apart."""
    x, _ = clusters(120_000, 12)
    fit = lem.fit(lem.KMeans(12), x, n_starts=2)
    assert [report.name for report in fit.starts] == ["k-means++ on standardised columns", "k-means|| over all rows"]
    assert fit.inertia < 1.01 * 3 * len(x)


def test_rows_beyond_single_precision_are_drawn_from_without_overflow():
    """Rows in units of 2^-140 have stand-ins whose weights count who is nearest to each; nothing is warned of."""
    x, _ = clusters(9000, k=5)
    found = oversampled(placed(x * 2.0**140), 5, [1])
    nearest = ((x[:, None] - found.x * 2.0**-140) ** 2).sum(axis=2).argmin(axis=1)
    moved = np.abs(found.weight - np.bincount(nearest, minlength=len(found))).sum()
    assert moved <= len(x) / 1000
    assert found.weight.sum() == len(x)
