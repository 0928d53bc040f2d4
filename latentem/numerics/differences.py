"""Derivatives by central differences, with Richardson's extrapolation (1911): the error is of the fourth order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from latentem.arrays import Array

Scalar = Callable[[Array], float]
STEP = 0.1
"""The shorter of the two steps, in coordinates in which a function bends by about one within one."""


def gradient(function: Scalar, size: int, step: float = STEP) -> Array:
    """First derivatives of a function of so many coordinates at zero, shape (size,)."""
    return jacobian(lambda u: np.array([function(u)]), size, step)[0]


def jacobian(function: Callable[[Array], Array], size: int, step: float = STEP) -> Array:
    """First derivatives of a function to vectors, (size,) -> (m,), at zero, shape (m, size)."""
    columns = []
    for i in range(size):
        near, far = (_odd(function, i, size, length) for length in (step, 2 * step))
        columns.append((4 * near - far) / 3)
    return np.array(columns).T if columns else function(np.zeros(0))[:, None][:, :0]


def hessian(function: Scalar, size: int, step: float = STEP) -> Array:
    """Second derivatives of a function of so many coordinates at zero, shape (size, size)."""
    here = function(np.zeros(size))
    near, far = (_second(function, here, size, length) for length in (step, 2 * step))
    return (4 * near - far) / 3


def moved(size: int, *places: tuple[int, float]) -> Array:
    """Coordinates that are zero but at some places."""
    u = np.zeros(size)
    for i, value in places:
        u[i] = value
    return u


def _odd(function: Callable[[Array], Array], i: int, size: int, step: float) -> Array:
    return (function(moved(size, (i, step))) - function(moved(size, (i, -step)))) / (2 * step)


def _second(function: Scalar, here: float, size: int, step: float) -> Array:
    """Second differences: on both sides of zero, and for a pair of coordinates along their common diagonal."""
    found = np.empty((size, size))
    alone = np.empty(size)
    for i in range(size):
        alone[i] = (function(moved(size, (i, step))) - here) + (function(moved(size, (i, -step))) - here)
        found[i, i] = alone[i]
    for i, j in combinations(range(size), 2):
        there, back = (function(moved(size, (i, s), (j, s))) for s in (step, -step))
        found[i, j] = found[j, i] = ((there - here) + (back - here) - alone[i] - alone[j]) / 2
    return found / step**2
