"""The grammar of CSV files: what is a row, a header, a number and a missing cell, for library and command line alike.

A row is a line, or several where a cell in quotes has line ends. A blank line is no row: blank ones may stand before
and behind the rows, and are refused between them, where one might be meant for a missing value.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
import reprlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, own
from latentem.data.readers.reader import chosen
from latentem.data.readers.words import Words, stranger

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "."})
"""Cells that hold no value, in small letters; those of a file may have capitals, and spaces around them."""
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = 60
_TIME = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}\b|\d{1,2}:\d\d")
"""A date or a time of day, as most countries write them."""
_OTHER_ENCODING = "give the encoding of the file with --encoding (encoding= in Python), or save it as UTF-8"

Row = tuple[int, list[str]]
"""The line in which a row begins, from 1, and its cells."""


@final
@frozen
class Dialect:
    """How a file writes its cells.

    Attributes:
        delimiter: What stands between cells, one character.
        decimal: The mark before the decimals: a point, or a comma.
        encoding: The encoding of its characters, as Python calls it; one in which line ends are single bytes.

    Raises:
        ValueError: a mark or an encoding is none.
    """

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"

    def __attrs_post_init__(self) -> None:
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ValueError(
                f"delimiter was given as {self.delimiter!r}: give one character, such as ; or \\t for a tab"
            )
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal was given as {self.decimal!r}: give a point or a comma")
        if self.decimal == self.delimiter:
            raise ValueError(
                f"{self.decimal!r} was given as delimiter and as decimal: give another delimiter, such as ;"
            )
        try:
            plain = b"\r\n".decode(self.encoding) == "\r\n"
        except UnicodeDecodeError:
            plain = False
        except LookupError:
            raise ValueError(f"encoding was given as {self.encoding!r}: give one such as utf-8 or cp1252") from None
        if not plain:
            raise ValueError(f"encoding was given as {self.encoding!r}: lines cannot be found in it; save it as UTF-8")

    @property
    def utf_8(self) -> bool:
        """Whether the encoding is UTF-8."""
        return codecs.lookup(self.encoding).name == "utf-8"


_COMMA = Dialect(";", ",")


def rows(lines: Iterable[str], dialect: Dialect, line: int = 1, width: int = 0) -> Iterator[Row]:
    """The rows of some lines with their ends, of which the first is this line of the file.

    A row has `width` cells; 0: as many as the first one, before which lines may be blank. A ValueError if a row has
    another width, a line between rows is blank, or quotes do not match.
    """
    delimiter = dialect.delimiter
    plain = (text if text.strip(" \r\n") else "\n" for text in lines)
    reader = csv.reader(plain, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)
    before, blank = line, 0
    try:
        for cells in reader:
            if not cells:
                blank = blank or line
            elif blank and width:
                raise ValueError(f"line {blank} is blank, and rows follow it: fill it in, or take it out")
            elif width and len(cells) != width:
                raise ValueError(f"line {line} is {len(cells)} wide and the first row {width}: give all as many cells")
            else:
                width, blank = len(cells), 0
                yield line, cells
            line = before + reader.line_num
    except csv.Error as error:
        raise ValueError(f"the row that begins in line {line} cannot be read ({error}): check its quotes") from None


def heading(
    first: Row, dialect: Dialect, wanted: Sequence[str] | None, others: Sequence[str], said: bool | None
) -> tuple[bool, list[str], list[int]]:
    """Whether the first row holds names, the names of all columns, and the numbers of those that are read.

    Without names the columns are "column 1", "column 2", ..., and may be wanted by their numbers from "1", too.

    Args:
        first: The first row.
        dialect: How the file writes its cells.
        wanted: Names of columns; None: all but the others.
        others: Names of the columns that hold weights and labels.
        said: Whether it holds names; None: yes if no cell of it is a number, no if all are.
    """
    line, cells = first
    if not cells:
        raise ValueError("the file is empty: give rows of numbers, with or without a header")
    named = is_header(first, dialect) if said is None else said
    how = "choose with --columns from {} (columns= in Python)"
    if not named:
        numbers = [str(i + 1) for i in range(len(cells))]
        short, beside = ([name.removeprefix("column ") for name in some] for some in (wanted or (), others))
        read = chosen(None if wanted is None else short, beside, numbers, "", how)
        return False, [f"column {i}" for i in numbers], read
    names = [" ".join(cell.split()) for cell in cells]
    for i, name in enumerate(names):
        if name and name in names[:i]:
            raise ValueError(f"line {line}, the header, has {_BRIEF.repr(name)} twice: give each column its own name")
    return True, names, chosen(wanted, others, names, "", how)


def is_header(first: Row, dialect: Dialect) -> bool:
    """Whether the first row holds names: yes if no cell of it is a number, no if all are; else a ValueError."""
    line, cells = first
    numbers = sum(is_finite(cell, dialect) for cell in cells)
    words = sum(cell.strip().lower() not in MISSING for cell in cells) - numbers
    commas = [cell for cell in cells if not is_finite(cell, dialect) and is_finite(cell, _COMMA)]
    if commas and numbers + len(commas) == len(cells):
        raise ValueError(
            f"line {line}: {_BRIEF.repr(commas[0])} seems to be a number with a decimal comma, and so no name: write "
            "numbers as -1234.5, or say --decimal , or --header (decimal=',' or header=True)"
        )
    if numbers == len(cells) or (words and not numbers):
        return words > 0
    mixed = f"line {line} may be a header or not, {numbers} of its {len(cells)} cells being numbers"
    raise ValueError(f"{mixed}: say which, with --header or --no-header (header=True or False)")


def spelled(cell: str) -> str | None:
    """The word in a cell of text, without the spaces around it; None where it is missing."""
    word = cell.strip()
    return None if word.lower() in MISSING else word


def values(
    found: Iterable[Row],
    dialect: Dialect,
    columns: Sequence[int],
    names: Sequence[str],
    categories: Sequence[Words] | None = None,
) -> Array:
    """The numbers in some columns of rows, shape (n, len(columns)); of columns of text the codes of their words.

    A missing one is NaN, and infinity may stand in a cell, too; what is neither is a ValueError.

    Args:
        found: The rows.
        dialect: How the file writes its cells.
        columns: The numbers of those columns.
        names: Names of all columns.
        categories: Of columns of text the words that are known, and None of the others; None: all hold numbers.
    """
    taken = array("d")
    known = [None if words is None else {word: i for i, word in enumerate(words)} for words in categories or ()]
    for line, cells in found:
        for i, codes in zip(columns, known or [None] * len(columns), strict=True):
            if codes is not None:
                word = spelled(cells[i])
                if word is not None and word not in codes:
                    raise stranger(f"line {line}, column {_BRIEF.repr(names[i])}", word, list(codes))
                taken.append(math.nan if word is None else codes[word])
                continue
            value = number(cells[i], dialect)
            if value is None:
                such = f"-1234{dialect.decimal}5"
                where = names[i] if names[i] == f"column {i + 1}" else f"column {_BRIEF.repr(names[i])}"
                raise ValueError(
                    f"line {line}, {where}: {_BRIEF.repr(cells[i])} is no finite number such as {such}: correct it, "
                    "leave out the line, or choose other columns with --columns (columns= in Python)"
                    f"{_way_out(cells[i])}"
                )
            taken.append(value)
    return own(np.frombuffer(taken).reshape(-1, len(columns)))


def _way_out(cell: str) -> str:
    """What may be meant by a cell that is no number, and what to do then."""
    if is_finite(cell, _COMMA):
        return "; a decimal comma is read with --decimal , (decimal=',')"
    if _TIME.match(cell.strip()):
        return "; give times as numbers, such as days since the first"
    if cell.strip().lower() in ("true", "false"):
        return "; write true as 1 and false as 0"
    return "; if its words are categories, give --categorical (in Python put a Categorical on the column)"


def number(cell: str, dialect: Dialect) -> float | None:
    """The number in a cell, NaN where it is missing; None where it is neither."""
    try:
        if dialect.decimal == ",":
            return None if "_" in cell or "." in cell.strip(" .") else float(cell.replace(",", "."))
        return None if "_" in cell else float(cell)
    except ValueError:
        return math.nan if cell.strip().lower() in MISSING else None


def is_finite(cell: str, dialect: Dialect) -> bool:
    """Whether a cell holds a finite number."""
    value = number(cell, dialect)
    return value is not None and math.isfinite(value)


@contextmanager
def naming(path: object, dialect: Dialect, first: list[Row]) -> Iterator[None]:
    """Errors about a file begin with its path, and end with another delimiter where the first row looks like one."""
    try:
        yield
    except UnicodeDecodeError as error:
        byte = f"{error.object[error.start]:#04x}"
        raise ValueError(f"{path}: the byte {byte} is not {dialect.encoding.upper()}: {_OTHER_ENCODING}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}{_hint(first[0][1] if first else (), dialect.delimiter)}") from None


def _hint(first: Sequence[str], delimiter: str) -> str:
    for other in ";\t|, " if len(first) == 1 else ";\t|":
        if other != delimiter and any(other in cell.strip() for cell in first):
            return f"; if {other!r} stands between the cells, give --delimiter {other!r} (delimiter= in Python)"
    return ""
