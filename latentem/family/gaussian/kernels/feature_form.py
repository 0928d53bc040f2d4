"""Gaussian densities as natural parameters times features: (1, y, and the squares that their form needs)."""

from __future__ import annotations

import abc
import math
from typing import final

import numpy as np

from latentem.arrays import Array
from latentem.compiled import running
from latentem.data import Rows
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.kernels.compiled import plain, weights_of
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.kernel.base import FeatureKernel, Sums

_TOLERANCE = 1e-10
"""Nats by which rounding may put a log density off; times d / 2 where there are more columns than two."""


class FeatureForm(FeatureKernel):
    """Gaussian densities in features of y, some linear function of a row. What tied components share is left out.

    Attributes:
        params: The means and covariances.
        log_weights: Shape (k,).
        origin: The row where y is zero, shape (d,).
        form: That of one covariance.
        tied: Whether the components have one.
    """

    __slots__ = ()

    params: GaussianParams
    log_weights: Array
    origin: Array
    form: Form
    tied: bool

    @property
    @abc.abstractmethod
    def terms(self) -> tuple[Array, Array]:
        """The natural parameters, and how much rounding can put a log density off, in unit roundoffs: each (k, p)."""

    @property
    def natural(self) -> Array:
        return self.terms[0]

    @property
    def error(self) -> Array:
        """How much rounding can put a log density off, in unit roundoffs a feature, shape (k, p).

        docs/mathematics.md, "Two products".
        """
        return self.terms[1]

    def terms_of(self, whiteners: Array, precisions: Array, apart: Array) -> tuple[Array, Array]:
        """Those of densities of y, with whiteners and precisions, (k, ...), and means, (k, d), in its coordinates."""
        constants, d = 0.5 * self.params.log_partitions, apart.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite error says that this form will not do
            terms = self._half_squared(whiteners, apart, precisions)
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

    @property
    def tolerance(self) -> float:
        """How many nats rounding may put a log density off."""
        return _TOLERANCE * max(1.0, len(self.origin) / 2)

    def largest(self, reach: Array) -> Array:
        """The features, (p, 1), of values y that are no larger than these, (d,)."""
        d = len(reach)
        largest = np.ones((self.natural.shape[1], 1))
        largest[1 : 1 + d, 0] = reach
        if not self.tied:
            self.form.squares(largest[1 : 1 + d], largest[1 + d :])
        return largest

    @property
    def bounded(self) -> bool:
        return not self.tied

    def sums(self) -> Sums:
        second = np.zeros(self.form.one(len(self.origin))) if self.tied else 0.0
        return Sums(np.zeros(self.natural.T.shape), second)

    @property
    def more(self) -> bool:
        return self.tied

    def beside(self, x: Array, features: Array, weight: Array | None, sums: Sums) -> None:
        sums.beside += self.form.scatter(features.T, np.ones(len(x)) if weight is None else weight)

    @abc.abstractmethod
    def coordinates(self, chunk: Rows) -> tuple[Array, Array] | None:
        """Rows, (n, d), and what must be taken from each, (d,), to have y; None where that is not sound for all."""

    @final
    def by_products(self, chunk: Rows) -> tuple[Array, Moments, float] | None:
        """The two products in one compiled loop: as `whole`. None too where the form has no products of columns."""
        loop = running("products") if self.tied or isinstance(self.form, Full) else None
        if loop is None or not plain(chunk):
            return None
        kernel = self.about(chunk.centre)
        found = kernel.coordinates(chunk)
        if found is None:
            return None
        rows, origin = found
        sums, count = kernel.sums(), np.zeros(len(self.log_weights))
        sums.rows = len(rows)
        entropy = loop(rows, weights_of(chunk), origin, kernel.natural, count, sums.products)
        if self.tied:
            sums.beside += self.form.scatter(rows - origin, chunk.row_weight)
        moments = None if math.isnan(entropy) else kernel.statistics(sums)
        return None if moments is None else (count, moments, entropy)

    @abc.abstractmethod
    def about(self, centre: Array) -> FeatureForm:
        """This form about another origin."""

    @abc.abstractmethod
    def statistics(self, sums: Sums) -> Moments | None:
        """The sums as moments; None if they lack digits."""

    def totals(self, sums: Sums) -> tuple[Array, Array, Array]:
        """Counts, (k,), and sums of weight y, (k, d), and of weight y y' in its form, (k, ...) or (1, ...)."""
        d, products = len(self.origin), sums.products
        second = np.asarray(sums.beside)[None] if self.tied else self.form.second_of(products[1 + d :].T.copy(), d)
        return products[0].copy(), products[1 : 1 + d].T.copy(), second
