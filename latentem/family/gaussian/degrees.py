"""Degrees of freedom of t densities: where they are best, at what is expected of the latent scales."""

from __future__ import annotations

import numpy as np

from latentem.arrays import Array
from latentem.numerics.log_gamma import LOG_2PI, log_less_digamma, stirling

LEAST_DOF, MOST_DOF = 0.1, 1e6
"""Below, draws overflow; above, the density is a normal one but for a few parts in a million."""
_EPS = float(np.finfo(float).eps)
_STEPS = 30
"""The most steps of Newton's method, which takes two to four."""
_TIMES, _NEARLY_NORMAL = 4.0, 20.0
"""How many times they grow at most, until they are as many as the second: from there to a normal density it is near."""


def log_gamma_constant(y: Array) -> Array:
    """The log of y^y / (Gamma(y) e^y), without the cancellation of its terms."""
    return 0.5 * (np.log(y) - LOG_2PI) - stirling(y)


def gain(dof: Array, average: Array) -> Array:
    """The part of log_joint, a unit of this mean excess, that depends on dof: concave."""
    return log_gamma_constant(dof / 2) - dof / 2 * average


def excess_at(dof: Array) -> Array:
    """The mean excess at which these degrees of freedom are best."""
    gap = log_less_digamma(dof / 2)[0]
    return np.where(dof == MOST_DOF, gap / 2, gap)  # well beyond the end, whatever rounding does


def dof_at(average: Array) -> Array:
    """The degrees of freedom, from 0.1 to 1e6, that maximise at a mean excess, shape (k,).

    The root of log(dof / 2) - digamma(dof / 2) = average, by Newton's method on the logarithms of both sides,
    between which the slope is about -1, from the approximation of Minka (2002). The maximum is concave in dof,
    so that beyond an end of the range it is at that end.
    """
    least, most = (float(log_less_digamma(np.array(end / 2))[0]) for end in (MOST_DOF, LEAST_DOF))
    inside = np.clip(average, least, most)
    # (eq: student)
    y = (3 - inside + np.sqrt((inside - 3) ** 2 + 24 * inside)) / (12 * inside)
    for _ in range(_STEPS):
        gap, slope = log_less_digamma(y)
        step = np.log(inside / gap) * gap / (y * slope)
        y = y * np.exp(step)
        if (np.abs(step) <= 4 * _EPS).all():
            break
    y = np.clip(y, LEAST_DOF / 2, MOST_DOF / 2)
    return np.where(average <= least, MOST_DOF, np.where(average >= most, LEAST_DOF, 2 * y))


def dof_ahead(dof: Array, d: int, count: Array, excess: Array, spread: Array) -> Array:
    """The degrees of freedom to which Newton's method leads from these on the log likelihood given labels, shape (k,).

    The step is one in 1 / dof, in which the way to a normal density is short. Its slope and curvature are those that
    the latent scales give: the missing information is the variance of the complete score (Louis, 1982).

    Args:
        dof: Where the scales were inferred, shape (k,).
        d: How many columns a row has.
        count: Sum of weights, shape (k,).
        excess: Sum of weight E[u - 1 - log u], shape (k,).
        spread: Sum of weight (E[u] - 1)^2, shape (k,).
    """
    y, shape = dof / 2, (dof + d) / 2
    (gap, slope), (_, slope_at_shape) = log_less_digamma(y), log_less_digamma(shape)
    # (eq: student-ahead)
    ascent = count * gap - excess
    bend = count * (slope - slope_at_shape) + spread / shape
    by_inverse, curvature = -(y**2) * ascent, y**3 * (y * bend + 2 * ascent)
    concave, inverse = curvature < 0, 1 / y
    away = inverse * np.where(by_inverse > 0, _TIMES, 1 / _TIMES)
    new = np.where(concave, inverse - by_inverse / np.where(concave, curvature, 1.0), away)
    new = np.maximum(new, np.where(dof < _NEARLY_NORMAL, inverse / _TIMES, 2 / MOST_DOF))
    return np.clip(2 / new, LEAST_DOF, MOST_DOF)
