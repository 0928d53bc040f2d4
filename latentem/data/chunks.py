"""Chunks that are loaded when they are asked for, and checked each time."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, final, overload

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, Labels, own
from latentem.core import Value
from latentem.data.readers.reader import Reader
from latentem.data.rows import Rows
from latentem.data.sequences import Sequences
from latentem.data.values import (
    allowed_components,
    refuse_mask,
    refuse_unsound,
    refuse_weights,
)

X = TypeVar("X")


class Chunks(Value, Sequence[X]):
    """A sequence of chunks of which none is kept; `[i]` loads chunk i anew, in the thread that asks.

    It can be gone through again and again, and pickled. Iterating loads one chunk ahead.
    """

    __slots__ = ()

    @abc.abstractmethod
    def load(self, i: int) -> X:
        """Chunk i, checked.

        Raises:
            ValueError: a value is not sound, or the data are not what they were.
        """

    @overload
    def __getitem__(self, i: int) -> X: ...
    @overload
    def __getitem__(self, i: slice) -> list[X]: ...
    def __getitem__(self, i: int | slice) -> X | list[X]:
        if isinstance(i, slice):
            return [self.load(j) for j in range(len(self))[i]]
        return self.load(range(len(self))[i])

    def __iter__(self) -> Iterator[X]:
        return ahead(self.load, len(self))


def ahead(load: Callable[[int], X], count: int) -> Iterator[X]:
    """What `load` gives for 0, 1, ...; while one is worked on, the next is loaded in another thread."""
    if count < 2:
        yield from map(load, range(count))
        return
    with ThreadPoolExecutor(1, thread_name_prefix="latentem-ahead") as loader:
        following = loader.submit(load, 0)
        for i in range(1, count):
            chunk = following.result()
            following = loader.submit(load, i)
            yield chunk
        yield following.result()


def _place(name: str, row: int) -> str:
    return f"row {row} of {name}"


@final
@frozen(eq=False)
class Stored(Value):
    """Rows as they are stored, with what travels beside them.

    Attributes:
        table: The values, shape (n, d).
        weight: How much each row, or each sequence, counts, shape (n,) or (s,); None counts each once.
        allowed: Labels, shape (n,), -1 or NaN for unknown; or which components a row may belong to, shape (n, k).
        k: How many components there are, if the model has any.
        missing: Whether NaN stands for a missing value.
        remedy: What to do about one that may not be.
    """

    table: Reader
    weight: Reader | None
    allowed: Reader | None
    k: int | None
    missing: bool
    remedy: str = "leave out rows with missing values, or fill them in, before fitting"

    def values(
        self, begin: int, end: int, place: Callable[[int], str], weight: Array | None, sound: Array | None
    ) -> Array:
        """Rows from `begin` up to `end`, shape (end - begin, d); those without weight have the sound values, (d,)."""
        x = self.table.read(begin, end)
        if weight is not None and not weight.all():
            present = weight > 0
            if sound is None:
                sound = x[int(present.argmax())] if present.any() else np.zeros(x.shape[1])
            x = own(np.where(present[:, None], x, sound))
        refuse_unsound(x, lambda row: place(begin + row), self.table.columns, self.missing, self.remedy)
        return x

    def weights(self, begin: int, end: int, unit: str) -> Array | None:
        """Weights of these rows or sequences."""
        if self.weight is None:
            return None
        weight = self.weight.read(begin, end)
        refuse_weights(weight, end - begin, unit, begin)
        return weight

    def components(self, begin: int, end: int, weight: Array | None) -> npt.NDArray[np.bool_] | None:
        """Where these rows may belong, shape (end - begin, k); anywhere, if they have no weight."""
        if self.allowed is None:
            return None
        given = self.allowed.read(begin, end)
        if given.ndim == 1:
            labels = np.where(np.isnan(given), -1, given)
            if not (labels == np.rint(labels)).all():
                row = int(np.argmin(labels == np.rint(labels)))
                raise ValueError(f"the label of row {begin + row} is {labels[row]}: labels are whole numbers")
            mask = allowed_components(labels.astype(np.int64), end - begin, self.k)
        else:
            mask = given != 0
        if self.k is not None and mask.shape[1] != self.k:
            raise ValueError(f"allowed has {mask.shape[1]} columns: the model has {self.k} components")
        if weight is not None:
            mask = mask | ~(weight[:, None] > 0)
        refuse_mask(mask, end - begin, begin)
        mask.flags.writeable = False
        return mask


@final
@frozen(eq=False)
class RowChunks(Chunks[Rows]):
    """Chunks of `size` rows, the last one shorter: the same rows as where a table in memory is cut.

    Attributes:
        stored: The rows.
        size: How many rows a chunk has.
        sound: A row that counts, shape (d,): its values stand in those of weight zero. None before it is known.
    """

    stored: Stored
    size: int
    sound: Array | None = field(default=None, eq=EQUAL)

    def __len__(self) -> int:
        return -(-self.stored.table.shape[0] // self.size)

    def load(self, i: int) -> Rows:
        begin, end = i * self.size, min((i + 1) * self.size, self.stored.table.shape[0])
        weight = self.stored.weights(begin, end, "row")
        x = self.stored.values(begin, end, partial(_place, self.stored.table.name), weight, self.sound)
        return Rows(x, weight, self.stored.components(begin, end, weight))


@final
@frozen(eq=False)
class SequenceChunks(Chunks[Sequences]):
    """Chunks of whole sequences.

    Attributes:
        stored: The rows of all sequences, one below the other; a weight is a sequence's.
        lengths: How many rows each has, shape (s,).
        edges: At which sequences the chunks begin, and the number of sequences at last.
        sound: A row that counts, shape (d,): its values stand in sequences of weight zero. None before it is known.
    """

    stored: Stored
    lengths: Labels
    edges: tuple[int, ...]
    sound: Array | None = field(default=None, eq=EQUAL)
    starts: Labels = field(init=False)

    @starts.default
    def _summed(self) -> Labels:
        return np.concatenate([[0], self.lengths.cumsum()])

    def __reduce__(self) -> tuple[Any, ...]:
        return SequenceChunks, (self.stored, self.lengths, self.edges, self.sound)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def load(self, i: int) -> Sequences:
        first, last = self.edges[i], self.edges[i + 1]
        begin, end = int(self.starts[first]), int(self.starts[last])
        weight, lengths = self.stored.weights(first, last, "sequence"), self.lengths[first:last]
        each = None if weight is None else np.repeat(weight, lengths)
        x = self.stored.values(begin, end, self._place, each, self.sound)
        return Sequences(x, lengths, weight, self.stored.components(begin, end, each))

    def _place(self, row: int) -> str:
        sequence = int(np.searchsorted(self.starts, row, side="right")) - 1
        return f"row {row - self.starts[sequence]} of sequence {sequence} of {self.stored.table.name}"


@final
@frozen(eq=False)
class Loaded(Chunks[X]):
    """What some functions load: chunk i is what function i gives, and must have the same shape each time.

    Attributes:
        loads: Functions without arguments.
        convert: Makes a chunk of what one gives, and checks it.
        shapes: What each chunk was like when it was loaded first: (n, d), and whether it says what is allowed.
    """

    loads: tuple[Callable[[], Any], ...]
    convert: Callable[[Any], X]
    shapes: tuple[tuple[tuple[int, ...], bool], ...] = ()

    def measured(self) -> Loaded[X]:
        """The same, after each chunk was loaded once.

        Raises:
            ValueError: they do not fit together.
        """
        shapes = tuple(map(_shape, self))
        if len({(shape[1:], marked) for shape, marked in shapes}) > 1:
            given = sorted({shape[1] for shape, _ in shapes})
            raise ValueError(
                f"chunks with {given} columns were loaded: give the same columns, and all or none with allowed"
            )
        return evolve(self, shapes=shapes)

    def __len__(self) -> int:
        return len(self.loads)

    def load(self, i: int) -> X:
        given = self.loads[i]()
        try:
            chunk = self.convert(given)
        except (TypeError, ValueError) as error:
            raise type(error)(f"chunk {i}: {error}") from error
        if self.shapes and _shape(chunk) != self.shapes[i]:
            raise ValueError(
                f"chunk {i} has shape {_shape(chunk)[0]}, and had {self.shapes[i][0]} when it was loaded first: "
                "a function must load the same data each time"
            )
        return chunk


def _shape(chunk: Any) -> tuple[tuple[int, ...], bool]:
    return chunk.x.shape, chunk.allowed is not None


def refuse_all_absent(chunks: Sequence[Any], unit: str) -> Array:
    """Refuse data of which no row counts; it looks no further than it must.

    Returns:
        The first row that counts, shape (d,).

    Raises:
        ValueError: none does.
    """
    for chunk in chunks:
        counts = chunk.row_weight > 0
        if counts.any():
            break
    else:
        raise ValueError(f"all weights are zero: at least one {unit} must count")
    return own(chunk.x[int(counts.argmax())].copy())
