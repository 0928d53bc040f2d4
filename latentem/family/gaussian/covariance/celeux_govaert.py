"""The fourteen covariance structures of Celeux and Govaert (1995), by their three letters.

A covariance is volume x axes x shape x axes', the shape diagonal and of determinant one. The letters say of volume,
shape and orientation whether they are equal (E), vary (V), or are those of the identity (I). Six are `Spherical`,
`Diagonal`, `Full` and what `Tied` makes of them; here are the other eight, and the names of all.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.family.gaussian.covariance.diagonal import Diagonal
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.rotations import Parts, axes_of, common_axes, variances_along
from latentem.family.gaussian.covariance.spherical import Spherical
from latentem.family.gaussian.covariance.structure import Structure
from latentem.family.gaussian.covariance.tied import Tied
from latentem.family.gaussian.covariance.volumes import equal_shape, equal_volume


@final
@frozen
class VEI(Structure):
    """Volume varies, one shape, the axes those of the columns; covariances (k, d)."""

    @property
    def each(self) -> Diagonal:
        return Diagonal()

    def size(self, k: int, d: int) -> int:
        return k + d - 1

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        return equal_shape(self.each, own, count, current, floor)


@final
@frozen
class EVI(Structure):
    """One volume, shape varies, the axes those of the columns; covariances (k, d)."""

    @property
    def each(self) -> Diagonal:
        return Diagonal()

    def size(self, k: int, d: int) -> int:
        return 1 + k * (d - 1)

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        return equal_volume(own, count, floor)


@final
@frozen
class VEE(Structure):
    """Volume varies, one shape and orientation; covariances (k, d, d)."""

    @property
    def each(self) -> Full:
        return Full()

    def size(self, k: int, d: int) -> int:
        return k - 1 + d * (d + 1) // 2

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        return equal_shape(self.each, own, count, current, floor)


@final
@frozen
class EVV(Structure):
    """One volume, shape and orientation vary; covariances (k, d, d)."""

    @property
    def each(self) -> Full:
        return Full()

    def size(self, k: int, d: int) -> int:
        return 1 + k * (d * (d + 1) // 2 - 1)

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        root = np.sqrt(np.where(floor > 0, floor, 1.0)) * np.ones(own.shape[1])  # where the floor is the identity
        values, axes = np.linalg.eigh(own / (root[:, None] * root))
        best = equal_volume(np.maximum(values, 0.0), count, np.ones(len(root)) if floor.any() else np.zeros(len(root)))
        return _turned(best, axes) * (root[:, None] * root)


class Oriented(Structure):
    """Structures with axes of their own beside shapes: they hold in one unit for all columns, and so does the floor."""

    __slots__ = ()

    @property
    def each(self) -> Full:
        return Full()

    def least(self, floor: Array) -> Array:
        return np.full_like(floor, floor.min())


class SortedAxes(Oriented):
    """Each component has axes of its own; the variances along them, in order of size, have something in common."""

    __slots__ = ()

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        values, axes = np.linalg.eigh(own)
        low: Array = np.broadcast_to(floor, values.shape[1:])
        return _turned(self.along(np.maximum(values, 0.0), count, _eigenvalues(current), low), axes)

    @abc.abstractmethod
    def along(self, values: Array, count: Array, current: Array, floor: Array) -> Array:
        """The best variances along the axes, (k, d)."""


@final
@frozen
class EEV(SortedAxes):
    """One volume and one shape, the orientation varies; covariances (k, d, d)."""

    def size(self, k: int, d: int) -> int:
        return d + k * (d * (d - 1) // 2)

    def along(self, values: Array, count: Array, current: Array, floor: Array) -> Array:
        return np.tile(np.maximum(count @ values / count.sum(), floor), (len(values), 1))


@final
@frozen
class VEV(SortedAxes):
    """Volume varies, one shape, the orientation varies; covariances (k, d, d)."""

    def size(self, k: int, d: int) -> int:
        return k + d - 1 + k * (d * (d - 1) // 2)

    def along(self, values: Array, count: Array, current: Array, floor: Array) -> Array:
        return equal_shape(Diagonal(), values, count, current, floor)


class CommonAxes(Oriented):
    """All components have the same axes; the variances along them have something in common, or not."""

    __slots__ = ()

    def estimate(self, own: Array, count: Array, current: Array, floor: Array) -> Array:
        share, low = count / count.sum(), np.broadcast_to(floor, own.shape[1:2])
        loss = partial(self.loss, share, count, low)
        # While no floor is felt, two axes can be turned by a formula; where one is, Newton's steps go on alone.
        before, pooled = axes_of(current), axes_of(np.tensordot(share, own, axes=1)[None])
        plane = partial(self.plane, share, low)
        found = common_axes(own, loss, plane, before)
        if loss(variances_along(own, pooled))[0] < loss(variances_along(own, found))[0]:
            found = common_axes(own, loss, plane, pooled)
        return _turned(self.along(variances_along(own, found), count, low), np.broadcast_to(found, own.shape))

    def loss(self, share: Array, count: Array, floor: Array, variances: Array) -> Parts:
        """The least that variances along axes lose, and its slopes: those at the best ones, which are held."""
        best = self.along(variances, count, floor)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(share @ (np.log(best) + np.where(best > 0, variances / best, 0.0)).sum(axis=1))
            slopes = share[:, None] / best
            free = np.where(best > floor, slopes / np.where(variances > 0, variances, 1.0), 0.0)
        return value, slopes, self.curvatures(variances, free)

    def curvatures(self, variances: Array, free: Array) -> Array:
        """How the slopes change with the variances, (k, d, d), those at a floor not at all: here, each by itself."""
        return -free[:, :, None] * np.eye(free.shape[1])

    @abc.abstractmethod
    def plane(self, share: Array, floor: Array, one: Array, other: Array, others: Array) -> Array:
        """The part of the loss, up to a rising function, that variances along two axes, (..., k), change.

        Args:
            share: Of the rows, (k,).
            floor: The least variances, (d,), all the same.
            one: Along the one axis.
            other: Along the other.
            others: Along the axes that stay, (k, d - 2).
        """

    @abc.abstractmethod
    def along(self, variances: Array, count: Array, floor: Array) -> Array:
        """The best variances along the axes, (k, d), beside own ones, (k, d)."""


@final
@frozen
class EVE(CommonAxes):
    """One volume, shape varies, one orientation; covariances (k, d, d)."""

    def size(self, k: int, d: int) -> int:
        return 1 + k * (d - 1) + d * (d - 1) // 2

    def along(self, variances: Array, count: Array, floor: Array) -> Array:
        return equal_volume(variances, count, floor)

    def plane(self, share: Array, floor: Array, one: Array, other: Array, others: Array) -> Array:
        # As if there were no floor; what it leads to is judged by the loss, which knows it.
        power = 1 / (others.shape[1] + 2)
        return np.asarray((one * other) ** power @ (share * np.exp(power * np.log(others).sum(axis=1))))

    def curvatures(self, variances: Array, free: Array) -> Array:
        # The volume that all share moves with the slope, which is none where this matters: at the end.
        inverse = np.where(free > 0, 1 / np.where(variances > 0, variances, 1.0), 0.0)
        weight = (free * variances**2).max(axis=1) / np.maximum((free > 0).sum(axis=1), 1)
        return super().curvatures(variances, free) + weight[:, None, None] * inverse[:, :, None] * inverse[:, None, :]


@final
@frozen
class VVE(CommonAxes):
    """Volume and shape vary, one orientation; covariances (k, d, d)."""

    def size(self, k: int, d: int) -> int:
        return k * d + d * (d - 1) // 2

    def along(self, variances: Array, count: Array, floor: Array) -> Array:
        return np.maximum(variances, floor)

    def plane(self, share: Array, floor: Array, one: Array, other: Array, others: Array) -> Array:
        low, high = np.maximum(one, floor[0]), np.maximum(other, floor[0])
        return np.asarray((np.log(low * high) + one / low + other / high) @ share)


def _eigenvalues(covariances: Array) -> Array:
    return np.asarray(np.linalg.eigvalsh(covariances), dtype=np.float64)


def _turned(variances: Array, axes: Array) -> Array:
    """Covariances with these variances, (k, d), along axes, (k, d, d): symmetric to the bit."""
    turned = (axes * variances[:, None, :]) @ axes.transpose(0, 2, 1)
    return np.asarray((turned + turned.transpose(0, 2, 1)) / 2)


ALL_STRUCTURES: Mapping[str, Structure] = MappingProxyType(
    {
        "EII": Tied(Spherical()),
        "VII": Spherical(),
        "EEI": Tied(Diagonal()),
        "VEI": VEI(),
        "EVI": EVI(),
        "VVI": Diagonal(),
        "EEE": Tied(Full()),
        "VEE": VEE(),
        "EVE": EVE(),
        "VVE": VVE(),
        "EEV": EEV(),
        "VEV": VEV(),
        "EVV": EVV(),
        "VVV": Full(),
    }
)
"""The fourteen by their names."""
_IN_ONE_COLUMN = {"E": "EII", "V": "VII"}


def structure(name: str) -> Structure:
    """The covariance structure of a name: of three letters for volume, shape and orientation, or E, V for one column.

    >>> import latentem as lem
    >>> lem.structure("VVV"), lem.structure("VEV")
    (Full(), VEV())

    Raises:
        ValueError: it is none of them.
    """
    found = ALL_STRUCTURES.get(_IN_ONE_COLUMN.get(name, name)) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"structure was given as {name!r}: give E or V, or one of {', '.join(ALL_STRUCTURES)}")
    return found
