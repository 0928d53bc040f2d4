"""Weights and transitions: probabilities that are learnt from counts."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from attrs import field, frozen
from scipy.special import xlogy

from latentem.arrays import Array, own
from latentem.core import Block, Identified, Learnable
from latentem.numerics.shares import held_back, shares

ROUNDING = 1e-9
"""How far a sum of probabilities may be from one."""


def _at_least_zero(instance: Any, attribute: Any, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{attribute.name} was given as {value!r}: give a finite number, at least 0")


@final
@frozen
class PseudoCounts:
    """Weights ~ Dirichlet(1 + count, ..., 1 + count): as if `count` more units were in every component."""

    count: float = field(default=1.0, validator=_at_least_zero)

    def log_density(self, probabilities: Array) -> float:
        """log p(probabilities) up to a constant, in nats, summed over all of them."""
        return float(xlogy(self.count, probabilities).sum())  # (eq: pseudo-counts)


NO_COUNTS = PseudoCounts(0.0)


def refuse_off_simplex(name: str, probabilities: Array) -> None:
    """Refuse what are no probabilities along the last axis.

    Raises:
        ValueError: one is negative, or they do not sum to one.
    """
    if not ((probabilities >= 0).all() and (abs(probabilities.sum(axis=-1) - 1) <= ROUNDING).all()):
        sums = probabilities.sum(axis=-1)
        raise ValueError(
            f"{name} were given as {probabilities}, which sum to {sums}: they must be at least 0 and sum to 1"
        )


@frozen
class Probabilities(Learnable[Array, Array]):
    """Probabilities along the last axis, from expected counts of the same shape.

    Attributes:
        prior: Its pseudo-counts are added.
    """

    prior: PseudoCounts = NO_COUNTS

    def log_joint(self, params: Array, statistics: Array) -> float:
        return float(xlogy(statistics, params).sum())

    def log_prior(self, params: Array) -> float:
        return self.prior.log_density(params)

    def blocks(self) -> Sequence[Block[Array, Array]]:
        return [self.block()]

    def attainable(self, statistics: Array, params: Array, ahead: Array) -> Array:
        counts, more = statistics + self.prior.count, ahead + self.prior.count
        moved = held_back(counts, params, more)
        return statistics if moved is counts else own(moved - self.prior.count)

    @abc.abstractmethod
    def block(self, held: tuple[int, ...] = ()) -> Block[Array, Array]:
        """The block, with the components of these numbers as they are."""


@final
@frozen
class Simplex(Probabilities):
    """One vector of probabilities, shape (k,): counts over their sum. The others share what held ones leave."""

    def first(self, statistics: Array) -> Array:
        return shared(statistics + self.prior.count)

    def m_step(self, statistics: Array, params: Array) -> Array:
        # (eq: pseudo-counts, weights)
        return shared(_none_below_zero(statistics + self.prior.count, params))

    def block(self, held: tuple[int, ...] = ()) -> Block[Array, Array]:
        def maximize(counts: Array, current: Array) -> Array:
            # (eq: pseudo-counts, weights)
            return shared(_none_below_zero(counts + self.prior.count, current), held, current[list(held)])

        def identified(counts: Array, current: Array) -> Identified:
            return Identified(max(int(np.count_nonzero(np.delete(current, held))) - 1, 0))  # what is zero stays zero

        return Block(
            path=(),
            maximize=maximize,
            identified=identified,
            size=lambda current: max(len(current) - 1 - len(held), 0),
            holding=lambda more: self.block((*held, *more)),
            place=lambda value, components, values: _held_at(value, held, components, values),
        )


@final
@frozen
class SimplexRows(Probabilities):
    """One distribution a row, shape (k, k): each row is maximised, or held, alone; a row without counts stays."""

    def first(self, statistics: Array) -> Array:
        return shares(statistics + self.prior.count, 1 / statistics.shape[1])

    def block(self, held: tuple[int, ...] = ()) -> Block[Array, Array]:
        def maximize(counts: Array, current: Array) -> Array:
            new = shares(_none_below_zero(counts + self.prior.count, current), current)
            new[list(held)] = current[list(held)]
            return new

        def place(value: Array, rows: tuple[int, ...], values: Any) -> Array:
            new = value.copy()
            new[list(rows)] = values
            return new

        def identified(counts: Array, current: Array) -> Identified:
            free = np.delete(current, held, axis=0)
            return Identified(int(np.maximum(np.count_nonzero(free, axis=1) - 1, 0).sum()))

        return Block(
            path=(),
            maximize=maximize,
            identified=identified,
            size=lambda current: (len(current) - len(held)) * (current.shape[1] - 1),
            holding=lambda more: self.block((*held, *more)),
            place=place,
        )


def _none_below_zero(counts: Array, current: Array) -> Array:
    """Counts as data have them. A running sum may make one negative that vanishes: a tenth of its share is left."""
    if counts.min() >= 0:
        return counts
    return np.where(counts < 0, 0.1 * current * np.maximum(counts, 0).sum(axis=-1, keepdims=True), counts)


def log_of(probabilities: Array) -> Array:
    """Log probabilities in nats; minus infinity for zero."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def shared(counts: Array, held: tuple[int, ...] = (), values: Any = ()) -> Array:
    """Weights with some held at values, and what they leave shared out in proportion to counts."""
    if not len(held):
        return own(shares(counts, 1 / len(counts)))
    free = np.ones(len(counts), dtype=bool)
    free[list(held)] = False
    # (eq: weights)
    new = np.zeros(len(counts))
    new[list(held)] = values
    new[free] = max(1 - new.sum(), 0.0) * shares(counts[free], 1 / max(free.sum(), 1))
    return own(new)


def _held_at(field: Array, held: tuple[int, ...], components: tuple[int, ...], values: Any) -> Array:
    """Weights with some components at values, what is held already as it is, and the rest shared out."""
    earlier = [j for j in held if j not in components]
    return shared(
        field, (*earlier, *components), np.concatenate([field[earlier], np.broadcast_to(values, len(components))])
    )
