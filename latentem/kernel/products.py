"""Matrix products over long rows, in memory that is used again and laid out for them; docs/kernels.md."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from latentem.arrays import Array
from latentem.buffers import LINE, Buffers

Floats = TypeVar("Floats", bound=npt.NDArray[Any])

_SMALL = 1_000_000
"""Multiplications in a product that OpenBLAS takes as it stands. It copies larger ones first, at half the speed."""
_SHORT, _LONG = 96, 512
"""Columns in such a product: fewer are not worth a call, and more make no difference."""
_TALL = 100
"""Rows of a left factor from which the right one must be in order too."""


def multiplied(a: Floats, b: Floats, out: Floats) -> Floats:
    """a @ b, shapes (k, p) and (p, n), some columns at a time; into `out`."""
    n, stretch = b.shape[1], _stretch(a.size)
    whole = n // stretch * stretch
    if whole:
        np.matmul(a, _stretches(b[:, :whole], stretch), out=_stretches(out[:, :whole], stretch))
    if whole < n:
        np.matmul(a, b[:, whole:], out=out[:, whole:])
    return out


def accumulated(a: Array, b: Array, buffers: Buffers) -> Array:
    """a @ b', shapes (p, n) and (k, n), some columns at a time."""
    (p, n), k = a.shape, len(b)
    stretch = _stretch(p * k)
    whole = n // stretch * stretch
    total = np.dot(a[:, whole:], b[:, whole:].T)  # a product with few numbers holds the interpreter, unless by np.dot
    if whole:
        parts = buffers.array("parts", n // stretch * p, k).reshape(-1, p, k)
        right = _stretches(b[:, :whole], stretch).transpose(0, 2, 1)
        if p > _TALL:
            turned = buffers.array("turned", whole, k).reshape(right.shape)
            turned[...] = right
            right = turned
        total += np.matmul(_stretches(a[:, :whole], stretch), right, out=parts).sum(axis=0)
    return total


def _stretch(size: int) -> int:
    """How many columns to multiply by a matrix of this size at a time."""
    stretch = min(_SMALL // size, _LONG) // LINE * LINE
    return stretch if stretch >= _SHORT else sys.maxsize


def _stretches(a: npt.NDArray[Any], stretch: int) -> npt.NDArray[Any]:
    """Columns of (m, n) in stretches: shape (n / stretch, m, stretch), of the same memory."""
    return a.reshape(len(a), -1, stretch).transpose(1, 0, 2)
