"""The door for data: whatever is given becomes chunks of the kind that a model wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from attrs import evolve

from latentem.arrays import frozen_lengths
from latentem.data.chunks import Chunks
from latentem.data.frames import columns_of
from latentem.data.memory import Functions, made, sound, tables, whole
from latentem.data.readers.formats import Column, Options, column, find, is_elsewhere, is_path
from latentem.data.readers.reader import Joined, Table, common
from latentem.data.readers.words import known_words
from latentem.data.tables import Size, Source, Tables
from latentem.data.units import Units, joined, split
from latentem.data.values import numbers, refuse_masked

U = TypeVar("U", bound=Units)
_LARGE = 2**26
"""Bytes of float64 that a table in memory of another type may take as a whole."""


def source(
    data: Any,
    *,
    columns: Sequence[str] | Sequence[int] | None = None,
    weights: Any = None,
    allowed: Any = None,
    lengths: Any = None,
    dataset: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    kind: str | None = None,
    without: Sequence[str] | Sequence[int] | None = None,
    categorical: Sequence[str] | Mapping[str, Sequence[str] | None] | None = None,
) -> Source:
    """Data of any size, loaded a chunk at a time.

    Args:
        data: The path of a file, by its suffix .npy, .csv, .tsv, .txt, .parquet, .h5, .hdf5 or .zarr; an array,
            a memmap, an open HDF5 or Zarr array, a Dask array or DataFrame, shape (n, d); a list of such, one below
            the other; or a list of functions, each of which loads a chunk.
        columns: Which columns of the data to take, by name where they have names, by number elsewhere; None: all
            but those of weights and labels.
        weights: How much each row counts, shape (n,), or each sequence, shape (s,): an array, or the name of a
            column or data set of the same file, or the path of another.
        allowed: Known labels, shape (n,), whole numbers with -1, or nothing, for unknown; or the components that
            each row may belong to, boolean of shape (n, k); given as weights are.
        lengths: How many rows each sequence has, shape (s,), for a model of sequences; None: each table of a
            list is one.
        dataset: Which array of an HDF5 or Zarr file; not needed where there is one.
        delimiter: What stands between the cells of a text file; None: a comma, a tab in .tsv, a semicolon beside
            decimal commas.
        header: Whether its first row holds names; None: yes if no cell of it is a number.
        decimal: The mark before decimals in a text file, a point or a comma; None: a point.
        encoding: The encoding of a text file, such as "cp1252"; None: UTF-8.
        kind: Of a file whose name does not end in one of these: "csv", "parquet", "npy", ...
        without: Columns to leave out, by name or by number, where no columns are chosen.
        categorical: Columns of a text or Parquet file that may hold text, by name: the words of one that does are
            found in one look at the file, sorted, and coded 0, 1, ...; or a dict of names to these words.

    Returns:
        The source: `fit` takes it as it takes a table.

    Raises:
        TypeError, ValueError: the data are no table of real numbers, or options do not belong to this kind.
        ImportError: a package is missing that reads this kind; the message says how to install it.
        OSError: a file cannot be read.
    """
    options: tuple[Any, ...] = (columns, weights, allowed, lengths, dataset, delimiter, header, decimal, encoding)
    options += (kind, without, categorical)
    if isinstance(data, Source):
        if any(option is not None for option in options):
            raise ValueError(f"options were given beside {data!r}: give them where it is made")
        return data
    if isinstance(data, list | tuple) and data and all(map(callable, data)):
        if any(option is not None for option in options):
            raise ValueError("options were given beside functions: let each return Rows(x, weight, allowed)")
        return Functions(tuple(data))
    many = isinstance(data, list | tuple)
    if many and not data:
        raise ValueError("an empty list was given: give at least one table")
    known = None if categorical is None else known_words(categorical)
    file = Options(
        columns, _name(weights), _name(allowed), dataset, delimiter, header, decimal, encoding, kind, without, known
    )
    parts = [find(part, file) for part in (data if many else [data])]
    if known and len(parts) > 1:  # each has words of its own, and all the same codes
        file = evolve(file, categorical=common([part[0][0] for part in parts], known))
        parts = [find(part, file) for part in data]
    found, named_weights, named_labels = zip(*parts, strict=True)
    table, chosen = _joined(found)
    return Tables(
        table,
        chosen,
        _joined(named_weights) if file.weights else _weights(weights),
        _joined(named_labels) if file.allowed else _labels(allowed, len(found) if many else None),
        None if lengths is None else tuple(frozen_lengths(lengths).tolist()),
    )


def found_source(data: Any, weights: Any = None, allowed: Any = None) -> Source | None:
    """The source of data that are not in memory, or too large there to be converted as a whole; None for others."""
    if isinstance(data, Source):
        if weights is not None or allowed is not None:
            raise ValueError("weights or allowed were given beside a source: give them to lem.data.source(...)")
        return data
    if isinstance(data, list | tuple):
        elsewhere = bool(data) and (all(map(callable, data)) or all(map(is_elsewhere, data)))
    else:
        named = columns_of(data) is not None and (isinstance(weights, str) or isinstance(allowed, str))
        elsewhere = named or is_elsewhere(data) or _is_large(data)
    return source(data, weights=weights, allowed=allowed) if elsewhere else None


def chunks_of(
    kind: type[U], data: Any, weights: Any, allowed: Any, size: Size, k: int | None = None, missing: bool = False
) -> Sequence[U]:
    """Data as chunks of a kind, checked: views of what is in memory, loaded on demand elsewhere.

    Args:
        kind: Such as `Rows`, `Sequences`, or another that derives from `Units`.
        data: A two-dimensional table of real numbers: an array, a list of lists, a DataFrame, shape (n, d); where
            units have several rows, also a list of such. Or what `source` takes or gives; or a chunk of this kind,
            or a list of them, which is left as it was cut.
        weights: How much each unit counts, shape (units,).
        allowed: Known labels, shape (n,), whole numbers with -1 for unknown; or the components that each row may
            belong to, boolean of shape (n, k); for a list of tables a list of these.
        size: From the shape (n, d) of the data, how many rows a chunk has.
        k: How many components there are, if the model has any.
        missing: Whether NaN stands for a missing value, and a masked entry of a masked array too.

    Raises:
        TypeError, ValueError: the data are not sound.
    """
    if isinstance(data, Chunks) and weights is None and allowed is None:
        return data  # they are checked as they are loaded
    given = source(data, weights=weights, allowed=allowed) if isinstance(data, str) else None  # no word is a table
    if (elsewhere := given or found_source(data, weights, allowed)) is not None:
        return elsewhere.chunks(kind, size, k, missing)
    if not (chunks := made(kind, data)):
        return tables(kind, data, weights, allowed, k, missing).chunks(kind, size, k, missing)[:]
    if weights is not None or allowed is not None:
        raise ValueError(f"weights and allowed were given beside {kind.__name__}: put them into the {kind.__name__}")
    checked = sound(chunks, k, missing, complete=True)
    return checked if isinstance(data, list | tuple) else split(checked[0], size(*checked[0].x.shape))


def chunk_of(
    kind: type[U], data: Any, weights: Any = None, allowed: Any = None, k: int | None = None, missing: bool = False
) -> U:
    """Data as one chunk of a kind, checked; those of a source are loaded as a whole. The arguments: see `chunks_of`.

    Raises:
        TypeError, ValueError: the data are not sound.
    """
    return joined(chunks_of(kind, data, weights, allowed, whole, k, missing)[:])


def _is_large(data: Any) -> bool:
    """Whether a copy of the array as float64 would be large."""
    return type(data) is np.ndarray and data.dtype != np.float64 and data.ndim == 2 and 8 * data.size > _LARGE


def _name(given: Any) -> str | None:
    return given if isinstance(given, str) and not is_path(given) else None


def _joined(columns: Sequence[Column]) -> Column:
    """Columns of several tables, one below the other."""
    if len({chosen for _, chosen in columns}) > 1:
        raise ValueError("tables with columns in different orders were given: give the same ones, in the same order")
    return (columns[0][0] if len(columns) == 1 else Joined(tuple(table for table, _ in columns))), columns[0][1]


def _weights(given: Any) -> Column | None:
    if given is None:
        return None
    return column(given if is_elsewhere(given) else numbers(given, "weights"))


def _labels(given: Any, parts: int | None) -> Column | None:
    """Labels of all rows, or a list with those of each of so many parts."""
    if given is None:
        return None
    if parts is not None and isinstance(given, list | tuple) and len(given) == parts:
        return _joined([labels for part in given if (labels := _labels(part, None)) is not None])
    if is_elsewhere(given):
        return column(given)
    refuse_masked(given, "allowed")
    array = np.asarray(given)
    if (array.ndim, array.dtype.kind) not in ((1, "i"), (1, "u"), (2, "b")):
        raise ValueError(
            f"allowed of shape {array.shape} and type {array.dtype} was given: give whole-number labels of shape (n,) "
            "with -1 for unknown, or a boolean table of shape (n, k)"
        )
    return Table(array), None
