"""Tables that are read a few rows at a time, wherever they are."""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from importlib import import_module
from mmap import ALLOCATIONGRANULARITY
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import Array, own
from latentem.core import Value

_PART = 2**13
"""Rows that are read at a time where only some columns are wanted."""


class Reader(Value):
    """A table of real numbers, or one column of it, of which any stretch of rows can be loaded.

    It holds paths and no handles, so it can be pickled; any threads may read at once.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(n, d), or (n,)."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Their names, if they have any."""
        return None

    @property
    def name(self) -> str:
        """What messages call it."""
        return "the data"

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many rows each of its tables has, where it is several, one below the other."""
        return (self.shape[0],)

    @abc.abstractmethod
    def read(self, begin: int, end: int) -> Array:
        """Rows from `begin` up to `end`, in C order and read-only.

        Raises:
            ValueError: what is there now is not what was there at first.
            OSError: it cannot be read.
        """


def optional(module: str, extra: str) -> Any:
    """A package that comes with an extra.

    Raises:
        ImportError: it is not installed; the message names the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"this needs {package}, which is not installed: pip install {package} (in a checkout of latentem, "
            f"pip install '.[{extra}]')"
        ) from error


def refuse_unreal(dtype: Any, name: str) -> None:
    """Refuse a type that is no real number.

    Raises:
        TypeError: it is none.
    """
    if np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"{name} is of type {dtype}: give real numbers")


