"""Several runs that go through the data together: one pass answers all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any, final

from latentem.core import Cache, Degenerate, Placed

Task = Callable[[Any, Cache], Any]


@final
class Shared(Placed[Any]):
    """The data as one of several runs sees them; what it keeps beside a chunk, no other run sees."""

    __slots__ = ("_number", "_placed", "asking")

    def __init__(self, placed: Placed[Any], number: int) -> None:
        self._placed, self._number = placed, number
        self.asking: _Run | None = None

    def __len__(self) -> int:
        return len(self._placed)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._placed)

    def total(self, task: Task) -> Any:
        if self.asking is not None:
            return self.asking.ask(task)
        return _sound(self._placed.total(partial(_all, {self._number: task})).parts[self._number])

    def each(self, task: Callable[[Any], Any]) -> list[Any]:
        return self._placed.each(task)


def advance(placed: Placed[Any], works: Mapping[int, tuple[Shared, Callable[[], bool]]]) -> dict[int, BaseException]:
    """Take several runs on together; the errors in which some of them end.

    One of them computes at a time, in their order, until it asks for a pass or ends; then one pass answers all that
    have asked, each with the bits that it would have alone. All end when a work gives True, and at Ctrl-C, of
    which the first that waits is told.

    Args:
        placed: The data.
        works: By number, what a run sees of the data, and what it does with them.
    """
    runs = {number: _Run(shared, work) for number, (shared, work) in works.items()}
    try:
        _drive(placed, runs)
    finally:
        for run in runs.values():
            run.leave()
    return {number: run.error for number, run in runs.items() if run.error is not None}


def _drive(placed: Placed[Any], runs: Mapping[int, _Run]) -> None:
    while True:
        try:
            for run in runs.values():
                run.go_on()
                if run.stops:
                    return
            tasks = {number: run.task for number, run in runs.items() if run.task is not None}
            if not tasks:
                return
            parts = placed.total(partial(_all, tasks)).parts
            for number, part in parts.items():
                runs[number].answer = partial(_sound, part)
        except KeyboardInterrupt:
            for run in runs.values():
                run.wait()
            first = next((run for run in runs.values() if run.task is not None), None)
            if first is None:
                raise
            first.answer = _interrupt
            first.go_on()
            return


@final
class _Run:
    """A run in a thread of its own, which computes only while the driver waits for it.

    Attributes:
        task: What it has asked for; None when it has not begun, or has ended.
        answer: Gives what it asked for, or raises.
        stops: Whether its work says that all should end.
        error: In which it ended.
    """

    def __init__(self, shared: Shared, work: Callable[[], bool]) -> None:
        self._shared, self._work = shared, work
        self._thread = threading.Thread(target=copy_context().run, args=(self._live,), daemon=True)
        self._resting, self._going = threading.Event(), threading.Event()
        self._resting.set()
        self.task: Task | None = None
        self.answer: Callable[[], Any] = _leave
        self.stops = False
        self.error: BaseException | None = None

    def go_on(self) -> None:
        """Let it compute until it asks or ends."""
        if self._thread.ident is None:
            self._resting.clear()
            try:
                self._thread.start()
            except BaseException:
                self._resting.set()  # it will never say so itself
                raise
        elif self.task is not None:
            self._resting.clear()
            self.task = None
            self._going.set()
        self.wait()

    def wait(self) -> None:
        """Until it rests."""
        self._resting.wait()

    def leave(self) -> None:
        """End it where it is."""
        self.wait()
        if self.task is not None:
            self.answer = _leave
            self.go_on()
        self._shared.asking = None

    def ask(self, task: Task) -> Any:
        """In its own thread: what the next pass gives for this task."""
        self.task = task
        self._resting.set()
        self._going.wait()
        self._going.clear()
        answer, self.answer = self.answer, _leave
        return answer()

    def _live(self) -> None:
        self._shared.asking = self
        try:
            self.stops = self._work()
        except _Left:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self._shared.asking = None
            self._resting.set()


@final
class _Left(BaseException):
    """A run is ended from outside."""


def _leave() -> Any:
    raise _Left


def _interrupt() -> Any:
    raise KeyboardInterrupt


@final
class Several:
    """What several tasks give for some chunks, by the number of the run; a run that fails there has its first error."""

    __slots__ = ("parts",)

    def __init__(self, parts: dict[int, Any]) -> None:
        self.parts = parts

    def __add__(self, other: Several) -> Several:
        return Several({number: _sum(part, other.parts[number]) for number, part in self.parts.items()})


def _sum(one: Any, other: Any) -> Any:
    failed = next((value for value in (one, other) if isinstance(value, Degenerate)), None)
    return one + other if failed is None else failed


def _sound(part: Any) -> Any:
    if isinstance(part, Degenerate):
        raise part
    return part


def _all(tasks: Mapping[int, Task], chunk: Any, cache: Cache) -> Any:
    """Every task on a chunk, with a cache of its own each; those of runs that do not go on are dropped."""
    for number in [number for number in cache if number not in map(str, tasks)]:
        del cache[number]
    return Several({number: _tried(task, chunk, cache.setdefault(str(number), {})) for number, task in tasks.items()})


def _tried(task: Task, chunk: Any, cache: Cache) -> Any:
    try:
        return task(chunk, cache)
    except Degenerate as error:
        return error.with_traceback(None)
