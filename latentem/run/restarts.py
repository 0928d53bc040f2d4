"""Several starts, a few steps each; the best go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, final

import attrs
from attrs import frozen

from latentem.core import Degenerate, Event, LatentModel
from latentem.run.course import Callback, Course
from latentem.run.runner import Runner
from latentem.run.step import Ending, Result, Status

FINALISTS = 3
SAME_MODE = 1e-7
"""Nats an observation within which two ends are the same mode."""


@final
@frozen
class Start:
    """Where a run may begin.

    Attributes:
        name: How the parameters are made.
        make: Makes them.
    """

    name: str
    make: Callable[[], Any]


@final
@frozen
class StartReport:
    """What became of one start.

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


def run_all(
    runner: Runner,
    model: LatentModel[Any, Any, Any, Any],
    starts: Sequence[Start],
    data: Any,
    callback: Callback | None = None,
) -> tuple[Result[Any, Any], tuple[StartReport, ...]]:
    """A trial of every start; then the best clean ones, in order, until three have ended clean; three at least.

    Runs are ranked first by whether they are clean (no component at its floor, empty or coincident),
    then by objective: by objective alone, the best of ten is a spike on a single row.

    Raises:
        Degenerate: every start was degenerate itself; the message is the first one's.
        KeyboardInterrupt: it came before the first State of the first start.
    """
    courses: list[Course | Degenerate] = []
    halted: Status | None = None
    for start in starts:
        try:
            course = Course(runner.iterate(model, start.make(), data), callback)
            course.advance(runner.trial if len(starts) > 1 else None)
        except Degenerate as error:
            courses.append(error)
            continue
        except KeyboardInterrupt:
            if not _ranked(courses):
                raise
            halted = Status(Ending.INTERRUPTED, f"by Ctrl-C at start {len(courses) + 1} of {len(starts)}")
            break
        courses.append(course)
        if course.halted:
            halted = _halted(course, len(courses), len(starts))
            break
    finished: Counter[bool] = Counter()
    for course in _ranked(courses) if halted is None else []:
        if finished[True] == FINALISTS or (finished.total() >= FINALISTS and not _is_clean(course)):
            break
        course.advance()
        finished[_is_clean(course)] += 1
        if course.halted:
            halted = _halted(course, courses.index(course) + 1, len(starts))
            break
    ranked = _ranked(courses)
    if not ranked:
        raise next(course for course in courses if isinstance(course, Degenerate))
    reports = tuple(_report(start, course) for start, course in zip(starts, courses, strict=False))
    if halted is not None:
        best = ranked[0]
        return best.result() if best.halted else attrs.evolve(best.result(), status=halted), reports
    return next(course for course in ranked if not course.under_way).result(), reports


def hits(reports: Sequence[StartReport], best: float, observations: float) -> tuple[int, int]:
    """How many of the starts that ran to convergence reached the best mode, and how many did so run."""
    ended = [report for report in reports if report.status.converged]
    reached = [report for report in ended if abs(report.objective - best) <= SAME_MODE * observations]
    return len(reached), len(ended)


def _is_clean(course: Course) -> bool:
    return course.state is not None and course.state.clean


def _ranked(courses: Sequence[Course | Degenerate]) -> list[Course]:
    alive = [course for course in courses if isinstance(course, Course) and course.state is not None]
    return sorted(alive, key=_rank)


def _rank(course: Course) -> tuple[bool, float]:
    assert course.state is not None
    return not _is_clean(course), -course.state.step.objective


def _halted(course: Course, number: int, count: int) -> Status:
    """How a whole fit ended when one of its runs was halted."""
    ending = Ending.INTERRUPTED if course.interrupted else Ending.STOPPED
    by = "Ctrl-C" if course.interrupted else "the callback"
    return Status(ending, f"by {by} at start {number} of {count}; this is the best so far")


def _report(start: Start, course: Course | Degenerate) -> StartReport:
    if isinstance(course, Degenerate):
        return StartReport(start.name, Status(Ending.DEGENERATE, str(course)), float("nan"), 0, (), False)
    result = course.result()
    return StartReport(
        start.name,
        result.status,
        result.objective,
        result.history[-1].index,
        result.events,
        _is_clean(course),
    )
