"""One door for data: what is in memory is viewed, and everything else becomes a source of chunks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from latentem.arrays import frozen_lengths
from latentem.data.chunks import Chunks
from latentem.data.readers.opened import Options, column, is_elsewhere, is_path, opened
from latentem.data.readers.reader import Held, Joined, Reader
from latentem.data.rows import Rows, checked, split
from latentem.data.rows import joined as joined_rows
from latentem.data.rows import rows as rows_in_memory
from latentem.data.sequences import Sequences, cut, without_absent
from latentem.data.sequences import joined as joined_sequences
from latentem.data.sequences import sequences as sequences_in_memory
from latentem.data.sources import Loads, Size, Source, Tables
from latentem.data.values import columns_of, numbers

_FLOAT = np.dtype(np.float64).str
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
        delimiter: What stands between the cells of a text file.
        header: Whether its first row holds names; None: yes if no cell of it is a number.

    Returns:
        The source: `fit` takes it as it takes a table.

    Raises:
        TypeError, ValueError: the data are no table of real numbers, or options do not belong to this kind.
        ImportError: a package is missing that reads this kind; the message says how to install it.
        OSError: a file cannot be read.
    """
    options = (columns, weights, allowed, lengths, dataset, delimiter, header)
    if isinstance(data, Source):
        if any(option is not None for option in options):
            raise ValueError(f"options were given beside {data!r}: give them where it is made")
        return data
    if isinstance(data, list | tuple) and data and all(map(callable, data)):
        if any(option is not None for option in options):
            raise ValueError("options were given beside functions: let each return Rows(x, weight, allowed)")
        return Loads(tuple(data))
    many = isinstance(data, list | tuple)
    if many and not data:
        raise ValueError("an empty list was given: give at least one table")
    file = Options(columns, _name(weights), _name(allowed), dataset, delimiter, header)
    found = [opened(part, file) for part in (data if many else [data])]
    tables, named_weights, named_labels = zip(*found, strict=True)
    return Tables(
        _joined(tables),
        _joined(named_weights) if file.weights else _beside(weights, "weights"),
        _joined(named_labels) if file.allowed else _beside_rows(allowed, len(tables) if many else None),
        None if lengths is None else tuple(frozen_lengths(lengths).tolist()),
    )


def found_source(data: Any, weights: Any = None, allowed: Any = None) -> Source | None:
    """The source of data that are not in memory, or too large there to be converted as a whole; None for others."""
    if isinstance(data, Source):
        if weights is not None or allowed is not None:
            raise ValueError("weights or allowed were given beside a source: give them to lem.data.source(...)")
        return data
    if columns_of(data) is not None and (isinstance(weights, str) or isinstance(allowed, str)):
        return source(data, weights=weights, allowed=allowed)  # columns of the table itself
    if isinstance(data, list | tuple):
        elsewhere = bool(data) and (all(map(callable, data)) or all(map(is_elsewhere, data)))
    else:
        elsewhere = is_elsewhere(data) or _is_large(data)
    return source(data, weights=weights, allowed=allowed) if elsewhere else None


def _is_large(data: Any) -> bool:
    """Whether a copy of the array as float64 would be large."""
    return type(data) is np.ndarray and data.dtype.str != _FLOAT and data.ndim == 2 and 8 * data.size > _LARGE


def _name(given: Any) -> str | None:
    return given if isinstance(given, str) and not is_path(given) else None


def _joined(tables: Sequence[Reader]) -> Reader:
    return tables[0] if len(tables) == 1 else Joined(tuple(tables))


def _beside(given: Any, what: str) -> Reader | None:
    """A column beside the data, shape (n,), or a table, from an array or whatever else holds one."""
    if given is None:
        return None
    return column(opened(given if is_elsewhere(given) else numbers(given, what), Options())[0])


def _beside_rows(allowed: Any, parts: int | None) -> Reader | None:
    if allowed is None:
        return None
    if parts is not None and isinstance(allowed, list | tuple) and len(allowed) == parts:
        return _joined([_labels(part) for part in allowed])
    return _labels(allowed)


