"""What components lose when they share their axes."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.family.gaussian.covariance.volumes import equal_volume


@frozen
class AxesLoss(abc.ABC):
    """The least that variances along axes lose, (k, d), where the best ones are to have something in common.

    Attributes:
        count: Rows of each component, (k,).
        floor: The least variances, (d,), all the same.
    """

    count: Array
    floor: Array

    @cached_property
    def share(self) -> Array:
        return np.asarray(self.count / self.count.sum())

    @abc.abstractmethod
    def best(self, variances: Array) -> Array:
        """The best variances along the axes, (k, d), beside own ones, (k, d)."""

    def value(self, variances: Array) -> float:
        best = self.best(variances)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(self.share @ (np.log(best) + np.where(best > 0, variances / best, 0.0)).sum(axis=1))

    def slopes(self, variances: Array) -> tuple[Array, Array]:
        best = self.best(variances)
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = self.share[:, None] / best  # those at the best ones, which are held
            free = np.where(best > self.floor, slopes / np.where(variances > 0, variances, 1.0), 0.0)
        return slopes, self.curvatures(variances, free)

    def curvatures(self, variances: Array, free: Array) -> Array:
        """How the slopes change with the variances, (k, d, d), those at a floor not at all: here, each by itself."""
        return -free[:, :, None] * np.eye(free.shape[1])

    @abc.abstractmethod
    def in_plane(self, one: Array, other: Array, rest: Array) -> Array: ...


@final
@frozen
class EqualVolume(AxesLoss):
    """The loss where all volumes are equal."""

    def best(self, variances: Array) -> Array:
        return equal_volume(variances, self.count, self.floor)

    def in_plane(self, one: Array, other: Array, rest: Array) -> Array:
        # As if there were no floor; what it leads to is judged by the loss, which knows it.
        power = 1 / len(self.floor)
        return np.asarray(np.exp(power * (np.log(one * other) + rest)) @ self.share)

    def curvatures(self, variances: Array, free: Array) -> Array:
        # The volume that all share moves with the slope, which is none where this matters: at the end.
        inverse = np.where(free > 0, 1 / np.where(variances > 0, variances, 1.0), 0.0)
        weight = (free * variances**2).max(axis=1) / np.maximum((free > 0).sum(axis=1), 1)
        return super().curvatures(variances, free) + weight[:, None, None] * inverse[:, :, None] * inverse[:, None, :]


@final
@frozen
class OwnVolumes(AxesLoss):
    """The loss where each component has a volume of its own."""

    def best(self, variances: Array) -> Array:
        return np.maximum(variances, self.floor)

    def in_plane(self, one: Array, other: Array, rest: Array) -> Array:
        low, high = np.maximum(one, self.floor[0]), np.maximum(other, self.floor[0])
        return np.asarray((np.log(low * high) + one / low + other / high) @ self.share)
