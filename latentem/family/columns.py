"""Families of independent columns."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from attrs import evolve, fields

from latentem.arrays import Array, Labels, frozen_array, plain_int
from latentem.core import ColumnError, Degenerate, RowError
from latentem.family.base import Family, Mask, first_wrong
from latentem.family.exponential import ExponentialFamily

P = TypeVar("P", bound=Any)

_LARGEST, _SMALLEST = 1e140, 1e-140
"""Beyond these, squares of values or their sums leave the range of floats, or come too near its end."""
POSITIVE = "values above 0; where zeros are meant, ZeroInflated of it has a share of them, or leave out the row"

_OUTLYING, _AWAY, _SOME = 1e10, 1e10, 2**14
"""How far out a covariate may be, in median distances; how far from zero, in ranges; rows by which that is judged."""


class ColumnFamily(ExponentialFamily):
    """An exponential family whose parameters are one array, shape (k, d)."""

    __slots__ = ()

    parameter: ClassVar[str]
    parameters: ClassVar[str]
    rule: ClassVar[str]

    @abc.abstractmethod
    def sound(self, values: Array) -> Any:
        """Which values may be parameters, boolean of the same shape or of one that broadcasts to it."""

    def checked(self, values: Any) -> Array:
        """Parameters as a read-only array.

        Raises:
            ValueError: not of shape (k, d), or a value is not allowed.
        """
        array = frozen_array(values)
        if array.ndim != 2 or 0 in array.shape or not np.all(self.sound(array)):
            raise ValueError(f"{self.parameters} were given as {array}: give {self.rule}, shape (k, d)")
        return array

    def check_params(self, params: Any, k: int) -> None:
        checked = self.checked(params)
        if len(checked) != k:
            raise ValueError(f"{self.parameters} of shape {checked.shape} were given for {k} components: give (k, d)")

    def marginal(self, params: Array, columns: tuple[int, ...], d: int) -> tuple[Family[Any, Any], Array]:
        return self, params[:, columns]

    def describe(self, params: Array) -> Mapping[str, Array]:
        return {self.parameter: params}


def of_columns(params: P, columns: tuple[int, ...]) -> P:
    """Parameters whose arrays are all (k, d), of some of the columns."""
    return evolve(params, **{each.name: getattr(params, each.name)[:, columns] for each in fields(type(params))})


def refuse_unsound(params: Any, sound: Callable[[Array], Any], rule: str) -> None:
    """Refuse parameters whose arrays are not of one shape, (k, d), or hold a value that is not finite and sound."""
    arrays = {each.name: getattr(params, each.name) for each in fields(type(params))}
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = " and ".join(f"{name} of shape {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{shapes} were given: give one of each, both must be (k, d)")
    for name, array in arrays.items():
        if not (np.isfinite(array) & sound(array)).all():
            raise ValueError(f"{name} were given as {array}: give {rule}")


def whole_numbers(value: Any) -> Any:
    """A converter: a list as a tuple of Python's own numbers, so that the family can be compared and hashed."""
    return tuple(map(plain_int, value)) if isinstance(value, list | tuple | np.ndarray) else plain_int(value)


