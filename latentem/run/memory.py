"""The memory of an accelerated run: its last passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Value

LONGEST = 5
"""Failures after which the wait is doubled no more."""


@final
@frozen
class Point(Value):
    """One pass, as a leap looks back at it.

    Attributes:
        number: Index of its Step.
        params: Where it was: the M-step of statistics x.
        image: The pass's own statistics g, whose M-step is where a plain step leads.
        residual: g - x, zero at a fixed point.
        movement: The squared length of the residual, in nats.
        plain: Whether a plain step led there.
    """

    number: int
    params: Any
    image: Any
    residual: Any
    movement: float
    plain: bool


@final
@frozen
class Memory(Value):
    """All that an accelerated run knows beside its State; with it a run can be taken up again, to the bit.

    Attributes:
        points: The last passes of the stretch that is under way, the newest last.
        values: The log joint of the parameters of one of them at the residual of another, by their numbers.
        wait: Plain steps to take before the next leap.
        failures: Leaps that failed one after the other.
        slow: Whether plain steps have been seen to be slow.
        stretches: How far ahead the end was, in squared lengths of a plain step; the last five that are known.
        departing: Whether the last plain step was longer than the one before: the run leaves a saddle, or climbs a
            ridge, and older passes do not say where to.
        strides: By how many plain steps the next leap goes ahead while it departs.
        again: Number of the pass from which the model's own shortcut is tried again.
    """

    points: tuple[Point, ...] = ()
    values: Mapping[tuple[int, int], float] = field(factory=dict)
    wait: int = 0
    failures: int = 0
    slow: bool = False
    stretches: tuple[float, ...] = ()
    departing: bool = False
    strides: float = 4.0
    again: int = 0

    def cleared(self, wait: int = 0, keep: int = 0) -> Memory:
        """The memory without passes that mislead: the newest `keep` of them."""
        points = self.points[len(self.points) - keep :] if keep < len(self.points) else self.points
        return evolve(self, points=points, wait=max(self.wait, wait))

    def failed(self, wait: int) -> Memory:
        """After a leap that came to nothing: each next one waits twice as long."""
        return evolve(self.cleared(keep=2), failures=self.failures + 1, wait=wait * 2 ** min(self.failures, LONGEST))

    def remaining(self, movement: float) -> float:
        """The objective still to be gained, in nats; infinity if unknown. docs/mathematics.md, "Acceleration"."""
        if movement == 0:
            return 0.0
        return abs(movement) / 2 * max(self.stretches) if self.stretches else math.inf  # (eq: remaining-ahead)

    def learnt(self, stretch: float) -> Memory:
        """The memory with one stretch more."""
        return evolve(self, stretches=(*self.stretches, stretch)[-5:])
