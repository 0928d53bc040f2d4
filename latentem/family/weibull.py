"""Weibull components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any, ClassVar, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, Labels, matrix, own
from latentem.core import Degenerate, Path, Value
from latentem.family.base import Mask, refuse_other_columns
from latentem.family.columns import POSITIVE, log_of_positive, of_columns, refuse_constant, refuse_unsound
from latentem.family.sample import SampleFamily
from latentem.numerics.rng import generator
from latentem.numerics.solve import root

_NARROWEST = 1e-12
"""Spread of the logarithms below which all values of a component are one."""
_SHARPEST = 1e300
"""Where the search for the upper end of the bracket ends."""
_NEAR = 0.5
"""Relative distance from the scale up to which log1p is used, which keeps the digits there."""


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
        refuse_unsound(self, lambda values: values > 0, "positive, finite numbers")


@final
@frozen
class Weibull(SampleFamily[WeibullParams]):
    """Positive values: independent Weibull columns, p(x) = (c / s) (x / s)^(c - 1) exp(-(x / s)^c) (Weibull, 1951).

    Both fields are one block: the shape is the root of the profile likelihood's monotone equation, found to
    machine precision, for there is no closed form (Johnson, Kotz and Balakrishnan, 1994, ch. 21); the scale
    then has one.
    """

    takes: ClassVar[str] = POSITIVE
    discrete: ClassVar[bool | None] = False
    kind: ClassVar[type] = WeibullParams

    def params(self, shapes: Any, scales: Any) -> WeibullParams:
        """Parameters given by hand, checked at once; both of shape (k, d).

        Raises:
            ValueError: wrong shapes, or values that are not positive.
        """
        return WeibullParams(shapes, scales)

    def log_density(self, params: WeibullParams, x: Array) -> Array:
        refuse_other_columns(x, params.scales.shape[1])
        inside = self.support(x)
        sound = np.where(inside[:, None], x, 1.0)
        shapes, log_x = params.shapes, np.log(sound)
        with np.errstate(over="ignore"):  # far in the tail the density is zero
            apart = (sound[:, None] - params.scales) / params.scales
            near = np.abs(apart) < _NEAR  # where a difference of logarithms would lose what a large shape multiplies
            relative = np.where(near, np.log1p(np.where(near, apart, 0.0)), log_x[:, None] - np.log(params.scales))
            each = np.log(shapes) + shapes * relative - np.exp(shapes * relative) - log_x[:, None]
        return np.where(inside[:, None], each.sum(axis=2), -np.inf)

    def estimate(self, x: Array, weight: Array, current: WeibullParams | None) -> WeibullParams:
        each = [_maximiser(column, weight / weight.sum()) for column in np.log(x).T]
        shapes, scales = (own(np.array([values])) for values in zip(*each, strict=True))
        return WeibullParams(shapes, scales)

    def cells(self, x: Array) -> Mask:
        return np.asarray(x > 0)

    def coordinates(self, x: Array) -> Array:
        return log_of_positive(x)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        super().check(chunks, held)
        if not held:
            refuse_constant(chunks, "so the likelihood is unbounded: leave it out")

    def sample(self, params: WeibullParams, labels: Labels, rng: Any) -> Array:
        return params.scales[labels] * generator(rng).weibull(params.shapes[labels])

    def marginal(self, params: WeibullParams, columns: tuple[int, ...], d: int) -> tuple[Weibull, WeibullParams]:
        return self, of_columns(params, columns)

    def describe(self, params: WeibullParams) -> Mapping[str, Array]:
        return {"shape": params.shapes, "scale": params.scales}


def _maximiser(log_x: Array, weight: Array) -> tuple[float, float]:
    """Shape and scale, from the logarithms of one column and weights that sum to one."""
    below = log_x - log_x.max()
    mean = float(weight @ below)
    if -mean <= _NARROWEST:
        raise Degenerate(None, "shapes", "collapsed: all its values are equal", "use fewer components")

    def excess(shape: float) -> float:
        # (eq: weibull)
        tilted = weight * np.exp(shape * below)
        return float(tilted @ below / tilted.sum()) - mean - 1 / shape

    least = -1 / mean  # there the tilted mean, which is at most zero, is all that is left
    most = 2 * least
    while excess(most) < 0 and most < _SHARPEST:
        most *= 2
    # The scale has a closed form, from values relative to the largest, whose powers cannot overflow.
    # (eq: weibull)
    shape = root(excess, least, most)
    return shape, float(np.exp(log_x.max() + np.log(weight @ np.exp(shape * below)) / shape))
