"""Shares of counts, which are never zero where a count is not: else its logarithm would be minus infinity."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentem.arrays import Array

_TINY = float(np.finfo(float).tiny)
_KEPT = 0.1
"""The share of a share that an extrapolation leaves of it, at least."""
_BELOW_ONE = float(np.nextafter(1.0, 0.0))


def shares(counts: Array, otherwise: Any) -> Array:
    """Counts over their sum along the last axis; `otherwise` where there are none."""
    total = counts.sum(axis=-1, keepdims=True)
    if counts.min() > 0:
        return np.maximum(counts / total, _TINY)
    part = counts / np.where(total > 0, total, 1.0)
    return np.where(total > 0, _seen(part, counts), otherwise)


def share(part: Any, rest: Any, otherwise: Any) -> Any:
    """part / (part + rest), of counts; `otherwise` where there is nothing.

    It is 0 only where there is no part, and 1 only where there is no rest: what underflows, or is rounded up to 1,
    would make impossible what has been seen.
    """
    part, rest = np.asarray(part), np.asarray(rest)
    whole = part + rest
    of_all = _seen(part / np.where(whole > 0, whole, 1.0), part)
    of_all = np.where(rest > 0, np.minimum(of_all, _BELOW_ONE), of_all)
    return np.where(whole > 0, of_all, otherwise)


def held_back(counts: Array, probabilities: Array, ahead: Array) -> Array:
    """Extrapolated counts along the last axis, held back so that they can be counts; `counts` itself if they can.

    None takes more than nine tenths of a share, but where a plain step does. One that would leaves a tenth of it; or
    all, where a plain step makes it grow: an extrapolation may end below zero, or next to it, though the share would
    come back, and from there that takes long.

    Args:
        counts: What was extrapolated.
        probabilities: The shares as they are.
        ahead: The counts to which a plain step leads.
    """
    now = probabilities * np.maximum(counts, 0.0).sum(axis=-1, keepdims=True)
    there = shares(ahead, probabilities)
    least = (
        np.where(there < _KEPT * probabilities, there / np.where(probabilities > 0, probabilities, 1.0), _KEPT) * now
    )
    low = counts < least
    return np.where(low, np.where(there > probabilities, now, least), counts) if low.any() else counts


def _seen(part: Array, counts: Any) -> Array:
    return np.where(counts > 0, np.maximum(part, _TINY), part)
