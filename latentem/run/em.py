"""The runner: EM with its books open."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Event, Half, e_step, placed
from latentem.numerics.arithmetic import own_steps
from latentem.run.acceleration import Acceleration, Leap
from latentem.run.audit import Pass, audit, slope
from latentem.run.ledger import UNKNOWN, Ledger
from latentem.run.memory import Memory, Point
from latentem.run.runner import Model, Runner, Stop, a_rule, decide, whole
from latentem.run.step import Ending, State, Status
from latentem.run.stop import remaining_below

Ahead = tuple[Any, Leap | None]
"""Where a pass leads: the parameters of its M-step, and a leap to try before them."""
Repair = Callable[[Model, State[Any, Any], Any, Sequence[Any]], tuple[Any, Sequence[Event]]]


def _acceleration(instance: Any, attribute: Any, value: Any) -> None:
    if value is not None and not isinstance(value, Acceleration):
        raise TypeError(f"accelerate was given as {value!r}: give an acceleration, such as Anderson(), or None")


@final
@frozen
class EM(Runner):
    """Expectation maximisation (Dempster, Laird and Rubin, 1977) as coordinate ascent on Q + H.

    Attributes:
        stop: When to end: a stop rule, or any callable from a State to a Status or None.
        max_steps: The most steps that a run takes.
        repair: Called after each M half with (model, state, params, chunks), it returns parameters and
            events; it is audited with the M half. None repairs nothing.
        accelerate: How to leap ahead of plain steps, such as `Anderson()`; None takes plain steps only. Where the
            posterior jumps (hard, sampled), and where a repair has acted, steps are plain in any case.
        plain: How many plain steps come before the first leap, at least, so that starts can be compared after them.
    """

    stop: Stop = field(factory=remaining_below, validator=a_rule)
    max_steps: int = field(default=10_000, validator=whole(0, "steps"))
    repair: Repair | None = None
    accelerate: Acceleration | None = field(default=None, validator=_acceleration)
    plain: int = field(default=0, validator=whole(0, "steps"))

    @own_steps
    def iterate(self, model: Model, params: Any, data: Any) -> Generator[State[Any, Any], None, None]:
        """A State after each E-step: E, record, stop?, M. The last one has a status.

        A run that fails in a half step ends with the last sound State, once more, with its status.
        """
        chunks = placed(model, data)
        model.check_params(params)
        ledger = Ledger(model)
        expectation = e_step(model, params, chunks)
        ledger.passes += 1
        lifted = ledger.lift(params, expectation)
        if lifted is not params:
            params, expectation = lifted, e_step(model, lifted, chunks)
            ledger.passes += 1
        now = Pass.of(model, params, expectation)
        state, ahead = self._recorded(model, ledger, "start", now, UNKNOWN, None, self._begun(model))
        yield state
        yield from self._onward(model, ledger, chunks, state, now, ahead)

    @own_steps
    def resume(self, model: Model, state: State[Any, Any], data: Any) -> Generator[State[Any, Any], None, None]:
        """The States that follow one of an earlier run, to the bit but for `seconds`, whatever its status.

        Args:
            model: What is fitted.
            state: Where to go on. It holds all that the next step needs, an acceleration's memory among it.
            data: The same data.
        """
        chunks = placed(model, data)
        ledger, now = Ledger.of(model, state), Pass.of(model, state.params, state.expectation)
        following, _, failure = _m_step(model, now, None)
        if state.memory is None or self._begun(model) is None:
            state = evolve(state, memory=self._begun(model))
        leap, _ = self._leap(model, state.memory, now)
        yield from self._onward(model, ledger, chunks, evolve(state, status=failure), now, (following, leap))

    def _onward(
        self, model: Model, ledger: Ledger, chunks: Any, state: State[Any, Any], now: Pass, ahead: Ahead
    ) -> Generator[State[Any, Any], None, None]:
        """The States after one, which is at the pass `now`."""
        while state.status is None:
            ledger.resume()
            (following, leap), memory = ahead, state.memory
            kind, previous, new = "plain", now.expectation.statistics, None
            if self.repair is not None:
                following, done = self.repair(model, state, following, chunks)
                if done:
                    kind, previous, leap, memory = "repaired", None, None, self._begun(model)
                    ledger.note(done)
            if leap is not None and memory is not None and self.accelerate is not None:
                ledger.passes += 1
                new, gained, memory = self.accelerate.attempt(model, memory, leap, now, state.events, chunks)
                if new is not None:
                    kind, previous = "extrapolated", leap.statistics
            if new is None:
                try:
                    new = Pass.of(model, following, e_step(model, following, chunks))
                except Degenerate as error:
                    yield state.ended(Ending.DEGENERATE, str(error))
                    return
                ledger.passes += 1
                gained, lost = audit(model, now, new, f"step {ledger.index}")
                if lost is not None:
                    yield state.ended(Ending.OBJECTIVE_FELL, lost)
                    return
            now = new
            state, ahead = self._recorded(model, ledger, kind, now, gained, previous, memory)
            yield state

    def _recorded(
        self,
        model: Model,
        ledger: Ledger,
        kind: str,
        at: Pass,
        gained: dict[Half, float],
        previous: Any,
        memory: Memory | None,
    ) -> tuple[State[Any, Any], Ahead]:
        """The State at a pass, and where it leads; `previous` are the statistics that its parameters maximise."""
        statistics = at.expectation.statistics
        residual = None if previous is None else statistics - previous
        following, moved, failure = _m_step(model, at, residual)
        leap = None
        if self.accelerate is not None and memory is not None and residual is not None and failure is None:
            point = Point(ledger.index, at.params, following, statistics, residual)
            memory = self.accelerate.seen(memory, point, moved, kind == "plain")
            leap, memory = self._leap(model, memory, at)
        state = ledger.record(kind, at, gained, moved, memory)
        return evolve(state, status=failure or decide(self.stop, self.max_steps, state)), (following, leap)

    def _begun(self, model: Model) -> Memory | None:
        return self.accelerate.begin(self.plain) if self.accelerate is not None and model.smooth else None

    def _leap(self, model: Model, memory: Memory | None, at: Pass) -> tuple[Leap | None, Memory | None]:
        if self.accelerate is None or memory is None:
            return None, memory
        return self.accelerate.leap(model, memory, at)


def _m_step(model: Model, at: Pass, residual: Any) -> tuple[Any, float, Status | None]:
    """The next parameters, the movement towards them (NaN where there is no residual), and why there are none."""
    try:
        following = model.m_step(at.expectation.statistics, at.params)
        moved = math.nan if residual is None else slope(model, at.params, following, residual)
    except Degenerate as error:
        return at.params, math.nan, Status(Ending.DEGENERATE, str(error))
    return following, moved, None
