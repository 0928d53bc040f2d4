"""Pictures of how sure a fit is of its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.menu import picture
from latentem.plot.view import called, labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@picture
def uncertainty(fit: Fit[Any], data: Any, *, ax: Axes | None = None) -> Axes:
    """Uncertainty of each row, one minus its largest responsibility, from the surest row to the least sure.

    Args:
        fit: A fit whose latents are labels.
        data: As for `fit.predict`.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the latents are no labels.
    """
    _, responsibilities = labelled(fit, data)
    likeliest, doubt = responsibilities.argmax(axis=1), 1 - responsibilities.max(axis=1)
    order = np.argsort(doubt, kind="stable")
    k = responsibilities.shape[1]
    ax = canvas.on(ax)
    at = np.arange(1, len(order) + 1)
    ax.plot(at, doubt[order], color=palette.FAINT, linewidth=1.0, zorder=1)
    for j in range(k):
        mine = likeliest[order] == j
        ax.scatter(
            at[mine], doubt[order][mine], s=22, linewidths=0, label=canvas.fresh(ax, called(fit, j)), **canvas.style(j)
        )
    ax.set(xlabel="rows, the surest first", ylabel="1 - largest responsibility", ylim=(-0.02, None))
    canvas.legend(ax, "most probable")
    return ax


@picture
def responsibilities(fit: Fit[Any], data: Any, *, ax: Axes | None = None) -> Axes:
    """Responsibilities of all rows as stacked bands, one a component.

    Rows are ordered by their most probable label, and then by its responsibility: a band that is full is sure.

    Args:
        fit: A fit whose latents are labels.
        data: As for `fit.predict`.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the latents are no labels.
    """
    _, shares = labelled(fit, data)
    order = np.lexsort((-shares.max(axis=1), shares.argmax(axis=1)))
    ax = canvas.on(ax)
    edges = np.arange(len(shares) + 1)
    tops = np.zeros((len(shares) + 1, shares.shape[1] + 1))
    tops[:-1, 1:] = shares[order].cumsum(axis=1)
    tops[-1] = tops[-2]
    for j in range(shares.shape[1]):
        ax.fill_between(
            edges,
            tops[:, j],
            tops[:, j + 1],
            step="post",
            color=palette.colour(j),
            linewidth=0,
            label=canvas.fresh(ax, called(fit, j)),
        )
    ax.set(xlabel="rows, by label", ylabel="responsibility", xlim=(0, len(shares)), ylim=(0, 1))
    canvas.legend(ax)
    return ax
