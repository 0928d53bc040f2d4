"""A run under way: it can be taken some steps further, and be interrupted without loss."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from typing import Any, final

from latentem.core import Degenerate
from latentem.run.step import Ending, Result, State


@final
class Signal(enum.Enum):
    """What a callback returns to end a fit. All else means nothing: many functions return what nobody looks at."""

    STOP = "stop"


STOP = Signal.STOP
Callback = Callable[[State[Any, Any]], Any]


@final
class Course:
    """Folds over the States of a run, and keeps the last one.

    Attributes:
        state: The last State, or None before the first.
        standing: What the runner gave last: that State before anyone halted the run, or why there is none.
        halted: Whether someone stopped it from outside: the callback, or Ctrl-C.
        interrupted: Whether it was Ctrl-C.
    """

    def __init__(
        self,
        states: Generator[State[Any, Any], None, None],
        callback: Callback | None = None,
        standing: State[Any, Any] | Degenerate | None = None,
    ) -> None:
        """A run that is about to begin, or whose earlier part led to `standing`."""
        self._states = states
        self._callback = callback
        self.state = standing if isinstance(standing, State) else None
        self.standing = standing
        self.halted = self.interrupted = False

    @property
    def under_way(self) -> bool:
        """Whether there are steps left to take."""
        return not isinstance(self.standing, Degenerate) and (self.state is None or self.state.status is None)

    def advance(self, until: int | None = None) -> None:
        """Take steps to the end, or to the step of this index.

        Raises:
            Degenerate: the start itself is no density for these data.
            KeyboardInterrupt: it came before the first State.
        """
        try:
            while self.under_way and (until is None or self.state is None or self.state.step.index < until):
                self.state = self.standing = next(self._states)
                if self._callback is not None and self._callback(self.state) is STOP:
                    self._halt(self.state, Ending.STOPPED, f"by the callback at step {self.state.step.index}")
        except KeyboardInterrupt:
            if self.state is None:
                raise
            self._halt(self.state, Ending.INTERRUPTED, f"by Ctrl-C after step {self.state.step.index}")
        except Degenerate as error:
            self.standing = error
            raise

    def finish(self) -> Result[Any, Any]:
        """Take all the steps that are left."""
        self.advance()
        return self.result()

    def result(self, left: str = "for others were ahead") -> Result[Any, Any]:
        """The run as it stands. One that was left under way says so, and why it was `left`."""
        state = self.state
        if state is None:
            raise ValueError("a run that has not begun has no result")
        if state.status is None:
            state = state.ended(Ending.STOPPED, f"left at step {state.step.index}, {left}")
        assert state.status is not None
        return Result(state.params, state.expectation, state.history, state.events, state.status)

    def _halt(self, state: State[Any, Any], ending: Ending, sentence: str) -> None:
        self.halted, self.interrupted = True, ending is Ending.INTERRUPTED
        if state.status is None:
            self.state = state.ended(ending, sentence)
        self._states.close()

    @property
    def cut_short(self) -> bool:
        """Whether it was halted on its way, and not in the State in which it ended by itself."""
        return self.halted and self.standing is not self.state
