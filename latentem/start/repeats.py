"""Repeated rows in a fit: the runs see each distinct row once, with its weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, final

import numpy as np

from latentem.core import Cache, Degenerate, LatentModel, Placed, unit_weight
from latentem.data import Rows
from latentem.data.distinct import distinct
from latentem.run import EM, Runner

Model = LatentModel[Any, Any, Any, Any]
T = TypeVar("T")
V = TypeVar("V", bound=Any)


def for_runs(model: Model, chunks: Sequence[Any], runner: Runner) -> Sequence[Any]:
    """The chunks that runs go through: distinct rows with their weights where these are far fewer, else as they are.

    All that a run keeps are sums over rows in which a weight counts as copies do, so that it comes to the same, but
    for rounding. That holds for exact posteriors: a label that is drawn is another one for each copy. And a component
    that moves to a row says the number of the row among all.
    """
    if type(runner) is not EM or not model.inference.exact or _moves(model):
        return chunks
    found = distinct(chunks)
    return chunks if found is None or not _takes_weights(model, chunks[0]) else found


def _moves(model: Model) -> bool:
    """Whether an empty component may move to a row: none does where the weights are learnt."""
    return model.clusters() is not None and ("weights",) not in {block.path for block in model.blocks()}


def _takes_weights(model: Model, chunk: Rows) -> bool:
    """Whether the model says that rows may have weights."""
    if chunk.weight is not None:
        return True
    try:
        return unit_weight(model.chunk(chunk.x[:1], np.ones(1))) is not None
    except (TypeError, ValueError):
        return False


@final
class InPlaceOfAll(Placed[Any]):
    """Distinct rows where an engine has placed them; of one that is refused, the number is that among all rows."""

    __slots__ = ("_all", "_placed")

    def __init__(self, placed: Placed[Any], every: Placed[Any]) -> None:
        self._placed, self._all = placed, every

    @property
    def costly(self) -> bool:
        return self._placed.costly

    def __len__(self) -> int:
        return len(self._placed)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._placed)

    def total(self, task: Callable[[Any, Cache], V]) -> V:
        try:
            return self._placed.total(task)
        except Degenerate as error:
            found = error
        if found.row is not None:
            self._all.total(task)  # which refuses the first copy of that row
        raise found

    def each(self, task: Callable[[Any], T]) -> list[T]:
        return self._placed.each(task)