@final
@frozen
class Stamp(Value):
    """A file as it was when it was opened: by its size and the time of its last change."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self:
        found = os.stat(path)
        return cls(os.path.abspath(path), found.st_size, found.st_mtime_ns)

    def refuse_changed(self) -> None:
        """Refuse a file that is another by now.

        Raises:
            ValueError: it is.
        """
        found = os.stat(self.path)
        if (found.st_size, found.st_mtime_ns) != (self.size, self.changed):
            raise ValueError(
                f"{self.path} has changed since it was opened ({self.size} bytes then, {found.st_size} now): "
                "fit to a file that nobody writes to"
            )


@final
@frozen(eq=False)
class Held(Reader):
    """An array in memory of any real type, shape (n, d) or (n,): converted a few rows at a time."""

    array: npt.NDArray[Any]
    columns: tuple[str, ...] | None = field(default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def read(self, begin: int, end: int) -> Array:
        return own(np.array(self.array[begin:end], dtype=np.float64, order="C"))


@final
@frozen
class RawFile(Reader):
    """Numbers as they lie in a file, at fixed strides: a `.npy` file, or what an `np.memmap` shows.

    It reads, and does not map: pages of a map would count as this process's memory.
    """

    stamp: Stamp
    dtype: str
    shape: tuple[int, ...] = field()
    strides: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, mapped: Any) -> Self | None:
        """What a memmap shows, in its file; None where that is not what its file holds."""
        if mapped.filename is None or mapped._mmap is None or mapped.mode == "c" or min(mapped.strides) < 0:
            return None
        if mapped.mode != "r":
            mapped.flush()
        first = np.frombuffer(mapped._mmap, np.uint8).__array_interface__["data"][0]
        behind = mapped.__array_interface__["data"][0] - first
        start = mapped.offset - mapped.offset % ALLOCATIONGRANULARITY
        return cls(Stamp.of(mapped.filename), mapped.dtype.str, mapped.shape, mapped.strides, start + behind)

    @property
    def name(self) -> str:
        return os.path.basename(self.stamp.path)

    def read(self, begin: int, end: int) -> Array:
        dtype, shape, strides = np.dtype(self.dtype), (end - begin, *self.shape[1:]), self.strides
        if begin == end:
            return own(np.empty(shape))
        row = dtype.itemsize + sum((n - 1) * step for n, step in zip(shape[1:], strides[1:], strict=True))
        with open(self.stamp.path, "rb", buffering=0) as file:
            self.stamp.refuse_changed()
            if strides[0] >= row:
                raw = _bytes(file, self.offset + begin * strides[0], (end - begin - 1) * strides[0] + row)
                stored: npt.NDArray[Any] = np.ndarray(shape, dtype, raw, strides=strides)
            else:  # column by column, as Fortran has them
                stored = np.empty(shape, dtype)
                for column in range(shape[1]):
                    at = self.offset + begin * strides[0] + column * strides[1]
                    raw = _bytes(file, at, (end - begin - 1) * strides[0] + dtype.itemsize)
                    stored[:, column] = np.ndarray(shape[:1], dtype, raw, strides=strides[:1])
        return own(np.ascontiguousarray(stored, dtype=np.float64))


def _bytes(file: Any, at: int, count: int) -> npt.NDArray[np.uint8]:
    raw = np.empty(count, dtype=np.uint8)
    file.seek(at)
    rest = memoryview(raw.data)
    while rest:
        read = file.readinto(rest)
        if not read:
            raise ValueError(f"{file.name} ends {len(rest)} bytes early: it is not whole")
        rest = rest[read:]
    return raw


@final
@frozen(eq=False)
class Chosen(Reader):
    """Some columns of a table, by their numbers; or one of them alone, as a column of shape (n,)."""

    table: Reader
    chosen: tuple[int, ...] | int

    @property
    def shape(self) -> tuple[int, ...]:
        n = self.table.shape[0]
        return (n,) if isinstance(self.chosen, int) else (n, len(self.chosen))

    @property
    def columns(self) -> tuple[str, ...] | None:
        names = self.table.columns
        return None if names is None or isinstance(self.chosen, int) else tuple(names[i] for i in self.chosen)

    @property
    def name(self) -> str:
        return self.table.name

    def read(self, begin: int, end: int) -> Array:
        if self.chosen == tuple(range(self.table.shape[-1])):
            return self.table.read(begin, end)
        chosen = np.empty((end - begin, *self.shape[1:]))
        for at in range(begin, end, _PART):  # so the whole table is never there beside what was chosen of it
            part = self.table.read(at, min(at + _PART, end))
            chosen[at - begin : at - begin + len(part)] = part[:, self.chosen]
        return own(chosen)


@final
@frozen(eq=False)
class Joined(Reader):
    """Several tables of the same columns, one below the other.

    Raises:
        ValueError: their columns differ.
    """

    tables: tuple[Reader, ...]
    edges: tuple[int, ...] = field(init=False)

    @edges.default
    def _summed(self) -> tuple[int, ...]:
        return tuple(int(edge) for edge in np.cumsum([0, *(table.shape[0] for table in self.tables)]))

    def __attrs_post_init__(self) -> None:
        if len({(table.shape[1:], table.columns) for table in self.tables}) > 1:
            other = next(t for t in self.tables if (t.shape[1:], t.columns) != (self.shape[1:], self.columns))
            raise ValueError(
                f"{self.tables[0].name} has the columns {self.columns or self.shape[1:]} and {other.name} "
                f"{other.columns or other.shape[1:]}: give the same ones, in the same order"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return Joined, (self.tables,)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.edges[-1], *self.tables[0].shape[1:])

    @property
    def columns(self) -> tuple[str, ...] | None:
        return self.tables[0].columns

    @property
    def lengths(self) -> tuple[int, ...]:
        return tuple(table.shape[0] for table in self.tables)

    def read(self, begin: int, end: int) -> Array:
        return gathered(self.edges, begin, end, lambda i, low, high: self.tables[i].read(low, high), self.shape[1:])


def gathered(edges: Sequence[int], begin: int, end: int, part: Any, rest: tuple[int, ...]) -> Array:
    """Rows from `begin` up to `end` of tables that lie between `edges`; `part(i, low, high)` gives rows of one."""
    first = int(np.searchsorted(edges, begin, side="right")) - 1
    pieces = []
    while begin < end:
        low, high = edges[first], min(end, edges[first + 1])
        if high > begin:
            pieces.append(part(first, begin - low, high - low))
        begin, first = max(begin, high), first + 1
    if len(pieces) == 1:
        return pieces[0]
    return own(np.concatenate(pieces) if pieces else np.empty((0, *rest)))
