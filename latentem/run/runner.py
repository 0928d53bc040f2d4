"""Ways of running: a run asks for passes over the data, and shows where it stands."""

from __future__ import annotations

import abc
from collections.abc import Callable, Generator
from numbers import Integral
from typing import Any, final

from latentem.core import Cache, LatentModel, Placed, Unavailable, placed
from latentem.numerics.arithmetic import own_steps
from latentem.run.course import Callback, Course
from latentem.run.step import Ending, State, Status

Model = LatentModel[Any, Any, Any, Any]
Stop = Callable[[State[Any, Any]], Status | None]
Task = Callable[[Any, Cache], Any]
Run = Generator[Task | State[Any, Any], Any, None]
"""A run yields tasks for a pass over the data, and is sent their totals; and it yields a State after each E-step."""
TRIAL_STEPS = 20


class Runner(abc.ABC):
    """A way of running: from a model, parameters and data to the last State. A frozen value; it names no model."""

    __slots__ = ()

    @property
    def trial(self) -> int | None:
        """After how many steps runs from several starts can be compared; None: only at their ends."""
        return TRIAL_STEPS

    @property
    def resumable(self) -> bool:
        """Whether a run can go on from any of its States; one that cannot begins again, from its start."""
        return False

    @abc.abstractmethod
    def stepwise(self, model: Model, params: Any, chunks: Placed[Any]) -> Run:
        """A run. What it yields: what it asks of all chunks, and a State a step, the last with a status.

        Where it asks for `e_half(model, params)` it is sent the expectation; several runs then share a pass over data
        that are costly to read. It may also compute on the chunks by itself.
        """

    def onward(self, model: Model, state: State[Any, Any], chunks: Placed[Any]) -> Run:
        """The run that follows one of its States, to the bit but for `seconds`.

        Raises:
            Unavailable: it is not `resumable`.
        """
        raise Unavailable(f"{type(self).__name__} cannot go on from a State: run it again from its start")

    @own_steps
    def iterate(self, model: Model, params: Any, data: Any) -> Generator[State[Any, Any], None, None]:
        """The States of a run, one a step. The last one has a status.

        Args:
            model: What is fitted.
            params: Where to start.
            data: What `model.chunks` takes.
        """
        chunks = placed(model, data)
        yield from answered(self.stepwise(model, params, chunks), chunks)

    @final
    def run(self, model: Model, params: Any, data: Any, *, callback: Callback | None = None) -> State[Any, Any]:
        """Iterate to the end: the last State. Its books are those of the parameters in it.

        Args:
            model: What is fitted.
            params: Where to start.
            data: What `model.chunks` takes.
            callback: Sees each State; the run stops when it returns `STOP`.

        Raises:
            Degenerate: the start itself is no density for these data. Later, it is a status.
        """
        course = Course(self.iterate(model, params, data), callback)
        for _ in course.advance():
            raise AssertionError("iterate yields States alone")
        return course.result()


def answered(run: Generator[Any, Any, None], chunks: Placed[Any]) -> Generator[State[Any, Any], None, None]:
    """The States of a run, each of whose tasks has a pass of its own."""
    try:
        item = next(run)
        while True:
            if isinstance(item, State):
                yield item
                item = next(run)
                continue
            try:
                total = chunks.total(item)
            except BaseException as error:
                item = run.throw(error)
            else:
                item = run.send(total)
    except StopIteration:
        return
    finally:
        run.close()


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
