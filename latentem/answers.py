"""Answers of a model about data, at given parameters, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from attrs import evolve

from latentem.arrays import Array, Labels
from latentem.core import ColumnError, Degenerate, HasLabels, HasPaths, LatentModel, RowError, Unavailable
from latentem.core.chunk import place_of, row_count
from latentem.numerics.arithmetic import own_arithmetic

Model = LatentModel[Any, Any, Any, Any]
P = TypeVar("P")
T = TypeVar("T")


@own_arithmetic
def each(ask: Callable[[P, Any], T], params: P, chunks: Sequence[Any]) -> list[T]:
    """The answers of a method for each chunk; an error that names a row says where in the data it is."""
    answers = []
    for i, chunk in enumerate(chunks):
        try:
            answers.append(ask(params, chunk))
        except (Degenerate, ColumnError, RowError) as error:
            if error.row is None:
                raise
            before = sum(row_count(chunks[j]) for j in range(i))
            raise error.put(place=place_of(before + error.row, chunks)) from None
    return answers


def marginals(model: Model, params: Any, chunk: Any) -> Array:
    """The posterior probability of each component for each row of a chunk, shape (n, k), if the latents are labels."""
    posterior = model.posterior(params, chunk)
    if not isinstance(posterior, HasLabels):
        raise Unavailable(f"{model!r} has no probabilities of labels: its latents are others; use posterior(data)")
    return posterior.marginals()


def paths(model: Model, params: Any, chunk: Any) -> list[Labels]:
    """The most probable path through each sequence of a chunk, shape (t,) each, if its units are sequences."""
    posterior = model.posterior(params, chunk)
    if not isinstance(posterior, HasPaths):
        raise Unavailable(f"{model!r} has no decode: its units are no sequences; use predict(data)")
    return posterior.paths()


def joint(model: Model, params: Any, chunks: Sequence[Any], labels: Any) -> Array:
    """log p(unit, labels | params) of each unit in nats, shape (units,): the evidence where only these are allowed.

    The labels, and the errors, are those of `Fit.log_joint`.
    """
    if isinstance(labels, list | tuple) and labels and np.ndim(labels[0]) == 1:
        labels = np.concatenate(labels)
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ValueError(f"labels of shape {given.shape} and type {given.dtype} were given: give a whole number a row")
    rows = sum(map(row_count, chunks))
    if len(given) != rows:
        raise ValueError(f"{len(given)} labels were given for {rows} rows: give one for each")
    left = iter(given)
    return np.concatenate(each(partial(_certain, model, left), params, chunks))


def _certain(model: Model, left: Any, params: Any, chunk: Any) -> Array:
    n, k = marginals(model, params, chunk).shape
    mine = np.fromiter(left, np.int64, n)  # what `left` gives next is for the next chunk
    if mine.min() < 0 or mine.max() >= k:
        raise ValueError(f"labels hold {mine.min() if mine.min() < 0 else mine.max()}: give 0 to {k - 1}")
    try:
        certain = evolve(chunk, allowed=np.eye(k, dtype=bool)[mine])
    except TypeError as error:
        raise Unavailable(f"{model!r} has no log_joint: its chunks take no known labels") from error
    return model.log_evidence(params, certain)
