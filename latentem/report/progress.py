"""Progress of work under way: who looks on while runs go, and now and then shows how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self, final

from latentem.core import watched_passes
from latentem.report.displays import Display, display
from latentem.report.reading import PassUnderWay, Reading, seconds_left
from latentem.run import State

_SHARE = 100
"""Drawing takes at most one part in so many of the time."""
_LONG = 1.0
"""Seconds after which a pass is long, and shown by itself."""


@final
class Progress:
    """Shows how far runs are: in a terminal or a notebook by rich, else by lines on the standard error stream.

    As a context manager it begins and ends the display. In it, it is a callback of a runner: called with each State it
    does next to nothing, unless it is time to draw. Of the passes that engines make meanwhile it sees each chunk, and
    shows how far one is that is long. A stream that cannot be written ends the display, not the work.
    """

    def __init__(
        self,
        title: str,
        *,
        rows: float | None = None,
        starts: int = 1,
        trial: int | None = None,
        runner: Any = None,
        edges: Sequence[int] | None = None,
        on: Display | None = None,
    ) -> None:
        """Progress of one piece of work.

        Args:
            title: What it is.
            rows: How many rows a pass sees; None: how much the data count.
            starts: How many runs there may be.
            trial: After how many steps runs from several starts are compared, or None.
            runner: Who runs: its stop rule and its `max_steps` say how far it is to the end.
            edges: At which rows the chunks of the data begin, and the number of rows at last; None: not known.
            on: Where it is shown; by default the best that there is.
        """
        self._title, self._rows, self._starts, self._trial = title, rows, starts, trial
        self._aim: float | None = getattr(getattr(runner, "stop", None), "aim", None)
        self._max_steps: int | None = getattr(runner, "max_steps", None)
        self._display, self._edges = on, edges
        self._done, self._passes = 0, ExitStack()
        self._last: dict[int, State[Any, Any]] = {}
        self._before: dict[int, int] = {}
        self._now = 0
        self._end: State[Any, Any] | None = None

    def __enter__(self) -> Self:
        if self._display is None:
            self._display = display()
        self._pause, self._begun = self._display.pause, time.monotonic()
        self._due = self._begun + self._pause
        self._since = self._told_at = self._begun
        self._passes.enter_context(watched_passes(self.passing))
        self._told(lambda shown: shown.begin(self._title))
        return self

    def __call__(self, state: State[Any, Any], number: int = 0) -> None:
        """Note a State of the run of this number."""
        if number not in self._last:
            self._before[number] = state.step.passes - 1  # of a run that is taken up again, those of another day
        self._last[number] = state
        self._now = number
        if time.monotonic() >= self._due:
            self._draw()

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Within, something is done before the first pass, and said; the time of that pass begins behind it."""
        self._told(lambda shown: shown.say(self._title, what))
        yield
        self._told_at = time.monotonic()

    def passing(self, done: int, count: int) -> None:
        """Note that so many chunks of a pass are done, and of how many."""
        now = time.monotonic()
        if done <= self._done:  # another pass, which began when the one before was last heard of
            self._since = self._told_at
        self._done, self._told_at = done, now
        if now >= self._due and now - self._since >= _LONG and done < count:
            self._draw((done, count))

    def ended(self, state: State[Any, Any]) -> None:
        """The work has come to this State, perhaps that of an earlier run; it is shown at the end."""
        self._end = state

    def __exit__(self, *error: object) -> None:
        self._passes.close()
        # The work is done: a Ctrl-C that comes here has nothing left to stop.
        with suppress(KeyboardInterrupt):
            if self._last:
                self._draw()
            if self._display is not None:
                with suppress(OSError, ValueError):
                    self._display.close()

    def reading(self) -> Reading:
        """How far the work is, after the first State."""
        state, seconds = self._end or self._last[self._now], time.monotonic() - self._begun
        index, begun = state.step.index, len(self._last)
        trial = self._starts > 1 and self._trial is not None and index <= self._trial and self._end is None
        passes = sum(last.step.passes - self._before[number] for number, last in self._last.items())
        rows = state.expectation.observations if self._rows is None else self._rows
        spent = seconds if trial else state.step.seconds
        if trial:
            left: float | None = (self._starts - begun) * seconds / begun
        else:
            left = None if state.status else seconds_left(state, self._aim, self._max_steps)
        return Reading(
            title=self._title,
            starts=self._starts,
            begun=begun,
            start=self._now + 1,
            trial=trial,
            step=index,
            passes=passes,
            bound=state.bound,
            remaining=state.step.remaining,
            rows_a_second=passes * rows / max(seconds, 1e-9),
            seconds=seconds,
            left=left,
            share=None if left is None or left + spent <= 0 else spent / (spent + left),
        )

    def _draw(self, passing: tuple[int, int] | None = None) -> None:
        begun = time.monotonic()
        outcome = None if self._end is None else str(self._end.status)
        if passing is None:
            self._told(lambda shown: shown.show(self.reading(), outcome))
        else:
            reading, under_way = self.reading() if self._last else None, self._pass_under_way(*passing, begun)
            self._told(lambda shown: shown.show_pass(self._title, under_way, reading))
        if self._display is not None:
            self._pause *= self._display.slower
        ended = time.monotonic()
        self._due = ended + max(self._pause, _SHARE * (ended - begun))

    def _pass_under_way(self, done: int, count: int, now: float) -> PassUnderWay:
        known = self._edges is not None and len(self._edges) == count + 1
        rows, total = (self._edges[done], self._edges[-1]) if self._edges is not None and known else (None, None)
        return PassUnderWay(done, count, rows, total, now - self._since)

    def _told(self, tell: Callable[[Display], None]) -> None:
        """Show something, if there is still somebody who looks."""
        if self._display is not None:
            try:
                tell(self._display)
            except (OSError, ValueError):
                self._display = None
