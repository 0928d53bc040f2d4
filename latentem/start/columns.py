"""Columns of rows as starts look at them: in units in which squares are numbers, without gaps, as ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentem.arrays import Array

_FAR = 1e100
"""Values from which squares come near the end of floats, and below the inverse of which they vanish."""


def scaled(x: Array, largest: Any) -> Array:
    """Rows, or columns of them, divided by a power of two, which rounds nothing, where squares would be no floats."""
    far = (largest > 0) & ~((largest > 1 / _FAR) & (largest < _FAR))
    return np.ldexp(x, -np.ceil(np.log2(np.where(far, largest, 1.0))).astype(int)) if np.any(far) else x


def filled(x: Array, weight: Array) -> Array:
    """The rows with the mean of its column in the place of each missing value: only for distances."""
    missing = np.isnan(x)
    if not missing.any():
        return x
    present = np.where(missing, 0.0, weight[:, None])
    means = (present * np.where(missing, 0.0, x)).sum(axis=0) / present.sum(axis=0)
    return np.where(missing, means, x)


def ranks(x: Array) -> Array:
    """The rank of each value in its column; equal values share one."""
    found = np.empty_like(x)
    for i, column in enumerate(x.T):
        _, which, counts = np.unique(column, return_inverse=True, return_counts=True)
        found[:, i] = (counts.cumsum() - counts / 2)[which]  # the middle of the places that equal values take
    return found
