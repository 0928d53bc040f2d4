"""A family among rows that it could not have drawn: their density is zero, and it does not see them."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.core import Hidden
from latentem.family.base import Family, Mask


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
