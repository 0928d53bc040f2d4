"""Maxima of concave functions, by Newton's method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentem.arrays import Array

Concave = Callable[[Array], tuple[float, Array, Array]]
"""From a point, (p,), the value, the gradient, (p,), and minus the Hessian, (p, p)."""

_MOST_STEPS = 100
_MOST_HALVINGS = 50
_RISE = 1e-4
_UNSEEN = 1e-13
"""Gain, relative to the value, below which values cannot tell a better point from a worse one."""
_NOTHING = 1e-22
"""Gain below which a step moves nothing that matters: it ends the march towards an optimum at infinity."""


def maximise(function: Concave, start: Array) -> Array:
    """The maximum of a concave function, near `start`, to machine precision; never lower than there.

    Newton steps, halved until they gain (Boyd and Vandenberghe, 2004, sec. 9.5.2). Directions in which the
    function is flat are left alone. An optimum at infinity is approached until nothing is left to gain.
    """
    point, (value, gradient, curvature) = start, function(start)
    for _ in range(_MOST_STEPS):
        step = solve(curvature, gradient)
        slope, scale = float(gradient @ step), 1 + abs(value)
        if not slope > _NOTHING * scale:
            break
        if slope <= _UNSEEN * scale:
            last = point + step
            return last if function(last)[0] >= value - _UNSEEN * scale else point
        for halvings in range(_MOST_HALVINGS):
            length = 0.5**halvings
            there = function(point + length * step)
            if there[0] >= value + _RISE * length * slope and np.isfinite(there[2]).all():
                break
        else:
            break
        point, (value, gradient, curvature) = point + length * step, there
    return point


def solve(matrix: Array, right: Array, keep: Array | None = None) -> Array:
    """The solution of matrix @ solution = right for a positive semidefinite matrix, as far as it has a rank.

    Columns are brought to one scale first. Where the matrix is singular the answer has the least norm in
    that scale, or agrees with `keep` least: what of `keep` the matrix can see is added to it.
    """
    scale = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    inverse = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0)
    values, vectors = np.linalg.eigh(inverse[:, None] * matrix * inverse)
    seen = values > _rank_tolerance(len(values)) * values.max(initial=0.0)
    vectors, values = vectors[:, seen], values[seen]
    answer = vectors @ ((vectors.T @ (inverse * right)) / values)
    if keep is not None:
        answer = answer + vectors @ (vectors.T @ (scale * keep))
    return inverse * answer


def _rank_tolerance(p: int) -> float:
    return 16 * p * float(np.finfo(float).eps)
