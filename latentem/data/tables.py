"""Sources of chunks, and the one that is tables, wherever they are."""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import partial
from typing import TypeVar, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from latentem.arrays import Array, Labels, frozen_lengths, own
from latentem.core import Value
from latentem.data.chunks import Chunks
from latentem.data.readers.formats import Column
from latentem.data.readers.reader import Columns, Reader
from latentem.data.readers.words import Known, Words
from latentem.data.units import Units, cut_edges, first_that_counts
from latentem.data.values import allowed_components, refuse_mask, refuse_unsound, refuse_weights

U = TypeVar("U", bound=Units)
_ROWS = 2**16
"""Rows that are looked at together."""
Size = Callable[[int, int], int]
"""From the shape (n, d) of the data, how many rows a chunk of a model has."""


class Source(Value):
    """Data that are loaded a chunk at a time, as often as they are needed; made by `lem.data.source`.

    `fit` and whatever else takes data takes one. It can be pickled.
    """

    __slots__ = ()

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, if they have any."""
        return None

    @abc.abstractmethod
    def bare(self) -> Source:
        """These data without weights: each unit counts once."""

    @abc.abstractmethod
    def chunks(self, kind: type[U], size: Size, k: int | None, missing: bool) -> Chunks[U]:
        """Chunks, checked as they are loaded.

        Args:
            kind: Of which kind they are.
            size: How many rows a chunk has.
            k: How many components there are, if the model has any.
            missing: Whether NaN stands for a missing value.

        Raises:
            ValueError: weights, labels and rows do not fit together, or no unit counts.
        """


@final
@frozen(eq=False, repr=False)
class Tables(Source):
    """Rows of a table, or of several, with what belongs to them.

    Attributes:
        table: The values are in it, shape (n, d) or more columns.
        numbers: Of the columns that are the values; None: all.
        weight: How much each row, or each longer unit, counts, shape (n,) or (units,); None: once.
        allowed: Labels, shape (n,), -1 or NaN for unknown; or the components that a row may belong to, shape (n, k).
        lengths: How many rows each unit has; None: each table is one. Where a row is a unit it does not matter.
    """

    table: Reader
    numbers: Columns = None
    weight: Column | None = None
    allowed: Column | None = None
    lengths: tuple[int, ...] | None = None

    def __attrs_post_init__(self) -> None:
        n = self.table.shape[0]
        if len(self.shape) != 2 or 0 in self.shape:
            raise ValueError(
                f"{self.table.name} has shape {self.shape}: give a table of shape (rows, columns), with rows"
            )
        if self.allowed is not None and _shape(self.allowed)[0] != n:
            raise ValueError(f"allowed has shape {_shape(self.allowed)}: give one row a unit, shape ({n},) or ({n}, k)")
        if self.lengths is not None and sum(self.lengths) != n:
            raise ValueError(f"lengths sum to {sum(self.lengths)}: they must sum to the {n} rows")

    def __repr__(self) -> str:
        return f"<{self.table.name}: {self.shape[0]} rows, {self.shape[1]} columns>"

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, d)."""
        return _shape((self.table, self.numbers))

    @property
    def columns(self) -> tuple[str, ...] | None:
        names = self.table.columns
        return names if names is None or not isinstance(self.numbers, tuple) else tuple(names[i] for i in self.numbers)

    @property
    def categories(self) -> tuple[Words, ...] | None:
        """What the columns of text hold, in the order of their codes; None if none holds text."""
        found = self.table.categories
        if found is None or not isinstance(self.numbers, tuple):
            return found
        mine = tuple(found[i] for i in self.numbers)
        return mine if any(mine) else None

    def coded(self, known: Known) -> Tables:
        """These data with text in some columns as codes of these words."""
        return evolve(self, table=self.table.coded(known))

    def largest(self) -> Array:
        """The largest value of each column, shape (d,), in one pass; 0 of one that has no value."""
        found, n = np.full(self.shape[1], -np.inf), self.shape[0]
        for begin in range(0, n, _ROWS):
            np.fmax(found, np.fmax.reduce(self.table.part(begin, min(n, begin + _ROWS), self.numbers)), out=found)
        return own(np.where(np.isneginf(found), 0.0, found))

    def of(self, chosen: tuple[int, ...]) -> Tables:
        """Some of these columns, by their numbers among them."""
        mine = self.numbers if isinstance(self.numbers, tuple) else tuple(range(self.shape[1]))
        return evolve(self, numbers=tuple(mine[i] for i in chosen))

    def bare(self) -> Tables:
        return evolve(self, weight=None)

    def chunks(self, kind: type[U], size: Size, k: int | None, missing: bool) -> Chunks[U]:
        n, d = self.shape
        lengths = frozen_lengths(self.table.lengths if self.lengths is None else self.lengths) if kind.whole else None
        units = (n,) if lengths is None else lengths.shape
        if self.weight is not None and _shape(self.weight) != units:
            raise ValueError(f"weights have shape {_shape(self.weight)}: give one a {kind.noun}, shape {units}")
        # Chunks must agree on how many components there are, and one of them may lack the highest label.
        if self.allowed is not None and k is None and len(_shape(self.allowed)) == 1:
            k = int(np.nanmax(_read(self.allowed, 0, n))) + 1
        edges = cut_edges(lengths, n, size(n, d))
        begins = edges if lengths is None else tuple(np.concatenate([[0], lengths.cumsum()])[list(edges)].tolist())
        load = partial(self._chunk, kind, k, missing, edges, begins, lengths)
        count, sound = len(edges) - 1, None
        if self.weight is not None:  # where no row of a chunk counts, its values are those of the first that does
            sound = first_that_counts(map(partial(load, None), range(count)), kind.noun)
        return Chunks(partial(load, sound), count, begins)

    def _chunk(
        self,
        kind: type[U],
        k: int | None,
        missing: bool,
        edges: tuple[int, ...],
        begins: tuple[int, ...],
        lengths: Labels | None,
        sound: Array | None,
        i: int,
    ) -> U:
        """The units from number `edges[i]` on, whose rows begin at `begins[i]`.

        Those of weight zero have the values `sound`, shape (d,), of a row that counts; None: of the first one here.
        """
        first, last, begin, end = edges[i], edges[i + 1], begins[i], begins[i + 1]
        x, allowed = self.table.part(begin, end, self.numbers), self._components(begin, end, k)
        weight, mine = None, None if lengths is None else lengths[first:last]
        if self.weight is not None:
            weight = _read(self.weight, first, last)
            refuse_weights(weight, last - first, kind.noun, first)
            if not weight.all():
                absent = weight == 0 if mine is None else np.repeat(weight == 0, mine)
                if sound is None:
                    sound = np.zeros(x.shape[1]) if absent.all() else x[int(absent.argmin())]
                x = own(np.where(absent[:, None], sound, x))
                allowed = None if allowed is None else allowed | absent[:, None]
        if allowed is not None:
            refuse_mask(allowed, end - begin, begin, k)
            allowed.flags.writeable = False
        chunk = kind.of(x, mine, weight, allowed)
        of = f" of {self.table.name}" if self.table.name else ""
        refuse_unsound(x, lambda row: chunk.place(row, begin, first) + of, self.columns, missing, kind.remedy)
        return chunk

    def _components(self, begin: int, end: int, k: int | None) -> npt.NDArray[np.bool_] | None:
        """Where these rows may belong, shape (end - begin, k)."""
        if self.allowed is None:
            return None
        given = _read(self.allowed, begin, end)
        if given.ndim == 1:
            labels = np.where(np.isnan(given), -1, given)
            whole = labels == np.rint(labels)
            if not whole.all():
                row = int(whole.argmin())
                raise ValueError(f"the label of row {begin + row} is {labels[row]}: labels are whole numbers")
            return allowed_components(labels.astype(np.int64), end - begin, k)
        return given != 0


def _read(column: Column, begin: int, end: int) -> Array:
    return column[0].part(begin, end, column[1])


def _shape(column: Column) -> tuple[int, ...]:
    shape, numbers = column[0].shape, column[1]
    if numbers is None:
        return shape
    return shape[:1] if isinstance(numbers, int) else (shape[0], len(numbers))
