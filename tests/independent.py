"""References that share no code with the library: densities from scipy, sums written out."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import logsumexp


def dense(covariances, k, d):
    """Covariances of any structure as (k, d, d), by their shape alone; k and d must differ."""
    shape = np.shape(covariances)
    if shape == (k, d, d):
        return np.asarray(covariances)
    if shape == (d, d):
        return np.broadcast_to(covariances, (k, d, d))
    if shape == (k, d):
        return np.stack([np.diag(row) for row in covariances])
    if shape == (d,):
        return np.broadcast_to(np.diag(covariances), (k, d, d))
    return np.stack([v * np.eye(d) for v in np.broadcast_to(covariances, (k,))])


def gaussian_log_joint(params, x):
    """log weight + log density of each row in each component, (n, k)."""
    means = params.components.means
    k, d = means.shape
    each = dense(params.components.covariances, k, d)
    columns = [
        stats.multivariate_normal(mean, cov, allow_singular=True).logpdf(x).reshape(len(x))
        for mean, cov in zip(means, each, strict=True)
    ]
    with np.errstate(divide="ignore"):
        return np.log(params.weights) + np.transpose(columns)


def log_joint_by_scipy(params, x):
    """log weight + log density of each row in each component, (n, k), whatever k and d."""
    parts = zip(params.weights, params.components.means, params.components.dense(), strict=True)
    with np.errstate(divide="ignore"):
        return np.stack([np.log(w) + stats.multivariate_normal.logpdf(x, m, c) for w, m, c in parts], axis=1)


def log_evidence(log_joint, weight=None):
    """Sum over rows of the log of the sum over components."""
    each = logsumexp(log_joint, axis=1)
    return float(each.sum() if weight is None else weight @ each)


def slack(observations, q, h):
    """The loss that rounding explains, as the design states it."""
    return 1e-10 * (observations + abs(q) + abs(h))


def matched(found, wanted):
    """The permutation of `found` that is nearest to `wanted`, both with components on the first axis."""
    order = [int(np.abs(np.asarray(found) - row).reshape(len(found), -1).sum(axis=1).argmin()) for row in wanted]
    assert sorted(order) == list(range(len(found)))
    return order


def lloyd(x, centres, steps):
    """Plain K-means: the centres after each step, empty clusters left where they are."""
    centres, path = np.array(centres, float), []
    for _ in range(steps):
        labels = ((x[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        for j in set(labels.tolist()):
            centres[j] = x[labels == j].mean(axis=0)
        path.append(centres.copy())
    return path


def jacobian_rank(log_densities, vector, step=1e-5):
    """How many numbers determine the density: the rank of d log p(rows) / d parameters, by central differences.

    Args:
        log_densities: From a vector of parameters, however redundant, the log densities of many rows.
        vector: Where.
        step: Of the differences.
    """
    columns = []
    for i in range(len(vector)):
        shift = np.zeros(len(vector))
        shift[i] = step * max(1.0, abs(vector[i]))
        columns.append((log_densities(vector + shift) - log_densities(vector - shift)) / (2 * shift[i]))
    jacobian = np.transpose(columns)
    scale = np.linalg.norm(jacobian, axis=0)
    return int(np.linalg.matrix_rank(jacobian / np.where(scale > 0, scale, 1.0), tol=1e-6 * np.sqrt(len(jacobian))))
