"""Chunks whose passes run in the loops that a fit has chosen, wherever an engine computes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar, final

from latentem.compiled import Loops, in_numpy
from latentem.core import Cache, Placed

X = TypeVar("X")
T = TypeVar("T")
V = TypeVar("V", bound=Any)


_PREPARING = "loading compiled loops; the first time on a machine they are compiled, in some seconds"
_LOG = logging.getLogger(__name__)


@contextmanager
def using(loops: Loops | None, preparing: Callable[[str], AbstractContextManager[None]] | None) -> Iterator[None]:
    """Within, this thread runs in these loops; None: in numpy's.

    Args:
        loops: The loops.
        preparing: Given words, a context in which they are made ready where they are not; None: nobody is told.
    """
    if loops is None:
        with in_numpy():  # this may be a fit in a callback of one that runs in compiled loops
            yield
        return
    if not loops.ready:
        _LOG.info(_PREPARING)
        with nullcontext() if preparing is None else preparing(_PREPARING):
            loops.prepare()
    with loops.used():
        yield


@final
class Looped(Placed[X]):
    """Chunks where an engine has placed them; the choice of loops travels with every task."""

    __slots__ = ("_loops", "_placed")

    def __init__(self, placed: Placed[X], loops: Loops) -> None:
        self._placed, self._loops = placed, loops

    @property
    def costly(self) -> bool:
        return self._placed.costly

    def __len__(self) -> int:
        return len(self._placed)

    def __iter__(self) -> Iterator[X]:
        return iter(self._placed)

    def total(self, task: Callable[[X, Cache], V]) -> V:
        return self._placed.total(partial(_within, self._loops, task))

    def each(self, task: Callable[[X], T]) -> list[T]:
        return self._placed.each(partial(_within, self._loops, task))


def _within(loops: Loops, task: Callable[..., T], *arguments: Any) -> T:
    with loops.used():
        return task(*arguments)
