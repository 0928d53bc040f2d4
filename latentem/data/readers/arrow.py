"""Columns of Parquet and CSV files, through pyarrow."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, own
from latentem.data.readers.blocks import BLOCK, Store, block_rows, even_edges
from latentem.data.readers.reader import Stamp, optional
from latentem.data.readers.table import UNNAMED, is_header

_NULLS = ["", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "?", "-", "."]


def _chosen(wanted: Sequence[str] | None, others: Sequence[str], known: Sequence[str], path: str) -> tuple[str, ...]:
    """The wanted columns, all but the others where None, and the others after them."""
    names = [name for name in known if name not in others] if wanted is None else list(wanted)
    every = (*names, *others)
    if "" in every:
        raise ValueError(f"{path}: column '' has no name: choose others with columns=[...] from {list(known)}{UNNAMED}")
    for i, name in enumerate(every):
        if name not in known or name in every[:i]:
            why = "was chosen twice" if name in known else "is not there"
            raise ValueError(f"{path}: column {name!r} {why}: choose from {list(known)}")
    if not names:
        raise ValueError(f"{path} has no columns of data: give the names of at least one")
    return every


def _cells(arrow: Any, columns: tuple[str, ...]) -> Array:
    """Shape (n, d); NaN where a cell is null."""
    pa = optional("pyarrow", "arrow")
    x = np.empty((arrow.num_rows, len(columns)))
    for j, column in enumerate(columns):
        x[:, j] = arrow.column(column).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return own(x)


@final
@frozen
class Parquet(Store):
    """Columns of a Parquet file; a null is a missing value.

    Attributes:
        stamp: The file.
        columns: The names of the columns, in the order of the file, or in the order in which they were asked for.
        groups: At which rows the row groups begin, and the number of rows at last.
    """

    stamp: Stamp
    columns: tuple[str, ...] = field()
    groups: tuple[int, ...]

    @classmethod
    def of(cls, path: str | os.PathLike[str], columns: Sequence[str] | None, others: Sequence[str]) -> Self:
        """The columns, all but `others` where None, and the others after them."""
        pa, pq = optional("pyarrow", "arrow"), optional("pyarrow.parquet", "arrow")
        stamp = Stamp.of(path)
        try:
            with pq.ParquetFile(stamp.path) as file:
                schema, metadata = file.schema_arrow, file.metadata
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is no Parquet file: {error}") from None
        names = _chosen(columns, others, schema.names, str(path))
        types = pa.types
        for name in names:
            kind = schema.field(name).type
            real = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
            if not any(is_one(kind) for is_one in real):
                raise TypeError(f"{path}: column {name!r} is of type {kind}: choose columns of real numbers")
        rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        return cls(stamp, names, tuple(int(edge) for edge in np.cumsum([0, *rows])))

    @property
    def name(self) -> str:
        return os.path.basename(self.stamp.path)

    @property
    def rest(self) -> tuple[int, ...]:
        return (len(self.columns),)

    @property
    def edges(self) -> tuple[int, ...]:
        return even_edges(self.groups[-1], block_rows(len(self.columns)))

    def refuse_changed(self) -> None:
        self.stamp.refuse_changed()

    def stream(self, block: int) -> Iterator[Array]:
        pq = optional("pyarrow.parquet", "arrow")
        edges = self.edges
        first = int(np.searchsorted(self.groups, edges[block], side="right")) - 1
        sizes = [edges[block] - self.groups[first], *np.diff(edges[block:]).tolist()]
        with pq.ParquetFile(self.stamp.path, buffer_size=2**20) as file:
            rest = list(range(first, len(self.groups) - 1))
            batches = file.iter_batches(batch_size=2**16, row_groups=rest, columns=sorted(set(self.columns)))
            tables = _recut(batches, sizes)
            next(tables, None)
            for table in tables:
                yield _cells(table, self.columns)


def _recut(batches: Iterator[Any], sizes: Iterable[int]) -> Iterator[Any]:
    """Record batches of any lengths as tables of these lengths, as long as there are rows."""
    pa = optional("pyarrow", "arrow")
    held: list[Any] = []
    for size in sizes:
        while sum(batch.num_rows for batch in held) < size:
            batch = next(batches, None)
            if batch is None:
                return
            held.append(batch)
        if size == 0:
            yield None
            continue
        table = pa.Table.from_batches(held)
        yield table.slice(0, size)
        held = table.slice(size).to_batches()


@final
@frozen
class Csv(Store):
    """Columns of a CSV file in UTF-8, one row a line; an empty cell, or such as NA, is a missing value.

    Attributes:
        stamp: The file.
        columns: Names of the columns that are read.
        known: Names of all columns of the file.
        delimiter: What stands between cells.
        offsets: Where in the file the blocks begin, and where the last one ends.
        edges: At which rows the blocks begin, and the number of rows at last.
    """

    stamp: Stamp
    columns: tuple[str, ...] = field()
    known: tuple[str, ...]
    delimiter: str
    offsets: tuple[int, ...]
    edges: tuple[int, ...] = field()

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        columns: Sequence[str] | None,
        others: Sequence[str],
        delimiter: str = ",",
        header: bool | None = None,
    ) -> Self:
        """Without a header the columns are "column 1", "column 2", ...; None: there is one if no cell is a number.

        The file is read once, to find where its lines are.
        """
        optional("pyarrow.csv", "arrow")
        stamp = Stamp.of(path)
        with open(path, "rb") as file:
            begin, first = _first_line(file, str(path))
            end = _last_byte(file, stamp.size)
            cells = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True))
            try:
                named = is_header(1, cells) if header is None else header
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
            if named:
                known, begin = tuple(" ".join(cell.split()) for cell in cells), file.seek(begin + len(first.encode()))
            else:
                known = tuple(f"column {i + 1}" for i in range(len(cells)))
            if repeated := [name for i, name in enumerate(known) if name in known[:i]]:
                raise ValueError(f"{path}: the header has {repeated[0]!r} twice: give each column its own name")
            offsets, edges = _lines(file, begin, end)
        if edges[-1] == 0:
            raise ValueError(f"{path} has no rows: give at least one below the header")
        return cls(stamp, _chosen(columns, others, known, str(path)), known, delimiter, offsets, edges)

    @property
    def name(self) -> str:
        return os.path.basename(self.stamp.path)

    @property
    def rest(self) -> tuple[int, ...]:
        return (len(self.columns),)

    def refuse_changed(self) -> None:
        self.stamp.refuse_changed()

    def stream(self, block: int) -> Iterator[Array]:
        pa, reader = optional("pyarrow", "arrow"), optional("pyarrow.csv", "arrow")
        with open(self.stamp.path, "rb") as file:
            for i in range(block, len(self.edges) - 1):
                file.seek(self.offsets[i])
                text = file.read(self.offsets[i + 1] - self.offsets[i])
                try:
                    table = reader.read_csv(
                        pa.BufferReader(text),
                        read_options=reader.ReadOptions(column_names=list(self.known)),
                        parse_options=reader.ParseOptions(delimiter=self.delimiter, ignore_empty_lines=False),
                        convert_options=reader.ConvertOptions(
                            include_columns=list(self.columns),
                            column_types=dict.fromkeys(self.columns, pa.float64()),
                            null_values=_NULLS,
                        ),
                    )
                except pa.ArrowInvalid as error:
                    rows = f"rows {self.edges[i]} to {self.edges[i + 1] - 1}"
                    raise ValueError(f"{self.name}, {rows}: {error}; correct it, or choose other columns") from None
                if table.num_rows != self.edges[i + 1] - self.edges[i]:
                    raise ValueError(f"{self.name} has rows of several lines: give each row a line of its own")
                yield _cells(table, self.columns)


def _first_line(file: Any, path: str) -> tuple[int, str]:
    """Where the first line begins that is not blank, and the line."""
    begin = 3 if file.read(3) == b"\xef\xbb\xbf" else 0  # the mark of UTF-8
    file.seek(begin)
    for line in file:
        if line.strip():
            try:
                return begin, line.decode()
            except UnicodeDecodeError:
                raise ValueError(f"{path} is not in UTF-8: save it in that encoding") from None
        begin += len(line)
    raise ValueError(f"{path} is empty: give rows of numbers, with or without a header")


def _last_byte(file: Any, size: int) -> int:
    """Where the last line ends, blank ones aside."""
    end = size
    while end > 0:
        begin = max(0, end - 2**16)
        file.seek(begin)
        text = file.read(end - begin).rstrip()
        end = begin + len(text)
        if text:
            break
    return end


def _lines(file: Any, begin: int, end: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offsets of blocks of whole lines, and how many lines there are before each."""
    offsets, edges = [begin], [0]
    while begin < end:
        file.seek(begin)
        text = file.read(min(BLOCK, end - begin))
        if begin + len(text) < end:
            text += file.readline()
        begin = min(end, begin + len(text))
        text = text[: begin - offsets[-1]]
        offsets.append(begin)
        edges.append(edges[-1] + text.count(b"\n") + (not text.endswith(b"\n")))
    return tuple(offsets), tuple(edges)
