"""How far work has come, as one value: what a display of progress shows."""

from __future__ import annotations

import math
from typing import Any, final

from attrs import frozen

from latentem.report.words import counted
from latentem.run import State

_LOOK_BACK = 20
"""Over so many steps the speed of convergence is measured."""


@final
@frozen
class Reading:
    """How far a fit has come.

    Attributes:
        title: What is fitted.
        starts: How many starts there are.
        begun: How many of them have taken a step.
        start: The number of the one that is under way, from 1.
        trial: Whether it is on trial: starts are compared after a few steps, and the best go on.
        step: Index of its last step.
        passes: Passes over the data so far, of all starts.
        bound: Q + H of the run that is under way, in nats.
        remaining: Estimate of what it has still to gain, in nats; infinity where there is none.
        rows_a_second: How many rows the passes have seen a second.
        seconds: Since the work began.
        left: Estimate of the seconds to the end of the trials, or of the run; None where there is none.
        share: What part of the trials, or of the run, is done, by the same estimate; None where there is none.
    """

    title: str
    starts: int
    begun: int
    start: int
    trial: bool
    step: int
    passes: int
    bound: float
    remaining: float
    rows_a_second: float
    seconds: float
    left: float | None
    share: float | None

    @property
    def place(self) -> str:
        """Which run is under way."""
        if self.starts == 1:
            return "run"
        return f"{'trial of start' if self.trial else 'start'} {self.start} of {self.starts}"

    @property
    def books(self) -> str:
        """Steps, passes, speed, bound and what remains, in words."""
        remains = f"{self.remaining:.2g} nats" if math.isfinite(self.remaining) else "not known yet"
        return ", ".join(
            [
                f"step {self.step}",
                "1 pass" if self.passes == 1 else f"{self.passes} passes",
                f"{magnitude(self.rows_a_second)} rows/s",
                f"bound {self.bound:.9g}",
                f"remaining gain {remains}",
            ]
        )

    @property
    def times(self) -> str:
        """Time spent and time left, in words."""
        if self.left is None:
            return clock(self.seconds)
        return f"{clock(self.seconds)}, about {clock(self.left)} {'of trials ' if self.trial else ''}left"


@final
@frozen
class PassUnderWay:
    """How far one pass over the data has come.

    Attributes:
        chunks: How many chunks are done.
        of: Of how many.
        rows: How many rows these have; None where that is not known.
        total: How many rows there are, or None.
        seconds: Since the pass began.
    """

    chunks: int
    of: int
    rows: int | None
    total: int | None
    seconds: float

    @property
    def share(self) -> float:
        """What part of the pass is done."""
        return self.chunks / self.of if self.rows is None or not self.total else self.rows / self.total

    @property
    def books(self) -> str:
        """Rows seen, share, speed and time left, in words; chunks, where rows are not known."""
        left = f"about {clock(self.seconds * (1 / self.share - 1))} of it left"
        if self.rows is None or self.total is None:
            return f"this pass: {self.chunks} of {self.of} chunks ({self.share:.0%}), {left}"
        speed = magnitude(self.rows / max(self.seconds, 1e-9))
        seen = f"{magnitude(self.rows)} of {magnitude(self.total)} rows ({self.share:.0%})"
        return f"this pass: {seen}, {speed} rows/s, {left}"


def seconds_left(state: State[Any, Any], aim: float | None, max_steps: int | None) -> float | None:
    """Seconds to the end of a run, if the estimate of its remaining gain goes on to fall as it did of late.

    Args:
        state: Where the run stands.
        aim: Nats an observation below which the remaining gain ends it; None: something else does.
        max_steps: The most steps that it takes, or None.

    Returns:
        The seconds, or None where the remaining gain is not known, or does not fall.
    """
    recent = [step for step in state.history[-_LOOK_BACK:] if 0 < step.remaining < math.inf]
    if aim is None or len(recent) < 2:
        return None
    first, last = recent[0], recent[-1]
    steps = last.index - first.index
    if steps == 0 or not last.remaining < first.remaining:
        return None
    fall = (math.log(first.remaining) - math.log(last.remaining)) / steps
    more = max(0.0, math.log(last.remaining) - math.log(aim * state.expectation.observations)) / fall
    if max_steps is not None:
        more = min(more, max_steps - last.index)
    return more * (last.seconds - first.seconds) / steps


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds; more than four days as days."""
    whole = round(seconds)
    if whole >= 96 * 3600:
        return counted(round(whole / 86400), "day")
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def magnitude(count: float) -> str:
    """A count to two or three digits, with k, M or G for thousands."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return f"{count:.3g}"
