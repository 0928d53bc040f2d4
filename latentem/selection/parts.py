"""Parts of data: some of their units, as a model takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentem.arrays import Labels, own
from latentem.core import can_be_cut
from latentem.data import Units
from latentem.data.units import joined
from latentem.tables import Admitted


def whole(given: Admitted) -> Any:
    """All the data in memory: one chunk of units, or, where they are of another kind, a list of chunks.

    Raises:
        TypeError: chunks of the model's own cannot be cut.
    """
    chunks = list(given.model.chunks(given.data, given.weights, given.allowed))
    if all(isinstance(chunk, Units) for chunk in chunks):
        return joined(chunks)
    if not all(map(can_be_cut, chunks)):
        raise TypeError(
            f"the data are chunks of type {type(chunks[0]).__name__}: give the class __len__ and __getitem__, so that "
            "slices of a chunk are chunks"
        )
    return chunks


def count(data: Any) -> int:
    """How many units there are."""
    return len(data) if isinstance(data, Units) else sum(map(len, data))


def part(data: Any, chosen: Labels) -> Any:
    """The units of these numbers, which ascend."""
    if not isinstance(data, Units):
        return _slices(data, chosen)
    rows, lengths = chosen, None
    if data.lengths is not None:
        ends = data.lengths.cumsum()
        rows = np.concatenate([np.arange(ends[i] - data.lengths[i], ends[i]) for i in chosen])
        lengths = data.lengths[chosen]
    weight = None if data.weight is None else own(data.weight[chosen])
    return data.of(own(data.x[rows]), lengths, weight, None if data.allowed is None else data.allowed[rows])


def _slices(chunks: Sequence[Any], chosen: Labels) -> list[Any]:
    """The same of chunks that can only be cut: a slice for each run of neighbours."""
    found, before = [], 0
    for chunk in chunks:
        mine = chosen[(chosen >= before) & (chosen < before + len(chunk))] - before
        before += len(chunk)
        if len(mine):
            runs = np.split(mine, np.flatnonzero(np.diff(mine) > 1) + 1)
            found += [chunk[int(run[0]) : int(run[-1]) + 1] for run in runs]
    return found
