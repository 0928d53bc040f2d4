"""Maxima of concave functions by Newton's method, and roots of monotone functions by bracketing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from latentem.arrays import Array

Concave = Callable[[Array], tuple[float, Array, Array]]
"""From a point, (p,), the value, the gradient, (p,), and minus the Hessian, (p, p)."""
Lazy = Callable[[Array], tuple[float, Callable[[], tuple[Array, Array]]]]
"""From a point, (p,), the value, and what gives the gradient and minus the Hessian if it is asked."""

_MOST_STEPS, _MOST_HALVINGS, _MOST_BRACKETS = 100, 50, 1000
"""Limits of loops that end by themselves long before."""
_RISE = 1e-4
"""Share of the gain that the slope promises, without which a step is halved: Armijo's rule."""
_UNSEEN = 1e-13
"""Gain, relative to the value, below which values cannot tell a better point from a worse one."""
_LANDED = 1e-21
"""Gain, relative to the value, that one step more may leave where steps shrink as their squares."""
_NOTHING = 1e-22
"""Gain below which a step moves nothing that matters: it ends the march towards an optimum at infinity."""


def maximise(function: Concave, start: Array) -> Array:
    """The maximum of a concave function, near `start`, to machine precision; never lower than there: see `climb`."""

    def lazy(point: Array) -> tuple[float, Callable[[], tuple[Array, Array]]]:
        value, gradient, curvature = function(point)
        return value, lambda: (gradient, curvature)

    return climb(lazy, start)[0]


def climb(function: Lazy, start: Array) -> tuple[Array, float]:
    """The maximum of a concave function, near `start`, to machine precision, and what it gains; never lower than there.

    Newton steps, halved until they gain (Boyd and Vandenberghe, 2004, sec. 9.5.2). Directions in which the
    function is flat are left alone. An optimum at infinity is approached until nothing is left to gain.
    """
    point, (value, derivatives) = start, function(start)
    begun, before = value, 0.0
    gradient, curvature = derivatives()
    for _ in range(_MOST_STEPS):
        step = solve(curvature, gradient)
        slope, scale = float(gradient @ step), 1 + abs(value)
        if not slope > _NOTHING * scale:
            break
        # Near the maximum one step lands on it, though values no longer show it.
        if slope <= _UNSEEN * scale or (before and slope * (slope / before) ** 2 <= _LANDED * scale):
            last = function(point + step)[0]
            return (point + step, last - begun) if last >= value - _UNSEEN * scale else (point, value - begun)
        for halvings in range(_MOST_HALVINGS):
            length = 0.5**halvings
            there, derivatives = function(point + length * step)
            if there >= value + _RISE * length * slope:
                gradient, curvature = derivatives()
                if np.isfinite(curvature).all():
                    break
        else:
            break
        point, value, before = point + length * step, there, slope
    return point, value - begun


def solve(matrix: Array, right: Array, keep: Array | None = None) -> Array:
    """Solutions of matrix @ solution = right for positive semidefinite matrices, as far as they have a rank.

    Where a matrix is singular, the solution has the least norm once its columns are brought to one scale.

    Args:
        matrix: One or many, shape (..., p, p).
        right: Shape (..., p).
        keep: What of this the matrix can see is added to the solution, shape (..., p).
    """
    scale, inverse, scaled = _scaled(matrix)
    values, vectors = np.linalg.eigh(scaled)
    seen = _seen(values)

    def turned(vector: Array) -> Array:
        return np.where(seen, (vector[..., None, :] @ vectors)[..., 0, :], 0.0)

    answer = turned(inverse * right) / np.where(seen, values, 1.0)
    if keep is not None:
        answer = answer + turned(scale * keep)
    return inverse * (vectors @ answer[..., None])[..., 0]


def rank_of(matrix: Array) -> int:
    """The rank of a positive semidefinite matrix, (p, p), as `solve` sees it."""
    return int(np.count_nonzero(_seen(np.linalg.eigvalsh(_scaled(matrix)[2]))))


def _scaled(matrix: Array) -> tuple[Array, Array, Array]:
    """The roots of the diagonal, their inverses, 0 for 0, and the matrix with ones on its diagonal."""
    scale = np.sqrt(np.maximum(np.diagonal(matrix, axis1=-2, axis2=-1), 0.0))
    inverse = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0)
    return scale, inverse, inverse[..., :, None] * matrix * inverse[..., None, :]


def _seen(values: Any) -> Array:
    """Which eigenvalues, (..., p), are more than rounding."""
    # eigh is off by a few p eps times the largest one
    least = 16 * values.shape[-1] * np.finfo(float).eps * values.max(axis=-1, keepdims=True, initial=0.0)
    return np.asarray(values > least)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that changes its sign between two points is zero, to machine precision (Brent, 1973).

    Where rounding has made both signs one, the root is at the end at which the function is nearer to zero.
    """
    at_low, at_high = function(low), function(high)
    if not np.sign(at_low) * np.sign(at_high) < 0:
        return low if abs(at_low) <= abs(at_high) else high
    from scipy.optimize import brentq  # a large module, which nothing else here needs

    precision = 4 * np.finfo(float).eps
    return float(brentq(function, low, high, xtol=1e-300, rtol=precision, maxiter=_MOST_BRACKETS, disp=False))
