"""Values of families that are made of families, and what a family makes of rows that it could not all have drawn.

The density of the others is zero, and the family does not see them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any, Self, final

import numpy as np
from attrs import cmp_using, field, frozen

from latentem.arrays import Array, frozen_params, same
from latentem.core import Additive, Hidden, Path
from latentem.family.base import Family, Mask


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

    def combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        return type(self)(combine(one, another) for one, another in zip(self, other, strict=True))

    def __rmul__(self, factor: float) -> Self:
        return type(self)(factor * value for value in self)


def within(held: Set[Path], name: str | int) -> Set[Path]:
    """The blocks that are held of one part, by the part's own names."""
    return frozenset(path[1:] for path in held if path[:1] == (name,))


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


@final
@frozen
class OfSome:
    """q(h | z) of some of the rows; nothing else is hidden of the others.

    Attributes:
        hidden: Of those rows.
        rows: Which they are, boolean of shape (n,).
    """

    hidden: Hidden
    rows: Mask

    def entropies(self) -> Array:
        return spread(self.hidden.entropies(), self.rows, 0.0)


def spread(values: Array, rows: Mask, otherwise: float) -> Array:
    """Values of some rows, shape (m, k), among all, shape (n, k)."""
    if rows.all():
        return values
    whole = np.full((len(rows), values.shape[1]), otherwise)
    whole[rows] = values
    return whole


def infer_at(family: Family[Any, Any], params: Any, x: Array, rows: Mask) -> tuple[Array, Hidden | None]:
    """Log densities in nats, (n, k), minus infinity but in these rows; and q of what the family hides of them."""
    density, hidden = family.infer(params, _some(x, rows))
    some = hidden if hidden is None or rows.all() else OfSome(hidden, rows)
    return spread(density, rows, -np.inf), some


def statistics_at(family: Family[Any, Any], x: Array, weights: Array, hidden: Any, rows: Mask, total: Array) -> Any:
    """The family's statistics of these rows, as of a share of rows whose weights are `total` in all, shape (n,)."""
    own = hidden.hidden if isinstance(hidden, OfSome) else hidden
    seen, its = _some(x, rows), _some(weights, rows)
    gathered = family.statistics(seen, its) if own is None else family.expected(seen, its, own)
    return sharing_at(family, gathered, x, total, rows)


def sharing_at(family: Family[Any, Any], statistics: Any, x: Array, weight: Array, rows: Mask) -> Any:
    """The statistics of these rows as of a share of them; of none there is nothing to say."""
    return family.sharing(statistics, _some(x, rows), _some(weight, rows)) if rows.any() else statistics


def _some(values: Array, rows: Mask) -> Array:
    return values if rows.all() else values[rows]
