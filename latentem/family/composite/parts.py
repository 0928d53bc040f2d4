"""Values of families that are made of families: one a part, and what the parts leave hidden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self, final

import numpy as np
from attrs import cmp_using, field, frozen

from latentem.arrays import Array, frozen_params, same
from latentem.core import Additive, Hidden


def _frozen_each(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(frozen_params, values))


def _same_each(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(map(same, one, other))


@final
@frozen
class Parts(Additive):
    """Parameters or statistics of the parts of a whole, in their order; they add and scale part by part.

    Attributes:
        values: One a part: arrays, or values.
    """

    values: tuple[Any, ...] = field(converter=_frozen_each, eq=cmp_using(eq=_same_each), hash=False)

    def __getitem__(self, part: int) -> Any:
        return self.values[part]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __add__(self, other: Self) -> Self:
        return type(self)(one + another for one, another in zip(self, other, strict=True))

    def __rmul__(self, factor: float) -> Self:
        return type(self)(factor * value for value in self)


@final
@frozen
class Together:
    """q of the parts of a row, independent of one another given its component; None where a part hides nothing."""

    parts: tuple[Hidden | None, ...]

    @classmethod
    def of(cls, parts: Iterable[Hidden | None]) -> Self | None:
        """Of these parts, or None if none of them hides anything."""
        parts = tuple(parts)
        return cls(parts) if any(part is not None for part in parts) else None

    def entropies(self) -> Array:
        return np.add.reduce([part.entropies() for part in self.parts if part is not None])
