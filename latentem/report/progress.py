"""Progress of work under way: who looks on while runs go, and now and then shows how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self, final

from latentem.report.displays import Display, display
from latentem.report.reading import Reading, seconds_left
from latentem.run import State

_SHARE = 100
"""Drawing takes at most one part in so many of the time."""


@final
class Progress:
    """Shows how far runs are: in a terminal or a notebook by rich, else by lines on the standard error stream.

    As a context manager it begins and ends the display. In it, it is a callback of a runner: called with each State it
    does next to nothing, unless it is time to draw. A stream that cannot be written ends the display, not the work.
    """

    def __init__(
        self,
        title: str,
        *,
        rows: float | None = None,
        starts: int = 1,
        trial: int | None = None,
        runner: Any = None,
        on: Display | None = None,
    ) -> None:
        """Progress of one piece of work.

        Args:
            title: What it is.
            rows: How many rows a pass sees; None: how much the data count.
            starts: How many runs there may be.
            trial: After how many steps runs from several starts are compared, or None.
            runner: Who runs: its stop rule and its `max_steps` say how far it is to the end.
            on: Where it is shown; by default the best that there is.
        """
        self._title, self._rows, self._starts, self._trial = title, rows, starts, trial
        self._aim: float | None = getattr(getattr(runner, "stop", None), "aim", None)
        self._max_steps: int | None = getattr(runner, "max_steps", None)
        self._display = on
        self._last: dict[int, State[Any, Any]] = {}
        self._before: dict[int, int] = {}
        self._now = 0
        self._end: State[Any, Any] | None = None

    def __enter__(self) -> Self:
        if self._display is None:
            self._display = display()
        self._pause, self._begun = self._display.pause, time.monotonic()
        self._due = self._begun + self._pause
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

    def ended(self, state: State[Any, Any]) -> None:
        """The work has come to this State, perhaps that of an earlier run; it is shown at the end."""
        self._end = state

    def __exit__(self, *error: object) -> None:
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

    def _draw(self) -> None:
        begun = time.monotonic()
        outcome = None if self._end is None else str(self._end.status)
        self._told(lambda shown: shown.show(self.reading(), outcome))
        if self._display is not None:
            self._pause *= self._display.slower
        ended = time.monotonic()
        self._due = ended + max(self._pause, _SHARE * (ended - begun))

    def _told(self, tell: Callable[[Display], None]) -> None:
        """Show something, if there is still somebody who looks."""
        if self._display is not None:
            try:
                tell(self._display)
            except (OSError, ValueError):
                self._display = None
