"""Engines in this process: one chunk after the other, or chunks side by side in threads."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import Any, TypeVar, final

from attrs import field, frozen

from latentem.core import Cache, Engine, Placed, chunks_done, tree_sum
from latentem.engine.blas import hold_this_thread, one_thread

X = TypeVar("X")
T = TypeVar("T")
V = TypeVar("V", bound=Any)
_inside = threading.local()


def is_inside() -> bool:
    """Whether this thread computes for an engine: what asks an engine there computes where it is."""
    return getattr(_inside, "busy", False)


@contextmanager
def inside() -> Iterator[None]:
    """Within, this thread computes for an engine."""
    _inside.busy = True
    try:
        yield
    finally:
        _inside.busy = False


@final
@frozen
class Serial(Engine):
    """One chunk after the other."""

    def place(self, chunks: Sequence[X]) -> Placed[X]:
        return Here(chunks, 1)


def at_least_one(instance: Any, attribute: Any, value: Any) -> None:
    """Validate a field that says how many compute at a time, or None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        how = "give how many compute at a time, at least 1, or None"
        raise ValueError(f"{attribute.name} was given as {value!r}: {how}")


@final
@frozen
class Threads(Engine):
    """Chunks side by side in threads; the same bits for any number of them.

    Attributes:
        count: How many chunks are computed at a time; None: as many as this process may use cores.

    All fits of a process share these threads, so a caller who runs fits in threads of his own does not get
    more of them, and what runs within such a thread computes where it is.
    """

    count: int | None = field(default=None, validator=at_least_one)

    def place(self, chunks: Sequence[X]) -> Placed[X]:
        return Here(chunks, cores() if self.count is None else self.count)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@final
class Here(Placed[X]):
    """Chunks in this process. Those that are loaded on demand are loaded by the thread that computes on them."""

    __slots__ = ("_caches", "_chunks", "_threads")

    def __init__(self, chunks: Sequence[X], threads: int) -> None:
        self._chunks = chunks
        self._threads = threads
        # What is read anew each pass may be larger than memory, and so may be what is kept beside it.
        self._caches: list[Cache] | None = [{} for _ in chunks] if isinstance(chunks, list | tuple) else None

    @property
    def costly(self) -> bool:
        return self._caches is None

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[X]:
        return iter(self._chunks)  # chunks that are loaded are loaded one ahead

    def total(self, task: Callable[[X, Cache], V]) -> V:
        caches = self._caches
        with one_thread():
            return tree_sum(self._ordered(lambda chunk, i: task(chunk, {} if caches is None else caches[i])))

    def each(self, task: Callable[[X], T]) -> list[T]:
        with one_thread():
            return list(self._ordered(lambda chunk, i: task(chunk)))

    def _ordered(self, at: Callable[[X, int], T]) -> Iterator[T]:
        count = len(self._chunks)
        threads = min(self._threads, count)
        if is_inside():
            return map(at, self, range(count))
        if threads <= 1:
            return _told(map(at, self, range(count)), count)
        return _told(_side_by_side(lambda i: at(self._chunks[i], i), count, threads), count)


def _told(answers: Iterator[T], count: int) -> Iterator[T]:
    """The answers; whoever looks on is told of each."""
    for done, answer in enumerate(answers, 1):
        chunks_done(done, count)
        yield answer


def _side_by_side(at: Callable[[int], T], count: int, threads: int) -> Iterator[T]:
    """The results in order; no more chunks than `2 * threads` are under way or wait to be taken."""

    def marked(i: int) -> T:
        with inside():
            return at(i)

    pool = _pool(threads, os.getpid())
    pending: deque[Future[T]] = deque()
    try:
        for i in range(count):
            if len(pending) == 2 * threads:  # enough that no thread waits, and few, for answers may be large
                yield pending.popleft().result()
            pending.append(pool.submit(copy_context().run, marked, i))  # numpy's errstate is in the context
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """The threads of this process: those of a parent are not there after a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="latentem", initializer=hold_this_thread)
