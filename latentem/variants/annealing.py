"""Deterministic annealing: a schedule of tempered runs, from flat to exact."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Placed, e_half
from latentem.run import EM, Ending, History, Runner, State, Step, remaining_below
from latentem.run.course import next_state
from latentem.run.runner import Model, Run
from latentem.transform import Tempered

_FAILED = (Ending.DEGENERATE, Ending.OBJECTIVE_FELL)


def _betas(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _schedule(instance: Any, attribute: Any, betas: tuple[float, ...]) -> None:
    if not betas or not all(0 < beta < float("inf") for beta in betas) or betas[-1] != 1:
        raise ValueError(f"betas were given as {betas}: give positive, finite numbers, of which the last is 1")


def _below_one(instance: Any, attribute: Any, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{attribute.name} was given as {value!r}: give a number from 0 to below 1")


@final
@frozen
class Annealing(Runner):
    """Deterministic annealing EM (Ueda and Nakano, 1998): `Tempered` runs, each from the end of the last.

    While the posterior is flat the objective has few maxima, so the end depends little on the start.

    Each stage raises an objective of its own, Q + H / beta, and is audited under it; between stages the
    objective is another function, so the first Step of a stage has no gains. Kinds name the stage, as in
    "plain at beta 0.3". Its first Step is an E half alone, and so is counted as a step. The last stage is
    plain EM, whose books the result has. Stop rules and step counts are those of the stage: they see no other.

    Components that a flat posterior has made equal stay equal, for EM cannot part what is the same. So
    each stage after the first begins from the M-step at statistics of which a share, `nudge`, are those at the
    start. What it costs is between stages, where nothing is audited.

    Attributes:
        betas: The exponents of the posterior, stage by stage; the last is 1.
        em: Runs the last stage.
        stage: Runs the others.
        nudge: The share of the start's statistics, from 0 to below 1.
    """

    betas: tuple[float, ...] = field(
        default=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), converter=_betas, validator=_schedule
    )
    em: EM = field(factory=EM)
    stage: EM = field(factory=lambda: EM(stop=remaining_below(1e-6), max_steps=100))
    nudge: float = field(default=0.01, validator=_below_one)

    @property
    def trial(self) -> int | None:
        return None

    def stepwise(self, model: Model, params: Any, chunks: Placed[Any]) -> Run:
        """The States of all stages, in one history. A stage that fails ends the run, with the beta in its status."""
        model.check_params(params)
        at_start = (yield e_half(model, params)).statistics
        history: list[Step] = []
        passes, seconds = 1, 0.0
        for number, beta in enumerate(self.betas, 1):
            last = number == len(self.betas)
            begun = len(history)
            runner, of_stage = (self.em, model) if last else (self.stage, Tempered(model, beta))
            stage = runner.stepwise(of_stage, params, chunks)
            while (state := (yield from next_state(stage))) is not None:
                step, end = state.step, state
                if begun + step.index == len(history):  # a run that fails shows its last State twice
                    kind = f"{step.kind} at beta {beta:g}"
                    spent, taken = seconds + step.seconds, passes + step.passes
                    history.append(evolve(step, index=len(history), kind=kind, passes=taken, seconds=spent))
                shown = evolve(state, history=History(history, len(history)))
                if not last and state.status is not None and state.status.ending in _FAILED:
                    yield shown.ended(state.status.ending, f"at beta {beta:g}, {state.status.sentence}")
                    return
                yield shown if last else evolve(shown, status=None)
            passes, seconds = history[-1].passes, history[-1].seconds
            params = self._nudged(model, end, at_start)

    def _nudged(self, model: Model, state: State[Any, Any], at_start: Any) -> Any:
        if self.nudge == 0:
            return state.params
        statistics = (1 - self.nudge) * state.expectation.statistics + self.nudge * at_start  # (eq: annealing)
        try:
            return model.m_step(statistics, state.params)
        except Degenerate:  # without the nudge the run goes on as well
            return state.params
