"""What is assumed of a covariance before the data are seen."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, frozen_array
from latentem.core import Value
from latentem.family.gaussian.form import Form
from latentem.family.gaussian.full import Full


class CovariancePrior(Value):
    """A floor, or pseudo-moments, or neither.

    Class attribute that a prior may say:
        flat: Whether its density is: `pseudo` then adds nothing.
    """

    __slots__ = ()

    flat: ClassVar[bool] = True

    def floor(self, variances: Array) -> Array | None:
        """The least covariance for data with these variances, or None."""
        return None

    def pseudo(self, form: Form, d: int) -> tuple[Array, float]:
        """A second moment in that form, and a count, added to those of every covariance."""
        return np.zeros(form.one(d)), 0.0


@final
@frozen
class Flat(CovariancePrior):
    """No prior and no floor: plain maximum likelihood, in which a component may collapse onto a row."""


def _small(instance: Any, attribute: Any, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{attribute.name} was given as {value!r}: it is relative to the data's variance, in (0, 1)")


@final
@frozen
class Floor(CovariancePrior):
    """Covariances no smaller than `eps` times the diagonal of the data's covariance: a flat prior above it.

    The constraint is in the data's own units and part of the problem, so the M-step is still an exact
    maximiser: docs/mathematics.md. While it is inactive it changes no digit; an active one is an event.
    """

    eps: float = field(default=1e-8, validator=_small)

    def floor(self, variances: Array) -> Array | None:
        return self.eps * variances


def _above_minus_one(instance: Any, attribute: Any, value: float) -> None:
    if not -1 < value < float("inf"):
        raise ValueError(f"{attribute.name} was given as {value!r}: give a finite number above -1")


@final
@frozen
class InverseWishart(CovariancePrior):
    """Sigma ~ inverse Wishart(scale, dof), for each covariance of the structure (for a tied one, once).

    Its log density up to a constant, -1/2 ((dof + d + 1) log det Sigma + tr(scale Sigma^-1)), is that of a
    pseudo-count and a pseudo-scatter, so the M-step stays closed (Fraley and Raftery, 2007). Structures
    other than full take its restriction to them.

    Attributes:
        scale: A number (times the identity), a diagonal (d,), or a matrix (d, d), in squared data units.
        dof: Degrees of freedom.
    """

    flat: ClassVar[bool] = False

    scale: Array = field(converter=frozen_array, eq=EQUAL, hash=False)
    dof: float = field(validator=_above_minus_one)

    def __attrs_post_init__(self) -> None:
        square = self.scale.ndim == 2 and self.scale.shape[0] == self.scale.shape[1]
        if not (Full().unfit(self.scale[None]) is None if square else self.scale.ndim < 2 and (self.scale > 0).all()):
            raise ValueError(
                f"the scale of InverseWishart was given as {self.scale}: give a positive number, a positive "
                "diagonal (d,), or a positive definite matrix (d, d)"
            )

    def pseudo(self, form: Form, d: int) -> tuple[Array, float]:
        if self.scale.ndim and len(self.scale) != d:
            raise ValueError(f"the scale of InverseWishart has shape {self.scale.shape}: the data have {d} columns")
        count = self.dof + d + 1
        if self.scale.ndim == len(form.one(d)) == 2:
            return self.scale, count
        columns = np.diagonal(self.scale) if self.scale.ndim == 2 else np.broadcast_to(self.scale, (d,))
        return form.of_columns(columns), count
