"""The runner: EM with its books open."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from numbers import Integral
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Event, Half, LatentModel, e_step
from latentem.run.audit import Books, blame, gains, movement, remaining, verdict
from latentem.run.course import Callback, Course
from latentem.run.step import Ending, History, Result, State, Status, Step
from latentem.run.stop import StopRule, remaining_below

Model = LatentModel[Any, Any, Any, Any]
Repair = Callable[[Model, State[Any, Any], Any, Sequence[Any]], tuple[Any, Sequence[Event]]]


def _rule(instance: Any, attribute: Any, value: Any) -> None:
    if not callable(value):
        raise TypeError(f"stop was given as {value!r}: give a stop rule, such as remaining_below(1e-12)")


def _steps(instance: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"{attribute.name} was given as {value!r}: give a whole number of steps, at least 0")


@final
@frozen
class EM:
    """Expectation maximisation (Dempster, Laird and Rubin, 1977) as coordinate ascent on Q + H.

    Attributes:
        stop: When to end: a stop rule, or any callable from a State to a Status or None.
        max_steps: The most M-steps that a run takes.
        repair: Called after each M half with (model, state, params, chunks), it returns parameters and
            events; it is audited with the M half. None repairs nothing.
    """

    stop: StopRule | Callable[[State[Any, Any]], Status | None] = field(factory=remaining_below, validator=_rule)
    max_steps: int = field(default=10_000, validator=_steps)
    repair: Repair | None = None

    def run(self, model: Model, params: Any, data: Any, *, callback: Callback | None = None) -> Result[Any, Any]:
        """Iterate to the end. The result reports the bound of the parameters that it returns.

        Args:
            model: What is fitted.
            params: Where to start.
            data: What `model.chunks` takes.
            callback: Sees each State; the run stops when it returns something true.

        Raises:
            Degenerate: the start itself is no density for these data. Later, it is a status.
        """
        return Course(self.iterate(model, params, data), callback).finish()

    def iterate(self, model: Model, params: Any, data: Any) -> Generator[State[Any, Any], None, None]:
        """A State after each E-step: E, record, stop?, M. The last one has a status.

        A run that fails in a half step ends with the last sound State, once more, with its status.
        """
        chunks = model.chunks(data)
        model.check_params(params)
        clock = time.perf_counter()
        spent, passes = 0.0, 1
        expectation = e_step(model, params, chunks)
        lifted, done = model.lift(params, expectation.statistics)
        if lifted is not params:
            params, expectation, passes = lifted, e_step(model, lifted, chunks), 2
        events = tuple(evolve(event, step=0) for event in done)
        books = Books.of(model, params, expectation)
        steps: list[Step] = []
        kind, previous = "start", None
        gained: dict[Half, float] = {"E": math.nan, "M": math.nan}
        while True:
            following, moved, failure = _m_step(model, params, expectation.statistics, previous)
            q, h = books.expected_log_joint, books.entropy
            spent += time.perf_counter() - clock
            steps.append(
                Step(
                    index=len(steps),
                    kind=kind,
                    bound=q + h,
                    objective=q + model.temperature * h + books.log_prior,
                    expected_log_joint=q,
                    entropy=h,
                    log_prior=books.log_prior,
                    e_gain=gained["E"],
                    m_gain=gained["M"],
                    movement=moved,
                    remaining=remaining([*(step.movement for step in steps[-3:]), moved], model.smooth),
                    passes=passes,
                    seconds=spent,
                )
            )
            events = _noted(events, model.diagnose(params, expectation.statistics), len(steps) - 1)
            state: State[Any, Any] = State(params, expectation, History(steps, len(steps)), events, books.blur)
            state = evolve(state, status=failure or self._decide(state))
            yield state
            if state.status is not None:
                return

            clock = time.perf_counter()  # what happened since the yield is not this run's time
            kind = "plain"
            if self.repair is not None:
                following, done = self.repair(model, state, following, chunks)
                if done:
                    kind = "repaired"
                    events = (*events, *(evolve(event, step=len(steps)) for event in done))
            try:
                new = e_step(model, following, chunks)
            except Degenerate as error:
                yield state.ended(Ending.DEGENERATE, str(error))
                return
            passes += 1
            new_books = Books.of(model, following, new)
            gained = gains(model, following, expectation.statistics, books, new_books)
            allowance = max(books.slack, new_books.slack)
            half = verdict(model.audited, gained, allowance)
            if half is not None:
                who = "posterior" if half == "E" else blame(model, params, following, expectation.statistics)
                yield state.ended(
                    Ending.OBJECTIVE_FELL,
                    f"the {half} half of step {len(steps)} lost {-gained[half]:.3g} nats in {who}, "
                    f"more than rounding explains ({allowance:.2g}): it is no maximiser",
                )
                return
            previous = expectation.statistics if kind == "plain" else None
            params, expectation, books = following, new, new_books

    def _decide(self, state: State[Any, Any]) -> Status | None:
        status = self.stop(state)
        if status is None and state.step.index >= self.max_steps:
            return Status(Ending.MAX_STEPS, f"{self.max_steps} steps were taken and the stop rule was not met")
        return status


def _m_step(model: Model, params: Any, statistics: Any, previous: Any) -> tuple[Any, float, Status | None]:
    """The next parameters, the movement towards them (NaN where there is no pass before), and why there are none."""
    try:
        following = model.m_step(statistics, params)
        moved = math.nan if previous is None else movement(model, params, following, statistics, previous)
    except Degenerate as error:
        return params, math.nan, Status(Ending.DEGENERATE, str(error))
    return following, moved, None


def _noted(before: tuple[Event, ...], found: Sequence[Event], step: int) -> tuple[Event, ...]:
    """What was done so far, and what is found now, with the step since which it has been so."""
    since = {event.subject: event.step for event in before}
    done = [event for event in before if event.clean]
    return (*done, *(evolve(event, step=since.get(event.subject, step)) for event in found))
