"""The remedy of K-means for an empty cluster, as a repair that the runner audits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, Labels
from latentem.core import Cache, Event, LatentModel, Placed
from latentem.data import Rows

if TYPE_CHECKING:
    from latentem.model.mixture import Mixture

Model = LatentModel[Any, Any, Any, Any]
Remoteness = Callable[[Any, Any, Rows, Cache], tuple[Array, Labels]]
"""From the parameters before and after an M half: what orders the rows of a chunk, shape (n,), and their labels."""
_BLOCK = 2**18
"""Numbers in the tables of a block of rows, (rows, k)."""


@final
@frozen
class Candidate:
    """A row to which an empty component may move.

    Attributes:
        likelihood: Log density of the row under its own component, or what orders rows alike.
        row: Its number in its chunk.
        x: Its values, shape (d,).
        label: Its own component.
        allowed: The empty components that it may belong to.
    """

    likelihood: float
    row: int
    x: Array
    label: int
    allowed: frozenset[int]


def reseeded(
    base: Mixture,
    model: Model,
    before: Any,
    params: Any,
    statistics: Any,
    chunks: Placed[Any],
    remoteness: Remoteness | None = None,
) -> tuple[Any, Sequence[Event]]:
    """Move each empty component to the row that is least likely under its own component (ties: the lowest row).

    Only where the weights are held: then the location of an empty component does not enter Q, and
    the move is free. With learnt weights an empty component stays, and is an event.

    Args:
        base: The mixture.
        model: The model that is fitted, made of it.
        before: The parameters before the M half.
        params: Those after it.
        statistics: What it maximised at.
        chunks: The data.
        remoteness: What orders rows as their log densities do, without a table of these; zero at their own centre.
    """
    units = statistics.weights[: base.k - base.background]  # noise has no place to move to
    if units.all():
        return params, ()
    empty = np.flatnonzero(units == 0).tolist()
    blocks = {block.path: block for block in model.blocks()}
    seen = model.log_prior(params) != base.log_prior(params)  # a prior on the means would see the move
    if ("weights",) in blocks or base.location not in blocks or seen:
        return params, ()
    order_by = remoteness or partial(_likelihood, model, base)
    task: Any = partial(_candidates, order_by, before, params, empty)
    found = chunks.total(task)  # lists add up in the order of the chunks
    begins = np.cumsum([0, *(length for length, _ in found)]).tolist()
    candidates = [(begin + each.row, each) for begin, (_, some) in zip(begins, found, strict=False) for each in some]
    candidates.sort(key=lambda numbered: (numbered[1].likelihood, numbered[0]))
    events = []
    for j in empty:
        for row, candidate in candidates:
            if j not in candidate.allowed:
                continue
            alone = base.gathered(Rows(candidate.x[None]), np.eye(base.k)[[j]])
            moved = blocks[base.location].apply(alone, params)
            if moved == params:
                break  # it is held
            if candidate.likelihood == 0 if remoteness is not None else _central(base, moved, candidate, j):
                continue  # it sits on its own centre: a second one there would be as empty
            params = moved
            candidates = [other for other in candidates if not np.array_equal(other[1].x, candidate.x)]
            events.append(
                Event(
                    "reseeded",
                    f"component {j} was empty and was moved to row {row}",
                    "nothing needs to be done; where it happens often, use fewer components",
                    j,
                    str(base.location[-1]),
                )
            )
            break
    return params, events


def _candidates(
    remoteness: Remoteness, before: Any, params: Any, empty: list[int], chunk: Rows, cache: Cache
) -> list[tuple[int, list[Candidate]]]:
    """The rows of one chunk that may be chosen: for each empty component, as many different ones as are empty."""
    own, labels = remoteness(before, params, chunk, cache)
    if chunk.weight is not None:
        own = np.where(chunk.weight > 0, own, np.inf)
    order = np.argsort(own, kind="stable")
    order = order[: np.searchsorted(own[order], np.inf)]  # not those that do not count
    orders = [order] if chunk.allowed is None else [order[chunk.allowed[order, j]] for j in empty]
    chosen = {row for each in orders for row in _different(chunk.x, each, len(empty))}
    every = frozenset(empty)
    some = [
        Candidate(
            float(own[row]),
            row,
            np.array(chunk.x[row]),
            int(labels[row]),
            every if chunk.allowed is None else frozenset(j for j in empty if chunk.allowed[row, j]),
        )
        for row in sorted(chosen)
    ]
    return [(len(chunk), some)]


def _different(x: Array, order: Labels, count: int) -> list[int]:
    """The first rows in an order, so many that `count` of them differ, or all that differ."""
    length = count
    while True:
        first = np.unique(x[order[:length]], axis=0, return_index=True)[1]
        if len(first) >= count or length >= len(order):
            rows: list[int] = order[np.sort(first)[:count]].tolist()
            return rows
        length *= 4


def _likelihood(
    model: Model, base: Mixture, before: Any, params: Any, chunk: Rows, cache: Cache
) -> tuple[Array, Labels]:
    """The log density of each row under its most probable component, and which that is."""
    size = max(1, _BLOCK // base.k)
    parts = []
    for begin in range(0, len(chunk), size):
        part = chunk[begin : begin + size]
        labels = model.posterior(before, part).labels()
        density = base.family.log_density(params.components, part.x)
        parts.append((density[np.arange(len(part)), labels], labels))
    own, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    return own, labels


def _central(base: Mixture, moved: Any, candidate: Candidate, j: int) -> bool:
    """Whether a component that is moved to a row explains it no better than its own does."""
    there = base.family.log_density(moved.components, candidate.x[None])[0, j]
    return not there > candidate.likelihood
