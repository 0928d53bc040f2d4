"""The ledger of a run: it writes the Steps, counts the passes, keeps the time and what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Event, Expectation, Half, LatentModel
from latentem.run.audit import Pass, remaining, slope
from latentem.run.memory import Memory
from latentem.run.step import Ending, History, State, Status, Step


@final
@frozen
class Turn:
    """The pass at which a run stands, and how it came there.

    Attributes:
        kind: Of the step that led here, as `Step.kind`.
        now: The pass.
        gained: What each half of the step gained, in nats; NaN where there is nothing to compare with.
        entered: Parameters of the M-step of `maximised`; those of the pass, but where it had several M-steps.
        maximised: The statistics of that M-step; None where the parameters are no M-step's.
    """

    kind: str
    now: Pass
    gained: dict[Half, float] = field(factory=lambda: {"E": math.nan, "M": math.nan})
    entered: Any = None
    maximised: Any = None

    @cached_property
    def residual(self) -> Any:
        """What the E half changed in the statistics that were maximised: zero at a fixed point."""
        return self.now.expectation.statistics - self.maximised

    def m_half(self, model: LatentModel[Any, Any, Any, Any]) -> tuple[Any, float, Status | None]:
        """The next parameters, the movement towards them (NaN where it is unknown), and why there are none."""
        moved = math.nan
        try:
            following = model.m_step(self.now.expectation.statistics, self.now.params)
            if self.maximised is not None:
                moved = slope(model, self.entered, following, self.residual)
        except Degenerate as error:
            return self.now.params, math.nan, Status(Ending.DEGENERATE, str(error))
        return following, moved, None


@final
class Ledger:
    """The ledger of a run: one Step a record.

    Attributes:
        passes: Passes over the data so far; the run counts them.
        index: Of the next Step.
    """

    def __init__(self, model: LatentModel[Any, Any, Any, Any], index: int = 0, passes: int = 0) -> None:
        self._model = model
        self._steps: list[Step] = []
        self._events: tuple[Event, ...] = ()
        self._spent, self._clock = 0.0, time.perf_counter()
        self.passes = passes
        self.index = index

    @classmethod
    def of(cls, model: LatentModel[Any, Any, Any, Any], state: State[Any, Any]) -> Self:
        """The ledger of a run that is taken up again after a State."""
        ledger = cls(model, state.step.index + 1)
        ledger._steps = list(state.history)
        ledger._events, ledger._spent, ledger.passes = state.events, state.step.seconds, state.step.passes
        return ledger

    def note(self, done: Sequence[Event]) -> None:
        """Something was done to the parameters of the next Step."""
        self._events = (*self._events, *(evolve(event, step=self.index) for event in done))

    def lift(self, params: Any, expectation: Expectation[Any]) -> Any:
        """Parameters that satisfy the model's constraints; `params` itself if it is they."""
        lifted, done = self._model.lift(params, expectation.statistics)
        self.note(done)
        return lifted

    def resume(self) -> None:
        """Time runs again: what happened since the last record was not this run's."""
        self._clock = time.perf_counter()

    def record(self, turn: Turn, movement: float = math.nan, memory: Memory | None = None) -> State[Any, Any]:
        """Write a Step, and show where the run stands; an accelerated run has a memory."""
        at = turn.now
        self._spent += time.perf_counter() - self._clock
        q, h, log_prior = at.books.expected_log_joint, at.books.entropy, at.books.log_prior
        movements = [step.movement for step in self._steps[-3:]] + [movement]
        left = remaining(movements, self._model.inference.smooth) if memory is None else memory.remaining(movement)
        self._steps.append(
            Step(
                index=self.index,
                kind=turn.kind,
                bound=q + h,
                objective=at.books.objective,
                expected_log_joint=q,
                entropy=h,
                log_prior=log_prior,
                e_gain=turn.gained["E"],
                m_gain=turn.gained["M"],
                movement=movement,
                remaining=left,
                passes=self.passes,
                seconds=self._spent,
            )
        )
        self._events = _noted(self._events, self._model.diagnose(at.params, at.expectation.statistics), self.index)
        self.index += 1
        history = History(self._steps, len(self._steps))
        return State(at.params, at.expectation, history, self._events, at.books.blur, memory=memory)


def _noted(before: tuple[Event, ...], found: Sequence[Event], step: int) -> tuple[Event, ...]:
    """The events so far that were deeds, and those found now, each with the step since which it has held."""
    if not before and not found:
        return ()
    since = {event.subject: event.step for event in before}
    done = [event for event in before if event.done]
    return (*done, *(evolve(event, step=since.get(event.subject, step)) for event in found))
