"""Where the members of a mixture within a component begin."""

from __future__ import annotations

import numpy as np

from latentem.arrays import Array, Labels

_SURE = 0.9
"""How much of a row its own member has at a start; the others share the rest, so that none is without rows."""
_STILL = 1e-12
"""Spread, relative to the largest value, below which a column says nothing."""
_TURNS = 12
"""Steps of power iteration: a direction in which the rows differ much is all that is asked for."""


def apart(x: Array, weights: Array, m: int) -> Array:
    """Shares of m members in the rows of each component, shape (n, k, m), to start from.

    The rows of a component are laid along the direction in which they differ most, each column in units of its spread
    among all rows, and cut there into m parts of equal weight. Rows that are the same have the same shares.

    Args:
        x: Rows, shape (n, d), NaN where a cell is missing.
        weights: Of each row in each component, shape (n, k).
        m: How many members.
    """
    n, k = weights.shape
    shares = np.full((n, k, m), 1 / m)
    if m == 1:
        return shares
    shares[:] = (1 - _SURE) / (m - 1)
    y = _scaled(x, weights.sum(axis=1))
    for j in range(k):
        shares[np.arange(n), j, _parts(y, weights[:, j], m)] = _SURE
    return shares


def _scaled(x: Array, weight: Array) -> Array:
    """The columns about their mean and in units of their spread, missing cells at their mean, shape (n, d)."""
    missing = np.isnan(x)
    each = np.where(missing, 0.0, weight[:, None])
    total = np.maximum(each.sum(axis=0), np.finfo(float).tiny)
    cells = np.where(missing, 0.0, x)
    size = np.abs(cells).max(axis=0, initial=0.0)
    cells /= np.where(size > 0, size, 1.0)  # before they are squared: units may be extreme
    y = np.where(missing, 0.0, cells - (each * cells).sum(axis=0) / total)
    spread = np.sqrt((each * y * y).sum(axis=0) / total)
    return np.asarray(y / np.where(spread > _STILL, spread, np.inf))


def _parts(y: Array, weight: Array, m: int) -> Labels:
    """The part of each row among those of one component, whole numbers below m, shape (n,)."""
    whole = weight.sum()
    if not whole > 0:
        return np.zeros(len(y), dtype=np.int64)
    y = y - weight @ y / whole
    direction = np.sqrt(1.0 + np.arange(y.shape[1]))  # at right angles to nothing in particular
    for _ in range(_TURNS):
        turned = y.T @ (weight * (y @ direction))
        length = np.linalg.norm(turned)
        if not length > 0:
            break
        direction = turned / length
    where, which = np.unique(np.round(y @ direction, 12), return_inverse=True)
    heavy = np.bincount(which, weight, minlength=len(where))
    middle = heavy.cumsum() - heavy / 2
    part: Labels = np.minimum((m * middle / whole).astype(np.int64), m - 1)[which]
    return part
