"""The picture of a selection: a criterion against the number of components."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from latentem.core import Unavailable
from latentem.data.readers.reader import optional
from latentem.plot import canvas, palette
from latentem.selection import Contender, Selection
from latentem.selection.contender import CRITERIA

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def criteria(selection: Selection, criterion: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Curves of a criterion against the number of components, lower is better: one for models that differ in k alone.

    A fit that is not clean is a hollow point, and no curve goes through it. A ring is around the best.

    Args:
        selection: What `lem.select` gives.
        criterion: "bic", "icl" or "aic"; None: the one that the selection is ranked by.
        ax: Where to draw; None for a new Axes.

    Raises:
        TypeError: this is no selection.
        ValueError: there is no such criterion.
        Unavailable: no candidate has both a number of components and such a figure.
    """
    if not isinstance(selection, Selection):
        raise TypeError(f"criteria was given a {type(selection).__name__}: give a Selection, as lem.select gives it")
    ranked = selection if criterion is None else selection.by(criterion)
    figures = {one.name: one.figure(ranked.criterion) for one in ranked}
    curves: dict[str, list[tuple[int, float, bool]]] = {}
    for one in ranked:
        figure, k = figures[one.name], one.k
        if figure is not None and k is not None:
            curves.setdefault(_curve(one), []).append((k, figure, one.clean))
    if not curves:
        written = CRITERIA[ranked.criterion]
        raise Unavailable(f"no candidate has both a number of components and {written}: print table()")
    ax = canvas.on(ax, (8.0, 5.0))
    for number, (label, points) in enumerate(curves.items()):
        points.sort()
        look = canvas.style(number, markersize=5)
        clean = [(k, figure) for k, figure, sound in points if sound]
        if clean:
            ax.plot(*zip(*clean, strict=True), **look, linewidth=1.2, label=label or ranked.headline)
        for k, figure, sound in points:
            if not sound:
                ax.plot([k], [figure], **look, markerfacecolor="none", linestyle="none")
    best = ranked.ranked[0]
    if best.clean and best.k is not None and (least := figures[best.name]) is not None:
        ring: dict[str, Any] = {"s": 160, "facecolors": "none", "edgecolors": palette.INK, "zorder": 3}
        ax.scatter([best.k], [least], **ring, label=f"best: {best.name}")
    ax.set_xlabel("number of components k")
    ax.set_ylabel(f"{CRITERIA[ranked.criterion]} (lower is better)")
    ax.xaxis.set_major_locator(optional("matplotlib.ticker", "plot").MaxNLocator(integer=True))
    canvas.legend(ax, most=20)
    return ax


def _curve(one: Contender) -> str:
    """The name of a candidate without its number of components."""
    if one.name == str(one.k):
        return ""
    if one.name.endswith(f",{one.k}"):
        return one.name.removesuffix(f",{one.k}")
    return re.sub(rf"\b{one.k}\b", "k", one.name, count=1)
