"""Who computes on the chunks, and where they are."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from latentem.core.additive import Vector

X = TypeVar("X")
T = TypeVar("T")
V = TypeVar("V", bound=Vector)
Cache = MutableMapping[str, Any]
"""A store beside a chunk between passes; it may be emptied at any time, and changes no answer by a bit."""

_watch: ContextVar[Callable[[int, int], object] | None] = ContextVar("latentem_watch", default=None)


@contextmanager
def watched_passes(watch: Callable[[int, int], object] | None) -> Iterator[None]:
    """Within, `watch` is told of each pass of an engine how many chunks are done, and of how many; None: nobody is."""
    before = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(before)


def chunks_done(done: int, count: int) -> None:
    """Tell whoever looks on how far a pass is. An engine calls it in the thread that asked for the pass."""
    watch = _watch.get()
    if watch is not None:
        watch(done, count)


class Placed(abc.ABC, Generic[X]):
    """Chunks where an engine keeps them. Iterating brings them here, one at a time, in order."""

    __slots__ = ()

    @property
    def costly(self) -> bool:
        """Whether a pass costs much beside computing, such as reading, so that several runs had better share it."""
        return False

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many chunks there are."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[X]: ...

    @abc.abstractmethod
    def total(self, task: Callable[[X, Cache], V]) -> V:
        """`tree_sum` of the task over the chunks, in their order: the same bits whoever computes.

        Args:
            task: A function of a chunk and of its cache; where chunks live in other processes it must be picklable.
        """

    @abc.abstractmethod
    def each(self, task: Callable[[X], T]) -> list[T]:
        """The answers of the task for all chunks, in their order. Meant for small ones."""


class Engine(abc.ABC):
    """A way of computing on chunks: here, in threads, on a cluster. A frozen value.

    Others are found through the entry points of the group "latentem.engines".
    """

    __slots__ = ()

    @abc.abstractmethod
    def place(self, chunks: Sequence[X]) -> Placed[X]:
        """Put the chunks where they will be computed on, once.

        Args:
            chunks: Values, or a sequence that loads a chunk when it is asked for it.
        """
