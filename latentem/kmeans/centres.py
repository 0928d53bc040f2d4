"""What can be said of the centres alone."""

from __future__ import annotations

import numpy as np

from latentem.arrays import Array
from latentem.kmeans.sums import squared_lengths

_CLOSE = 1e-6
"""Squared distance, in variances, below which two centres may pass for one."""


def separate(centres: Array, variance: Array) -> bool:
    """Whether all centres, shape (k, d), are far from being the same: only those near in one column are compared."""
    column = centres[:, int(np.ptp(centres, axis=0).argmax())]
    order = column.argsort(kind="stable")
    width = np.sqrt(_CLOSE * variance)
    for step in range(1, len(centres)):
        near = np.flatnonzero(column[order[step:]] - column[order[:-step]] < width)
        if not len(near):
            return True
        apart = centres[order[step + near]] - centres[order[near]]
        if (squared_lengths(apart) < width * width).any():
            return False
    return True
