"""Sums over the rows of each cluster that are exact, so that they do not depend on how they came about.

Every addend is split into two whole numbers, so small that no sum over the chunk leaves the whole numbers that a
double holds exactly. Then adding the rows that came and taking away those that went gives the same bits as adding
all anew. The error is that of the split, 2^-67 of the largest addend of a column or less; docs/kmeans.md has the proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, Labels, column_bounds, made
from latentem.compiled import running
from latentem.family import Spherical
from latentem.family.gaussian.moments import Moments
from latentem.kernel.base import UNIT
from latentem.model import MixtureStatistics

_BLOCK = 2**17
"""Numbers in a table that a block of rows is worked in: it stays in cache."""
_ONE_HOT = 2**14
"""Numbers in a table, (k, rows), up to which a product with it is faster than to build a sparse one."""
_NARROW = 16
"""Below so many columns they are reduced one by one: numpy is slow on short rows."""
_LIGHT = 2.0**-20
"""The smallest weight, relative to the largest, that the split still gives all its digits."""
_SHORT = 2**12
"""Rows of a chunk up to which second moments are always summed row by row: that costs little and keeps all digits."""
_TOLERANCE = 1e-12
"""Relative error of a second moment above which it is summed anew about its mean."""
_ALL = np.empty(0, np.int64)
"""In the place of rows that a compiled loop is given: all of them."""


def squared_lengths(y: Array) -> Array:
    """|y|^2 of each row, shape (n,), the same whatever rows are beside it.

    It is off by at most 2 log2 d + 18 roundings, or d + 2 below 16 columns. It adds halves to halves, and the last
    columns one by one: numpy is slow on short rows, and its own sums may depend on the shape of the table.
    """
    y = y * y
    while (width := y.shape[1]) >= _NARROW:
        half = width // 2
        folded = y[:, :half] + y[:, half : 2 * half]
        if width % 2:
            folded[:, 0] += y[:, -1]
        y = folded
    total = y[:, 0]
    for i in range(1, y.shape[1]):
        total += y[:, i]
    return np.ascontiguousarray(total)


def squared_distances(x: Array, centres: Array, labels: Labels) -> Array:
    """|x - centre|^2 of each row to the centre of its label, shape (n,)."""
    distances = np.empty(len(x))
    for part in blocks(*x.shape):
        distances[part] = squared_lengths(x[part] - centres.take(labels[part], axis=0))
    return distances


def _by_column(x: Array) -> tuple[Array, Array, Array]:
    """The least value of each column, the largest and the mean, each of shape (d,)."""
    n, d = x.shape
    low, high = column_bounds(x)
    if d >= _NARROW:
        return low, high, x.mean(axis=0)
    mean = np.zeros(d)
    for part in blocks(n, d):  # turned, for numpy is slow on short rows
        mean += np.ascontiguousarray(x[part].T).sum(axis=1)
    return low, high, mean / n


@final
@frozen(eq=False)
class Addends:
    """The addends of each row to its cluster: w (x - origin), w |x - centre|^2 and w; a function of the chunk.

    Attributes:
        x: The rows, shape (n, d).
        weight: Their weights, shape (n,), or None where each counts once.
        origin: What the sums of x are about, shape (d,): x - origin is exact.
        centre: Mean of the rows, shape (d,).
        reach: The largest |x - centre| of any column.
        squared: w |x - centre|^2, shape (n,).
        scale: Powers of two that make the addends whole numbers of `bits` bits, shape (d + 2,).
        bits: Of each of the two whole numbers.
        sound: Whether the weights are so alike that two whole numbers hold them all.
    """

    x: Array
    weight: Array | None
    origin: Array
    centre: Array
    reach: float
    squared: Array
    scale: Array
    bits: int
    sound: bool

    @classmethod
    def of(cls, x: Array, weight: Array | None) -> Self:
        """Of rows x, shape (n, d), with weights (n,)."""
        low, high, centre = _by_column(x)
        width = high - low
        centre = np.clip(centre, low, high)
        # Within a factor of two of one another, the difference of two doubles is exact (Sterbenz, 1974).
        origin = np.where(np.abs(low + width / 2) > 2 * width, low, 0.0)
        squared = np.empty(len(x))
        if x.shape[1] >= _NARROW and (loop := running("lengths")) is not None:
            loop(x, centre, squared)
        else:
            for part in blocks(len(x), x.shape[1]):
                squared[part] = squared_lengths(x[part] - centre)
        heaviest, bits = 1.0, _digits(len(x))
        if weight is not None:
            squared *= weight
            heaviest = float(weight.max())
        largest = np.r_[np.maximum(np.abs(high - origin), np.abs(low - origin)) * heaviest, squared.max(), heaviest]
        exponent = np.maximum(np.frexp(largest)[1], -900)
        reach = float(np.maximum(high - centre, centre - low).max())
        return cls(x, weight, origin, centre, reach, squared, np.ldexp(1.0, bits - exponent), bits, alike(weight))

    def split(self, rows: Labels | slice) -> Array:
        """The two whole numbers of each addend of some rows, shape (2 (d + 2), m): the upper ones, then the lower."""
        d = self.x.shape[1]
        x, squared = _taken(self.x, rows), _taken(self.squared, rows)
        both = np.empty((2, d + 2, len(x)))
        upper, lower = both
        np.subtract(x.T, self.origin[:, None], out=lower[:d])
        lower[d], lower[d + 1] = squared, 1.0
        if self.weight is not None:
            weight = _taken(self.weight, rows)
            lower[:d] *= weight
            lower[d + 1] = weight
        lower *= self.scale[:, None]
        np.rint(lower, out=upper)
        lower -= upper  # exact: at most one half is left
        lower *= 2.0**self.bits
        np.rint(lower, out=lower)
        return both.reshape(-1, len(x))

    def total(self, labels: Labels, k: int) -> Array:
        """Their sums over each cluster, shape (k, 2 (d + 2)): whole numbers, exact."""
        total = np.zeros((k, 2 * len(self.scale)))
        if (loop := running("addends")) is not None:
            self._add(loop, _ALL, labels[:, None], np.ones(1), total)
            return total
        for part in blocks(len(self.x), total.shape[1]):
            total += _gathered(self.split(part), labels[part, None], [1.0], k)
        return total

    def moved(self, total: Array, rows: Labels, between: Labels) -> Array:
        """The sums, once some rows have gone from the cluster to that of `between`, (m, 2): the same bits as anew."""
        if (loop := running("addends")) is not None:
            total = total.copy()
            self._add(loop, rows, between, np.array([-1.0, 1.0]), total)
            return total
        for part in blocks(len(rows), total.shape[1]):
            total = total + _gathered(self.split(rows[part]), between[part], [-1.0, 1.0], len(total))
        return total

    def _add(self, loop: Callable[..., None], rows: Labels, labels: Labels, factors: Array, total: Array) -> None:
        weight = np.empty(0) if self.weight is None else self.weight
        given = self.x, weight, self.origin, self.squared, self.scale, 2.0**self.bits
        loop(*given, rows, np.ascontiguousarray(labels), factors, total)

    def statistics(self, total: Array, labels: Callable[[], Labels]) -> MixtureStatistics:
        """The statistics of clusters with these sums: about the mean of each cluster of the chunk."""
        d = self.x.shape[1]
        upper, lower = total[:, : d + 2], total[:, d + 2 :]
        sums = lower * 2.0**-self.bits
        sums += upper
        sums /= self.scale
        count = np.ascontiguousarray(sums[:, d + 1])
        share = np.where(count > 0, count, 1.0)
        means = sums[:, :d] / share[:, None]
        distance = squared_lengths(means - (self.centre - self.origin)) * (count > 0)
        rounded = means + self.origin
        means -= rounded - self.origin  # what rounding leaves of a mean that is far from zero
        about_centre, shift = sums[:, d], count * distance
        second = about_centre - shift + count * squared_lengths(means)
        # First order in the roundoff: of the squares, of the means about the origin, and of the difference.
        reach = np.sqrt(squared_lengths((self.centre - self.origin)[None])[0])
        each = d + 4 if d < _NARROW else 2 * d.bit_length() + 20
        error = each * (about_centre + shift) + 6 * (shift + np.sqrt(distance) * reach * count)
        cancelled = (UNIT * error > _TOLERANCE * second) | (len(self.x) <= _SHORT)
        if cancelled.any():
            second[cancelled] = self._about(rounded, labels(), cancelled)[cancelled]
        rounded[count == 0] = means[count == 0] = 0.0
        means *= count[:, None]
        moments = made(Moments, Spherical(), rounded, count, means, np.maximum(second, 0.0), None, None)
        return made(MixtureStatistics, count, moments)

    def _about(self, means: Array, labels: Labels, chosen: Array) -> Array:
        """Sum of w |x - mean|^2 of the chosen clusters, shape (k,), row by row."""
        rows = np.flatnonzero(chosen.take(labels))
        squares = np.empty(len(rows))
        for part in blocks(len(rows), self.x.shape[1]):
            inside = rows[part]
            squares[part] = squared_distances(self.x.take(inside, axis=0), means, labels[inside])
        if self.weight is not None:
            squares *= self.weight[rows]
        second: Array = np.bincount(labels[rows], squares, len(means)).astype(np.float64, copy=False)
        return second


def alike(weight: Array | None) -> bool:
    """Whether weights are so alike that two whole numbers hold all digits of the lightest."""
    if weight is None or not (heaviest := float(weight.max(initial=0.0))):
        return True
    return float(weight[weight > 0].min()) >= _LIGHT * heaviest


def halves(values: Array, largest: Array | float, n: int) -> tuple[Array, Array]:
    """Two addends for each of some values, which differ from it by 2^-67 of the largest or less: sums are exact.

    They are the two whole numbers, times powers of two that are the same for all values of a column.

    Args:
        values: Shape (m,).
        largest: The largest |value| of the column of each, shape (m,), or of all.
        n: How many of them are added up, at most.
    """
    bits = _digits(n)
    scale = np.ldexp(1.0, bits - np.maximum(np.frexp(largest)[1], -900))
    upper = np.rint(values * scale) / scale
    lower = np.rint((values - upper) * scale * 2.0**bits) / scale * 2.0**-bits
    return upper, lower


def _digits(n: int) -> int:
    """Bits of whole numbers of which n sum to 2^52 at most, which a double holds exactly."""
    return 52 - max(n - 1, 1).bit_length()


def blocks(n: int, width: int) -> list[slice]:
    """The rows 0 to n in blocks that stay in cache, for tables of some width."""
    size = max(64, _BLOCK // width)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _taken(values: Array, rows: Labels | slice) -> Array:
    return values[rows] if isinstance(rows, slice) else values.take(rows, axis=0)


def _gathered(columns: Array, labels: Labels, factors: list[float], k: int) -> Array:
    """Sum over rows, the columns of (width, m), of factor x row at each label, (m, len(factors)): shape (k, width)."""
    m, each = labels.shape
    if k * m <= _ONE_HOT:
        table, at = np.zeros(k * m), np.arange(m)
        for factor, label in zip(factors, labels.T, strict=True):
            table[label * m + at] += factor
        return np.dot(table.reshape(k, m), columns.T)
    from scipy.sparse import csc_array  # a large module, which nothing else here needs

    starts = np.arange(0, m * each + 1, each, dtype=np.int32)
    sparse = csc_array((np.tile(factors, m), labels.astype(np.int32).reshape(-1), starts), shape=(k, m))
    gathered: Array = sparse @ np.ascontiguousarray(columns.T)
    return gathered
