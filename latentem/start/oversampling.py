"""k-means|| (Bahmani et al., 2012): a few weighted rows that stand for all, found in passes over the chunks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from latentem.arrays import Array, Labels, own
from latentem.core import Cache, Placed
from latentem.data import Rows
from latentem.start.drawing import drawer

ROUNDS = 4
"""Passes that draw rows; one more counts who is nearest to each."""

_CACHED = 2**17
"""Scores that are computed at a time."""

Drawn = list[tuple[float, Array]]


def oversampled(data: Placed[Rows], k: int, seed: list[int]) -> Rows:
    """About 2 k rows far apart, each with the weight of the rows that are nearest to it.

    Each round draws k / 2 rows, with a chance that grows as their squared distance to those drawn before, and computes
    only the distances to the last ones: all rounds together cost two times the k distances of every row. A round is
    one pass: the rows with the least exponential variable over chance are a draw without replacement
    (Efraimidis and Spirakis, 2006), so the sum of the distances need not be known beforehand.

    Args:
        data: Chunks of rows; they stay where they are.
        k: How many clusters are to be started.
        seed: What the draws depend on, beside the rows.
    """
    blocks: list[Array] = []
    for number, size in enumerate([1, *ROUNDS * [max(1, -(-k // 2))]]):
        task: Any = partial(_candidates, tuple(blocks), size, (*seed, number))  # lists are added, and never scaled
        drawn: Drawn = data.total(task)
        rows = [row for key, row in sorted(drawn, key=lambda found: found[0])[:size] if key < np.inf]
        if not rows:  # all rows stand on one that was drawn
            break
        blocks.append(own(np.array(rows)))
    weight = data.total(partial(_nearest_counts, tuple(blocks)))
    chosen = np.concatenate(blocks)
    return Rows(own(chosen[weight > 0]), own(weight[weight > 0]))


def _candidates(blocks: tuple[Array, ...], size: int, key: tuple[int, ...], chunk: Rows, cache: Cache) -> Drawn:
    """The `size` rows of a chunk that come first in the draw, with the keys by which they do."""
    # (eq: k-means-parallel)
    chance = chunk.row_weight * (np.ones(len(chunk)) if not blocks else _distances(blocks, chunk, cache)[0])
    with np.errstate(divide="ignore"):
        keys = np.where(chance > 0, drawer(key, chunk).exponential(size=len(chunk)) / chance, np.inf)
    first = np.argpartition(keys, size - 1)[:size] if size < len(keys) else np.arange(len(keys))
    return [(float(keys[row]), chunk.x[row]) for row in first]


def _nearest_counts(blocks: tuple[Array, ...], chunk: Rows, cache: Cache) -> Array:
    """How much weight is nearest to each row that was drawn."""
    _, labels = _distances(blocks, chunk, cache)
    cache.pop("oversampling", None)
    return np.bincount(labels, chunk.row_weight, sum(map(len, blocks))).astype(np.float64, copy=False)


def _distances(blocks: tuple[Array, ...], chunk: Rows, cache: Cache) -> tuple[Array, Any]:
    """Squared distance to the nearest of the drawn rows, and which it is, shapes (n,); what is known is kept beside."""
    known: Any = cache.get("oversampling")
    if known is None or known[0] > len(blocks) or known[1] is not chunk.x:
        known = 0, chunk.x, np.full(len(chunk), np.inf), np.zeros(len(chunk), dtype=np.int64)
    done, _, nearest, labels = known
    begin = sum(map(len, blocks[:done]))
    for block in blocks[done:]:
        closest = _closest(chunk.x, block)
        apart = chunk.x - block[closest]
        distance: Array = np.einsum("nd,nd->n", apart, apart)
        closer = distance < nearest
        nearest, labels = np.where(closer, distance, nearest), np.where(closer, begin + closest, labels)
        begin += len(block)
    cache["oversampling"] = len(blocks), chunk.x, nearest, labels
    return nearest, labels


def _closest(x: Array, others: Array) -> Labels:
    """Which other row, (m, d), is nearest to each row, (n, d) -> (n,), in single precision: a draw needs no more."""
    origin = others.mean(axis=0)  # about it, and in the unit of their reach, single precision keeps most digits
    scale = np.abs(others - origin).max()
    if not scale:  # they are all one, and there is no unit
        return np.zeros(len(x), dtype=np.int64)
    b = ((others - origin) / scale).astype(np.float32)
    half = 0.5 * np.einsum("md,md->m", b, b)
    labels = np.empty(len(x), dtype=np.int64)
    step = max(256, _CACHED // len(others))
    for begin in range(0, len(x), step):
        part = slice(begin, begin + step)
        a = ((x[part] - origin) / scale).astype(np.float32)
        # |a - b|^2 is least where a b - |b|^2 / 2 is largest
        labels[part] = np.subtract(np.dot(a, b.T), half).argmax(axis=1)
    return labels
