"""Spherical covariances: one variance, the same in every direction."""

from __future__ import annotations

from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.family.gaussian.covariance.form import Form, refuse_nonpositive


@final
@frozen
class Spherical(Form):
    """One variance for each component; covariances (k,)."""

    def one(self, d: int) -> tuple[int, ...]:
        return ()

    def free(self, d: int) -> int:
        return 1

    def product(self, a: Array, b: Array) -> Array:
        return (a * b).sum(axis=1)

    def scatter(self, y: Array, weight: Array) -> Array:
        return np.asarray(weight @ np.einsum("nd,nd->n", y, y))

    def scatters(self, y: Array, counts: Array) -> Array:
        return np.asarray(np.matvec(y * y, counts).sum(axis=1))

    def average(self, second: Array, count: Array, d: int) -> Array:
        return second / (count * d)  # (eq: covariances)

    def of_columns(self, variances: Array) -> Array:
        return np.asarray(variances.sum())

    def kept(self, columns: Array) -> Array:
        return np.asarray(columns.sum())

    def variances(self, columns: Array, count: float, d: int) -> Array:
        return columns / (count * d)

    def squares(self, y: Array, out: Array) -> None:
        np.einsum("dn,dn->n", y, y, out=out[0])

    def quadratic(self, precisions: Array) -> Array:
        return precisions[:, None]

    def second_of(self, squares: Array, d: int) -> Array:
        return squares[:, 0]

    def factor(self, covariances: Array, d: int) -> tuple[Array, Array]:
        refuse_nonpositive(covariances)
        return 1 / np.sqrt(covariances), d * np.log(covariances)

    def among(self, covariances: Array, columns: tuple[int, ...]) -> Array:
        return covariances

    def trace(self, precisions: Array, second: Array) -> Array:
        return precisions * second

    def weakest(self, covariances: Array, reference: Array) -> tuple[Array, Array | None]:
        return covariances / reference, None
