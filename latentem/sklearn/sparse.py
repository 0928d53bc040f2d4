"""Sparse tables as data: K-means takes their rows as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from latentem.arrays import Array
from latentem.data.values import SparseMatrix, allowed_components
from latentem.kmeans.sparse import SparseRows


def data_of(x: Any, weight: Any = None, known: Any = None, k: int | None = None) -> tuple[Any, dict[str, Any]]:
    """Rows as `lem.fit` takes them, and what it takes beside them: a sparse chunk holds both; labels are below k."""
    if not issparse(x):
        return x, {"weights": weight, "allowed": known}
    return SparseRows(x, weight, None if known is None else allowed_components(known, len(known), k)), {}


def dense(rows: Any) -> Array:
    """A few rows as an array."""
    return np.asarray(rows.toarray() if isinstance(rows, SparseMatrix) else rows)


def mean_variance(x: Any) -> float:
    """The mean of the variances of the columns."""
    return float(np.mean(mean_variance_axis(x, axis=0)[1] if issparse(x) else np.var(x, axis=0, dtype=np.float64)))
