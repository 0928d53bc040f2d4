"""Tables whose files are read in blocks: row groups, compressed chunks, stretches of text."""

from __future__ import annotations

import abc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any, final

from latentem.arrays import Array
from latentem.core import Value
from latentem.data.readers.reader import Reader, gathered

BLOCK = 2**23
"""About how many bytes a block has, where its format leaves a choice."""
_KEPT = 3
"""Blocks in memory at a time: the one that is read, the one that comes next, and the one before."""


def even_edges(rows: int, size: int) -> tuple[int, ...]:
    """Edges of blocks of `size` rows, the last one shorter."""
    return (*range(0, rows, size), rows)


def block_rows(width: int) -> int:
    """How many rows of so many numbers make a block."""
    return max(1, BLOCK // (8 * max(1, width)))


class Store(Value):
    """A table in blocks of rows, which follow from the file alone."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @property
    @abc.abstractmethod
    def edges(self) -> tuple[int, ...]:
        """At which rows the blocks begin, and the number of rows at last."""

    @property
    @abc.abstractmethod
    def rest(self) -> tuple[int, ...]:
        """The shape of a row: (d,), or () for a single column."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, if they have any."""
        return None

    def refuse_changed(self) -> None:
        """Refuse to go on with a file that is another by now.

        Raises:
            ValueError: it is.
        """

    @abc.abstractmethod
    def stream(self, block: int) -> Iterator[Array]:
        """The blocks from this one on, each read-only, in C order."""


@final
class Blocks(Reader):
    """A store as a table. A block is loaded once for all who read near it, and the next one meanwhile."""

    __slots__ = ("_edges", "_kept", "_lock", "_next", "_process", "_stream", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self._edges = store.edges
        self._fresh()

    def _fresh(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._kept: dict[int, Future[Array]] = {}
        self._stream: Iterator[Array] = iter(())
        self._next = -1

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared, (self.store,)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._edges[-1], *self.store.rest)

    @property
    def columns(self) -> tuple[str, ...] | None:
        return self.store.columns

    @property
    def name(self) -> str:
        return self.store.name

    def read(self, begin: int, end: int) -> Array:
        self.store.refuse_changed()
        return gathered(self._edges, begin, end, lambda i, low, high: self._block(i)[low:high], self.store.rest)

    def _block(self, i: int) -> Array:
        if self._process != os.getpid():  # after a fork the threads that loaded are not there
            self._fresh()
        with self._lock:
            following = i + 1 if i + 2 < len(self._edges) else i
            for j in (i, following):
                wanted = self._kept.pop(j, None) or _loader(self._process).submit(self._loaded, j)
                self._kept[j] = wanted
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
            block = self._kept[i]
        try:
            return block.result()
        except BaseException:
            with self._lock:
                self._kept.clear()
            raise

    def _loaded(self, i: int) -> Array:
        """Only the loader runs this, so one block is loaded at a time."""
        if i != self._next:
            self._stream = self.store.stream(i)
        self._next = -1
        block = next(self._stream, None)
        expected = self._edges[i + 1] - self._edges[i]
        if block is None or block.shape != (expected, *self.store.rest):
            given = "nothing" if block is None else f"a table of shape {block.shape}"
            raise ValueError(
                f"{self.name} gives {given} where it had {(expected, *self.store.rest)} at first: "
                "fit to data that nobody changes"
            )
        self._next = i + 1
        return block


@lru_cache(maxsize=4)
def _shared(store: Store) -> Blocks:
    """The same blocks for all tasks that bring a store into a process: what one loads is there for the next."""
    return Blocks(store)


@cache
def _loader(process: int) -> ThreadPoolExecutor:
    """The thread that loads blocks, for all stores of a process."""
    return ThreadPoolExecutor(1, thread_name_prefix="latentem-load")
