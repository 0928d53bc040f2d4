"""Minima of smooth functions of a few numbers in a box, by Newton's method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentem.arrays import Array

Smooth = Callable[[Array], tuple[float, Array, Array]]
"""From a point, (p,), the value, the gradient, (p,), and the Hessian, (p, p)."""

_MOST_STEPS, _MOST_HALVINGS = 200, 30
"""Limits of loops that end by themselves long before."""
_LONGEST = 3.0
"""How far a step goes in any coordinate, at most: they are logarithms."""
_RISE = 1e-4
"""Share of the gain that the slope promises, without which a step is halved: Armijo's rule."""
_UNSEEN = 1e-14
"""Gain, relative to the value, below which values cannot tell a better point from a worse one."""
_LEAST = 1e-12
"""Curvature, relative to the largest, that a direction is taken to have at least."""


def minimise(function: Smooth, start: Array, low: Array, high: Array) -> Array:
    """A minimum between two bounds, near `start`, to machine precision; never higher than there.

    Projected Newton steps (Bertsekas, 1982), halved until they gain. Directions along which the function is concave are
    walked down as if they curved upwards as much.

    Args:
        function: What is minimised; logarithms of scales are its natural coordinates.
        start: Shape (p,).
        low: The least that each coordinate may be, shape (p,).
        high: The largest.
    """
    point = np.clip(start, low, high)
    value, slope, bend = function(point)
    for _ in range(_MOST_STEPS):
        free = ~(((point <= low) & (slope >= 0)) | ((point >= high) & (slope <= 0)))
        if not free.any():
            break
        size, axes = np.linalg.eigh(bend[np.ix_(free, free)])
        size = np.maximum(np.abs(size), _LEAST * np.abs(size).max())
        step = np.zeros_like(point)
        step[free] = -(axes @ ((axes.T @ slope[free]) / np.where(size > 0, size, 1.0)))
        step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
        last = -(slope @ step) <= _UNSEEN * (1 + abs(value))
        for halvings in range(_MOST_HALVINGS):
            there = np.clip(point + 0.5**halvings * step, low, high)
            found = function(there)
            # So near to the minimum one step lands on it, though values no longer show it.
            if found[0] <= value + (_UNSEEN * (1 + abs(value)) if last else _RISE * float(slope @ (there - point))):
                break
        else:
            break
        point, (value, slope, bend) = there, found
        if last:
            break
    return point
