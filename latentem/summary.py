"""A fit in words and a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latentem.arrays import Array
from latentem.run import Ending, Step, hits
from latentem.run.audit import Books

_COLUMNS = 20
"""The most data columns whose values a table shows."""
_COLUMN = re.compile(r"\bx(\d+)\b")
_WIDTH = 100
"""A wider table is turned: a component is then a column."""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned text: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)


def text(fit: Any) -> str:
    """The summary that `print(fit)` shows."""
    described = fit.model.describe(fit.params, fit.expectation.statistics)
    steps = counted(fit.history[-1].index, "step")
    given = fit.status.ending is Ending.GIVEN
    return "\n".join(
        [
            f"{fit.model!r} on {counted(fit.observations, 'observation')}",
            str(fit.status) if given else f"{fit.status} ({steps})",
            *([f"what to try: {fit.status.advice}"] if fit.status.advice else []),
            "",
            components(described, fit.columns, fit.model.noun) if described else repr(fit.params),
            "",
            *_figures(fit),
            *(["events:", *(f"- {event.describe(fit.columns)}" for event in fit.events)] if fit.events else []),
            *(["events: none"] if fit.converged and not fit.events else []),
        ]
    )


def _figures(fit: Any) -> list[str]:
    step = fit.history[-1]
    books = f"Q {number(step.expected_log_joint)} + H {number(step.entropy)}"
    parameters = counted(fit.n_parameters, "free parameter")
    known = fit.log_evidence
    if known is not None and Books.of(fit.model, fit.params, fit.expectation).touches(known):
        likelihood = f"log likelihood {number(known)} = {books}"
    else:
        likelihood = f"bound {number(step.bound)} = {books}"
        if known is not None:
            likelihood += f", log likelihood {number(known)}"
    if fit.model.exact and known is not None and all(event.kind != "gap" for event in fit.events):
        parameters += f", AIC {number(fit.aic)}, BIC {number(fit.bic)} (lower is better)"
    for name, figure in fit.model.figures(fit.params, fit.expectation.statistics).items():
        parameters += f", {name} {number(figure)}"
    if len(fit.starts) <= 1:
        return [likelihood, parameters]
    reached, ended = hits(fit.starts, fit.objective, fit.observations)
    best = "ended at this maximum" if reached > 1 else "ended at this maximum, the best"
    ends = f"; of the {ended} that were run to the end, {reached} {best}" if ended else ""
    return [likelihood, parameters, f"{len(fit.starts)} starts{ends}"]


def components(described: Mapping[str, Array], columns: Sequence[str] | None, noun: str = "component") -> str:
    """The components, one a line; what is NaN stays blank. What is about a column of the data stands in its place.

    Args:
        described: Names to arrays of shape (k,), one figure a component, or (k, d), one a column of the data. A
            name may speak of a column as x0, x1, ...
        columns: Names of the data columns, or None.
        noun: What a component is called.
    """
    parts = {name: values for name, values in described.items() if values.ndim == 2}
    k = len(next(iter(described.values())))
    header, cells = [noun], [[str(j)] for j in range(k)]

    def show(name: str, figures: Sequence[Array]) -> None:
        header.append(_in_words(name, columns))
        for j, cell in enumerate(cells):
            blank = np.isnan(figures[0][j])  # and so are the others, of the same components
            cell.append("" if blank else " ± ".join(f"{values[j]:.5g}" for values in figures))

    of_column: dict[int, list[tuple[str, list[Array]]]] = {}
    for name, values in described.items():
        mentioned = {int(number) for number in _COLUMN.findall(name)}
        if values.ndim == 1 and len(mentioned) == 1:
            of_column.setdefault(mentioned.pop(), []).append((name, [values]))
        elif values.ndim == 1:
            show(name, [values])
    for i in range(max((values.shape[1] for values in parts.values()), default=0)):
        known = {name: values[:, i] for name, values in parts.items() if i < values.shape[1]}
        shown = [(f"x{i}: {' ± '.join(names)}", figures) for names, figures in _together(known)]
        if shown:
            of_column[i] = shown + of_column.get(i, [])
    for i in sorted(of_column)[:_COLUMNS]:
        for name, figures in of_column[i]:
            show(name, figures)
    more = f"\n({len(of_column) - _COLUMNS} more columns not shown)" if len(of_column) > _COLUMNS else ""
    lines = [header, *cells]
    wide = max(map(len, table(lines).splitlines())) > _WIDTH
    return table(list(zip(*lines, strict=True)) if wide else lines) + more


def _in_words(name: str, columns: Sequence[str] | None) -> str:
    """A name with its columns by theirs, where they have names."""

    def word(found: re.Match[str]) -> str:
        i = int(found[1])
        return found[0] if columns is None or i >= len(columns) else columns[i]

    return _COLUMN.sub(word, name)


def _together(figures: Mapping[str, Array]) -> list[tuple[list[str], list[Array]]]:
    """Names with their figures of one column, (k,), if it has any; those of the same components in one cell."""
    groups: dict[bytes, tuple[list[str], list[Array]]] = {}
    for name, values in figures.items():
        if not np.isnan(values).all():
            names, ours = groups.setdefault(np.isnan(values).tobytes(), ([], []))
            names.append(name)
            ours.append(values)
    return list(groups.values())


def counted(count: float, noun: str) -> str:
    """A count with its noun, in the singular or the plural."""
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """A log likelihood or a criterion, to six decimals."""
    return f"{value:.6f}" if np.isfinite(value) else str(value)


def gain(value: float, step: Step) -> str:
    """The gain of a half step, to three digits; one that is rounding of its books is shown as 0."""
    # A gain is a difference of sums of Q and H, so a few of their last digits say nothing.
    rounding = 16 * np.finfo(float).eps * (abs(step.expected_log_joint) + abs(step.entropy))
    return "0" if abs(value) <= rounding else f"{value:#.3g}"
