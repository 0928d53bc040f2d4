"""Moments that carry their origin, so that neither offsets nor units cost digits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, array, made, matrix, own, vector
from latentem.core import Additive
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.missing import Completion

_LEAST = np.finfo(float).tiny / np.finfo(float).eps
"""The smallest sum of weights: below, a ratio of sums has no digits."""
_FAINT = 1e-12
"""Share of the weight below which a component has next to nothing: what its moments lack is lost in the others'."""


@final
@frozen
class ColumnMoments(Additive):
    """Moments of the observed cells, column by column, whatever the component: the data's alone, and not q's.

    Attributes:
        shape: The form of one covariance.
        origin: What each column's moments are about, shape (d,).
        count: Sum of the weights of the rows in which it is observed, shape (d,).
        first: Sum of weight (x - origin), shape (d,).
        second: Sum of weight (x - origin)^2, shape (d,), or over all columns where the form keeps only that.
    """

    shape: Form
    origin: Array = vector("(d,)")
    count: Array = vector("(d,)")
    first: Array = vector("(d,)")
    second: Array = array()

    @classmethod
    def of(cls, x: Array, weight: Array, shape: Form) -> Self:
        """Of rows x, shape (n, d), NaN where a cell is missing, with weights (n,)."""
        if not len(x):
            nothing = np.zeros(x.shape[1])
            return cls(shape, nothing, nothing, nothing, shape.kept(nothing))
        missing = np.isnan(x)
        each = np.where(missing, 0.0, weight[:, None])
        count = each.sum(axis=0)
        count = np.where(count > _LEAST, count, 0.0)
        cells = np.where(missing, 0.0, x)
        near = cells[each.argmax(axis=0), np.arange(x.shape[1])]
        origin = near + (each * (cells - near)).sum(axis=0) / np.where(count > 0, count, np.inf)
        y = np.where(missing | (count == 0), 0.0, x - origin)
        return cls(shape, own(origin), own(count), own(weight @ y), shape.kept(weight @ (y * y)))

    def about(self, origin: Array) -> Self:
        """These moments about another origin, shape (d,)."""
        shift = self.origin - origin
        added = self.shape.kept((2 * self.first + self.count * shift) * shift)
        return evolve(self, origin=origin, first=self.first + self.count * shift, second=self.second + added)

    def variances(self) -> Array:
        """Variances of the columns, (d,), or over all cells where the form keeps only that; 0 where unknown."""
        total = self.shape.kept(self.count)
        spread = self.first**2 / np.where(self.count == 0, 1.0, self.count)
        return np.asarray((self.second - self.shape.kept(spread)) / np.where(total == 0, 1.0, total))

    def combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        origin = np.where(np.abs(other.count) > np.abs(self.count), other.origin, self.origin)
        a, b = self.about(origin), other.about(origin)
        count, first, second = combine(a.count, b.count), combine(a.first, b.first), combine(a.second, b.second)
        return made(type(self), self.shape, origin, count, first, second)

    def __rmul__(self, factor: float) -> Self:
        scaled = factor * self.count, factor * self.first, factor * self.second
        return made(type(self), self.shape, self.origin, *scaled)


