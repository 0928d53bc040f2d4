"""Full covariances: every column may go with every other."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, Labels
from latentem.core import Degenerate
from latentem.family.gaussian.covariance.form import VANISHED, Form
from latentem.family.gaussian.missing import Completion, Mask, correlated

_ASYMMETRY = 1e-10
_EPS = float(np.finfo(float).eps)


@final
@frozen
class Full(Form):
    """Any positive definite matrix for each component; covariances (k, d, d)."""

    def one(self, d: int) -> tuple[int, ...]:
        return d, d

    def free(self, d: int) -> int:
        return d * (d + 1) // 2

    def product(self, a: Array, b: Array) -> Array:
        return a[:, :, None] * b[:, None, :]

    def twice(self, a: Array, b: Array) -> Array:
        product = a[:, :, None] * b[:, None, :]
        return product + product.transpose(0, 2, 1)

    def of_columns(self, variances: Array) -> Array:
        return np.diag(variances)

    def scatter(self, y: Array, weight: Array) -> Array:
        scaled = np.sqrt(weight)[:, None] * y
        return np.dot(scaled.T, scaled)  # which lets other threads run, as @ does not

    def scatters(self, y: Array, counts: Array) -> Array:
        scatters = (y * counts[:, None]) @ y.transpose(0, 2, 1)  # a product with itself would take four times as long
        scatters += scatters.transpose(0, 2, 1).copy()
        scatters *= 0.5
        return scatters

    def squares(self, y: Array, out: Array) -> None:
        d, at = len(y), 0
        for lag in range(d):  # y_i y_(i + lag): the rows of a lag stand side by side, so this is one long product
            np.multiply(y[: d - lag], y[lag:], out=out[at : at + d - lag])
            at += d - lag

    def quadratic(self, precisions: Array) -> Array:
        i, j = _lags(precisions.shape[1])
        return precisions[:, i, j] * np.where(i == j, 1.0, 2.0)

    def second_of(self, squares: Array, d: int) -> Array:
        i, j = _lags(d)
        second = np.empty((len(squares), d, d))
        second[:, i, j] = second[:, j, i] = squares
        return second

    def average(self, second: Array, count: Array, d: int) -> Array:
        return second / count[:, None, None]  # (eq: covariances)

    def columns(self, second: Array) -> Array:
        return second.diagonal(axis1=-2, axis2=-1)

    def complete(self, x: Array, missing: Mask, means: Array, covariances: Array) -> tuple[Array, Completion]:
        return correlated(x, missing, means, covariances)

    def factor(self, covariances: Array, d: int) -> tuple[Array, Array]:
        from scipy.linalg.lapack import dpotrf, dtrtri  # a large module, which nothing needs before a fit

        whiteners = np.empty(covariances.shape)
        for j, covariance in enumerate(covariances):  # quicker than all at once, where they are small
            root, failed = dpotrf(covariance, lower=1)
            if failed:
                raise Degenerate(j, "covariances", "not positive definite")
            whiteners[j], _ = dtrtri(root, lower=1, overwrite_c=1)
        diagonals = whiteners.reshape(len(whiteners), d * d)[:, :: d + 1]
        return whiteners, -2 * np.add.reduce(np.log(diagonals), axis=1)

    def whiten(self, whitener: Array, y: Array) -> Array:
        return y @ whitener.T

    def squared_lengths(self, whiteners: Array, y: Array) -> Array:
        z = whiteners @ y
        z *= z
        return np.asarray(np.add.reduce(z, axis=1))

    def applied(self, precisions: Array, y: Array) -> Array:
        return np.matvec(precisions, y)

    def precision(self, whiteners: Array) -> Array:
        return whiteners.transpose(0, 2, 1) @ whiteners

    def trace(self, precisions: Array, second: Array) -> Array:
        return np.einsum("mij,mij->m", precisions, second)

    def weakest(self, covariances: Array, reference: Array) -> tuple[Array, Array | None]:
        root = np.sqrt(reference)
        values, vectors = np.linalg.eigh(covariances / (root[:, None] * root))
        return values[:, 0], np.abs(vectors[:, :, 0]).argmax(axis=1)

    def weakest_at_least(self, precisions: Array, reference: Array) -> float:
        root = np.sqrt(reference)
        return 1 / _norm(precisions * (root[:, None] * root))

    def surely_above(self, covariances: Array, reference: Array, times: float) -> bool:
        """Whether in no direction a variance is as small as so many times `reference`; False where that is close."""
        root = np.sqrt(reference)
        return _surely_exceed(covariances / (root[:, None] * root), times)

    def surely_keep(self, part: float, before: Array, after: Array) -> bool:
        variances = after.diagonal(axis1=1, axis2=2)
        if not (variances > 0).all():
            return False
        scale = 1 / np.sqrt(variances)
        return _surely_exceed((after - part * before) * scale[:, :, None] * scale[:, None, :], 0.0)

    def collapsed(self, covariances: Array, variances: Array) -> Any:
        own = covariances.diagonal(axis1=1, axis2=2)
        vanished = (own < VANISHED * variances).any(axis=1)
        least = 4 * _EPS * own.shape[1]
        if _surely_exceed(_correlations(covariances), least):
            return vanished
        return vanished | (_least_correlation(covariances) < least)

    def condition(self, covariances: Array) -> Array:
        return 1 / np.maximum(_least_correlation(covariances), _EPS)

    def condition_at_most(self, widths: Array, precisions: Array) -> float:
        # The norm of an inverse correlation, which is D P D with D the standard deviations.
        return _norm(precisions * widths[:, :, None] * widths[:, None, :])

    def raised(self, covariances: Array, floor: Array) -> Array:
        if not floor.any() or self.surely_above(covariances, floor, 1.0):
            return covariances
        # (eq: floor)
        root = np.sqrt(floor)
        values, vectors = np.linalg.eigh(covariances / (root[:, None] * root))
        low = values[:, 0] < 1
        if not low.any():
            return covariances
        lifted = np.einsum("mij,mj,mlj->mil", vectors[low], np.maximum(values[low], 1), vectors[low])
        raised = covariances.copy()
        raised[low] = root[:, None] * root * (lifted + lifted.transpose(0, 2, 1)) / 2
        return raised

    def colour(self, covariance: Array, z: Array) -> Array:
        return z @ np.linalg.cholesky(covariance).T

    def dense(self, covariances: Array, d: int) -> Array:
        return covariances

    def among(self, covariances: Array, columns: tuple[int, ...]) -> Array:
        return covariances[:, columns][:, :, columns]

    def unfit(self, covariances: Array) -> str | None:
        scale = np.sqrt(np.abs(np.einsum("mi,mj->mij", *2 * (covariances.diagonal(axis1=1, axis2=2),))))
        if (np.abs(covariances - covariances.transpose(0, 2, 1)) > _ASYMMETRY * scale).any():
            return "not symmetric"
        variances = covariances.diagonal(axis1=1, axis2=2)
        if not (variances > 0).all():
            return f"not positive definite (smallest variance {variances.min():.3g})"
        least = _least_correlation(covariances).min()
        return None if least > 0 else f"not positive definite (smallest eigenvalue as correlations {least:.3g})"


@cache
def _lags(d: int) -> tuple[Labels, Labels]:
    """Rows and columns of the upper triangle of a matrix, diagonal by diagonal."""
    i = np.concatenate([np.arange(d - lag) for lag in range(d)])
    return i, i + np.repeat(np.arange(d), np.arange(d, 0, -1))


def _norm(matrices: Array) -> float:
    """Frobenius norm of all of them: no eigenvalue of any is larger. Infinite where squares overflow."""
    return math.sqrt(np.vdot(matrices, matrices))


def _least_correlation(covariances: Array) -> Array:
    """Smallest eigenvalue of each correlation matrix, shape (m,): whatever the units of the columns."""
    return np.linalg.eigvalsh(_correlations(covariances))[:, 0].astype(np.float64, copy=False)


def _correlations(covariances: Array) -> Array:
    variances = covariances.diagonal(axis1=1, axis2=2)
    root = np.sqrt(np.where(variances > 0, variances, 1.0))
    return covariances / root[:, :, None] / root[:, None, :]


def _surely_exceed(matrices: Array, level: float) -> bool:
    """Whether all eigenvalues of symmetric matrices, (m, d, d), exceed a level; False where that is close.

    They do if what is left without it has a Cholesky factor, which takes a fiftieth of the time of an eigenvalue. Its
    rounding is below (d + 1) 2^-53 of the trace (Higham, 2002, theorem 10.3), of which there are eight to spare.
    """
    m, d, _ = matrices.shape
    rest = matrices.copy()
    diagonals = rest.reshape(m, d * d)[:, :: d + 1]
    diagonals -= (level + 4 * (d + 1) * _EPS * diagonals.sum(axis=1))[:, None]
    try:
        factors = np.linalg.cholesky(rest)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(factors).all())
