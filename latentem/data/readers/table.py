"""Tables of numbers from CSV files, checked cell by cell: an error names the file, the line and the column."""

from __future__ import annotations

import csv
import math
import os
import reprlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, axes, frozen_array, own

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "."})
UNNAMED = "; a first one without a name may be the index that DataFrame.to_csv() writes: index=False leaves it out"
_BRIEF = reprlib.Repr()
_BRIEF.maxstring, _BRIEF.maxlist = 60, 40  # in a message: characters of a cell, names of columns

Row = tuple[int, list[str]]


@final
@frozen
class Table:
    """Columns of numbers with their names; `fit` takes it as it takes a DataFrame.

    Attributes:
        values: Shape (n, d).
        columns: The d names.
    """

    values: Array = field(converter=frozen_array, validator=axes(2, "(n, d)"), eq=EQUAL, hash=False)
    columns: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, dtype=dtype, copy=copy)


def read_table(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None, delimiter: str = ",", header: bool | None = None
) -> Table:
    """The numbers of a CSV file in UTF-8; blank lines may stand before and after its rows.

    Args:
        path: The file.
        columns: Names of the columns to read, in this order, or their numbers from "1" where there is
            no header; None reads all. What the others hold does not matter.
        delimiter: One character.
        header: Whether the first row holds names. None: yes if no cell of it is a number, no if all are.

    Returns:
        The table, shape (n, d). Without a header its columns are "column 1", "column 2", ...

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no such table.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter was given as {delimiter!r}: give one character, such as ; or \\t for a tab")
    first: Row = 1, []
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            rows = _rows(file, delimiter)
            first = next(rows, first)
            return _table(first, rows, columns, header)
        except UnicodeDecodeError as error:
            byte = f"{error.object[error.start]:#04x}"
            raise ValueError(f"{path}: the byte {byte} is not UTF-8: save the file in that encoding") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}{_hint(first[1], delimiter)}") from None


def _rows(file: Iterable[str], delimiter: str) -> Iterator[Row]:
    """Rows with the lines where they begin. A blank line between rows could be a missing value, and is refused."""
    lines = (line if line.strip(" \r\n") else "\n" for line in file)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)
    width, blank, line = 0, 0, 1
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
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"the row that begins in line {line} cannot be read ({error}): check its quotes") from None


def _table(first: Row, rest: Iterable[Row], columns: Sequence[str] | None, header: bool | None) -> Table:
    line, cells = first
    if not cells:
        raise ValueError("the file is empty: give rows of numbers, with or without a header")
    named = is_header(line, cells) if header is None else header
    names = [" ".join(cell.split()) for cell in cells] if named else [f"column {i + 1}" for i in range(len(cells))]
    for i, name in enumerate(names):
        if name and name in names[:i]:
            raise ValueError(f"line {line}, the header, has {_BRIEF.repr(name)} twice: give each column its own name")
    chosen = _chosen(columns, names if named else [str(i + 1) for i in range(len(cells))])
    values = array("d")
    for row in rest if named else chain([first], rest):
        values.extend(_numbers(row, chosen, names))
    if not values:
        raise ValueError(f"line {line} is the header, and no row follows it: give at least one")
    return Table(own(np.frombuffer(values).reshape(-1, len(chosen))), tuple(names[i] for i in chosen))


def is_header(line: int, cells: Sequence[str]) -> bool:
    """Whether the first row holds names: yes if no cell of it is a number, no if all are.

    Raises:
        ValueError: it may be either, or its numbers are written with decimal commas.
    """
    numbers = sum(_number(cell) is not None for cell in cells)
    words = sum(cell.strip().lower() not in _MISSING for cell in cells) - numbers
    commas = [cell for cell in cells if _number(cell) is None and _number(cell.replace(",", ".")) is not None]
    if commas and numbers + len(commas) == len(cells):
        raise ValueError(
            f"line {line}: {_BRIEF.repr(commas[0])} seems to be a number with a decimal comma, and so no name: write "
            "numbers as -1234.5, or say that it is a name, with --header or header=True"
        )
    if numbers == len(cells) or (words and not numbers):
        return words > 0
    mixed = f"{numbers} of its {len(cells)} cells being numbers"
    raise ValueError(
        f"line {line} may be a header or not, {mixed}: say which, with --header or --no-header (header=True or False)"
    )


def _chosen(wanted: Sequence[str] | None, known: list[str]) -> list[int]:
    chosen = known if wanted is None else wanted
    for i, name in enumerate(chosen or [""]):
        why = "has no name" if not name else "is not there" if name not in known else "was chosen twice"
        if not name or name not in known or name in chosen[:i]:
            raise ValueError(
                f"column {_BRIEF.repr(name)} {why}: choose with --columns from {_BRIEF.repr(known)}"
                f"{'' if name else UNNAMED}"
            )
    return [known.index(name) for name in chosen]


def _numbers(row: Row, chosen: Sequence[int], names: Sequence[str]) -> Iterator[float]:
    line, cells = row
    for i in chosen:
        value = _number(cells[i])
        if value is None:
            where = names[i] if names[i] == f"column {i + 1}" else f"column {_BRIEF.repr(names[i])}"
            raise ValueError(
                f"line {line}, {where}: {_BRIEF.repr(cells[i])} is no finite number such as -1234.5: correct it, "
                "leave out the line, or choose other columns with --columns"
            )
        yield value


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def _hint(first: Sequence[str], delimiter: str) -> str:
    """What to try where anything is wrong and the first row looks as if another delimiter were meant."""
    for other in ";\t|, " if len(first) == 1 else ";\t|":
        if other != delimiter and any(other in cell.strip() for cell in first):
            return f"; if {other!r} stands between the cells, give --delimiter {other!r}"
    return ""
