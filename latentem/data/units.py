"""Units of rows: what all kinds of chunks share, and what is done to chunks of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
from attrs import field

from latentem.arrays import EQUAL, Array, Labels, axes, column_bounds, frozen_or_none, own, viewed_array
from latentem.core import Chunk
from latentem.data.values import mask, refuse_mask, refuse_weights


class Units(Chunk):
    """A kind of chunk, which keeps the protocol `latentem.core.Chunk`; derive from it to define another kind.

    Such a kind is a frozen `attrs` value. It has fields for `x`, `lengths`, `weight` and `allowed`, or, where a row is
    a unit, for all but `lengths`; `of` makes it of them, and a kind with other fields overrides that. `chunks_of`
    then makes chunks of it from tables in memory and from files.
    """

    __slots__ = ()

    noun: ClassVar[str] = "unit"
    """The word for a unit in messages."""
    whole: ClassVar[bool] = True
    """Whether a unit is a table of its own, of one or more rows. Else each row is a unit, and there are no lengths."""
    remedy: ClassVar[str] = "fill it in, or leave out that unit"
    """The advice about a missing value where none may be."""

    @classmethod
    def of(cls, x: Array, lengths: Labels | None, weight: Array | None, allowed: npt.NDArray[np.bool_] | None) -> Self:
        """A chunk of these rows; the arguments are what its properties of these names are to be."""
        make: Callable[..., Self] = cls
        return make(x, lengths, weight, allowed) if cls.whole else make(x, weight, allowed)

    def __len__(self) -> int:
        return len(self.x if self.lengths is None else self.lengths)

    def __getitem__(self, part: slice) -> Self:
        rows, lengths = part, None
        if self.lengths is not None:
            chosen = range(len(self))[part]
            if chosen.step != 1:
                raise ValueError(f"{self.noun}s were cut with step {chosen.step}: cut them with step 1")
            edges = np.concatenate([[0], self.lengths.cumsum()])
            rows = slice(int(edges[chosen.start]), int(edges[max(chosen.stop, chosen.start)]))
            lengths = self.lengths[part]
        weight = None if self.weight is None else self.weight[part]
        return self.of(self.x[rows], lengths, weight, None if self.allowed is None else self.allowed[rows])

    @property
    def row_weight(self) -> Array:
        if self.weight is None:
            return np.ones(len(self.x))
        return self.weight if self.lengths is None else np.repeat(self.weight, self.lengths)

    @property
    def observations(self) -> float:
        if self.weight is None:
            return float(len(self.x))
        return float(self.weight.sum() if self.lengths is None else self.weight @ self.lengths)

    @property
    def bounds(self) -> tuple[Array, Array]:
        low, high = column_bounds(self.x)
        return own(low), own(high)

    def place(self, row: int, rows: int = 0, units: int = 0) -> str:
        if self.lengths is None:
            return f"{self.noun} {rows + row}"
        edges = self.lengths.cumsum()
        unit = int(np.searchsorted(edges, row, side="right"))
        return f"row {row - edges[unit] + self.lengths[unit]} of {self.noun} {units + unit}"

    def check(self) -> None:
        """Refuse with a ValueError shapes that disagree, and weights or labels that are none."""
        if self.lengths is not None and self.lengths.sum() != len(self.x):
            raise ValueError(f"lengths sum to {self.lengths.sum()}: they must sum to the {len(self.x)} rows")
        if self.weight is not None:
            refuse_weights(self.weight, len(self), self.noun)
        if self.allowed is not None:
            refuse_mask(self.allowed, len(self.x))


U = TypeVar("U", bound=Units)


def rows_field() -> Any:
    """A field for rows, shape (n, d): a view of what is float64 and in C order."""
    return field(converter=viewed_array, validator=axes(2, "(n, d)"), eq=EQUAL, hash=False)


def weight_field() -> Any:
    """A field for weights, shape (units,), or None."""
    return field(default=None, converter=frozen_or_none, eq=EQUAL, hash=False)


def allowed_field() -> Any:
    """A field for the components that rows may belong to, boolean of shape (n, k), or None."""
    return field(default=None, converter=mask, eq=EQUAL, hash=False)


def cut_edges(lengths: Labels | None, n: int, size: int) -> tuple[int, ...]:
    """Before which units n rows are cut so that chunks have `size` rows, and the number of units at last.

    Whole units of several rows make about `size`; one that is longer is a chunk by itself.
    """
    if lengths is None:
        return (*range(0, max(n, 1), size), n)
    edges, rows = [0], 0  # greedily, from the lengths alone: docs/mathematics.md, "Sums over chunks"
    for i, length in enumerate(lengths.tolist()):
        if rows and rows + length > size:
            edges.append(i)
            rows = 0
        rows += length
    return (*edges, len(lengths))


def split(chunk: U, size: int) -> list[U]:
    """The chunk, cut between units into chunks of `size` rows; one without rows as it is."""
    return [chunk[begin:end] for begin, end in pairwise(cut_edges(chunk.lengths, len(chunk.x), size))]


def even_rows(n: int, least: int, most: int) -> int:
    """How many of n rows a chunk has: one chunk, or an even number, for threads to share; few, for each costs.

    As many as `least` are not worth two chunks, and a chunk may have `most`.
    """
    return n if n <= least else -(-n // (2 * -(-n // (2 * most))))  # n over twice the pairs, each rounded up


def weight_of(chunks: Sequence[Any]) -> Array:
    """The weights of all rows of some chunks, shape (n,)."""
    return np.concatenate([chunk.row_weight for chunk in chunks])


def joined(chunks: Sequence[U]) -> U:
    """Several chunks of a kind as one, copied; one as it is."""
    if len(chunks) == 1:
        return chunks[0]

    def all_of(parts: list[Any]) -> Any:
        return None if parts[0] is None else np.concatenate(parts)

    weights = [np.ones(len(chunk)) if chunk.weight is None else chunk.weight for chunk in chunks]
    return chunks[0].of(
        own(np.concatenate([chunk.x for chunk in chunks])),
        all_of([chunk.lengths for chunk in chunks]),
        None if all(chunk.weight is None for chunk in chunks) else own(np.concatenate(weights)),
        all_of([chunk.allowed for chunk in chunks]),
    )


def filled(chunk: U, spare: Array | None = None) -> U:
    """A chunk whose units of weight zero are as if they were not there: the values are those of a row that counts.

    They may belong to any component. Where no unit counts the values are `spare`, (d,), or stay as they are.
    """
    if chunk.weight is None or (chunk.weight > 0).all():
        return chunk
    present = chunk.row_weight > 0
    values = chunk.x[int(present.argmax())] if present.any() else spare
    if values is None:
        return chunk
    x = own(np.where(present[:, None], chunk.x, values))
    allowed = None if chunk.allowed is None else chunk.allowed | ~present[:, None]
    return chunk.of(x, chunk.lengths, chunk.weight, allowed)


def first_that_counts(chunks: Iterable[Any], noun: str) -> Array:
    """The first row whose weight is not zero, shape (d,); no chunk behind it is looked at. A ValueError if none is."""
    for chunk in chunks:
        counts = chunk.row_weight > 0
        if counts.any():
            return own(chunk.x[int(counts.argmax())].copy())
    raise ValueError(f"all weights are zero: at least one {noun} must count")
