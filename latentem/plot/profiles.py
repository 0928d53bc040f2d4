"""Pictures over many columns: profiles of components, and the loadings of factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentem.arrays import Array
from latentem.core import Unavailable
from latentem.fitted import Fit
from latentem.plot import canvas, palette
from latentem.plot.menu import picture
from latentem.plot.view import LEVEL, called, chosen, names, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 60
"""So many columns are shown at most: more would be too small to read."""
_NUMBERS = 60
"""Up to so many loadings are written as numbers, too."""
_APART = 0.09
"""Of the radius: names in the plane are so far apart at least."""
_WIDTHS = ("sd", "scale", "sd of log")
"""How the description of a family calls half the width of a component."""


@picture
def profile(fit: Fit[Any], columns: Any = None, *, standardized: bool = False, ax: Axes | None = None) -> Axes:
    """Means of the components over the columns, with a standard deviation to each side where they have one.

    Of latent classes it is the probability of each level of each column; of a column with two levels that of the
    last. Columns without levels beside them are left out: choose them by `columns`. Of other families it is their
    first parameter that has a value a column, such as a rate.

    Args:
        fit: A fit whose model describes its components column by column.
        columns: At most 60, by name or number; None for all.
        standardized: Whether each column is measured from its mean in its standard deviations, both of the fit: for
            columns of different units. Only means have it.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the model describes no columns, or `standardized` is asked of components without deviations.
        TypeError, ValueError: a column is not there, or there are too many.
    """
    those = _few(fit, columns)
    described = fit.model.describe(fit.params, fit.expectation.statistics)
    middle, half, ticks, label, width = _levels(fit, described, those) or _figures(fit, described, those)
    if standardized:
        if half is None or width != "sd":
            raise Unavailable(f"there is no standard deviation beside {label!r}: leave out standardized")
        shares = np.asarray(fit.model.as_mixture(fit.params, fit.expectation.statistics)[0])
        mean = shares @ middle
        sd = np.sqrt(shares @ (half**2 + (middle - mean) ** 2))
        middle, half, label = (middle - mean) / sd, half / sd, f"{label}, in sds from that of all"
    ax = canvas.on(ax)
    k = len(middle)
    for j in range(k):
        at = np.arange(middle.shape[1]) + (0.0 if half is None else 0.3 * ((j + 0.5) / k - 0.5))
        look = canvas.style(j, markersize=7, linewidth=1.6, label=canvas.fresh(ax, called(fit, j)))
        if half is None:
            ax.plot(at, middle[j], **look)
        else:
            ax.errorbar(at, middle[j], yerr=half[j], capsize=3, elinewidth=1.2, **look)
    canvas.column_ticks(ax, ticks)
    ax.set_ylabel(label if half is None else f"{label} ± {width}")
    if label == "probability":
        ax.set_ylim(-0.03, 1.03)
    canvas.legend(ax)
    return ax


@picture
def loadings(
    fit: Fit[Any], columns: Any = None, *, plane: tuple[int, int] | None = None, ax: Axes | None = None
) -> Axes:
    """Loadings of the canonical factors in standard deviations of their columns: correlations of column and factor.

    Args:
        fit: A fit of `FactorAnalysis`.
        columns: At most 60, by name or number; None for all.
        plane: Two factors, such as (0, 1), whose loadings are drawn as arrows in a circle of radius one; None draws
            those of all factors as a heat map.
        ax: Where to draw; None for a new Axes.

    Raises:
        Unavailable: the model has no loadings.
        TypeError, ValueError: a column or a factor is not there, or there are too many columns.
    """
    those = _few(fit, columns)
    described = fit.model.describe(fit.params, fit.expectation.statistics)
    if "loading" not in described:
        raise Unavailable("it has no loadings, which are factor analysis's")
    _, family, params = fit.model.as_mixture(fit.params, fit.expectation.statistics)
    sd = np.sqrt(family.elliptical(params)[1][0].diagonal())
    values, ticks = (described["loading"] / sd)[:, those], [names(fit)[i] for i in those]
    if plane is not None and (
        not isinstance(plane, tuple | list) or len(plane) != 2 or not all(i in range(len(values)) for i in plane)
    ):
        raise ValueError(f"plane was given as {plane!r}: give two of the factors 0 to {len(values) - 1}")
    ax = canvas.on(ax)
    if plane is None:
        _map(ax, values, ticks)
        ax.set_xticks(range(len(values)), [called(fit, j) for j in range(len(values))])
    else:
        _arrows(ax, values[list(plane)], ticks)
        ax.set(xlabel=called(fit, plane[0]), ylabel=called(fit, plane[1]))
    return ax


def _few(fit: Fit[Any], columns: Any) -> tuple[int, ...]:
    those = chosen(fit, columns)
    if len(those) > _MOST:
        raise ValueError(f"{len(those)} columns are too many to read: choose at most {_MOST} by columns=")
    return those


def _levels(fit: Fit[Any], described: Any, those: tuple[int, ...]) -> tuple[Array, None, list[str], str, str] | None:
    """Probabilities of levels, shape (k, levels), where columns have them."""
    found: dict[int, list[tuple[int, Array]]] = {}
    for name, values in described.items():
        if match := LEVEL.fullmatch(name):
            found.setdefault(int(match[1]), []).append((int(match[2]), values))
    if not found:
        return None
    rows, ticks = [], []
    for i in (i for i in those if i in found):
        meant = words(fit, i)
        levels = found[i][-1:] if len(found[i]) == 2 else found[i]
        for level, values in levels:
            rows.append(values)
            ticks.append(f"{names(fit)[i]} = {meant[level] if meant else level}")
    return (np.column_stack(rows), None, ticks, "probability", "") if rows else None


def _figures(fit: Fit[Any], described: Any, those: tuple[int, ...]) -> tuple[Array, Array | None, list[str], str, str]:
    """The first figure that has a value a column, shape (k, columns), and half the width beside it."""
    wide = {name: values for name, values in described.items() if np.ndim(values) == 2}
    if not wide:
        raise Unavailable("it describes no columns of its components")
    label = next(iter(wide))
    there = [i for i in those if i < wide[label].shape[1] and not np.isnan(wide[label][:, i]).all()]
    if not there:
        raise ValueError(f"columns {[names(fit)[i] for i in those]} have no {label}: choose others")
    width = next((name for name in _WIDTHS if name in wide), "")
    half = wide[width][:, there] if width else None
    return wide[label][:, there], half, [names(fit)[i] for i in there], label, width


def _map(ax: Axes, values: Array, ticks: list[str]) -> None:
    image = ax.imshow(values.T, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
    ax.set_yticks(range(len(ticks)), ticks)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    if values.size <= _NUMBERS:
        for (j, i), value in np.ndenumerate(values):
            ink = "white" if abs(value) > 0.65 else palette.INK
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink)
    ax.figure.colorbar(image, ax=ax, label="loading, in sds of the column")


def _arrows(ax: Axes, values: Array, ticks: list[str]) -> None:
    turn = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(turn), np.sin(turn), color=palette.FAINT, linewidth=1)
    ax.axhline(0, color=palette.FAINT, linewidth=0.8)
    ax.axvline(0, color=palette.FAINT, linewidth=0.8)
    for x, y in values.T:
        ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": palette.BLUE, "linewidth": 1.5})
    for side in (values[0] >= 0, values[0] < 0):
        lowest = -np.inf
        for i in sorted(np.flatnonzero(side), key=lambda i: values[1, i]):
            x, y = values[:, i]
            lowest = max(y, lowest + _APART)  # names that would lie on one another go one above the other
            ax.text(x + (0.04 if x >= 0 else -0.04), lowest, ticks[i], ha="left" if x >= 0 else "right", va="center")
    ax.set(xlim=(-1.25, 1.25), ylim=(-1.15, 1.15), aspect="equal")
