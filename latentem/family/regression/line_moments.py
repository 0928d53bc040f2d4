"""Moments of rows about a line of their own, so that neither offsets nor a close fit cost digits."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, Self, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, matrix, own
from latentem.core import Additive
from latentem.family.gaussian.covariance.diagonal import Diagonal
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.moments import ColumnMoments, Moments
from latentem.family.regression.predictor import level
from latentem.numerics.solve import rank_of, solve


@final
@frozen
class LineMoments(Additive):
    """Weighted moments of covariates and of residuals from a reference line through an anchor.

    What `Moments` do for an origin is done here for slopes, too: where a line fits closely, residual
    moments from those of the responses would cancel. The chunk chooses its own least squares line; a sum keeps for
    each component the line of the operand with the larger |count|.

    Attributes:
        moments: Of covariates less the anchor's and residuals, (k,), (k, p + 1) and (k, p + 1, p + 1).
        responses: Those of the responses themselves, whatever the component.
        anchor: A point (covariates, response) on each line, shape (k, p + 1).
        slopes: Of the lines, shape (k, p).
    """

    moments: Moments
    responses: ColumnMoments
    anchor: Array = matrix("(k, p + 1)")
    slopes: Array = matrix("(k, p)")

    @classmethod
    def of(cls, x: Array, weights: Array) -> Self:
        """Of rows x, (n, p + 1), the response last, with weights (n, k)."""
        plain = Moments.of(x, weights, Full())
        responses = ColumnMoments.of(x[:, -1:], weights.sum(axis=1), Diagonal())
        anchor = plain.means()
        k, d = anchor.shape
        flat = cls(evolve(plain, origin=np.zeros((k, d))), responses, anchor, np.zeros((k, d - 1)))
        slopes = flat.best_slopes()
        first, second = np.zeros((k, d)), np.zeros((k, d, d))
        for j in np.flatnonzero(plain.count).tolist():
            residual = x - anchor[j]
            residual[:, -1] -= residual[:, :-1] @ slopes[j]
            first[j] = weights[:, j] @ residual
            second[j] = Full().scatter(residual, weights[:, j])
        moments = evolve(flat.moments, first=own(first), second=own(second))
        return cls(moments, responses, anchor, slopes)

    @property
    def count(self) -> Array:
        """Sum of weights, shape (k,)."""
        return self.moments.count

    def along(self, slopes: Array) -> Self:
        """These moments about lines of other slopes, (k, p), through the same anchors."""
        change = slopes - self.slopes
        if not change.any():
            return self
        moments, shear = self.moments, np.broadcast_to(np.eye(self.anchor.shape[1]), self.moments.second.shape).copy()
        shear[:, -1, :-1] = -change  # (x, u) to (x, u - change . x) (eq: linear-regression)
        turned = evolve(
            moments,
            origin=_times(shear, moments.origin),
            first=_times(shear, moments.first),
            second=shear @ moments.second @ shear.transpose(0, 2, 1),
        )
        return evolve(self, slopes=slopes, moments=turned)

    def through(self, anchor: Array) -> Self:
        """These moments about parallel lines through other anchors, (k, p + 1)."""
        shift = self.anchor - anchor
        if not shift.any():
            return self
        shift[:, -1] -= np.einsum("kp,kp->k", self.slopes, shift[:, :-1])
        return evolve(self, anchor=anchor, moments=evolve(self.moments, origin=self.moments.origin + shift))

    def best_slopes(self) -> Array:
        """Least squares slopes, (k, p); the smallest ones, in standardised covariates, where many fit equally well."""
        return solve(self._spread(), self._centred()[:, :-1, -1], self.slopes)  # (eq: linear-regression)

    def ranks(self) -> Array:
        """How many coefficients the rows of each component determine, the intercept among them, shape (k,)."""
        slopes = [rank_of(each) for each in self._spread()]
        return np.where(self.count > 0, 1.0 + np.array(slopes), 0.0)

    def best_intercepts(self, slopes: Array) -> Array:
        """Least squares intercepts at given slopes, (k,)."""
        heights = self.along(slopes).moments.means()[:, -1]
        # anchor's response + height - slopes . anchor's covariates, whose terms may cancel: rounded once
        points = np.column_stack([self.anchor[:, -1], self.anchor[:, :-1]])
        return level(np.column_stack([heights, np.ones(len(heights)), -slopes]), points)

    def residuals(self, coefficients: Array) -> Array:
        """Sum of weight times squared residual from each component's line, coefficients (k, p + 1), shape (k,)."""
        turned = self.along(coefficients[:, 1:]).moments
        points = np.column_stack([self.anchor[:, :-1], self.anchor[:, -1]])
        heights = level(np.column_stack([coefficients, -np.ones(len(points))]), points)
        origin = np.column_stack([turned.origin[:, :-1], heights])
        return turned.second_about(origin)[:, -1, -1]

    def terms(self, coefficients: Array) -> Array:
        """The size of the terms whose difference `residuals` is, shape (k,): rounding is relative to it."""
        turned = np.abs(coefficients[:, 1:] - self.slopes)
        squares = np.abs(np.diagonal(self.moments.second, axis1=1, axis2=2))
        return (turned * np.sqrt(squares[:, :-1])).sum(axis=1) ** 2 + squares[:, -1]

    def apart(self, lines: Array) -> Array:
        """Mean squared difference of two lines, shape (2, p + 1), over the covariates of each component, (k,)."""
        count = np.where(self.count > 0, self.count, 1.0)
        centred = self._centred()[:, :-1, :-1] / count[:, None, None]
        points = self.anchor[:, :-1] + self.moments.means()[:, :-1]
        one, other = (level(np.broadcast_to(line, (len(points), lines.shape[1])), points) for line in lines)
        change = lines[0, 1:] - lines[1, 1:]
        return (one - other) ** 2 + np.einsum("i,kij,j->k", change, centred, change)

    def pooled(self) -> Self:
        """All components as one."""
        return reduce(add, (self._component(j) for j in range(len(self.anchor))))

    def response_variance(self) -> float:
        """Variance of the responses of all the data; one where they do not vary."""
        variance = float(self.responses.variances()[0])
        return variance if variance > 0 else 1.0

    def _centred(self) -> Array:
        """Second moments about the means, (k, p + 1, p + 1)."""
        return self.moments.second_about(self.moments.means())

    def _spread(self) -> Array:
        """Those of the covariates, (k, p, p), where columns that only rounding keeps from being constant are zero."""
        second = self._centred()[:, :-1, :-1]
        rounding = (32 * np.finfo(float).eps) ** 2 * self.count[:, None] * self.anchor[:, :-1] ** 2
        constant = np.diagonal(second, axis1=1, axis2=2) <= rounding
        return np.where(constant[:, :, None] | constant[:, None, :], 0.0, second)

    def _component(self, j: int) -> Self:
        part, m = slice(j, j + 1), self.moments
        moments = evolve(m, origin=m.origin[part], count=m.count[part], first=m.first[part], second=m.second[part])
        return evolve(self, anchor=self.anchor[part], slopes=self.slopes[part], moments=moments)

    def combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        larger = (np.abs(other.count) > np.abs(self.count))[:, None]
        anchor = np.where(larger, other.anchor, self.anchor)
        slopes = np.where(larger, other.slopes, self.slopes)
        a, b = (operand.along(slopes).through(anchor) for operand in (self, other))
        return evolve(a, moments=combine(a.moments, b.moments), responses=combine(self.responses, other.responses))

    def __rmul__(self, factor: float) -> Self:
        return evolve(self, moments=factor * self.moments, responses=factor * self.responses)


def _times(matrices: Array, vectors: Array) -> Array:
    return np.einsum("kij,kj->ki", matrices, vectors)
