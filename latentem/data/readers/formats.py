"""Every kind of table, in files and in memory, by the suffix of its path or by its type."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, final

import numpy as np
from attrs import evolve, frozen

from latentem.data.frames import columns_of
from latentem.data.readers.grammar import Dialect
from latentem.data.readers.hierarchical import DaskArray, Hdf5, Zarr
from latentem.data.readers.parquet import Parquet, parquet_header
from latentem.data.readers.raw import RawFile
from latentem.data.readers.reader import Columns, Reader, Table, chosen, refuse_unreal
from latentem.data.readers.text import Csv, csv_header
from latentem.data.readers.words import Known
from latentem.data.values import table

Column = tuple[Reader, Columns]
"""A table, and which of its columns are meant."""
Found = tuple[Column, Column | None, Column | None]
"""The data, and the weights and the labels beside them, where these have names."""


@final
@frozen
class Options:
    """Options of reading a table: arguments of `lem.data.source`; weights and labels only where they have names."""

    columns: Sequence[str] | Sequence[int] | None = None
    weights: str | None = None
    allowed: str | None = None
    dataset: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    decimal: str | None = None
    encoding: str | None = None
    kind: str | None = None
    without: Sequence[str] | Sequence[int] | None = None
    categorical: Known | None = None

    @property
    def others(self) -> list[str]:
        """The names beside the data."""
        return [name for name in (self.weights, self.allowed) if name is not None]

    @property
    def names(self) -> list[str] | None:
        """The columns, by name."""
        return None if self.columns is None else list(map(str, self.columns))

    @property
    def left_out(self) -> list[str]:
        """The columns to do without, by name; where columns are named, all others are left out anyway."""
        return [] if self.without is None or self.columns is not None else list(map(str, self.without))

    def refuse(self, kind: str, options: Sequence[str]) -> None:
        """Refuse with a ValueError options that do not belong to this kind of data."""
        for option in options:
            if getattr(self, option) is not None:
                raise ValueError(f"{option} was given, which does not belong to {kind}: leave it out")


def find(data: Any, options: Options) -> Found:
    """A table of any kind, and the weights and labels beside it; else an error of how it cannot be read as one."""
    if isinstance(data, str | os.PathLike):
        path = os.fspath(data)
        suffix = _suffix(path) if options.kind is None else f".{options.kind}"
        if suffix not in _FILES:
            given = f"{path!r} is" if options.kind is None else f"kind was given as {options.kind!r}, which is"
            packed = "; unpack it first, or pipe it, as in zcat FILE | latentem fit -" if suffix in _PACKED else ""
            raise ValueError(
                f"{given} of no known kind: give a file that ends in {', '.join(_FILES)}, or that as its kind{packed}"
            )
        if not os.path.exists(path):
            raise FileNotFoundError(errno.ENOENT, "there is no such file", path)
        read, kind, foreign = _FILES[suffix]
        options.refuse(kind, foreign)
        return read(path, options)
    options.refuse(f"data of type {type(data).__name__}", ("dataset", "kind", "categorical", *_OF_TEXT))
    where, names = _package(data), columns_of(data)
    if where == "dask" and names is not None:
        return _named(DaskArray.of(data.to_dask_array(lengths=True), names), options)
    if where == "dask":
        return _numbered(DaskArray.of(data), options)
    if where == "h5py":
        return _stored(Hdf5, data.file.filename, evolve(options, dataset=data.name))
    if where == "zarr":
        return _numbered(Zarr.of_array(data), options)
    if names is not None:
        return _named(Table(table(data, missing=True), names), options)
    return _numbered(_array(data), options)


def header(path: str | os.PathLike[str]) -> tuple[str, ...] | None:
    """Names of the columns of a text or Parquet file that exists; None of others."""
    path, kind = os.fspath(path), _suffix(os.fspath(path))
    if kind not in (*_TEXT, *_PARQUET) or not os.path.isfile(path):
        return None
    return csv_header(path, _dialect(path, Options())) if kind in _TEXT else parquet_header(path)


def is_path(data: Any) -> bool:
    """Whether it is a path, and no other word."""
    return isinstance(data, os.PathLike) or (isinstance(data, str) and _suffix(data) in _FILES)


def is_elsewhere(data: Any) -> bool:
    """Whether data are not in memory: a path, a memmap, or an array of HDF5, Zarr or Dask."""
    if isinstance(data, np.memmap):
        return getattr(data, "_mmap", None) is not None and data.ndim > 0
    return is_path(data) or (_package(data) in ("h5py", "zarr", "dask") and getattr(data, "shape", None) is not None)


def column(data: Any) -> Column:
    """Weights or labels that are elsewhere: a vector, or a table of one column as one; labels may also be several."""
    return _vector(find(data, Options())[0][0])


def _vector(found: Reader) -> Column:
    return found, 0 if len(found.shape) == 2 and found.shape[1] == 1 else None


def _package(data: Any) -> str:
    package = type(data).__module__.split(".")[0]
    return "dask" if package == "dask_expr" else package


def _suffix(path: str) -> str:
    return os.path.splitext(path.rstrip("/"))[1].lower()


def _array(data: Any) -> Reader:
    array = np.asanyarray(data)
    name = os.path.basename(getattr(data, "filename", None) or "the data")
    refuse_unreal(array.dtype, name)
    if is_elsewhere(array) and (mapped := RawFile.of(array)) is not None:
        return mapped
    return Table(array.view(np.ndarray))


def _named(found: Reader, options: Options, numbers: Sequence[int] | None = None) -> Found:
    """A table whose columns have names. The last of the numbers are those of the weights and labels."""
    if numbers is None:
        away = options.left_out
        numbers = chosen(options.names, (*away, *options.others), found.columns or (), f"{found.name}: ")
        numbers = [i for i in numbers if i not in [(found.columns or ()).index(name) for name in away]]
    values = len(numbers) - len(options.others)
    others = iter(numbers[values:])
    weights, allowed = (None if name is None else (found, next(others)) for name in (options.weights, options.allowed))
    return (found, tuple(numbers[:values])), weights, allowed


def _numbered(found: Reader, options: Options, beside: Callable[[str], Reader] | None = None) -> Found:
    """A table whose columns have numbers; `beside` opens what has a name, if anything has one."""
    numbers: Columns = None
    if options.columns is not None or options.without is not None:
        d = found.shape[-1]
        given: tuple[Any, ...] = tuple(options.without or () if options.columns is None else options.columns)
        if any(isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < d for i in given):
            raise ValueError(f"columns were given as {list(given)}: {found.name} has {d}, numbered from 0")
        numbers = (
            tuple(map(int, given)) if options.columns is not None else tuple(i for i in range(d) if i not in given)
        )
    if options.others and beside is None:
        raise ValueError(
            f"{options.others[0]!r} was given beside {found.name}, which has no names: give an array, or the path of "
            "another file"
        )
    weights, allowed = (
        None if name is None or beside is None else _vector(beside(name)) for name in (options.weights, options.allowed)
    )
    return (found, numbers), weights, allowed


def _npy(path: str, options: Options) -> Found:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} holds no table of real numbers, or is not whole: {error}") from None
    return _numbered(_array(found), options)


def _dialect(path: str, options: Options) -> Dialect:
    decimal = "." if options.decimal is None else options.decimal
    delimiter = options.delimiter
    if delimiter is None:
        tabs = _suffix(path) == ".tsv" if options.kind is None else options.kind == "tsv"
        delimiter = "\t" if tabs else ";" if decimal == "," else ","
    return Dialect(delimiter, decimal, "utf-8" if options.encoding is None else options.encoding)


def _csv(path: str, options: Options) -> Found:
    dialect = _dialect(path, options)
    found = Csv.of(path, options.names, options.others, dialect, options.header, options.left_out)
    found = found.coded(options.categorical) if options.categorical else found
    return _named(found, options, range(len(found.columns)))


def _parquet(path: str, options: Options) -> Found:
    found = Parquet.of(path, options.names, options.others, options.left_out, options.categorical or {})
    return _named(found, options, range(len(found.columns)))


def _stored(kind: type[Hdf5] | type[Zarr], path: str, options: Options) -> Found:
    found = kind.of(path, options.dataset, options.others)
    return _numbered(found, options, lambda name: kind.of(path, name))


_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_TEXT, _PARQUET = (".csv", ".tsv", ".txt"), (".parquet", ".pq")
_OF_TEXT = ("delimiter", "header", "decimal", "encoding")
_FILES: Mapping[str, tuple[Callable[[str, Options], Found], str, Sequence[str]]] = {
    ".npy": (_npy, "a .npy file", ("dataset", "categorical", *_OF_TEXT)),
    **dict.fromkeys(_TEXT, (_csv, "a text file", ("dataset",))),
    **dict.fromkeys(_PARQUET, (_parquet, "a Parquet file", ("dataset", *_OF_TEXT))),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), (partial(_stored, Hdf5), "an HDF5 file", ("categorical", *_OF_TEXT))),
    ".zarr": (partial(_stored, Zarr), "a Zarr store", ("categorical", *_OF_TEXT)),
}
"""By the suffix of a path: the function that reads it, the words for its kind, and the options that do not belong."""
