"""Several runs that go through the data together: one pass answers all of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, final

from latentem.core import Cache, Degenerate, Placed

Task = Callable[[Any, Cache], Any]


def advance(
    placed: Placed[Any], runs: Mapping[int, Generator[Task, Any, None]], ended: Callable[[], bool] = lambda: False
) -> dict[int, BaseException]:
    """Take several runs on together, to where they yield no more; the errors in which some of them end.

    One of them computes at a time, in their order, until it asks for a pass or ends; then one pass answers all that
    have asked, each with the bits that it would have alone. At Ctrl-C the first that waits is told, and all end; also
    where `ended`, which is asked after each run, says so.
    """
    errors: dict[int, BaseException] = {}
    going: dict[int, Callable[[], Task]] = {number: partial(next, run) for number, run in runs.items()}
    try:
        while going:
            tasks: dict[int, Task] = {}
            for number, go_on in going.items():
                try:
                    tasks[number] = go_on()
                except StopIteration:
                    if ended():
                        return errors
                except BaseException as error:
                    errors[number] = error
            if not tasks:
                return errors
            try:
                parts = placed.total(partial(_all, tasks)).parts
            except KeyboardInterrupt as error:
                first = min(tasks, key=list(runs).index)
                try:
                    runs[first].throw(error)
                except StopIteration:
                    pass
                except BaseException as its_own:
                    errors[first] = its_own
                return errors
            going = {
                number: partial(runs[number].throw if isinstance(part, Degenerate) else runs[number].send, part)
                for number, part in parts.items()
            }
        return errors
    finally:
        for run in runs.values():
            run.close()


def passes(tasks: Sequence[Task], data: Placed[Any]) -> list[Any]:
    """The totals of several tasks over the data, by one look at them.

    Raises:
        Degenerate: the first in which one of them ended.
    """
    totals: dict[int, Any] = {}

    def asked(i: int) -> Any:
        totals[i] = yield tasks[i]

    for error in advance(data, {i: asked(i) for i in range(len(tasks))}).values():
        raise error
    return [totals[i] for i in range(len(tasks))]


@final
class Several:
    """Totals of several tasks over some chunks, by the number of the run; or the first error of a run that fails."""

    __slots__ = ("parts",)

    def __init__(self, parts: dict[int, Any]) -> None:
        self.parts = parts

    def __add__(self, other: Several) -> Several:
        return Several({number: _sum(part, other.parts[number]) for number, part in self.parts.items()})


def _sum(one: Any, other: Any) -> Any:
    failed = next((value for value in (one, other) if isinstance(value, Degenerate)), None)
    return one + other if failed is None else failed


def _all(tasks: Mapping[int, Task], chunk: Any, cache: Cache) -> Any:
    """Every task on a chunk, with a cache of its own each; those of runs that do not go on are dropped."""
    for number in [number for number in cache if number not in map(str, tasks)]:  # caches take memory
        del cache[number]
    return Several({number: _tried(task, chunk, cache.setdefault(str(number), {})) for number, task in tasks.items()})


def _tried(task: Task, chunk: Any, cache: Cache) -> Any:
    try:
        return task(chunk, cache)
    except Degenerate as error:
        return error.with_traceback(None)
