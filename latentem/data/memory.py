"""Data in memory: tables and lists of them, chunks that somebody has made, and functions that give either."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from latentem.arrays import own
from latentem.core import unweighted
from latentem.data.chunks import Chunks
from latentem.data.frames import columns_of
from latentem.data.readers.reader import Table
from latentem.data.tables import Size, Source, Tables
from latentem.data.units import Units, filled, first_that_counts, joined
from latentem.data.values import allowed_components, numbers, refuse_mask, refuse_unsound, table

U = TypeVar("U", bound=Units)
R = TypeVar("R")
Shape = tuple[tuple[int, ...], bool]
"""The shape of a chunk's rows, (n, d), and whether it says what is allowed."""


def whole(n: int, d: int) -> int:
    """The size of a chunk that is to hold all rows."""
    return sys.maxsize


def made(kind: type[U], data: Any) -> Sequence[U]:
    """Chunks of this kind that somebody has made, one or a list of them; of other data none."""
    chunks = data if isinstance(data, list | tuple) else [data]
    return chunks if all(isinstance(chunk, kind) for chunk in chunks) else ()


def sound(chunks: Sequence[U], k: int | None, missing: bool, complete: bool) -> list[U]:
    """Chunks that somebody has made, but for units of weight zero, whose values are those of one that counts.

    `complete` says whether these are all the data, of which some must count.

    Raises:
        ValueError: the chunks do not fit together or `k` components, no unit counts, or a value is not finite.
    """
    if len({chunk.x.shape[1] for chunk in chunks}) > 1 or len({chunk.allowed is None for chunk in chunks}) > 1:
        shapes = [chunk.x.shape for chunk in chunks]
        raise ValueError(f"chunks of shapes {shapes} were given: give the same columns, and all or none with allowed")
    rows, units, checked, spare = 0, 0, [], None
    if complete and not all(chunk.weight is None or (chunk.weight > 0).any() for chunk in chunks):
        spare = first_that_counts(chunks, chunks[0].noun)
    for chunk in chunks:
        if chunk.allowed is not None:
            refuse_mask(chunk.allowed, len(chunk.x), k=k)
        checked.append(filled(chunk, spare))
        place = partial(chunk.place, rows=rows, units=units)
        refuse_unsound(checked[-1].x, place, None, missing, chunk.remedy)
        rows, units = rows + len(chunk.x), units + len(chunk)
    return checked


def one(kind: type[U], data: Any, k: int | None, missing: bool, weighted: bool = True) -> U:
    """One of several chunks, from whatever in memory `chunks_of` takes; `weighted`: with weights that come with it."""
    if chunks := made(kind, data):
        return joined(sound(chunks if weighted else list(map(unweighted, chunks)), k, missing, complete=False))
    return tables(kind, data, None, None, k, missing).chunks(kind, whole, k, missing)[0]


def tables(kind: type[Units], data: Any, weights: Any, allowed: Any, k: int | None, missing: bool) -> Tables:
    """A table in memory as a source, or a list of them, one below the other, where each is a unit.

    Arguments and errors are those of `chunks_of`; a table of float64 is viewed, never copied and never written to.
    """
    many = False
    if kind.whole:
        _refuse_odd_shapes(data, kind.noun)
        many = isinstance(data, list | tuple) and not (data and _is_row(data[0]))
    parts: Sequence[Any] = data if many else [data]
    if not parts:
        raise ValueError(f"no {kind.noun}s were given: give at least one table of shape (rows, columns)")
    where = [f"{kind.noun} {i}: " if many else "" for i in range(len(parts))]
    found = [_in(place, table, part, missing) for place, part in zip(where, parts, strict=True)]
    if len({x.shape[1] for x in found}) > 1:
        raise ValueError(f"{kind.noun}s of shapes {[x.shape for x in found]} were given: give the same columns in each")
    labels = None
    if allowed is not None:
        each: Sequence[Any] = allowed if many else [allowed]
        if len(each) != len(found):
            raise ValueError(f"allowed has {len(each)} parts: give one for each of the {len(found)} {kind.noun}s")
        given = zip(where, each, found, strict=True)
        labels = [_in(place, allowed_components, mine, len(x), k) for place, mine, x in given]
    return Tables(
        Table(_stacked(found), columns_of(parts[0]), name=""),
        None,
        None if weights is None else (Table(numbers(weights, "weights")), None),
        None if labels is None else (Table(_stacked(labels)), None),
        tuple(map(len, found)),
    )


def _stacked(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else own(np.concatenate(parts))


def _in(place: str, convert: Callable[..., R], *arguments: Any) -> R:
    """The result of `convert`, or its error with a place before it."""
    try:
        return convert(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}{error}") from error


def _refuse_odd_shapes(data: Any, noun: str) -> None:
    """Refuse what was meant for units of several rows, and is nested one level too little or too much."""
    how = f"give a list of {noun}s, each a table of shape (rows, columns)"
    if getattr(data, "ndim", 2) == 3:
        raise ValueError(f"{noun}s were given as one array of shape {data.shape}: {how}, as in list(x)")
    flat = isinstance(data, list | tuple) and len(data) > 0 and all(_is_row(part) for part in data)
    if flat and len({len(row) for row in data}) > 1:
        column = "[np.array(s)[:, None] for s in data]"
        raise ValueError(f"{noun}s were given as lists of numbers: {how}; for one column, {column}")


def _is_row(value: Any) -> bool:
    """Whether it is a row of a nested list, and not a table."""
    return isinstance(value, list | tuple) and not (value and isinstance(value[0], list | tuple | np.ndarray))


@final
@frozen(eq=False, repr=False)
class Functions(Source):
    """Functions without arguments: what function i loads is chunk i, and must have the same shape each time.

    Attributes:
        loads: The functions; each gives what a chunk is made of: a table, say, or `Rows`, or a list of sequences.
        weighted: Whether weights count that come with the chunks.
    """

    loads: tuple[Callable[[], Any], ...]
    weighted: bool = True

    def __repr__(self) -> str:
        return f"<{len(self.loads)} chunks, each loaded by a function>"

    def bare(self) -> Functions:
        return evolve(self, weighted=False)

    def chunks(self, kind: type[U], size: Size, k: int | None, missing: bool) -> Chunks[U]:
        load = partial(self._chunk, kind, k, missing)
        shapes = tuple(map(_shape, Chunks(partial(load, ()), len(self.loads))))
        if len({(shape[1:], labelled) for shape, labelled in shapes}) > 1:
            given = sorted({shape[1] for shape, _ in shapes})
            raise ValueError(f"chunks with {given} columns were loaded: give the same, and all or none with allowed")
        edges = (0, *accumulate(shape[0] for shape, _ in shapes))
        chunks = Chunks(partial(load, shapes), len(self.loads), edges)
        first_that_counts(chunks, kind.noun)
        return chunks

    def _chunk(self, kind: type[U], k: int | None, missing: bool, shapes: tuple[Shape, ...], i: int) -> U:
        """Chunk i, whose shape must be that of `shapes`, once these are known."""
        chunk = _in(f"chunk {i}: ", one, kind, self.loads[i](), k, missing, self.weighted)
        if shapes and _shape(chunk) != shapes[i]:
            raise ValueError(
                f"chunk {i} has shape {_shape(chunk)[0]}, and had {shapes[i][0]} when it was loaded first: "
                "a function must load the same data each time"
            )
        return chunk


def _shape(chunk: Units) -> Shape:
    return chunk.x.shape, chunk.allowed is not None
