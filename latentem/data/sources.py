"""The door through which data come in that are not, or should not be, in memory as one table."""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import partial
from typing import Any, final

from attrs import evolve, frozen

from latentem.arrays import frozen_lengths
from latentem.core import Value
from latentem.data.chunks import Chunks, Loaded, RowChunks, SequenceChunks, Stored, refuse_all_absent
from latentem.data.readers.reader import Reader
from latentem.data.rows import Rows, converted_rows
from latentem.data.sequences import Sequences, converted_sequences, cut_edges

Size = Callable[[int, int], int]
"""From the shape (n, d) of the data, how many rows a chunk of a model has."""


class Source(Value):
    """Data that are loaded a chunk at a time, as often as they are needed; made by `lem.data.source`.

    `fit` and whatever else takes data takes one. It can be pickled.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, if they have any."""

    @abc.abstractmethod
    def bare(self) -> Source:
        """The same data without weights."""

    @abc.abstractmethod
    def rows(self, size: Size, k: int | None, missing: bool) -> Chunks[Rows]:
        """Chunks of independent rows, checked as they are loaded."""

    @abc.abstractmethod
    def sequences(self, size: Size, k: int | None, missing: bool) -> Chunks[Sequences]:
        """Chunks of whole sequences, checked as they are loaded."""


@final
@frozen(eq=False, repr=False)
class Tables(Source):
    """Rows of tables, in files or in memory.

    Attributes:
        table: The values, shape (n, d).
        weight: Of rows, shape (n,), or of sequences, (s,).
        allowed: Labels, shape (n,), or a mask, shape (n, k).
        lengths: How many rows each sequence has; None: each table is one.
    """

    table: Reader
    weight: Reader | None = None
    allowed: Reader | None = None
    lengths: tuple[int, ...] | None = None

    def __attrs_post_init__(self) -> None:
        n = self.table.shape[0]
        if len(self.table.shape) != 2 or 0 in self.table.shape:
            raise ValueError(
                f"{self.table.name} has shape {self.table.shape}: give a table of shape (rows, columns), with rows"
            )
        if self.allowed is not None and self.allowed.shape[0] != n:
            raise ValueError(f"allowed has shape {self.allowed.shape}: give one row a unit, shape ({n},) or ({n}, k)")
        if self.lengths is not None and sum(self.lengths) != n:
            raise ValueError(f"lengths sum to {sum(self.lengths)}: they must sum to the {n} rows")

    def __repr__(self) -> str:
        return f"<{self.table.name}: {self.table.shape[0]} rows, {self.table.shape[1]} columns>"

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, d)."""
        return self.table.shape

    @property
    def columns(self) -> tuple[str, ...] | None:
        return self.table.columns

    def bare(self) -> Tables:
        return evolve(self, weight=None)

    def rows(self, size: Size, k: int | None, missing: bool) -> Chunks[Rows]:
        if self.weight is not None and self.weight.shape != self.shape[:1]:
            raise ValueError(f"weights have shape {self.weight.shape}: give one a row, shape {self.shape[:1]}")
        chunks = RowChunks(Stored(self.table, self.weight, self.allowed, k, missing), size(*self.table.shape))
        if self.weight is None:
            return chunks
        return evolve(chunks, sound=refuse_all_absent(chunks, "row"))

    def sequences(self, size: Size, k: int | None, missing: bool) -> Chunks[Sequences]:
        lengths = frozen_lengths(self.table.lengths if self.lengths is None else self.lengths)
        if self.weight is not None and self.weight.shape != lengths.shape:
            raise ValueError(f"weights have shape {self.weight.shape}: give one a sequence, shape {lengths.shape}")
        edges = tuple(cut_edges(lengths, size(*self.table.shape)))
        remedy = "fill it in, or part the sequence there"
        chunks = SequenceChunks(Stored(self.table, self.weight, self.allowed, k, missing, remedy), lengths, edges)
        if self.weight is None:
            return chunks
        return evolve(chunks, sound=refuse_all_absent(chunks, "sequence"))


@final
@frozen(eq=False, repr=False)
class Loads(Source):
    """Functions without arguments, each of which loads a chunk.

    Attributes:
        loads: The functions; each gives a table, `Rows` or `Sequences`, or a list of tables that are sequences.
        weighted: Whether weights count that come with the chunks.
    """

    loads: tuple[Callable[[], Any], ...]
    weighted: bool = True

    def __repr__(self) -> str:
        return f"<{len(self.loads)} chunks, each loaded by a function>"

    @property
    def columns(self) -> tuple[str, ...] | None:
        return None

    def bare(self) -> Loads:
        return evolve(self, weighted=False)

    def rows(self, size: Size, k: int | None, missing: bool) -> Chunks[Rows]:
        convert = partial(converted_rows, k=k, missing=missing, bare=not self.weighted)
        return _measured(Loaded(self.loads, convert), "row")

    def sequences(self, size: Size, k: int | None, missing: bool) -> Chunks[Sequences]:
        convert = partial(converted_sequences, k=k, missing=missing, bare=not self.weighted)
        return _measured(Loaded(self.loads, convert), "sequence")


def _measured(chunks: Loaded[Any], unit: str) -> Loaded[Any]:
    measured = chunks.measured()
    refuse_all_absent(measured, unit)
    return measured
