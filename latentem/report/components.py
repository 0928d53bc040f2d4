"""The table of components: what a model describes of each, as values and as cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.report.words import table

_COLUMNS = 20
"""The most data columns whose values a table shows."""
_COLUMN = re.compile(r"\bx(\d+)\b")
_PLACE = re.compile(r"\bx(\d+)\b(?: = (\d+)\b)?")
"""A column in a name, perhaps with the code of a word that it holds."""
_WIDTH = 100
"""A wider table is turned: a component is then a column."""


Categories = Sequence[Sequence[str] | None]
"""Of each column of the data its words, in the order of their codes, where it holds text."""


@final
@frozen
class Parameter:
    """One figure of each component.

    Attributes:
        name: As the model has it; it may speak of a column of the data as x0, x1, ...
        values: One a component; None where that component has no such figure.
        column: Number of the column of the data that it is about, or None.
        of_each: Whether each column of the data has one, so that the name alone does not say which.
    """

    name: str
    values: tuple[float | None, ...]
    column: int | None = None
    of_each: bool = False

    def label(self, columns: Sequence[str] | None, categories: Categories | None = None) -> str:
        """The name with its column, by its name where it has one, and with words in place of their codes."""
        return in_words(_told(self.name, self, categories), columns, categories)


def parameters(described: Mapping[str, Array]) -> tuple[Parameter, ...]:
    """What a model describes, in the order in which a table shows it: what is about a column stands in its place.

    Args:
        described: Names to arrays of shape (k,), one figure a component, or (k, d), one a column of the data; NaN
            where there is none.
    """
    alone: list[Parameter] = []
    of_column: dict[int, list[Parameter]] = {}
    for name, values in described.items():
        if values.ndim == 2:
            for i, figures in enumerate(values.T):
                if not np.isnan(figures).all():
                    of_column.setdefault(i, []).append(Parameter(name, _plain(figures), i, of_each=True))
    for name, values in described.items():
        if values.ndim == 1:
            mentioned = {int(number) for number in _COLUMN.findall(name)}
            own = mentioned.pop() if len(mentioned) == 1 else None
            (alone if own is None else of_column.setdefault(own, [])).append(Parameter(name, _plain(values), own))
    return (*alone, *(parameter for i in sorted(of_column) for parameter in of_column[i]))


def called(model: Any, k: int) -> tuple[str, ...]:
    """What a table calls k components: by their classes, or else by their numbers; and noise "noise"."""
    names = tuple(map(str, range(k) if model.classes is None else model.classes))
    clusters = model.clusters()
    behind = 0 if clusters is None else clusters.background
    return (*names[: k - behind], *["noise"] * behind)


def grid(
    found: Sequence[Parameter],
    columns: Sequence[str] | None,
    noun: str = "component",
    categories: Categories | None = None,
    names: Sequence[str] | None = None,
) -> tuple[list[list[str]], int]:
    """The components as rows of cells under a header, and how many columns of the data are left out.

    Figures of one column that the same components have share a cell, "mean ± sd". What there is not stays blank. A
    wide table is turned.

    Args:
        found: What there is to show, as `parameters` gives it.
        columns: Names of the data columns, or None.
        noun: What a component is called.
        categories: Of each data column its words in the order of their codes, or None.
        names: What each component is called; None: its number.
    """
    shown = sorted({parameter.column for parameter in found if parameter.column is not None})
    kept = {None, *shown[:_COLUMNS]}
    header, cells = [noun], [[name] for name in names or map(str, range(len(found[0].values)))]
    for group in _together([parameter for parameter in found if parameter.column in kept]):
        name = " ± ".join(parameter.name for parameter in group)
        header.append(in_words(_told(name, group[0], categories), columns, categories))
        for cell, figures in zip(cells, zip(*(parameter.values for parameter in group), strict=True), strict=True):
            cell.append(" ± ".join(f"{value:.5g}" for value in figures if value is not None))
    lines = [header, *cells]
    wide = max(map(len, table(lines).splitlines())) > _WIDTH
    return list(map(list, zip(*lines, strict=True))) if wide else lines, max(0, len(shown) - _COLUMNS)


def in_words(name: str, columns: Sequence[str] | None, categories: Categories | None = None) -> str:
    """A name with its columns by theirs, where they have names, and with words in place of their codes."""

    def word(found: re.Match[str]) -> str:
        i, code = int(found[1]), found[2]
        if columns is None or i >= len(columns):
            return found[0]
        if code is None:
            return columns[i]
        known = None if categories is None else categories[i]
        return f"{columns[i]} = {code if known is None or int(code) >= len(known) else known[int(code)]}"

    return _PLACE.sub(word, name)


def _told(name: str, parameter: Parameter, categories: Categories | None) -> str:
    """The name of a parameter, with the number of the column where each column has one."""
    i = parameter.column
    if not parameter.of_each or i is None:
        return name
    if categories is not None and categories[i] is not None and name == "probability":  # of the second of two words
        return f"P(x{i} = 1)"
    return f"x{i}: {name}"


def _together(found: Sequence[Parameter]) -> list[list[Parameter]]:
    """The figures that share a cell: of each column, those of the same components."""
    groups: dict[object, list[Parameter]] = {}
    for i, parameter in enumerate(found):
        blank = tuple(value is None for value in parameter.values)
        groups.setdefault((parameter.column, blank) if parameter.of_each else i, []).append(parameter)
    return list(groups.values())


def _plain(figures: Array) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in figures)
