"""Means and covariances, and what depends on them alone."""

from __future__ import annotations

from functools import cached_property
from typing import final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, array, matrix
from latentem.core import Value
from latentem.family.gaussian.full import Full
from latentem.family.gaussian.structure import Structure


@final
@frozen
class GaussianParams(Value):
    """Means and covariances of k Gaussians.

    Attributes:
        means: Shape (k, d).
        covariances: (k, d, d) full, (k, d) diagonal, (k,) spherical; (d, d), (d,) or () if tied.
        structure: Which of these it is.

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

    @cached_property
    def factors(self) -> tuple[Array, Array]:
        """Whiteners, (k, ...), and log determinants, (k,): once a pass, not once a chunk."""
        k, d = self.means.shape
        whiteners, log_det = self.structure.each.factor(self.structure.spread(self.covariances), d)
        return np.broadcast_to(whiteners, (k, *whiteners.shape[1:])), np.broadcast_to(log_det, (k,))

    @cached_property
    def precisions(self) -> Array:
        """Inverse covariances, in the structure's own shape, one a component even where they are tied, (k, ...)."""
        whiteners, _ = self.factors
        each = self.structure.each.precision(whiteners[:1] if self.structure.tied else whiteners)
        return np.broadcast_to(each, whiteners.shape)

    @cached_property
    def condition(self) -> float:
        """By how much whitening magnifies rounding, at most: the condition of the correlations."""
        return float(self.structure.each.condition(self.structure.spread(self.covariances)).max())

    @cached_property
    def condition_at_most(self) -> float:
        """A bound on that condition, which takes no eigenvalues."""
        each = self.structure.spread(self.covariances)
        return self.structure.each.condition_at_most(each, self.precisions[: len(each)])

    def one_each(self) -> Array:
        """The covariances in the structure's own shape, one a component even where they are tied, (k, ...)."""
        each = self.structure.spread(self.covariances)
        return np.broadcast_to(each, (len(self.means), *each.shape[1:]))

    def dense(self) -> Array:
        """Covariances as matrices, shape (k, d, d), whatever the structure."""
        k, d = self.means.shape
        dense = self.structure.each.dense(self.structure.spread(self.covariances), d)
        return np.broadcast_to(dense, (k, d, d))

    def variances(self) -> Array:
        """Variances of the columns, shape (k, d), without forming a matrix that is not there."""
        each = self.structure.spread(self.covariances)
        columns = np.diagonal(each, axis1=1, axis2=2) if each.ndim == 3 else each.reshape(len(each), -1)
        return np.broadcast_to(columns, self.means.shape)
