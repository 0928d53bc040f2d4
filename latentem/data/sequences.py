"""Whole sequences of rows as a chunk, and the door through which they come in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, Labels, axes, extents, frozen_or_none, own, viewed_array
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
class Sequences(Value):
    """A chunk of independent sequences, one below the other; each row is a time step.

    Attributes:
        x: The rows of all sequences, shape (n, d); NaN where a value is missing and the model takes that.
        lengths: How many rows each sequence has, shape (s,); they sum to n.
        weight: How much each sequence counts, shape (s,), at least 0; None counts each once.
        allowed: Which components a row may belong to, boolean of shape (n, k); None allows all.

    A chunk has as many units as sequences, and can be cut with a slice, like a list.

    Raises:
        ValueError: shapes disagree, or a weight is negative or not finite.
    """

    x: Array = field(converter=viewed_array, validator=axes(2, "(n, d)"), eq=EQUAL, hash=False)
    lengths: Labels = extents()
    weight: Array | None = field(default=None, converter=frozen_or_none, eq=EQUAL, hash=False)
    allowed: npt.NDArray[np.bool_] | None = field(default=None, converter=mask, eq=EQUAL, hash=False)

    def __attrs_post_init__(self) -> None:
        if self.lengths.sum() != len(self.x):
            raise ValueError(f"lengths sum to {self.lengths.sum()}: they must sum to the {len(self.x)} rows")
        if self.weight is not None:
            refuse_weights(self.weight, len(self), "sequence")
        if self.allowed is not None:
            refuse_mask(self.allowed, len(self.x))

    def place(self, row: int, rows: int = 0, units: int = 0) -> str:
        """Where a row is, in words, if so many rows and sequences come before the chunk."""
        edges = self.lengths.cumsum()
        sequence = int(np.searchsorted(edges, row, side="right"))
        return f"row {row - edges[sequence] + self.lengths[sequence]} of sequence {units + sequence}"

    @property
    def observations(self) -> float:
        """How much the chunk counts: its time steps, each as often as its sequence."""
        return float(len(self.x) if self.weight is None else self.weight @ self.lengths)

    @property
    def row_weight(self) -> Array:
        """How much each row counts, shape (n,): as its sequence does."""
        return np.ones(len(self.x)) if self.weight is None else np.repeat(self.weight, self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, part: slice) -> Sequences:
        chosen = range(len(self))[part]
        if chosen.step != 1:
            raise ValueError(f"sequences were cut with step {chosen.step}: cut them with step 1")
        edges = np.concatenate([[0], self.lengths.cumsum()])
        inside = slice(int(edges[chosen.start]), int(edges[max(chosen.stop, chosen.start)]))
        return Sequences(
            self.x[inside],
            self.lengths[part],
            None if self.weight is None else self.weight[part],
            None if self.allowed is None else self.allowed[inside],
        )


def sequences(
    data: Any, weights: Any = None, allowed: Any = None, k: int | None = None, missing: bool = False
) -> Sequences:
    """Tables as one chunk of sequences, checked; a single table is one sequence.

    Args:
        data: A list of two-dimensional tables with the same columns, shapes (t, d), or of `Sequences`; or one of them.
        weights: How much each sequence counts, shape (s,).
        allowed: For each sequence, known labels, shape (t,), with -1 for unknown, or the components that each row may
            belong to, boolean of shape (t, k); for a single table, one of these.
        k: How many components there are, to check `allowed` against.
        missing: Whether NaN stands for a missing value.

    Raises:
        TypeError: the data are not real numbers.
        ValueError: the data are not sequences, are empty, or hold infinity, or NaN where none may be missing.
    """
    chunk = stacked(data, weights, allowed, k, missing)
    if chunk.weight is not None and not (chunk.weight > 0).any():
        raise ValueError("all weights are zero: at least one sequence must count")
    return chunk


def converted_sequences(data: Any, k: int | None, missing: bool, bare: bool) -> Sequences:
    """One of several chunks, checked by itself; `bare`: without its weights.

    Raises:
        TypeError, ValueError: it is no table of real numbers, or not sound.
    """
    chunk = stacked(data, None, None, k, missing)
    return evolve(chunk, weight=None) if bare and chunk.weight is not None else chunk


def stacked(data: Any, weights: Any, allowed: Any, k: int | None, missing: bool) -> Sequences:
    """The same, but for what can be said of all the data only: that a sequence counts, and each column has a value."""
    if isinstance(data, Sequences):
        data = [data]
    refuse_odd_shapes(data)
    many = isinstance(data, list | tuple) and not (data and _is_row(data[0]))
    parts: Sequence[Any] = data if many else [data]
    if not parts:
        raise ValueError("no sequences were given: give at least one table of shape (time steps, columns)")
    if all(isinstance(part, Sequences) for part in parts):
        if weights is not None or allowed is not None:
            raise ValueError("weights and allowed were given beside Sequences: put them into the Sequences")
        chunk = joined(parts)
    else:
        tables = [_in(i, many, table, part, missing) for i, part in enumerate(parts)]
        chunk = Sequences(
            own(np.concatenate(tables)) if len({x.shape[1] for x in tables}) == 1 else _refuse_columns(tables),
            np.array([len(x) for x in tables]),
            None if weights is None else numbers(weights, "weights"),
            None if allowed is None else _labels(allowed if many else [allowed], tables, k, many),
        )
    if chunk.allowed is not None and k is not None and chunk.allowed.shape[1] != k:
        raise ValueError(f"allowed has {chunk.allowed.shape[1]} columns: the model has {k} components")
    chunk = without_absent(chunk)
    refuse_unsound(chunk.x, chunk.place, _names(data), missing, "fill it in, or part the sequence there")
    return chunk


def without_absent(chunk: Sequences, sound: Array | None = None) -> Sequences:
    """Sequences that do not count as if they were not there: each row has the values of one that does.

    Args:
        chunk: The sequences.
        sound: The values, shape (d,); None: those of the first row here that counts.
    """
    if chunk.weight is None or (chunk.weight > 0).all() or (sound is None and not (chunk.weight > 0).any()):
        return chunk
    present = chunk.row_weight > 0
    sound = chunk.x[int(present.argmax())] if sound is None else sound
    x = own(np.where(present[:, None], chunk.x, sound))
    return evolve(chunk, x=x, allowed=None if chunk.allowed is None else chunk.allowed | ~present[:, None])


def refuse_odd_shapes(data: Any) -> None:
    """Refuse what was meant for sequences, and is nested one level too little or too much.

    Raises:
        ValueError: saying how sequences are given.
    """
    how = "give a list of sequences, each a table of shape (time steps, columns)"
    if getattr(data, "ndim", 2) == 3:
        raise ValueError(f"sequences were given as one array of shape {data.shape}: {how}, as in list(x)")
    flat = isinstance(data, list | tuple) and len(data) > 0 and all(_is_row(part) for part in data)
    if flat and len({len(row) for row in data}) > 1:
        raise ValueError(
            f"sequences were given as lists of numbers: {how}; for one column, [np.array(s)[:, None] for s in data]"
        )


def _names(data: Any) -> Sequence[str] | None:
    return columns_of(data[0] if isinstance(data, list | tuple) and data else data)


def cut(chunk: Sequences, size: int) -> list[Sequences]:
    """The chunk, cut between sequences into chunks of about `size` rows; a longer sequence is one by itself."""
    return [chunk[begin:end] for begin, end in pairwise(cut_edges(chunk.lengths, size))]


def cut_edges(lengths: Labels, size: int) -> list[int]:
    """Before which sequences to cut so that chunks have about `size` rows, and the number of sequences at last."""
    edges, filled = [0], 0
    for i, length in enumerate(lengths.tolist()):
        if filled and filled + length > size:
            edges.append(i)
            filled = 0
        filled += length
    return [*edges, len(lengths)]


def _is_row(value: Any) -> bool:
    """Whether it is a row of a nested list, and not a table."""
    return isinstance(value, list | tuple) and not (value and isinstance(value[0], list | tuple | np.ndarray))


def _in(i: int, many: bool, convert: Any, *arguments: Any) -> Any:
    """What `convert` gives, or its error with the number of the sequence."""
    try:
        return convert(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"sequence {i}: {error}" if many else str(error)) from error


def _labels(allowed: Sequence[Any], tables: Sequence[Array], k: int | None, many: bool) -> npt.NDArray[np.bool_]:
    if len(allowed) != len(tables):
        raise ValueError(f"allowed has {len(allowed)} parts: give one for each of the {len(tables)} sequences")
    given = enumerate(zip(allowed, tables, strict=True))
    return np.concatenate([_in(i, many, allowed_components, labels, len(x), k) for i, (labels, x) in given])


def joined(parts: Sequence[Sequences]) -> Sequences:
    """Several chunks as one, copied where there are several."""
    if len({part.x.shape[1] for part in parts}) > 1:
        _refuse_columns([part.x for part in parts])
    if len(parts) == 1:
        return parts[0]
    if len({part.allowed is None for part in parts}) > 1:
        raise ValueError("some of the chunks have allowed and some have not: give it to all or to none")
    weights = [np.ones(len(part)) if part.weight is None else part.weight for part in parts]
    return Sequences(
        own(np.concatenate([part.x for part in parts])),
        np.concatenate([part.lengths for part in parts]),
        None if all(part.weight is None for part in parts) else np.concatenate(weights),
        None if parts[0].allowed is None else np.concatenate([part.allowed for part in parts]),
    )


def _refuse_columns(tables: Sequence[Array]) -> NoReturn:
    raise ValueError(f"sequences of shapes {[x.shape for x in tables]} were given: give the same columns in each")
