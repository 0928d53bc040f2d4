"""The covariance structures beside the full one: diagonal, spherical, and tied ones of any."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array
from latentem.core import Degenerate
from latentem.family.gaussian.full import Full
from latentem.family.gaussian.missing import Completion, Mask, uncorrelated
from latentem.family.gaussian.structure import Shape, Structure


class _Uncorrelated(Shape):
    """Columns that do not correlate: whitening is a division, and a floor a maximum."""

    __slots__ = ()

    def columns(self, second: Array) -> Array:
        return second

    def complete(self, x: Array, missing: Mask, means: Array, covariances: Array) -> tuple[Array, Completion]:
        variances = covariances.reshape(len(covariances), -1)
        _refuse_nonpositive(variances.min(axis=1))
        return uncorrelated(x, missing, means, np.broadcast_to(variances, means.shape))

    def twice(self, a: Array, b: Array) -> Array:
        return self.product(2 * a, b)

    def whiten(self, whitener: Array, y: Array) -> Array:
        return y * whitener

    def precision(self, whiteners: Array) -> Array:
        return whiteners * whiteners

    def raised(self, covariances: Array, floor: Array) -> Array:
        return np.maximum(covariances, floor)

    def colour(self, covariance: Array, z: Array) -> Array:
        return z * np.sqrt(covariance)

    def refuse(self, covariances: Array) -> str | None:
        return None if (covariances > 0).all() else f"not positive (smallest {covariances.min():.3g})"


@final
@frozen
class Diagonal(_Uncorrelated):
    """A variance for each column of each component; covariances (k, d)."""

    def one(self, d: int) -> tuple[int, ...]:
        return (d,)

    def free(self, d: int) -> int:
        return d

    def product(self, a: Array, b: Array) -> Array:
        return a * b

    def of_columns(self, variances: Array) -> Array:
        return variances

    def scatter(self, y: Array, weight: Array) -> Array:
        return weight @ (y * y)

    def squares(self, y: Array, out: Array) -> None:
        np.multiply(y, y, out=out)

    def quadratic(self, precisions: Array) -> Array:
        return precisions

    def second_of(self, squares: Array, d: int) -> Array:
        return squares

    def estimate(self, second: Array, count: Array, d: int) -> Array:
        return second / count[:, None]

    def variances(self, second: Array, count: float, d: int) -> Array:
        return second / count

    def kept(self, columns: Array) -> Array:
        return columns

    def factor(self, covariances: Array, d: int) -> tuple[Array, Array]:
        _refuse_nonpositive(covariances.min(axis=1))
        return 1 / np.sqrt(covariances), np.log(covariances).sum(axis=1)

    def trace(self, precisions: Array, second: Array) -> Array:
        return (precisions * second).sum(axis=1)

    def weakest(self, covariances: Array, reference: Array) -> tuple[Array, Array | None]:
        ratio = covariances / reference
        return ratio.min(axis=1), ratio.argmin(axis=1)

    def dense(self, covariances: Array, d: int) -> Array:
        return covariances[:, :, None] * np.eye(d)


@final
@frozen
class Spherical(_Uncorrelated):
    """One variance for each component; covariances (k,)."""

    def one(self, d: int) -> tuple[int, ...]:
        return ()

    def free(self, d: int) -> int:
        return 1

    def product(self, a: Array, b: Array) -> Array:
        return (a * b).sum(axis=1)

    def of_columns(self, variances: Array) -> Array:
        return np.asarray(variances.sum())

    def scatter(self, y: Array, weight: Array) -> Array:
        return np.asarray(weight @ np.einsum("nd,nd->n", y, y))

    def squares(self, y: Array, out: Array) -> None:
        np.einsum("dn,dn->n", y, y, out=out[0])

    def quadratic(self, precisions: Array) -> Array:
        return precisions[:, None]

    def second_of(self, squares: Array, d: int) -> Array:
        return squares[:, 0]

    def estimate(self, second: Array, count: Array, d: int) -> Array:
        return second / (count * d)

    def variances(self, second: Array, count: float, d: int) -> Array:
        return np.asarray(second / (count * d))

    def kept(self, columns: Array) -> Array:
        return np.asarray(columns.sum())

    def factor(self, covariances: Array, d: int) -> tuple[Array, Array]:
        _refuse_nonpositive(covariances)
        return 1 / np.sqrt(covariances), d * np.log(covariances)

    def trace(self, precisions: Array, second: Array) -> Array:
        return precisions * second

    def weakest(self, covariances: Array, reference: Array) -> tuple[Array, Array | None]:
        return covariances / reference, None

    def dense(self, covariances: Array, d: int) -> Array:
        return covariances[:, None, None] * np.eye(d)


def _own_shape(instance: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, Shape):
        raise TypeError(f"Tied was given {value!r}: give Full(), Diagonal() or Spherical()")


@final
@frozen
class Tied(Structure):
    """One covariance of the given structure, shared by all components; its shape has no component axis."""

    structure: Shape = field(factory=Full, validator=_own_shape)

    @property
    def each(self) -> Shape:
        return self.structure

    @property
    def tied(self) -> bool:
        return True

    def spread(self, covariances: Array) -> Array:
        return covariances[None]


def _refuse_nonpositive(smallest: Array) -> None:
    if not (smallest > 0).all():
        component = int(np.argmin(smallest))
        raise Degenerate(component, "covariances", f"smallest variance {smallest[component]:.3g}")
