"""The remainder of Stirling's formula for log gamma, and that of log a for its derivative.

Differences of log gammas at large arguments lose their digits; written with these, they keep them.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy.special import gammaln

from latentem.arrays import Array

LOG_2PI = float(np.log(2 * np.pi))
_FROM = 10.0
"""Where the asymptotic series have all digits."""
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_SLOPES = tuple(2 * order * term for order, term in enumerate(_DIGAMMA, 1))
_NEAR = 0.5
"""Below it a difference from a logarithm cancels; there its series of 18 terms has all digits."""
_LOGARITHM = tuple(2 / (2 * order + 3) for order in range(18))


def stirling(a: Array) -> Array:
    """log Gamma(a) - ((a - 1/2) log a - a + 1/2 log 2 pi), for a > 0 (DLMF 5.11.1)."""
    small, large = np.minimum(a, _FROM), np.maximum(a, _FROM)
    direct = gammaln(small) - ((small - 0.5) * np.log(small) - small + 0.5 * LOG_2PI)
    return np.where(a < _FROM, direct, polyval(large**-2, _STIRLING) / large)


def log_less_digamma(a: Array) -> tuple[Array, Array]:
    """log a - digamma(a), for a > 0, and its derivative; every digit of both.

    By its series (DLMF 5.11.2) where a is large; from there down by digamma(a) = digamma(a + 1) - 1 / a, whose
    terms have one sign.
    """
    steps = a[..., None] + np.arange(_FROM)  # one a row, (..., 10): those beyond `_FROM` count as infinity, adding 0
    below = steps < _FROM
    steps = np.where(below, steps, np.inf)
    large = a + below.sum(axis=-1)
    squared = large**-2
    value = less_log(1 / steps).sum(axis=-1) + 0.5 / large + squared * polyval(squared, _DIGAMMA)
    slope = -(1 / (steps**2 * (steps + 1))).sum(axis=-1) - (0.5 + polyval(squared, _SLOPES) / large) * squared
    return value, slope


def less_log_ratio(a: Array, b: Array) -> Array:
    """The difference r - 1 - log r for the ratio r = a / b of positive numbers, however large or small it is."""
    apart = (a - b) / b
    near = np.abs(apart) < _NEAR
    return np.where(near, less_log(np.where(near, apart, 0.0)), apart - (np.log(a) - np.log(b)))


def less_log(t: Array) -> Array:
    """The difference t - log(1 + t), for t > -1: with s = t / (2 + t), log(1 + t) = 2 (s + s^3 / 3 + s^5 / 5 + ...)."""
    near = np.abs(t) < _NEAR
    small = np.where(near, t, 0.0)
    s = small / (2 + small)
    series = polyval(s * s, _LOGARITHM)
    return np.where(near, s * (small - s * s * series), t - np.log1p(t))
