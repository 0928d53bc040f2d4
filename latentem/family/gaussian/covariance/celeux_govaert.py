"""The fourteen covariance structures of Celeux and Govaert (1995), by their three letters.

A covariance is volume x axes x shape x axes', the shape diagonal and of determinant one. The letters say of volume,
shape and orientation whether they are equal (E), vary (V), or are those of the identity (I). Six are `Spherical`,
`Diagonal`, `Full` and what `Tied` makes of them; here are the other eight, and the names of all.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.family.gaussian.covariance.axes import AxesLoss, EqualVolume, OwnVolumes
from latentem.family.gaussian.covariance.diagonal import Diagonal
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.rotations import axes_of, common_axes, variances_along
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
        low: Array = np.broadcast_to(floor, own.shape[1:2])
        loss = self.loss(count, low)
        found = common_axes(own, loss, axes_of(current))
        pooled = axes_of(np.tensordot(loss.share, own, axes=1)[None])
        if loss.value(variances_along(own, pooled)) < loss.value(variances_along(own, found)):
            found = common_axes(own, loss, pooled)
        return _turned(loss.best(variances_along(own, found)), np.broadcast_to(found, own.shape))

    @abc.abstractmethod
    def loss(self, count: Array, floor: Array) -> AxesLoss:
        """What axes lose, for components with these counts, (k,), above a floor, (d,)."""


@final
@frozen
class EVE(CommonAxes):
    """One volume, shape varies, one orientation; covariances (k, d, d)."""

    def size(self, k: int, d: int) -> int:
        return 1 + k * (d - 1) + d * (d - 1) // 2

    def loss(self, count: Array, floor: Array) -> AxesLoss:
        return EqualVolume(count, floor)


@final
@frozen
class VVE(CommonAxes):
    """Volume and shape vary, one orientation; covariances (k, d, d)."""

    def size(self, k: int, d: int) -> int:
        return k * d + d * (d - 1) // 2

    def loss(self, count: Array, floor: Array) -> AxesLoss:
        return OwnVolumes(count, floor)


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
