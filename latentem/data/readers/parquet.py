"""Columns of Parquet files, through pyarrow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Self, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import Array, own
from latentem.data.readers.blocks import BLOCK, Blocks, even_edges
from latentem.data.readers.reader import Stamp, chosen, optional
from latentem.data.readers.words import Known, Words, arrow_codes, arrow_words, categories_are, distinct


@final
@frozen
class Parquet(Blocks):
    """Columns of a Parquet file; a null is a missing value.

    Attributes:
        stamp: The file.
        columns: The names of the columns, in the order of the file, or in the order in which they were asked for.
        groups: At which rows the row groups begin, and the number of rows at last.
        categories: Of the columns of text, their words; None of the others, or of all.
    """

    stamp: Stamp = field()
    columns: tuple[str, ...] = field()
    groups: tuple[int, ...]
    categories: tuple[Words, ...] | None = field(default=None)

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        columns: Sequence[str] | None,
        others: Sequence[str],
        without: Sequence[str] = (),
        categorical: Known = {},  # noqa: B006 - it is not changed
    ) -> Self:
        """The columns, all but `others` and those to do `without` where None, and the others after them.

        Those that are `categorical` may hold text, which is coded; the file is read once to find words not known.
        """
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
            if not any(is_one(kind) for is_one in real) and not (name in categorical and _is_text(kind)):
                raise TypeError(f"{path}: column {name!r} is of type {kind}: {_remedy(kind)}")
        rows = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        found = cls(stamp, names, (0, *accumulate(rows)))
        if found.groups[-1] == 0:
            raise ValueError(f"{path} has no rows: give at least one")
        return found.coded(categorical) if categorical else found

    def coded(self, known: Known) -> Self:
        """Text in some columns as codes; the file is read once to find the words of those of which none are known.

        Raises:
            ValueError: a column is not there, holds numbers where words are known, or no categories.
        """
        path, pq = self.stamp.path, optional("pyarrow.parquet", "arrow")
        chosen(list(known), (), self.columns, f"{path}: ")
        with pq.ParquetFile(path, buffer_size=2**20) as file:
            schema = file.schema_arrow
            for name, words in known.items():
                kind = schema.field(name).type
                if words is not None and not _is_text(kind) and str(kind) != "null":
                    raise ValueError(
                        f"{path}: column {name!r} is of type {kind}: {categories_are(words)}; give these words"
                    )
            sought = [name for name in known if known[name] is None and _is_text(schema.field(name).type)]
            batches = file.iter_batches(batch_size=2**16, columns=sought) if sought else ()
            parts = ([arrow_words(_chunked(batch.column(name))) for name in sought] for batch in batches)
            try:
                found = dict(zip(sought, distinct(parts, sought, lambda word: False), strict=True))
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
        categories = tuple((found if name in found else known).get(name) for name in self.columns)
        return evolve(self, categories=categories if any(categories) else None)

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
                yield cells(table, self.columns, self.categories, self.name)

    def words(self, columns: Sequence[str]) -> Iterator[list[str]]:
        """The values of some columns of the file as text, row by row; a null is empty."""
        pq = optional("pyarrow.parquet", "arrow")
        with pq.ParquetFile(self.stamp.path, buffer_size=2**20) as file:
            chosen(columns, (), file.schema_arrow.names, f"{self.stamp.path}: ")
            for batch in file.iter_batches(batch_size=2**16, columns=list(columns)):
                parts = [batch.column(name).to_pylist() for name in columns]
                yield from (["" if value is None else str(value) for value in row] for row in zip(*parts, strict=True))


def parquet_header(path: str) -> tuple[str, ...]:
    """Names of all columns of a file.

    Raises:
        ValueError: it is no Parquet file.
    """
    pa, pq = optional("pyarrow", "arrow"), optional("pyarrow.parquet", "arrow")
    try:
        return tuple(pq.read_schema(path).names)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is no Parquet file: {error}") from None


def cells(
    table: Any,
    columns: tuple[str, ...],
    categories: Sequence[Words] | None,
    name: str,
    spelled: Callable[[str], str | None] = str,
) -> Array:
    """Columns of an Arrow table, shape (n, d), text as codes; NaN where a cell is null, or is spelled as None.

    Raises:
        ValueError: a column of text holds another word than its categories; it begins with the name of the table.
    """
    pa = optional("pyarrow", "arrow")
    x = np.empty((table.num_rows, len(columns)))
    for j, column in enumerate(columns):
        found, words = table.column(column), None if categories is None else categories[j]
        if words is not None and not pa.types.is_null(found.type):
            x[:, j] = arrow_codes(found, words, f"{name}: column {column!r}", spelled)
        else:
            x[:, j] = found.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return own(x)


def _is_text(kind: Any) -> bool:
    types = optional("pyarrow", "arrow").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _remedy(kind: Any) -> str:
    types = optional("pyarrow", "arrow").types
    if _is_text(kind):
        return (
            "choose columns of real numbers with --columns (columns= in Python), or, if its words are categories, give "
            "--categorical (in Python put a Categorical on the column)"
        )
    if types.is_temporal(kind):
        return "choose columns of real numbers, or write times as numbers, such as days since the first"
    return "choose columns of real numbers"


def _chunked(column: Any) -> Any:
    return optional("pyarrow", "arrow").chunked_array([column])


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
