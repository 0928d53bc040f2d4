"""Rows of a table as a chunk, and the door through which tables come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, axes, frozen_array, frozen_or_none, own, viewed_array
from latentem.core import Value

_LIGHTEST = 1e-100


def _allowed(value: Any) -> npt.NDArray[np.bool_] | None:
    if value is None:
        return None
    allowed = np.array(value, dtype=bool) if np.asarray(value).flags.writeable else np.asarray(value)
    allowed.flags.writeable = False
    return allowed


@final
@frozen
class Rows(Value):
    """A chunk of independent units, one a row.

    Attributes:
        x: The values, shape (n, d); NaN where one is missing and the model takes that.
        weight: How much each unit counts, shape (n,), at least 0; None counts each once.
        allowed: Which components a unit may belong to, boolean of shape (n, k); None allows all.

    A chunk has a length and can be cut with a slice, like a list.

    Raises:
        ValueError: shapes disagree, a weight is negative or not finite, or a unit is allowed nowhere.
    """

    x: Array = field(converter=viewed_array, validator=axes(2, "(n, d)"), eq=EQUAL, hash=False)
    weight: Array | None = field(default=None, converter=frozen_or_none, eq=EQUAL, hash=False)
    allowed: npt.NDArray[np.bool_] | None = field(default=None, converter=_allowed, eq=EQUAL, hash=False)

    def __attrs_post_init__(self) -> None:
        n = len(self.x)
        if self.weight is not None:
            if self.weight.shape != (n,):
                raise ValueError(f"weights have shape {self.weight.shape}: give one a row, shape ({n},)")
            if not (np.isfinite(self.weight).all() and (self.weight >= 0).all()):
                row = int(np.argmin(np.where(np.isfinite(self.weight), self.weight, -np.inf)))
                raise ValueError(
                    f"the weight of row {row} is {self.weight[row]}: weights must be finite and at least 0"
                )
            heaviest = self.weight.max(initial=0)
            if not (heaviest == 0 or _LIGHTEST <= heaviest <= 1 / _LIGHTEST):
                raise ValueError(f"the largest weight is {heaviest}: rescale the weights to be near 1")
        if self.allowed is not None:
            if self.allowed.ndim != 2 or len(self.allowed) != n:
                raise ValueError(f"allowed has shape {self.allowed.shape}: give one row a unit, shape ({n}, k)")
            if not self.allowed.any(axis=1).all():
                row = int(np.argmin(self.allowed.any(axis=1)))
                raise ValueError(f"row {row} is allowed in no component: allow at least one")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def observations(self) -> float:
        """How much the rows count: their number, or the sum of their weights."""
        return float(len(self) if self.weight is None else self.weight.sum())

    @property
    def row_weight(self) -> Array:
        """How much each row counts, shape (n,), ones where nothing was said."""
        return np.ones(len(self)) if self.weight is None else self.weight

    def __getitem__(self, part: slice) -> Rows:
        return Rows(
            self.x[part],
            None if self.weight is None else self.weight[part],
            None if self.allowed is None else self.allowed[part],
        )


def rows(data: Any, weights: Any = None, allowed: Any = None, k: int | None = None, missing: bool = False) -> Rows:
    """A table as one chunk, checked; an array of float64 is viewed, never copied and never written to.

    Args:
        data: A two-dimensional table of real numbers: an array, a list of lists, a pandas or polars
            DataFrame; shape (n, d).
        weights: How much each row counts, shape (n,).
        allowed: Known labels, shape (n,), whole numbers with -1 for unknown; or the components that
            each row may belong to, boolean of shape (n, k).
        k: How many components there are, to check `allowed` against.
        missing: Whether NaN stands for a missing value, and a masked entry of a masked array too.

    Raises:
        TypeError: the data are not real numbers.
        ValueError: the data are not a table, are empty, or hold infinity, or NaN where none may be missing.
    """
    if isinstance(data, Rows):
        if weights is not None or allowed is not None:
            raise ValueError("weights and allowed were given beside Rows: put them into the Rows")
        return checked([data], k, missing=missing)[0]
    if isinstance(data, list | tuple) and data and all(isinstance(part, Rows) for part in data):
        return _joined(checked(data, k, missing=missing))
    x = _table(data, missing)
    labels = None if allowed is None else _allowed_components(allowed, len(x), k)
    chunk = Rows(x, None if weights is None else _numbers(weights, "weights"), labels)
    return checked([chunk], k, columns_of(data), missing)[0]


def checked(
    chunks: Sequence[Rows], k: int | None = None, names: Sequence[str] | None = None, missing: bool = False
) -> list[Rows]:
    """Chunks of one table, as they are, but for rows of weight zero: they get the values of one that counts.

    Raises:
        ValueError: the chunks do not fit together or `k` components, no row counts, a value is not finite, or a
            column has no value at all.
    """
    if len({chunk.x.shape[1] for chunk in chunks}) > 1 or len({chunk.allowed is None for chunk in chunks}) > 1:
        shapes = [chunk.x.shape for chunk in chunks]
        raise ValueError(f"chunks of shapes {shapes} were given: give the same columns, and all or none with allowed")
    if not any(chunk.weight is None or (chunk.weight > 0).any() for chunk in chunks):
        raise ValueError("all weights are zero: at least one row must count")
    begin = 0
    for chunk in chunks:
        if chunk.allowed is not None and k is not None and chunk.allowed.shape[1] != k:
            raise ValueError(f"allowed has {chunk.allowed.shape[1]} columns: the model has {k} components")
        sound = ~np.isinf(chunk.x) if missing else np.isfinite(chunk.x)
        if not sound.all():
            row, column = (int(i[0]) for i in np.nonzero(~sound))
            name = repr(names[column]) if names else str(column)
            raise ValueError(
                f"row {begin + row}, column {name} is {chunk.x[row, column]}: every value must be finite"
                + (", or NaN where it is missing" if missing else "")
                + "; leave out rows with missing values, or fill them in, before fitting"
            )
        begin += len(chunk)
    if missing:
        absent = np.all([np.isnan(chunk.x[chunk.row_weight > 0]).all(axis=0) for chunk in chunks], axis=0)
        if absent.any():
            column = int(absent.argmax())
            raise ValueError(f"column {repr(names[column]) if names else column} has no value at all: leave it out")
    return [_without_absent(chunk) for chunk in chunks]


def _without_absent(chunk: Rows) -> Rows:
    """Any values will do for rows that do not count, and those of one that does are sound."""
    if chunk.weight is None or (chunk.weight > 0).all() or not (chunk.weight > 0).any():
        return chunk
    present = chunk.weight > 0
    return evolve(chunk, x=own(np.where(present[:, None], chunk.x, chunk.x[int(present.argmax())])))


def _joined(chunks: Sequence[Rows]) -> Rows:
    weighted = any(chunk.weight is not None for chunk in chunks)
    return Rows(
        own(np.concatenate([chunk.x for chunk in chunks])),
        own(weight_of(chunks)) if weighted else None,
        None if chunks[0].allowed is None else np.concatenate([chunk.allowed for chunk in chunks]),
    )


def split(chunk: Rows, size: int) -> list[Rows]:
    """The chunk, cut into chunks of `size` rows, the last one shorter."""
    return [chunk[start : start + size] for start in range(0, len(chunk), size)]


def columns_of(data: Any) -> tuple[str, ...] | None:
    """Column names of a DataFrame (anything with `columns` and `shape`), or None."""
    columns = getattr(data, "columns", None)
    if columns is None or not hasattr(data, "shape"):
        return None
    return tuple(str(name) for name in columns)


def _table(data: Any, missing: bool) -> Array:
    if not hasattr(data, "columns") and hasattr(data, "toarray") and hasattr(data, "nnz"):
        raise TypeError("a sparse matrix was given: convert it with .toarray() if it fits into memory")
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        if missing:
            return _table(np.ma.filled(data.astype(np.float64), np.nan), missing)
        raise ValueError("a masked array with masked entries was given: leave out those rows, or fill them in")
    named = columns_of(data) is not None and len(data.shape) == 2
    x = _frame(data) if named else _numbers(data, "data")
    if x.ndim != 2:
        hint = ": for one column, give x[:, None]" if x.ndim == 1 else ""
        raise ValueError(f"data of shape {x.shape} were given: give a table of shape (rows, columns){hint}")
    if 0 in x.shape:
        raise ValueError(f"data of shape {x.shape} were given: give at least one row and one column")
    return x


def _frame(data: Any) -> Array:
    whole = np.asarray(data)
    if whole.dtype.kind in "biuf":
        return _numbers(whole, "data")
    names = columns_of(data) or ()
    series = [data.iloc[:, i] if hasattr(data, "iloc") else data.to_series(i) for i in range(len(names))]
    return np.column_stack([_numbers(s, f"column {name!r}") for s, name in zip(series, names, strict=True)])


def _numbers(data: Any, what: str) -> Array:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{what} of ragged rows were given: every row must have the same length") from error
    if array.dtype.kind == "O" and hasattr(data, "to_numpy"):
        array = _nullable(data, array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} of type {array.dtype} were given: give real numbers (integers, booleans or floats)")
    if array.dtype == np.float64 and array.dtype.isnative:
        view = array.view(np.ndarray)
        view = view[...]
        view.flags.writeable = False
        return view
    return frozen_array(array)


def _nullable(series: Any, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if getattr(getattr(series, "dtype", None), "kind", "O") not in "biuf":
        return array
    converted: npt.NDArray[Any] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return converted


def _allowed_components(allowed: Any, n: int, k: int | None) -> npt.NDArray[np.bool_]:
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
        worst = int(array.max() if array.max() >= k else array.min())
        raise ValueError(f"allowed holds the label {worst}: labels run from 0 to {k - 1}, with -1 for unknown")
    return (array[:, None] == np.arange(k)) | (array[:, None] == -1)


def weight_of(chunks: Sequence[Any]) -> Array:
    """The weights of all rows of some chunks, shape (n,)."""
    return np.concatenate([chunk.row_weight for chunk in chunks])
