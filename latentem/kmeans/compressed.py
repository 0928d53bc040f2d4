"""A sparse table as K-means computes with it: products over the numbers that are stored, and no dense copy of rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.sparse import csr_array

from latentem.arrays import Array, Labels, own
from latentem.data.readers.reader import refuse_unreal
from latentem.family import Spherical
from latentem.family.gaussian.moments import Moments
from latentem.kernel.base import UNIT
from latentem.kmeans.sums import alike, blocks, halves, squared_lengths
from latentem.model import MixtureStatistics

Mask = npt.NDArray[np.bool_]
_AT_ONCE = 2**15
"""Numbers of the rows that are compared with a centre column by column at a time."""


def _canonical(values: Any) -> Any:
    if np.ndim(values) != 2 or 0 in np.shape(values):
        raise ValueError(f"a table of shape {np.shape(values)} was given: give one of (rows, columns), with rows")
    refuse_unreal(values.dtype, "a sparse table")
    table = csr_array(values, dtype=np.float64)
    if not table.has_canonical_format:
        table = table.copy()
        table.sum_duplicates()
    return table


@final
@frozen(eq=False)
class Compressed:
    """A sparse table, shape (n, d), of which only the rows that somebody asks for are made dense.

    Attributes:
        values: The table in CSR form, in float64, each cell stored once; what is so already is not copied.

    Raises:
        TypeError, ValueError: it is no table of real numbers.
    """

    values: Any = field(converter=_canonical)

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self.values.shape
        return int(n), int(d)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        return own(self.values[rows].toarray())

    def part(self, rows: slice) -> Self:
        """Some of the rows."""
        return type(self)(self.values[rows])

    @cached_property
    def row_of(self) -> Labels:
        """The row of each stored number, shape (nnz,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.values.indptr))

    @cached_property
    def squared(self) -> Array:
        """|x|^2 of each row, shape (n,)."""
        return _totals(self.row_of, self.values.data**2, len(self))

    @cached_property
    def largest(self) -> Array:
        """The largest |x| of each column, shape (d,)."""
        largest = np.zeros(self.shape[1])
        np.maximum.at(largest, self.values.indices, np.abs(self.values.data))
        return largest

    @cached_property
    def addends(self) -> tuple[Array, Array]:
        """The stored numbers as sums of two, of which the sums are exact, shapes (nnz,)."""
        return halves(self.values.data, self.largest[self.values.indices], len(self))

    def screened(self, centres: Array) -> Iterator[tuple[slice, Array, Array]]:
        """Blocks of m rows, their squared distances to all centres, (m, k), and by how much these may be off, (m, k).

        The product form |x|^2 - 2 x.c + |c|^2 and the sum of (x - c)^2 in double, which decides, differ by no more than
        2 nnz + 4 log2 d + 45 roundings of (|x| + |c|)^2, where a row has nnz numbers at most.
        """
        turned, lengths = np.ascontiguousarray(centres.T), squared_lengths(centres)
        roundings = 2 * int(np.diff(self.values.indptr).max()) + 4 * max(self.shape[1].bit_length(), 4) + 45
        for part in blocks(len(self), len(centres)):
            squared = self.squared[part, None]
            distance = self.values[part] @ turned
            distance *= -2
            distance += squared
            distance += lengths
            np.maximum(distance, 0.0, out=distance)
            yield part, distance, roundings * UNIT * (np.sqrt(squared) + np.sqrt(lengths)) ** 2

    def decide(self, part: slice, centres: Array, distance: Array, doubtful: Mask) -> None:
        """Put the sum of (x - c)^2, as `squared_lengths` has it, where the product form of a block lacks digits."""
        row, centre = np.nonzero(doubtful)
        step = max(1, _AT_ONCE // centres.shape[1])
        for begin in range(0, len(row), step):
            some = slice(begin, begin + step)
            apart = self[row[some] + part.start] - centres[centre[some]]
            distance[row[some], centre[some]] = squared_lengths(apart)

    def away(self, centres: Array, labels: Labels) -> Array:
        """Squared distance of each row to the centre of its label, shape (n,)."""
        near = centres[labels[self.row_of], self.values.indices]
        # |x - c|^2 = |c|^2 + the sum over what is stored of (x - c)^2 - c^2
        change = _totals(self.row_of, (self.values.data - near) ** 2 - near**2, len(self))
        return np.maximum(squared_lengths(centres)[labels] + change, 0.0)

    def summed(self, labels: Labels, k: int, weight: Array | None) -> MixtureStatistics:
        """Statistics of rows in given clusters with given weights, (n,), about the means of the clusters."""
        n, d = self.shape
        column, row, value = self.values.indices, self.row_of, self.values.data
        cluster = labels[row]
        cell = cluster * d + column  # where a stored number counts in the table of centres
        count = _totals(labels, np.ones(n), k)
        inside = stored = _totals(cell, None, k * d).reshape(k, d)
        rows, heavy, addends = count[:, None], None, self.addends
        if weight is not None:
            heavy, heaviest = weight[row], float(weight.max())
            count = _added(_halved(weight, heaviest, n, weight), labels, k)
            inside = _totals(cell, heavy, k * d).reshape(k, d)
            addends = _halved(value * heavy, self.largest[column] * heaviest, n, weight)
        means = _added(addends, cell, k * d).reshape(k, d)
        means /= np.where(count > 0, count, 1.0)[:, None]
        squares = value - means.reshape(-1)[cell]
        squares *= squares
        if heavy is not None:
            squares *= heavy
        second = _totals(cluster, squares, k)
        # What is not stored is zero, and as far from the mean as the mean is from zero.
        absent = np.where(stored == rows, 0.0, np.maximum(count[:, None] - inside, 0.0))
        second += np.einsum("kd,kd,kd->k", absent, means, means)
        own(count)
        moments = Moments(Spherical(), own(means), count, own(np.zeros((k, d))), own(second))
        return MixtureStatistics(count, moments)


def compressed(values: Any) -> Compressed:
    """A converter for sparse tables."""
    return values if isinstance(values, Compressed) else Compressed(values)


def _halved(value: Array, largest: Any, n: int, weight: Array) -> tuple[Array, Array]:
    """Addends with weights in them as sums of two; those of weights that are too unlike stay as they are."""
    return halves(value, largest, n) if alike(weight) else (value, np.zeros(len(value)))


def _added(addends: tuple[Array, Array], where: Labels, size: int) -> Array:
    """Sums of the addends at each place, shape (size,)."""
    upper, lower = addends
    return _totals(where, upper, size) + _totals(where, lower, size)


def _totals(where: Labels, values: Array | None, size: int) -> Array:
    """Sums of the values at each place, shape (size,): a product with a sparse table of ones. None: how many are."""
    totals: Array = np.bincount(where, values, size).astype(np.float64, copy=False)
    return totals
