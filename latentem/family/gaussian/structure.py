"""What a covariance structure is: values with methods, one a kind.

Second moments and covariances come in the structure's own shape, one a component on the first axis:
(m, d, d) for `Full`, (m, d) for `Diagonal`, (m,) for `Spherical`, whose second moment is the trace.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from latentem.arrays import Array
from latentem.family.gaussian.missing import Completion, Mask

VANISHED = 1e-24
"""Variance relative to the data's below which a component has collapsed: its width is 1e-12 of theirs."""


class Structure(abc.ABC):
    """What the covariances of the components may look like."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def each(self) -> Shape:
        """The shape of one component's covariance."""

    @property
    @abc.abstractmethod
    def tied(self) -> bool:
        """Whether all components share one covariance."""

    @abc.abstractmethod
    def spread(self, covariances: Array) -> Array:
        """Covariances as stored, with a first axis of one a component (or of one, where tied)."""

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Shape in which the covariances of k components in d dimensions are stored."""
        one = self.each.one(d)
        return one if self.tied else (k, *one)

    def size(self, k: int, d: int) -> int:
        """Free numbers in them."""
        return self.each.free(d) * (1 if self.tied else k)


class Shape(Structure):
    """A structure in which every component has a covariance of its own."""

    __slots__ = ()

    @property
    def each(self) -> Shape:
        return self

    @property
    def tied(self) -> bool:
        return False

    def spread(self, covariances: Array) -> Array:
        return covariances

    @abc.abstractmethod
    def one(self, d: int) -> tuple[int, ...]:
        """Shape of one covariance."""

    @abc.abstractmethod
    def free(self, d: int) -> int:
        """Free numbers in one covariance."""

    @abc.abstractmethod
    def product(self, a: Array, b: Array) -> Array:
        """A b', row by row: (m, d), (m, d) -> (m, ...)."""

    @abc.abstractmethod
    def twice(self, a: Array, b: Array) -> Array:
        """A b' + b a', row by row: (m, d), (m, d) -> (m, ...)."""

    @abc.abstractmethod
    def of_columns(self, variances: Array) -> Array:
        """The second moment of uncorrelated columns with these variances: (d,) -> (...)."""

    @abc.abstractmethod
    def scatter(self, y: Array, weight: Array) -> Array:
        """Sum of weight y y' over rows: (n, d), (n,) -> (...)."""

    @abc.abstractmethod
    def squares(self, y: Array, out: Array) -> None:
        """Fill in the squares of columns y, (d, n), that a quadratic form is linear in: (free(d), n)."""

    @abc.abstractmethod
    def quadratic(self, precisions: Array) -> Array:
        """The coefficients of these squares in y' precision y, (m, ...) -> (m, free(d))."""

    @abc.abstractmethod
    def second_of(self, squares: Array, d: int) -> Array:
        """Second moments from weighted sums of these squares, (m, free(d)) -> (m, ...)."""

    @abc.abstractmethod
    def estimate(self, second: Array, count: Array, d: int) -> Array:
        """The maximum likelihood covariances for these second moments about the mean: second / count."""

    @abc.abstractmethod
    def variances(self, second: Array, count: float, d: int) -> Array:
        """What the floor is relative to: the columns' variances for one pooled second moment, or their mean."""

    @abc.abstractmethod
    def columns(self, second: Array) -> Array:
        """What `variances` reads of one second moment or of each of some: the columns' own, (..., d), or their sum."""

    @abc.abstractmethod
    def kept(self, columns: Array) -> Array:
        """The same of values for each column: (d,) -> (d,), or their sum."""

    @abc.abstractmethod
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

    @abc.abstractmethod
    def factor(self, covariances: Array, d: int) -> tuple[Array, Array]:
        """Whiteners W with W' W = inverse covariance, and log determinants, shape (m,).

        Raises:
            Degenerate: a covariance is not positive definite.
        """

    @abc.abstractmethod
    def whiten(self, whitener: Array, y: Array) -> Array:
        """W y for each row of y, shape (n, d), with one component's W."""

    @abc.abstractmethod
    def precision(self, whiteners: Array) -> Array:
        """W' W, the inverse covariances, (m, ...) -> (m, ...)."""

    @abc.abstractmethod
    def trace(self, precisions: Array, second: Array) -> Array:
        """tr(precision x second moment) of each component, shape (m,)."""

    @abc.abstractmethod
    def weakest(self, covariances: Array, reference: Array) -> tuple[Array, Array | None]:
        """The smallest variance relative to `reference` in any direction, shape (m,), and the column nearest to it."""

    def weakest_at_least(self, precisions: Array, reference: Array) -> float:
        """A bound on the least of these from below, by precisions that are known."""
        return float(1 / (precisions * reference).max())

    def surely_above(self, covariances: Array, reference: Array, times: float) -> bool:
        """Whether in no direction a variance is as small as so many times `reference`; False where that is close."""
        return bool((self.weakest(covariances, reference)[0] > times).all())

    def surely_keep(self, part: float, before: Array, after: Array) -> bool:
        """Whether in every direction so much of a variance is left, (m, ...); False where that is close."""
        return bool((after >= part * before).all())

    def collapsed(self, covariances: Array, variances: Array) -> Any:
        """Which are singular to rounding beside the data's variances, boolean of shape (m,)."""
        return self.weakest(covariances, variances)[0] < VANISHED

    def condition(self, covariances: Array) -> Array:
        """By how much whitening magnifies rounding, shape (m,): at least about 1, whatever the units."""
        return np.ones(len(covariances))

    def condition_at_most(self, covariances: Array, precisions: Array) -> float:
        """A bound on the largest of these, by precisions that are known."""
        return float(self.condition(covariances).max())

    @abc.abstractmethod
    def raised(self, covariances: Array, floor: Array) -> Array:
        """The maximisers under covariance >= floor, where these are the unconstrained ones; see docs/mathematics.md."""

    @abc.abstractmethod
    def colour(self, covariance: Array, z: Array) -> Array:
        """Rows of standard normals, (n, d), as draws with one component's covariance."""

    @abc.abstractmethod
    def dense(self, covariances: Array, d: int) -> Array:
        """As matrices, shape (m, d, d)."""

    @abc.abstractmethod
    def refuse(self, covariances: Array) -> str | None:
        """Why these are no covariances, or None."""


def refuse_other_structure(given: Any, wanted: Any) -> None:
    """Refuse covariances of another structure.

    Raises:
        ValueError: saying which was given and which is wanted.
    """
    if given != wanted:
        raise ValueError(f"covariances of the structure {given!r} were given: the model has {wanted!r}")
