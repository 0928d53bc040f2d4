"""Stop rules: callables from a State to a Status or None, composed with | and &."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from attrs import field, frozen

from latentem.run.audit import NOISE
from latentem.run.step import Ending, State, Status

Decision = Callable[[State[Any, Any]], Status | None]


@final
@frozen
class StopRule:
    """When a run should end. `a | b` ends it when either says so, `a & b` when both do.

    Attributes:
        name: The call that makes it.
        decide: From a State, the Status to end with, or None to go on.
        aim: Nats an observation below which the estimated remaining gain ends the run, where that is the rule.
    """

    name: str
    decide: Decision = field(repr=False)
    aim: float | None = field(default=None, repr=False, eq=False)  # it is in the name

    def __call__(self, state: State[Any, Any]) -> Status | None:
        return self.decide(state)

    def __or__(self, other: StopRule | Decision) -> StopRule:
        theirs = other.aim if isinstance(other, StopRule) else None
        aim = max((known for known in (self.aim, theirs) if known is not None), default=None)
        return StopRule(f"({self.name} | {_name(other)})", lambda state: self(state) or other(state), aim)

    def __and__(self, other: StopRule | Decision) -> StopRule:
        def both(state: State[Any, Any]) -> Status | None:
            one, two = self(state), other(state)
            if one is None or two is None:
                return None
            ending = one.ending if two.converged else two.ending
            return Status(ending, f"{one.sentence}, and {two.sentence}")

        return StopRule(f"({self.name} & {_name(other)})", both)


def _name(rule: StopRule | Decision) -> str:
    if not callable(rule):
        raise TypeError(f"{rule!r} was given: a stop rule composes with another, or with a function of a State")
    return rule.name if isinstance(rule, StopRule) else getattr(rule, "__name__", repr(rule))


def remaining_below(nats: float = 1e-12, passes: int = 3) -> StopRule:
    """Converged when the estimated remaining gain, per observation, is below `nats`, `passes` steps running.

    It does not depend on n, and a run that creeps does not look converged. At a fixed point, where
    nothing moves at all, it does not wait; where parameters are so ill-conditioned that rounding hides
    smaller movements, it is met when they are hidden.
    """
    _positive("nats", nats)

    def decide(state: State[Any, Any]) -> Status | None:
        observations, step = state.expectation.observations, state.step
        if step.movement == 0:
            return Status(Ending.CONVERGED, "nothing moved between two passes")
        noise = max(state.blur, NOISE * (observations + abs(step.expected_log_joint)))
        if not (abs(step.movement) < noise or step.remaining < nats * observations):
            return None
        recent = state.history[-passes:]
        if len(recent) == passes and all(abs(step.movement) < noise for step in recent):
            why = ", for the parameters are ill-conditioned" if noise == state.blur else ""
            return Status(Ending.CONVERGED, f"what still moves is less than rounding{why}")
        last = [step.remaining for step in recent]
        if len(last) == passes and max(last) < nats * observations:
            return Status(Ending.CONVERGED, f"the estimated remaining gain is below {nats:g} nats an observation")
        return None

    return StopRule(f"remaining_below({nats:g})", decide, nats)


def gain_below(nats: float) -> StopRule:
    """Converged when one whole step gains less than this per observation.

    Most libraries stop so. A slow run creeps: on it this rule ends far from the maximum.
    """
    _positive("nats", nats)

    def decide(state: State[Any, Any]) -> Status | None:
        gain = (state.step.e_gain + state.step.m_gain) / state.expectation.observations
        return Status(Ending.CONVERGED, f"the last step gained {gain:.2g} nats an observation") if gain < nats else None

    return StopRule(f"gain_below({nats:g})", decide)


def movement_below(nats: float) -> StopRule:
    """Converged when the divergence between successive parameters, per observation, is below this."""
    _positive("nats", nats)

    def decide(state: State[Any, Any]) -> Status | None:
        moved = state.step.movement / state.expectation.observations
        return Status(Ending.CONVERGED, f"the movement is {moved:.2g} nats an observation") if moved < nats else None

    return StopRule(f"movement_below({nats:g})", decide)


def assignments_unchanged() -> StopRule:
    """Converged when two passes leave the same statistics: with hard assignment, when no unit changes hands."""

    def decide(state: State[Any, Any]) -> Status | None:
        return Status(Ending.CONVERGED, "no assignment changed") if state.step.movement == 0 else None

    return StopRule("assignments_unchanged()", decide)


def seconds(limit: float) -> StopRule:
    """Stopped, not converged, when a run has taken this long."""
    _positive("limit", limit)

    def decide(state: State[Any, Any]) -> Status | None:
        return Status(Ending.STOPPED, f"{limit:g} seconds are over") if state.step.seconds >= limit else None

    return StopRule(f"seconds({limit:g})", decide)


def _positive(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} was given as {value!r}: give a positive, finite number")
