"""Arrays of HDF5 and Zarr, and of Dask."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Self, final

import numpy as np
from attrs import field, frozen

from latentem.data.readers.blocks import BLOCK, Blocks, even_edges
from latentem.data.readers.reader import Stamp, optional, refuse_unreal

_DASK = "the Dask array"


def _even(shape: tuple[int, ...], stored: tuple[int, ...] | None) -> tuple[int, ...]:
    """Edges of blocks of whole stored chunks, so that none is unpacked twice."""
    width = int(np.prod(shape[1:], dtype=np.int64)) or 1
    at_once = 1 if stored is None else stored[0]
    return even_edges(shape[0], max(1, BLOCK // (8 * width) // at_once) * at_once)


def _refuse_no_table(shape: tuple[int, ...], dtype: Any, name: str) -> None:
    refuse_unreal(dtype, name)
    if len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(f"{name} has shape {shape}: give a table of shape (rows, columns)")


def _only(names: list[str], wanted: str | None, others: Sequence[str], path: str) -> str:
    """The name that is wanted, or the only one beside the others."""
    names = [name for name in names if name not in others]
    if wanted is None and len(names) != 1:
        raise ValueError(f"{path} holds the arrays {names}: say which one, with dataset=")
    name = names[0] if wanted is None else wanted.strip("/")
    if name not in names:
        raise ValueError(f"{path} has no array {wanted!r}: choose from {names}")
    return name


@final
@frozen
class Hdf5(Blocks):
    """A data set of an HDF5 file."""

    stamp: Stamp = field()
    dataset: str
    shape: tuple[int, ...] = field()
    stored: tuple[int, ...] | None

    @classmethod
    def of(cls, path: str | os.PathLike[str], dataset: str | None = None, others: Sequence[str] = ()) -> Self:
        """The data set of this name, or the only one of the file beside `others`."""
        h5py = optional("h5py", "hdf5")
        stamp = Stamp.of(path)
        with h5py.File(stamp.path, "r") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            name = _only(names, dataset, others, str(path))
            found = file[name]
            _refuse_no_table(found.shape, found.dtype, f"{path}, {name}")
            return cls(stamp, name, found.shape, found.chunks)

    @property
    def name(self) -> str:
        return f"{self.stamp.name}, {self.dataset}"

    @property
    def rest(self) -> tuple[int, ...]:
        return self.shape[1:]

    @property
    def edges(self) -> tuple[int, ...]:
        return _even(self.shape, self.stored)

    def stretch(self, low: int, high: int) -> Any:
        with optional("h5py", "hdf5").File(self.stamp.path, "r") as file:
            return file[self.dataset][low:high]


@final
@frozen(eq=False)
class Zarr(Blocks):
    """An array of Zarr, in whatever store it is."""

    array: Any
    name: str = field()

    @classmethod
    def of(cls, path: str | os.PathLike[str], dataset: str | None = None, others: Sequence[str] = ()) -> Self:
        """The array at this path, or the array of this name, or the only one, of the group there."""
        zarr = optional("zarr", "zarr")
        found = zarr.open(os.fspath(path), mode="r")
        if isinstance(found, zarr.Group):
            found = found[_only([name for name, _ in found.arrays()], dataset, others, str(path))]
        return cls.of_array(found, os.path.basename(os.fspath(path).rstrip("/")))

    @classmethod
    def of_array(cls, array: Any, name: str = "the Zarr array") -> Self:
        """An array that is open already."""
        _refuse_no_table(array.shape, array.dtype, name)
        return cls(array, name)

    @property
    def rest(self) -> tuple[int, ...]:
        return tuple(self.array.shape[1:])

    @property
    def edges(self) -> tuple[int, ...]:
        return _even(self.array.shape, getattr(self.array, "shards", None) or self.array.chunks)

    def stretch(self, low: int, high: int) -> Any:
        return self.array[low:high]


@final
@frozen(eq=False)
class DaskArray(Blocks):
    """A Dask array, or one column of its own: each block of its rows is computed when it is read."""

    array: Any
    columns: tuple[str, ...] | None = field(default=None)

    @classmethod
    def of(cls, array: Any, columns: tuple[str, ...] | None = None) -> Self:
        """With all columns of a row in one block; lengths of blocks that are not known yet are computed."""
        refuse_unreal(array.dtype, _DASK)  # before anything is computed
        if array.ndim == 2:
            array = array.rechunk({1: -1})
        if any(np.isnan(size) for sizes in array.chunks for size in sizes):
            array = array.compute_chunk_sizes()
        _refuse_no_table(array.shape, array.dtype, _DASK)
        return cls(array, columns)

    @property
    def name(self) -> str:
        return _DASK

    @property
    def rest(self) -> tuple[int, ...]:
        return tuple(map(int, self.array.shape[1:]))

    @property
    def edges(self) -> tuple[int, ...]:
        return (0, *accumulate(map(int, self.array.chunks[0])))

    def stretch(self, low: int, high: int) -> Any:
        return self.array[low:high].compute()
