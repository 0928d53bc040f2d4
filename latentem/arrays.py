"""Arrays as fields of values: float64, read-only, compared with NaN equal to NaN."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from attrs import Converter, cmp_using, field

Array = npt.NDArray[np.float64]
V = TypeVar("V", bound=Any)
Labels = npt.NDArray[np.int64]

_TEXT = "; leave text out, or code it as 0, 1, ... for a Categorical"
_WAYS_OUT = {
    **dict.fromkeys("OUST", _TEXT),
    **dict.fromkeys("Mm", "; give times as numbers, such as days since the first"),
    "c": ", such as the real and the imaginary part",
}
_NARROW, _STRETCH = range(2, 17), 2048
"""Columns that are few for a reduction across rows; and rows that are turned at a time, to go along the columns."""


def plain_int(value: Any) -> Any:
    """A converter: a whole number of numpy's as Python's own, which does not overflow; anything else as it is."""
    return int(value) if isinstance(value, np.integer) else value


def frozen_array(values: Any) -> Array:
    """The values as a read-only float64 array, copied unless nobody can write to them.

    Raises:
        TypeError: the values are not real numbers.
    """
    if (
        isinstance(values, np.ndarray)
        and not (flags := values.flags).writeable
        and flags.c_contiguous  # another layout is added up in another order, and does not survive pickling
        and values.dtype == np.float64
        and not getattr(values.base, "flags", flags).writeable
        and not isinstance(values, np.ma.MaskedArray)
    ):
        return values
    array = real_numbers(values, "an array")
    return own(np.array(array, dtype=np.float64, order="C"))


def real_numbers(values: Any, what: str) -> npt.NDArray[Any]:
    """The values as an array of integers, booleans or floats; of objects that are all real numbers too.

    Raises:
        TypeError: they are not real numbers.
        ValueError: some of them are behind a mask, which an array has not, or rows are ragged.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{what} with masked entries was given: leave them out, or fill them in, x.filled(...)")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{what} of ragged rows was given: every row must have the same length") from error
    if array.dtype.kind == "O" and array.size and all(isinstance(value, Real) for value in array.flat):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{what} of type {array.dtype} was given: give real numbers{_WAYS_OUT.get(array.dtype.kind, '')}"
        )
    return array


def frozen_shares(values: Any) -> Array:
    """Probabilities along the last axis, as a read-only float64 array: what single precision has rounded sums to one.

    Raises:
        TypeError: the values are not real numbers.
    """
    dtype = getattr(values, "dtype", None)
    array = frozen_array(values)
    if dtype is None or np.dtype(dtype).kind != "f" or np.dtype(dtype).itemsize >= 8 or not array.ndim:
        return array  # nothing was rounded to fewer digits than float64 has
    total = array.sum(axis=-1, keepdims=True)
    rounded = np.abs(total - 1) <= 8 * np.finfo(dtype).eps * max(1, array.shape[-1])
    return own(np.where(rounded, array / np.where(rounded, total, 1.0), array))


def viewed_array(values: Any) -> Array:
    """Data, which may be large, as by `frozen_array`; but a read-only view is not copied, whoever may write to it."""
    plain = isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray)
    sealed = plain and values.dtype == np.float64 and values.flags.c_contiguous and not values.flags.writeable
    return values if sealed else frozen_array(values)


def column_bounds(x: Array) -> tuple[Array, Array]:
    """The least and the largest value of each column, (n, d) -> (d,), (d,); NaN where one is missing."""
    if x.shape[1] not in _NARROW or len(x) < _STRETCH:
        return x.min(axis=0), x.max(axis=0)
    # Across rows so short numpy takes twice to fifteen times as long as to turn them and go along the columns.
    low, high = np.full(x.shape[1], np.inf), np.full(x.shape[1], -np.inf)
    for begin in range(0, len(x), _STRETCH):
        turned = np.ascontiguousarray(x[begin : begin + _STRETCH].T)
        low, high = np.minimum(low, turned.min(axis=1)), np.maximum(high, turned.max(axis=1))
    return low, high


