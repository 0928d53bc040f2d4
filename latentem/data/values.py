"""Tables of numbers, weights and labels as arrays, from whatever is given, and what is refused in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from latentem.arrays import Array, frozen_array, own, real_numbers
from latentem.core import ColumnError
from latentem.data.frames import frame_of, series_numbers

_LIGHTEST, _LIGHT = 1e-100, 1e-20
"""The largest weight is at least the first, and at most its inverse. Beyond the second, and its inverse, squares of
values times it are looked at."""
_DECADES = 280
"""Powers of ten of a weight times a square, up or down, that leave room for sums."""
_BLOCK = 2**14
"""Rows that are checked at a time."""


@runtime_checkable
class SparseMatrix(Protocol):
    """A sparse matrix of scipy."""

    @property
    def nnz(self) -> int: ...
    def toarray(self) -> Any: ...


def mask(value: Any) -> npt.NDArray[np.bool_] | None:
    """A converter for booleans: read-only, copied unless nobody can write to them."""
    if value is None:
        return None
    refuse_masked(value, "allowed")
    allowed = np.array(value, dtype=bool) if np.asarray(value).flags.writeable else np.asarray(value)
    allowed.flags.writeable = False
    return allowed


def refuse_masked(values: Any, what: str) -> None:
    """Refuse masked entries with a ValueError: an array would lose the mask."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{what} was given as a masked array with masked entries: fill them in, {what}.filled(...)")


def table(data: Any, missing: bool = False) -> Array:
    """Data as an array of shape (n, d); one of float64 is viewed. `missing`: masked entries become NaN.

    Raises:
        TypeError, ValueError: the data are not real numbers, or no table, or an empty one.
    """
    if isinstance(data, SparseMatrix):
        raise TypeError("a sparse matrix was given: convert it with .toarray() if it fits into memory")
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        if missing:
            return table(np.ma.filled(data.astype(np.float64), np.nan), missing)
        raise ValueError("a masked array with masked entries was given: leave out those rows, or fill them in")
    if data is None or isinstance(data, Mapping | Iterator | bytes):
        raise TypeError(
            f"data of type {type(data).__name__} were given: give an array or a data frame of shape (rows, columns), "
            "such as pandas.DataFrame(data), or the path of a file"
        )
    frame = frame_of(data)
    x = numbers(data, "data") if frame is None else frame.table()
    if x.ndim != 2:
        hints = {
            1: ": for one column, give x[:, None], for one row, x[None]",
            3: "; several sequences are a list of them",
        }
        hint = hints.get(x.ndim, "")
        raise ValueError(f"data of shape {x.shape} were given: give a table of shape (rows, columns){hint}")
    if 0 in x.shape:
        raise ValueError(f"data of shape {x.shape} were given: give at least one row and one column")
    return x


def numbers(data: Any, what: str) -> Array:
    """Data as an array of float64; one that is so already is viewed. A TypeError or ValueError says what is wrong."""
    array = real_numbers(series_numbers(data, what), what)
    if array.dtype == np.float64 and array.dtype.isnative:
        return own(array.view(np.ndarray)[...])
    return frozen_array(array)


def allowed_components(allowed: Any, n: int, k: int | None) -> npt.NDArray[np.bool_]:
    """Known labels, shape (n,), -1 for unknown, or a boolean table (n, k), as such a table; else an error."""
    refuse_masked(allowed, "allowed")
    array = np.asarray(allowed)
    if array.ndim == 2:
        if array.dtype != bool:
            raise TypeError(f"allowed of type {array.dtype} was given: a table must be boolean, shape (n, k)")
        return array
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"allowed of shape {array.shape} and type {array.dtype} was given: give whole-number labels of shape "
            f"({n},) with -1 for unknown, or a boolean table of shape (n, k)"
        )
    k = int(array.max()) + 1 if k is None else k
    if array.max() >= k or array.min() < -1:
        worst = array.max() if array.max() >= k else array.min()
        raise ValueError(f"allowed holds the label {worst}: labels run from 0 to {k - 1}, with -1 for unknown")
    return (array[:, None] == np.arange(k)) | (array[:, None] == -1)


