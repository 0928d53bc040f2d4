"""Pictures of how the data depart from a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import betaincinv

from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.lines import known
from latentem.plot.menu import picture
from latentem.plot.view import Components, Rows, chosen, names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWN = 100_000
"""Rows that the model draws, of which its quantiles are."""
_POINTS = 500
"""The most points that are drawn, evenly spread over the rows."""


@picture
def qq(fit: Fit[Any], data: Any, column: Any = None, *, mass: float = 0.95, ax: Axes | None = None) -> Axes:
    """Quantiles of one column of the data over those of the fit: on the diagonal where the fit is right.

    The i-th of n rows is, as a probability of the fit, Beta(i, n - i + 1) if the rows are drawn from it, so that a band
    holds each point by itself with the mass that is asked for. Parameters that were fitted to the same rows make the
    points lie closer. The quantiles of the fit are those of 100,000 draws.

    Args:
        fit: Any fit whose model can draw this column.
        data: Rows, with their weights if they have any.
        column: By name or number; None where the fit has one.
        mass: The probability that the band holds a point.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the model cannot draw this column.
        TypeError, ValueError: a column is not there, there is more than one, or the mass is no probability.
    """
    if isinstance(mass, bool) or not isinstance(mass, int | float) or not 0 < mass < 1:
        raise ValueError(f"mass was given as {mass!r}: give a probability between 0 and 1, such as 0.95")
    rows = Rows.of(fit, data)
    (number,) = chosen(fit, column, 1, "", rows)
    x, weight = known(rows, number)
    order = np.argsort(x[weight > 0], kind="stable")
    x, weight = x[weight > 0][order], weight[weight > 0][order]
    n = weight.sum()
    middle = (weight.cumsum() - weight / 2) / n
    shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
    x, middle = x[shown], middle[shown]
    drawn = np.sort(Components.of(fit, (number,)).draw(_DRAWN)[:, 0])
    ends = [betaincinv(n * middle + 0.5, n * (1 - middle) + 0.5, p) for p in ((1 - mass) / 2, (1 + mass) / 2)]
    expected, low, high = (np.quantile(drawn, p) for p in (middle, *ends))
    ax = canvas.on(ax)
    ax.fill_between(
        expected, low, high, color=palette.FAINT, alpha=0.55, linewidth=0, label=f"{100 * mass:g} % of each"
    )
    ax.plot(expected, expected, color=palette.INK, linewidth=1.0, label="the fit")
    ax.scatter(expected, x, s=12, linewidths=0, color=palette.colour(0), zorder=3, label="rows")
    name = names(fit, rows)[number]
    ax.set(xlabel=f"{name}, quantiles of the fit", ylabel=f"{name}, quantiles of the data")
    canvas.legend(ax)
    return ax
