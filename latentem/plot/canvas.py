"""Where pictures are drawn: an Axes that is given, or a new one; and how each of them labels it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from latentem.data.readers.reader import optional
from latentem.plot import palette

if TYPE_CHECKING:  # matplotlib is loaded when something is drawn, and not before
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

_FEW = 12
"""So many entries most legends have at most: a longer one would be a picture of its own."""


def on(ax: Any, size: tuple[float, float] | None = None) -> Axes:
    """The Axes to draw on. One that is given keeps the style that it has.

    A new one is pyplot's, so that a notebook, or `plt.show()`, shows it.

    Args:
        ax: What was given.
        size: Width and height of a new one in inches; None: as matplotlib is set.

    Raises:
        ImportError: matplotlib is missing; the message says how to install it.
        TypeError: what was given is no Axes.
    """
    axes = optional("matplotlib.axes", "plot")
    if ax is None:
        _, made = optional("matplotlib.pyplot", "plot").subplots(figsize=size, layout="constrained")
        plain(made)
        return made
    if not isinstance(ax, axes.Axes):
        raise TypeError(f"ax was given as {ax!r}: give an Axes of matplotlib, or None for a new one")
    return ax


def plain(ax: Axes) -> None:
    """Take away the frame where no values are read."""
    ax.spines[["top", "right"]].set_visible(False)


def legend(ax: Axes, title: str | None = None, least: int = 2, most: int = _FEW) -> None:
    """Say what is what, beside the picture where its Figure makes room for it; one that is there already stays.

    Args:
        ax: The picture.
        title: Above the entries.
        least: From how many entries on there is one.
        most: Up to how many.
    """
    handles, _ = ax.get_legend_handles_labels()
    if not least <= len(handles) <= most or ax.get_legend() is not None:
        return
    figure = ax.get_figure(root=True)
    roomy = figure is not None and figure.get_layout_engine() is not None
    where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if roomy else {"loc": "best"}
    made = ax.legend(title=title, frameon=not roomy, alignment="left", **where)
    even(made)


def fresh(ax: Axes, label: str) -> str | None:
    """The label, if nothing in the picture has it: what is drawn over a picture need not be said twice."""
    return None if label in ax.get_legend_handles_labels()[1] else label


def even(made: Legend) -> None:
    """Give all points in a legend one size: in the picture they are of many."""
    for handle in made.legend_handles:
        if handle is not None and "sizes" in handle.properties():
            handle.set(sizes=[36.0])


def column_ticks(ax: Axes, names: Iterable[str]) -> None:
    """Names along the horizontal axis, slanted where they would run into one another."""
    names = list(names)
    slanted = sum(map(len, names)) > 60 or max(map(len, names)) > 14
    ax.set_xticks(range(len(names)), names)
    if slanted:
        for label in ax.get_xticklabels():
            label.set(rotation=40, horizontalalignment="right", rotation_mode="anchor")


def style(j: int, **more: Any) -> dict[str, Any]:
    """Colour and marker of component j, as keyword arguments."""
    return {"color": palette.colour(j), "marker": palette.marker(j), **more}
