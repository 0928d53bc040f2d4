"""Covariances that groups of components share."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, plain_int
from latentem.family.columns import natural_number
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure
from latentem.family.gaussian.covariance.tied import a_form


@final
@frozen
class TiedWithin(Structure):
    """One covariance for each group of neighbouring components: the first m, the next m, and so on.

    Members of one component of `MixtureOf(Gaussian(TiedWithin(m)), m)` share their covariance, and those of different
    components do not. Each component has its copy, shape (k, ...).

    Attributes:
        m: How many components are in a group.
        each: The form of one covariance.
    """

    m: int = field(converter=plain_int)
    each: Form = field(factory=Full, validator=a_form)

    separate: ClassVar[bool] = False

    @m.validator
    def _a_number(self, attribute: object, value: object) -> None:
        if not natural_number(value):
            raise ValueError(f"m was given as {value!r}: give the number of components in a group, at least 1")

    def size(self, k: int, d: int) -> int:
        return k // self.m * self.each.free(d)

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        k = len(own)
        if k % self.m:
            raise ValueError(f"{k} components were given for {self!r}: they must be groups of {self.m}")
        groups = own.reshape(-1, self.m, *own.shape[1:])
        weight = count.reshape(-1, self.m, *(1,) * (own.ndim - 1))
        total = weight.sum(axis=1)
        # Without rows the covariances of a group are the current ones, which are all the same.
        pooled = (weight * groups).sum(axis=1) / np.where(total > 0, total, 1.0)
        pooled = np.where(total > 0, pooled, groups[:, 0])
        return np.repeat(self.each.raised(pooled, floor), self.m, axis=0)
