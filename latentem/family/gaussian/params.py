"""Means and covariances, and what depends on them alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, Labels, array, matrix
from latentem.core import Degenerate, Value
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure

_SAME = 1e-8
"""Squared distance, in widths, and relative difference of covariances, below which components are the same."""
_PAIRS = 2**18
"""Numbers in what is computed of pairs of components at a time."""
_FEW = 2**12
"""Numbers that may be copied, to have one covariance for each component."""
_CLOSE = 1e-6
"""Relative distance to a floor within which nothing is sure."""
_LOG_2PI = float(np.log(2 * np.pi))


@final
@frozen
class GaussianParams(Value):
    """Means and covariances of k Gaussians.

    Attributes:
        means: Shape (k, d).
        covariances: (k, d, d) where their form is full, (k, d) diagonal, (k,) spherical; (d, d), (d,) or () if tied.
        structure: What they have in common.

    Raises:
        ValueError: shapes disagree, or a value is not finite.
    """

    means: Array = matrix("(k, d)")
    covariances: Array = array()
    structure: Structure = field(factory=Full)

    def __attrs_post_init__(self) -> None:
        wanted = self.structure.shape(*self.means.shape)
        if self.covariances.shape != wanted:
            raise ValueError(
                f"covariances have shape {self.covariances.shape}: {self.structure} with means of shape "
                f"{self.means.shape} needs {wanted}"
            )
        for name, values in (("means", self.means), ("covariances", self.covariances)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} hold NaN or infinity: every value must be finite")

    @property
    def form(self) -> Form:
        """The form of one covariance."""
        return self.structure.each

    @property
    def distinct(self) -> Array:
        """The covariances, one a component, or a single one where they are tied, (m, ...)."""
        return self.structure.spread(self.covariances)

    @cached_property
    def factors(self) -> tuple[Array, Array]:
        """Whiteners, (k, ...), and log determinants, (k,): once a pass, not once a chunk."""
        whiteners, log_det = self.form.factor(self.distinct, self.means.shape[1])
        return (self._one_each(whiteners), self._one_each(log_det)) if self.structure.tied else (whiteners, log_det)

    @cached_property
    def log_partitions(self) -> Array:
        """Twice the log partition of each in nats, shape (k,): d log 2 pi + log det covariance."""
        _, log_det = self.factors
        return np.asarray(self.means.shape[1] * _LOG_2PI + log_det)

    @cached_property
    def precisions(self) -> Array:
        """Inverse covariances, in their form, one a component even where they are tied, (k, ...)."""
        whiteners, _ = self.factors
        precisions = self.form.precision(whiteners[: len(self.distinct)])
        return self._one_each(precisions) if self.structure.tied else precisions

    @cached_property
    def reach(self) -> float:
        """How far the means are from zero, in their widths: the root of the sum of the squares of all columns."""
        with np.errstate(over="ignore"):  # a mean beyond all widths has no digits of them
            away = self.means / self.widths
            return math.sqrt(np.vdot(away, away))

    @cached_property
    def condition(self) -> float:
        """By how much whitening magnifies rounding, at most: the condition of the correlations."""
        return float(self.form.condition(self.distinct).max())

    @cached_property
    def condition_at_most(self) -> float:
        """A bound on that condition, which takes no eigenvalues."""
        m = len(self.distinct)
        return self.form.condition_at_most(self.widths[:m], self.precisions[:m])

    def surely_above(self, floor: Array) -> bool:
        """Whether in no direction a variance is at a floor, in its form, or below; False where that is close."""
        try:
            return self.form.weakest_at_least(self.precisions[: len(self.distinct)], floor) > 1.0 + _CLOSE
        except Degenerate:
            return False

    @property
    def coincident(self) -> list[tuple[int, int]]:
        """Pairs of components that are the same distribution."""
        pairs = []
        for i, near in self._near():
            covariances, width = self.one_each(), self.widths[i : i + 1]
            scale = self.form.product(width, width)[0]
            apart = np.abs(covariances[near] - covariances[i]) <= _SAME * scale
            pairs += [(i, j) for j in near[apart.reshape(len(near), -1).all(axis=1)].tolist()]
        return pairs

    def _near(self) -> Iterator[tuple[int, Labels]]:
        """Components, each with those after it whose means are nearly the same, in its widths, if there are any."""
        (k, d), (whiteners, _) = self.means.shape, self.factors
        some = max(1, _PAIRS // (k * d))
        for begin in range(0, k, some):
            of = slice(begin, begin + some)
            with np.errstate(over="ignore", invalid="ignore"):  # beyond the range of floats they are far apart
                lengths = self.form.squared_lengths(whiteners[of], self.means.T - self.means[of, :, None])
            near = lengths < _SAME
            if np.count_nonzero(near) > len(near):  # each is near itself
                after = ((j, j + 1 + np.flatnonzero(row[j + 1 :])) for j, row in enumerate(near, begin))
                yield from ((j, others) for j, others in after if len(others))

    def distances(self, x: Array) -> Array:
        """Squared distances (x - mean)' inverse covariance (x - mean), (n, d) -> (n, k)."""
        whiteners, _ = self.factors
        distances = np.empty((len(x), len(self.means)))
        for j in range(len(self.means)):
            z = self.form.whiten(whiteners[j], x - self.means[j])
            np.einsum("nd,nd->n", z, z, out=distances[:, j])
        return distances

    def lengths(self, change: Array) -> Array:
        """Squared lengths change' inverse covariance change of a change of each mean, (k, d) -> (k,)."""
        whiteners, _ = self.factors
        with np.errstate(over="ignore"):
            white = [self.form.whiten(whiteners[j], row[None]) for j, row in enumerate(change)]
            return np.array([float((z**2).sum()) for z in white])

    def one_each(self) -> Array:
        """The covariances in their form, one a component even where they are tied, (k, ...)."""
        return self._one_each(self.distinct)

    def dense(self) -> Array:
        """Covariances as matrices, shape (k, d, d), whatever their form."""
        return self._one_each(self.form.dense(self.distinct, self.means.shape[1]))

    def among(self, columns: tuple[int, ...]) -> GaussianParams:
        """Those of some of the columns, in their order; of the same form, and no longer tied."""
        return GaussianParams(self.means[:, columns], self.form.among(self.one_each(), columns), self.form)

    def variances(self) -> Array:
        """Variances of the columns, shape (k, d), without forming a matrix that is not there."""
        return self._variances

    @cached_property
    def widths(self) -> Array:
        """Standard deviations of the columns, shape (k, d)."""
        return np.sqrt(self._variances)

    @cached_property
    def _variances(self) -> Array:
        columns = self.form.columns(self.distinct)
        return (
            columns
            if columns.shape == self.means.shape
            else np.broadcast_to(columns.reshape(len(columns), -1), self.means.shape)
        )

    def _one_each(self, values: Array) -> Array:
        k = len(self.means)
        if len(values) == k:
            return values
        # Of few numbers copies are quicker than a view.
        few = k * values.size <= _FEW
        return np.repeat(values, k, axis=0) if few else np.broadcast_to(values, (k, *values.shape[1:]))
