"""Lloyd's E-step over one chunk, with a memory: most rows are known to be where they were without looking at them.

The bounds are Hamerly's (2010), on net displacements: a row was nearer to its centre than to any other by a margin,
and stays so while the centres together have moved by less, since it was last looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np

from latentem.arrays import Array, Labels
from latentem.compiled import running
from latentem.core import Cache
from latentem.data import Rows
from latentem.kernel.base import UNIT
from latentem.kmeans.screened import LEAST, Screened, Single, blind, scored
from latentem.kmeans.search import Search
from latentem.kmeans.sums import Addends
from latentem.model import MixtureStatistics

_NAME = "lloyd"
LOOPS = "lloyd", "displaced", "addends", "lengths", "screen"
"""Names of the compiled loops."""
_EPOCHS = 32
"""Past centres that are remembered, at most: all margins are reduced once in so many steps, at least."""
_DISPLACED = 2**17
"""Numbers in the table of past centres of a chunk: what it costs to see how far each has moved."""
_AHEAD = 8.0
"""Bounds are made wide enough for so many more steps, each as long as the last, before a far row is looked at."""
_NEAR = 0.25
"""The share of rows up to which it pays to look among the near ones only."""
_MOST = 0.75
"""The share of rows to look at from which all are: gathering them costs as much."""
_MANY = 0.25
"""The share of rows that changed hands from which the sums are made anew."""
_CALM = 0.1
"""The share of the rows looked at that changed hands below which the next ones are first looked for where they are."""
_ALL = np.empty(0, np.int64)
"""In the place of the rows that are asked: all are."""


def nearest(centres: Array, chunk: Rows) -> Labels:
    """The nearest centre of each row, shape (n,): squared distances in double, the lowest of those that tie."""
    screened = Screened.of(chunk.x, chunk.x[0])
    return Search(screened, chunk.x, chunk.allowed, centres)(None, margins=False)[0]


def recalled(centres: Array, chunk: Rows, cache: Cache) -> Memory:
    """The labels, sums and bounds of a chunk whose rows are all at their nearest centres.

    Args:
        centres: Shape (k, d).
        chunk: The rows.
        cache: What was left beside this chunk; it changes no bit of the answer.
    """
    memory = cache.pop(_NAME, None)  # out of the cache while it changes: an interrupt may not leave half of it
    if memory is None or memory.shape != centres.shape or memory.size != len(chunk):
        memory = Memory(chunk, centres)
    memory.look(centres, chunk)
    cache[_NAME] = memory
    return memory


@final
class Memory:
    """Labels and bounds of the rows of one chunk, and the sums over its clusters.

    A row's key is its label and its epoch: the number of the centres at which it was last looked at. Its margin, in
    units of the screening, is by how much its centre was the nearest then. From time to time all margins are reduced
    to those at the present centres, with one epoch; the rows whose margin is beyond the horizon then, all but the
    near ones, are not even asked until the centres have moved by as much.
    """

    def __init__(self, chunk: Rows, centres: Array) -> None:
        k, d = self.shape = centres.shape
        self.size = len(chunk)
        self._addends = Addends.of(chunk.x, chunk.weight)
        squared = self._addends.squared if chunk.weight is None else None
        self._screened = Screened.of(chunk.x, self._addends.centre, self._addends.reach, squared)
        self._bits = min(_EPOCHS, max(4, _DISPLACED // (k * d))).bit_length() - 1
        self._epochs = np.empty((1 << self._bits, k, d))
        self._begun = 0
        self._near: Labels | None = None
        self._horizon = 0.0
        self._calm = False
        self._keys: Labels | None = None
        self._margins: Single = np.empty(0, np.float32)
        self._total: Array | None = None
        self._statistics: MixtureStatistics | None = None

    @property
    def labels(self) -> Labels:
        """The nearest centre of each row, shape (n,)."""
        assert self._keys is not None
        return self._keys >> self._bits

    def statistics(self) -> MixtureStatistics | None:
        """Those of the rows at these labels, and of nothing else; None where the weights are too unlike for it."""
        if self._statistics is None and self._addends.sound:
            if self._total is None:
                self._total = self._addends.total(self.labels, self.shape[0])
            self._statistics = self._addends.statistics(self._total, lambda: self.labels)
        return self._statistics

    def look(self, centres: Array, chunk: Rows) -> None:
        """Put each row to the nearest of these centres."""
        loop = running("lloyd") if chunk.allowed is None and not blind(self.shape[1]) else None
        if loop is not None:
            self._look_compiled(loop, centres, chunk)
            return
        if self._keys is None:
            labels, self._margins = Search(self._screened, chunk.x, chunk.allowed, centres)(None)
            self._keys = (labels << self._bits) + self._begin(centres)
            return
        doubtful = self._doubtful(centres)
        if not len(doubtful):
            return
        rows: Labels | None = doubtful
        place: Labels | slice = doubtful
        if len(doubtful) > _MOST * self.size:
            rows, place = None, slice(None)
            self._begun, self._near, self._horizon = 0, None, 0.0
        before = self._keys[place] >> self._bits
        search = Search(self._screened, chunk.x, chunk.allowed, centres)
        labels, self._margins[place] = search(rows, before if self._calm else None)
        self._keys[place] = (labels << self._bits) + self._begin(centres)
        moved = np.flatnonzero(before != labels)
        self._calm = len(moved) < _CALM * len(labels)
        if len(moved):
            between = np.stack([before[moved], labels[moved]], axis=1)
            self._changed(moved if rows is None else rows[moved], between)

    def _changed(self, rows: Labels, between: Labels) -> None:
        """Some rows have other labels than before: the two of each, (m, 2)."""
        self._statistics = None
        if len(rows) > _MANY * self.size:
            self._total = None
        elif self._total is not None:
            self._total = self._addends.moved(self._total, rows, between)

    def _look_compiled(self, loop: Callable[..., int], centres: Array, chunk: Rows) -> None:
        """As `look`, in one loop from the margins of rows to the labels that have changed."""
        if first := self._keys is None:
            self._keys, self._margins = np.zeros(self.size, np.int64), np.zeros(self.size, np.float32)
            threshold = np.full((1, 1 << self._bits), np.inf, np.float32)
        else:
            threshold = self._threshold(centres)
        asked = _ALL if self._near is None else self._near
        if asked is not _ALL and not len(asked):
            return
        screened, scores, error = self._screened, *scored(self._screened, centres)
        given = chunk.x, screened.rows, screened.squared, centres, scores, error, LEAST
        rows, between = np.empty(self.size, np.int64), np.empty((self.size, 2), np.int64)
        known = self._begin(centres), self._bits, self._keys, self._margins
        moved = loop(*given, asked, threshold.reshape(-1), *known, rows, between)
        if moved and not first:
            self._changed(rows[:moved], between[:moved])

    def _begin(self, centres: Array) -> int:
        """The number of the epoch of these centres."""
        last = self._begun - 1
        if last >= 0 and np.array_equal(self._epochs[last], centres):
            return last
        self._epochs[self._begun] = centres
        self._begun += 1
        return self._begun - 1

    def _doubtful(self, centres: Array) -> Labels:
        """The rows that may have another nearest centre than they had."""
        assert self._keys is not None
        flat = self._threshold(centres).reshape(-1)
        if self._near is None:
            return np.flatnonzero(self._margins <= flat.take(self._keys))
        return self._near[self._margins.take(self._near) <= flat.take(self._keys.take(self._near))]

    def _threshold(self, centres: Array) -> Single:
        """The margin up to which a row must be looked at, by label and epoch: shape (k, epochs)."""
        threshold = self._moved(centres)
        if self._begun == 1 << self._bits or threshold[:, 0].max() > self._horizon:
            threshold = self._reduced(centres, threshold)
        return threshold

    def _reduced(self, centres: Array, threshold: Single) -> Single:
        """Reduce all margins to those at these centres; by how much they may be less than that, as `_moved` says."""
        assert self._keys is not None
        horizon = min(_AHEAD * float(threshold[:, self._begun - 1].max()), float(np.finfo(np.float32).max))
        self._margins -= threshold.reshape(-1).take(self._keys)
        self._margins *= np.float32(1 - 2.0**-20)  # more than the difference has been rounded by
        self._keys >>= self._bits
        self._keys <<= self._bits
        self._begun = 0
        self._begin(centres)
        near = np.flatnonzero(self._margins <= horizon)
        self._near, self._horizon = (near, horizon) if len(near) < _NEAR * self.size else (None, np.inf)
        return self._moved(centres)

    def _moved(self, centres: Array) -> Single:
        """By how much margins may have shrunk, by label and epoch: shape (k, epochs)."""
        screened, (k, d) = self._screened, self.shape
        threshold = np.full((k, 1 << self._bits), np.inf, np.float32)
        if (loop := running("displaced")) is not None:
            loop(self._epochs[: self._begun], centres, screened.centre, screened.unit, screened.longest, threshold)
            return threshold
        with np.errstate(over="ignore"):  # centres beyond the range have moved by infinity
            away = np.sqrt(_squares(centres - screened.centre).max())
            moved = np.sqrt(_squares(self._epochs[: self._begun] - centres))
            # How far any other centre has moved: at most as far as the first of all; for that one, as the second.
            others = moved
            if k > 1:
                second, first = np.partition(moved, (k - 2, k - 1), axis=1)[:, k - 2 :].T
                others = np.where(moved == first[:, None], second[:, None], first[:, None])
            # A distance in double is off by (d + 2) / 2 roundings of itself; the longest bounds them all.
            slack = 16 * (d + 4) * UNIT * (screened.longest + away * screened.unit)
            threshold[:, : len(moved)] = ((moved + others) * (screened.unit * (1 + 2.0**-18)) + slack).T
        return threshold


def _squares(y: Array) -> Array:
    """|y|^2 along the last axis."""
    squares: Array = np.einsum("...i,...i->...", y, y)
    return squares
