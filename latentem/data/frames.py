"""Data frames of any library that narwhals reads, as columns of numbers and of coded categories."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from numbers import Real
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, frozen_array, own, real_numbers
from latentem.core import Value
from latentem.data.readers.reader import optional
from latentem.data.readers.words import categories_are, stranger

_OURS = ("builtins", "numpy", "scipy", "latentem", "h5py", "zarr", "dask", "dask_expr")
"""Packages whose values are read without narwhals."""
_BRIEF = reprlib.Repr()


@runtime_checkable
class Shaped(Protocol):
    """A table or an array, of whatever library."""

    @property
    def shape(self) -> Any: ...


@runtime_checkable
class ArrowStream(Protocol):
    """A table that says itself in Arrow's form, as a batch of records of pyarrow does."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


def columns_of(data: Any) -> tuple[str, ...] | None:
    """Column names of a DataFrame (anything with `columns` and `shape`), or None."""
    if isinstance(data, np.ndarray) or not isinstance(data, Shaped):
        return None
    columns = getattr(data, "column_names", getattr(data, "columns", None))  # the `columns` of pyarrow are their values
    return None if columns is None else tuple(str(name) for name in columns)


def frame_of(data: Any) -> Frame | None:
    """A data frame of another library; None for whatever else.

    Raises:
        TypeError: it is lazy.
        ValueError: two columns have one name.
        ImportError: it is a data frame, and narwhals is not installed.
    """
    if isinstance(data, Frame):
        return data
    found = _narwhal(data)
    if found is None:
        return None
    nw = _narwhals()
    if isinstance(found, nw.LazyFrame):
        raise TypeError(f"a lazy table ({type(data).__name__}) was given: give what its .collect() gives")
    return Frame(found) if isinstance(found, nw.DataFrame) else None


def series_numbers(data: Any, what: str) -> Any:
    """A column of another library as an array, NaN where a number is missing; whatever else as it is."""
    found = _narwhal(data)
    return data if found is None or not isinstance(found, _narwhals().Series) else _numbers(found, what)


def series_values(data: Any) -> list[Any]:
    """The values of a column, of another library or not, as they are, None where one of another library is missing."""
    found = _narwhal(data)
    return list(data if found is None or not isinstance(found, _narwhals().Series) else found.to_list())


def _narwhals() -> Any:
    return optional("narwhals.stable.v2", "tables")


def _narwhal(data: Any) -> Any:
    """Data in the words of narwhals, if it knows them; what numpy and this library know costs nothing."""
    if isinstance(data, np.ndarray | os.PathLike) or type(data).__module__.split(".")[0] in _OURS:
        return None
    try:
        nw = _narwhals()
    except ImportError:
        if columns_of(data) is None:
            return None
        raise
    try:
        found = nw.from_native(data, pass_through=True, allow_series=True)
    except nw.exceptions.DuplicateError:
        names = columns_of(data) or ()
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"column {twice!r} is there twice: give each column a name of its own") from None
    if isinstance(found, nw.DataFrame | nw.LazyFrame | nw.Series):
        return found
    if isinstance(data, ArrowStream) and columns_of(data) is not None:
        return nw.from_arrow(data, backend="pyarrow")
    return None


