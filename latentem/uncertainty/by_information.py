"""Standard errors from the observed information."""

from __future__ import annotations

from typing import final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, own
from latentem.numerics.differences import jacobian
from latentem.uncertainty.coordinates.chart import Chart
from latentem.uncertainty.coordinates.scales import Plain, Scale
from latentem.uncertainty.uncertainty import Function, Uncertainty, checked, named, normal_interval

_ALONG = 1e-5
"""Share of a slope that may lie along a direction of which nothing is known."""


@final
@frozen(eq=False, repr=False)
class ByInformation(Uncertainty):
    """Standard errors from the curvature of the log likelihood: of a maximum, where the data are many.

    Attributes:
        chart: Coordinates of the parameters.
        spread: The covariance of the coordinates, shape (size, size).
        loose: Directions of which the data say nothing, shape (size, l).
        slopes: Derivatives of the numbers by the coordinates, shape (m, size).
        scales: On which scale each number has its interval.
        missing: Fractions of the information that is missing, ascending; EM goes at the largest.
        asymmetry: How far what was computed is from symmetric: about the relative error of the information.
    """

    chart: Chart
    spread: Array
    loose: Array
    slopes: Array
    scales: tuple[Scale, ...]
    missing: Array
    asymmetry: float

    @property
    def method(self) -> str:
        return "observed information"

    @property
    def covariance(self) -> Array:
        covariance = self.slopes @ self.spread @ self.slopes.T
        unknown = undetermined(self.slopes, self.loose)
        covariance[unknown] = covariance[:, unknown] = np.nan
        return own(covariance)

    def interval(self, level: float | None = None) -> Array:
        return normal_interval(self.estimates, self.standard_errors, self.scales, checked(level, self.level))

    def of(self, function: Function) -> ByInformation:
        names, estimates = named(function(self.chart.params))

        def along(u: Array) -> Array:
            return named(function(self.chart.at(u)))[1]

        slopes = jacobian(along, self.chart.size)
        if not np.isfinite(slopes).all():
            raise ValueError("the function is not finite beside the parameters of the fit: it has no standard error")
        return evolve(self, names=names, estimates=estimates, slopes=own(slopes), scales=(Plain(),) * len(names))

    @property
    def notes(self) -> tuple[str, ...]:
        if not len(self.missing):
            return ()
        return (f"fraction of missing information: at most {self.missing[-1]:.4g}, which is the rate of EM",)


def undetermined(slopes: Array, loose: Array) -> Array:
    """Which numbers, boolean of shape (m,), move along directions of which the data say nothing.

    Args:
        slopes: Derivatives of the numbers by the coordinates, shape (m, size).
        loose: The directions, shape (size, l).
    """
    if not loose.shape[1]:
        return np.zeros(len(slopes), dtype=bool)
    length = np.linalg.norm(slopes, axis=1, keepdims=True)
    return np.asarray((np.abs(slopes @ loose) > _ALONG * length * np.linalg.norm(loose, axis=0)).any(axis=1))
