"""Rows of a table as a chunk, and the door through which tables come in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, axes, frozen_or_none, own, rounded_mean, viewed_array
from latentem.core import Value
from latentem.data.values import (
    allowed_components,
    columns_of,
    mask,
    numbers,
    refuse_mask,
    refuse_unsound,
    refuse_weights,
    table,
)


@final
@frozen
class Rows(Value):
    """A chunk of independent units, one a row.

    Attributes:
        x: The values, shape (n, d); NaN where one is missing and the model takes that.
        weight: How much each unit counts, shape (n,), at least 0; None counts each once.
        allowed: Which components a unit may belong to, boolean of shape (n, k); None allows all.

    A chunk has a length and can be cut with a slice, like a list.

    Raises:
        ValueError: shapes disagree, a weight is negative or not finite, or a unit is allowed nowhere.
    """

    x: Array = field(converter=viewed_array, validator=axes(2, "(n, d)"), eq=EQUAL, hash=False)
    weight: Array | None = field(default=None, converter=frozen_or_none, eq=EQUAL, hash=False)
    allowed: npt.NDArray[np.bool_] | None = field(default=None, converter=mask, eq=EQUAL, hash=False)

    def __attrs_post_init__(self) -> None:
        n = len(self.x)
        if self.weight is not None:
            refuse_weights(self.weight, n, "row")
        if self.allowed is not None:
            refuse_mask(self.allowed, n)

    def __len__(self) -> int:
        return len(self.x)

    def place(self, row: int, rows: int = 0, units: int = 0) -> str:
        """Where a row is, in words, if so many rows and units come before the chunk."""
        return f"row {rows + row}"

    @property
    def observations(self) -> float:
        """How much the rows count: their number, or the sum of their weights."""
        return float(len(self) if self.weight is None else self.weight.sum())

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """The least and the largest value of each column, shapes (d,); NaN where one is missing."""
        return own(self.x.min(axis=0)), own(self.x.max(axis=0))

    @cached_property
    def centre(self) -> Array:
        """About where the rows are, shape (d,): what sums over them may be taken about."""
        return own(rounded_mean(self.x))

    @cached_property
    def scatter(self) -> tuple[float, Array, Array, Array]:
        """Sum of the weights, a rounded mean of the rows, (d,), and moments about it: first, (d,), and second, (d, d).

        For models whose statistics are linear in x and x x': a pass need not look at the rows again.
        """
        count, weight = self.observations, self.row_weight
        near = self.x[int(weight.argmax())]
        mean = near + weight @ (self.x - near) / (count or 1.0)
        y = self.x - mean  # beside a large offset the mean is rounded: what is left of it counts
        first = weight @ y
        y *= np.sqrt(weight)[:, None]
        return count, own(mean), own(first), own(y.T @ y)

    @property
    def row_weight(self) -> Array:
        """How much each row counts, shape (n,), ones where nothing was said."""
        return np.ones(len(self)) if self.weight is None else self.weight

    def __getitem__(self, part: slice) -> Rows:
        return Rows(
            self.x[part],
            None if self.weight is None else self.weight[part],
            None if self.allowed is None else self.allowed[part],
        )


def rows(data: Any, weights: Any = None, allowed: Any = None, k: int | None = None, missing: bool = False) -> Rows:
    """A table as one chunk, checked; an array of float64 is viewed, never copied and never written to.

    Args:
        data: A two-dimensional table of real numbers: an array, a list of lists, a pandas or polars
            DataFrame; shape (n, d).
        weights: How much each row counts, shape (n,).
        allowed: Known labels, shape (n,), whole numbers with -1 for unknown; or the components that
            each row may belong to, boolean of shape (n, k).
        k: How many components there are, to check `allowed` against.
        missing: Whether NaN stands for a missing value, and a masked entry of a masked array too.

    Raises:
        TypeError: the data are not real numbers.
        ValueError: the data are not a table, are empty, or hold infinity, or NaN where none may be missing.
    """
    if isinstance(data, Rows):
        if weights is not None or allowed is not None:
            raise ValueError("weights and allowed were given beside Rows: put them into the Rows")
        return checked([data], k, missing=missing)[0]
    if isinstance(data, list | tuple) and data and all(isinstance(part, Rows) for part in data):
        if weights is not None or allowed is not None:
            raise ValueError("weights and allowed were given beside Rows: put them into the Rows")
        return joined(checked(data, k, missing=missing))
    x = table(data, missing)
    labels = None if allowed is None else allowed_components(allowed, len(x), k)
    chunk = Rows(x, None if weights is None else numbers(weights, "weights"), labels)
    return checked([chunk], k, columns_of(data), missing)[0]


def converted_rows(data: Any, k: int | None, missing: bool, bare: bool) -> Rows:
    """One of several chunks, checked by itself; `bare`: without its weights.

    Raises:
        TypeError, ValueError: it is no table of real numbers, or not sound.
    """
    chunk = data if isinstance(data, Rows) else Rows(table(data, missing))
    if bare and chunk.weight is not None:
        chunk = evolve(chunk, weight=None)
    if chunk.allowed is not None and k is not None and chunk.allowed.shape[1] != k:
        raise ValueError(f"allowed has {chunk.allowed.shape[1]} columns: the model has {k} components")
    chunk = _without_absent(chunk)
    refuse_unsound(chunk.x, chunk.place, columns_of(data), missing)
    return chunk


def checked(
    chunks: Sequence[Rows], k: int | None = None, names: Sequence[str] | None = None, missing: bool = False
) -> list[Rows]:
    """Chunks of one table, as they are, but for rows of weight zero: they get the values of one that counts.

    Raises:
        ValueError: the chunks do not fit together or `k` components, no row counts, or a value is not finite.
    """
    if len({chunk.x.shape[1] for chunk in chunks}) > 1 or len({chunk.allowed is None for chunk in chunks}) > 1:
        shapes = [chunk.x.shape for chunk in chunks]
        raise ValueError(f"chunks of shapes {shapes} were given: give the same columns, and all or none with allowed")
    if not any(chunk.weight is None or (chunk.weight > 0).any() for chunk in chunks):
        raise ValueError("all weights are zero: at least one row must count")
    begin, sound = 0, []
    for chunk in chunks:
        if chunk.allowed is not None and k is not None and chunk.allowed.shape[1] != k:
            raise ValueError(f"allowed has {chunk.allowed.shape[1]} columns: the model has {k} components")
        sound.append(_without_absent(chunk))
        refuse_unsound(sound[-1].x, partial(sound[-1].place, rows=begin), names, missing)
        begin += len(chunk)
    return sound


def _without_absent(chunk: Rows) -> Rows:
    """Rows that do not count as if they were not there: the values of one that does, and any component."""
    if chunk.weight is None or (chunk.weight > 0).all() or not (chunk.weight > 0).any():
        return chunk
    present = chunk.weight > 0
    x = own(np.where(present[:, None], chunk.x, chunk.x[int(present.argmax())]))
    return evolve(chunk, x=x, allowed=None if chunk.allowed is None else chunk.allowed | ~present[:, None])


def joined(chunks: Sequence[Rows]) -> Rows:
    """Several chunks as one, copied."""
    weighted = any(chunk.weight is not None for chunk in chunks)
    return Rows(
        own(np.concatenate([chunk.x for chunk in chunks])),
        own(weight_of(chunks)) if weighted else None,
        None if chunks[0].allowed is None else np.concatenate([chunk.allowed for chunk in chunks]),
    )


def split(chunk: Rows, size: int) -> list[Rows]:
    """The chunk, cut into chunks of `size` rows, the last one shorter; one without rows as it is."""
    return [chunk[start : start + size] for start in range(0, max(len(chunk), 1), size)]


def even_rows(n: int, least: int, most: int) -> int:
    """How many of n rows a chunk has: one chunk, or an even number, for threads to share; few, for each costs.

    Args:
        n: All rows.
        least: Those that are not worth two chunks.
        most: Those that a chunk may have.
    """
    return n if n <= least else -(-n // (2 * -(-n // (2 * most))))


def weight_of(chunks: Sequence[Any]) -> Array:
    """The weights of all rows of some chunks, shape (n,)."""
    return np.concatenate([chunk.row_weight for chunk in chunks])
