"""The data space of a page: a plane of two columns, a rug of one, a strip of states, the plane of loadings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.special import chdtri, fdtri

from latentem.arrays import Array
from latentem.core import Degenerate, Unavailable
from latentem.teaching.page.packing import fine, levels, shares
from latentem.teaching.page.study import Shape, Study

MASSES = (0.5, 0.95)
"""Shares of a component's probability that its ellipses hold."""
_GRID = 121
_DENSITIES = 4000
"""So many values of densities a page holds, about."""
_COUNTS = 200
"""Counts up to so many apart are drawn as such."""


def space(study: Study, truth: Any) -> dict[str, Any]:
    """The data space of a trace, by the first of the kinds that can show it; "none", and why, where none can."""
    true = None if truth is None else (truth, _statistics(study, truth))
    why = ""
    for kind in _KINDS:
        try:
            if (found := kind(study, true)) is not None:
                return found
        except Unavailable as error:
            why = str(error)
    return {"kind": "none", "why": why}


def _statistics(study: Study, truth: Any) -> Any:
    """The statistics at the truth.

    Raises:
        ValueError: it is none for these data.
    """
    try:
        return study.statistics_at(truth)
    except (ValueError, Degenerate) as error:
        what = f"truth was given as parameters that these data cannot have come from ({error})"
        raise ValueError(f"{what}: give parameters of {study.trace.model!r} for rows like these, or None") from None


def _loadings(study: Study, truth: Any) -> dict[str, Any] | None:
    """Loadings of the factors in standard deviations of their columns, at each of the parameters."""
    described = study.trace.model.describe(study.params[-1], study.expectations[-1].statistics)
    if "loading" not in described:
        return None
    pairs = [(params, e.statistics) for params, e in zip(study.params, study.expectations, strict=True)]
    found = [_standard(study, *pair) for pair in pairs]
    for i in range(len(found) - 2, -1, -1):  # the sign of a factor is free: let none turn round between two frames
        found[i] = _turned(found[i], found[i + 1])
    seen = {"kind": "loadings", "names": [study.name(i) for i in study.shown], "loadings": fine(found)}
    if truth is not None:
        seen["truth"] = fine(_turned(_standard(study, *truth), found[-1]))
    return seen


def _standard(study: Study, params: Any, statistics: Any) -> Array:
    model = study.trace.model
    _, family, own = model.as_mixture(params, statistics)
    sd = np.sqrt(family.elliptical(own)[1][0].diagonal())
    loadings: Array = (np.asarray(model.describe(params, statistics)["loading"]) / sd)[:, study.shown]
    return loadings


def _turned(loadings: Array, like: Array) -> Array:
    return loadings * np.where((loadings * like).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)


def _strip(study: Study, truth: Any) -> dict[str, Any] | None:
    """States over time, with the values of the columns above them."""
    if study.lengths is None:
        return None
    ends = np.cumsum(study.lengths)
    return {**_points(study, truth), "kind": "strip", "ends": [int(end) for end in ends if end <= len(study.kept)]}


