"""Where runs begin, in scikit-learn's ways: centres that are drawn, and responsibilities from them.

What is drawn depends on the values of the rows and on their weights, not on their order: a row of weight two is drawn
as two rows are. So fits with weights and fits to repeated rows begin at the same place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import kmeans_plusplus

import latentem as lem
from latentem.arrays import Array, Labels
from latentem.sklearn.base import run

Random = np.random.RandomState


def canonical(x: Array, weight: Array | None) -> Labels:
    """Numbers of the rows that count, in an order that depends on their values alone, shape (m,)."""
    chosen = np.arange(len(x)) if weight is None else np.flatnonzero(weight > 0)
    key = x[chosen] * np.sqrt(np.arange(2.0, x.shape[1] + 2.0))  # equal rows have equal keys, whatever is beside them
    order: Labels = chosen[np.argsort(key.sum(axis=1), kind="stable")]
    return order


def distinct(x: Array, weight: Array | None) -> tuple[Array, Array]:
    """The different rows that count, in that order, shape (m, d), and how much each counts, shape (m,)."""
    rows = canonical(x, weight)
    sorted_rows, count = x[rows], np.ones(len(rows)) if weight is None else weight[rows]
    new = np.append(True, (sorted_rows[1:] != sorted_rows[:-1]).any(axis=1))
    first = np.flatnonzero(new)
    return sorted_rows[first], np.asarray(np.add.reduceat(count, first))


def scaled(x: Array, weight: Array | None) -> Array:
    """The columns at mean 0 and variance 1, their missing cells at 0: starts then do not depend on units."""
    present = ~np.isnan(x)
    cells = np.where(present, x, 0.0)
    each = present * (np.ones(len(x)) if weight is None else weight)[:, None]
    total = np.maximum(each.sum(axis=0), np.finfo(float).tiny)
    size = np.abs(cells).max(axis=0)
    cells = cells / np.where(size > 0, size, 1.0)
    y = np.where(present, cells - (each * cells).sum(axis=0) / total, 0.0)
    width = np.sqrt((each * y * y).sum(axis=0) / total)
    return np.asarray(y / np.where(width > 1e-12, width, np.inf))  # a constant column says nothing


def centres(kind: str, x: Array, weight: Array | None, k: int, rng: Random, fixed: dict[int, Array]) -> Array:
    """Centres among the rows, shape (k, d).

    Args:
        kind: "k-means++", or another word for k rows at random.
        x: The rows, shape (n, d).
        weight: How much each counts, shape (n,), or None.
        k: How many centres.
        rng: Where chance comes from.
        fixed: Centres that are known, by their number.
    """
    rows = canonical(x, weight)
    table, chance = x[rows], np.ones(len(rows)) if weight is None else weight[rows]
    count = k - len(fixed)
    if kind == "k-means++":
        size = min(count, len(rows))
        drawn = kmeans_plusplus(table, size, sample_weight=chance, random_state=rng)[0] if count else table[:0]
    else:
        size = min(count, len(rows))
        drawn = table[rng.choice(len(rows), size, replace=False, p=chance / chance.sum())]
    found = np.empty((k, x.shape[1]))
    free = [j for j in range(k) if j not in fixed]
    found[free] = drawn[np.arange(len(free)) % max(len(drawn), 1)]
    for j, centre in fixed.items():
        found[j] = centre
    return found


def nearest(x: Array, middle: Array) -> Labels:
    """The number of the nearest centre of each row, shape (n,)."""
    model = lem.KMeans(len(middle))
    labels: Labels = np.concatenate([model.labels(model.params(middle), chunk) for chunk in model.chunks(x)])
    return labels


def responsibilities(
    kind: str, x: Array, weight: Array | None, k: int, rng: Random, known: npt.NDArray[np.int64] | None = None
) -> Array:
    """Responsibilities to start from, shape (n, k).

    Args:
        kind: "kmeans": the clusters of K-means; "k-means++" or "random_from_data": rows go to the nearest of k
            centres so drawn; "random": uniform random numbers.
        x: The rows, shape (n, d), without missing cells.
        weight: How much each counts, or None.
        k: How many components.
        rng: Where chance comes from.
        known: Labels, shape (n,), with -1 for unknown.
    """
    if kind == "random":
        shares = rng.uniform(size=(len(x), k))
        shares /= shares.sum(axis=1, keepdims=True)
    else:
        middle = centres("k-means++" if kind == "kmeans" else kind, x, weight, k, rng, of_known(x, weight, known))
        labels = nearest(x, middle)
        if kind == "kmeans" and len(canonical(x, weight)) >= k:
            model = lem.KMeans(k)
            stop = lem.assignments_unchanged()
            start = model.params(middle)
            options: dict[str, Any] = {"start": start, "stop": stop, "max_steps": 300, "accelerate": None}
            labels = run(model, x, weights=weight, allowed=known, **options).predict(x)
        shares = np.eye(k)[labels]
    if known is not None:
        shares = np.where(known[:, None] == -1, shares, np.arange(k) == known[:, None])
    return covering(shares, weight)


def covering(shares: Array, weight: Array | None) -> Array:
    """Responsibilities that leave no component without rows: an empty one takes a thousandth of all of them."""
    counts = shares.sum(axis=0) if weight is None else weight @ shares
    empty = counts <= 0
    return np.where(empty, 1e-3 / empty.sum(), (1 - 1e-3) * shares) if empty.any() else shares


def of_known(x: Array, weight: Array | None, known: npt.NDArray[np.int64] | None) -> dict[int, Array]:
    """The mean of the rows of each label that some row is known to have."""
    if known is None:
        return {}
    count = np.ones(len(x)) if weight is None else weight
    live = np.where(count > 0, known, -1)
    each = {int(j): live == j for j in np.unique(live) if j >= 0}
    return {j: np.asarray(np.average(x[rows], axis=0, weights=count[rows])) for j, rows in each.items()}
