"""The outcome of an E-step."""

from __future__ import annotations

from typing import Generic, TypeVar, final

from attrs import frozen

from latentem.core.additive import Additive, Vector

S = TypeVar("S", bound=Vector)


@final
@frozen
class Expectation(Additive, Generic[S]):
    """The statistics and the entropy of an E-step: q itself is dropped.

    Attributes:
        statistics: Expected sufficient statistics.
        entropy: H[q] in nats.
        observations: How much the data count: the sum of the weights of the units.
        hidden: Of the entropy, the part of what is hidden given the labels: a temperature leaves it alone, and the
            integrated completed likelihood leaves it out. Where only labels are hidden it is 0.
    """

    statistics: S
    entropy: float
    observations: float
    hidden: float = 0.0
