"""The protocol of a chunk: the part of the data that a model sees at a time.

A chunk is a frozen value. It holds units that are independent of one another: rows, or sequences or groups of several
rows. Starts, repairs and the models of this library ask it for what `Chunk` lists. A model with chunks of its own may
take any object that has a length, such as a bare array: the functions below say what holds where a chunk does not
say it, and nothing else in the library asks whether a chunk has an attribute.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Any, Protocol, Self, runtime_checkable

import attrs

from latentem.core.additive import Value


class Chunk(Value):
    """Units with their rows one below the other, in order: n rows, and as many or fewer units."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def x(self) -> Any:
        """The rows, shape (n, d); NaN where a value is missing."""

    @property
    def lengths(self) -> Any:
        """How many rows each unit has, shape (units,), summing to n; None: each row is a unit."""
        return None

    @property
    def weight(self) -> Any:
        """How much each unit counts, shape (units,), at least 0; None: each counts once."""
        return None

    @property
    def allowed(self) -> Any:
        """Which components each row may belong to, boolean of shape (n, k); None: any."""
        return None

    @property
    def compiled(self) -> bool:
        """Whether compiled loops, which take tables of numbers, are for it."""
        return True

    @property
    @abc.abstractmethod
    def row_weight(self) -> Any:
        """How much each row counts, shape (n,): as its unit does."""

    @property
    @abc.abstractmethod
    def observations(self) -> float:
        """How much the chunk counts in a mean: its rows, each as often as its unit."""

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[Any, Any]:
        """The least and the largest value of each column, shapes (d,); NaN where a value is missing."""

    @abc.abstractmethod
    def place(self, row: int, rows: int = 0, units: int = 0) -> str:
        """Where a row of it is in the data, in words, if so many rows and units come before the chunk."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many units there are."""

    @abc.abstractmethod
    def __getitem__(self, part: slice) -> Self:
        """Some of the units, in their order, as a chunk of the same kind."""


@runtime_checkable
class Sliceable(Protocol):
    """A chunk of one's own that can be cut."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice) -> Any: ...


def unit_weight(chunk: Any) -> Any:
    """How much each unit counts, shape (units,); None: each counts once."""
    return getattr(chunk, "weight", None)


def allowed_of(chunk: Any) -> Any:
    """Which components each row may belong to, boolean of shape (n, k); None: any."""
    return getattr(chunk, "allowed", None)


def observations(chunk: Any) -> float:
    """How much a chunk counts: what it says itself, or the number of its units."""
    counted = getattr(chunk, "observations", None)
    return float(len(chunk) if counted is None else counted)


def unit_lengths(chunk: Any) -> Any:
    """How many rows each unit has, shape (units,); None: each is one row, or has no rows."""
    return getattr(chunk, "lengths", None)


def rows_that_count(chunk: Any) -> int:
    """How many rows have a weight above zero; where rows have none, how many units there are."""
    weight = getattr(chunk, "row_weight", None)
    return len(chunk) if weight is None else int((weight > 0).sum())


def row_count(chunk: Any) -> int:
    """How many rows there are; where a chunk has no rows, how many units."""
    return len(getattr(chunk, "x", chunk))


def unweighted(chunk: Any) -> Any:
    """The chunk with each unit counting once."""
    return chunk if unit_weight(chunk) is None else attrs.evolve(chunk, weight=None)


def for_loops(chunk: Any) -> bool:
    """Whether compiled loops are for it."""
    return bool(getattr(chunk, "compiled", True))


def can_be_cut(chunk: Any) -> bool:
    """Whether slices of it are chunks."""
    return isinstance(chunk, Sliceable)


def place_of(row: int, chunks: Iterable[Any]) -> str:
    """Where a row of some chunks is in words; rows are numbered over all of them, from 0."""
    rows = units = 0
    for chunk in chunks:
        n = row_count(chunk)
        if row < rows + n:
            place: str = chunk.place(row - rows, rows, units) if isinstance(chunk, Chunk) else f"row {row}"
            return place
        rows, units = rows + n, units + len(chunk)
    return f"row {row}"
