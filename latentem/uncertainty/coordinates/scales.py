"""Scales on which a number of the parameters is free: its own, its logarithm, its logit."""

from __future__ import annotations

import abc
from typing import final

import numpy as np
from attrs import frozen
from scipy.special import expit, logit

from latentem.arrays import Array


class Scale(abc.ABC):
    """A monotone map from the values that a number may have to all real numbers. It takes numbers and arrays."""

    __slots__ = ()

    @abc.abstractmethod
    def forward(self, value: Array) -> Array:
        """Where a value is on this scale."""

    @abc.abstractmethod
    def back(self, place: Array) -> Array:
        """The value there."""

    @abc.abstractmethod
    def slope(self, value: Array) -> Array:
        """The derivative of `forward` at a value."""


@final
@frozen
class Plain(Scale):
    """Values as they are: any real number."""

    def forward(self, value: Array) -> Array:
        return value

    def back(self, place: Array) -> Array:
        return place

    def slope(self, value: Array) -> Array:
        return np.ones_like(value)


@final
@frozen
class Logarithm(Scale):
    """Logarithms: of numbers above zero, such as variances and rates."""

    def forward(self, value: Array) -> Array:
        return np.log(value)

    def back(self, place: Array) -> Array:
        return np.exp(place)

    def slope(self, value: Array) -> Array:
        return 1 / value


@final
@frozen
class Logit(Scale):
    """Logits: of numbers between zero and one, such as shares and probabilities."""

    def forward(self, value: Array) -> Array:
        found: Array = logit(value)
        return found

    def back(self, place: Array) -> Array:
        found: Array = expit(place)
        return found

    def slope(self, value: Array) -> Array:
        return 1 / (value * (1 - value))