def _labels(allowed: Any) -> Reader:
    if is_elsewhere(allowed):
        return column(opened(allowed, Options())[0])
    array = np.asarray(allowed)
    if (array.ndim, array.dtype.kind) not in ((1, "i"), (1, "u"), (2, "b")):
        raise ValueError(
            f"allowed of shape {array.shape} and type {array.dtype} was given: give whole-number labels of shape (n,) "
            "with -1 for unknown, or a boolean table of shape (n, k)"
        )
    return Held(array)


def _strictly(data: Any, weights: Any, allowed: Any) -> Source | None:
    """The same, where a word can only be a path."""
    return (
        source(data, weights=weights, allowed=allowed)
        if isinstance(data, str)
        else found_source(data, weights, allowed)
    )


def row_chunks(
    data: Any, weights: Any, allowed: Any, size: Size, k: int | None = None, missing: bool = False
) -> Sequence[Rows]:
    """Data as chunks of rows, checked: views of what is in memory, loaded on demand elsewhere.

    Args:
        data: What `rows` takes, or a list of `Rows`, which are the chunks.
        weights: As for `rows`.
        allowed: As for `rows`.
        size: From the shape (n, d) of the data, how many rows a chunk has.
        k: How many components there are.
        missing: Whether NaN stands for a missing value.

    Raises:
        TypeError, ValueError: the data are not sound.
    """
    if isinstance(data, Chunks) and weights is None and allowed is None:
        return data  # they are checked as they are loaded
    if (found := _strictly(data, weights, allowed)) is not None:
        return found.rows(size, k, missing)
    if isinstance(data, list | tuple) and data and all(isinstance(part, Rows) for part in data):
        if weights is not None or allowed is not None:
            raise ValueError("weights and allowed were given beside Rows: put them into the Rows")
        return checked(data, k, missing=missing)
    chunk = rows_in_memory(data, weights, allowed, k, missing)
    return split(chunk, size(*chunk.x.shape))


def sequence_chunks(
    data: Any, weights: Any, allowed: Any, size: Size, k: int | None = None, missing: bool = False
) -> Sequence[Sequences]:
    """Data as chunks of whole sequences, checked: the arguments are those of `row_chunks`.

    Raises:
        TypeError, ValueError: the data are not sound.
    """
    if isinstance(data, Chunks) and weights is None and allowed is None:
        return data  # they are checked as they are loaded
    if (found := _strictly(data, weights, allowed)) is not None:
        return found.sequences(size, k, missing)
    chunk = sequences_in_memory(data, weights, allowed, k, missing)
    if isinstance(data, list | tuple) and data and all(isinstance(part, Sequences) for part in data):
        sound = chunk.x[int((chunk.row_weight > 0).argmax())]  # checked as one, and kept as it was cut
        return [without_absent(part, sound) for part in data]
    return cut(chunk, size(*chunk.x.shape))


def rows(data: Any, weights: Any = None, allowed: Any = None, k: int | None = None, missing: bool = False) -> Rows:
    """Data as one chunk of rows, checked; those of a source are loaded as a whole.

    Raises:
        TypeError, ValueError: the data are not sound.
    """
    if (found := _strictly(data, weights, allowed)) is not None:
        return joined_rows(found.rows(_whole, k, missing)[:])
    return rows_in_memory(data, weights, allowed, k, missing)


def sequences(
    data: Any, weights: Any = None, allowed: Any = None, k: int | None = None, missing: bool = False
) -> Sequences:
    """Data as one chunk of sequences, checked; those of a source are loaded as a whole.

    Raises:
        TypeError, ValueError: the data are not sound.
    """
    if (found := _strictly(data, weights, allowed)) is not None:
        return joined_sequences(found.sequences(_whole, k, missing)[:])
    return sequences_in_memory(data, weights, allowed, k, missing)


def _whole(n: int, d: int) -> int:
    return sys.maxsize
