"""Passes over the data: the E-step, and the two figures that are asked of a whole data set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, TypeVar

from latentem.core.additive import Vector, tree_sum
from latentem.core.engine import Cache, Placed
from latentem.core.expectation import Expectation
from latentem.core.model import LatentModel

S = TypeVar("S", bound=Vector)
Model = LatentModel[Any, Any, Any, Any]


def placed(model: Model, data: Any) -> Any:
    """The chunks of the data: as an engine has placed them, or as the model cuts them."""
    return data if isinstance(data, Placed) else model.chunks(data)


def e_step(model: LatentModel[Any, Any, S, Any], params: Any, chunks: Iterable[Any]) -> Expectation[S]:
    """The E-step: the expectations of the chunks, summed as a tree in their order."""
    if isinstance(chunks, Placed):
        total: Expectation[S] = chunks.total(partial(_recalled, model, params))
        return total
    return tree_sum(model.expectation(params, chunk) for chunk in chunks)


def _recalled(model: Model, params: Any, chunk: Any, cache: Cache) -> Expectation[Any]:
    return model.recalled(params, chunk, cache)


def objective(model: LatentModel[Any, Any, S, Any], params: Any, expectation: Expectation[S]) -> float:
    """What both half steps raise, in nats: Q + temperature x H + log prior."""
    return (
        model.log_joint(params, expectation.statistics)
        + model.temperature * expectation.entropy
        + model.log_prior(params)
    )


def log_likelihood(model: Model, params: Any, chunks: Iterable[Any]) -> float:
    """log p(data | params) in nats: the log evidence of the units, each times its weight.

    Raises:
        Unavailable: the model has no `log_evidence`.
    """
    if isinstance(chunks, Placed):
        return tree_sum(chunks.each(partial(_evidence, model, params)))
    return tree_sum(_evidence(model, params, chunk) for chunk in chunks)


def _evidence(model: Model, params: Any, chunk: Any) -> float:
    evidence = model.log_evidence(params, chunk)
    weight = getattr(chunk, "weight", None)
    if weight is not None:
        evidence = weight[weight > 0] * evidence[weight > 0]
    return float(evidence.sum())
