"""Passes over the data: the E-step, and the two figures that are asked of a whole data set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from latentem.core.additive import Vector, tree_sum
from latentem.core.expectation import Expectation
from latentem.core.model import LatentModel

S = TypeVar("S", bound=Vector)


def e_step(model: LatentModel[Any, Any, S, Any], params: Any, chunks: Iterable[Any]) -> Expectation[S]:
    """The E-step: the expectations of the chunks, summed as a tree in their order."""
    return tree_sum(model.expectation(params, chunk) for chunk in chunks)


def objective(model: LatentModel[Any, Any, S, Any], params: Any, expectation: Expectation[S]) -> float:
    """What both half steps raise, in nats: Q + temperature x H + log prior."""
    return (
        model.log_joint(params, expectation.statistics)
        + model.temperature * expectation.entropy
        + model.log_prior(params)
    )


def log_likelihood(model: LatentModel[Any, Any, Any, Any], params: Any, chunks: Iterable[Any]) -> float:
    """log p(data | params) in nats: the log evidence of the units, each times its weight.

    Raises:
        Unavailable: the model has no `log_evidence`.
    """
    total = 0.0
    for chunk in chunks:
        evidence = model.log_evidence(params, chunk)
        weight = getattr(chunk, "weight", None)
        if weight is not None:
            evidence = weight[weight > 0] * evidence[weight > 0]
        total += float(evidence.sum())
    return total