def refuse_unsound(
    x: Array, place: Callable[[int], str], names: Sequence[str] | None, missing: bool, remedy: str
) -> None:
    """Refuse infinities, and NaN where none may be missing, with a ValueError; `place` says in words where a row is."""
    for begin in range(0, len(x), _BLOCK):  # in blocks, so that what is computed beside the data stays small
        part = x[begin : begin + _BLOCK]
        sound = ~np.isinf(part) if missing else np.isfinite(part)
        if not sound.all():
            row, column = (int(i[0]) for i in np.nonzero(~sound))
            name = repr(names[column]) if names else str(column)
            rule = "every value must be finite" + (", or NaN where it is missing" if missing else "")
            raise ValueError(f"{place(begin + row)}, column {name} is {part[row, column]}: {rule}; {remedy}")


def refuse_absent_columns(chunks: Iterable[Any]) -> None:
    """Refuse data of which a column is NaN in all rows that count, with a ColumnError; it looks as far as it must."""
    absent: Any = True
    for chunk in chunks:
        for begin in range(0, len(chunk.x), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            absent = absent & np.isnan(chunk.x[part])[chunk.row_weight[part] > 0].all(axis=0)
            if not absent.any():
                return
    raise ColumnError(int(absent.argmax()), "has no value at all: leave it out")


def refuse_weights(weight: Array, n: int, unit: str, begin: int = 0) -> None:
    """Refuse with a ValueError what are no weights of n units, the first of which is the unit number `begin`.

    One is negative or not finite, or all are beyond the range of sums, or their shape is another.
    """
    if weight.shape != (n,):
        raise ValueError(f"weights have shape {weight.shape}: give one a {unit}, shape ({n},)")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        worst = int(np.argmin(np.where(np.isfinite(weight), weight, -np.inf)))
        raise ValueError(
            f"the weight of {unit} {begin + worst} is {weight[worst]}: weights must be finite and at least 0"
        )
    heaviest = weight.max(initial=0)
    if not (heaviest == 0 or _LIGHTEST <= heaviest <= 1 / _LIGHTEST):
        raise ValueError(f"the largest weight is {heaviest}: rescale the weights to be near 1")


def refuse_extreme_weights(chunks: Sequence[Any]) -> None:
    """Refuse with a ValueError weights whose products with squares of values are beyond the range of floats."""
    heaviest = max((float(chunk.row_weight.max(initial=0.0)) for chunk in chunks), default=0.0)
    if heaviest == 0 or _LIGHT <= heaviest <= 1 / _LIGHT:
        return
    largest = max(float(np.nanmax(np.abs(chunk.x), initial=0.0)) for chunk in chunks)
    reach = np.log10(heaviest) + 2 * np.log10(largest or 1.0)  # in logarithms: the product itself may be no float
    if not -_DECADES < reach < _DECADES:
        raise ValueError(
            f"the largest weight is {heaviest:g} beside values of up to {largest:g}, and sums of squares are beyond "
            "the range of floats: rescale the weights to be near 1"
        )


def refuse_mask(allowed: npt.NDArray[np.bool_], n: int, begin: int = 0, k: int | None = None) -> None:
    """Refuse with a ValueError what does not say where each of n rows, from row `begin` on, may belong among k."""
    if allowed.ndim != 2 or len(allowed) != n:
        raise ValueError(f"allowed has shape {allowed.shape}: give one row a unit, shape ({n}, k)")
    if k is not None and allowed.shape[1] != k:
        raise ValueError(f"allowed has {allowed.shape[1]} columns: the model has {k} components")
    if not allowed.any(axis=1).all():
        row = int(np.argmin(allowed.any(axis=1)))
        raise ValueError(f"row {begin + row} is allowed in no component: allow at least one")
