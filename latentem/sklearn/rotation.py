"""Orthogonal rotations of loadings towards a simple pattern."""

from __future__ import annotations

import numpy as np

from latentem.arrays import Array

_STEPS, _TOLERANCE = 1000, 1e-10


def rotated(loadings: Array, method: str) -> Array:
    """Loadings, shape (d, m), in the rotation that makes their pattern simplest.

    It maximises the variance of the squared loadings, summed over columns for "varimax" (Kaiser, 1958) and over rows
    for "quartimax", by the singular value algorithm: each step goes to the nearest rotation of the gradient.

    Args:
        loadings: Shape (d, m).
        method: "varimax" or "quartimax".
    """
    d, m = loadings.shape
    turn, before = np.eye(m), 0.0
    gamma = 1.0 if method == "varimax" else 0.0
    for _ in range(_STEPS):
        now = loadings @ turn
        gradient = loadings.T @ (now**3 - gamma * now * (now**2).sum(axis=0) / d)
        u, size, v = np.linalg.svd(gradient)
        turn, total = u @ v, float(size.sum())
        if total < before * (1 + _TOLERANCE):
            break
        before = total
    return np.asarray(loadings @ turn)
