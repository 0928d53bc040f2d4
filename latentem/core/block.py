"""One field of the parameters and its exact conditional maximiser: the M-step's unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, final

import attrs
from attrs import frozen

S = TypeVar("S")
P = TypeVar("P")
Path = tuple[str | int, ...]


@final
@frozen
class Identified:
    """How many numbers of a field the data determine.

    Attributes:
        numbers: So many.
        reason: Why not all of them, for a reader of the result; empty where it was meant so.
    """

    numbers: int
    reason: str = ""


@final
@frozen
class Block(Generic[S, P]):
    """One field of the parameters and how it is maximised.

    Attributes:
        path: Where the field is: ("weights",), ("components", "means"); () is the whole of the
            parameters.
        maximize: From statistics and the current parameters, the value of the field that maximises
            `log_joint` (plus `log_prior`) with every other field as it is in the parameters.
        size: How many free numbers the field has.
        holding: From component numbers, the block that leaves those components as they are and
            maximises over the rest; None where the components cannot be told apart.
        place: From the field, component numbers and values, the field with these components at these
            values and the others still allowed; None where they are free of one another.
        identified: From statistics and parameters, how many of the free numbers the data determine; None: all.
    """

    path: Path
    maximize: Callable[[S, P], Any]
    size: Callable[[P], int]
    holding: Callable[[tuple[int, ...]], Block[S, P]] | None = None
    place: Callable[[Any, tuple[int, ...], Any], Any] | None = None
    identified: Callable[[S, P], Identified] | None = None

    @property
    def name(self) -> str:
        """The dotted path, as people and messages write it."""
        return ".".join(map(str, self.path)) or "all parameters"

    def apply(self, statistics: S, params: P) -> P:
        """The parameters with this field at its maximum."""
        new: P = put(params, self.path, self.maximize(statistics, params))
        return new

    def free(self, statistics: S, params: P) -> Identified:
        """How many numbers of the field were estimated: its free ones, as far as the data determine them."""
        size = self.size(params)
        if self.identified is None:
            return Identified(size)
        found = self.identified(statistics, params)
        return found if found.numbers < size else Identified(size)


def get(value: Any, path: Path) -> Any:
    """The value at `path` in a nested value."""
    for part in path:
        value = _part(value, part)
    return value


def put(value: Any, path: Path, new: Any) -> Any:
    """A copy of a nested value with `new` at `path`."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    changed = put(_part(value, head), rest, new)
    if isinstance(head, int):
        return type(value)(changed if i == head else old for i, old in enumerate(value))
    return attrs.evolve(value, **{head: changed})


def find(blocks: Sequence[Block[S, P]], name: str) -> Block[S, P]:
    """The block with this dotted path, or the only one whose path ends in it.

    Raises:
        ValueError: no block or more than one has the name; the message lists the full names.
    """
    tail = tuple(name.split("."))
    hits = [block for block in blocks if tuple(map(str, block.path[-len(tail) :])) == tail]
    hits = [block for block in hits if len(block.path) == len(tail)] or hits
    if len(hits) == 1:
        return hits[0]
    names = ", ".join(block.name for block in (hits or blocks))
    if hits:
        raise ValueError(f"{name!r} names more than one block: give one of {names}")
    raise ValueError(
        f"{name!r} names no block of this model: it has {names} (a part of a block that is maximised "
        "as one cannot be held alone)"
    )


def _part(value: Any, part: str | int) -> Any:
    return value[part] if isinstance(part, int) else getattr(value, part)
