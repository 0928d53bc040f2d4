"""The remedy of K-means for an empty cluster, as a repair that the runner audits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentem.core import Event, LatentModel
from latentem.data import Rows
from latentem.model import Mixture
from latentem.run import State
from latentem.transform import innermost


def reseed_empty(
    model: LatentModel[Any, Any, Any, Any], state: State[Any, Any], params: Any, chunks: Sequence[Rows]
) -> tuple[Any, Sequence[Event]]:
    """Move each empty component to the row that is least likely under its own component (ties: the lowest row).

    Only where the weights are held: then the location of an empty component does not enter Q, and
    the move is free. With learnt weights an empty component stays, and is an event.
    """
    base = innermost(model)
    if not isinstance(base, Mixture):
        return params, ()
    empty = np.flatnonzero(state.expectation.statistics.weights == 0)
    blocks = {block.path: block for block in model.blocks()}
    if not len(empty) or ("weights",) in blocks or base.location not in blocks:
        return params, ()
    if model.log_prior(params) != base.log_prior(params):
        return params, ()  # a prior on the means would see the move
    chunks = list(chunks)
    x = np.concatenate([chunk.x for chunk in chunks])
    counts = np.concatenate([model.posterior(state.params, chunk).counts() for chunk in chunks])
    density = base.family.log_density(params.components, x)
    own = np.where(counts.sum(axis=1) > 0, density[np.arange(len(x)), counts.argmax(axis=1)], np.inf)
    allowed = None if chunks[0].allowed is None else np.concatenate([chunk.allowed for chunk in chunks])
    taken = np.zeros(len(x), dtype=bool)
    events = []
    for j in empty.tolist():
        for row in np.argsort(own, kind="stable"):
            if taken[row] or own[row] == np.inf or not (allowed is None or allowed[row, j]):
                continue
            moved = _at(base, blocks[base.location], params, x[row], j)
            if moved == params:
                break  # it is held
            if not base.family.log_density(moved.components, x[row : row + 1])[0, j] > own[row]:
                continue  # it sits on its own centre: a second one there would be as empty
            params = moved
            taken |= (x == x[row]).all(axis=1)
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


def _at(base: Mixture, block: Any, params: Any, row: Any, component: int) -> Any:
    chunk = Rows(row[None])
    return block.apply(base.gathered(chunk, np.eye(base.k)[[component]]), params)
