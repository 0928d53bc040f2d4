"""Columns of Parquet files, through pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Self, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, own
from latentem.data.readers.blocks import BLOCK, Blocks, even_edges
from latentem.data.readers.reader import Stamp, chosen, optional


@final
@frozen
class Parquet(Blocks):
    """Columns of a Parquet file; a null is a missing value.

    Attributes:
        stamp: The file.
        columns: The names of the columns, in the order of the file, or in the order in which they were asked for.
        groups: At which rows the row groups begin, and the number of rows at last.
    """

    stamp: Stamp = field()
    columns: tuple[str, ...] = field()
    groups: tuple[int, ...]

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        columns: Sequence[str] | None,
        others: Sequence[str],
        without: Sequence[str] = (),
    ) -> Self:
        """The columns, all but `others` and those to do `without` where None, and the others after them."""
        pa, pq = optional("pyarrow", "arrow"), optional("pyarrow.parquet", "arrow")
        stamp = Stamp.of(path)
        try:
            with pq.ParquetFile(stamp.path) as file:
                schema, metadata = file.schema_arrow, file.metadata
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is no Parquet file: {error}") from None
        numbers = chosen(columns, (*others, *without), schema.names, f"{path}: ")
        names = tuple(schema.names[i] for i in numbers[: len(numbers) - len(without)])
        types = pa.types
        real = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
        for name in names:
            kind = schema.field(name).type
            if not any(is_one(kind) for is_one in real):
                raise TypeError(f"{path}: column {name!r} is of type {kind}: choose columns of real numbers")
        rows = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        return cls(stamp, names, (0, *accumulate(rows)))

    @property
    def edges(self) -> tuple[int, ...]:
        return even_edges(self.groups[-1], max(1, BLOCK // (8 * len(self.columns))))

    def stream(self, block: int) -> Iterator[Array]:
        pq = optional("pyarrow.parquet", "arrow")
        edges = self.edges
        first = int(np.searchsorted(self.groups, edges[block], side="right")) - 1
        # A file is read from the beginning of a row group: the rows of it before the block are cut off as one table.
        sizes = [edges[block] - self.groups[first], *np.diff(edges[block:]).tolist()]
        with pq.ParquetFile(self.stamp.path, buffer_size=2**20) as file:
            rest = list(range(first, len(self.groups) - 1))
            batches = file.iter_batches(batch_size=2**16, row_groups=rest, columns=sorted(set(self.columns)))
            tables = _recut(batches, sizes)
            next(tables, None)
            for table in tables:
                yield cells(table, self.columns)

    def words(self, columns: Sequence[str]) -> Iterator[list[str]]:
        """The values of some columns of the file as text, row by row; a null is empty."""
        pq = optional("pyarrow.parquet", "arrow")
        with pq.ParquetFile(self.stamp.path, buffer_size=2**20) as file:
            chosen(columns, (), file.schema_arrow.names, f"{self.stamp.path}: ")
            for batch in file.iter_batches(batch_size=2**16, columns=list(columns)):
                parts = [batch.column(name).to_pylist() for name in columns]
                yield from (["" if value is None else str(value) for value in row] for row in zip(*parts, strict=True))


def cells(table: Any, columns: tuple[str, ...]) -> Array:
    """Columns of an Arrow table, shape (n, d); NaN where a cell is null."""
    pa = optional("pyarrow", "arrow")
    x = np.empty((table.num_rows, len(columns)))
    for j, column in enumerate(columns):
        x[:, j] = table.column(column).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return own(x)


def _recut(batches: Iterator[Any], sizes: Iterable[int]) -> Iterator[Any]:
    """Record batches of any lengths as tables of these lengths, as long as there are rows."""
    pa = optional("pyarrow", "arrow")
    rest: list[Any] = []
    for size in sizes:
        while sum(batch.num_rows for batch in rest) < size:
            batch = next(batches, None)
            if batch is None:
                return
            rest.append(batch)
        if size == 0:
            yield None
            continue
        table = pa.Table.from_batches(rest)
        yield table.slice(0, size)
        rest = table.slice(size).to_batches()