@final
@frozen(eq=False)
class Frame(Value):
    """A data frame, column by column.

    Attributes:
        data: The frame, in the words of narwhals.
    """

    data: Any = field()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(map(str, self.data.columns))

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        n, d = self.data.shape
        return int(n), int(d)

    @property
    def uniform(self) -> bool:
        """Whether all columns are of one numeric type, so that numpy has them as one array."""
        if len({str(dtype) for dtype in self.data.schema.values()}) != 1:
            return False
        return np.asarray(self.data.head(1).to_native()).dtype.kind in "biuf"

    def table(self) -> Array:
        """All columns as numbers, shape (n, d); a frame that is one array of float64 is viewed.

        Raises:
            TypeError: a column holds none; the message names it.
        """
        if 0 in self.shape:
            return np.empty(self.shape)
        if self.uniform:
            whole = np.asarray(self.data.to_native())
            if whole.dtype.kind in "biuf":  # a missing value further down may make it objects
                return own(whole[...]) if whole.dtype == np.float64 else frozen_array(whole)
        return own(np.column_stack([self.numbers(i) for i in range(len(self.columns))]))

    def numbers(self, i: int) -> Array:
        """Column i as numbers, shape (n,); NaN where one is missing.

        Raises:
            TypeError: it holds none.
        """
        return frozen_array(_numbers(self._series(i), f"column {self.columns[i]!r}"))

    def labels(self, i: int) -> Any:
        """Column i as labels of rows, whole numbers with -1 where one is missing, shape (n,).

        Raises:
            TypeError, ValueError: it holds none.
        """
        labels = np.nan_to_num(self.numbers(i), nan=-1.0)
        if (labels != np.rint(labels)).any():
            row = int((labels != np.rint(labels)).argmax())
            raise ValueError(f"the label of row {row} is {labels[row]}: labels are whole numbers")
        return labels.astype(np.int64)

    def values(self, i: int) -> list[Any]:
        """Column i as it is, None where a value is missing."""
        return list(self._series(i).to_list())

    def is_text(self, i: int) -> bool:
        """Whether column i holds categories or strings."""
        nw = _narwhals()
        return isinstance(self._series(i).dtype, nw.String | nw.Categorical | nw.Enum)

    def categories(self, i: int) -> tuple[str, ...]:
        """What column i of text may hold: in its own order where the type has one, else sorted."""
        nw, series = _narwhals(), self._series(i)
        # polars keeps the categories of all frames in one pool, in no order of a column's own
        own_order = isinstance(series.dtype, nw.Enum) or (
            isinstance(series.dtype, nw.Categorical) and not series.implementation.is_polars()
        )
        if own_order:
            return tuple(map(str, series.cat.get_categories().to_list()))
        return tuple(sorted(_words(series)))

    def codes(self, i: int, known: Sequence[str]) -> Array:
        """Column i as numbers of the known categories, from 0, shape (n,); NaN where one is missing.

        Raises:
            ValueError: it holds a category that is not known, or numbers.
        """
        series, name = self._series(i), self.columns[i]
        if not self.is_text(i):
            if series.null_count() == len(series):
                return own(np.full(len(series), np.nan))
            raise ValueError(f"column {name!r} is of type {series.dtype}: {categories_are(known)}; give these words")
        other = sorted(_words(series) - set(known))
        if other:
            raise stranger(f"column {name!r}", other[0], known)
        nw = _narwhals()
        if series.null_count() == len(series):
            return own(np.full(len(series), np.nan))
        words = series.cast(nw.String)
        return frozen_array(
            words.replace_strict(list(known), list(range(len(known))), return_dtype=nw.Float64).to_numpy()
        )

    def beside(self, columns: dict[str, Any]) -> Any:
        """The same kind of frame, its index kept, with more columns behind its own.

        Raises:
            ValueError: it has a column of such a name.
        """
        if twice := [name for name in columns if name in self.columns]:
            raise ValueError(
                f"the table has a column {twice[0]!r} itself: give a prefix, as in fit.table(data, prefix='fit_')"
            )
        nw = _narwhals()
        made = [
            nw.new_series(name, values, backend=self.data.implementation).alias(name)
            for name, values in columns.items()
        ]
        return self.data.with_columns(*made).to_native()

    def _series(self, i: int) -> Any:
        return self.data.get_column(self.data.columns[i])


def _words(series: Any) -> set[str]:
    return set(series.cast(_narwhals().String).drop_nulls().unique().to_list())


def _numbers(series: Any, what: str) -> Any:
    """A series as an array of real numbers, NaN where one is missing, or a TypeError with the way out."""
    nw, dtype = _narwhals(), series.dtype
    if dtype.is_temporal():
        raise TypeError(
            f"{what} of type {dtype} was given: give real numbers; give times as numbers, such as days since the first"
        )
    if isinstance(dtype, nw.String | nw.Categorical | nw.Enum):
        raise TypeError(
            f"{what} of type {dtype} holds text: give real numbers, leave it out, or put a family on it that "
            f"takes categories, as in lem.Categorical().on({series.name!r}) within a lem.Product"
        )
    if dtype.is_numeric() or isinstance(dtype, nw.Boolean):
        if series.null_count() or isinstance(dtype, nw.Boolean | nw.Decimal):
            series = series.cast(nw.Float64)
        return real_numbers(series.to_numpy(), what)
    if dtype.is_nested():
        raise TypeError(f"{what} of type {dtype} was given: give a column for each number in it")
    values = series.to_numpy()
    if values.dtype.kind != "O":
        return real_numbers(values, what)
    other = next((value for value in values if not (value is None or isinstance(value, Real | Decimal))), None)
    if other is not None:
        raise TypeError(
            f"{what} holds {_BRIEF.repr(other)}, a {type(other).__name__}: give real numbers, times as days since the "
            f"first, or, for categories, text alone, as in frame[{series.name!r}].astype(str)"
        )
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