def rounded_mean(x: Array) -> Array:
    """The mean of each column to about a standard deviation, (n, d) -> (d,): alike samples have the same, to the bit.

    That of the rows without a missing value; NaN where there are none.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = x.mean(axis=0)
        if np.isnan(mean).any():
            x = x[~np.isnan(x).any(axis=1)]
            if not len(x):
                return np.full(x.shape[1], np.nan)
            mean = x.mean(axis=0)
        # a power of two near the deviation: a few rows more or less seldom change the multiple of it
        step = np.exp2(np.floor(np.log2(np.maximum(x.std(axis=0), np.finfo(float).tiny))))
        rounded = np.round(mean / step) * step
        return np.where(np.isfinite(rounded), rounded, mean)  # of a column that does not vary, its value


def frozen_or_none(values: Any) -> Array | None:
    """The values as by `frozen_array`, for a field that may be left out."""
    return None if values is None else frozen_array(values)


def frozen_params(params: Any) -> Any:
    """Parameters that may be an array or a value: an array, or nested lists that stand for one, is made read-only."""
    return frozen_array(params) if isinstance(params, np.ndarray | list) else params


def own(array: Array) -> Array:
    """Mark an array that was just made here as read-only, so that a field takes it without a copy."""
    array.flags.writeable = False
    return array


def made(kind: type[V], *fields: Any) -> V:
    """A value of fields that were made here and are right: nothing is checked or copied, and arrays become read-only.

    A step of EM builds many values of which this is so; the constructor is for what comes from elsewhere.
    """
    value = object.__new__(kind)
    for put, each in zip(_slots(kind), fields, strict=True):  # type: ignore[arg-type]  # a class is hashable
        if type(each) is np.ndarray:
            each.setflags(write=False)
        put(value, each)
    return value


@cache
def _slots(kind: type[Any]) -> list[Callable[[Any, Any], None]]:
    """What fills in the fields of a value of this kind, in their order."""
    return [getattr(kind, name).__set__ for name in kind.__match_args__]


def same(one: Any, other: Any) -> bool:
    """Equality of two values or arrays, NaN equal to NaN."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return bool(one == other)


EQUAL = cmp_using(eq=same)


def axes(dimensions: int, shape: str) -> Any:
    """A validator for the number of axes; `shape` is how the message writes it."""

    def check(instance: Any, attribute: Any, value: Array) -> None:
        if value.ndim != dimensions:
            raise ValueError(f"{attribute.name} has shape {value.shape}: it must have shape {shape}")

    return check


def _sized(dimensions: int, shape: str, convert: Callable[[Any], Array] = frozen_array) -> Any:
    check = axes(dimensions, shape)

    def sized(values: Any, attribute: Any) -> Array:
        array: Array = values
        # An array that `own` has marked needs no call: values are made all the time.
        plain = type(values) is np.ndarray and values.base is None and values.dtype == np.float64
        if not plain or values.flags.writeable or not values.flags.c_contiguous:
            array = convert(values)
        if array.ndim != dimensions:
            check(None, attribute, array)
        return array

    return field(converter=Converter(sized, takes_field=True), eq=EQUAL, hash=False)


def shares(dimensions: int, shape: str) -> Any:
    """A field that holds probabilities along its last axis."""
    return _sized(dimensions, shape, frozen_shares)


def vector(shape: str = "(n,)") -> Any:
    """A field that holds a vector."""
    return _sized(1, shape)


def matrix(shape: str = "(n, k)") -> Any:
    """A field that holds a matrix."""
    return _sized(2, shape)


def array() -> Any:
    """A field that holds an array of any shape."""
    return field(converter=frozen_array, eq=EQUAL, hash=False)


def part() -> Any:
    """A field that holds parameters or statistics of another kind: an array, made read-only, or a value."""
    return field(converter=frozen_params, eq=EQUAL, hash=False)


def frozen_lengths(values: Any) -> Labels:
    """How many rows each of some stretches has, as a read-only array.

    Raises:
        ValueError: one is no whole number of at least 1.
    """
    lengths = np.array(values)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths) or not (lengths > 0).all():
        raise ValueError(f"lengths were given as {values!r}: give the number of rows of each, whole and at least 1")
    lengths = lengths.astype(np.int64)
    lengths.flags.writeable = False
    return lengths


def extents() -> Any:
    """A field that holds how many rows each of some stretches has."""
    return field(converter=frozen_lengths, eq=EQUAL, hash=False)
