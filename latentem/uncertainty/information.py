"""Observed information by Oakes' identity (1999): from what EM itself computes, for any smooth model.

Q(new | old) is the log joint of new parameters at the statistics of old ones, plus the log prior. Then the observed
information is complete - lost, with complete = -d2Q / dnew dnew and lost = d2Q / dnew dold, both where new and old are
the maximum. docs/mathematics.md has the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.core import Degenerate, LatentModel, Placed, e_half
from latentem.numerics.differences import gradient, hessian, jacobian, moved
from latentem.run.together import passes
from latentem.uncertainty.coordinates.chart import Chart, Free
from latentem.uncertainty.coordinates.identified import as_counted

Model = LatentModel[Any, Any, Any, Any]
FALL = 0.5
"""Nats by which Q falls on either side within one unit of a coordinate."""
_SEARCHES = 80
_PUSH = 0.002
"""The step of the parameters at which passes are taken, in such units."""
_ONE_SIDED = 10.0
"""How much more Q may fall on one side than on the other: at an edge of the parameters it falls on one only."""
_RISES = 1e-3
"""Nats by which Q rises to one side at parameters that are no maximum, at least."""
_TOGETHER = 64
"""Passes that share one look at the data, at most: each keeps its statistics."""
_UNDETERMINED = 1e-5
"""Share of the information of a direction that must be left for the data to say anything of it."""
_UNSOUND = (ValueError, ArithmeticError, Degenerate)


@final
@frozen(eq=False)
class Information:
    """What data and latents together would tell of the parameters, and how much of it is lost with the latents.

    Attributes:
        free: The free numbers, their coordinates in units in which Q falls by half a nat.
        complete: Complete information, shape (size, size).
        lost: Lost information, likewise; symmetric.
        score: Slope of the objective, shape (size,): zero at a maximum.
        asymmetry: How far the lost information was from symmetric, relative to the complete one: what is numerical in
            the result, or that q is not the exact posterior.
    """

    free: Free
    complete: Array
    lost: Array
    score: Array
    asymmetry: float

    @property
    def observed(self) -> Array:
        """Observed information, shape (size, size)."""
        return self.complete - self.lost  # (eq: observed-information)


@final
@frozen(eq=False)
class Resolved:
    """The observed information in the directions in which EM moves by itself.

    Attributes:
        missing: Fractions of the information that is missing, ascending, shape (size,); EM goes at the largest.
        directions: Of each, coordinates in which the complete information is one, shape (size, size), columns.
    """

    missing: Array
    directions: Array

    def covariance(self, tolerance: float) -> tuple[Array, Array]:
        """The covariance of the coordinates, (size, size), and the directions that are not determined, (size, m)."""
        known = 1 - self.missing > tolerance
        inside = self.directions[:, known] / np.sqrt(1 - self.missing[known])
        return inside @ inside.T, self.directions[:, ~known]


def information(model: Model, free: Free, statistics: Any, data: Placed[Any]) -> Information:
    """The information at parameters, by two passes a coordinate.

    Args:
        model: The model.
        free: What is free in the parameters.
        statistics: Of the data at them.
        data: The chunks.

    Raises:
        ValueError: Q does not fall around the parameters, so that they are no maximum.
    """
    free = in_units(model, as_counted(model, free, statistics, data), statistics)
    chart, size = free.chart, free.chart.size

    def q(u: Array) -> float:
        params = chart.at(u)
        return float(model.log_joint(params, statistics) + model.log_prior(params))

    complete = -hessian(q, size)
    slopes = lost_information(model, chart, data)
    lost = (slopes + slopes.T) / 2
    asymmetry = float(np.abs(slopes - slopes.T).max(initial=0.0))
    return Information(free, complete, lost, gradient(q, size), asymmetry)


def resolved(complete: Array, lost: Array) -> Resolved:
    """The directions of the two informations.

    Raises:
        ValueError: the complete information is not positive definite.
    """
    try:
        root = np.linalg.cholesky(complete)
    except np.linalg.LinAlgError:
        raise ValueError(
            "the complete information is not positive definite: the parameters are no maximum of an M-step; fit on, "
            "or hold what the data do not determine"
        ) from None
    white = np.linalg.solve(root, np.linalg.solve(root, lost).T)
    missing, vectors = np.linalg.eigh((white + white.T) / 2)
    return Resolved(missing, np.linalg.solve(root.T, vectors))


def lost_information(model: Model, chart: Chart, data: Placed[Any]) -> Array:
    """Slopes of the slope of Q(new | old) as the old parameters move, shape (new coordinates, old coordinates)."""
    moving = changes(model, chart, data)

    def along(u: Array) -> Array:
        params = chart.at(u)
        return np.array([float(model.log_joint(params, change)) for change in moving])

    return jacobian(along, chart.size).T


def changes(model: Model, chart: Chart, data: Placed[Any]) -> list[Any]:
    """Derivatives of the statistics as the coordinates move, one for each."""
    size = chart.size
    found: list[Any] = []
    for begin in range(0, size, _TOGETHER // 2):
        mine = range(begin, min(begin + _TOGETHER // 2, size))
        places = [chart.at(moved(size, (i, sign * _PUSH))) for i in mine for sign in (1, -1)]
        sums = passes([e_half(model, params) for params in places], data)
        pairs = zip(sums[::2], sums[1::2], strict=True)
        found += [0.5 / _PUSH * (there.statistics - back.statistics) for there, back in pairs]
    return found


def in_units(model: Model, free: Free, statistics: Any) -> Free:
    """The free numbers with coordinates whose units make Q fall by half a nat; without numbers at an edge."""

    def falls(chart: Chart, i: int, step: float) -> tuple[float, float]:
        here = model.log_joint(chart.params, statistics) + model.log_prior(chart.params)
        values = []
        for sign in (1, -1):
            params = chart.at(moved(chart.size, (i, sign * step)))
            values.append(float(here - model.log_joint(params, statistics) - model.log_prior(params)))
        return values[0], values[1]

    lengths, edges = [], []
    for i in range(free.chart.size):
        length, there, back = _unit(lambda step, i=i: falls(free.chart, i, step))  # type: ignore[misc]  # the default keeps this i
        # Where it rises to one side, that is no edge: the parameters are no maximum, which is said later.
        if not (min(there, back) < -_RISES or max(there, back) <= _ONE_SIDED * min(there, back)):
            edges.append(i)
        lengths.append(length)
    if edges:
        left = free.without(edges)
        if left.chart.size < free.chart.size:
            return in_units(model, left, statistics)
    return Free(free.numbers, free.scales, free.chart.scaled(np.array(lengths)), free.events)


def _unit(falls: Callable[[float], tuple[float, float]]) -> tuple[float, float, float]:
    """The step of a coordinate within which Q falls by half a nat in the mean of both sides, and by what on each."""
    step, low, high = 1e-3, 0.0, np.inf
    there = back = 0.0
    for _ in range(_SEARCHES):
        with np.errstate(all="ignore"):
            try:
                there, back = falls(step)
            except _UNSOUND:
                there = back = np.nan
        fall = (there + back) / 2
        if FALL / 2 <= fall <= 2 * FALL:
            return step * float(np.sqrt(FALL / fall)), there, back
        if fall < FALL:
            low = step
            ahead = step * float(np.clip(np.sqrt(FALL / fall), 1.5, 30)) if fall > 0 else 30 * step
            step = ahead if ahead < high else float(np.sqrt(low * high))
        else:  # too far, or there is nothing there
            high = step
            behind = step * float(np.clip(np.sqrt(FALL / fall), 1 / 30, 0.7)) if np.isfinite(fall) else step / 30
            step = behind if behind > low else float(np.sqrt(max(low, 1e-300) * high))
    return 1.0, np.nan, np.nan
