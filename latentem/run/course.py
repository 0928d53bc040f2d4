"""A run under way: it can be taken some steps further, and be interrupted without loss."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from typing import Any, final

from latentem.core import Degenerate
from latentem.run.step import Ending, State


@final
class Signal(enum.Enum):
    """The value with which a callback ends a fit. Any other means nothing: many functions return one by chance."""

    STOP = "stop"


STOP = Signal.STOP
BY = {Ending.STOPPED: "the callback", Ending.INTERRUPTED: "Ctrl-C"}
"""Who it is that stops a run from outside, for the two ways in which it can be."""
Callback = Callable[[State[Any, Any]], Any]
Watch = Callable[[State[Any, Any], int], None]
"""Sees each State of several runs, with the number of the run."""


def next_state(run: Generator[Any, Any, None]) -> Generator[Any, Any, State[Any, Any] | None]:
    """Take a run to its next State, or to its end (None); the tasks that it yields on the way are passed on."""
    try:
        item = next(run)
        while not isinstance(item, State):
            try:
                answer = yield item
            except BaseException as error:
                item = run.throw(error)
            else:
                item = run.send(answer)
    except StopIteration:
        return None
    return item


@final
class Course:
    """Takes a run from State to State, and keeps the last one.

    Attributes:
        state: The last State, or None before the first.
        standing: What the run gave last: that State before anyone halted the run, or why there is none.
        halted: The way in which it was stopped from outside, by one of `BY`; None if it was not.
        first: The parameters of its first State; None where that was not seen.
    """

    def __init__(
        self,
        run: Generator[Any, Any, None],
        callback: Callback | None = None,
        standing: State[Any, Any] | Degenerate | None = None,
    ) -> None:
        """A run that is about to begin, or whose earlier part led to `standing`."""
        self._run, self._callback = run, callback
        self.state = standing if isinstance(standing, State) else None
        self.standing = standing
        self.halted: Ending | None = None
        self.first: Any = None

    @property
    def under_way(self) -> bool:
        """Whether there are steps left to take."""
        return not isinstance(self.standing, Degenerate) and (self.state is None or self.state.status is None)

    def advance(self, until: int | None = None) -> Generator[Any, Any, None]:
        """Take steps to the end, or to the step of this index. What it yields are tasks of a pass, to be answered.

        Raises:
            Degenerate: the start itself is no density for these data.
            KeyboardInterrupt: it came before the first State.
        """
        try:
            while self.under_way and (until is None or self.state is None or self.state.step.index < until):
                state = yield from next_state(self._run)
                if state is None:
                    raise RuntimeError("a run ended without a status: its last State must have one")
                if self.state is None:
                    self.first = state.params
                self.state = self.standing = state
                if self._callback is not None and self._callback(state) is STOP:
                    self._halt(state, Ending.STOPPED, f"at step {state.step.index}")
        except KeyboardInterrupt:
            if self.state is None:
                raise
            self._halt(self.state, Ending.INTERRUPTED, f"after step {self.state.step.index}")
        except Degenerate as error:
            self.standing = error
            raise

    def result(self, left: str = "for others were ahead") -> State[Any, Any]:
        """The run as it stands. One that was left under way says so, and why it was `left`."""
        state = self.state
        if state is None:
            raise ValueError("a run that has not begun has no result")
        return state if state.status else state.ended(Ending.STOPPED, f"left at step {state.step.index}, {left}")

    def _halt(self, state: State[Any, Any], ending: Ending, where: str) -> None:
        self.halted = ending
        if state.status is None:
            self.state = state.ended(ending, f"by {BY[ending]} {where}")
        self._run.close()

    @property
    def cut_short(self) -> bool:
        """Whether it was halted on its way, and not in the State in which it ended by itself."""
        return self.halted is not None and self.standing is not self.state
