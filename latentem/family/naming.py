"""Columns by name: where the names of a table become the numbers of its columns."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, TypeVar, final

import attrs
from attrs import evolve, field, frozen

from latentem.core import LatentModel, Value
from latentem.family.base import Family

V = TypeVar("V", bound=Any)
Columns = tuple[int, ...] | tuple[str, ...]
"""Columns of a row, by number, from 0, or by name."""


def columns_given(given: Iterable[Any]) -> Columns:
    """A converter for columns, which may be none.

    Raises:
        ValueError: they are neither all names nor all whole numbers of at least 0, or one is given twice.
    """
    columns = (given,) if isinstance(given, str) else tuple(given)
    whole = all(isinstance(i, Integral) and not isinstance(i, bool) and int(i) >= 0 for i in columns)
    names = all(isinstance(i, str) for i in columns)
    if not (whole or names) or len(set(columns)) < len(columns):
        raise ValueError(
            f"columns were given as {columns}: give different whole numbers, counted from 0, or different names"
        )
    return tuple(map(str, columns)) if names else tuple(map(int, columns))


def placed(columns: Columns, places: tuple[int, ...] | None) -> tuple[int, ...]:
    """The numbers of columns, given by number, or by name with these places.

    Raises:
        ValueError: they have names, and no places.
    """
    if places is not None:
        return places
    numbers = tuple(column for column in columns if not isinstance(column, str))
    if len(numbers) < len(columns):
        raise ValueError(
            f"columns were given by name, {list(columns)}: fit to a table whose columns have names, and then take "
            "fit.model; or give numbers, counted from 0"
        )
    return numbers


@final
@frozen(eq=False)
class Header(Value):
    """What a table says of its columns before its rows are looked at.

    Attributes:
        names: Names of the columns, or None.
        categories: Of columns that hold text, what they hold, in the order of its codes; None for the others.
        largest: The largest value of a column by its number, or None where that is not known.
        refused: Where it is only asked who takes text: the names of the columns where somebody does not. None: that
            is an error.
    """

    names: tuple[str, ...] | None
    categories: tuple[tuple[str, ...] | None, ...]
    largest: Callable[[int], float | None] = field(repr=False)
    refused: set[str] | None = field(default=None, repr=False)

    def places(self, columns: Columns, before: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Where columns with names are; what was known before, if these have none; None for numbers.

        Raises:
            ValueError: a name is not there.
        """
        wanted = tuple(column for column in columns if isinstance(column, str))
        if not wanted or (self.names is None and before is not None):
            return before
        if self.names is None:
            raise ValueError(
                f"columns {list(wanted)} were asked for by name, and the data have no names: give a DataFrame, or "
                "numbers of columns, counted from 0"
            )
        if absent := [name for name in wanted if name not in self.names]:
            raise ValueError(f"column {absent[0]!r} is not there: the data have {list(self.names)}")
        return tuple(map(self.names.index, wanted))

    def of(self, numbers: Sequence[Any]) -> Header:
        """The header of a table of some of the columns; those that are not there are left out."""
        there = tuple(i for i in numbers if i < len(self.categories))
        names = None if self.names is None else tuple(self.names[i] for i in there)
        return Header(names, tuple(self.categories[i] for i in there), lambda i: self.largest(there[i]), self.refused)

    def word(self, i: int) -> str:
        """A column as a message speaks of it."""
        return f"column {i}" if self.names is None else f"column {self.names[i]!r}"


class Named(abc.ABC):
    """What learns something from the header of a table: where its columns are, or how many categories they have."""

    __slots__ = ()

    @abc.abstractmethod
    def wanted(self) -> tuple[str, ...] | None:
        """Names of the columns that it sees; None if it sees others, or all."""

    @abc.abstractmethod
    def bound(self, header: Header) -> Any:
        """Itself, as it is for a table of this header; itself to the identity if nothing changes.

        Raises:
            TypeError, ValueError: a column is not there, or holds what it does not take.
        """


def wanted(value: Any) -> tuple[str, ...] | None:
    """Names of the columns that a model or a family sees, where it has all of them by name; else None."""
    return value.wanted() if isinstance(value, Named) else merged(map(wanted, parts_of(value)))


def merged(each: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """Names from several parts, each once; None if a part has none."""
    names: dict[str, None] = {}
    for those in each:
        if those is None:
            return None
        names |= dict.fromkeys(those)
    return tuple(names) or None


def bound(value: V, header: Header) -> V:
    """A model or a family as it is for a table of this header: the parts of attrs values, and theirs in turn.

    Raises:
        TypeError, ValueError: as `Named.bound`; or text is in a column of a family that takes numbers.
    """
    if isinstance(value, Named):
        return value.bound(header)
    if not parts_of(value):
        if isinstance(value, Family):
            refuse_text(repr(value), header, value.codes)
        return value
    changes = {}
    for f in attrs.fields(type(value)):
        before = getattr(value, f.name)
        after = bound(before, header) if _is_part(before) else before
        if after is not before:
            changes[f.alias] = after
    return evolve(value, **changes) if changes else value


def refuse_text(taker: str, header: Header, room: int = 0) -> None:
    """Refuse text in a column of what takes numbers, or more categories than it has room for; the message names it.

    Raises:
        TypeError, ValueError: naming the column.
    """
    for i, known in enumerate(header.categories):
        if known is not None and 0 < room < len(known):
            raise ValueError(f"{header.word(i)} holds {len(known)} categories: {taker} has room for {room}")
        if known is not None and not room and header.refused is not None and header.names is not None:
            header.refused.add(header.names[i])
        elif known is not None and not room:
            raise TypeError(
                f"{header.word(i)} holds text, and {taker} takes numbers: leave the column out, or put a family "
                "on it that takes categories, as in Product(..., Categorical().on('region'))"
            )


def takes_text(value: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the columns of a table, by name, in which a model or a family takes text: it is bound to one, and asked.

    Raises:
        ValueError: the table lacks a column.
    """
    refused = set[str]()
    bound(value, Header(tuple(names), (("",),) * len(names), lambda i: 0.0, refused))
    return tuple(name for name in names if name not in refused)


def parts_of(value: Any) -> list[Any]:
    """The models and families that are fields of an attrs value."""
    if not attrs.has(type(value)):
        return []
    return [part for f in attrs.fields(type(value)) if _is_part(part := getattr(value, f.name))]


def _is_part(value: Any) -> bool:
    return isinstance(value, Family | LatentModel)
