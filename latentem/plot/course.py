"""Pictures of how a fit came about: its steps, and its starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from latentem.arrays import Labels
from latentem.data.readers.reader import optional
from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.menu import picture
from latentem.run import History
from latentem.run.ranking import SAME_MODE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKED = 60
"""Up to so many steps each half of one is marked."""
_HALVES = (("m_gain", "M half", palette.M_HALF, "s"), ("e_gain", "E half", palette.E_HALF, "o"))


@picture
def history(fit: Fit[Any], what: str = "bound", *, ax: Axes | None = None) -> Axes:
    """Books of the best run, step by step, in nats.

    Args:
        fit: Any fit.
        what: "bound": the bound, or the objective where there is a prior or a temperature, after each half step, and
            the log likelihood that it ends at. "books": Q, and H upon it. "gains": of each half step, on a logarithmic
            axis; a leap that lost in one half has no point there. "remaining": the estimate of the gain that is left.
        ax: Where to draw; None for a new Axes.

    Raises:
        ValueError: there is no such `what`.
    """
    if what not in _BOOKS:
        raise ValueError(f"what was given as {what!r}: give one of {', '.join(map(repr, _BOOKS))}")
    ax = canvas.on(ax)
    _BOOKS[what](ax, fit, fit.history)
    ax.set_xlabel("step")
    ax.xaxis.set_major_locator(optional("matplotlib.ticker", "plot").MaxNLocator(integer=True))
    canvas.legend(ax)
    return ax


def _bound(ax: Axes, fit: Fit[Any], steps: History) -> None:
    same = bool((steps.objective == steps.bound).all())
    number, leapt = _numbers(steps), np.array([step.kind == "extrapolated" for step in steps])
    after_e, after_m = steps.objective, steps.objective - steps.e_gain
    between = ~leapt & np.isfinite(after_m)  # a leap may lose by itself: only with its E half it gains
    at = np.concatenate([number, number[between] - 0.5])
    order, heights = np.argsort(at), np.concatenate([after_e, after_m[between]])
    ax.plot(at[order], heights[order], color=palette.FAINT, linewidth=1.6, zorder=1)
    size = 26 if len(steps) <= _MARKED else 6
    for mine, back, values, colour, marker, label in (
        (between, 0.5, after_m, palette.M_HALF, "s", "after the M half"),
        (~leapt, 0.0, after_e, palette.E_HALF, "o", "after the E half"),
        (leapt, 0.0, after_e, palette.GREEN, "D", "after a leap"),
    ):
        if mine.any():
            look: dict[str, Any] = {"s": size, "color": colour, "marker": marker, "label": label, "zorder": 2}
            ax.scatter(number[mine] - back, values[mine], **look)
    if same and fit.log_evidence is not None:
        ax.axhline(fit.log_evidence, color=palette.INK, linewidth=1, linestyle=(0, (5, 4)), label="log likelihood")
    ax.set_ylabel("bound A = Q + H (nats)" if same else "objective (nats)")


def _books(ax: Axes, fit: Fit[Any], steps: History) -> None:
    ax.fill_between(_numbers(steps), steps.expected_log_joint, steps.bound, color=palette.SKY, alpha=0.35, label="H")
    ax.plot(_numbers(steps), steps.bound, color=palette.BLUE, linewidth=2, label="A = Q + H")
    ax.plot(_numbers(steps), steps.expected_log_joint, color=palette.VERMILLION, linewidth=2, label="Q")
    ax.set_ylabel("nats")


def _gains(ax: Axes, fit: Fit[Any], steps: History) -> None:
    for name, label, colour, marker in _HALVES:
        gains = getattr(steps, name)
        up = gains > 0
        look: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "markersize": 5 if len(steps) <= _MARKED else 2,
            "linewidth": 1,
        }
        ax.plot(_numbers(steps)[up], gains[up], **look, label=label)
    ax.set_yscale("log")
    ax.set_ylabel("gain (nats)")


def _remaining(ax: Axes, fit: Fit[Any], steps: History) -> None:
    known = np.isfinite(steps.remaining) & (steps.remaining > 0)
    ax.plot(_numbers(steps)[known], steps.remaining[known], color=palette.GREEN, marker="o", markersize=5, linewidth=1)
    ax.set_yscale("log")
    ax.set_ylabel("estimate of the remaining gain (nats)")


def _numbers(steps: History) -> Labels:
    return np.array([step.index for step in steps])  # history.index is a sequence's own


_BOOKS: Mapping[str, Callable[[Axes, Fit[Any], History], None]] = {
    "bound": _bound,
    "books": _books,
    "gains": _gains,
    "remaining": _remaining,
}


@picture
def starts(fit: Fit[Any], *, ax: Axes | None = None) -> Axes:
    """Ends of all starts: which maximum each of them reached, the best on top.

    Runs that ended within 1e-7 nats an observation of each other are at one maximum. Hollow: left on the way, for
    others were ahead. A cross: an end at which something is degenerate. A start that was degenerate itself has no end,
    and no point.

    Args:
        fit: A fit that `lem.fit` made.
        ax: Where to draw; None for a new Axes.

    Raises:
        ValueError: the fit has no starts, for its parameters were given.
    """
    if not fit.starts:
        raise ValueError("this fit has no starts, for its parameters were given: make it by lem.fit")
    order = sorted(range(len(fit.starts)), key=lambda i: -np.nan_to_num(fit.starts[i].objective, nan=-np.inf))
    ax = canvas.on(ax, (9.0, 1.2 + 0.34 * len(order)))
    modes: list[float] = []
    for place, i in enumerate(order):
        report = fit.starts[i]
        look: dict[str, Any] = {"s": 70, "zorder": 3}
        if not report.clean:
            label = "degenerate"
            look |= {"marker": "x", "color": palette.INK}
        elif not report.status.converged:
            label = "left on the way"
            look |= {"marker": "o", "facecolors": "none", "edgecolors": palette.INK}
        else:
            if not modes or modes[-1] - report.objective > SAME_MODE * fit.observations:
                modes.append(report.objective)
            label = f"maximum {len(modes)}"
            look |= canvas.style(len(modes) - 1)
        ax.scatter(report.objective, place, label=canvas.fresh(ax, label), **look)
    ax.hlines(range(len(order)), 0, 1, transform=ax.get_yaxis_transform(), color=palette.FAINT, linewidth=0.5, zorder=1)
    ax.set_yticks(
        range(len(order)), [f"{fit.starts[i].name}, {fit.starts[i].steps} steps" for i in order], fontsize="small"
    )
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.margins(x=0.08)
    ax.set_xlabel("objective at the end (nats)")
    canvas.legend(ax)
    return ax
