"""Chunks that are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, final, overload

from attrs import frozen

from latentem.core import Value

X = TypeVar("X")


@final
@frozen(eq=False)
class Chunks(Value, Sequence[X]):
    """A sequence of chunks of which none is kept; `[i]` loads chunk i anew, in the thread that asks.

    It can be gone through again and again, and pickled. Iterating loads one chunk ahead.

    Attributes:
        load: From a number, the chunk, checked; it raises a ValueError if the data are not what they were.
        size: How many there are.
        edges: At which rows they begin, and the number of rows at last; None where that is not known.
    """

    load: Callable[[int], X]
    size: int
    edges: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, i: int) -> X: ...
    @overload
    def __getitem__(self, i: slice) -> list[X]: ...
    def __getitem__(self, i: Any) -> Any:
        chosen = range(self.size)[i]
        return [self.load(j) for j in chosen] if isinstance(chosen, range) else self.load(chosen)

    def __iter__(self) -> Iterator[X]:
        return ahead(self.load, self.size)


def ahead(load: Callable[[int], X], count: int) -> Iterator[X]:
    """The results of `load` at 0, 1, ...; while one is worked on, the next is loaded in another thread."""
    if count < 2:
        yield from map(load, range(count))
        return
    with ThreadPoolExecutor(1, thread_name_prefix="latentem-ahead") as loader:
        following = loader.submit(load, 0)
        for i in range(1, count):
            chunk = following.result()
            following = loader.submit(load, i)
            yield chunk
        yield following.result()
