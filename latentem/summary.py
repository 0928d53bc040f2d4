"""A fit in words and a table."""

from __future__ import annotations

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
    """The components, one a line.

    Args:
        described: Names to arrays of shape (k,), one figure a component, or (k, d), one a column of the data.
        columns: Names of the data columns, or None.
    """
    whole = {name: values for name, values in described.items() if values.ndim == 1}
    parts = {name: values for name, values in described.items() if values.ndim == 2}
    k, d = len(next(iter(described.values()))), max((values.shape[1] for values in parts.values()), default=0)
    names = list(columns) if columns is not None and len(columns) == d else [f"x{i}" for i in range(d)]
    header = ["component", *whole]
    cells = [[str(j), *(f"{values[j]:.5g}" for values in whole.values())] for j in range(k)]
    for i in range(min(d, _COLUMNS)):
        header.append(f"{names[i]}: {' ± '.join(parts)}")
        for j in range(k):
            cells[j].append(" ± ".join(f"{values[j, i]:.5g}" for values in parts.values()))
    more = f"\n({d - _COLUMNS} more columns not shown)" if d > _COLUMNS else ""
    lines = [header, *cells]
    wide = max(map(len, table(lines).splitlines())) > _WIDTH
    return table(list(zip(*lines, strict=True)) if wide else lines) + more


def counted(count: float, noun: str) -> str:
    """A count with its noun, in the singular or the plural."""
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """A log likelihood or a criterion, to six decimals."""
    return f"{value:.6f}" if np.isfinite(value) else str(value)
