"""Which of several runs is the best, and which are so far behind that they may be left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from attrs import frozen

from latentem.core import Event
from latentem.run.audit import ROUNDING
from latentem.run.course import Course
from latentem.run.step import Status

TIMES = 1000.0
"""A finalist is left when it lacks more than this many times what the later half of its steps has gained."""
SAME_MODE = 1e-7
"""Nats an observation within which two ends are the same mode."""


@final
@frozen
class StartReport:
    """The end of one start's run.

    Attributes:
        name: How its parameters were made.
        status: How its run ended.
        objective: At its end, in nats; NaN where the start itself was degenerate.
        steps: How many it took.
        events: What was degenerate at its end.
        clean: Whether nothing was.
    """

    name: str
    status: Status
    objective: float
    steps: int
    events: tuple[Event, ...]
    clean: bool


def hits(reports: Sequence[StartReport], best: float, observations: float) -> tuple[int, int]:
    """How many of the starts that ran to convergence reached the best mode, and how many did so run."""
    ended = [report for report in reports if report.status.converged]
    reached = [report for report in ended if abs(report.objective - best) <= SAME_MODE * observations]
    return len(reached), len(ended)


def is_clean(course: Course) -> bool:
    """Whether nothing is degenerate where a run stands, and no half step has lost."""
    return course.state is not None and course.state.clean


def is_behind(course: Course, best: float) -> bool:
    """Whether a run is far below another and gains next to nothing."""
    assert course.state is not None
    history, observations = course.state.history, course.state.expectation.observations
    gained = history[-1].objective - history[len(history) // 2].objective  # by the later half of its steps
    lacking = best - history[-1].objective
    return lacking > SAME_MODE * observations and TIMES * gained < lacking


def in_order(courses: Sequence[Course]) -> list[Course]:
    """The runs that have begun, clean ones first, then by objective, the highest first."""
    begun = [(not course.state.clean, -course.state.step.objective, course) for course in courses if course.state]
    return [course for *_, course in sorted(begun, key=lambda found: found[:2])]


def first_best(ended: Sequence[Course]) -> Course:
    """The first of those that are as good as the best: which of them is ahead by its last bits is chance."""
    best = in_order(ended)[0]
    assert best.state is not None
    step, observations = best.state.step, best.state.expectation.observations
    # Q and H may each be far larger than their sum, the objective: theirs is its rounding.
    rounding = ROUNDING * (observations + abs(step.expected_log_joint) + abs(step.entropy))
    level = step.objective - min(rounding, SAME_MODE * observations)

    def as_good(course: Course) -> bool:
        state = course.state
        return state is not None and state.clean == is_clean(best) and state.step.objective >= level

    equal = [course for course in ended if as_good(course)] or [best]
    return next((course for course in equal if course.result().converged), equal[0])
