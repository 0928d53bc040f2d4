"""Pictures of a recording: the distortion step by step, the tangent of the log likelihood, a strip of half steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import evolve

from latentem.arrays import Array
from latentem.core import Unavailable
from latentem.data.readers.reader import optional
from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.lines import curves, known
from latentem.plot.menu import ringed
from latentem.plot.plane import add_ellipses, axis_names, rgb
from latentem.plot.view import Components, Rows, chosen, names
from latentem.teaching.lines import Line
from latentem.teaching.trace import Frame, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 12
"""So many frames a strip has at most."""
_ACROSS = 4
"""So many stand side by side."""
_MASS = (0.95,)


def inertia(trace: Trace, *, ax: Axes | None = None) -> Axes:
    """Distortion J after each half step: after each assignment in blue, after each refit in red.

    Args:
        trace: A recording of K-means, or of another model with hard labels.
        ax: Where to draw; None for a new Axes.

    Raises:
        TypeError: it is no recording.
        Unavailable: the labels are not hard.
    """
    _refuse_other(trace, "inertia")
    frames = [frame for frame in trace if frame.distortion is not None]
    if not frames:
        raise Unavailable(f"no inertia of {trace.model!r}: its labels are not hard; use KMeans or Hard(model)")
    at, heights = np.array([frame.index for frame in frames]) / 2, np.array([frame.distortion for frame in frames])
    ax = canvas.on(ax)
    ax.plot(at, heights, color=palette.FAINT, linewidth=1.6, zorder=1)
    for kind, label, colour, marker in (
        ("E", "after assigning the rows", palette.E_HALF, "o"),
        ("M", "after moving the centres", palette.M_HALF, "s"),
    ):
        mine = np.array([frame.kind == kind for frame in frames])
        ax.scatter(at[mine], heights[mine], s=36, color=colour, marker=marker, label=label, zorder=2)
    ax.xaxis.set_major_locator(optional("matplotlib.ticker", "plot").MaxNLocator(integer=True))
    ax.set(xlabel="step", ylabel="distortion J")
    canvas.legend(ax)
    return ax


def tangent(trace: Trace, index: int = 1, line: Line | str = "next", *, ax: Axes | None = None) -> Axes:
    """The log likelihood along a line through the parameters, and the bound of one q under it, which touches it.

    The next parameters are where the bound is highest on the line: the log likelihood has risen there by as much at
    least.

    Args:
        trace: A recording.
        index: Of a frame: its q is held.
        line: As for `trace.tangent`: the name of a number, such as "components.means[0, 1]", "next", or a `Line`.
        ax: Where to draw; None for a new Axes.

    Raises:
        TypeError: it is no recording.
        ValueError: there is no such frame, number, or half step.
        Unavailable: the model has no log evidence.
    """
    _refuse_other(trace, "tangent")
    found = trace.tangent(_frame(trace, index).index - trace[0].index, line)
    ax = canvas.on(ax)
    highest = int(found.bound.argmax())
    here = int(np.flatnonzero(found.places == found.here)[0])
    ax.plot(found.places, found.log_likelihood, color=palette.INK, linewidth=2, label="log likelihood")
    ax.plot(found.places, found.bound, color=palette.BLUE, linewidth=2, label="bound A(·, q)")
    for at, heights, colour, marker, label in (
        (here, found.bound, palette.E_HALF, "o", "q is the posterior here"),
        (highest, found.bound, palette.M_HALF, "s", "A is highest here"),
    ):
        ax.scatter(found.places[at], heights[at], s=60, color=colour, marker=marker, label=label, zorder=3)
    rise = found.places[highest], found.bound[highest], found.log_likelihood[highest]
    ax.vlines(rise[0], rise[1], rise[2], color=palette.M_HALF, linewidth=1.4, linestyle=(0, (2, 2)))
    ax.set(xlabel=found.name, ylabel="nats")
    canvas.legend(ax)
    return ax


def filmstrip(
    trace: Trace, frames: Sequence[int] | None = None, columns: Any = None, *, figure: Any = None
) -> npt.NDArray[np.object_]:
    """Half steps side by side: rows in the colours of their responsibilities, with the components as they are.

    A row that may be of two components has a colour between theirs. Of one column it is the histogram with the
    densities.

    Args:
        trace: A recording of a model whose latents are labels of rows.
        frames: Numbers of the frames, at most 12; None: the first eight.
        columns: One or two, by name or number; None where rows have no more.
        figure: An empty Figure to draw in; None for a new one.

    Returns:
        The Axes, one a frame, in a vector. The Figure is `axes[0].figure`.

    Raises:
        TypeError: it is no recording.
        ValueError: there is no such frame or column, or there are too many.
        Unavailable: the latents are no labels.
    """
    _refuse_other(trace, "filmstrip")
    numbers = (
        list(range(min(8, len(trace)))) if frames is None else [*frames] if isinstance(frames, Iterable) else [frames]
    )
    if not 1 <= len(numbers) <= _MOST:
        raise ValueError(f"{len(numbers)} frames were asked for: choose from 1 to {_MOST}, as in frames=[0, 1, 2, 3]")
    shown = [_frame(trace, number) for number in numbers]
    fits = [_at(trace, frame) for frame in shown]
    rows = Rows.of(fits[0], trace.chunks)
    those = chosen(fits[0], columns, rows=rows)
    if len(those) > 2:
        there = names(fits[0], rows)
        raise ValueError(f"{len(those)} of the columns {there} were asked for: choose two, as in columns=(0, 1)")
    down, across = -(-len(shown) // _ACROSS), min(len(shown), _ACROSS)
    if figure is None:
        pyplot = optional("matplotlib.pyplot", "plot")
        figure = pyplot.figure(figsize=(3.0 * across + 0.4, 2.9 * down + 0.4), layout="constrained")
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    axes = grid.ravel()[: len(shown)]
    for ax in grid.ravel()[len(shown) :]:
        ax.remove()
    for place, (ax, frame, fit) in enumerate(zip(axes, shown, fits, strict=True)):
        canvas.plain(ax)
        _still(ax, trace, frame, fit, rows, those)
        below = place + across < len(shown)
        ax.set(xlabel="" if below else ax.get_xlabel(), ylabel=ax.get_ylabel() if place % across == 0 else "")
        ax.tick_params(labelbottom=not below)
        colour = {"E": palette.E_HALF, "M": palette.M_HALF}.get(frame.kind, palette.INK)
        ax.set_title(_caption(frame), loc="left", fontsize="medium", color=colour)
    return axes


def _still(ax: Axes, trace: Trace, frame: Frame, fit: Fit[Any], rows: Rows, those: tuple[int, ...]) -> None:
    try:
        seen: Components | None = Components.of(fit, those)
    except Unavailable:
        seen = None
    if len(those) == 1:
        if seen is None:
            raise Unavailable(f"no filmstrip of one column of {trace.model!r}: its density is not known")
        curves(ax, fit, seen, *known(rows, those[0]))
        ax.set_xlabel(names(fit, rows)[those[0]])
        return
    x = rows.x[:, those]
    if frame.q_params is None:
        ax.scatter(x[:, 0], x[:, 1], s=12, color=palette.FAINT, linewidths=0)
    else:
        _blended(ax, x, trace.responsibilities(frame.index - trace[0].index))
    axis_names(ax, names(fit, rows), those)
    if seen is not None:
        try:
            rings = ringed(seen)
        except Unavailable:
            return
        # Of hard labels the centres say all.
        add_ellipses(ax, rings, () if np.isfinite(trace.distortion).any() else _MASS, [None] * len(seen.shares))


def _blended(ax: Axes, x: Array, responsibilities: Array) -> None:
    palette_rows = np.array([rgb(palette.colour(j)) for j in range(responsibilities.shape[1])])
    tints, likeliest = np.clip(responsibilities @ palette_rows, 0, 1), responsibilities.argmax(axis=1)
    for j in range(responsibilities.shape[1]):
        mine = likeliest == j
        ax.scatter(x[mine, 0], x[mine, 1], s=14, c=tints[mine], marker=palette.marker(j), linewidths=0)


def _caption(frame: Frame) -> str:
    if frame.kind == "start":
        return "start"
    figure = f"J = {frame.distortion:.5g}" if frame.distortion is not None else f"A = {frame.bound:.2f}"
    return f"{frame.index} {frame.kind}: {figure}".replace("-", "\N{MINUS SIGN}")


def _at(trace: Trace, frame: Frame) -> Fit[Any]:
    """The parameters of a frame as a fit."""
    fit = Fit.of(trace.model, frame.params, list(trace.chunks))
    return evolve(fit, columns=trace.columns, categories=trace.categories)


def _frame(trace: Trace, number: Any) -> Frame:
    if not isinstance(number, Integral) or isinstance(number, bool) or not -len(trace) <= int(number) < len(trace):
        raise ValueError(f"frame {number!r} is not there: the recording has frames 0 to {len(trace) - 1}")
    return trace[int(number)]


def _refuse_other(trace: Any, name: str) -> None:
    if not isinstance(trace, Trace):
        raise TypeError(
            f"{name} was given a {type(trace).__name__}: give a recording, lem.record(model, data) or "
            "lem.record(fit, data)"
        )
