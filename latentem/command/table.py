"""The table that a command line speaks of: a file of any size, or what comes through a pipe."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, final

from attrs import frozen

import latentem as lem
from latentem.core.events import Refusal
from latentem.data.readers.parquet import Parquet
from latentem.data.readers.reader import Table
from latentem.data.readers.text import Csv
from latentem.data.readers.words import Words
from latentem.data.tables import Tables

SMALL = 2**28
"""Bytes of numbers up to which a table is read once, and kept."""
ROWS = 2**16
"""Rows that are labelled and written at a time."""
PIPE = "the standard input"


@final
@frozen
class Given:
    """A table, and the columns of it that are names of the rows.

    Attributes:
        tables: The numbers, and the weights where a column has them.
        ids: Names of columns that say which row is which; they are not looked at.
    """

    tables: Tables
    ids: Sequence[str]

    def loaded(self) -> tuple[Any, Any]:
        """The numbers and the weights for a fit: in memory where they are few, and else read again in every pass."""
        tables, (n, d) = self.tables, self.tables.shape
        if 8 * n * d > SMALL:
            return tables, None
        x = Table(tables.table.part(0, n, tables.numbers), tables.columns, categories=tables.categories)
        weight = tables.weight
        return x, None if weight is None else weight[0].part(0, n, weight[1])

    def stretches(self) -> Iterator[tuple[list[list[str]], Table]]:
        """The rows, some at a time: what the columns of names say of each, and the numbers."""
        n, tables, table = self.tables.shape[0], self.tables, self.tables.table
        words: Iterator[list[str]] = iter(())
        if self.ids:
            assert isinstance(table, Csv | Parquet)  # no others have names
            words = table.words(self.ids)
        for begin in range(0, n, ROWS):
            end = min(n, begin + ROWS)
            x = table.part(begin, end, tables.numbers)
            yield list(islice(words, end - begin)) or [[]] * (end - begin), Table(x, tables.columns, table.name)


@contextmanager
def given(
    arguments: argparse.Namespace,
    columns: Sequence[str] | None = None,
    categorical: Sequence[str] | Mapping[str, Words] = (),
) -> Iterator[Given]:
    """The table that the arguments name, as long as it is needed.

    `columns` are those that a fit has, in its order, and `categorical` those of them that may hold text, perhaps with
    the words that are known of each.

    What comes through a pipe is put into a file first, for a fit reads it more than once. Errors call it what it is.
    """
    with _seekable(arguments) as (path, kind):
        try:
            yield _opened(path, kind, arguments, columns, categorical)
        except (ValueError, TypeError, OSError) as error:
            if path == arguments.file:
                raise
            message = str(error).replace(path, PIPE).replace(os.path.basename(path), PIPE)
            if isinstance(error, Refusal) or message == str(error):
                raise
            raise ValueError(message) from error


def _opened(
    path: str,
    kind: str | None,
    arguments: argparse.Namespace,
    columns: Sequence[str] | None,
    categorical: Sequence[str] | Mapping[str, Words],
) -> Given:
    numbered = (kind or os.path.splitext(path.rstrip("/"))[1].lower()[1:]) in ("npy", "h5", "hdf5", "hdf", "zarr")
    wanted: Any = arguments.columns if arguments.columns is not None or numbered else columns
    for option, names in (("--id", arguments.id), ("--categorical", categorical)):
        if numbered and names:
            raise ValueError(f"{option} was given with {path}, whose columns have no names: leave it out")
    if numbered and wanted is not None:
        wanted = [_number(name) - 1 for name in wanted]
    delimiter = arguments.delimiter
    options: dict[str, Any] = {
        "weights": getattr(arguments, "weights", None),
        "delimiter": None if delimiter is None else delimiter.replace("\\t", "\t"),
        "decimal": arguments.decimal,
        "encoding": arguments.encoding,
        "header": arguments.header,
        "kind": kind,
        "categorical": categorical or None,
    }
    without = None if wanted is not None or not arguments.id else arguments.id
    tables = lem.data.source(path, columns=wanted, without=without, **options)
    assert isinstance(tables, Tables)
    return Given(tables, arguments.id)


def _number(name: str) -> int:
    with suppress(ValueError):
        return int(name)
    raise ValueError(f"column {name!r} was given: the columns of this file have numbers, from 1")


@contextmanager
def _seekable(arguments: argparse.Namespace) -> Iterator[tuple[str, str | None]]:
    """The path of the table, and its kind where the path does not say it."""
    path, kind = arguments.file, arguments.kind
    if path != "-" and (not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path)):
        yield path, kind
        return
    with tempfile.TemporaryDirectory(prefix="latentem-") as folder:
        copy = os.path.join(folder, "pipe")
        with open(copy, "wb") as file:
            if path == "-":
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with open(path, "rb") as pipe:
                    shutil.copyfileobj(pipe, file)
        yield copy, kind or "csv"
