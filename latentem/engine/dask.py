"""An engine on a Dask cluster: chunks stay with its workers, and what is lost with a worker is made again."""

from __future__ import annotations

import itertools
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, final

from attrs import frozen

from latentem.core import Cache, Degenerate, Engine, Placed, tree_sum
from latentem.core.additive import FAN_IN, total_of
from latentem.engine.blas import one_thread

X = TypeVar("X")
T = TypeVar("T")
V = TypeVar("V", bound=Any)

_SHARES = 2
"""Tasks a thread and pass, at least, where there are chunks enough: a task costs the scheduler some milliseconds."""


@final
@frozen
class Dask(Engine):
    """Chunks side by side on the workers of a Dask cluster; the same bits as in one process.

    Chunks are made by tasks and never scattered, and parameters are a task of their own, so all that a lost worker
    held is made again by others. Chunks in memory travel inside their task. Of a sequence that loads its chunks on
    demand only the sequence travels, and the workers load from it: they must reach what it reads.

    Attributes:
        client: A `distributed.Client`; None: the current one.
    """

    client: Any = None

    def place(self, chunks: Sequence[X]) -> Placed[X]:
        """Put the chunks on the workers.

        Raises:
            ImportError: the library distributed is not installed.
            ValueError: there is no client, or one that does not wait.
        """
        client = _current() if self.client is None else self.client
        if client.asynchronous:
            raise ValueError(f"{client!r} is asynchronous: give a client that waits, such as distributed.Client()")
        return Cluster(client, chunks)


def _current() -> Any:
    try:
        from distributed import get_client
    except ImportError as error:
        raise ImportError("the engine Dask needs dask and distributed: pip install dask distributed") from error
    try:
        return get_client()
    except ValueError as error:
        raise ValueError("there is no Dask client: make one, client = distributed.Client(...), or give one") from error


@final
class Cluster(Placed[X]):
    """Chunks on workers. A task has some successive ones, as many as make a whole branch of the tree of sums."""

    __slots__ = ("_branches", "_client", "_length")

    def __init__(self, client: Any, chunks: Sequence[X]) -> None:
        self._client, self._length = client, len(chunks)
        size, enough = 1, _SHARES * max(1, sum(client.nthreads().values()))
        while self._length >= size * FAN_IN * enough:  # a power of the fan-in (eq: sum-tree)
            size *= FAN_IN
        placement = os.urandom(16).hex()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # chunks in memory are sent, this once
            self._branches = [
                client.submit(_kept, _sealed(_part(chunks, begin, size)), key=f"latentem-chunks-{placement}-{begin}")
                for begin in range(0, self._length, size)
            ]

    @property
    def costly(self) -> bool:
        return True

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[X]:
        for branch in self._branches:
            yield from branch.result().chunks

    def total(self, task: Callable[[X, Cache], V]) -> V:
        new = _Nodes()
        parts = new.each(_subtotal, self._branches, task)
        return self._fetched([tree_sum(parts, node=lambda neighbours: new("sum", _added, *neighbours))])[0]

    def each(self, task: Callable[[X], T]) -> list[T]:
        parts = self._fetched(_Nodes().each(_answers, self._branches, task))
        return [answer for answers in parts for answer in answers]

    def _fetched(self, nodes: list[Any]) -> list[Any]:
        futures = self._client.compute(nodes, optimize_graph=False)
        try:
            answers: list[Any] = self._client.gather(futures)
        finally:
            for future in futures:
                future.release()  # an error that Dask raises would hold them, and with its frames all this
        for answer in answers:
            if isinstance(answer, Degenerate):
                raise answer
        return answers


@final
class _Nodes:
    """Makes the tasks of one pass, under names that no other pass has."""

    def __init__(self) -> None:
        self._name, self._numbers = os.urandom(16).hex(), itertools.count()

    def __call__(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        from dask.delayed import delayed

        key = f"latentem-{what}-{self._name}-{next(self._numbers)}"
        return delayed(function, pure=False)(*arguments, dask_key_name=key)

    def each(self, function: Callable[..., Any], branches: Sequence[Any], task: Callable[..., Any]) -> list[Any]:
        """A node for each branch; what they do goes to each worker once, as the answer of a node of its own."""
        work = self("task", pickle.loads, _sealed(task))
        return [self("branch", function, branch, work) for branch in branches]


def _sealed(value: Any) -> bytes:
    """As bytes, with what is defined in `__main__`: neither the scheduler nor Dask's search for keys looks inside."""
    import cloudpickle  # it comes with dask

    return cloudpickle.dumps(value)


def _part(chunks: Sequence[Any], begin: int, size: int) -> tuple[Sequence[Any], range]:
    """Some chunks, as a task makes them: a sequence, and which of its items."""
    numbers = range(begin, min(begin + size, len(chunks)))
    if isinstance(chunks, list | tuple):
        return chunks[numbers.start : numbers.stop], range(len(numbers))
    return chunks, numbers


# What follows runs on the workers.


@final
class _Kept:
    """Chunks on a worker, each with its cache, which stays behind when they move to another."""

    __slots__ = ("caches", "chunks", "size")

    def __init__(self, chunks: list[Any], size: int) -> None:
        self.chunks, self.size = chunks, size
        self.caches: list[Cache] = [{} for _ in chunks]

    def __reduce__(self) -> tuple[Any, ...]:
        return _Kept, (self.chunks, self.size)

    def __sizeof__(self) -> int:
        return self.size  # by it Dask decides what to move, and what to put on disk


def _kept(sealed: bytes) -> _Kept:
    import cloudpickle

    source, numbers = pickle.loads(sealed)
    chunks = [source[i] for i in numbers]
    # Arrays are counted where they are, out of band, and not copied into the pickle only to be measured.
    buffers: list[pickle.PickleBuffer] = []
    rest = len(cloudpickle.dumps(chunks, protocol=5, buffer_callback=buffers.append))
    return _Kept(chunks, rest + sum(buffer.raw().nbytes for buffer in buffers))


def _subtotal(kept: _Kept, task: Callable[[Any, Cache], Any]) -> Any:
    return _unless_degenerate(tree_sum, map(task, kept.chunks, kept.caches))


def _answers(kept: _Kept, task: Callable[[Any], Any]) -> Any:
    return _unless_degenerate(list, map(task, kept.chunks))


def _unless_degenerate(collect: Callable[[Any], Any], answers: Iterator[Any]) -> Any:
    """The answers, or the Degenerate that they end in: no failure of a task, and the first one in order counts."""
    try:
        with one_thread():
            return collect(answers)
    except Degenerate as error:
        return error.with_traceback(None)


def _added(*parts: Any) -> Any:
    return next((part for part in parts if isinstance(part, Degenerate)), None) or total_of(list(parts))
