"""The log evidence of K-means as the mixture that it is, which has one variance for all."""

from __future__ import annotations

import numpy as np

from latentem.arrays import Array
from latentem.data import Rows
from latentem.family.products import multiplied
from latentem.kmeans.sums import blocks, squared_lengths

_FAINTEST = -700.0
_ACCURATE = 1e-10
"""Nats by which the log density of a row may be off before its distances are taken column by column."""


def log_evidence(centres: Array, variance: float, chunk: Rows) -> Array | None:
    """log p(row) under k equal weights and one variance, in nats, shape (n,); None where a product is not accurate.

    The product form |x|^2 - 2 x.c + |c|^2 about the rows' middle is off by at most (d + 6) 2^-53 (|x| + |c|)^2.
    """
    x, (k, d) = chunk.x, centres.shape
    middle = x[0] + (x[-1] - x[0]) / 2
    about = centres - middle
    lengths = squared_lengths(about)
    evidence = np.empty(len(x))
    constant = -np.log(k) - d / 2 * np.log(2 * np.pi * variance)
    coefficients = about / variance
    least = (lengths / (2 * variance))[:, None]
    farthest = np.sqrt(lengths.max())
    with np.errstate(under="ignore"):
        for part in blocks(len(x), max(k, d)):
            y = x[part] - middle
            squared = squared_lengths(y)
            if (d + 6) * 2.0**-53 * (np.sqrt(squared.max()) + farthest) ** 2 > 2 * variance * _ACCURATE * max(1, d / 2):
                return None
            scores = multiplied(coefficients, np.ascontiguousarray(y.T), out=np.empty((k, len(y))))
            scores -= least
            if chunk.allowed is not None:
                scores[~chunk.allowed[part].T] = -np.inf
            highest = scores.max(axis=0)
            scores -= highest
            np.maximum(scores, _FAINTEST, out=scores)  # what would underflow is slow, and adds nothing
            np.exp(scores, out=scores)
            evidence[part] = constant + np.log(scores.sum(axis=0)) + highest - squared / (2 * variance)
    return evidence
