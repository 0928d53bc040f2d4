"""Memory that is used again: making large arrays anew costs more than filling them."""

from __future__ import annotations

import threading
from typing import final

import numpy as np

from latentem.arrays import Array

LINE = 8
"""Numbers in a line of the cache, 64 bytes: rows of a multiple of them all begin with one."""
_KEPT = 2**21
"""Numbers of an array that is kept, at most."""


@final
class Buffers(threading.local):
    """Arrays that a thread uses again for every block of rows, or every chunk."""

    def __init__(self) -> None:
        self._flat: dict[str, Array] = {}

    def array(self, name: str, rows: int, columns: int) -> Array:
        """An array of this shape; what it holds is arbitrary."""
        size = rows * columns
        flat = self._flat.get(name)
        if flat is None or len(flat) < size:
            flat = _aligned(size)
            if size <= _KEPT:
                self._flat[name] = flat
        return flat[:size].reshape(rows, columns)


def _aligned(size: int) -> Array:
    """An array that begins where a line of the cache does: vectors that straddle two of them take twice as long."""
    flat = np.empty(size + LINE)
    begin = -(flat.ctypes.data // flat.itemsize) % LINE
    return flat[begin : begin + size]
