"""Diagonal covariances: columns that do not correlate."""

from __future__ import annotations

from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.family.gaussian.covariance.form import Form, refuse_nonpositive


@final
@frozen
class Diagonal(Form):
    """A variance for each column of each component; covariances (k, d)."""

    def one(self, d: int) -> tuple[int, ...]:
        return (d,)

    def free(self, d: int) -> int:
        return d

    def product(self, a: Array, b: Array) -> Array:
        return a * b

    def scatter(self, y: Array, weight: Array) -> Array:
        return weight @ (y * y)

    def scatters(self, y: Array, counts: Array) -> Array:
        return np.matvec(y * y, counts)

    def average(self, second: Array, count: Array, d: int) -> Array:
        return second / count[:, None]  # (eq: covariances)

    def of_columns(self, variances: Array) -> Array:
        return variances

    def squares(self, y: Array, out: Array) -> None:
        np.multiply(y, y, out=out)

    def quadratic(self, precisions: Array) -> Array:
        return precisions

    def second_of(self, squares: Array, d: int) -> Array:
        return squares

    def factor(self, covariances: Array, d: int) -> tuple[Array, Array]:
        refuse_nonpositive(covariances.min(axis=1))
        return 1 / np.sqrt(covariances), np.log(covariances).sum(axis=1)

    def trace(self, precisions: Array, second: Array) -> Array:
        return (precisions * second).sum(axis=1)

    def weakest(self, covariances: Array, reference: Array) -> tuple[Array, Array | None]:
        ratio = covariances / reference
        return ratio.min(axis=1), ratio.argmin(axis=1)
