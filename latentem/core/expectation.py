"""What an E-step leaves behind."""

from __future__ import annotations

from typing import Generic, TypeVar, final

from attrs import frozen

from latentem.core.additive import Additive, Vector

S = TypeVar("S", bound=Vector)


@final
@frozen
class Expectation(Additive, Generic[S]):
    """What an E-step leaves behind: q itself is dropped.

    Attributes:
        statistics: Expected sufficient statistics.
        entropy: H[q] in nats.
        observations: How much the data count: the sum of the weights of the units.
        tempering: What a temperature adds to the objective, in nats: (1 / beta - 1) times the entropy of the labels.
    """

    statistics: S
    entropy: float
    observations: float
    tempering: float = 0.0
