"""Rows drawn from data that stay where they are, and the distances between those that were drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from latentem.arrays import Array
from latentem.core import Placed, rows_that_count
from latentem.data import Rows

_KNOWN = 8
"""Rows of each known label that every chunk adds to its sample."""
_EXACTLY = 2**24
"""Numbers, (rows, d) times k, up to which distances between rows are taken in double."""
_BLUR = 1e-6
"""Rounding, in single precision, of a squared distance of zero, beside the squares of which it is the difference."""


def sample(data: Placed[Any], size: int, seed: np.random.SeedSequence) -> tuple[int, list[Any]]:
    """How many rows count, and some of them as chunks: all where they are few, else about `size`, drawn evenly.

    Every chunk draws from its own rows, so that the others stay where they are; what it draws depends on the seed
    and on its own rows alone. Some rows of known label are always among them.
    """
    counted = data.each(_counted)
    live = sum(count for count, _ in counted)
    if live <= size or not all(independent for _, independent in counted):
        return live, list(data)
    drawn = data.each(partial(_drawn, size / live, seed.generate_state(4).tolist()))
    return live, [chunk for chunk in drawn if len(chunk)]


def _counted(chunk: Any) -> tuple[int, bool]:
    return rows_that_count(chunk), chunk.lengths is None


def drawer(key: Sequence[int], chunk: Rows) -> np.random.Generator:
    """The generator with which a chunk draws: it depends on the key and on the chunk's first row alone.

    The row is in it so that chunks draw differently where the data have a period, and the same wherever they are.
    """
    first = hashlib.blake2b(chunk.x[0].tobytes(), digest_size=8).digest()
    return np.random.default_rng([*key, int.from_bytes(first, "little")])


def _drawn(share: float, key: Sequence[int], chunk: Rows) -> Rows:
    live = np.arange(len(chunk)) if chunk.weight is None else np.flatnonzero(chunk.weight)
    rng = drawer(key, chunk)
    taken = np.zeros(len(chunk), dtype=bool)
    # The share of the rows, rounded up or down at random: so it is right on average, however small chunks are.
    taken[rng.choice(live, int(share * len(live) + rng.random()), replace=False, shuffle=False)] = True
    if chunk.allowed is not None:
        certain = (chunk.allowed.sum(axis=1) == 1) & (chunk.row_weight > 0)
        for j in range(chunk.allowed.shape[1]):
            taken[np.flatnonzero(certain & chunk.allowed[:, j])[:_KNOWN]] = True
    weight = None if chunk.weight is None else chunk.weight[taken]
    return Rows(chunk.x[taken], weight, None if chunk.allowed is None else chunk.allowed[taken])


def distances_to(x: Array, k: int) -> Callable[[Array], Array]:
    """From a centre, the squared distances of all rows to it: where they are many, by a product in single precision."""
    if x.size * k <= _EXACTLY:
        return lambda centre: ((x - centre) ** 2).sum(axis=1)
    unit = np.abs(x).max() or 1.0
    single = (x / unit).astype(np.float32)
    squared = np.einsum("nd,nd->n", single, single)

    def apart(centre: Array) -> Array:
        other = (centre / unit).astype(np.float32)
        reach = squared + other @ other
        distance = reach - 2 * np.dot(single, other)
        return np.where(distance > _BLUR * reach, distance, 0.0).astype(np.float64)

    return apart
