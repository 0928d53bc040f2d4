"""Parameters that are held while the others move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from copy import deepcopy
from typing import Any, final

from attrs import cmp_using, field, frozen

from latentem.core import Block, Event, Path, Value, find, get, put
from latentem.transform.transformed import Model, SamePosterior


def _numbers(components: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if components is None else tuple(components)


def _same(one: Any, other: Any) -> bool:
    if getattr(one, "shape", None) != getattr(other, "shape", None):
        return False
    equal = one == other
    return bool(equal.all()) if hasattr(equal, "all") else bool(equal)


@final
@frozen
class Fixed(Value):
    """How a field of the parameters is held.

    Attributes:
        value: What it is held at; None holds it at whatever the start has.
        components: Which components are held; None holds all of them.
        equal: Held at equal shares; see `uniform`.
    """

    value: Any = field(default=None, converter=deepcopy, eq=cmp_using(eq=_same))
    components: tuple[int, ...] | None = field(default=None, converter=_numbers)
    equal: bool = False

    @classmethod
    def uniform(cls) -> Fixed:
        """Equal weights, however many there are."""
        return cls(equal=True)

    def write(self, block: Block[Any, Any], current: Any) -> Any:
        """The field of a block with the held value in it."""
        if self.equal:
            return 0 * current + 1 / len(current)
        if self.value is None:
            return current
        if self.components is None:
            return self.value
        if not all(0 <= component < len(current) for component in self.components):
            raise ValueError(
                f"components {list(self.components)} of {block.name} are to be held: "
                f"they are numbered from 0 to {len(current) - 1}"
            )
        return (block.place or _place)(current, self.components, self.value)

    def restore(self, changed: Any, held: Any) -> Any:
        """`changed`, with the held part as it is in `held`."""
        return held if self.components is None else _place(changed, self.components, held[list(self.components)])


def _place(field: Any, components: tuple[int, ...], value: Any) -> Any:
    copy = field.copy()
    copy[list(components)] = value
    return copy


Holds = Mapping[str, Fixed]


def _holds(given: Holds | Set[str] | Sequence[str]) -> Holds:
    if isinstance(given, str):
        raise TypeError(f"hold was given as the string {given!r}: give a set of block names, such as {{{given!r}}}")
    return dict(given) if isinstance(given, Mapping) else {name: Fixed() for name in sorted(given)}


@final
@frozen
class Frozen(SamePosterior):
    """The same model with some blocks of its M-step left out.

    Attributes:
        inner: The model.
        hold: Names of the blocks to hold, or a mapping from names to `Fixed`. A name is a dotted
            path or its unique tail. Values are written into every start that `first` makes.

    Raises:
        ValueError: a name fits no block or several, or components are to be held that the block
            cannot tell apart.
    """

    inner: Model
    hold: Holds = field(converter=_holds)

    def __attrs_post_init__(self) -> None:
        for block, fixed in self._held():
            if fixed.components is not None and block.holding is None:
                raise ValueError(
                    f"{block.name} is shared by the components, so it cannot be held for components "
                    f"{list(fixed.components)} alone: hold all of it, or use a structure that is not tied"
                )

    def _held(self) -> list[tuple[Block[Any, Any], Fixed]]:
        blocks = self.inner.blocks()
        return [(find(blocks, name), fixed) for name, fixed in self.hold.items()]

    def blocks(self) -> Sequence[Block[Any, Any]]:
        held = {block.path: fixed.components for block, fixed in self._held()}
        left = []
        for block in self.inner.blocks():
            if block.path not in held:
                left.append(block)
            elif (components := held[block.path]) is not None and block.holding is not None:
                left.append(block.holding(components))
        return left

    def first(self, statistics: Any) -> Any:
        return self._written(self.inner.first(statistics))

    def check(self, chunks: Sequence[Any], held: Set[Path] = frozenset()) -> None:
        whole = {block.path for block, fixed in self._held() if fixed.components is None}
        self.inner.check(chunks, held | whole)

    def check_params(self, params: Any) -> None:
        self.inner.check_params(params)
        if self._written(params) == params:
            return
        for block, fixed in self._held():
            if put(params, block.path, fixed.write(block, get(params, block.path))) != params:
                given = get(params, block.path)
                raise ValueError(
                    f"the start disagrees with the fixed {block.name}: it has {given!r}, fixed is "
                    f"{fixed.write(block, given)!r}; give a start with the fixed value, or leave it free"
                )

    def lift(self, params: Any, statistics: Any) -> tuple[Any, Sequence[Event]]:
        lifted, events = self.inner.lift(params, statistics)
        for block, fixed in self._held():
            kept = fixed.restore(get(lifted, block.path), get(params, block.path))
            lifted = put(lifted, block.path, kept)
        return lifted, [event for event in events if not self._holds(event)]

    def diagnose(self, params: Any, statistics: Any) -> Sequence[Event]:
        events = self.inner.diagnose(params, statistics)
        return [event for event in events if event.kind != "floor" or not self._holds(event)]

    def _written(self, params: Any) -> Any:
        for block, fixed in self._held():
            params = put(params, block.path, fixed.write(block, get(params, block.path)))
        return params

    def _holds(self, event: Event) -> bool:
        return any(
            event.field == block.path[-1] and (fixed.components is None or event.component in fixed.components)
            for block, fixed in self._held()
            if block.path
        )
