"""What every way of running shares."""

from __future__ import annotations

import abc
from collections.abc import Callable, Generator
from numbers import Integral
from typing import Any, final

from latentem.core import LatentModel
from latentem.run.course import Callback, Course
from latentem.run.step import Ending, Result, State, Status

Model = LatentModel[Any, Any, Any, Any]
Stop = Callable[[State[Any, Any]], Status | None]
TRIAL_STEPS = 20


class Runner(abc.ABC):
    """A way of running: from a model, parameters and data to a Result. A frozen value; it names no model."""

    __slots__ = ()

    @property
    def trial(self) -> int | None:
        """After how many steps runs from several starts can be compared; None: only at their ends."""
        return TRIAL_STEPS

    @abc.abstractmethod
    def iterate(self, model: Model, params: Any, data: Any) -> Generator[State[Any, Any], None, None]:
        """The States of a run, one a step. The last one has a status."""

    @final
    def run(self, model: Model, params: Any, data: Any, *, callback: Callback | None = None) -> Result[Any, Any]:
        """Iterate to the end. The result reports the bound of the parameters that it returns.

        Args:
            model: What is fitted.
            params: Where to start.
            data: What `model.chunks` takes.
            callback: Sees each State; the run stops when it returns `STOP`.

        Raises:
            Degenerate: the start itself is no density for these data. Later, it is a status.
        """
        return Course(self.iterate(model, params, data), callback).finish()


def decide(stop: Stop, max_steps: int, state: State[Any, Any]) -> Status | None:
    """Why a run should end at this State, or None."""
    status = stop(state)
    if status is None and state.step.index >= max_steps:
        return Status(Ending.MAX_STEPS, f"{max_steps} steps were taken and the stop rule was not met")
    return status


def a_rule(instance: Any, attribute: Any, value: Any) -> None:
    """Validates a stop rule."""
    if not callable(value):
        raise TypeError(f"{attribute.name} was given as {value!r}: give a stop rule, such as remaining_below(1e-12)")


def whole(lowest: int, of: str = "") -> Callable[[Any, Any, Any], None]:
    """A validator for a whole number (`of` something), at least `lowest`."""
    number = f"a whole number of {of}" if of else "a whole number"

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < lowest:
            raise ValueError(f"{attribute.name} was given as {value!r}: give {number}, at least {lowest}")

    return check
