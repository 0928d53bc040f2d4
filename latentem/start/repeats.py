"""Repeated rows in a fit: the runs see each distinct row once, with its weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentem.core import LatentModel, unit_weight
from latentem.data import Rows
from latentem.data.distinct import distinct
from latentem.run import EM, Runner

Model = LatentModel[Any, Any, Any, Any]


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
