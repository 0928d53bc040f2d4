"""The runner: EM with its books open."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Event, e_step, placed
from latentem.run.audit import Pass, audit, movement
from latentem.run.ledger import UNKNOWN, Ledger
from latentem.run.runner import Model, Runner, Stop, a_rule, decide, whole
from latentem.run.step import Ending, State, Status
from latentem.run.stop import remaining_below

Repair = Callable[[Model, State[Any, Any], Any, Sequence[Any]], tuple[Any, Sequence[Event]]]


@final
@frozen
class EM(Runner):
    """Expectation maximisation (Dempster, Laird and Rubin, 1977) as coordinate ascent on Q + H.

    Attributes:
        stop: When to end: a stop rule, or any callable from a State to a Status or None.
        max_steps: The most M-steps that a run takes.
        repair: Called after each M half with (model, state, params, chunks), it returns parameters and
            events; it is audited with the M half. None repairs nothing.
    """

    stop: Stop = field(factory=remaining_below, validator=a_rule)
    max_steps: int = field(default=10_000, validator=whole(0, "steps"))
    repair: Repair | None = None

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
        kind, gained, previous = "start", UNKNOWN, None
        while True:
            following, moved, failure = _m_step(model, now, previous)
            state = ledger.record(kind, now, gained, moved)
            state = evolve(state, status=failure or decide(self.stop, self.max_steps, state))
            yield state
            if state.status is not None:
                return

            ledger.resume()
            kind = "plain"
            if self.repair is not None:
                following, done = self.repair(model, state, following, chunks)
                if done:
                    kind = "repaired"
                    ledger.note(done)
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
            previous = now.expectation.statistics if kind == "plain" else None
            now = new


def _m_step(model: Model, at: Pass, previous: Any) -> tuple[Any, float, Status | None]:
    """The next parameters, the movement towards them (NaN where there is no pass before), and why there are none."""
    statistics = at.expectation.statistics
    try:
        following = model.m_step(statistics, at.params)
        moved = math.nan if previous is None else movement(model, at.params, following, statistics, previous)
    except Degenerate as error:
        return at.params, math.nan, Status(Ending.DEGENERATE, str(error))
    return following, moved, None
