"""Every kind of table, in files and in memory, as a reader: by the suffix of its path, or by its type."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.data.readers.arrow import Csv, Parquet
from latentem.data.readers.blocks import Blocks
from latentem.data.readers.hierarchical import DaskArray, Hdf5, Zarr
from latentem.data.readers.reader import Chosen, Held, RawFile, Reader, refuse_unreal
from latentem.data.values import columns_of, table

Found = tuple[Reader, Reader | None, Reader | None]
"""A table, and the weights and the labels beside it, where they have names."""


@final
@frozen
class Options:
    """How to read a table: arguments of `lem.data.source`; weights and labels only where they have names."""

    columns: Sequence[str] | Sequence[int] | None = None
    weights: str | None = None
    allowed: str | None = None
    dataset: str | None = None
    delimiter: str | None = None
    header: bool | None = None

    @property
    def others(self) -> list[str]:
        """The names beside the data."""
        return [name for name in (self.weights, self.allowed) if name is not None]

    def refuse(self, kind: str, *options: str) -> None:
        """Refuse options that do not belong to this kind of data.

        Raises:
            ValueError: one was given.
        """
        for option in options:
            if getattr(self, option) is not None:
                raise ValueError(f"{option} was given, which does not belong to {kind}: leave it out")


def opened(data: Any, options: Options) -> Found:
    """A table of any kind.

    Raises:
        TypeError, ValueError, ImportError, OSError: it cannot be read as one.
    """
    if isinstance(data, str | os.PathLike):
        path = os.fspath(data)
        if _suffix(path) not in _FILES:
            raise ValueError(f"{path!r} is of no known kind: give a file that ends in {', '.join(_FILES)}")
        if not os.path.exists(path):
            raise FileNotFoundError(errno.ENOENT, "there is no such file", path)
        return _FILES[_suffix(path)](path, options)
    options.refuse(f"data of type {type(data).__name__}", "dataset", "delimiter", "header")
    where = type(data).__module__.split(".")[0]
    if where in ("dask", "dask_expr") and hasattr(data, "to_dask_array"):
        return _named(Blocks(DaskArray.of(data.to_dask_array(lengths=True), tuple(map(str, data.columns)))), options)
    if where == "dask":
        return _numbered(Blocks(DaskArray.of(data)), options)
    if where == "h5py":
        found = Hdf5.of(data.file.filename, data.name)
        return _numbered(Blocks(found), options, lambda name: Blocks(Hdf5.of(found.stamp.path, name)))
    if where == "zarr":
        return _numbered(Blocks(Zarr.held(data)), options)
    if columns_of(data) is not None:
        return _named(Held(table(data, missing=True), columns_of(data)), options)
    return _numbered(_array(data), options)


def is_path(data: Any) -> bool:
    """Whether it is a path, and no other word."""
    return isinstance(data, os.PathLike) or (isinstance(data, str) and _suffix(data) in _FILES)


def is_elsewhere(data: Any) -> bool:
    """Whether data are not in memory: a path, a memmap, or an array of HDF5, Zarr or Dask."""
    if isinstance(data, np.memmap):
        return getattr(data, "_mmap", None) is not None and data.ndim > 0
    where = type(data).__module__.split(".")[0]
    return is_path(data) or (where in ("h5py", "zarr", "dask", "dask_expr") and hasattr(data, "shape"))


def _suffix(path: str) -> str:
    return os.path.splitext(path.rstrip("/"))[1].lower()


def _array(data: Any) -> Reader:
    array = np.asanyarray(data)
    name = os.path.basename(getattr(data, "filename", None) or "the data")
    refuse_unreal(array.dtype, name)
    if is_elsewhere(array) and (mapped := RawFile.of(array)) is not None:
        return mapped
    return Held(array.view(np.ndarray))


def _named(found: Reader, options: Options) -> Found:
    """A table whose columns have names: some hold the data, and one each weights and labels."""
    known = found.columns or ()
    wanted = options.columns
    chosen: list[str] = (
        [name for name in known if name not in options.others] if wanted is None else list(map(str, wanted))
    )
    for name in (*chosen, *options.others):
        if known.count(name) != 1:
            raise ValueError(f"{found.name}: column {name!r} is not there once: choose from {list(known)}")
    if not chosen:
        raise ValueError(f"{found.name} has no columns of data: give the names of at least one")
    weights, allowed = (
        None if name is None else Chosen(found, known.index(name)) for name in (options.weights, options.allowed)
    )
    return Chosen(found, tuple(map(known.index, chosen))), weights, allowed


def _numbered(found: Reader, options: Options, beside: Callable[[str], Reader] | None = None) -> Found:
    """A table whose columns have numbers; `beside` opens what has a name, if anything has one."""
    if options.columns is not None:
        d = found.shape[-1]
        chosen: tuple[Any, ...] = tuple(options.columns)
        if any(isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < d for i in chosen):
            raise ValueError(f"columns were given as {list(chosen)}: {found.name} has {d}, numbered from 0")
        found = Chosen(found, tuple(map(int, chosen)))
    if beside is None and options.others:
        raise ValueError(
            f"{options.others[0]!r} was given beside {found.name}, which has no names: give an array, or the path of "
            "another file"
        )
    weights, allowed = (
        None if name is None or beside is None else column(beside(name)) for name in (options.weights, options.allowed)
    )
    return found, weights, allowed


def column(found: Reader) -> Reader:
    """A table of one column as that column, shape (n,); others as they are."""
    return Chosen(found, 0) if len(found.shape) == 2 and found.shape[1] == 1 else found


def _npy(path: str, options: Options) -> Found:
    options.refuse("a .npy file", "dataset", "delimiter", "header")
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} holds no table of real numbers, or is not whole: {error}") from None
    return _numbered(_array(found), options)


def _csv(path: str, options: Options) -> Found:
    options.refuse("a text file", "dataset")
    usual = "\t" if path.lower().endswith(".tsv") else ","
    names = None if options.columns is None else list(map(str, options.columns))
    found = Csv.of(path, names, options.others, options.delimiter or usual, options.header)
    return _named(Blocks(found), options)


def _parquet(path: str, options: Options) -> Found:
    options.refuse("a Parquet file", "dataset", "delimiter", "header")
    names = None if options.columns is None else list(map(str, options.columns))
    return _named(Blocks(Parquet.of(path, names, options.others)), options)


def _hdf5(path: str, options: Options) -> Found:
    options.refuse("an HDF5 file", "delimiter", "header")
    found = Hdf5.of(path, options.dataset, options.others)
    return _numbered(Blocks(found), options, lambda name: Blocks(Hdf5.of(path, name)))


def _zarr(path: str, options: Options) -> Found:
    options.refuse("a Zarr store", "delimiter", "header")
    found = Zarr.of(path, options.dataset, options.others)
    return _numbered(Blocks(found), options, lambda name: Blocks(Zarr.of(path, name)))


_FILES: Mapping[str, Callable[[str, Options], Found]] = {
    ".npy": _npy,
    **dict.fromkeys((".csv", ".tsv", ".txt"), _csv),
    **dict.fromkeys((".parquet", ".pq"), _parquet),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), _hdf5),
    ".zarr": _zarr,
}