def natural_number(value: Any) -> bool:
    """Whether it is a whole number of at least 1."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1


def one_or_each(instance: Any, attribute: Any, value: Any) -> None:
    """A validator for a whole number, or one a column."""
    if not all(map(natural_number, value if isinstance(value, tuple) and value else (value,))):
        raise ValueError(
            f"{attribute.name} was given as {value!r}: give a whole number, at least 1, or a tuple, one a column"
        )


def one_each(value: int | tuple[int, ...], d: int, name: str) -> Labels:
    """Whole numbers, one a column, shape (d,); refused where there are more or fewer than columns."""
    if isinstance(value, tuple) and len(value) != d:
        raise ValueError(f"{name} were given for {len(value)} columns: there are {d}")
    return np.broadcast_to(np.asarray(value, dtype=np.int64), (d,))


def whole(x: Array) -> Mask:
    """Which values are whole numbers of at least 0."""
    return (x >= 0) & (x == np.floor(x))


def refuse_degenerate(sound: Mask, field: str, reason: str) -> None:
    """Refuse maximisers, shape (k, d), where they are not sound: a Degenerate names the component and the column."""
    if not sound.all():
        j, column = (int(i[0]) for i in np.nonzero(~sound))
        raise Degenerate(
            j, field, f"{reason} in column {column}", "use fewer components, leave out the column, or use a prior"
        )


def refuse_extreme(chunks: Sequence[Array]) -> None:
    """Refuse columns whose sums, or the inverses of these, are beyond the range of floats, with a ColumnError."""
    largest = np.max([np.abs(x).max(axis=0, initial=0.0) for x in chunks], axis=0)
    extreme = (largest > _LARGEST) | ((largest < _SMALLEST) & (largest > 0))
    if extreme.any():
        column = int(extreme.argmax())
        raise ColumnError(
            column, f"goes up to {largest[column]:g}, too near the end of the range of floats: give it in other units"
        )


def refuse_wide(low: Array, high: Array, still: Mask) -> None:
    """Refuse columns, from low to high and not `still`, whose variance is beyond floats, with a ColumnError."""
    with np.errstate(over="ignore"):
        extreme = (np.maximum(np.abs(low), np.abs(high)) > _LARGEST) | ((high - low < _SMALLEST) & ~still)
    if extreme.any():
        column = int(extreme.argmax())
        raise ColumnError(
            column,
            f"runs from {low[column]:g} to {high[column]:g}, and its variance is beyond the range of floats: "
            "give it in other units",
        )


def refuse_outlying(chunks: Sequence[Array]) -> None:
    """Refuse covariates whose rows have no digits in a linear predictor: beside one far out, or beside their offset.

    A RowError names the former, a ColumnError the latter.
    """
    some = np.concatenate([x[:: max(1, len(x) // _SOME)] for x in chunks])
    middle = np.median(some, axis=0)
    width = np.median(np.abs(some - middle), axis=0)
    spread = some.max(axis=0) - some.min(axis=0)
    away = (np.abs(middle) > _AWAY * spread) & (spread > 64 * np.finfo(float).eps * np.abs(middle))
    if away.any():
        column = int(away.argmax())
        raise ColumnError(
            column,
            f"varies by {spread[column]:g} about {middle[column]:g}, so that an intercept and a slope have no digits "
            "of it: subtract its mean",
        )
    found = first_wrong(chunks, lambda x: (np.abs(x - middle) > _OUTLYING * width) & (width > 0))
    if found is not None:
        row, x, column = found
        raise RowError(
            row,
            f"column {{column}} is {x[column]:g}, more than {_OUTLYING:g} times as far out as half of the rows, which "
            f"lie within {width[column]:g} of {middle[column]:g} and so have no digits beside it: look at that row, or "
            "give the logarithm of the column",
            column,
        )


def refuse_constant(chunks: Sequence[Array], consequence: str) -> None:
    """Refuse columns that do not vary, with a ColumnError."""
    low, high = np.min([x.min(axis=0) for x in chunks], axis=0), np.max([x.max(axis=0) for x in chunks], axis=0)
    if (still := constant(low, high)).any():
        column = int(still.argmax())
        raise ColumnError(column, f"is constant{seen(low[column], high[column])}, {consequence}")


def constant(low: Array, high: Array) -> Mask:
    """Which columns between these values do not vary by more than two units in the last place of a float."""
    still: Mask = high / 2 - low / 2 <= np.spacing(np.maximum(np.abs(low), np.abs(high)))
    return still


def seen(low: float, high: float) -> str:
    """The value of a constant column in words, or that it varies in its last digits only."""
    return f" ({low:g})" if low == high else f" but for the last digits of its floats ({low!r} to {high!r})"


def log_of_positive(x: Array) -> Array:
    """Logarithms of values of at least 0, finite: a zero counts as half the least value of its column above it."""
    with np.errstate(divide="ignore"):
        least = np.where(x > 0, x, np.inf).min(axis=0, initial=np.inf)
        return np.log(np.maximum(x, np.where(np.isfinite(least), least / 2, 1.0)))
