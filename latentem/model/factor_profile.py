"""The likelihood of factor analysis as a function of its noise alone: the best loadings are known in closed form."""

from __future__ import annotations

import numpy as np
from attrs import evolve

from latentem.arrays import Array, own
from latentem.family import CovariancePrior
from latentem.model.factor_values import LOST, FactorParams, FactorStatistics
from latentem.numerics.box import minimise


def beyond(prior: CovariancePrior, params: FactorParams, statistics: FactorStatistics) -> FactorStatistics | None:
    """Statistics to whose M-step a run may leap: those of the maximum over the noise; None if it is not known."""
    rows, count = statistics.rows, statistics.count
    if rows is None or not count > 0:
        return None
    covariance, variances = rows.centred[0] / count, statistics.variances()
    floor = prior.floor(variances)
    low = LOST * variances if floor is None else np.maximum(floor, LOST * variances)
    second, units = prior.pseudo(statistics.shape, len(covariance))
    begin = evolve(params, mean=rows.means()[0])
    found = best_noise(covariance, begin, low, variances, (second / count, units / count))
    if floor is None and not (found.noise > 2 * low).all():  # there is none: a plain step finds that out, by name
        return None
    return statistics.at(found, (second, units))


def best_noise(
    covariance: Array, params: FactorParams, low: Array, high: Array, pseudo: tuple[Array, float]
) -> FactorParams:
    """Parameters of largest likelihood for rows with this covariance, (d, d), near given ones; the mean is left alone.

    Newton's method over the log variances of the noise (Joreskog, 1967). The maximum may be a local one.

    Args:
        covariance: Of the rows, divisor n.
        params: Where to begin.
        low: The least variances of the noise, shape (d,) or ().
        high: The largest.
        pseudo: What a prior adds to the second moments of the noise, in the shape of the noise, and to their number,
            both for one row.
    """
    d, m = params.loadings.shape
    shape, (more, units), root = params.noise.shape, pseudo, _root(covariance)

    def cost(log_noise: Array) -> tuple[float, Array, Array]:
        """Minus twice the log likelihood of a row and the log prior, up to a constant; gradient and Hessian."""
        each = np.broadcast_to(log_noise, (d,))
        size, axes = _whitened(root, np.exp(each))
        used = (np.arange(d) < m) & (size > 1)  # what the factors explain: the directions that stand above the noise
        (high_size, factors), (rest, others) = ((size[part], axes[:, part]) for part in (used, ~used))
        # (eq: factor-profile)
        value = each.sum() + np.log(high_size).sum() + len(high_size) + rest.sum()
        slope = (others**2) @ (1 - rest)
        pairs = (others[:, :, None] * factors[:, None, :]).reshape(d, -1)
        apart = ((1 - rest)[:, None] * (rest[:, None] + high_size) / (high_size - rest[:, None])).ravel()
        bend = (others @ others.T) * ((others * rest) @ others.T) + (pairs * apart) @ pairs.T
        if not shape:
            slope, bend = slope.sum(keepdims=True), bend.sum(keepdims=True)
        pull = np.ravel(more) * np.exp(-log_noise)
        value += units * each.sum() + pull.sum()
        return float(value), slope + units * d / len(log_noise) - pull, bend + np.diag(pull)

    found = minimise(cost, *(np.ravel(np.log(each)) for each in (params.noise, low, high)))
    # The floor itself, and not what its logarithm has made of it.
    noise = np.where(found <= np.ravel(np.log(low)), np.ravel(low), np.exp(found)).reshape(shape)
    size, axes = _whitened(root, np.broadcast_to(noise, (d,)))
    loadings = axes[:, :m] * np.sqrt(np.maximum(size[:m] - 1, 0.0))
    left, _, right = np.linalg.svd(loadings.T @ params.whitened)  # the rotation that is nearest to the given loadings
    return FactorParams(params.mean, own((np.sqrt(noise) * (loadings @ left @ right).T).T), own(noise))


def _root(covariance: Array) -> Array:
    """R with R'R the covariance, (d, d), whatever the units of the columns; also where it is singular."""
    width = np.sqrt(covariance.diagonal())
    unit = np.where(width > 0, width, 1.0)
    size, axes = np.linalg.eigh(covariance / np.outer(unit, unit))
    return np.asarray(np.sqrt(np.maximum(size, 0.0))[:, None] * axes.T * width)


def _whitened(root: Array, noise: Array) -> tuple[Array, Array]:
    """Eigenvalues of the covariance in units of the noise, (d,), the largest first, and their axes in the columns.

    By singular values, of which the small ones keep their digits beside large ones: where a noise vanishes, the largest
    eigenvalue is its inverse.
    """
    _, lengths, axes = np.linalg.svd(root / np.sqrt(noise))
    return lengths**2, axes.T