def _rug(study: Study, truth: Any) -> dict[str, Any] | None:
    """One column: its rows as a rug, and the densities of the components above it, each times its share."""
    if len(study.shown) > 1:
        return None
    x = study.x[study.kept][:, study.shown]
    there = study.x[np.isfinite(study.x[:, study.shown[0]]), study.shown[0]]
    if not there.size:
        raise Unavailable("all values of the column are missing")
    low, high = float(there.min()), float(there.max())
    discrete = bool((there == np.rint(there)).all()) and high - low <= _COUNTS and _counted(study, x)
    room = 0.5 if discrete else 0.08 * (high - low) or 1.0
    points = max(41, min(_GRID, _DENSITIES // (len(study.params) * max(1, _count(study)))))
    grid = np.arange(low, high + 1) if discrete else np.linspace(low - room, high + room, points)
    pairs = [(params, e.statistics) for params, e in zip(study.params, study.expectations, strict=True)]
    heights = np.stack([_densities(study, grid, *pair) for pair in pairs])
    edges = np.arange(low - 0.5, high + 1) if discrete else np.linspace(low, high, _bins(there) + 1)
    bars, _ = np.histogram(there, edges if high > low or discrete else 1, density=True)
    top = 1.15 * max(float(heights[-1].sum(axis=1).max()), float(bars.max()))
    seen = {
        **_points(study, None),
        "kind": "rug",
        "discrete": discrete,
        "low": low - room,
        "high": high + room,
        "top": top,
        "edges": [float(edge) for edge in edges] if high > low or discrete else [low - 0.5, low + 0.5],
        "bars": [float(f"{bar:.5g}") for bar in bars],
        "grid": [float(grid[0]), float(grid[-1])],
        "heights": levels(heights, 0.0, 4 * top),
    }
    if truth is not None:
        seen["truth"] = levels(_densities(study, grid, *truth).sum(axis=1), 0.0, 4 * top)
    return seen


def _densities(study: Study, grid: Array, params: Any, statistics: Any) -> Array:
    """Density, or probability, of each component times its share, shape (grid, k)."""
    share, family, own = study.trace.model.as_mixture(params, statistics)
    family, own = family.marginal(own, study.shown, study.width)
    with np.errstate(divide="ignore", under="ignore", over="ignore"):
        found: Array = np.exp(family.log_density(own, grid[:, None])) * np.asarray(share)
    return found


def _counted(study: Study, x: Array) -> bool:
    """Whether the rows have probabilities."""
    _, family, own = study.trace.model.as_mixture(study.params[-1], study.expectations[-1].statistics)
    family, _ = family.marginal(own, study.shown, study.width)
    try:
        return bool(family.atoms(x).all())
    except Unavailable:
        return False


def _count(study: Study) -> int:
    shapes = study.shapes
    return len(shapes[0].centres) if shapes else 1


def _bins(x: Array) -> int:
    return int(min(40, max(8, np.ceil(np.sqrt(len(x))))))


def _plane(study: Study, truth: Any) -> dict[str, Any] | None:
    """Rows of two columns or more, of which the reader chooses two."""
    seen = _points(study, truth)
    if len(study.shown) < 2 or ("q" not in seen and "shapes" not in seen):
        raise Unavailable("its rows have no labels, and it does not say what its components look like")
    return {**seen, "kind": "plane"}


def _points(study: Study, truth: Any) -> dict[str, Any]:
    """The rows that are drawn, with q and the components where there are any.

    Columns are measured from their middle, in half their range, so that an offset takes no digits from an ellipse.
    """
    x = study.x[study.kept][:, study.shown]
    there = np.where(np.isfinite(study.x[:, study.shown]), study.x[:, study.shown], np.nan)
    empty = np.isnan(there).all(axis=0)
    there[:, empty] = 0.0
    low, high = np.nanmin(there, axis=0), np.nanmax(there, axis=0)
    middle, half = low / 2 + high / 2, np.where(high > low, high / 2 - low / 2, 1.0)
    seen: dict[str, Any] = {
        "names": [study.name(i) for i in study.shown],
        "middle": middle.tolist(),
        "half": half.tolist(),
        "points": levels((x - middle) / half, -1.0, 1.0),
    }
    with suppress(Unavailable):
        seen["q"] = shares(study.responsibilities[:, :, :-1])
    if study.shapes is not None:
        seen["shapes"] = _packed(study.shapes, middle, half)
        if truth is not None:
            seen["truth"] = _packed([study.shape(*truth)], middle, half)
    return seen


def _packed(shapes: list[Shape], middle: Array, half: Array) -> dict[str, Any]:
    """Centres, lower triangles of scale matrices, and the radii of the ellipses in one column and in two."""
    packed: dict[str, Any] = {"centres": fine([(one.centres - middle) / half for one in shapes])}
    scales = [one.scales for one in shapes if one.scales is not None]
    if len(scales) == len(shapes):
        rows, columns = np.tril_indices(len(middle))
        packed["scales"] = fine([(one / np.outer(half, half))[:, rows, columns] for one in scales])
        packed["radii"] = fine(
            [[[_radius(m, nu, d) for nu in one.dof] for d in (1, 2) for m in MASSES] for one in shapes]
        )
    return packed


def _radius(mass: float, dof: float, d: int) -> float:
    """Half axis, in scales, of the ellipsoid that holds this share of a t density in d columns; infinite: normal."""
    return float(np.sqrt(chdtri(d, 1 - mass) if np.isinf(dof) else d * fdtri(d, dof, mass)))


_KINDS: tuple[Callable[[Study, Any], dict[str, Any] | None], ...] = (_loadings, _strip, _rug, _plane)
