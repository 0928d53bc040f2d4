"""Tied covariances: one for all components."""

from __future__ import annotations

from typing import Any, ClassVar, final

from attrs import field, frozen

from latentem.arrays import Array
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure


def a_form(instance: Any, attribute: Any, value: Any) -> None:
    """A validator for the form of one covariance."""
    if not isinstance(value, Form):
        raise TypeError(f"{type(instance).__name__} was given {value!r}: give Full(), Diagonal() or Spherical()")


@final
@frozen
class Tied(Structure):
    """One covariance of the given form, shared by all components; its shape has no component axis."""

    each: Form = field(factory=Full, validator=a_form)

    tied: ClassVar[bool] = True

    def size(self, k: int, d: int) -> int:
        return self.each.free(d)

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        return self.each.raised(own, floor)
