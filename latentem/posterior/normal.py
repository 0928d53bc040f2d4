"""Posteriors over continuous latents: one normal distribution a unit."""

from __future__ import annotations

from functools import cached_property
from typing import final

import numpy as np
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, frozen_or_none, matrix, own
from latentem.core import Value
from latentem.posterior.labels import count_units

_ASYMMETRY = 1e-10
"""Of the two standard deviations: by how much a covariance may differ from its transpose."""
_UNIT_ENTROPY = 0.5 * float(np.log(2 * np.pi * np.e))
"""Entropy of N(0, 1) in nats."""


@final
@frozen
class NormalPosterior(Value):
    """Independent normals of one covariance: q(z) is a product over units of N(z_n | means[n], covariance).

    Attributes:
        means: Shape (n, m).
        covariance: Shared by all units, shape (m, m); symmetric and positive definite.
        multiplicity: How many times each unit counts, shape (n,); ones unless given.

    It has no mode and no draw as posteriors over labels have: a point mass has no density here.

    Raises:
        ValueError: shapes disagree, a mean is not finite, or the covariance is no covariance.
    """

    means: Array = matrix("(n, m)")
    covariance: Array = matrix("(m, m)")
    multiplicity: Array = field(default=None, converter=frozen_or_none, eq=EQUAL, hash=False)
    _root: Array | None = field(default=None, converter=frozen_or_none, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        n, m = self.means.shape
        count_units(self, n)
        if self.covariance.shape != (m, m):
            raise ValueError(f"covariance has shape {self.covariance.shape}: means of {self.means.shape} need {(m, m)}")
        if not np.isfinite(self.means).all():
            unit = int(np.isfinite(self.means).all(axis=1).argmin())
            raise ValueError(f"the mean of unit {unit} is {self.means[unit]}: every value must be finite")
        scale = np.sqrt(np.abs(np.multiply.outer(*2 * (np.diagonal(self.covariance),))))
        if not (np.abs(self.covariance - self.covariance.T) <= _ASYMMETRY * scale).all():
            raise ValueError(f"covariance was given as {self.covariance}: it must be finite and symmetric")
        _ = self.root  # it raises where there is none

    @classmethod
    def of_root(cls, means: Array, root: Array, multiplicity: Array | None = None) -> NormalPosterior:
        """With covariance root root', root of shape (m, m): a root keeps digits that the covariance loses."""
        return cls(means, own(root @ root.T), multiplicity, root)

    @cached_property
    def root(self) -> Array:
        """A square root of the covariance, shape (m, m): covariance = root root'."""
        if self._root is not None:
            return self._root
        try:
            return own(np.linalg.cholesky(self.covariance).astype(np.float64, copy=False))
        except np.linalg.LinAlgError:
            raise ValueError(f"covariance was given as {self.covariance}: it must be positive definite") from None

    def entropy(self) -> float:
        """H[q] in nats: of each unit m/2 log(2 pi e) + 1/2 log det covariance (Bishop, 2006, eq. B.41)."""
        # (eq: factor-posterior)
        _, log_det = np.linalg.slogdet(self.root)
        return float(self.multiplicity.sum() * (self.means.shape[1] * _UNIT_ENTROPY + log_det))

    def latent_entropy(self) -> float:
        """The entropy: nothing else is hidden."""
        return self.entropy()

    def power(self, exponent: float) -> NormalPosterior:
        """q to a positive power, renormalised: the same means, the covariance divided by it."""
        root = self.root / np.sqrt(exponent)
        return NormalPosterior(self.means, own(self.covariance / exponent), self.multiplicity, own(root))
