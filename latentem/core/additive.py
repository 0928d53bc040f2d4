"""Values that add and scale: the vector space in which sufficient statistics live."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from operator import add, sub
from typing import Any, ClassVar, Protocol, Self, TypeVar, final, runtime_checkable

FAN_IN = 4


class Value(abc.ABC):  # noqa: B024 - abstract by intent: a value says which fields it has
    """An `attrs` value that is copied and pickled through its constructor, which checks what it is given."""

    __slots__ = ()

    __match_args__: ClassVar[tuple[str, ...]] = ()  # the names of the fields, as `attrs` has them

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in type(self).__match_args__)


class Vector(Protocol):
    """Sufficient statistics: values that add and scale. A float or an array will do."""

    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __rmul__(self, factor: Any, /) -> Any: ...


class Additive(Value):
    """An `attrs` value that adds and scales field by field; derive from it and add nothing."""

    __slots__ = ()

    @final
    def __add__(self, other: Self) -> Self:
        return self.combined(other, add)

    @final
    def __sub__(self, other: Self) -> Self:
        return self.combined(other, sub)

    def __rmul__(self, factor: float) -> Self:
        return type(self)(*[factor * getattr(self, name) for name in type(self).__match_args__])

    def combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        """The sum or the difference of two values: `combine` is the operation on their numbers."""
        return type(self)(*[combine(getattr(self, name), getattr(other, name)) for name in type(self).__match_args__])


V = TypeVar("V", bound=Vector)


def total_of(values: list[V]) -> V:
    """The sum of one node of the tree, from left to right."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def tree_sum(values: Iterable[V], fan_in: int = FAN_IN, node: Callable[[list[V]], V] = total_of) -> V:
    """Sum in the given order, as a tree in which each node adds `fan_in` neighbours.

    The shape of the tree depends on the number of values alone, so the rounding is the same
    whoever computed them; at most `fan_in` partial sums a level are alive at any time. It is also the tree of
    the sums of any `fan_in` ** h successive values at a time.

    Args:
        values: What to sum.
        fan_in: How many neighbours make a node.
        node: Makes a node; an engine whose values are elsewhere has them added there.

    Raises:
        ValueError: there is nothing to sum.
    """
    levels: list[list[V]] = [[]]
    for value in values:
        levels[0].append(value)
        height = 0
        while len(levels[height]) == fan_in:
            if height + 1 == len(levels):
                levels.append([])
            # (eq: sum-tree)
            levels[height + 1].append(node(levels[height]))
            levels[height] = []
            height += 1
    # (eq: sum-tree)
    carried: list[V] = []
    for level in levels:
        if level or carried:
            carried = level + carried
            carried = [node(carried)] if len(carried) > 1 else carried
    if not carried:
        raise ValueError("no chunks were given: the data must hold at least one")
    return carried[0]


@runtime_checkable
class Numbers(Protocol):
    """An array, or a number of an array's type, whoever made it: the core computes with its operators alone."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def all(self) -> Any: ...
    def tolist(self) -> Any: ...
    def tobytes(self) -> bytes: ...
