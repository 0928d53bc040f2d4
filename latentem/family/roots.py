"""Roots of monotone functions, by bracketing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

_MOST_STEPS = 1000


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that changes its sign between two points is zero, to machine precision (Brent, 1973).

    Where rounding has made both signs one, the root is at the end at which the function is nearer to zero.
    """
    at_low, at_high = function(low), function(high)
    if not np.sign(at_low) * np.sign(at_high) < 0:
        return low if abs(at_low) <= abs(at_high) else high
    precision = 4 * np.finfo(float).eps
    return float(brentq(function, low, high, xtol=1e-300, rtol=precision, maxiter=_MOST_STEPS, disp=False))
