"""Weibull components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.optimize import brentq

from latentem.arrays import Array, Labels, matrix, own
from latentem.core import Degenerate, Value
from latentem.family.sample import SampleFamily

_NARROWEST = 1e-12
"""Spread of the logarithms below which all values of a component are one."""


@final
@frozen
class WeibullParams(Value):
    """Shapes and scales of k Weibull components.

    Attributes:
        shapes: Shape (k, d).
        scales: In the units of the data, shape (k, d).

    Raises:
        ValueError: shapes disagree, or a value is not positive and finite.
    """

    shapes: Array = matrix("(k, d)")
    scales: Array = matrix("(k, d)")

    def __attrs_post_init__(self) -> None:
        if self.shapes.shape != self.scales.shape:
            raise ValueError(f"shapes are {self.shapes.shape} and scales {self.scales.shape}: give one of each, (k, d)")
        for name, values in (("shapes", self.shapes), ("scales", self.scales)):
            if not (np.isfinite(values).all() and (values > 0).all()):
                raise ValueError(f"{name} were given as {values}: give positive, finite numbers")


@final
@frozen
class Weibull(SampleFamily[WeibullParams]):
    """Positive values: independent Weibull columns, p(x) = (c / s) (x / s)^(c - 1) exp(-(x / s)^c) (Weibull, 1951).

    Both fields are one block: the shape is the root of the profile likelihood's monotone equation, found to
    machine precision, for there is no closed form (Johnson, Kotz and Balakrishnan, 1994, ch. 21); the scale
    then has one.
    """

    def params(self, shapes: Any, scales: Any) -> WeibullParams:
        """Parameters given by hand, checked at once; both of shape (k, d).

        Raises:
            ValueError: wrong shapes, or values that are not positive.
        """
        return WeibullParams(shapes, scales)

    def log_density(self, params: WeibullParams, x: Array) -> Array:
        inside = self.support(x)
        log_x = np.log(np.where(inside[:, None], x, 1.0))
        shapes, relative = params.shapes, log_x[:, None] - np.log(params.scales)
        with np.errstate(over="ignore"):  # far in the tail the density is zero
            each = np.log(shapes) + shapes * relative - np.exp(shapes * relative) - log_x[:, None]
        return np.where(inside[:, None], each.sum(axis=2), -np.inf)

    def estimate(self, x: Array, weight: Array, current: WeibullParams | None) -> WeibullParams:
        each = [_maximiser(column, weight / weight.sum()) for column in np.log(x).T]
        shapes, scales = (own(np.array([values])) for values in zip(*each, strict=True))
        return WeibullParams(shapes, scales)

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return np.asarray((x > 0).all(axis=1))

    def sample(self, params: WeibullParams, labels: Labels, rng: Any) -> Array:
        return params.scales[labels] * rng.weibull(params.shapes[labels])

    def describe(self, params: WeibullParams) -> Mapping[str, Array]:
        return {"shape": params.shapes, "scale": params.scales}


def _maximiser(log_x: Array, weight: Array) -> tuple[float, float]:
    """Shape and scale, from the logarithms of one column and weights that sum to one."""
    below = log_x - log_x.max()
    mean = float(weight @ below)
    if -mean <= _NARROWEST:
        raise Degenerate(None, "shapes", "collapsed: all its values are equal", "use fewer components")

    def excess(shape: float) -> float:
        tilted = weight * np.exp(shape * below)
        return float(tilted @ below / tilted.sum()) - mean - 1 / shape

    least = -1 / mean  # there the tilted mean, which is at most zero, is all that is left
    most = 2 * least
    while excess(most) < 0:
        most *= 2
    shape = float(brentq(excess, least, most, xtol=1e-300, rtol=4 * np.finfo(float).eps))
    return shape, float(np.exp(log_x.max() + np.log(weight @ np.exp(shape * below)) / shape))
