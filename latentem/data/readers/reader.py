"""Tables that are read a few rows at a time, wherever they are."""

from __future__ import annotations

import abc
import os
import reprlib
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from itertools import accumulate
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, own, viewed_array
from latentem.core import Value
from latentem.data.readers.words import Known, Words

_PART = 2**13
"""Rows that are read at a time where only some columns are wanted."""
UNNAMED = "; a first one without a name may be the index that DataFrame.to_csv() writes: index=False leaves it out"
_BRIEF = reprlib.Repr()
_BRIEF.maxstring, _BRIEF.maxlist = 60, 40  # in a message: characters of a cell, names of columns


Columns = tuple[int, ...] | int | None
"""Numbers of columns of a table; the number of one, which is then read as a vector, shape (n,); None: all there is."""


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
    def categories(self) -> tuple[Words, ...] | None:
        """What the columns of text hold, in the order of their codes; None if none holds text."""
        return None

    def coded(self, known: Known) -> Reader:
        """Text in some columns as codes of these words; itself, where a table has no text to code."""
        return self

    @property
    def name(self) -> str:
        """The word for it in messages."""
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

    def part(self, begin: int, end: int, columns: Columns = None) -> Array:
        """Some columns of these rows; the whole table is never there beside them."""
        if columns is None or columns == tuple(range(self.shape[-1])):
            return self.read(begin, end)
        chosen = np.empty((end - begin, *(() if isinstance(columns, int) else (len(columns),))))
        for at in range(begin, end, _PART):  # a few rows at a time: those of all columns may be many times as large
            rows = self.read(at, min(at + _PART, end))
            chosen[at - begin : at - begin + len(rows)] = rows[:, columns]
        return own(chosen)


def chosen(
    wanted: Sequence[str] | None, others: Sequence[str], known: Sequence[str], place: str, how: str = "choose from {}"
) -> list[int]:
    """Numbers of the wanted columns, all but the others where None, and behind them those of the others.

    The others hold weights and labels. A ValueError, with the place before it and {} in `how` for the known names, if
    a column is not there, or is there or chosen twice, or has no name, or none is left.
    """
    names = [name for name in known if name not in others] if wanted is None else list(wanted)
    every = [*(names or [""]), *others]
    for i, name in enumerate(every):
        why = "has no name" if not name else "is not there" if name not in known else "was chosen twice"
        if not name or known.count(name) != 1 or name in every[:i]:
            remedy = how.format(_BRIEF.repr(list(known))) + ("" if name else UNNAMED)
            raise ValueError(f"{place}column {_BRIEF.repr(name)} {why}: {remedy}")
    return [known.index(name) for name in every]


def optional(module: str, extra: str) -> Any:
    """A package that comes with an extra, which an ImportError names where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        how = f"pip install {package} (in a checkout of latentem, pip install '.[{extra}]')"
        raise ImportError(f"this needs {package}, which is not installed: {how}") from error


def refuse_unreal(dtype: Any, name: str) -> None:
    """Refuse with a TypeError a type that is no real number."""
    if np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"{name} is of type {dtype}: give real numbers")


@final
@frozen
class Stamp(Value):
    """The mark of a file as it was when it was opened: its size, and the time of its last change."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self:
        found = os.stat(path)
        return cls(os.path.abspath(path), found.st_size, found.st_mtime_ns)

    @property
    def name(self) -> str:
        """The name of the file, without its folder."""
        return os.path.basename(self.path)

    def refuse_changed(self) -> None:
        """Refuse with a ValueError a file that is another by now."""
        now = Stamp.of(self.path)
        if now != self:
            what = f"{self.path} has changed since it was opened ({self.size} bytes then, {now.size} now)"
            raise ValueError(f"{what}: fit to a file that nobody writes to")


def _view(values: Any) -> npt.NDArray[Any]:
    array = np.asarray(values)[...]
    refuse_unreal(array.dtype, "a table")
    return own(array)


@final
@frozen
class Table(Reader):
    """An array in memory of any real type, shape (n, d) or (n,), converted a few rows at a time.

    With names it is taken by `fit` as a DataFrame is.

    Attributes:
        values: The array; a view of it, which cannot be written to.
        columns: Names of its d columns, or None.
        name: The word for it in messages; empty, where its rows need no name beside their numbers.
        categories: Of columns that hold codes, the words that these stand for; None of the others, or of all.
    """

    values: npt.NDArray[Any] = field(converter=_view, eq=EQUAL, hash=False)
    columns: tuple[str, ...] | None = field(default=None)
    name: str = field(default="the data", eq=False)
    categories: tuple[Words, ...] | None = field(default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, dtype=dtype, copy=copy)

    def read(self, begin: int, end: int) -> Array:
        return viewed_array(self.values[begin:end])


@final
@frozen(eq=False)
class Joined(Reader):
    """Several tables of the same columns, one below the other.

    Raises:
        ValueError: their columns differ.
    """

    tables: tuple[Reader, ...]

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """At which rows the tables begin, and the number of rows at last."""
        return (0, *accumulate(self.lengths))

    def __attrs_post_init__(self) -> None:
        if len({(table.shape[1:], table.columns) for table in self.tables}) > 1:
            other = next(t for t in self.tables if (t.shape[1:], t.columns) != (self.shape[1:], self.columns))
            raise ValueError(
                f"{self.tables[0].name} has the columns {self.columns or self.shape[1:]} and {other.name} "
                f"{other.columns or other.shape[1:]}: give the same ones, in the same order"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.edges[-1], *self.tables[0].shape[1:])

    @property
    def columns(self) -> tuple[str, ...] | None:
        return self.tables[0].columns

    @property
    def categories(self) -> tuple[Words, ...] | None:
        return self.tables[0].categories

    def coded(self, known: Known) -> Joined:
        return Joined(tuple(table.coded(known) for table in self.tables))

    @property
    def lengths(self) -> tuple[int, ...]:
        return tuple(table.shape[0] for table in self.tables)

    def read(self, begin: int, end: int) -> Array:
        return gathered(self.edges, begin, end, lambda i, low, high: self.tables[i].read(low, high), self.shape[1:])


def common(tables: Sequence[Reader], known: Known) -> Known:
    """The words of columns of text that several tables share.

    Raises:
        ValueError: a column holds words in one table and numbers in another.
    """
    found = dict(known)
    for name in known:
        each = [dict(zip(table.columns or (), table.categories or (), strict=False)).get(name) for table in tables]
        words = {word for mine in each for word in mine or ()}
        if words and None in each:
            one, other = (next(t.name for t, w in zip(tables, each, strict=True) if (w is None) is no) for no in (0, 1))
            raise ValueError(f"column {name!r} holds words in {one} and numbers in {other}: give words in both")
        if found[name] is None and words:
            found[name] = tuple(sorted(words))
    return found


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
