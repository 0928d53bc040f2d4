"""A fit in words and a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from latentem.arrays import Array

_COLUMNS = 20
"""The most data columns whose values a table shows."""
_WIDTH = 100
"""A wider table is turned: a component is then a column."""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned text: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def components(described: Mapping[str, Array], columns: Sequence[str] | None) -> str:
    """The components, one a line; what is NaN stays blank.

    Args:
        described: Names to arrays of shape (k,), one figure a component, or (k, d), one a column of the data. A
            name may speak of a column as x0, x1, ...
        columns: Names of the data columns, or None.
    """
    parts = {name: values for name, values in described.items() if values.ndim == 2}
    d = max((values.shape[1] for values in parts.values()), default=0)
    k = len(next(iter(described.values())))
    header, cells = ["component"], [[str(j)] for j in range(k)]
    for name, values in described.items():
        if values.ndim == 1:
            header.append(_in_words(name, columns))
            _append(cells, [values])
    shown = [i for i in range(d) if any(_at(values, i) is not None for values in parts.values())]
    for i in shown[:_COLUMNS]:
        for names, figures in _together(
            {name: at for name, values in parts.items() if (at := _at(values, i)) is not None}
        ):
            header.append(f"{_in_words(f'x{i}', columns)}: {' ± '.join(names)}")
            _append(cells, figures)
    more = f"\n({len(shown) - _COLUMNS} more columns not shown)" if len(shown) > _COLUMNS else ""
    lines = [header, *cells]
    wide = max(map(len, table(lines).splitlines())) > _WIDTH
    return table(list(zip(*lines, strict=True)) if wide else lines) + more


def _in_words(name: str, columns: Sequence[str] | None) -> str:
    """A name with its columns by theirs, where they have names."""

    def word(found: re.Match[str]) -> str:
        i = int(found[1])
        return found[0] if columns is None or i >= len(columns) else columns[i]

    return re.sub(r"\bx(\d+)\b", word, name)


def _at(values: Array, column: int) -> Array | None:
    """The figures of one column, shape (k,), or None where it has none."""
    figures = values[:, column] if column < values.shape[1] else None
    return None if figures is None or np.isnan(figures).all() else figures


def _together(figures: Mapping[str, Array]) -> list[tuple[list[str], list[Array]]]:
    """Names with their figures; those of the same components in one cell."""
    groups: dict[bytes, tuple[list[str], list[Array]]] = {}
    for name, values in figures.items():
        names, ours = groups.setdefault(np.isnan(values).tobytes(), ([], []))
        names.append(name)
        ours.append(values)
    return list(groups.values())


def _append(cells: Sequence[list[str]], figures: Sequence[Array]) -> None:
    for j, cell in enumerate(cells):
        blank = np.isnan(figures[0][j])
        cell.append("" if blank else " ± ".join(f"{values[j]:.5g}" for values in figures))


def counted(count: float, noun: str) -> str:
    """A count with its noun, in the singular or the plural."""
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """A log likelihood or a criterion, to six decimals."""
    return f"{value:.6f}" if np.isfinite(value) else str(value)
