"""Sparse tables as data: a few rows at a time are made dense, never the whole."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from attrs import field, frozen
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from latentem.arrays import Array, own
from latentem.data.readers.reader import Reader, Table
from latentem.data.tables import Tables
from latentem.data.values import SparseMatrix


@final
@frozen(eq=False)
class SparseRows(Reader):
    """A sparse table of scipy in CSR form, shape (n, d), of which any stretch of rows can be loaded.

    Attributes:
        values: The table.
    """

    values: Any = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        n, d = self.values.shape
        return int(n), int(d)

    def read(self, begin: int, end: int) -> Array:
        return own(self.values[begin:end].toarray().astype(np.float64, copy=False))


def data_of(x: Any, weight: Any = None, known: Any = None) -> tuple[Any, dict[str, Any]]:
    """Rows as `lem.fit` takes them, and what it takes beside them: a sparse table is a source that holds both."""
    if not issparse(x):
        return x, {"weights": weight, "allowed": known}
    heavy, labels = (None if each is None else (Table(each), None) for each in (weight, known))
    return Tables(SparseRows(x), weight=heavy, allowed=labels), {}


def dense(rows: Any) -> Array:
    """A few rows as an array."""
    return np.asarray(rows.toarray() if isinstance(rows, SparseMatrix) else rows)


def mean_variance(x: Any) -> float:
    """The mean of the variances of the columns."""
    return float(np.mean(mean_variance_axis(x, axis=0)[1] if issparse(x) else np.var(x, axis=0, dtype=np.float64)))
