"""Several starts, a few steps each; the best go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, final

import attrs
from attrs import frozen

from latentem.core import Degenerate, Placed, placed
from latentem.run.checkpoint import Checkpoint, Standing
from latentem.run.course import BY, Callback, Course, Watch
from latentem.run.ranking import StartReport, first_best, in_order, is_behind, is_clean
from latentem.run.runner import Model, Run, Runner, answered
from latentem.run.step import Ending, State, Status
from latentem.run.together import advance

FINALISTS = 3
"""Runs that are taken to a clean end: starts that look best after their trials need not be."""
EARLIEST = 100
"""Steps after which a finalist may be left behind; it is asked again whenever they have doubled."""


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
class Outcome:
    """The end of several runs.

    Attributes:
        best: Where the best of them ended.
        first: The parameters at which that one began.
        reports: The end of each.
    """

    best: State[Any, Any]
    first: Any
    reports: tuple[StartReport, ...]


def run_all(
    runner: Runner,
    model: Model,
    starts: Sequence[Start],
    data: Any,
    callback: Callback | None = None,
    checkpoint: Checkpoint | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """A trial of every start; then the best clean ones, in order, until three have ended clean; three at least.

    One of the three that creeps far below another that has ended clean is left: after 100 steps, 200, 400, ..., if the
    gain of the later half of them would have to come a thousand times more to reach it.

    Runs are ranked first by whether they are clean (no component at its floor, empty or coincident),
    then by objective: by objective alone, the best of ten is a spike on a single row.

    The callback sees each State, and all runs stop when it returns `STOP`; so does who watches, and stops nothing. The
    checkpoint is where to go on from, if it knows, and is kept up to date.

    Raises:
        Degenerate: every start was degenerate itself; the message is the first one's.
        KeyboardInterrupt: it came before the first State of the first start.
    """
    runs = _Runs(runner, model, starts, data, callback, checkpoint, watch)
    try:
        halted = runs.advance(runs.courses, runner.trial if len(starts) > 1 else None) or runs.finals()
        runs.save()
    except KeyboardInterrupt:  # between two steps
        if not in_order(runs.courses):
            raise
        halted = Status(Ending.INTERRUPTED, "by Ctrl-C; this is the best so far")
    ranked = in_order(runs.courses)
    if not ranked:
        raise next(course.standing for course in runs.courses if isinstance(course.standing, Degenerate))
    begun = [(start, run) for start, run in zip(starts, runs.courses, strict=True) if run.standing is not None]
    left = "for others were ahead" if halted is None else "where the whole fit was ended"
    reports = tuple(_report(start, course, left) for start, course in begun)
    if halted is not None:
        best = ranked[0]
        as_it_ended = best.cut_short or len(starts) == 1  # its own sentence says more; a single run may have ended
        state = best.result() if as_it_ended else attrs.evolve(best.result(), status=halted)
    else:
        best = first_best([course for course in runs.courses if course in ranked and not course.under_way])
        state = best.result()
    first = starts[runs.courses.index(best)].make() if best.first is None else best.first
    return Outcome(state, first, reports)


@final
class _Runs:
    """The runs of all starts, and the checkpoint that keeps up with them.

    Attributes:
        courses: One for each start.
    """

    def __init__(
        self,
        runner: Runner,
        model: Model,
        starts: Sequence[Start],
        data: Any,
        callback: Callback | None,
        checkpoint: Checkpoint | None,
        watch: Watch | None,
    ) -> None:
        stood = (None if checkpoint is None else checkpoint.read()) or Standing((None,) * len(starts))
        self._chunks = placed(model, data)
        self._together = self._chunks.costly and len(starts) > 1
        self._checkpoint, self._callback, self._watch = checkpoint, callback, watch
        self._order, self._visited = stood.order, stood.visited
        self._left = set(stood.left if runner.resumable else ())
        self._comparable = runner.trial is not None
        self.courses = []
        for number, (start, standing) in enumerate(zip(starts, stood.runs, strict=True)):
            if isinstance(standing, State) and standing.status is None and not runner.resumable:
                standing = None  # such a run is run again, from its start
            run = _run(runner, model, start, self._chunks, standing)
            self.courses.append(Course(run, partial(self._told, number), standing))

    def finals(self) -> Status | None:
        """Take the best to their ends; how all was halted, if it was."""
        if self._order is None:
            self._order = tuple(self.courses.index(course) for course in in_order(self.courses))
        first = [self.courses[number] for number in self._order[:FINALISTS]]
        self._visited = max(self._visited, len(first))
        halted = self._finish(first)
        finished = Counter(map(is_clean, first))
        for place, number in enumerate(self._order[FINALISTS:], FINALISTS):
            course = self.courses[number]
            if halted is not None:
                break
            # Those that a checkpoint says were visited are taken further in any case, as they were then.
            if place >= self._visited and (finished[True] == FINALISTS or not is_clean(course)):
                break
            self._visited = max(self._visited, place + 1)
            halted = self._finish([course])
            finished[is_clean(course)] += 1
        return halted

    def _finish(self, courses: Sequence[Course]) -> Status | None:
        """Take runs to their ends, but for those that fall behind; how all was halted, if it was."""
        until = EARLIEST if self._comparable else None  # runs that are compared at their ends cannot fall behind
        while going := [c for c in courses if c.under_way and self.courses.index(c) not in self._left]:
            halted = self.advance(going, until)
            if halted is not None:
                return halted
            if until is not None:
                self._leave(until)
                until *= 2
        return None

    def _leave(self, until: int) -> None:
        """Leave the runs that are behind at the step of this index. What a checkpoint is beyond was settled before."""
        assert self._order is not None
        visited = [self.courses[number] for number in self._order[: self._visited]]
        known = [(course, course.state) for course in visited if course.state is not None]
        # Only runs that have ended count: one that is under way may yet turn out to be a spike.
        ended = [state.step.objective for course, state in known if state.clean and not course.under_way]
        if not ended or any(state.step.index > until for _, state in known):
            return
        behind = [course for course in visited if course.under_way and is_behind(course, max(ended))]
        self._left |= set(map(self.courses.index, behind))
        self.save()

    def advance(self, courses: Sequence[Course], until: int | None) -> Status | None:
        """Take runs to the step of this index, or to their ends; how all was halted, if it was."""
        for course, error in self._taken_on(courses, until):
            where = f"at start {self.courses.index(course) + 1} of {len(self.courses)}"
            if isinstance(error, KeyboardInterrupt) and in_order(self.courses):
                return Status(Ending.INTERRUPTED, f"by Ctrl-C {where}")
            if error is not None and not isinstance(error, Degenerate):
                raise error
            if course.halted is not None:
                return Status(course.halted, f"by {BY[course.halted]} {where}; this is the best so far")
        return None

    def _taken_on(self, courses: Sequence[Course], until: int | None) -> Iterator[tuple[Course, BaseException | None]]:
        """Each run, with the error that it ended in: one after the other, or together where passes are costly."""
        if not self._together:
            yield from ((course, self._tried(course, until)) for course in courses)
            return
        tasks = {self.courses.index(course): course.advance(until) for course in courses}
        errors = advance(self._chunks, tasks, lambda: any(course.halted is not None for course in courses))
        yield from ((self.courses[i], errors.get(i)) for i in tasks)

    def _tried(self, course: Course, until: int | None) -> BaseException | None:
        try:
            for _ in answered(course.advance(until), self._chunks):
                pass
        except (Degenerate, KeyboardInterrupt) as error:
            return error
        return None

    def save(self) -> None:
        """Bring the checkpoint up to date."""
        if self._checkpoint is not None:
            standing = tuple(course.standing for course in self.courses)
            self._checkpoint.write(Standing(standing, self._order, self._visited, tuple(sorted(self._left))))

    def _told(self, number: int, state: State[Any, Any]) -> Any:
        if self._watch is not None:
            self._watch(state, number)
        if self._checkpoint is not None and (state.status is not None or self._checkpoint.due):
            self.save()
        return self._callback is not None and self._callback(state)


def _run(runner: Runner, model: Model, start: Start, chunks: Placed[Any], standing: Any) -> Run:
    """A run from its start, or from where it stood."""
    if isinstance(standing, State) and runner.resumable:
        yield from runner.onward(model, standing, chunks)
    else:
        yield from runner.stepwise(model, start.make(), chunks)


def _report(start: Start, course: Course, left: str) -> StartReport:
    if isinstance(course.standing, Degenerate):
        return StartReport(start.name, Status(Ending.DEGENERATE, str(course.standing)), float("nan"), 0, (), False)
    end = course.result(left)
    assert end.status is not None
    return StartReport(start.name, end.status, end.objective, end.step.index, end.events, is_clean(course))
