"""Pictures of one column: the densities of the components over a histogram, and their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentem.arrays import Array
from latentem.core import Unavailable
from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.menu import picture
from latentem.plot.view import Components, Rows, called_each, chosen, names, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWN = 4000
"""Rows that the model draws: a curve has a point at each two-hundredth of what they are, where it is narrow."""
_GRID = 400
_BARS = 200
"""So many whole numbers have a bar each at most."""


@picture
def components(fit: Fit[Any], data: Any = None, column: Any = None, *, ax: Axes | None = None) -> Axes:
    """Densities of the components in one column, each times its share, and their sum, over a histogram of the data.

    Where rows have probabilities they are points over bars. Of a row with several columns it is the marginal one.

    Args:
        fit: Any fit whose model can say the density of this column.
        data: Rows for the histogram, with their weights if they have any; None draws none.
        column: By name or number; None where the fit has one.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the density of this column is not known.
        TypeError, ValueError: a column is not there, or there is more than one.
    """
    rows = None if data is None else Rows.of(fit, data)
    (number,) = chosen(fit, column, 1, ", or use pairs", rows)
    seen = Components.of(fit, (number,))
    ax = canvas.on(ax)
    x, weight = (None, None) if rows is None else known(rows, number)
    curves(ax, fit, seen, x, weight)
    ax.set_xlabel(names(fit, rows)[number])
    if meant := words(fit, number):
        ax.set_xticks(range(len(meant)), meant)
    canvas.legend(ax, f"share times {ax.get_ylabel()}")
    return ax


def curves(ax: Axes, fit: Fit[Any], seen: Components, x: Array | None, weight: Array | None) -> None:
    """The histogram, a curve a component, and their sum, in whatever Axes there is."""
    drawn = seen.draw(_DRAWN)[:, 0]
    told = drawn if x is None else np.concatenate([x, np.quantile(drawn, [0.002, 0.998])])
    discrete = _discrete(seen, drawn[:, None] if x is None else x[:, None])
    if discrete:
        at = np.arange(np.floor(told.min()), np.ceil(told.max()) + 1)
    else:
        margin = 0.05 * (told.max() - told.min())
        low, high = told.min() - margin, told.max() + margin
        near = np.quantile(drawn, np.linspace(0, 1, 201))
        at = np.unique(np.concatenate([np.linspace(low, high, _GRID), near[(near >= low) & (near <= high)]]))
    each = seen.densities(at[:, None])
    if x is not None:
        histogram(ax, x, weight, np.append(at, at[-1] + 1) - 0.5 if discrete and len(at) <= _BARS else None)
    way = {"markersize": 5, "linewidth": 0.8} if discrete else {"marker": "", "linewidth": 2.0}
    labels = called_each(fit, seen)
    for j, heights in enumerate(each.T):
        ax.plot(at, heights, **canvas.style(j) | way, label=labels[j])
    if each.shape[1] > 1:
        ax.plot(at, each.sum(axis=1), color=palette.INK, linewidth=1.4, linestyle=(0, (4, 2)), zorder=1.9, label="sum")
    ax.set_ylabel("probability" if discrete else "density")
    ax.set_ylim(bottom=0)


def histogram(ax: Axes, x: Array, weight: Array | None, edges: Array | None = None) -> None:
    """Bars whose areas add up to one, between these edges or equally wide."""
    bins: Any = int(np.clip(1.6 * np.sqrt(len(x)), 10, 60)) if edges is None else edges
    ax.hist(x, bins=bins, weights=weight, density=True, color=palette.FAINT, alpha=0.55, rwidth=0.9, label="data")


def known(rows: Rows, number: int) -> tuple[Array, Array]:
    """The values of a column that are there, and the weights of their rows."""
    x = rows.x[:, number]
    there = ~np.isnan(x)
    return x[there], rows.weight[there]


def _discrete(seen: Components, x: Array) -> bool:
    """Whether rows have probabilities; where the family does not say, whether all are whole numbers."""
    try:
        return bool(seen.family.atoms(x).all())
    except Unavailable:
        return bool((x == np.floor(x)).all())
