"""Modified Bessel functions of the first kind for orders from 0 and arguments of any size, without under- or overflow.

scipy's `ive` underflows where the order is large beside the argument. Debye's expansion for large orders (DLMF
10.41.3) has no such end, is uniform in the argument, and gives the ratio of neighbours by differentiation; from
there the recurrence leads down to small orders, in the direction in which it is stable.
"""

from __future__ import annotations

from functools import cache
from math import ceil, log, pi
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial.polynomial import polyder

from latentem.arrays import Array

if TYPE_CHECKING:
    from fractions import Fraction

_TERMS = 10
_LARGE = 20
"""With these both the first term left out and the rounding are below 1e-13 of the result."""


def log_bessel(order: float, x: Array) -> tuple[Array, Array, Array]:
    """Three figures about I_order(x), each to about 1e-13 of itself.

    Args:
        order: At least 0.
        x: At least 0, any shape.

    Returns:
        log (I_order(x) / x^order), which is finite at 0, in nats; the ratio I_(order + 1)(x) / I_order(x); and one
        less that ratio, without cancellation.
    """
    log_scaled, ratio, rest = log_scaled_bessel(order, x)
    return log_scaled + x, ratio, rest


def log_scaled_bessel(order: float, x: Array) -> tuple[Array, Array, Array]:
    """The three figures of `log_bessel`, the first for exp(-x) I_order(x): so it keeps its digits where x is large."""
    steps = max(0, ceil(_LARGE - order))
    high = order + steps
    w = np.hypot(high, x)
    p = high / w
    series = _series(high)
    powers = p[..., None] ** np.arange(len(series))
    value = powers @ series
    # The slope of log value in x is -x bend, since dp/dx = -p x / w^2.
    bend = p / w / w * (powers[..., :-1] @ polyder(series) / value)
    log_scaled = high / (w + x) * high - high * np.log(high + w) - 0.5 * (log(2 * pi) + np.log(w)) + np.log(value)
    # The ratio is the derivative of that. It is kept divided by x, and beside it its complement.
    ratio = 1 / (high + w) - 0.5 / w / w - bend
    rest = (high + high / (w + x) * high) / (high + w) + x * (0.5 / w / w + bend)
    for step in range(steps):  # down by A_(nu - 1) = 1 / (2 nu / x + A_nu), "Von Mises-Fisher" in docs/mathematics.md
        twice = 2 * (high - step)
        ratio = 1 / (twice + x * (x * ratio))
        rest = (twice - x * rest) * ratio
        log_scaled = log_scaled - np.log(ratio)
    return log_scaled, x * ratio, rest


@cache
def _series(order: float) -> Array:
    """Sum of U_i(p) / order^i as a polynomial in p, lowest power first."""
    total = np.zeros(3 * _TERMS + 1)
    for i, u in enumerate(_debye()):
        total[: len(u)] += np.array([float(c) for c in u]) / order**i
    return total


@cache
def _debye() -> list[list[Fraction]]:
    """Coefficients of the polynomials U_0, U_1, ... of DLMF 10.41.9, lowest power first."""
    from fractions import Fraction  # which brings decimal numbers along

    found = [[Fraction(1)]]
    for _ in range(_TERMS):
        new = [Fraction(0)] * (len(found[-1]) + 3)
        for i, c in enumerate(found[-1]):
            new[i + 1] += c * Fraction(i, 2) + c / (8 * (i + 1))
            new[i + 3] -= c * Fraction(i, 2) + 5 * c / (8 * (i + 3))
        found.append(new)
    return found
