"""hmmlearn's priors of means and covariances, as imagined rows."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, array
from latentem.family import CovariancePrior, Floor, Form, Moments, Structure
from latentem.sklearn.hmm.checks import spread


@final
@frozen
class Counted(CovariancePrior):
    """A count for each covariance, without scatter and without a part in the means, above a relative floor.

    Attributes:
        count: Shape (m,), one for each covariance; or ().
    """

    flat: ClassVar[bool] = False
    widens: ClassVar[bool] = True

    count: Array = array()

    def floor(self, variances: Array) -> Array | None:
        return Floor().floor(variances)

    def pseudo(self, form: Form, d: int) -> tuple[Array, Any]:
        return np.zeros(form.one(d)), self.count


def imagined(structure: Structure, mean: Array, weight: Array, scatter: Array) -> Moments:
    """Moments of imagined rows: `weight` rows at `mean`, and a scatter about the mean that goes with it.

    Args:
        structure: That of the covariances.
        mean: Shape (k, d).
        weight: Shape (k,), at least 0.
        scatter: In the form of a covariance, (k, ...), or (1, ...) where all are tied.
    """
    return Moments(structure.each, mean, weight, np.zeros_like(mean), scatter)


def weights_of(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """How many rows a mean is worth, at least 0.

    Raises:
        ValueError: one is negative, or they do not fit.
    """
    weight = spread(name, given, shape)
    if (weight < 0).any():
        raise ValueError(f"{name} was given as {given!r}: give numbers of at least 0")
    return weight


def scatters(name: str, given: Any, shape: tuple[int, ...], square: bool) -> Array:
    """Scatters in a form: a number stands for that many times the identity, and the last axes for one of each.

    Args:
        name: For messages.
        given: What was given.
        shape: (k, d, d) or the like where they are matrices; else one number a column, or a component.
        square: Whether they are matrices.

    Raises:
        ValueError: they do not fit, or are no scatter.
    """
    table = np.asarray(given, dtype=np.float64)
    if square and table.ndim == 0:
        table = table * np.eye(shape[-1])
    if square and table.shape == shape[-2:]:
        table = np.broadcast_to(table, shape)
    table = spread(name, table, shape)
    if not ((np.linalg.eigvalsh(table) >= -1e-12 * abs(table).max()).all() if square else (table >= 0).all()):
        raise ValueError(f"{name} was given as {given!r}: it must be at least 0, or positive semi-definite")
    return table
