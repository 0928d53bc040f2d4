"""Axes that several covariances have in common: the rotation at which variances along them lose least."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Protocol

import numpy as np

from latentem.arrays import Array, Labels


class Loss(Protocol):
    """A loss of variances along axes, (k, d), that knows its slopes."""

    def value(self, variances: Array) -> float:
        """What they lose."""
        ...

    def slopes(self, variances: Array) -> tuple[Array, Array]:
        """How the loss changes with each, (k, d), and how these slopes do, (k, d, d)."""
        ...

    def in_plane(self, one: Array, other: Array, rest: Array) -> Array:
        """The part of it that a rotation of two axes changes, up to a rising function.

        Args:
            one: Variances along the one axis, (..., k).
            other: Along the other, (..., k).
            rest: Sums of the logs of those along the axes that stay, (..., k).
        """
        ...


_ROUNDS, _STEPS = 50, 100
_SETTLED = 1e-15
_SHORT = 1e-6
"""Angles so small that a Newton's step is exact to rounding."""
_TINY = float(np.finfo(float).tiny)
_ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 32, endpoint=False)
_NO_TURN = len(_ANGLES) // 2


def axes_of(covariances: Array) -> Array:
    """Axes, the columns of a matrix (d, d), that are common to covariances (k, d, d) where they have such."""
    k = len(covariances)
    # No two sums of unlike weights are alike in all directions where one covariance is not.
    weights = (1 + np.arange(k) * 0.6180339887498949 % 1) / covariances.trace(axis1=1, axis2=2)
    return np.asarray(np.linalg.eigh(np.tensordot(weights, covariances, axes=1))[1])


def variances_along(own: Array, axes: Array) -> Array:
    """Variances of covariances (k, d, d) along axes, shape (k, d)."""
    return _variances(axes.T @ own @ axes)


def _variances(turned: Array) -> Array:
    return np.maximum(turned.diagonal(axis1=1, axis2=2), 0.0)


def common_axes(own: Array, loss: Loss, axes: Array) -> Array:
    """Axes along which variances lose least, from given ones on: Newton's steps, and rotations of two axes at a time.

    Newton's are quick near the end; where they have ended, a rotation of two axes, which sees all angles, may lead on.

    Args:
        own: Covariances, (k, d, d).
        loss: What variances along axes lose.
        axes: Where to begin.
    """
    if len(axes) == 1:
        return axes
    value = loss.value(variances_along(own, axes))
    for _ in range(_ROUNDS):
        axes, value = _newton(own, loss, axes, value)
        turned = _turned(own, loss, axes)
        if turned is None or not (after := loss.value(variances_along(own, turned))) < value:
            return axes
        axes, value = turned, after
    return axes


def _newton(own: Array, loss: Loss, axes: Array, value: float) -> tuple[Array, float]:
    """The end of Newton's steps in the angles of all pairs of axes, each halved until it gains.

    Turned by exp(w) with w' = -w, a covariance T becomes T + [T, w] + [[T, w], w] / 2 + ...; the curvature is that of
    its diagonal, taken positive.
    """
    d, k = len(axes), len(own)
    pairs, planes = _planes(d)
    (i, j), at, flat = pairs.T, np.arange(len(pairs)), planes.reshape(len(pairs), d * d)
    for _ in range(_STEPS):
        turned = axes.T @ own @ axes
        first, second = loss.slopes(_variances(turned))
        moved = np.zeros((k, d, len(pairs)))  # of the variances, by each angle
        entries = 2 * turned[:, i, j]
        moved[:, i, at], moved[:, j, at] = -entries, entries
        # (eq: axes)
        slope = first.reshape(-1) @ moved.reshape(k * d, -1)
        curvature = (moved.transpose(0, 2, 1) @ second @ moved).sum(axis=0)
        weighted = (first.T @ turned.reshape(k, d * d)).reshape(d, d, d)  # the slope along a times T_bc, over all T
        both = weighted.diagonal().T @ planes  # tr(slopes T P Q), for all planes P and Q, and tr(slopes P T Q)
        both -= (planes.transpose(1, 0, 2) @ weighted).transpose(1, 0, 2)
        traces = -both.reshape(len(pairs), d * d) @ flat.T  # Q' = -Q
        curvature += traces + traces.T
        if not (np.isfinite(curvature).all() and np.isfinite(slope).all()):
            break
        values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
        steep = np.maximum(np.abs(values), 1e-12 * np.abs(values).max() + _TINY)
        along = vectors.T @ slope
        step = -vectors @ (along / steep)
        longest = max(np.abs(step).max(), _TINY)
        last = longest < _SHORT and along @ (along / steep) <= 2 * _SETTLED * d  # what it gains is below rounding
        step *= min(1.0, 0.5 / longest)
        while True:
            half = (step / 2 @ flat).reshape(d, d)
            other = axes @ np.linalg.solve(np.eye(d) - half, np.eye(d) + half)  # Cayley's rotation
            if last:
                return other, value
            after = loss.value(variances_along(own, other))
            if after < value or np.abs(step).max() < 1e-12:
                break
            step /= 2
        if not after < value:
            break
        gained, axes, value = value - after, other, after
        if gained <= _SETTLED * d:
            break
    return axes, value


@cache
def _planes(d: int) -> tuple[Labels, Array]:
    """All pairs of axes, (p, 2), and the skew matrix of a turn in the plane of each, (p, d, d)."""
    pairs = np.array(list(combinations(range(d), 2)), dtype=np.int64).reshape(-1, 2)
    planes = np.zeros((len(pairs), d, d))
    at = np.arange(len(pairs))
    planes[at, pairs[:, 0], pairs[:, 1]], planes[at, pairs[:, 1], pairs[:, 0]] = 1.0, -1.0
    return pairs, planes


def _turned(own: Array, loss: Loss, axes: Array) -> Array | None:
    """The axes after that of some rotations of two of them which gains most; None where none gains.

    A rotation by psi / 2 leaves the trace 2 m and the determinant of two axes. Their variances become m + x and m - x,
    the product of these det + y^2: x = delta cos psi + h sin psi and y = h cos psi - delta sin psi, where h is the
    covariance and 2 delta the difference.
    """
    turned, (pairs, _) = axes.T @ own @ axes, _planes(len(axes))
    p, q = pairs.T
    cos, sin = np.cos(_ANGLES)[:, None, None], np.sin(_ANGLES)[:, None, None]
    a, b, h = (turned[:, i, j].T for i, j in ((p, p), (q, q), (p, q)))  # (pairs, k)
    delta, det = (a - b) / 2, np.maximum(a * b - h * h, 0.0)
    x, y = delta * cos + h * sin, h * cos - delta * sin
    large = np.maximum((a + b) / 2 + np.abs(x), _TINY)
    logs = np.log(np.maximum(turned.diagonal(axis1=1, axis2=2), _TINY))  # (k, d)
    rest = logs.sum(axis=1) - logs[:, p].T - logs[:, q].T
    found = loss.in_plane(large, np.maximum((det + y * y) / large, _TINY), rest)  # (angles, pairs)
    gained = found[_NO_TURN] - found
    at, pair = np.unravel_index(int(gained.argmax()), gained.shape)
    if not gained[at, pair] > _SETTLED * np.abs(found[_NO_TURN, pair]):
        return None
    c, s = np.cos(_ANGLES[at] / 2), np.sin(_ANGLES[at] / 2)
    axes = axes.copy()
    axes[:, pairs[pair]] = axes[:, pairs[pair]] @ np.array([[c, -s], [s, c]])
    return axes