@final
@frozen
class Moments(Additive):
    """Weighted zeroth, first and second moments of each component, about an origin of its own.

    Attributes:
        shape: The form of one covariance.
        origin: What each component's moments are about, shape (k, d).
        count: Sum of weights, shape (k,).
        first: Sum of weight (x - origin), shape (k, d).
        second: Sum of weight (x - origin)(x - origin)', in that form, (k, ...); or (1, ...), summed
            over the components, which is all that a covariance shared by them needs.
        observed: Those of the data themselves, column by column, where they do not follow from these: where cells
            are missing or weights are not the responsibilities alone. None elsewhere.
        seen: Sum of the weights of the rows in which a column is observed, shape (k, d); None where all are.

    The chunk chooses the origin, its own weighted mean: moments about a distant origin cancel. A sum
    keeps for each component the origin of the first operand, unless the other's |count| is more than twice as large.
    """

    shape: Form
    origin: Array = matrix("(k, d)")
    count: Array = vector("(k,)")
    first: Array = matrix("(k, d)")
    second: Array = array()
    observed: ColumnMoments | None = None
    seen: Array | None = None

    @classmethod
    def of(cls, x: Array, weights: Array, shape: Form, completion: Completion | None = None) -> Self:
        """Of rows x, shape (n, d), with weights (n, k); expected ones where cells are missing and completed."""
        count = weights.sum(axis=0)
        live = count > _LEAST
        count = np.where(live, count, 0.0)
        k, d = len(count), x.shape[1]
        origin = np.zeros((k, d))
        first = np.zeros((k, d))
        second = np.zeros((k, *shape.one(d)))
        for j in np.flatnonzero(live).tolist():
            weight, rows = weights[:, j], x if completion is None else completion.filled(x, j)
            present = weight > 0
            if 2 * np.count_nonzero(present) < len(x):  # hard assignment: most rows are elsewhere
                weight, rows = weight[present], rows[present]
            near = rows[int(weight.argmax())]
            origin[j] = near + weight @ (rows - near) / count[j]
            y = rows - origin[j]
            first[j] = weight @ y
            second[j] = shape.scatter(y, weight)
            if completion is not None:
                second[j] += completion.added(weights[:, j], j, shape)
        observed = seen = None
        if completion is not None:
            observed, seen = ColumnMoments.of(x, weights.sum(axis=1), shape), own(weights.T @ ~np.isnan(x))
        return cls(shape, own(origin), own(count), own(first), own(second), observed, seen)

    def about(self, origin: Array) -> Self:
        """These moments about another origin, shape (k, d) or (d,)."""
        shift = self.origin - origin
        first = self.first + self.count[:, None] * shift  # (eq: moved-moments)
        second = self._second_after(shift, first)
        there = origin if origin.shape == shift.shape else np.broadcast_to(origin, shift.shape)
        return made(type(self), self.shape, there, self.count, first, second, self.observed, self.seen)

    def distances(self, means: Array, precisions: Array) -> float:
        """Sum over components of tr(precision x second moment about its mean), means (k, d), precisions (k, ...)."""
        shift = self.origin - means
        across = self.shape.applied(precisions, shift)
        moved = 2 * np.vdot(self.first, across) + np.dot(self.count, np.vecdot(shift, across))  # (eq: moved-moments)
        own = precisions if len(self.second) == len(precisions) else precisions[: len(self.second)]
        return float(np.vdot(own, self.second) + moved)

    def second_about(self, origin: Array) -> Array:
        """The second moments about another origin, shape (k, d) or (d,): (k, ...) or (1, ...), as they are kept."""
        if origin is self._means:
            return self.centred
        shift = self.origin - origin
        return self._second_after(shift, self.first + self.count[:, None] * shift)

    def _second_after(self, shift: Array, first: Array) -> Array:
        """The second moments once the origin has moved by -shift and the first ones have become `first`."""
        # (eq: moved-moments)
        added = self.shape.twice(0.5 * (self.first + first), shift)
        if len(self.second) < len(added):
            added = added.sum(axis=0, keepdims=True)
        added += self.second
        return added

    def together(self) -> Self:
        """These moments, the second ones summed over the components."""
        return self._with(self.count, self.first, _summed(self.second, 1), self.observed, self.seen)

    def means(self) -> Array:
        """Mean of each component, shape (k, d); its origin where the count is zero."""
        return self._means

    @cached_property
    def _means(self) -> Array:
        # (eq: gaussian-mean)
        return own(self.origin + self.first / np.where(self.count == 0, 1.0, self.count)[:, None])

    @cached_property
    def centred(self) -> Array:
        """The second moments about the means, as they are kept: a step asks for them more than once."""
        shift = self.origin - self._means
        return own(self._second_after(shift, self.first + self.count[:, None] * shift))

    def away(self, means: Array) -> Array:
        """By how much some means miss those of the moments, (k, d): what rounding far from zero leaves between them."""
        exact = self.first / np.where(self.count == 0, 1.0, self.count)[:, None]
        return (means - self.origin) - exact

    def keep(self, part: float, covariances: Array, directions: bool) -> bool:
        """Whether they leave at least so much of covariances, (m, ...), as variance, in every column or direction.

        False where that is close, or rounding hides it. Components with next to no weight do not count.
        """
        count = self.count if len(self.second) == len(self.count) else self.count.sum(keepdims=True)
        live = count > _FAINT * count.sum()
        after = self.shape.average(self.centred[live], count[live], self.origin.shape[1])
        if directions:
            return self.shape.surely_keep(part, covariances[live], after)
        return bool((self.shape.columns(after) >= part * self.shape.columns(covariances[live])).all())

    def pooled(self) -> tuple[Array, float]:
        """Second moment of all the data about their mean, (...), and their count.

        Summed over the components it does not depend on the responsibilities.
        """
        total = self.count.sum()
        anchor = self.origin[int(self.count.argmax())]
        mean = anchor + (self.count @ (self.origin - anchor) + self.first.sum(axis=0)) / total
        return self.second_about(mean).sum(axis=0), float(total)

    def variances(self) -> Array:
        """Variances of the columns of all the data, (d,), or their mean where the form keeps only that.

        A column that does not vary counts as having variance one: there is no scale to be relative to.
        """
        return self._variances

    @cached_property
    def _variances(self) -> Array:
        if self.observed is not None:
            variances = self.observed.variances()
        else:
            total, anchor = float(np.add.reduce(self.count)), self.origin[self.count.argmax()]
            shift = self.origin - anchor
            first = self.first + self.count[:, None] * shift  # (eq: moved-moments)
            mean = np.add.reduce(first) / total  # from the largest component's origin, which is among the data
            added = np.add.reduce((self.first + first) * shift) - total * mean * mean
            columns = np.add.reduce(self.shape.columns(self.second)) + self.shape.kept(added)
            variances = self.shape.variances(columns, total, self.origin.shape[1])
        return np.where(variances > 0, variances, 1.0)

    def columns(self) -> ColumnMoments:
        """Those of the data, column by column: summed over the components, where no cell is missing."""
        if self.observed is not None:
            return self.observed
        anchor = self.origin[int(np.abs(self.count).argmax())]
        there, count = self.about(anchor), np.full(len(anchor), self.count.sum())
        return ColumnMoments(
            self.shape, anchor, count, there.first.sum(axis=0), self.shape.columns(there.second.sum(axis=0))
        )

    def combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        origin = self.origin
        if origin is not other.origin:
            larger = np.abs(other.count) > 2 * np.abs(self.count)
            if larger.any():
                origin = own(np.where(larger[:, None], other.origin, self.origin))
        a = self if origin is self.origin else self.about(origin)
        b = other if origin is other.origin else other.about(origin)
        known = self.observed is not None or other.observed is not None
        return a._with(
            combine(a.count, b.count),
            combine(a.first, b.first),
            combine(_summed(a.second, len(b.second)), _summed(b.second, len(a.second))),
            combine(self.columns(), other.columns()) if known else None,
            None if self.seen is None and other.seen is None else own(combine(self._seen(), other._seen())),
        )

    def __rmul__(self, factor: float) -> Self:
        observed = None if self.observed is None else factor * self.observed
        seen = None if self.seen is None else own(factor * self.seen)
        return self._with(factor * self.count, factor * self.first, factor * self.second, observed, seen)

    def _seen(self) -> Array:
        return np.broadcast_to(self.count[:, None], self.origin.shape) if self.seen is None else self.seen

    def _with(
        self, count: Array, first: Array, second: Array, observed: ColumnMoments | None, seen: Array | None
    ) -> Self:
        """Moments about the same origins, of arrays that were just made."""
        return made(type(self), self.shape, self.origin, count, first, second, observed, seen)


def _summed(second: Array, length: int) -> Array:
    """Second moments, one a component or, where the length is one, of all together."""
    return second if length >= len(second) else second.sum(axis=0, keepdims=True)
