"""Parameters that are held while the others move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from copy import deepcopy
from numbers import Integral
from typing import Any, final

from attrs import cmp_using, field, frozen

from latentem.core import Block, Event, LatentModel, Numbers, Path, Value, find, get, put
from latentem.transform.transformed import P, SamePosterior, innermost

_ROUNDING = 1e-12
_LINE = 40
"""Characters of a held value that a representation shows."""


def _numbers(components: Any) -> tuple[int, ...] | None:
    if components is None:
        return None
    numbers = tuple(components) if isinstance(components, Iterable) else (components,)
    whole = all(
        isinstance(number, Integral) and not isinstance(number, bool) and int(number) >= 0 for number in numbers
    )
    if not whole or len(set(numbers)) < len(numbers) or not numbers:
        raise ValueError(f"components were given as {components!r}: give different whole numbers, from 0")
    return tuple(int(number) for number in numbers)


def _copied(value: Any) -> Any:
    return deepcopy(value)


def _same(one: Any, other: Any) -> bool:
    if _shape(one) != _shape(other):
        return False
    equal = one == other
    return bool(equal.all()) if isinstance(equal, Numbers) else bool(equal)


@final
@frozen(repr=False)
class Fixed(Value):
    """How a field of the parameters is held.

    Attributes:
        value: What it is held at; None holds it at whatever the start has.
        components: Which components are held; None holds all of them.
        equal: Held at equal shares; see `uniform`.
        drawn: Held at what a random start draws, and meant so; see `at_start`.
    """

    value: Any = field(default=None, converter=_copied, eq=cmp_using(eq=_same), hash=False)
    components: tuple[int, ...] | None = field(default=None, converter=_numbers)
    equal: bool = False
    drawn: bool = False

    @classmethod
    def at_start(cls) -> Fixed:
        """At whatever the start has, also where it is drawn at random: for what sets no more than a unit."""
        return cls(drawn=True)

    @classmethod
    def uniform(cls) -> Fixed:
        """Equal weights, however many there are."""
        return cls(equal=True)

    def __repr__(self) -> str:
        if self.equal or self.drawn:
            return "Fixed.uniform()" if self.equal else "Fixed.at_start()"
        given = [] if self.value is None else [_short(self.value)]
        return (
            f"Fixed({', '.join(given if self.components is None else [*given, f'components={list(self.components)}'])})"
        )

    def write(self, block: Block[Any, Any], current: Any) -> Any:
        """The field of a block with the held value in it.

        Raises:
            ValueError: a component is not there, the value has another shape, or only weights can be uniform.
        """
        if self.equal:
            if block.place is None:
                raise ValueError(f"Fixed.uniform() was given for {block.name}: only weights can be uniform")
            return 0 * current + 1 / len(current)
        if self.components is None:
            return current if self.value is None else self.value
        if max(self.components) >= len(current):
            raise ValueError(
                f"components {list(self.components)} of {block.name} are to be held: "
                f"they are numbered from 0 to {len(current) - 1}"
            )
        return current if self.value is None else self._place(block, current, self._held_values(block, current))

    def restore(self, block: Block[Any, Any], changed: Any, held: Any) -> Any:
        """`changed`, with the held part as it is in `held`."""
        return held if self.components is None else self._place(block, changed, held[list(self.components)])

    def agrees(self, given: Any, written: Any) -> bool:
        """Whether the held part of two fields is the same, but for rounding."""
        if self.components is not None:
            given, written = given[list(self.components)], written[list(self.components)]
        if _shape(given) != _shape(written):
            return False
        apart = abs(given - written) <= _ROUNDING * abs(written)
        return bool(apart.all()) if isinstance(apart, Numbers) else bool(apart)

    def _held_values(self, block: Block[Any, Any], current: Any) -> Any:
        """The values of the held components, also where one is given for all of them, or the whole field is."""
        slots = current[list(self.components or ())]
        if _shape(self.value) == _shape(current) != _shape(slots):
            return (0 * current + self.value)[list(self.components or ())]
        if _shape(self.value) in (_shape(slots), _shape(slots)[1:]):
            return 0 * slots + self.value
        raise ValueError(
            f"components {list(self.components or ())} of {block.name} are to be held at a value of shape "
            f"{_shape(self.value)}: it must be {_shape(slots)}, or {_shape(slots)[1:]} for each"
        )

    def _place(self, block: Block[Any, Any], into: Any, values: Any) -> Any:
        components = self.components or ()
        if block.place is not None:
            return block.place(into, components, values)
        copy = into.copy()
        copy[list(components)] = values
        return copy


def _short(value: Any) -> str:
    """A held value on a line: as it is, or by its shape where it is long."""
    written = repr(value.tolist() if isinstance(value, Numbers) else value)
    return written if len(written) <= _LINE else f"<{type(value).__name__} of shape {_shape(value)}>"


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, Numbers):
        return tuple(value.shape)
    return (len(value), *_shape(value[0])) if isinstance(value, list | tuple) and value else ()


Holds = Mapping[str, Fixed]


def _holds(given: Holds | Set[str] | Sequence[str]) -> Holds:
    if isinstance(given, str):
        raise TypeError(f"hold was given as the string {given!r}: give a set of block names, such as {{{given!r}}}")
    holds = dict(given) if isinstance(given, Mapping) else {name: Fixed() for name in sorted(given)}
    for name, fixed in holds.items():
        if not isinstance(fixed, Fixed):
            raise TypeError(f"{name} is to be held at {fixed!r}: give Fixed(value)")
    return holds


@final
@frozen(repr=False)
class Frozen(SamePosterior[P]):
    """A model with some blocks of its M-step left out.

    Attributes:
        inner: The model.
        hold: Names of the blocks to hold, or a mapping from names to `Fixed`. A name is a dotted
            path or its unique tail. Values are written into every start that `first` makes.

    Raises:
        ValueError: a name fits no block or several, or components are to be held that the block
            cannot tell apart.
    """

    inner: LatentModel[Any, Any, Any, P]
    hold: Holds = field(converter=_holds, hash=False)

    def __attrs_post_init__(self) -> None:
        for block, fixed in self._held():
            if fixed.components is not None and block.holding is None:
                raise ValueError(
                    f"{block.name} is shared by the components, so it cannot be held for components "
                    f"{list(fixed.components)} alone: hold all of it, or use a structure that is not tied"
                )

    def __repr__(self) -> str:
        plain = all(fixed == Fixed() for fixed in self.hold.values())
        return f"Frozen({self.inner!r}, {set(self.hold) if plain and self.hold else dict(self.hold)})"

    def _held(self) -> list[tuple[Block[Any, Any], Fixed]]:
        blocks, every = self.inner.blocks(), innermost(self.inner).blocks()
        held = []
        for name, fixed in self.hold.items():
            block = find(every, name)
            if block.path not in {other.path for other in blocks}:
                raise ValueError(f"{block.name} is held already, by {self.inner!r}: it can be held once")
            held.append((find(blocks, name), fixed))
        return held

    def blocks(self) -> Sequence[Block[Any, Any]]:
        held = {block.path: fixed.components for block, fixed in self._held()}
        left = []
        for block in self.inner.blocks():
            if block.path not in held:
                left.append(block)
            elif (components := held[block.path]) is not None and block.holding is not None:
                left.append(block.holding(components))
        return left

    def abreast(self, params: Any, chunk: Any, weightings: Any, steps: int = 1) -> None:
        return None  # the model inside would move what is held

    def first(self, statistics: Any) -> Any:
        return self._written(self.inner.first(statistics))

    def check(self, chunks: Sequence[Any], held: Set[Path] = frozenset()) -> None:
        whole = {block.path for block, fixed in self._held() if fixed.components is None}
        self.inner.check(chunks, held | whole)

    def check_params(self, params: Any) -> None:
        self.inner.check_params(params)
        for block, fixed in self._held():
            given = get(params, block.path)
            written = get(put(params, block.path, fixed.write(block, given)), block.path)
            if written is not given and not fixed.agrees(given, written):
                raise ValueError(
                    f"the start disagrees with the fixed {block.name}: it has {given!r}, fixed is {written!r}; "
                    "give a start with the fixed value, or leave it free"
                )

    def lift(self, params: Any, statistics: Any) -> tuple[Any, Sequence[Event]]:
        lifted, events = self.inner.lift(params, statistics)
        if lifted is params:
            return params, ()
        return self._as_held(lifted, params), [event for event in events if not self._holds(event)]

    def shortcut(self, params: Any, statistics: Any) -> Any:
        """That of the model inside, unless it would move what is held: then it is no way to a maximum."""
        found = self.inner.shortcut(params, statistics)
        if found is None:
            return None
        there, plain = (self.inner.m_step(each, params) for each in (found, statistics))
        for block, fixed in self._held():
            new, old = get(there, block.path), get(plain, block.path)
            if not _same(fixed.restore(block, new, old), new):
                return None
        return found

    def held(self, params: Any, reference: Any) -> Any:
        return self._as_held(self.inner.held(params, reference), reference)

    def _as_held(self, params: Any, reference: Any) -> Any:
        for block, fixed in self._held():
            kept = fixed.restore(block, get(params, block.path), get(reference, block.path))
            params = put(params, block.path, kept)
        return params

    def diagnose(self, params: Any, statistics: Any) -> Sequence[Event]:
        events = self.inner.diagnose(params, statistics)
        return [event for event in events if event.kind not in ("floor", "boundary") or not self._holds(event)]

    def drawn(self) -> Sequence[str]:
        loose = [block for block, fixed in self._held() if fixed.value is None and not (fixed.equal or fixed.drawn)]
        return [*(block.name for block in loose), *self.inner.drawn()]

    def _written(self, params: Any) -> Any:
        for block, fixed in self._held():
            params = put(params, block.path, fixed.write(block, get(params, block.path)))
        return params

    def _holds(self, event: Event) -> bool:
        parts = tuple((event.field or "").split("."))  # an event of a part of a product says which part
        return any(
            tuple(map(str, block.path[-len(parts) :])) == parts
            and (fixed.components is None or event.component in fixed.components)
            for block, fixed in self._held()
            if block.path
        )
