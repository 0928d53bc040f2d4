"""Forms of one covariance, and how to compute with it: a matrix, a variance a column, or a single variance.

Second moments and covariances of m components come in their form, the components on the first axis: (m, d, d) for
`Full`, (m, d) for `Diagonal`, (m,) for `Spherical`, whose second moment is the trace.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Self

import numpy as np

from latentem.arrays import Array
from latentem.core import Degenerate
from latentem.family.gaussian.covariance.structure import Structure
from latentem.family.gaussian.missing import Completion, Mask, uncorrelated

VANISHED = 1e-24
"""Variance relative to the data's below which a component has collapsed: its width is 1e-12 of theirs."""


class Form(Structure):
    """The form of one covariance; as a structure, components that have nothing in common but this form.

    What is not abstract is written for columns that do not correlate.
    """

    __slots__ = ()

    separate: ClassVar[bool] = True

    @property
    def each(self) -> Self:
        return self

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return k, *self.one(d)

    def size(self, k: int, d: int) -> int:
        return k * self.free(d)

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        return self.raised(own, floor)

    @abc.abstractmethod
    def one(self, d: int) -> tuple[int, ...]:
        """Shape of one covariance."""

    @abc.abstractmethod
    def free(self, d: int) -> int:
        """Free numbers in one covariance."""

    # From columns to second moments, and back.

    @abc.abstractmethod
    def product(self, a: Array, b: Array) -> Array:
        """A b', row by row: (m, d), (m, d) -> (m, ...)."""

    def twice(self, a: Array, b: Array) -> Array:
        """A b' + b a', row by row: (m, d), (m, d) -> (m, ...)."""
        return self.product(2 * a, b)

    @abc.abstractmethod
    def scatter(self, y: Array, weight: Array) -> Array:
        """Sum of weight y y' over rows: (n, d), (n,) -> (...)."""

    @abc.abstractmethod
    def scatters(self, y: Array, counts: Array) -> Array:
        """Sum of count y y' over the columns of each component: (k, d, n), (k, n) -> (k, ...)."""

    @abc.abstractmethod
    def average(self, second: Array, count: Array, d: int) -> Array:
        """The covariances with these second moments about the mean: second / count."""

    @abc.abstractmethod
    def of_columns(self, variances: Array) -> Array:
        """The second moment of uncorrelated columns with these variances: (d,) -> (...)."""

    def columns(self, second: Array) -> Array:
        """The column figures of second moments: a number for each, (..., d), or the sum where only that is kept."""
        return second

    def kept(self, columns: Array) -> Array:
        """A number for each column, (d,), as `columns` would say it: (d,), or the sum."""
        return columns

    def variances(self, columns: Array, count: float, d: int) -> Array:
        """Variances of the d columns from their figures, (d,), or the mean of all from the sum."""
        return columns / count

    # The squares of centred columns in which a quadratic form is linear.

    @abc.abstractmethod
    def squares(self, y: Array, out: Array) -> None:
        """Fill in these squares of columns y: (d, n) -> (free(d), n)."""

    @abc.abstractmethod
    def quadratic(self, precisions: Array) -> Array:
        """Their coefficients in y' precision y: (m, ...) -> (m, free(d))."""

    @abc.abstractmethod
    def second_of(self, squares: Array, d: int) -> Array:
        """Second moments from weighted sums of them: (m, free(d)) -> (m, ...)."""

    # Whitening.

    @abc.abstractmethod
    def factor(self, covariances: Array, d: int) -> tuple[Array, Array]:
        """Whiteners W with W' W = inverse covariance, and log determinants, shape (m,).

        Raises:
            Degenerate: a covariance is not positive definite.
        """

    def whiten(self, whitener: Array, y: Array) -> Array:
        """W y for each row of y, shape (n, d), with one component's W."""
        return y * whitener

    def squared_lengths(self, whiteners: Array, y: Array) -> Array:
        """|W y|^2 of columns under each component: (k, ...), (k, d, n) -> (k, n)."""
        z = y * whiteners.reshape(len(y), -1, 1)
        z *= z
        return np.asarray(np.add.reduce(z, axis=1))

    def colour(self, covariance: Array, z: Array) -> Array:
        """Rows of standard normals, (n, d), as draws with one component's covariance."""
        return z * np.sqrt(covariance)

    def precision(self, whiteners: Array) -> Array:
        """W' W, the inverse covariances, (m, ...) -> (m, ...)."""
        return whiteners * whiteners

    @abc.abstractmethod
    def trace(self, precisions: Array, second: Array) -> Array:
        """tr(precision x second moment) of each component, shape (m,)."""

    def applied(self, precisions: Array, y: Array) -> Array:
        """Precision y, row by row: (m, ...), (m, d) -> (m, d)."""
        return precisions.reshape(len(precisions), -1) * y

    def dense(self, covariances: Array, d: int) -> Array:
        """As matrices, shape (m, d, d)."""
        return covariances.reshape(len(covariances), -1, 1) * np.eye(d)

    def among(self, covariances: Array, columns: tuple[int, ...]) -> Array:
        """The covariances of some of the columns, in their order, in this form: (m, ...) -> (m, ...)."""
        return covariances[:, columns]

    def complete(self, x: Array, missing: Mask, means: Array, covariances: Array) -> tuple[Array, Completion]:
        """For rows with missing cells, the log density of the observed ones and what is known of the others.

        Args:
            x: The rows, shape (n, d).
            missing: Which cells are missing, boolean of shape (n, d).
            means: Shape (k, d).
            covariances: One a component, or a single one where they are tied.

        Returns:
            Log densities in nats, shape (n, k), and q(missing cells | observed cells, z = k).

        Raises:
            Degenerate: a covariance is not positive definite.
        """
        variances = covariances.reshape(len(covariances), -1)
        refuse_nonpositive(variances.min(axis=1))
        return uncorrelated(x, missing, means, np.broadcast_to(variances, means.shape))

    # How small a covariance is.

    @abc.abstractmethod
    def weakest(self, covariances: Array, reference: Array) -> tuple[Array, Array | None]:
        """The smallest variance relative to `reference` in any direction, shape (m,), and the column nearest to it."""

    def weakest_at_least(self, precisions: Array, reference: Array) -> float:
        """A bound on the least of these from below, by precisions that are known."""
        return float(1 / (precisions * reference).max())

    def raised(self, covariances: Array, floor: Array) -> Array:
        """The maximisers under covariance >= floor, where these are the unconstrained ones; see docs/mathematics.md."""
        return np.maximum(covariances, floor)  # (eq: floor)

    def surely_keep(self, part: float, before: Array, after: Array) -> bool:
        """Whether in every direction so much of a variance is left, (m, ...); False where that is close."""
        return bool((after >= part * before).all())

    def collapsed(self, covariances: Array, variances: Array) -> Any:
        """Which are singular to rounding beside the data's variances, boolean of shape (m,)."""
        return self.weakest(covariances, variances)[0] < VANISHED

    def condition(self, covariances: Array) -> Array:
        """By how much whitening magnifies rounding, shape (m,): at least about 1, whatever the units."""
        return np.ones(len(covariances))

    def condition_at_most(self, widths: Array, precisions: Array) -> float:
        """A bound on the largest of these, by the widths of columns, (m, d), and precisions that are known."""
        return 1.0

    def unfit(self, covariances: Array) -> str | None:
        """Why these are no covariances, or None."""
        return None if (covariances > 0).all() else f"not positive (smallest {covariances.min():.3g})"


def refuse_nonpositive(smallest: Array) -> None:
    """Refuse the smallest variances of components, (m,), where one is not above zero.

    Raises:
        Degenerate: naming the component.
    """
    if not (smallest > 0).all():
        component = int(np.argmin(smallest))
        raise Degenerate(component, "covariances", f"smallest variance {smallest[component]:.3g}")
