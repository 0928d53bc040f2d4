"""The loop of EM, with its books open."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Expectation, LatentModel, Placed, e_half, placed
from latentem.numerics.arithmetic import own_steps
from latentem.run.acceleration import Acceleration, Leap
from latentem.run.audit import Loss, Pass, audit
from latentem.run.ledger import Ledger, Turn
from latentem.run.memory import Memory, Point
from latentem.run.runner import Model, Run, Runner, Stop, a_rule, answered, decide, whole
from latentem.run.step import Ending, State
from latentem.run.stop import remaining_below

Ahead = Callable[[Model, Pass, Any, Ledger], Generator[Any, Any, Turn]]
"""How a run gets from a pass, by the parameters of its M-step, to the next one."""


def _acceleration(instance: Any, attribute: Any, value: Any) -> None:
    if value is not None and not isinstance(value, Acceleration):
        raise TypeError(f"accelerate was given as {value!r}: give an acceleration, such as Anderson(), or None")


def e_and_audit(model: Model, now: Pass, following: Any, ledger: Ledger) -> Generator[Any, Any, Turn]:
    """The E half at the parameters of an M-step. Neither half may have lost."""
    new = Pass.of(model, following, (yield e_half(model, following)))
    ledger.passes += 1
    gained = audit(model, now, new, f"step {ledger.index}")
    return Turn("plain", new, gained, following, now.expectation.statistics)


@final
@frozen
class EM(Runner):
    """Expectation maximisation (Dempster, Laird and Rubin, 1977) as coordinate ascent on Q + H.

    After an M half the model may repair its parameters (`LatentModel.repair`); that is audited with the M half.

    Attributes:
        stop: When to end: a stop rule, or any callable from a State to a Status or None.
        max_steps: The most steps that a run takes.
        accelerate: How to leap ahead of plain steps, such as `Anderson()`; None takes plain steps only. Where the
            posterior jumps (hard, sampled), and where a repair has acted, steps are plain in any case.
        plain: How many plain steps come before the first leap, at least, so that starts can be compared after them.
    """

    stop: Stop = field(factory=remaining_below, validator=a_rule)
    max_steps: int = field(default=10_000, validator=whole(0, "steps"))
    accelerate: Acceleration | None = field(default=None, validator=_acceleration)
    plain: int = field(default=0, validator=whole(0, "steps"))

    def stepwise(self, model: Model, params: Any, chunks: Placed[Any]) -> Run:
        """E, record, stop?, M. A run that fails in a half step ends with the last sound State, once more."""
        model.check_params(params)
        ledger = Ledger(model)
        turn = yield from first_turn(model, params, ledger)
        yield from self.loop(model, chunks, ledger, turn)

    def loop(
        self,
        model: Model,
        chunks: Placed[Any],
        ledger: Ledger,
        turn: Turn,
        state: State[Any, Any] | None = None,
        ahead: Ahead = e_and_audit,
    ) -> Run:
        """The States from a pass on: M, record, stop?, E, audit; or those that follow a State of an earlier run.

        Args:
            model: What is fitted.
            chunks: The data.
            ledger: Where the steps are written.
            turn: The pass at which the run stands.
            state: What was recorded there, where the run is taken up again.
            ahead: How to get to the next pass.
        """
        memory = self._begun(model) if state is None or state.memory is None else state.memory
        while True:
            following, moved, failed = turn.m_half(model)  # M
            leap, learnt = self._ahead(model, memory, turn, moved, None if state or failed else ledger.index)
            if state is None:
                memory = learnt
                state = ledger.record(turn, moved, memory)  # record
                status = failed or decide(self.stop, self.max_steps, state)  # stop?
                state = state if status is None else evolve(state, status=status)
                yield state
            if state.status is not None:
                return
            ledger.resume()
            repaired, done = model.repair(model, turn.now.params, following, turn.now.expectation.statistics, chunks)
            if done:
                leap, memory = None, self._begun(model)
                ledger.note(done)
            try:
                leapt = None
                if leap is not None and memory is not None and self.accelerate is not None:
                    ledger.passes += 1
                    leapt, memory = yield from self.accelerate.attempt(model, memory, leap, turn.now, state.events)
                turn = leapt or (yield from ahead(model, turn.now, repaired, ledger))  # E, audit
            except (Degenerate, Loss) as failure:
                ending = Ending.DEGENERATE if isinstance(failure, Degenerate) else Ending.OBJECTIVE_FELL
                yield state.ended(ending, str(failure))
                return
            turn = evolve(turn, kind="repaired", maximised=None) if done else turn
            state = None

    @property
    def resumable(self) -> bool:
        return True

    def onward(self, model: Model, state: State[Any, Any], chunks: Placed[Any]) -> Run:
        ledger, now = Ledger.of(model, state), Pass.of(model, state.params, state.expectation)
        yield from self.loop(model, chunks, ledger, Turn("start", now), evolve(state, status=None))

    @own_steps
    def resume(self, model: Model, state: State[Any, Any], data: Any) -> Generator[State[Any, Any], None, None]:
        """The States that follow one of an earlier run, to the bit but for `seconds`, whatever its status.

        Args:
            model: What is fitted.
            state: Where to go on. It holds all that the next step needs, an acceleration's memory among it.
            data: The same data.
        """
        chunks = placed(model, data)
        yield from answered(self.onward(model, state, chunks), chunks)

    def _begun(self, model: Model) -> Memory | None:
        return self.accelerate.begin(self.plain) if self.accelerate is not None and model.inference.smooth else None

    def _ahead(
        self, model: Model, memory: Memory | None, turn: Turn, moved: float, index: int | None
    ) -> tuple[Leap | None, Memory | None]:
        """The leap to try, and the memory; it has learnt the pass of this index, if an M-step led there."""
        if self.accelerate is None or memory is None:
            return None, memory
        if index is not None and turn.maximised is not None:
            now = turn.now
            point = Point(index, now.params, now.expectation.statistics, turn.residual, moved, turn.kind == "plain")
            memory = self.accelerate.seen(memory, point)
        return self.accelerate.leap(model, memory, turn.now)


def first_turn(
    model: LatentModel[Any, Any, Any, Any], params: Any, ledger: Ledger
) -> Generator[Any, Expectation[Any], Turn]:
    """The first pass of a run, at parameters that satisfy the model's constraints."""
    expectation = yield e_half(model, params)
    ledger.passes += 1
    lifted = ledger.lift(params, expectation)
    if lifted is not params:
        expectation = yield e_half(model, lifted)
        ledger.passes += 1
    return Turn("start", Pass.of(model, lifted, expectation))
