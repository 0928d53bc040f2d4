"""Gaussians as features times natural parameters: (1, y, and the squares that their form needs), y = x - origin."""

from __future__ import annotations

from functools import cached_property
from typing import Self, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, made
from latentem.compiled import in_loops
from latentem.data import Rows
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.kernels.centred import centred, few
from latentem.family.gaussian.kernels.compiled import CompiledPass
from latentem.family.gaussian.kernels.feature_form import FeatureForm
from latentem.family.gaussian.kernels.turned import TurnedKernel
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.kernel.base import FEW, NARROWED, UNIT, Sums

_OTHERS = 32
"""Kernels about other origins that are kept: chunks that are alike share one; those that drift could fill memory."""


@final
@frozen(eq=False)
class QuadraticKernel(FeatureForm):
    """Gaussian densities in the feature form, y = x - origin.

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
        return cls(
            params, log_weights, np.add.reduce(params.means) / len(params.means), params.form, params.structure.tied, {}
        )

    @cached_property
    def otherwise(self) -> TurnedKernel | None:
        """For rows that are too far from the origin, or whose columns correlate: turned, where there is a matrix."""
        return TurnedKernel.of(self.params, self.log_weights) if isinstance(self.form, Full) else None

    @cached_property
    def _compiled(self) -> CompiledPass:
        return CompiledPass(self.params, self.log_weights - 0.5 * self.params.log_partitions)

    def whole(self, chunk: Rows) -> tuple[Array, Moments, float] | None:
        if few(self.params, chunk):
            found = self._compiled(chunk) if in_loops() else None
            return found or centred(self.params, self.log_weights, chunk)
        if not in_loops():
            return None
        found = self.by_products(chunk)
        if found is None and self.otherwise is not None:
            found = self.otherwise.by_products(chunk)
        return self._compiled(chunk) if found is None else found

    def coordinates(self, chunk: Rows) -> tuple[Array, Array] | None:
        return (chunk.x, self.origin) if self.sound(*chunk.bounds) else None

    @property
    def whitens(self) -> bool:
        """Whether each component has a matrix to whiten with."""
        return not self.tied and isinstance(self.form, Full)

    @cached_property
    def terms(self) -> tuple[Array, Array]:
        whiteners, _ = self.params.factors
        return self.terms_of(whiteners, self.params.precisions, self.params.means - self.origin)

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

    @property
    def cost(self) -> float:
        """About how many nanoseconds a row takes, as measured; docs/kernels.md."""
        k, d = self.params.means.shape
        p = 1 + d + (0 if self.tied else self.form.free(d))
        return p * (2.2 + 0.083 * k) * (1 + p / 8000)

    def sound(self, low: Array, high: Array) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            reach = np.maximum(np.abs(low - self.origin), np.abs(high - self.origin))
            # (eq: feature-error)
            error = UNIT * (self.error @ self.largest(reach)).max()
        return bool(error <= self.tolerance)

    def features(self, x: Array, out: Array) -> None:
        d = x.shape[1]
        np.subtract(x.T, self.origin[:, None], out=out[:d])
        if not self.tied:
            self.form.squares(out[:d], out[d:])

    def statistics(self, sums: Sums) -> Moments | None:
        count, first, second = self.totals(sums)
        origin = np.empty(first.shape)
        origin[:] = self.origin
        moments = made(Moments, self.form, origin, count, first, second, None, None)
        return moments if moments.keep(NARROWED, self.params.distinct, sums.rows <= FEW) else None
