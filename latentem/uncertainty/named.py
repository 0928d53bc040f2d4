"""The single numbers in parameters, by their dotted names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, final

import attrs
import numpy as np
from attrs import frozen

from latentem.core import LatentModel, get, put
from latentem.core.block import Path

Model = LatentModel[Any, Any, Any, Any]
_SHOWN = 8


@final
@frozen
class Number:
    """One number in parameters.

    Attributes:
        params: The parameters.
        path: Where its field is.
        index: Where it is in that field; () where the field is a number.
        together: Which numbers must change with it: "shares" that sum to one with it, its "matrix", or "" for none.
    """

    params: Any
    path: Path
    index: tuple[int, ...]
    together: str = ""

    @property
    def name(self) -> str:
        """Such as "components.means[0, 1]"."""
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (".".join(map(str, self.path)) or "params") + place

    @property
    def value(self) -> float:
        return value_in(self.params, self)

    def changed(self, value: float) -> Any:
        """The parameters with this number at a value, and those that depend on it.

        Raises:
            ValueError: there are no such parameters.
        """
        field = get(self.params, self.path)
        array = np.array(field, dtype=np.float64)
        if self.together == "shares":
            _put_share(array[self.index[:-1]], self.index[-1], value)
        elif self.together == "matrix":
            _put_entry(array[self.index[:-2]], self.index[-2:], value)
        else:
            array[self.index] = value
        return put(self.params, self.path, array if isinstance(field, np.ndarray) else float(array))


def value_in(params: Any, number: Number) -> float:
    """The value that other parameters of the same model have where a number is."""
    return float(np.asarray(get(params, number.path))[number.index])


def _put_share(row: Any, at: int, value: float) -> None:
    """One share of a row, the others in their proportions: a change in place."""
    if not 0 <= value <= 1:
        raise ValueError(f"a share was given as {value:.6g}: give 0 to 1")
    others = np.arange(len(row)) != at
    left = row[others].sum()
    row[others] *= (1 - value) / left if left > 0 else 0.0
    if left == 0:
        row[others] = (1 - value) / others.sum()
    row[at] = value


def _put_entry(matrix: Any, at: tuple[int, ...], value: float) -> None:
    """One entry of a symmetric matrix, a variance so that the correlations stay: a change in place."""
    i, j = at
    if i != j:
        matrix[i, j] = matrix[j, i] = value
        return
    if not (value > 0 and matrix[i, i] > 0):
        raise ValueError(f"a variance was given as {value:.6g}: it must be positive")
    ratio = np.sqrt(value / matrix[i, i])
    matrix[i] *= ratio
    matrix[:, i] *= ratio
    matrix[i, i] = value


def numbers(model: Model, params: Any) -> Iterator[Number]:
    """All numbers in parameters, in the order of their fields; of a symmetric matrix one of each pair."""
    sizes = {block.path: block.size(params) for block in model.blocks()}
    for path, field in fields_of(params):
        array = np.asarray(field)
        together = _together(array, sizes.get(path))
        for index in np.ndindex(array.shape):
            if together != "matrix" or index[-2] >= index[-1]:
                yield Number(params, path, index, together)


def fields_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The fields of a value that hold real numbers, each with its path, in their order."""
    if isinstance(value, float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
        yield path, value
    elif isinstance(value, Iterable) and not isinstance(value, str | np.ndarray):  # parts by their numbers
        for i, part in enumerate(value):
            yield from fields_of(part, (*path, i))
    elif attrs.has(type(value)):
        for part in attrs.fields(type(value)):
            if part.init:
                yield from fields_of(getattr(value, part.name), (*path, part.name))


def _together(array: Any, size: int | None) -> str:
    """Which numbers of a field hang together, told by how many of them its block says are free; None is of no block."""
    free = size if size is not None else array.size + 1
    if array.ndim and array.shape[-1] > 1:
        d, rows = array.shape[-1], array.size // array.shape[-1]
        sums = (array >= 0).all() and np.allclose(array.sum(axis=-1), 1, rtol=0, atol=1e-9)
        if sums and free <= array.size - rows:
            return "shares"
        square = array.ndim > 1 and array.shape[-2] == d and np.array_equal(array, np.swapaxes(array, -1, -2))
        if square and free <= rows * (d + 1) // 2:
            return "matrix"
    return ""


def find(model: Model, params: Any, name: str) -> Number:
    """The number of a dotted name, which may leave out what comes before its last field where only one ends so.

    Raises:
        ValueError: there is none, or there are several.
    """
    there = list(numbers(model, params))
    wanted = re.sub(r"\s*,\s*", ", ", name.strip())
    found = [one for one in there if one.name == wanted] or [one for one in there if one.name.endswith("." + wanted)]
    if len(found) == 1:
        return found[0]
    names = [one.name for one in (found or there)]
    listed = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    what = "is the end of several names" if found else "is no number in these parameters"
    raise ValueError(f"{name!r} {what}: give one of {listed}")
