"""Tables in files that are read in blocks: row groups, compressed chunks, stretches of text."""

from __future__ import annotations

import abc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from latentem.arrays import Array, own
from latentem.data.readers.reader import Reader, Stamp, gathered

BLOCK = 2**23
"""About how many bytes a block has, where its format leaves a choice."""
_AT_ONCE = 3
"""Blocks in memory at a time: the one that is read, the one that comes next, and the one before."""


def even_edges(rows: int, size: int) -> tuple[int, ...]:
    """Edges of blocks of `size` rows, the last one shorter."""
    return (*range(0, rows, size), rows)


class Blocks(Reader):
    """A table in blocks of rows, which follow from the file alone.

    A block is loaded once for all who read near it, and the next one meanwhile. What is in memory is no part of the
    value: it stays beside it, and does not travel to other processes.
    """

    @property
    @abc.abstractmethod
    def edges(self) -> tuple[int, ...]:
        """At which rows the blocks begin, and the number of rows at last."""

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape of a row: (d,), or () for a single column."""
        return (len(self.columns or ()),)

    @property
    def stamp(self) -> Stamp | None:
        """The file as it was when it was opened, if it is one."""
        return None

    @property
    def name(self) -> str:
        return super().name if self.stamp is None else self.stamp.name

    def stream(self, block: int) -> Iterator[Array]:
        """The blocks from this one on, each read-only, in C order."""
        for low, high in pairwise(self.edges[block:]):
            yield own(np.array(self.stretch(low, high), dtype=np.float64, order="C"))

    def stretch(self, low: int, high: int) -> Any:
        """The rows of one block, for kinds that keep `stream` as it is, for each block can be read by itself."""
        raise NotImplementedError(f"{type(self).__name__} reads its blocks in a stream: ask stream for them")

    def __attrs_post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        vars(self).update(
            _process=os.getpid(),
            _lock=threading.Lock(),
            _loads={},  # futures of blocks by their numbers
            _stream=iter(()),
            _next=-1,  # the block that the stream gives next
            _edges=self.edges,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, super().__reduce__()

    @property
    def shape(self) -> tuple[int, ...]:
        return (vars(self)["_edges"][-1], *self.rest)

    def read(self, begin: int, end: int) -> Array:
        if self.stamp is not None:
            self.stamp.refuse_changed()
        edges = vars(self)["_edges"]
        return gathered(edges, begin, end, lambda i, low, high: self._block(i)[low:high], self.rest)

    def _block(self, i: int) -> Array:
        if vars(self)["_process"] != os.getpid():  # after a fork the threads that loaded are not there
            self._begin()
        state = vars(self)
        loads: dict[int, Future[Array]] = state["_loads"]
        with state["_lock"]:
            following = i + 1 if i + 2 < len(state["_edges"]) else i
            for j in (i, following):  # taken out and put in again: the end of the dict is what was asked for last
                loads[j] = loads.pop(j) if j in loads else _loader(state["_process"]).submit(self._loaded, j)
            while len(loads) > _AT_ONCE:
                del loads[next(iter(loads))]
            block = loads[i]
        try:
            return block.result()
        except BaseException:
            with state["_lock"]:
                loads.clear()  # the next who asks tries again, and does not get this error once more
            raise

    def _loaded(self, i: int) -> Array:
        """Only the loader runs this, so one block is loaded at a time."""
        state = vars(self)
        if i != state["_next"]:
            state["_stream"] = self.stream(i)
        state["_next"] = -1
        block = next(state["_stream"], None)
        expected = (state["_edges"][i + 1] - state["_edges"][i], *self.rest)
        if block is None or block.shape != expected:
            given = "nothing" if block is None else f"a table of shape {block.shape}"
            raise ValueError(
                f"{self.name} gives {given} where it had {expected} at first: fit to data that nobody changes"
            )
        state["_next"] = i + 1
        return block


def _arrived(kind: type[Blocks], fields: tuple[Any, ...]) -> Blocks:
    return _shared(kind(*fields))


@lru_cache(maxsize=4)
def _shared(table: Blocks) -> Blocks:
    """The equal table that came before: tasks that bring it into a process share the blocks that are loaded."""
    return table


@cache
def _loader(process: int) -> ThreadPoolExecutor:
    """The thread that loads blocks, for all tables of a process."""
    return ThreadPoolExecutor(1, thread_name_prefix="latentem-load")
