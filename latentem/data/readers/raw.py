"""Numbers as they lie in a file."""

from __future__ import annotations

from mmap import ALLOCATIONGRANULARITY
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import Array, own
from latentem.data.readers.reader import Reader, Stamp


@final
@frozen
class RawFile(Reader):
    """Numbers as they lie in a file, at fixed strides: a `.npy` file, or what an `np.memmap` shows.

    It reads, and does not map: pages of a map would count as this process's memory.
    """

    stamp: Stamp
    dtype: str
    shape: tuple[int, ...] = field()
    strides: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, mapped: Any) -> Self | None:
        """The file under a memmap; None where there is none, or the map may have been written to on its own."""
        if mapped.filename is None or mapped._mmap is None or mapped.mode == "c" or min(mapped.strides) < 0:
            return None
        if mapped.mode != "r":
            mapped.flush()
        first = np.frombuffer(mapped._mmap, np.uint8).__array_interface__["data"][0]
        behind = mapped.__array_interface__["data"][0] - first
        start = mapped.offset - mapped.offset % ALLOCATIONGRANULARITY
        return cls(Stamp.of(mapped.filename), mapped.dtype.str, mapped.shape, mapped.strides, start + behind)

    @property
    def name(self) -> str:
        return self.stamp.name

    def read(self, begin: int, end: int) -> Array:
        dtype, shape, strides = np.dtype(self.dtype), (end - begin, *self.shape[1:]), self.strides
        if begin == end:
            return own(np.empty(shape))
        row = dtype.itemsize + sum((n - 1) * step for n, step in zip(shape[1:], strides[1:], strict=True))
        with open(self.stamp.path, "rb", buffering=0) as file:
            self.stamp.refuse_changed()
            if strides[0] >= row:  # rows do not overlap in the file: one stretch holds them all
                raw = _bytes(file, self.offset + begin * strides[0], (end - begin - 1) * strides[0] + row)
                stored: npt.NDArray[Any] = np.ndarray(shape, dtype, raw, strides=strides)
            else:  # column by column, as Fortran has them
                stored = np.empty(shape, dtype)
                for column in range(shape[1]):
                    at = self.offset + begin * strides[0] + column * strides[1]
                    raw = _bytes(file, at, (end - begin - 1) * strides[0] + dtype.itemsize)
                    stored[:, column] = np.ndarray(shape[:1], dtype, raw, strides=strides[:1])
        return own(np.ascontiguousarray(stored, dtype=np.float64))


def _bytes(file: Any, at: int, count: int) -> npt.NDArray[np.uint8]:
    file.seek(at)
    raw = np.fromfile(file, np.uint8, count)
    if len(raw) < count:
        raise ValueError(f"{file.name} ends {count - len(raw)} bytes early: it is not whole")
    return raw
