"""Pictures of sequences: the path of states through one of them, with what was observed."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from latentem.arrays import Labels
from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.menu import picture
from latentem.plot.view import Rows, called, chosen, names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STRIP = 0.06
"""Height of the strip, as a share of the picture."""


@picture
def states(fit: Fit[Any], data: Any, column: Any = None, *, sequence: int = 0, ax: Axes | None = None) -> Axes:
    """Observations of one sequence over time, coloured by state, over a strip of its most probable path (Viterbi).

    Args:
        fit: A fit whose units are sequences.
        data: As for `fit.decode`.
        column: What is observed, by name or number; None where the fit has one column.
        sequence: Which of several sequences, counted from 0.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the units are no sequences.
        TypeError, ValueError: a column or the sequence is not there, or there is more than one column.
    """
    rows, paths = Rows.of(fit, data), fit.decode(data)
    (number,) = chosen(fit, column, 1, rows=rows)
    if not isinstance(sequence, Integral) or not 0 <= sequence < len(paths):
        raise ValueError(f"sequence was given as {sequence!r}: the data have {len(paths)}, counted from 0")
    begin = sum(map(len, paths[:sequence]))
    path = paths[sequence]
    x = rows.x[begin : begin + len(path), number]
    ax = canvas.on(ax, (9.0, 4.0))
    at = np.arange(len(path))
    ax.plot(at, x, color=palette.FAINT, linewidth=1.0, zorder=1)
    for j in range(int(path.max()) + 1):
        mine = path == j
        size = 20 if len(path) <= 400 else 8
        ax.scatter(
            at[mine], x[mine], s=size, linewidths=0, label=canvas.fresh(ax, called(fit, j)), zorder=2, **canvas.style(j)
        )
        ax.broken_barh(
            stretches(mine), (0, _STRIP), transform=ax.get_xaxis_transform(), color=palette.colour(j), linewidth=0
        )
    low, high = np.nanmin(x), np.nanmax(x)
    room = 0.05 * ((high - low) or 1.0)
    ax.set_ylim(low - room - (_STRIP + 0.03) * (high - low + 2 * room), high + room)
    ax.set(xlabel="time", ylabel=names(fit, rows)[number], xlim=(-0.5, len(path) - 0.5))
    canvas.legend(ax)
    return ax


def stretches(there: Any) -> list[tuple[float, int]]:
    """Where a path is in a state without a break, boolean of shape (t,): a beginning and a length each."""
    edges: Labels = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    return [(float(begin) - 0.5, int(end - begin)) for begin, end in edges.reshape(-1, 2)]
