"""How much components overlap, whatever family they are of."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations
from typing import Any

import numpy as np

from latentem.arrays import Array, own
from latentem.core import Unavailable
from latentem.family import Family
from latentem.numerics.rng import children

_DRAWS = 2**13
"""Rows drawn of each component; the standard error of a coefficient is then below 0.004."""


def overlap(family: Family[Any, Any], params: Any, rng: Any = 0) -> Array:
    """Bhattacharyya's (1943) coefficients: the integral of sqrt(f_i f_j) for each pair of components, shape (k, k).

    1 where two are the same density, 0 where no row is of both; minus its logarithm is Bhattacharyya's distance. In
    closed form between Gaussians (Kailath, 1967), by rows drawn of both where one of them is none.

    Args:
        family: What the components are.
        params: Its parameters.
        rng: An int, Generator, RandomState or SeedSequence, for the draws.

    Raises:
        Unavailable: a component is no Gaussian and the family has no `sample`.
    """
    k = family.count(params)
    coefficients = np.eye(k)
    normal = np.zeros(k, dtype=bool)
    with suppress(Unavailable):
        means, scales, dof = family.elliptical(params)
        normal = np.isinf(dof)
    seeds = children(rng, k)
    # Of each component, the log densities of all at its draws: (draws, k).
    seen: dict[int, Array] = {}
    for j in range(k) if not normal.all() else ():
        x = family.sample(params, np.full(_DRAWS, j), np.random.default_rng(seeds[j]))
        seen[j] = family.log_density(params, x)
    for i, j in combinations(range(k), 2):
        if normal[i] and normal[j]:
            coefficients[i, j] = _of_gaussians(means[i], scales[i], means[j], scales[j])
        else:
            coefficients[i, j] = (_of_draws(seen[i], i, j) + _of_draws(seen[j], i, j)) / 2
        coefficients[j, i] = coefficients[i, j]
    return own(coefficients)


def _of_gaussians(mean: Array, covariance: Array, other_mean: Array, other: Array) -> float:
    """exp(-D), D = 1/8 a' S^-1 a + 1/2 log(|S| / sqrt(|S_i| |S_j|)), S the mean of the covariances."""
    # (eq: overlap)
    both, apart = (covariance + other) / 2, mean - other_mean
    logs = [np.linalg.slogdet(matrix)[1] for matrix in (both, covariance, other)]
    distance = apart @ np.linalg.solve(both, apart) / 8 + (logs[0] - (logs[1] + logs[2]) / 2) / 2
    return float(np.exp(-max(distance, 0.0)))


def _of_draws(densities: Array, i: int, j: int) -> float:
    """The mean of 2 sqrt(f_i f_j) / (f_i + f_j) over draws, half of the integral's share in one of the two.

    With l the difference of their logs it is 1 / cosh(l / 2).
    """
    one, other = densities[:, i], densities[:, j]
    possible = (one > -np.inf) & (other > -np.inf)
    apart = np.abs(np.where(possible, one, np.inf) - np.where(possible, other, 0.0)) / 2
    return float(np.mean(2 * np.exp(-apart) / (1 + np.exp(-2 * apart))))
