"""Pictures of two columns: ellipses of components, contours of the density, rows by label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtri, fdtri

from latentem.arrays import Array, Labels
from latentem.core import Unavailable
from latentem.data.readers.reader import optional
from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.menu import picture, ringed
from latentem.plot.view import Components, Rows, called, called_each, chosen, labelled, names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWN = 20_000
"""Rows that the model draws to find the level of a region: it puts a mass of 0.95 off by 0.0015."""
_GRID = 200
_MOST = 20_000
"""So many rows are drawn as points at most, evenly spaced: more would be a blot."""
_SMALL, _LARGE = 14.0, 120.0
"""Areas of the points of a row that is certain, and of one that could be of any component, in square points."""


@picture
def ellipses(fit: Fit[Any], columns: Any = None, *, mass: Any = (0.5, 0.95), ax: Axes | None = None) -> Axes:
    """Ellipses that hold a share of the probability of each component, and its centre.

    In two columns of more they are those of the exact marginal. A t distribution has wider ones than a normal one.
    What has no ellipse, such as noise, is left out.

    Args:
        fit: Gaussian or Student components, K-means, factor analysis, or columns of these in a `Product`.
        columns: Two, by name or number; None where the fit has two.
        mass: The share that an ellipse holds, above 0 and below 1; several are drawn inside one another.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the components have no ellipses; the message says which pictures there are.
        TypeError, ValueError: a column is not there, there are more than two, or a mass is none.
    """
    pair = chosen(fit, columns, 2, ", or use pairs")
    masses = shares_of(mass)
    seen = Components.of(fit, pair)
    rings = ringed(seen)
    ax = canvas.on(ax)
    add_ellipses(ax, rings, masses, [canvas.fresh(ax, word) for word in called_each(fit, seen)])
    axis_names(ax, names(fit), pair)
    canvas.legend(ax, f"{_percent(masses)} of each", least=1)
    return ax


def add_ellipses(ax: Axes, rings: tuple[Array, Array, Array], masses: Sequence[float], labels: Sequence[Any]) -> None:
    """Ellipses and centres of components: what `Family.elliptical` gives in two columns, with a label each."""
    centres, scales, dof = rings
    patches = optional("matplotlib.patches", "plot")
    for j, (centre, scale) in enumerate(zip(centres, scales, strict=True)):
        if np.isnan(centre).any():
            continue
        # The factor maps the unit circle to the ellipse; its singular values are the half axes, and none is squared.
        turn, halves, _ = np.linalg.svd(np.linalg.cholesky(scale))
        for share in sorted(masses, reverse=True):
            across, along = 2 * radius(share, float(dof[j])) * halves
            angle = float(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])))
            shape: dict[str, Any] = {"xy": centre, "width": across, "height": along, "angle": angle, "zorder": 2.5}
            ax.add_patch(patches.Ellipse(**shape, facecolor=palette.colour(j), edgecolor="none", alpha=0.12))
            ax.add_patch(patches.Ellipse(**shape, fill=False, edgecolor=palette.colour(j), linewidth=1.5))
        look: dict[str, Any] = {"color": palette.colour(j), "marker": "P", "markersize": 12, "markeredgecolor": "white"}
        ax.plot(centre[:1], centre[1:], linestyle="", zorder=4, label=labels[j], **look)
    ax.autoscale_view()


@picture
def density(
    fit: Fit[Any], data: Any = None, columns: Any = None, *, mass: Any = (0.25, 0.5, 0.75, 0.95), ax: Axes | None = None
) -> Axes:
    """Contours of the density around the smallest regions that hold a share of its probability.

    The level of a region is a quantile of the density at rows that the model draws (Hyndman, 1996), always the same
    20,000 ones.

    Args:
        fit: Any fit whose rows have a density that the model can say in these two columns.
        data: Rows to draw as points, or None.
        columns: Two, by name or number; None where the fit has two.
        mass: Shares that the regions hold, above 0 and below 1.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: rows have probabilities, or the density of these columns is not known.
        TypeError, ValueError: a column is not there, there are more than two, or a mass is none.
    """
    rows = None if data is None else Rows.of(fit, data)
    pair = chosen(fit, columns, 2, ", or use pairs", rows)
    masses = shares_of(mass)
    seen = Components.of(fit, pair)
    x = seen.draw(_DRAWN)
    if seen.family.atoms(x).any():
        raise Unavailable("its rows have probabilities and not densities, which have no contours")
    heights = seen.densities(x).sum(axis=1)
    levels = np.unique(np.quantile(heights, 1 - np.sort(masses)[::-1]))  # (eq: regions)
    inside = x[heights >= levels[0]]
    low, high = inside.min(axis=0), inside.max(axis=0)
    room = 0.08 * (high - low)
    across, along = (np.linspace(low[i] - room[i], high[i] + room[i], _GRID) for i in (0, 1))
    grid = np.stack(np.meshgrid(across, along), axis=-1)
    surface = seen.densities(grid.reshape(-1, 2)).sum(axis=1).reshape(_GRID, _GRID)

    ax = canvas.on(ax)
    tints = [(*rgb(palette.BLUE), opacity) for opacity in np.linspace(0.12, 0.5, len(levels))]
    edges = [*levels * (1 - 1e-9), max(surface.max(), levels[-1]) * (1 + 1e-9)]
    ax.contourf(across, along, surface, levels=edges, colors=tints)
    ax.contour(across, along, surface, levels=edges[:-1], colors=palette.BLUE, linewidths=1.2)
    if len(levels) == len(masses):
        for share, tint in zip(sorted(masses, reverse=True), tints, strict=True):
            ax.fill_between([], [], color=tint, label=_percent([share]))
    if rows is not None:
        x = rows.x[_thinned(len(rows.x))]
        ax.scatter(x[:, pair[0]], x[:, pair[1]], s=9, color=palette.INK, alpha=0.5, linewidths=0, zorder=3)
    axis_names(ax, names(fit, rows), pair)
    canvas.legend(ax, "smallest region with", least=1)
    return ax


@picture
def classification(fit: Fit[Any], data: Any, columns: Any = None, *, ax: Axes | None = None) -> Axes:
    """Rows by their most probable label: the less certain, the larger.

    Of more than 20,000 rows evenly spaced ones are drawn. Rows that lack one of the two values are not.

    Args:
        fit: A fit whose latents are labels of rows.
        data: As for `fit.predict`.
        columns: Two, by name or number; None where the fit has two.
        ax: Where to draw; None for a new Axes. `ellipses(fit, columns, ax=ax)` adds those of the components.

    Raises:
        Unavailable: the latents are no labels.
        TypeError, ValueError: a column is not there, or there are more than two.
    """
    rows = Rows.of(fit, data)
    pair = chosen(fit, columns, 2, ", or use pairs", rows)
    labels, responsibilities = labelled(fit, data, rows)
    ax = canvas.on(ax)
    scatter(ax, fit, rows.x[:, pair], labels, responsibilities)
    axis_names(ax, names(fit, rows), pair)
    canvas.legend(ax, "larger: less certain" if (responsibilities.max(axis=1) < 1).any() else None)
    return ax


def scatter(ax: Axes, fit: Fit[Any], x: Array, labels: Any, responsibilities: Array, scale: float = 1.0) -> None:
    """Points by label, one collection a component; those of uncertain rows are larger, and lie on top."""
    k = responsibilities.shape[1]
    doubt = (1 - responsibilities.max(axis=1)) / (1 - 1 / k) if k > 1 else np.zeros(len(x))
    kept = _thinned(len(x))
    for j in range(k):
        mine = kept[labels[kept] == j]
        mine = mine[np.argsort(doubt[mine], kind="stable")]
        ax.scatter(
            x[mine, 0],
            x[mine, 1],
            s=scale * (_SMALL + (_LARGE - _SMALL) * doubt[mine]),
            alpha=0.75,
            linewidths=0.4,
            edgecolors="white",
            rasterized=len(kept) > 5000,
            label=canvas.fresh(ax, called(fit, j)),
            **canvas.style(j),
        )


def radius(mass: float, dof: float, d: int = 2) -> float:
    """Half axis, in scales, of the ellipsoid that holds this share of a t density in d columns; infinite: normal.

    "Pictures" in docs/mathematics.md.
    """
    if np.isinf(dof):
        return float(np.sqrt(chdtri(d, 1 - mass)))  # (eq: ellipses)
    return float(np.sqrt(d * fdtri(d, dof, mass)))  # (eq: ellipses)


def shares_of(mass: Any) -> list[float]:
    """Shares of probability, one or several.

    Raises:
        ValueError: one is not above 0 and below 1, or there is none.
    """
    given = list(mass) if isinstance(mass, Iterable) else [mass]
    if not given or not all(isinstance(share, Real) and 0 < float(share) < 1 for share in given):
        raise ValueError(f"mass was given as {mass!r}: give shares of probability above 0 and below 1, such as 0.95")
    return [float(share) for share in given]


def axis_names(ax: Axes, there: Sequence[str], pair: tuple[int, ...]) -> None:
    """Put the names of two columns along the axes."""
    ax.set(xlabel=there[pair[0]], ylabel=there[pair[1]])


def _percent(masses: Iterable[float]) -> str:
    return " and ".join(f"{100 * share:.3g} %" for share in sorted(masses))


def _thinned(n: int) -> Labels:
    """Numbers of at most so many of n rows as are drawn, evenly spaced."""
    return np.linspace(0, n - 1, min(n, _MOST)).astype(int)


def rgb(colour: str) -> tuple[float, float, float]:
    """A colour as three shares of light."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue
