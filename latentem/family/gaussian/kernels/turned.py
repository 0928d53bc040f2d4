"""Gaussians with correlated columns: the feature form in coordinates where no component is narrow in one direction."""

from __future__ import annotations

from functools import cached_property
from typing import Self, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, column_bounds, made, own
from latentem.data import Rows
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.kernels.feature_form import FeatureForm
from latentem.family.gaussian.kernels.whitened import WhitenedKernel
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.kernel import Buffers
from latentem.kernel.base import FEW, NARROWED, UNIT, Sums
from latentem.kernel.products import multiplied

_buffers = Buffers()


@final
@frozen(eq=False)
class Turned:
    """Coordinates z = V (x - origin) in which the mean of the components' precisions is the identity.

    Attributes:
        matrix: V, lower triangular, shape (d, d).
        back: Its inverse.
        whiteners: Those of the components in z, shape (k, d, d).
        precisions: Inverse covariances in z, shape (k, d, d).
        covariances: In z, one a component, or a single one where they are tied, shape (m, d, d).
        magnified: By how much rounding of V y grows in a whitened row, at most: its square is this times y^2, (k, d).
    """

    matrix: Array
    back: Array
    whiteners: Array
    precisions: Array
    covariances: Array
    magnified: Array

    @classmethod
    def of(cls, params: GaussianParams) -> Self:
        """Those that suit these parameters. They follow from them alone: all chunks and workers have the same."""
        from scipy.linalg import solve_triangular  # a large module, which nothing needs before a fit

        (k, d), covariances = params.means.shape, params.distinct
        whiteners = params.factors[0][: len(covariances)]
        # (eq: turned-form)
        # A Cholesky factor of the mean precision without the precisions, whose condition is the square of theirs.
        factor = np.asarray(np.linalg.qr(whiteners.reshape(-1, d)[:, ::-1], mode="r"))
        matrix = np.ascontiguousarray(factor[::-1, ::-1]) / np.sqrt(len(covariances))
        back = solve_triangular(matrix, np.eye(d), lower=True)
        # Solved for, not multiplied by the inverse: then they are those of a matrix within rounding of V.
        own_whiteners = solve_triangular(matrix, whiteners.reshape(-1, d).T, lower=True, trans="T").T.reshape(-1, d, d)
        columns = (own_whiteners * own_whiteners).sum(axis=1)
        each = own_whiteners, params.form.precision(own_whiteners), columns @ (matrix * matrix)
        turned, precisions, magnified = (np.broadcast_to(value, (k, *value.shape[1:])) for value in each)
        return cls(matrix, back, turned, precisions, matrix @ covariances @ matrix.T, magnified)


@final
@frozen(eq=False)
class TurnedKernel(FeatureForm):
    """Gaussian densities in the feature form, y = V (x - origin), for full covariances of correlated columns.

    Bounds of the columns say little of y, so a block is read before it is known to be sound.

    Attributes:
        params: The means and covariances.
        log_weights: Shape (k,).
        origin: Where y is zero, shape (d,).
        form: That of one covariance.
        tied: Whether the components have one.
        turn: V, and the components in its coordinates.
    """

    params: GaussianParams
    log_weights: Array
    origin: Array
    form: Form
    tied: bool
    turn: Turned

    @classmethod
    def of(cls, params: GaussianParams, log_weights: Array) -> Self:
        """Of these densities, with these log weights, shape (k,), about the mean of their means."""
        origin, turn = params.means.mean(axis=0), Turned.of(params)
        return cls(params, log_weights, origin, params.form, params.structure.tied, turn)

    @cached_property
    def otherwise(self) -> WhitenedKernel | None:
        """For rows that are too far from the origin: whitening, unless one matrix whitens for all."""
        return None if self.tied else WhitenedKernel.of(self.params, self.log_weights)

    @cached_property
    def _apart(self) -> Array:
        """The means in the coordinates, (k, d)."""
        return (self.params.means - self.origin) @ self.turn.matrix.T

    @cached_property
    def terms(self) -> tuple[Array, Array]:
        return self.terms_of(self.turn.whiteners, self.turn.precisions, self._apart)

    def about(self, centre: Array) -> TurnedKernel:
        return evolve(self, origin=centre.copy())

    def sound(self, low: Array, high: Array) -> bool:
        return self.bound(np.zeros(low.shape), low, high) <= self.tolerance

    def holds(self, features: Array, low: Array, high: Array) -> bool:
        y = features[: len(low)]
        return self.bound(np.maximum(y.max(axis=1), -y.min(axis=1)), low, high) <= self.tolerance

    def bound(self, reach: Array, low: Array, high: Array) -> float:
        """By how many nats rounding puts a log density off, at most about, beside that of the whiteners.

        Args:
            reach: How large |y| is at most, shape (d,).
            low: The least value of each column, shape (d,).
            high: The largest, shape (d,).
        """
        with np.errstate(over="ignore", invalid="ignore"):
            # (eq: turned-error)
            away = np.maximum(np.abs(low - self.origin), np.abs(high - self.origin))
            away = away + np.abs(self.params.means - self.origin)
            turning = np.sqrt((self.turn.magnified * away * away).sum(axis=1))
            whitened = np.matmul(np.abs(self.turn.whiteners), (reach + np.abs(self._apart))[:, :, None])[:, :, 0]
            lengths = np.sqrt((whitened * whitened).sum(axis=1))
            return float(UNIT * ((self.error @ self.largest(reach))[:, 0] + 2 * turning * lengths).max())

    def coordinates(self, chunk: Rows) -> tuple[Array, Array] | None:
        if not self.sound(*chunk.bounds):
            return None
        y = (chunk.x - self.origin) @ self.turn.matrix.T
        reach = np.abs(np.stack(column_bounds(y))).max(axis=0)
        return (y, np.zeros(y.shape[1])) if self.bound(reach, *chunk.bounds) <= self.tolerance else None

    def features(self, x: Array, out: Array) -> None:
        d = x.shape[1]
        y = _buffers.array("rows", d, len(x))
        np.subtract(x.T, self.origin[:, None], out=y)
        multiplied(self.turn.matrix, y, out=out[:d])
        if not self.tied:
            self.form.squares(out[:d], out[d:])

    def statistics(self, sums: Sums) -> Moments | None:
        count, first, second = self.totals(sums)
        moments = made(Moments, self.form, np.zeros(first.shape), count, first, second, None, None)
        if not moments.keep(NARROWED, self.turn.covariances, sums.rows <= FEW):
            return None
        # Each about its own mean before it is turned back: later its narrow directions would have no digits.
        away = moments.means() @ self.turn.back.T
        origin = self.origin + away
        first = count[:, None] * (away - (origin - self.origin))
        second = self.turn.back @ moments.centred @ self.turn.back.T
        second = (second + second.transpose(0, 2, 1)) / 2
        return made(Moments, self.form, own(origin), count, own(first), own(second), None, None)
