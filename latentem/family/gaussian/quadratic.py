"""Gaussians as features times natural parameters: (1, y, and the squares that their form needs), y = x - origin."""

from __future__ import annotations

from functools import cached_property
from typing import Self, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, made
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.whitened import WhitenedKernel
from latentem.kernel.base import FEW, NARROWED, UNIT, FeatureKernel, Sums

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
        form: That of one covariance.
        tied: Whether the components have one.
        others: Some of those about other origins.
    """

    params: GaussianParams
    log_weights: Array
    origin: Array
    form: Form
    tied: bool
    others: dict[bytes, QuadraticKernel]

    @classmethod
    def of(cls, params: GaussianParams, log_weights: Array) -> Self:
        """Of these densities, with these log weights, shape (k,), about the mean of their means."""
        return cls(params, log_weights, params.means.mean(axis=0), params.form, params.structure.tied, {})

    @cached_property
    def otherwise(self) -> WhitenedKernel | None:
        """For rows that are too far from the origin: whitening, where there is a matrix to whiten with."""
        return WhitenedKernel.of(self.params, self.log_weights) if self.whitens else None

    @property
    def whitens(self) -> bool:
        """Whether each component has a matrix to whiten with."""
        return not self.tied and isinstance(self.form, Full)

    @cached_property
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
        (whiteners, _), constants = self.params.factors, 0.5 * self.params.log_partitions
        d, apart = len(self.origin), self.params.means - self.origin
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite error says that this form will not do
            terms = self._half_squared(whiteners, apart, self.params.precisions)
            terms[:, 0] += constants
            terms[:, 1 : 1 + d] *= -1
            # (eq: feature-error)
            sizes = np.abs(whiteners)
            sizes = self._half_squared(sizes, np.abs(apart), self.form.precision(sizes))
            error = 4 * (np.sqrt(terms.shape[1]) + 1) * np.abs(terms) + 2 * np.sqrt(d) * sizes
            # What is taken off is the largest that a log joint can be.
            terms[:, 0] -= self.log_weights - np.max(self.log_weights - constants)
        return -terms, error

    def _half_squared(self, whiteners: Array, apart: Array, precisions: Array) -> Array:
        """Coefficients of 1/2 |W (y + a)|^2, shape (k, p): of one, of y and of the squares unless they are tied."""
        if whiteners.ndim == 3:
            whitened = np.matmul(whiteners, apart[:, :, None])[..., 0]
            linear = np.matmul(whitened[:, None], whiteners)[:, 0]
        else:
            scales = whiteners.reshape(len(apart), -1)
            whitened = scales * apart
            linear = scales * whitened
        squares = np.empty((len(apart), 0)) if self.tied else 0.5 * self.form.quadratic(precisions)
        d = apart.shape[1]
        terms = np.empty((len(apart), 1 + d + squares.shape[1]))
        # (eq: feature-form)
        terms[:, 0] = 0.5 * (whitened * whitened).sum(axis=1)
        terms[:, 1 : 1 + d] = linear
        terms[:, 1 + d :] = squares
        return terms

    def about(self, centre: Array) -> QuadraticKernel:
        key = centre.tobytes()
        other = self.others.get(key)
        if other is None:
            args = self.params, self.log_weights, centre.copy(), self.form, self.tied, self.others
            other = QuadraticKernel(*args)
            if len(self.others) >= _OTHERS:
                self.others.clear()
            self.others[key] = other
        return other

    def sums(self) -> Sums:
        second = np.zeros(self.form.one(len(self.origin))) if self.tied else 0.0
        return Sums(np.zeros(self.natural.T.shape), second)

    @property
    def bounded(self) -> bool:
        return not self.tied

    @property
    def cost(self) -> float:
        """About how many nanoseconds a row takes, as measured; docs/kernels.md."""
        k, d = self.params.means.shape
        p = 1 + d + (0 if self.tied else self.form.free(d))
        return p * (2.2 + 0.083 * k) * (1 + p / 8000)

    def sound(self, low: Array, high: Array) -> bool:
        d = len(low)
        largest = np.ones((self.natural.shape[1], 1))
        with np.errstate(over="ignore", invalid="ignore"):
            largest[1 : 1 + d, 0] = np.maximum(np.abs(low - self.origin), np.abs(high - self.origin))
            if not self.tied:
                self.form.squares(largest[1 : 1 + d], largest[1 + d :])
            # (eq: feature-error)
            error = UNIT * (self.error @ largest).max()
        return bool(error <= _TOLERANCE * max(1.0, d / 2))

    def features(self, x: Array, out: Array) -> None:
        d = x.shape[1]
        np.subtract(x.T, self.origin[:, None], out=out[:d])
        if not self.tied:
            self.form.squares(out[:d], out[d:])

    @property
    def more(self) -> bool:
        return self.tied

    def beside(self, x: Array, features: Array, weight: Array | None, sums: Sums) -> None:
        sums.beside += self.form.scatter(features.T, np.ones(len(x)) if weight is None else weight)

    def statistics(self, sums: Sums) -> Moments | None:
        d, (count, *_) = len(self.origin), (products := sums.products)
        second = np.asarray(sums.beside)[None] if self.tied else self.form.second_of(products[1 + d :].T.copy(), d)
        origin = np.empty((products.shape[1], d))
        origin[:] = self.origin
        first = products[1 : 1 + d].T.copy()
        moments = made(Moments, self.form, origin, count.copy(), first, second, None, None)
        return moments if moments.keep(NARROWED, self.params.distinct, sums.rows <= FEW) else None
