"""The E-step over chunks, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from attrs import frozen

from latentem.core.additive import Additive, Vector, tree_sum

if TYPE_CHECKING:
    from latentem.core.model import LatentModel

S = TypeVar("S", bound=Vector)


@final
@frozen
class Expectation(Additive, Generic[S]):
    """What an E-step leaves behind: q itself is dropped.

    Attributes:
        statistics: Expected sufficient statistics.
        entropy: H[q] in nats.
        observations: How much the data count: the sum of the weights of the units.
    """

    statistics: S
    entropy: float
    observations: float


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
