"""K-means as the mixture that it is, with one variance for all: its log evidence, and whether its centres are apart."""

from __future__ import annotations

import numpy as np

from latentem.arrays import Array
from latentem.data import Rows
from latentem.kernel.base import UNIT
from latentem.kernel.products import multiplied
from latentem.kmeans.sums import blocks, squared_lengths

_FAINTEST, _LEAST = -700.0, 1e-280
"""The least exponent that is taken as it is, and the least sum beside which the exponential of it is nothing."""
_CLOSE = 1e-6
"""Squared distance, in variances, below which two centres may pass for one."""
_ACCURATE = 1e-10
"""Nats by which the log density of a row may be off before its distances are taken column by column."""
_WIDEST = 2**8
"""Clusters or columns beyond which a block of rows becomes no shorter: products with few rows are slow."""


def log_evidence(centres: Array, variance: float, chunk: Rows) -> Array | None:
    """log p(row) under k equal weights and one variance, in nats, shape (n,); None where a product is not accurate.

    The product form |x|^2 - 2 x.c + |c|^2 about the rows' middle is off by at most (2 d + 8) 2^-53 (|x| + |c|)^2.
    """
    x, (k, d) = chunk.x, centres.shape
    middle = x[0] + (x[-1] - x[0]) / 2  # near enough to the rows, and nothing is added up for it
    about = centres - middle
    lengths = squared_lengths(about)
    farthest = np.sqrt(lengths.max())
    # -distance^2 / (2 variance) = (c, -1/2, -|c|^2 / 2) / variance . (y, |y|^2, 1)
    coefficients = np.column_stack([about, np.full(k, -0.5), -0.5 * lengths]) / variance
    constant = -np.log(k) - d / 2 * np.log(2 * np.pi * variance)  # (eq: k-means-bound)
    evidence, near = np.empty(len(x)), True
    highest: Array | float
    with np.errstate(under="ignore"):
        for part in blocks(len(x), min(max(k, d), _WIDEST)):
            features = np.ones((d + 2, part.stop - part.start))
            y = np.subtract(x[part].T, middle[:, None], out=features[:d])
            np.einsum("dn,dn->n", y, y, out=features[d])
            reach = np.sqrt(features[d].max()) + farthest
            if (2 * d + 8) * UNIT * reach**2 > 2 * variance * _ACCURATE * max(1, d / 2):
                return None
            scores = multiplied(coefficients, features, out=np.empty((k, len(x[part]))))
            if chunk.allowed is not None:
                scores[~chunk.allowed[part].T] = -np.inf
            highest = 0.0
            total = _summed(scores) if near else np.zeros(1)
            if not total.min() > _LEAST:  # rows that are far from all centres, as others of the chunk will be
                near, highest = False, scores.max(axis=0)
                total = _summed(scores - highest)
            evidence[part] = np.log(total) + (constant + highest)
    return evidence


def _summed(scores: Array) -> Array:
    """Sum of the exponentials of each column; what would underflow is slow, and adds nothing."""
    shares = np.maximum(scores, _FAINTEST)
    total: Array = np.exp(shares, out=shares).sum(axis=0)
    return total


def separate(centres: Array, variance: Array) -> bool:
    """Whether all centres, shape (k, d), are far from being the same: only those near in one column are compared."""
    # Centres that are close are close in the widest column too: sorted by it, they are few steps apart.
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
