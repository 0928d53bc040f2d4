"""Priors of covariances: floors, inverse Wishart, none."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, frozen_array
from latentem.core import Event, Value
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full


class CovariancePrior(Value):
    """A floor, or pseudo-moments, or neither.

    Class attributes that a prior may say:
        flat: Whether its density is: `pseudo` then adds nothing.
        widens: Whether a covariance is positive under it even where a column is constant.
    """

    __slots__ = ()

    flat: ClassVar[bool] = True
    widens: ClassVar[bool] = False

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


def or_flat(prior: CovariancePrior | None) -> CovariancePrior:
    """A converter: no prior is a flat one."""
    return Flat() if prior is None else prior


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


def _positive(instance: Any, attribute: Any, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} was given as {value!r}: give a positive, finite number")


@final
@frozen
class AbsoluteFloor(CovariancePrior):
    """Variances no smaller than this, in squared data units: for one who knows the data's units.

    It admits constant columns, which `Floor` cannot: there is no variance to be relative to.
    """

    widens: ClassVar[bool] = True

    variance: float = field(validator=_positive)

    def floor(self, variances: Array) -> Array | None:
        return np.full_like(variances, self.variance)


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
    widens: ClassVar[bool] = True

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
        count = self.dof + d + 1  # (eq: inverse-wishart)
        if self.scale.ndim == len(form.one(d)) == 2:
            return self.scale, count
        columns = np.diagonal(self.scale) if self.scale.ndim == 2 else np.broadcast_to(self.scale, (d,))
        return form.of_columns(columns), count


AT_FLOOR = 1 + 1e-6
"""Ratio to the floor up to which a variance is at it."""


def of(component: int | None) -> str:
    """Which components, in a message; None for all of them."""
    return " of all components" if component is None else f" of component {component}"


def lifted(ratio: Array, field: str, what: str, tied: bool = False) -> list[Event]:
    """Events for what was given below the floor and raised to it.

    Args:
        ratio: Of what was given to the floor, one a component, or a single one where they are tied, (m,).
        field: The field of the parameters.
        what: What is in it, in the singular.
        tied: Whether the components have one.
    """
    return [
        Event(
            "lifted",
            f"the given {what}{of(component)} is below the floor and was raised to it",
            "give a wider start, or another floor (prior=Floor(eps), or None)",
            component,
            field,
        )
        for component in (None if tied else j for j in np.flatnonzero(ratio < 1 / AT_FLOOR).tolist())
    ]


def held_up(
    ratio: Array, count: Array, field: str, what: str, remedy: str, tied: bool = False, column: Array | None = None
) -> list[Event]:
    """Events for what is at its floor.

    Args:
        ratio: As in `lifted`.
        count: Rows behind each, (m,).
        field: The field of the parameters.
        what: What is in it, in the singular.
        remedy: What can be done.
        tied: Whether the components have one.
        column: The column nearest to the direction in which it is narrow, (m,), where that is known.
    """
    return [
        Event(
            "floor",
            f"the {what}{of(None if tied else j)} is held up by its floor, with {count[j]:.4g} rows",
            remedy,
            None if tied else j,
            field,
            None if column is None else int(column[j]),
        )
        for j in np.flatnonzero(ratio <= AT_FLOOR).tolist()
    ]
