"""CSV files, in blocks of whole rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Self, final

from attrs import field, frozen

from latentem.arrays import Array
from latentem.data.readers.blocks import BLOCK, Blocks
from latentem.data.readers.grammar import MISSING, Dialect, Row, heading, naming, rows, values
from latentem.data.readers.parquet import cells
from latentem.data.readers.reader import Stamp, chosen

_NULLS = sorted({form for word in MISSING for form in (word, word.upper(), word.capitalize())} | {"NaN"})


def _refuse_no_rows(count: int, first: Row) -> None:
    if count == 0:
        raise ValueError(f"it has no rows: line {first[0]} is the header, and no row follows it: give at least one")


@final
@frozen
class Csv(Blocks):
    """Columns of a CSV file; a missing cell is NaN.

    Text is read by pyarrow where that is installed and understands it, and else cell by cell, to the same bits.

    Attributes:
        stamp: The file.
        names: Of all columns of the file.
        numbers: Of those columns that are read.
        dialect: How it writes its cells.
        offsets: Where in the file the blocks begin, and where the last one ends.
        lines: In which lines of the file the blocks begin.
        edges: At which rows the blocks begin, and the number of rows at last.
    """

    stamp: Stamp = field()
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    dialect: Dialect
    offsets: tuple[int, ...]
    lines: tuple[int, ...]
    edges: tuple[int, ...] = field()

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        columns: Sequence[str] | None = None,
        others: Sequence[str] = (),
        dialect: Dialect = Dialect(),  # noqa: B008 - a value
        header: bool | None = None,
        without: Sequence[str] = (),
    ) -> Self:
        """The columns of a file, which is read once, to find where its rows are.

        Args:
            path: The file.
            columns: Names of the columns to read, in this order, or their numbers from "1" where there is no header;
                None: all but the others, and those to do without. What is in the rest does not matter.
            others: Names of those that come after them: weights and labels.
            dialect: How it writes its cells.
            header: Whether the first row holds names. None: yes if no cell of it is a number, no if all are.
            without: Names of columns that are not read.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no such table.
        """
        stamp, first = Stamp.of(path), list[Row]()
        with open(path, "rb") as file, naming(path, dialect, first):
            marked = dialect.utf_8 and file.read(3) == b"\xef\xbb\xbf"
            begins = [3 if marked else 0]  # where lines begin
            first.append(next(rows(_decoded(file, begins, dialect), dialect), (1, [])))
            named, names, numbers = heading(first[0], dialect, columns, (*others, *without), header)
            line = len(begins) if named else first[0][0]
            index = _blocks(file, begins[line - 1], _end(file, stamp.size, dialect), dialect, line, len(names))
            offsets, lines, edges = zip(*index, strict=True)
            _refuse_no_rows(edges[-1], first[0])
        numbers = numbers[: len(numbers) - len(without)]
        return cls(stamp, tuple(names), tuple(numbers), dialect, offsets, lines[:-1], edges)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.names[i] for i in self.numbers)

    def stream(self, block: int) -> Iterator[Array]:
        for i, text in self._texts(block):
            x = self._by_arrow(text, self.edges[i + 1] - self.edges[i])
            if x is None:
                with naming(self.stamp.path, self.dialect, self._first()):
                    x = values(self._rows(i, text), self.dialect, self.numbers, self.names)
            yield x

    def words(self, columns: Sequence[str]) -> Iterator[list[str]]:
        """The cells of some columns of the file as they stand there, row by row."""
        first = self._first()
        names = self.names if first else [name.removeprefix("column ") for name in self.names]
        wanted = chosen(
            [name if first else name.removeprefix("column ") for name in columns], (), names, f"{self.name}: "
        )
        with naming(self.stamp.path, self.dialect, first):
            for i, text in self._texts(0):
                for _, cells in self._rows(i, text):
                    yield [cells[j] for j in wanted]

    def _first(self) -> list[Row]:
        return [] if self.names[0] == "column 1" else [(1, list(self.names))]

    def _texts(self, block: int) -> Iterator[tuple[int, bytes]]:
        with open(self.stamp.path, "rb") as file:
            for i in range(block, len(self.lines)):
                file.seek(self.offsets[i])
                yield i, file.read(self.offsets[i + 1] - self.offsets[i])

    def _rows(self, block: int, text: bytes) -> Iterator[Row]:
        return rows(_lines(text, self.dialect), self.dialect, self.lines[block], len(self.names))

    def _by_arrow(self, text: bytes, count: int) -> Array | None:
        """The numbers of so many rows; None where pyarrow is not there, or finds something else."""
        try:
            pa, reader = import_module("pyarrow"), import_module("pyarrow.csv")
        except ImportError:
            return None
        columns = tuple(map(str, self.numbers))
        if not self.dialect.utf_8:
            text = text.decode(self.dialect.encoding).encode()
        try:
            table = reader.read_csv(
                pa.BufferReader(text),
                read_options=reader.ReadOptions(column_names=list(map(str, range(len(self.names))))),
                parse_options=reader.ParseOptions(
                    delimiter=self.dialect.delimiter, ignore_empty_lines=False, newlines_in_values=b'"' in text
                ),
                convert_options=reader.ConvertOptions(
                    include_columns=columns,
                    column_types=dict.fromkeys(columns, pa.float64()),
                    null_values=_NULLS,
                    decimal_point=self.dialect.decimal,
                ),
            )
        except pa.ArrowInvalid:
            return None
        return cells(table, columns) if table.num_rows == count else None


def _lines(text: bytes, dialect: Dialect) -> Iterator[str]:
    return (line.decode(dialect.encoding) for line in text.splitlines(keepends=True))


def _decoded(file: Any, begins: list[int], dialect: Dialect) -> Iterator[str]:
    """Lines from where the file begins; where the next one begins is put behind `begins` before a line is given."""
    file.seek(begins[0])
    for text in file:
        for line in text.splitlines(keepends=True):
            begins.append(begins[-1] + len(line))
            yield line.decode(dialect.encoding)


def _blocks(file: Any, begin: int, end: int, dialect: Dialect, line: int, width: int) -> Iterator[tuple[int, int, int]]:
    """For each block of whole rows, and for the end: its offset, its line, and how many rows are before it."""
    count = 0
    yield begin, line, count
    while begin < end:
        file.seek(begin)
        text = file.read(min(BLOCK, end - begin))
        while begin + len(text) < end:  # up to the end of a line that is not blank
            more = file.readline()
            text += more
            if more.strip(b" \r\n"):
                break
        text = text[: end - begin]
        text.decode(dialect.encoding)  # so that another encoding is refused here
        if _is_plain(text, width):  # then rows are counted at the speed of memory, and not cell by cell
            ends = text.count(b"\n") + (not text.endswith(b"\n"))
            begin, line, count = begin + len(text), line + ends, count + ends
        else:
            begins = [begin]
            for _ in rows(_decoded(file, begins, dialect), dialect, line, width):
                count += 1
                if begins[-1] >= begin + len(text):
                    break
            begin, line = begins[-1], line + len(begins) - 1
        yield begin, line, count


def _is_plain(text: bytes, width: int) -> bool:
    """Whether each line is a row: there are no quotes, no blank lines, and no line ends of old."""
    if text[:1] in b"\r\n" or any(mark in text for mark in (b'"', b"\n\n", b"\n\r\n")):
        return False
    return text.count(b"\r") == text.count(b"\r\n") and (width > 1 or b" \n" not in text)


def _end(file: Any, size: int, dialect: Dialect) -> int:
    """Where the last line ends, blank ones aside."""
    end, blank = size, b"\r\n" if dialect.delimiter == " " else b" \r\n"  # between spaces there may be an empty cell
    while end > 0:
        begin = max(0, end - 2**16)
        file.seek(begin)
        text = file.read(end - begin).rstrip(blank)
        end = begin + len(text)
        if text:
            break
    return end
