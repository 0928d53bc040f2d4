"""Gaussians as features times natural parameters: (1, y, and the squares that the structure needs), y = x - origin."""

from __future__ import annotations

from functools import cached_property
from typing import Self, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, own
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.structure import Structure
from latentem.kernel.base import FEW, NARROWED, UNIT, FeatureKernel, Kernel, Sums, block_rows
from latentem.kernel.products import Buffers

_LOG_2PI = float(np.log(2 * np.pi))
_OTHERS = 32
"""Kernels about other origins that are kept: chunks that are alike share one; those that drift could fill memory."""
_TOLERANCE = 1e-10
"""Nats by which rounding may put a log density off; times d / 2 where there are more columns than two."""


@final
@frozen(eq=False)
class QuadraticKernel(FeatureKernel):
    """Gaussian densities in the feature form. Squares that tied components share are left out of it.

    Attributes:
        params: The means and covariances.
        log_weights: Shape (k,).
        origin: What the features are about, shape (d,).
        otherwise: The kernel for rows that are too far from the origin.
        others: Some of those about other origins.
    """

    params: GaussianParams
    log_weights: Array
    origin: Array
    otherwise: Kernel | None
    others: dict[bytes, QuadraticKernel]

    @classmethod
    def of(cls, params: GaussianParams, log_weights: Array, otherwise: Kernel | None = None) -> Self:
        """Of these densities, with these log weights, shape (k,), about the mean of their means."""
        return cls(params, log_weights, own(params.means.mean(axis=0)), otherwise, {})

    @property
    def natural(self) -> Array:
        return self._terms[0]

    @property
    def error(self) -> Array:
        """How much rounding can put a log density off, in unit roundoffs a feature, shape (k, p).

        docs/mathematics.md, "Two products".
        """
        return self._terms[1]

    @cached_property
    def _terms(self) -> tuple[Array, Array]:
        structure, (whiteners, log_det) = self.params.structure, self.params.factors
        d, apart = len(self.origin), self.params.means - self.origin
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite error says that this form will not do
            terms = _half_squared(structure, whiteners, apart)
            constants = 0.5 * (d * _LOG_2PI + log_det)
            terms[:, 0] += constants
            terms[:, 1 : 1 + d] *= -1
            sizes = _half_squared(structure, np.abs(whiteners), np.abs(apart))
            error = 4 * (np.sqrt(terms.shape[1]) + 1) * np.abs(terms) + 2 * np.sqrt(d) * sizes
            terms[:, 0] -= self.log_weights - np.max(
                self.log_weights - constants
            )  # the largest that a log joint can be
        return own(-terms), own(error)

    @property
    def structure(self) -> Structure:
        """What the covariances look like."""
        return self.params.structure

    def about(self, centre: Array) -> QuadraticKernel:
        key = centre.tobytes()
        other = self.others.get(key)
        if other is None:
            other = QuadraticKernel(self.params, self.log_weights, own(centre.copy()), self.otherwise, self.others)
            if len(self.others) >= _OTHERS:
                self.others.clear()
            self.others[key] = other
        return other

    def sums(self) -> Sums:
        d = len(self.origin)
        return Sums(np.zeros(self.natural.T.shape), np.zeros(self.structure.each.one(d)))

    @property
    def rows(self) -> int:
        return block_rows(self.natural.shape[1], len(self.natural))

    @property
    def bounded(self) -> bool:
        return not self.structure.tied

    @property
    def cost(self) -> float:
        """About how many nanoseconds a row takes, as measured; docs/kernels.md."""
        k, d = self.params.means.shape
        p = 1 + d + (0 if self.structure.tied else self.structure.each.free(d))
        return p * (2.2 + 0.083 * k) * (1 + p / 8000)

    def sound(self, low: Array, high: Array) -> bool:
        d = len(low)
        largest = np.empty((self.natural.shape[1], 1))
        with np.errstate(over="ignore", invalid="ignore"):
            largest[1 : 1 + d, 0] = np.maximum(np.abs(low - self.origin), np.abs(high - self.origin))
            self._complete(d, largest)
            error = UNIT * (self.error @ largest).max()
        return bool(error <= _TOLERANCE * max(1.0, d / 2))

    def features(self, x: Array, out: Array, buffers: Buffers) -> None:
        d = x.shape[1]
        np.subtract(x.T, self.origin[:, None], out=out[1 : 1 + d])
        self._complete(d, out)

    def _complete(self, d: int, out: Array) -> None:
        """Fill in the features beside the d that are y itself."""
        out[0] = 1.0
        if not self.structure.tied:
            self.structure.each.squares(out[1 : 1 + d], out[1 + d :])

    def add(self, x: Array, counts: Array, weight: Array | None, sums: Sums, buffers: Buffers) -> None:
        super().add(x, counts, weight, sums, buffers)
        if self.structure.tied:
            y = buffers.array("features", self.natural.shape[1], len(x))[1:].T
            sums.beside += self.structure.each.scatter(y, np.ones(len(x)) if weight is None else weight)

    def statistics(self, sums: Sums) -> Moments | None:
        k, d = len(self.natural), len(self.origin)
        each, products = self.structure.each, np.ascontiguousarray(sums.products.T)
        tied = self.structure.tied
        second = np.asarray(sums.beside)[None] if tied else each.second_of(products[:, 1 + d :], d)
        origin = np.broadcast_to(self.origin, (k, d))
        covariances = self.structure.spread(self.params.covariances)
        moments = Moments(each, origin, own(products[:, 0]), own(products[:, 1 : 1 + d]), own(second))
        return moments if moments.keep(NARROWED, covariances, sums.rows <= FEW) else None


def _half_squared(structure: Structure, whiteners: Array, apart: Array) -> Array:
    """Coefficients of 1/2 |W (y + a)|^2, shape (k, p): of one, of y and of the squares unless they are tied."""
    if whiteners.ndim == 3:
        whitened = np.matmul(whiteners, apart[:, :, None])[..., 0]
        linear = np.matmul(whitened[:, None], whiteners)[:, 0]
    else:
        scales = whiteners.reshape(len(apart), -1)
        whitened = scales * apart
        linear = scales * whitened
    parts = [0.5 * (whitened * whitened).sum(axis=1, keepdims=True), linear]
    return np.hstack(
        parts if structure.tied else [*parts, 0.5 * structure.each.quadratic(structure.each.precision(whiteners))]
    )
