"""From a document and arrays to values: by classes that are given, through constructors that check their fields."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, final

import attrs
import numpy as np
import numpy.typing as npt

from latentem.archive.container import BadArchive
from latentem.archive.kinds import fits, kinds_of
from latentem.archive.writing import Classes

_MOST = 10_000_000
"""Values in all, each counted as often as it is referred to: more is no fit, but a file made to fill the memory."""


@final
class Reading:
    """Values on their way out of a file. A class that was not given is never looked for, let alone imported."""

    def __init__(self, arrays: Sequence[npt.NDArray[Any]], library: Classes, known: Classes) -> None:
        self._arrays, self._library, self._known = arrays, library, known
        self._values: list[Any] = []
        self._sizes: list[int] = []
        self._count = 0
        self._used: set[int] = set()

    def read(self, values: Any, root: Any) -> Any:
        """The value at the root.

        Raises:
            BadArchive: something is not as it was written, by the name of the class or of what was found.
        """
        if not isinstance(values, list):
            raise BadArchive("its document has no list of values")
        for said in values:
            before = self._count
            self._values.append(self._made(said))
            self._sizes.append(self._count - before)
        value = self._value(root)
        if len(self._used) < len(self._arrays):
            raise BadArchive("it holds an array that belongs to nothing")
        return value

    def _value(self, said: Any) -> Any:
        self._count += 1
        if self._count > _MOST:
            raise BadArchive(f"it would unfold to more than {_MOST} values")
        if said is None or isinstance(said, bool | int | float | str):
            return said
        if isinstance(said, list):
            return tuple(self._value(item) for item in said)
        match said:
            case {"value": int(number), **rest} if not rest and 0 <= number < len(self._values):
                self._count += self._sizes[number]
                return self._values[number]
            case {"array": number, **rest} if not rest:
                return self._array(number)
            case {"number": number, **rest} if not rest and self._array(number).ndim == 0:
                return self._array(number)[()]
            case {"float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
                return float(text)
            case {"list": items, **rest} if not rest:
                return list(self._value(items))
            case {"set": list(items), **rest} if not rest:
                return {self._value(item) for item in items}
            case {"frozenset": list(items), **rest} if not rest:
                return frozenset(self._value(item) for item in items)
            case {"dict": list(items), **rest} if not rest and all(isinstance(i, list) and len(i) == 2 for i in items):
                return {self._value(key): self._value(item) for key, item in items}
            case {"table": dict(named), "columns": dict(columns), **rest} if not rest:
                return self._table(self._class(named), columns)
        raise BadArchive(f"its document holds {str(said)[:80]}, which is no value")

    def _made(self, said: Any) -> Any:
        named: Mapping[Any, Any]
        match said:
            case {"fields": dict(fields), **named}:
                return self._new(self._class(named), {name: self._value(item) for name, item in fields.items()})
            case {"member": str(name), **named}:
                kind = self._class(named)
                if issubclass(kind, enum.Enum) and name in kind.__members__:
                    return kind[name]
        raise BadArchive(f"its document holds {str(said)[:80]}, which is no value of a class")

    def _class(self, named: Mapping[Any, Any]) -> type[Any]:
        match named:
            case {"class": str(name), **rest} if not rest:
                if name in self._library:
                    return self._library[name]
                raise BadArchive(f"it holds a {name}, which is no class of this latentem: install a newer one")
            case {"own": str(name), **rest} if not rest:
                if name in self._known:
                    return self._known[name]
                raise BadArchive(f"it holds a {name}, a class of one's own: name it when loading, known=[{name}]")
        raise BadArchive(f"its document holds {str(named)[:80]}, which names no class")

    def _new(self, kind: type[Any], given: Mapping[str, Any]) -> Any:
        fields = {f.name: f for f in attrs.fields(kind) if f.init} if attrs.has(kind) else {}
        if odd := sorted(given.keys() - fields.keys()):
            raise BadArchive(f"{kind.__name__} has no field {odd[0]!r}")
        if self._library.get(kind.__name__) is kind:  # what others annotate, they need not mean
            wanted = kinds_of(kind)  # type: ignore[arg-type]  # a class can be hashed
            for name, value in given.items():
                if not fits(wanted.get(name, Any), value):
                    raise BadArchive(f"{name} of {kind.__name__} is {str(value)[:80]!r}, which is of another kind")
        # The constructor is code of the class, and files may hold what its author never thought of.
        try:
            arguments = {fields[name].alias or name: value for name, value in given.items()}
            if "__attrs_init__" not in vars(kind):
                return kind(**arguments)
            value = object.__new__(kind)
            value.__attrs_init__(**arguments)
        except Exception as error:
            raise BadArchive(f"no {kind.__name__} can be made of what it holds ({error})") from error
        return value

    def _array(self, number: Any) -> npt.NDArray[Any]:
        if type(number) is not int or not 0 <= number < len(self._arrays):
            raise BadArchive(f"its document refers to array {str(number)[:40]}, and there are {len(self._arrays)}")
        self._used.add(number)
        return self._arrays[number]

    def _table(self, kind: type, columns: Mapping[str, Any]) -> tuple[Any, ...]:
        cells = {name: self._column(said) for name, said in columns.items()}
        lengths = {len(column) for column in cells.values()}
        if len(lengths) != 1:
            raise BadArchive(f"the columns of a table of {kind.__name__} have different lengths, or there is none")
        self._count += lengths.pop() * len(cells)
        rows = zip(*cells.values(), strict=True)
        return tuple(self._new(kind, dict(zip(cells, row, strict=True))) for row in rows)

    def _column(self, said: Any) -> list[Any]:
        match said:
            case {"floats": number, **rest} if not rest:
                return self._vector(number, np.float64)
            case {"ints": number, **rest} if not rest:
                return self._vector(number, np.int64)
            case {"texts": list(texts), "codes": number, **rest} if not rest:
                codes = self._vector(number, np.int64)
                if all(isinstance(text, str) for text in texts) and all(0 <= code < len(texts) for code in codes):
                    return [texts[code] for code in codes]
        raise BadArchive(f"its document holds {str(said)[:80]}, which is no column")

    def _vector(self, number: Any, dtype: type) -> list[Any]:
        array = self._array(number)
        if array.ndim != 1 or array.dtype != dtype:
            raise BadArchive(f"a column is an array of type {array.dtype} and shape {array.shape}")
        return array.tolist()
