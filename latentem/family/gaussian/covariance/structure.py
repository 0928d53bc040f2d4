"""Covariance structures: what the covariances of the components have in common."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from latentem.arrays import Array

if TYPE_CHECKING:
    from latentem.family.gaussian.covariance.form import Form

_ALIKE = 1e-6
"""Relative difference from the nearest covariances of a structure, above which given ones are not of it."""


class Structure(abc.ABC):
    """Covariance structures: the relation between the covariances of the components.

    To write one, say the form of one covariance, how many numbers are free, and the M-step. The forms are `Full()`,
    `Diagonal()` and `Spherical()`; each is also the structure of components with nothing in common.

    Class attributes that a structure may say:
        tied: Whether all components have one covariance. It is stored once, without an axis for the components, and
            `estimate` sees one covariance, (1, ...), of all the rows.
        separate: Whether the M-step of a component does without the others. Then some of them can be held.
    """

    __slots__ = ()

    tied: ClassVar[bool] = False
    separate: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def each(self) -> Form:
        """The form of one covariance: `Full()`, `Diagonal()` or `Spherical()`."""

    @abc.abstractmethod
    def size(self, k: int, d: int) -> int:
        """Free numbers in the covariances of k components in d dimensions."""

    @abc.abstractmethod
    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        """The maximum likelihood covariances of this structure, (k, ...), none of them below the floor.

        They minimise the sum of count (log det covariance + tr(own / covariance)). An iteration may begin with
        `current`: it must not end with a larger sum.

        Args:
            own: The maximum likelihood covariance of each component by itself, (k, ...).
            count: How many rows each component has, shape (k,); where it is 0, its own covariance is the current one.
            current: The present covariances, (k, ...), of this structure and not below the floor.
            floor: The least variance of each column, (d,), or of all where the form is spherical, (); 0 for none.
        """

    def least(self, floor: Array) -> Array:
        """The least variance of each column, (d,), beside which this structure can say what is best: here, as given."""
        return floor

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Shape in which the covariances of k components in d dimensions are stored."""
        one = self.each.one(d)
        return one if self.tied else (k, *one)

    def spread(self, covariances: Array) -> Array:
        """Stored covariances with a first axis: one a component, or a single one where they are tied, (m, ...)."""
        return covariances[None] if self.tied else covariances

    def stored(self, covariances: Array) -> Array:
        """Covariances with that axis, as they are stored."""
        return np.asarray(covariances[0]) if self.tied else covariances

    def refuse(self, covariances: Array) -> str | None:
        """Why positive definite covariances, (m, ...), are not of this structure, or None.

        The estimate from covariances of the structure is those covariances.
        """
        nearest = self.estimate(covariances, np.ones(len(covariances)), covariances, np.zeros(()))
        scale = np.abs(covariances)
        if covariances.ndim == 3:  # a covariance of next to nothing is one beside the variances
            root = np.sqrt(covariances.diagonal(axis1=1, axis2=2))
            scale = root[:, :, None] * root[:, None, :]
        alike = (np.abs(nearest - covariances) <= _ALIKE * scale).all()
        return None if alike else f"not all of the structure {self!r}"


def refuse_other_structure(given: Structure, wanted: Structure) -> None:
    """Refuse covariances of another structure.

    Raises:
        ValueError: saying which was given and which is wanted.
    """
    if given != wanted:
        raise ValueError(f"covariances of the structure {given!r} were given: the model has {wanted!r}")
