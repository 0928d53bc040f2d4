"""Coordinates where a field has fewer free numbers than entries, found by what its M-step can make of other data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Self, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, own
from latentem.core import Block, Expectation, LatentModel, Placed, Unavailable, get, put, unit_weight
from latentem.core.block import Path
from latentem.run.together import passes
from latentem.uncertainty.coordinates.chart import Free, made_free
from latentem.uncertainty.coordinates.strands import Index, Strand
from latentem.uncertainty.named import fields_of

Model = LatentModel[Any, Any, Any, Any]
_SHARE = 1e-3
"""How far statistics are moved towards those of other weights."""
_STILL = 1e-7
"""Change of an entry, beside the largest, below which it does not move at all."""
_MORE = 3
"""Data of other weights for each free number: of as many as there are numbers, directions would lie close together."""
_TINY = 1e-300
_RANK = 1e-6
"""Singular value, beside the largest, below which there is no direction."""


@final
@frozen(eq=False)
class ThroughMStep(Strand):
    """A field on the surface that its M-step leads to, by statistics that are moved along some directions.

    Attributes:
        path: Where the field is.
        index: (), for all of it.
        model: The model.
        params: The parameters at zero.
        statistics: Those that they maximise at.
        directions: As many changes of the statistics as there are free numbers.
    """

    path: Path
    index: Index
    model: Model
    params: Any
    statistics: Any
    directions: tuple[Any, ...]

    @property
    def size(self) -> int:
        return len(self.directions)

    def move(self, field: Array, u: Array) -> None:
        statistics = self.statistics
        for length, direction in zip(u, self.directions, strict=True):
            if length:
                statistics = statistics + float(length) * direction
        block = next(block for block in self.model.blocks() if block.path == self.path)
        field[...] = block.maximize(statistics, self.params)

    def without(self, coordinates: frozenset[int]) -> tuple[tuple[Index, ...], Self | None]:
        return (), self


def as_counted(model: Model, free: Free, statistics: Any, data: Placed[Any]) -> Free:
    """The free numbers with as many coordinates as the blocks of the model say that there are.

    Entries that no data move are left out, and a field with fewer free numbers than entries, such as covariances of
    one shape, gets coordinates through its M-step. Where other data could lead to more directions than there are free
    numbers, as with loadings, which may be turned, the coordinates stay: what is not determined is found later.

    Raises:
        Unavailable: a block with too few free numbers is no array.
        TypeError, ValueError: the chunks take no weights.
    """
    for block in model.blocks():
        params = free.chart.params
        mine = [strand for strand in free.chart.strands if _within(strand, block)]
        wanted = block.size(params)
        if sum(strand.size for strand in mine) <= wanted:
            continue
        tasks = [partial(_otherwise, model, params, seed) for seed in range(_MORE * wanted + 1)]
        ahead = [found.statistics - statistics for found in passes(tasks, data)]
        tangents = np.array([_tangent(block, params, statistics, direction) for direction in ahead])
        free = _without_still(free, block, tangents)
        mine = [strand for strand in free.chart.strands if _within(strand, block)]
        left, spread, _ = np.linalg.svd(tangents / (np.abs(tangents).max(axis=0) + _TINY), full_matrices=False)
        rank = int((spread > _RANK * spread[0]).sum())
        if sum(strand.size for strand in mine) > wanted >= rank:
            if not isinstance(get(params, block.path), np.ndarray):
                raise Unavailable(
                    f"{block.name} has {wanted} free numbers, and no array to move them in, so that there is no "
                    'information of it: use method="weighted", or divide the block into one for each array'
                )
            # those of which the field moves evenly in all its directions
            even = tuple(_mixed(ahead, factors) for factors in (left[:, :rank] / spread[:rank]).T)
            through = ThroughMStep(block.path, (), model, params, statistics, even)
            others = [strand for strand in free.chart.strands if strand not in mine]
            free = made_free(params, free.both, [*others, through], free.events)
    return free


def _mixed(directions: Sequence[Any], factors: Array) -> Any:
    total = float(factors[0]) * directions[0]
    for factor, direction in zip(factors[1:], directions[1:], strict=True):
        total = total + float(factor) * direction
    return total


def _within(strand: Strand, block: Block[Any, Any]) -> bool:
    return strand.path[: len(block.path)] == block.path


def _otherwise(model: Model, params: Any, seed: int, chunk: Any, cache: Any) -> Expectation[Any]:
    """An E-step as if the units counted otherwise."""
    other = np.random.default_rng(seed).exponential(size=len(chunk))
    weight = unit_weight(chunk)
    found: Expectation[Any] = model.expectation(
        params, evolve(chunk, weight=own(other if weight is None else other * weight))
    )
    return found


def _tangent(block: Block[Any, Any], params: Any, statistics: Any, direction: Any) -> Array:
    """How the numbers of a block move as its statistics do."""
    values = []
    for sign in (1, -1):
        new = block.maximize(statistics + sign * _SHARE * direction, params)
        moved = fields_of(put(params, block.path, new))
        values.append(np.concatenate([np.ravel(field) for at, field in moved if at[: len(block.path)] == block.path]))
    return (values[0] - values[1]) / (2 * _SHARE)


def _without_still(free: Free, block: Block[Any, Any], tangents: Array) -> Free:
    """Without the entries of a block that stay where they are, whatever the data."""
    moves = np.abs(tangents).max(axis=0)
    still = moves <= _STILL * moves.max(initial=0.0)
    begin = 0
    fixed: set[tuple[Path, Index]] = set()
    for path, field in fields_of(free.chart.params):
        if path[: len(block.path)] == block.path:
            shape = np.shape(field)
            here = still[begin : begin + np.size(field)].reshape(shape)
            fixed |= {(path, index) for index in np.ndindex(shape) if here[index]}
            begin += np.size(field)
    if not fixed:
        return free
    strands = [strand for strand in free.chart.strands if (strand.path, strand.index) not in fixed]
    both = [(one, scale) for one, scale in free.both if (one.path, one.index) not in fixed]
    return made_free(free.chart.params, both, strands, free.events)
