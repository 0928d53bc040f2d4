"""Two accelerations: Anderson's mixing, and squared extrapolation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np
from attrs import field, frozen

from latentem.run.acceleration import Acceleration, Values
from latentem.run.memory import Point
from latentem.run.runner import whole

_DEPENDENT = 1e-10
"""Relative eigenvalue below which differences of residuals are dependent, to rounding."""


@final
@frozen
class Anderson(Acceleration):
    """Anderson's (1965) mixing of the last passes, of type I (Fang and Saad, 2009), without a metric.

    Residuals of statistics are slopes of the objective in natural parameters. The candidate is the affine combination
    of the passes whose combined residual has no slope along any step between them. It is made on every second pass, as
    in periodic Pulay mixing (Banerjee, Suryanarayana and Pask, 2016): as few passes in all, and half the work beside
    them. Where leaps keep being rejected, their coefficients are damped, as in DAAREM (Henderson and Varadhan, 2019).

    Attributes:
        memory: How many passes it looks back at, at least 2.
        every: How many passes there are from one leap to the next.
        after: How many plain steps a run takes first.
    """

    memory: int = field(default=4, validator=whole(2, "passes"))
    every: int = field(default=2, validator=whole(1, "passes"))
    after: int = field(default=3, validator=whole(0, "steps"))

    least = 2  # no field: two passes show a change of the residual

    def candidates(self, points: Sequence[Point], values: Values, failures: int) -> Iterator[Any]:
        mixed = mixing(values, 0.5**failures)
        if mixed is not None:
            parts = [share * point.image for share, point in zip(mixed.tolist(), points, strict=True)]
            yield sum(parts[1:], parts[0])
        yield from squared(points[-2:], values[-2:, -2:], failures)


@final
@frozen
class Squarem(Acceleration):
    """Squared extrapolation, SQUAREM (Varadhan and Roland, 2008, scheme S3), on the statistics.

    Two passes show how the residual shrinks; the leap squares the step that would end it. It keeps less than
    `Anderson`, and needs more passes.

    Attributes:
        after: How many plain steps a run takes first.
    """

    after: int = field(default=3, validator=whole(0, "steps"))

    memory = every = least = 2  # no fields: the scheme is of two passes

    def candidates(self, points: Sequence[Point], values: Values, failures: int) -> Iterator[Any]:
        yield from squared(points, values, failures)


def squared(points: Sequence[Point], values: Values, failures: int) -> Iterator[Any]:
    """Statistics from two passes, a plain step apart: x + 2 l F + l^2 (F' - F), with l = |F| / |F' - F|; then shorter.

    What shrinks geometrically to zero stays positive: it is multiplied by a square.
    """
    first, second = points
    if not second.plain:
        return
    # A plain step is the residual in natural parameters, so that along it the second residual gives their product.
    bend = first.movement - 2 * (values[1, 1] - values[0, 1]) + second.movement
    if not (0 < bend < np.inf and first.movement > 0):  # rounding may have made either negative
        return
    longest = math.sqrt(first.movement / bend)
    for share in (0.5**failures, 0.5 ** (failures + 1)):  # each failure halves what goes beyond a plain step, l = 1
        # (eq: squarem)
        length = 1 + max(longest - 1, 0.0) * share
        yield first.image + (2 * length - 1) * first.residual + length**2 * (second.residual - first.residual)


def mixing(values: Values, damping: float = 1.0) -> Values | None:
    """Coefficients that sum to one, shape (points,), with which residuals have no slope along the steps between points.

    None if there are none: if the objective was not concave along each of these steps.

    Args:
        values: The log joint of the parameters of each point at the residual of each, shape (points, points).
        damping: What a ridge leaves of the squared length of the coefficients, of at most 1.
    """
    if not np.isfinite(values).all():
        return None
    # The combination is the last residual less differences of neighbours, so that the coefficients sum to one.
    # (eq: anderson)
    change = np.diff(np.eye(len(values)), axis=0)  # points to their differences
    bends, slopes = -(change @ values @ change.T), change @ values[:, -1]
    bends = (bends + bends.T) / 2  # i along j, and j along i, are the same to first order
    lengths = np.sqrt(np.maximum(bends.diagonal(), 0.0))
    if not (lengths > 0).all():
        return None
    size, axes = np.linalg.eigh(
        bends / np.outer(lengths, lengths)
    )  # scaled, so that long differences hide no short ones
    kept = size > _DEPENDENT * size[-1]
    size, axes = size[kept], axes[:, kept]
    along = axes.T @ (slopes / lengths)
    solved = axes @ (along / (size + _ridge(size, along, damping))) / lengths
    mixed: Values = change.T @ solved
    mixed[-1] += 1.0
    return mixed


def _ridge(size: Values, along: Values, damping: float) -> float:
    """The ridge with which the squared length of the solution is `damping` times that without."""
    if damping == 1:
        return 0.0
    goal = damping * float(np.sum((along / size) ** 2))
    low, high = 0.0, float(size[-1])
    while np.sum((along / (size + high)) ** 2) > goal:
        high *= 4
    for _ in range(30):  # nine digits of a damping are more than enough
        middle = (low + high) / 2
        low, high = (middle, high) if np.sum((along / (size + middle)) ** 2) > goal else (low, middle)
    return high
