"""The runner: EM with its books open."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from numbers import Integral
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Event, Expectation, Half, LatentModel, e_step
from latentem.run.audit import blame, e_gain, m_gain, magnitude, movement, remaining, slack, verdict
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
        began = time.perf_counter()
        expectation = e_step(model, params, chunks)
        passes = 1
        given, (params, done) = params, model.lift(params, expectation.statistics)
        if params != given:
            expectation = e_step(model, params, chunks)
            passes += 1
        events = tuple(evolve(event, step=0) for event in done)
        steps: list[Step] = []
        kind, previous = "start", None
        gains: dict[Half, float] = {"E": math.nan, "M": math.nan}
        while True:
            following, failure = _m_step(model, expectation.statistics, params)
            moved = math.nan
            if previous is not None and failure is None:
                moved = movement(model, params, following, expectation.statistics, previous)
            q, h, prior = model.log_joint(params, expectation.statistics), expectation.entropy, model.log_prior(params)
            steps.append(
                Step(
                    index=len(steps),
                    kind=kind,
                    bound=q + h,
                    objective=q + model.temperature * h + prior,
                    expected_log_joint=q,
                    entropy=h,
                    log_prior=prior,
                    e_gain=gains["E"],
                    m_gain=gains["M"],
                    movement=moved,
                    remaining=remaining([*(step.movement for step in steps[-3:]), moved], model.smooth),
                    passes=passes,
                    seconds=time.perf_counter() - began,
                )
            )
            events = _noted(events, model.diagnose(params, expectation.statistics), len(steps) - 1)
            blur = model.rounding(params) * magnitude(model, params, expectation)
            state: State[Any, Any] = State(params, expectation, History(steps, len(steps)), events, blur)
            state = evolve(state, status=failure or self._decide(state))
            yield state
            if state.status is not None:
                return

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
            gains = {
                "E": e_gain(model, following, expectation, new),
                "M": m_gain(model, params, following, expectation.statistics),
            }
            lost = _lost(model, gains, state, following, new)
            if lost is not None:
                yield state.ended(Ending.OBJECTIVE_FELL, lost)
                return
            previous = expectation.statistics if kind == "plain" else None
            params, expectation = following, new

    def _decide(self, state: State[Any, Any]) -> Status | None:
        status = self.stop(state)
        if status is None and state.step.index >= self.max_steps:
            return Status(Ending.MAX_STEPS, f"{self.max_steps} steps were taken and the stop rule was not met")
        return status


def _m_step(model: Model, statistics: Any, params: Any) -> tuple[Any, Status | None]:
    try:
        return model.m_step(statistics, params), None
    except Degenerate as error:
        return params, Status(Ending.DEGENERATE, str(error))


def _lost(
    model: Model, gains: dict[Half, float], state: State[Any, Any], params: Any, new: Expectation[Any]
) -> str | None:
    """What lost, in words, or None."""
    allowance = max(slack(model, state.params, state.expectation), slack(model, params, new))
    half = verdict(model.audited, gains, allowance)
    if half is None:
        return None
    who = "posterior" if half == "E" else blame(model, state.params, params, state.expectation.statistics)
    return (
        f"the {half} half of step {state.step.index + 1} lost {-gains[half]:.3g} nats in {who}, "
        f"more than rounding explains ({allowance:.2g}): it is no maximiser"
    )


def _noted(before: tuple[Event, ...], found: Sequence[Event], step: int) -> tuple[Event, ...]:
    """What was done so far, and what is found now, with the step since which it has been so."""
    since = {event.subject: event.step for event in before}
    done = [event for event in before if event.clean]
    return (*done, *(evolve(event, step=since.get(event.subject, step)) for event in found))
