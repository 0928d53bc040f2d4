"""Standardised covariates, in which regressions are solved."""

from __future__ import annotations

from typing import Self, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, matrix, own, vector
from latentem.core import Value
from latentem.family.regression.predictor import level
from latentem.numerics.solve import rank_of

_SPANNED = 1e-10
"""Share of the variance of standardised covariates below which a direction is none of theirs."""
DEPENDENT = "covariates of its rows are constant, or combinations of one another, so that the smallest ones were taken"
NO_INFORMATION = 1e-10
"""Information a row, the covariates' own being one, below which an optimum is on its way to infinity."""


@final
@frozen
class Design(Value):
    """A column of ones, and covariates brought to mean 0 and variance 1 by weights; a constant one is 0.

    Attributes:
        columns: Shape (n, p + 1).
        share: How much each row counts; they sum to one, shape (n,).
        centre: Of the covariates, shape (p,).
        scale: Their standard deviations, 0 where one is constant but for rounding, shape (p,).
    """

    columns: Array = matrix("(n, p + 1)")
    share: Array = vector()
    centre: Array = vector("(p,)")
    scale: Array = vector("(p,)")

    @classmethod
    def of(cls, covariates: Array, weight: Array) -> Self:
        """Of covariates, shape (n, p), with positive weights, (n,)."""
        share = weight / weight.sum()
        near = covariates[int(share.argmax())]
        columns = np.empty((len(covariates), len(near) + 1))
        columns[:, 0] = 1.0
        around = columns[:, 1:]
        np.subtract(covariates, near, out=around)
        left = share @ around
        around -= left
        centre = near + left
        scale = np.sqrt(np.einsum("n,np,np->p", share, around, around))
        scale = np.where(scale > 32 * np.finfo(float).eps * np.abs(centre), scale, 0.0)
        np.divide(around, np.where(scale > 0, scale, np.inf), out=around)
        return cls(own(columns), own(share), own(centre), own(scale))

    def standardised(self, coefficients: Array) -> Array:
        """Coefficients of the columns that say what these, (k, p + 1), say of the covariates."""
        return np.column_stack([level(coefficients, self.centre), coefficients[:, 1:] * self.scale])

    def destandardised(self, coefficients: Array) -> Array:
        """The inverse; the slope of a constant covariate is 0."""
        slopes = np.where(self.scale > 0, coefficients[:, 1:] / np.where(self.scale > 0, self.scale, 1.0), 0.0)
        intercepts = level(np.column_stack([coefficients[:, 0], -slopes]), self.centre)
        return own(np.column_stack([intercepts, slopes]))

    def rank(self) -> int:
        """How many directions the column of ones and the covariates span."""
        return rank_of(self.columns.T @ (self.columns * self.share[:, None]))

    def information(self, variance: Array) -> float:
        """The least information a row in any direction that the covariates span, for responses of these variances."""
        values, vectors = np.linalg.eigh(self.columns.T @ (self.columns * self.share[:, None]))
        spanned = values > _SPANNED
        directions = self.columns @ (vectors[:, spanned] / np.sqrt(values[spanned]))
        seen = directions.T @ (directions * (self.share * np.minimum(variance, 1e300))[:, None])
        return float(np.linalg.eigvalsh(seen)[0])
