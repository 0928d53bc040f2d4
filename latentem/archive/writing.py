"""From values to a document and arrays: each value once, by the name of its class and its fields."""

from __future__ import annotations

import abc
import enum
import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any, final

import attrs
import numpy as np
import numpy.typing as npt

Classes = Mapping[str, type]
_WHOLE = range(-(2**63), 2**63)


class Archived(abc.ABC):
    """A value that says itself what of it is written; any other is written field by field."""

    __slots__ = ()

    @abc.abstractmethod
    def archived(self) -> Mapping[str, Any]:
        """The arguments that make it again, by their names."""


@final
class Writing:
    """Values on their way into a file.

    Attributes:
        values: Of the document: what has a class, as JSON; each refers to earlier ones alone.
        arrays: Those of the file, each once.
    """

    def __init__(self, library: Classes, known: Classes | None = None) -> None:
        """Classes of the library; and the only others that may be written, by their names, or None for any."""
        self._library, self._known = library, known
        self._own: dict[str, type] = {}
        self._numbers: dict[Any, int] = {}
        self.values: list[Any] = []
        self.arrays: list[npt.NDArray[Any]] = []

    def write(self, value: Any) -> Any:
        """The value as JSON, which refers to `values` and `arrays`.

        Raises:
            TypeError: it is of a kind that cannot be written, such as a function; the message names it.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.ndarray | np.number | np.bool_):
            return self._array(value)
        if type(value) is tuple:
            return self._table(value) or [self.write(item) for item in value]
        if type(value) is list:
            return {"list": self.write(tuple(value))}
        if isinstance(value, Set) and type(value) in (set, frozenset):
            return {type(value).__name__: sorted(map(self.write, value), key=_text)}
        if isinstance(value, Mapping) and not attrs.has(type(value)):
            return {"dict": [[self.write(key), self.write(item)] for key, item in value.items()]}
        if isinstance(value, enum.Enum):
            return self._value({**self._named(type(value)), "member": value.name})
        fields = self._fields(value)
        return self._value({**self._named(type(value)), "fields": fields})

    def _fields(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Archived):
            given: Mapping[str, Any] = value.archived()
        elif attrs.has(type(value)):
            given = {f.name: getattr(value, f.name) for f in attrs.fields(type(value)) if f.init}
        elif callable(value) or isinstance(value, type | BaseException) or _state(value):
            what = (
                f"{value!r}, of type {type(value).__module__}.{type(value).__qualname__}, cannot be written to a file"
            )
            raise TypeError(f"{what}: files hold numbers, arrays, text and attrs classes of them, and no functions")
        else:
            given = {}
        return {name: self.write(item) for name, item in given.items()}

    def _named(self, kind: type) -> dict[str, str]:
        name = kind.__name__
        if self._library.get(name) is kind:
            return {"class": name}
        if self._own.setdefault(name, kind) is not kind:
            raise TypeError(f"two classes are called {name}, and a file knows classes by name: rename one of them")
        if self._known is not None and self._known.get(name) is not kind:
            where = "no class at the top of the module of the model, nor imported there"
            raise TypeError(f"{kind.__module__}.{kind.__qualname__} is {where}: the file could not be read again")
        return {"own": name}

    def _value(self, said: dict[str, Any]) -> dict[str, int]:
        number = self._numbers.setdefault(_text(said), len(self.values))
        if number == len(self.values):
            self.values.append(said)
        return {"value": number}

    def _array(self, value: Any) -> dict[str, int]:
        array = np.asarray(value)
        key = array.dtype.str, array.shape, array.tobytes() if array.dtype.kind in "biuf" else repr(value)
        number = self._numbers.setdefault(key, len(self.arrays))
        if number == len(self.arrays):
            self.arrays.append(array)
        return {"array" if isinstance(value, np.ndarray) else "number": number}

    def _table(self, values: Sequence[Any]) -> dict[str, Any] | None:
        """Many values of one class of plain fields, such as the steps of a run: an array a field."""
        kind = type(values[0]) if values else None
        if kind is None or len(values) < 2 or not attrs.has(kind) or any(type(value) is not kind for value in values):
            return None
        names = [f.name for f in attrs.fields(kind) if f.init]
        columns = {name: [getattr(value, name) for value in values] for name in names}
        if not columns or not all(map(_plain, columns.values())):
            return None
        return {"table": self._named(kind), "columns": {name: self._column(cells) for name, cells in columns.items()}}

    def _column(self, cells: list[Any]) -> dict[str, Any]:
        if type(cells[0]) is float:
            return {"floats": self._array(np.array(cells))["array"]}
        if type(cells[0]) is int:
            return {"ints": self._array(np.array(cells, dtype=np.int64))["array"]}
        distinct = list(dict.fromkeys(cells))
        codes = np.array([distinct.index(cell) for cell in cells], dtype=np.int64)
        return {"texts": distinct, "codes": self._array(codes)["array"]}


def _plain(cells: list[Any]) -> bool:
    """Whether all are floats, or text, or whole numbers that an array can hold."""
    kinds = {type(cell) for cell in cells}
    return kinds in ({float}, {str}) or (kinds == {int} and all(cell in _WHOLE for cell in cells))


def name_of(kind: type) -> str:
    """The name by which a file knows a class.

    Raises:
        TypeError: it is no class.
    """
    if not isinstance(kind, type):
        raise TypeError(f"known was given with {kind!r}: give classes, as in known=[Maxwell]")
    return kind.__name__


def _state(value: Any) -> bool:
    """Whether a value that is not of attrs has anything in it."""
    slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ())]
    return bool(getattr(value, "__dict__", None)) or bool(slots) or type(value).__module__ in ("builtins", "numpy")


def _text(said: Any) -> str:
    return json.dumps(said, sort_keys=True)
