"""EM for many weightings of the same rows at a time: one family with the components of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from latentem.arrays import Array
from latentem.core import Degenerate
from latentem.data import Rows
from latentem.family import Family
from latentem.family.by_component import by_field, stacked
from latentem.kernel import NEVER, densities, weighted_statistics
from latentem.model.simplex import PseudoCounts, SimplexRows, log_of

_NUMBERS = 2**19
"""Numbers in the table of memberships, (rows, weightings x components), at a time."""


def abreast(
    family: Family[Any, Any],
    prior: PseudoCounts,
    params: tuple[Array, Any],
    chunk: Rows,
    weights: Array,
    steps: int,
) -> list[tuple[Array, Any]] | None:
    """Weights and components of a mixture after some steps of EM, for each weighting of the rows.

    The densities of all weightings are one matrix product, for features of the rows are the same for all.

    Args:
        family: What the components are.
        prior: On the weights.
        params: Weights, (k,), and the family's parameters, where all begin.
        chunk: The rows.
        weights: Shape (weightings, n).
        steps: How many steps.

    Returns:
        None where components share something, so that those of two weightings would; where rows have known labels or
        missing values; or where the densities have no fast form that is sound.
    """
    if any(block.holding is None for block in family.blocks()) or chunk.allowed is not None or np.isnan(chunk.x).any():
        return None
    size = max(1, _NUMBERS // (len(chunk) * len(params[0])))
    found: list[tuple[Array, Any]] = []
    for begin in range(0, len(weights), size):
        some = _together(family, SimplexRows(prior), params, chunk, weights[begin : begin + size], steps)
        if some is None:
            return None
        found += some
    return found


def _together(
    family: Family[Any, Any],
    simplex: SimplexRows,
    params: tuple[Array, Any],
    chunk: Rows,
    weights: Array,
    steps: int,
) -> list[tuple[Array, Any]] | None:
    count, k = len(weights), len(params[0])
    shares, components = np.tile(params[0], (count, 1)), stacked([params[1]] * count)
    for _ in range(steps):
        kernel = family.kernel(components, np.maximum(log_of(shares).ravel(), NEVER))
        found = densities(kernel, chunk.x, chunk.centre, chunk.bounds)
        if found is None:
            return None
        kernel, log_joint = found[0], found[1].reshape(-1, count, k)
        counts = softmax(log_joint, axis=2) * weights.T[:, :, None]
        statistics = weighted_statistics(kernel, chunk.x, counts.reshape(len(counts), -1))
        if statistics is None:
            return None
        try:
            components = family.m_step(statistics, components)
        except Degenerate:
            return None
        shares = simplex.m_step(counts.sum(axis=0), shares)
    parts = [by_field(lambda array, b=b: array[b * k : (b + 1) * k], components) for b in range(count)]
    return list(zip(shares, parts, strict=True))
