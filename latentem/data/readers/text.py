"""CSV files, in blocks of whole rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Self, final

from attrs import evolve, field, frozen

from latentem.arrays import Array
from latentem.data.readers.blocks import BLOCK, Blocks
from latentem.data.readers.grammar import MISSING, Dialect, Row, heading, is_finite, naming, rows, spelled, values
from latentem.data.readers.parquet import cells
from latentem.data.readers.reader import Stamp, chosen
from latentem.data.readers.words import Known, Words, arrow_words, distinct

_NULLS = sorted({form for word in MISSING for form in (word, word.upper(), word.capitalize())} | {"NaN"})
_QUOTED_LATE = re.compile(rb'(^|[^"\w]) +"')
"""A quote behind spaces, which Arrow takes for a part of the word."""


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
        categories: Of the columns of text that are read, their words; None of the others, or of all.
    """

    stamp: Stamp = field()
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    dialect: Dialect
    offsets: tuple[int, ...]
    lines: tuple[int, ...]
    edges: tuple[int, ...] = field()
    categories: tuple[Words, ...] | None = field(default=None)

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
                    x = values(self._rows(i, text), self.dialect, self.numbers, self.names, self.categories)
            yield x

    def coded(self, known: Known) -> Csv:
        """Text in some columns as codes; the file is read once to find the words of those of which none are known.

        Raises:
            ValueError: a column is not there, or holds no words that could be categories.
        """
        path = self.stamp.path
        chosen(list(known), (), self.columns, f"{path}: ")
        sought = [name for name, words in known.items() if words is None]
        numbers = [self.numbers[self.columns.index(name)] for name in sought]
        with naming(path, self.dialect, self._first()):
            parts = (self._distinct(i, text, numbers) for i, text in self._texts(0)) if sought else ()
            is_number = partial(is_finite, dialect=self.dialect)
            found = dict(zip(sought, distinct(parts, sought, is_number), strict=True))
        categories = tuple((found if name in found else known).get(name) for name in self.columns)
        return evolve(self, categories=categories if any(categories) else None)

    def _distinct(self, block: int, text: bytes, columns: list[int]) -> list[set[str]]:
        """The different words of some columns of a block."""
        table = self._arrow_table(text, dict.fromkeys(columns, "string"))
        if table is not None and table.num_rows == self.edges[block + 1] - self.edges[block]:
            return [arrow_words(table.column(str(i)), spelled) for i in columns]
        found = [set[str | None]() for _ in columns]
        for _, row in self._rows(block, text):
            for words, i in zip(found, columns, strict=True):
                words.add(spelled(row[i]))
        return [{word for word in words if word is not None} for words in found]

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
        categories = self.categories or (None,) * len(self.numbers)
        kinds = ("float64" if words is None else "string" for words in categories)
        table = self._arrow_table(text, dict(zip(self.numbers, kinds, strict=True)))
        if table is None or table.num_rows != count:
            return None
        try:
            return cells(table, tuple(map(str, self.numbers)), categories, self.name, spelled)
        except ValueError:  # a word that is not known: who reads cell by cell knows its line
            return None

    def _arrow_table(self, text: bytes, kinds: dict[int, str]) -> Any:
        """Some columns of a text by their numbers, of these types; None where pyarrow cannot read it as we do."""
        try:
            pa, reader = import_module("pyarrow"), import_module("pyarrow.csv")
        except ImportError:
            return None
        if "string" in kinds.values() and b'"' in text and _QUOTED_LATE.search(text):
            return None
        types = {str(i): getattr(pa, kind)() for i, kind in kinds.items()}
        if not self.dialect.utf_8:
            text = text.decode(self.dialect.encoding).encode()
        try:
            return reader.read_csv(
                pa.BufferReader(text),
                read_options=reader.ReadOptions(column_names=list(map(str, range(len(self.names))))),
                parse_options=reader.ParseOptions(
                    delimiter=self.dialect.delimiter, ignore_empty_lines=False, newlines_in_values=b'"' in text
                ),
                convert_options=reader.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    null_values=_NULLS,
                    decimal_point=self.dialect.decimal,
                ),
            )
        except pa.ArrowInvalid:
            return None


def csv_header(path: str, dialect: Dialect) -> tuple[str, ...]:
    """Names of all columns of a file.

    Raises:
        ValueError: its first row is none, or may be a header or not.
    """
    first = list[Row]()
    with open(path, "rb") as file, naming(path, dialect, first):
        begins = [3 if dialect.utf_8 and file.read(3) == b"\xef\xbb\xbf" else 0]
        first.append(next(rows(_decoded(file, begins, dialect), dialect), (1, [])))
        return tuple(heading(first[0], dialect, None, (), None)[1])


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
