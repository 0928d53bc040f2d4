"""Moments that carry their origin, so that neither offsets nor units cost digits."""

from __future__ import annotations

from typing import Self, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, array, matrix, own, vector
from latentem.core import Additive
from latentem.family.structure import Shape


@final
@frozen
class Moments(Additive):
    """Weighted zeroth, first and second moments of each component, about an origin of its own.

    Attributes:
        shape: The structure of one covariance.
        origin: What each component's moments are about, shape (k, d).
        count: Sum of weights, shape (k,).
        first: Sum of weight (x - origin), shape (k, d).
        second: Sum of weight (x - origin)(x - origin)', in that structure's own shape, (k, ...).

    The chunk chooses the origin, its own weighted mean: moments about a distant origin cancel. A sum
    keeps for each component the origin of the operand with the larger |count|.
    """

    shape: Shape
    origin: Array = matrix("(k, d)")
    count: Array = vector("(k,)")
    first: Array = matrix("(k, d)")
    second: Array = array()

    @classmethod
    def of(cls, x: Array, weights: Array, shape: Shape) -> Self:
        """Of rows x, shape (n, d), with weights (n, k)."""
        count = weights.sum(axis=0)
        live = count > np.finfo(float).tiny / np.finfo(float).eps  # below, a ratio of sums has no digits
        count = np.where(live, count, 0.0)
        k, d = len(count), x.shape[1]
        origin = np.zeros((k, d))
        first = np.zeros((k, d))
        second = np.zeros((k, *shape.one(d)))
        for j in np.flatnonzero(live):
            weight, rows = weights[:, j], x
            present = weight > 0
            if 2 * np.count_nonzero(present) < len(x):  # hard assignment: most rows are elsewhere
                weight, rows = weight[present], x[present]
            near = rows[int(weight.argmax())]
            origin[j] = near + weight @ (rows - near) / count[j]
            y = rows - origin[j]
            first[j] = weight @ y
            second[j] = shape.scatter(y, weight)
        return cls(shape, own(origin), own(count), own(first), own(second))

    def about(self, origin: Array) -> Self:
        """The same moments about another origin, shape (k, d) or (d,)."""
        shift = self.origin - origin
        if not shift.any():
            return self
        count = self.count[:, None]
        scale = self.count.reshape(-1, *(1,) * (self.second.ndim - 1))
        cross = self.shape.product(self.first, shift) + self.shape.product(shift, self.first)
        return evolve(
            self,
            origin=np.broadcast_to(origin, self.origin.shape),
            first=self.first + count * shift,
            second=self.second + cross + scale * self.shape.product(shift, shift),
        )

    def means(self) -> Array:
        """Mean of each component, shape (k, d); its origin where the count is zero."""
        return self.origin + self.first / np.where(self.count == 0, 1.0, self.count)[:, None]

    def pooled(self) -> tuple[Array, float]:
        """Second moment of all the data about their mean, (...), and their count.

        Summed over the components it does not depend on the responsibilities.
        """
        total = self.count.sum()
        anchor = self.origin[int(self.count.argmax())]
        mean = anchor + (self.count @ (self.origin - anchor) + self.first.sum(axis=0)) / total
        return self.about(mean).second.sum(axis=0), float(total)

    def variances(self) -> Array:
        """Variances of the columns of all the data, (d,), or their mean where the structure keeps only that.

        A column that does not vary counts as having variance one: there is no scale to be relative to.
        """
        variances = self.shape.variances(*self.pooled(), self.origin.shape[1])
        return np.where(variances > 0, variances, 1.0)

    def __add__(self, other: Self) -> Self:
        larger = (np.abs(other.count) > np.abs(self.count))[:, None]
        origin = np.where(larger, other.origin, self.origin)
        a, b = self.about(origin), other.about(origin)
        return evolve(self, origin=origin, count=a.count + b.count, first=a.first + b.first, second=a.second + b.second)

    def __rmul__(self, factor: float) -> Self:
        return evolve(self, count=factor * self.count, first=factor * self.first, second=factor * self.second)
