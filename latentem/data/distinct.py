"""Repeated rows: the distinct ones, each with the weight of all its copies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from latentem.arrays import own
from latentem.data.rows import Rows
from latentem.data.units import split, weight_of

_FEWEST = 256
"""Rows below which a pass costs little but its fixed part."""
_SAMPLE, _SHOWN = 4096, 16
"""Rows that are looked at first, evenly spaced; one in so many must be a copy of another, or no more are looked at."""
_FEWER = 4
"""How many times as many rows as distinct ones there must be."""


def distinct(chunks: Any) -> list[Rows] | None:
    """The distinct rows of some chunks in the order of their first copies, in chunks no larger than theirs.

    Rows are one where all their values, and the components that they may belong to, are equal; a missing value equals
    a missing value. None where they are not far fewer, or the chunks are not `Rows` in memory.
    """
    if not isinstance(chunks, list | tuple) or not all(type(chunk) is Rows for chunk in chunks):
        return None
    n = sum(map(len, chunks))
    if n < _FEWEST or not _shows_copies(chunks, n):
        return None
    _, first, which = np.unique(np.concatenate([_bytes(chunk) for chunk in chunks]), True, True)
    if _FEWER * len(first) > n:
        return None
    order = np.argsort(first)
    first, which = first[order], np.argsort(order)[which]
    rows = _at(chunks, first)
    weight = np.bincount(which, weight_of(chunks), len(first)).astype(np.float64)
    return split(Rows(rows.x, own(weight), rows.allowed), max(map(len, chunks)))


def _shows_copies(chunks: Sequence[Rows], n: int) -> bool:
    """Whether among some rows enough are copies of others."""
    some = _bytes(_at(chunks, np.arange(0, n, -(-n // _SAMPLE))))
    return _SHOWN * (len(some) - len(np.unique(some))) >= len(some)


def _at(chunks: Sequence[Rows], numbers: npt.NDArray[np.int64]) -> Rows:
    """Rows of some chunks by their numbers over all of them, which ascend; without their weights."""
    edges = np.cumsum([0, *map(len, chunks)])
    cuts = np.searchsorted(numbers, edges)
    parts = [
        (chunk.x[mine], None if chunk.allowed is None else chunk.allowed[mine])
        for chunk, begin, (a, b) in zip(chunks, edges[:-1], pairwise(cuts.tolist()), strict=True)
        for mine in [numbers[a:b] - begin]
    ]
    x, allowed = zip(*parts, strict=True)
    return Rows(own(np.concatenate(x)), None, None if allowed[0] is None else np.concatenate(allowed))


def _bytes(rows: Rows) -> npt.NDArray[np.void]:
    """All that a row is, as one value, shape (n,): equal where values are equal, or both are missing."""
    table = np.where(np.isnan(rows.x), np.nan, rows.x + 0.0)  # minus zero plus zero is zero
    if rows.allowed is not None:
        table = np.hstack([table, rows.allowed])
    return np.ascontiguousarray(table).view(np.dtype((np.void, table.itemsize * table.shape[1]))).reshape(-1)
