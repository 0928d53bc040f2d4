"""A matrix of pictures: each pair of columns with its ellipses, and each column by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentem.core import Unavailable
from latentem.data.readers.reader import optional
from latentem.fitted import Fit
from latentem.plot import canvas
from latentem.plot.lines import curves, histogram, known
from latentem.plot.menu import picture, ringed
from latentem.plot.plane import add_ellipses, scatter, shares_of
from latentem.plot.view import Components, Rows, chosen, labelled, names, words

_MOST = 8
"""So many columns are shown at most: more would be too small to see."""


@picture
def pairs(
    fit: Fit[Any], data: Any, columns: Any = None, *, mass: Any = 0.95, figure: Any = None
) -> npt.NDArray[np.object_]:
    """Rows by label in each pair of columns, with ellipses where components have them; each column on the diagonal.

    Args:
        fit: A fit whose latents are labels of rows.
        data: As for `fit.predict`.
        columns: From two to eight, by name or number; None for all.
        mass: The share of a component that an ellipse holds.
        figure: An empty Figure to draw in; None for a new one.

    Returns:
        The Axes, shape (d, d), of objects: [i, j] shows column j across and column i along; None above the diagonal,
        where the legend is. The Figure is `axes[0, 0].figure`.

    Raises:
        Unavailable: the latents are no labels.
        TypeError, ValueError: a column is not there, there are too many, or a mass is none.
    """
    rows = Rows.of(fit, data)
    those, there = chosen(fit, columns, rows=rows), names(fit, rows)
    if not 2 <= len(those) <= _MOST:
        raise ValueError(
            f"columns to show: {len(those)}; choose from 2 to {_MOST} of {list(there)[:20]}, as in columns=[0, 1, 2]"
        )
    masses = shares_of(mass)
    labels, responsibilities = labelled(fit, data, rows)
    if figure is None:
        size = 1.2 + 1.9 * len(those)
        figure = optional("matplotlib.pyplot", "plot").figure(figsize=(size, size), layout="constrained")
    axes = np.full((len(those), len(those)), None, dtype=object)
    grid = figure.add_gridspec(*axes.shape)
    for i, row in enumerate(those):
        for j, column in enumerate(those[: i + 1]):
            above = axes[j, j] if j < i else None
            beside = axes[i, j - 1] if 0 < j < i else None
            ax = axes[i, j] = figure.add_subplot(grid[i, j], sharex=above, sharey=beside)
            canvas.plain(ax)
            if i == j:
                _alone(ax, fit, rows, row)
            else:
                scatter(ax, fit, rows.x[:, (column, row)], labels, responsibilities, scale=0.5)
                _ringed(ax, fit, (column, row), masses)
            if meant := words(fit, column):
                ax.set_xticks(range(len(meant)), meant)
            if j < i and (meant := words(fit, row)):
                ax.set_yticks(range(len(meant)), meant)
            _outer_labels(ax, there[column], there[row], i == len(those) - 1, j == 0 < i)
    handles, labelling = axes[1, 0].get_legend_handles_labels()
    made = figure.legend(
        handles, labelling, loc="upper right", frameon=False, title="larger: less certain", alignment="left"
    )
    canvas.even(made)
    return axes


def _alone(ax: Any, fit: Fit[Any], rows: Rows, column: int) -> None:
    x, weight = known(rows, column)
    try:
        curves(ax, fit, Components.of(fit, (column,)), x, weight)
    except Unavailable:
        histogram(ax, x, weight)
    ax.set(yticks=[], ylabel="")
    ax.spines["left"].set_visible(False)


def _ringed(ax: Any, fit: Fit[Any], pair: tuple[int, int], masses: list[float]) -> None:
    try:
        seen = Components.of(fit, pair)
        rings = ringed(seen)
    except Unavailable:
        return
    add_ellipses(ax, rings, masses, [None] * len(seen.shares))


def _outer_labels(ax: Any, across: str, along: str, last: bool, first: bool) -> None:
    """Names and numbers on the outer edges alone, but for a column by itself, which has its own scale."""
    ax.set(xlabel=across if last else "", ylabel=along if first else "")
    ax.tick_params(labelbottom=last, labelleft=first)
