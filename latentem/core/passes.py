"""Passes over the data: the E-step, and the two figures that are asked of a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar, final

from latentem.core.additive import Numbers, Vector, tree_sum
from latentem.core.chunk import unit_weight
from latentem.core.engine import Cache, Placed
from latentem.core.expectation import Expectation
from latentem.core.model import LatentModel

S = TypeVar("S", bound=Vector)
T = TypeVar("T")
V = TypeVar("V", bound=Vector)
Model = LatentModel[Any, Any, Any, Any]


@final
class InOrder(Placed[Any]):
    """Chunks where they are, one after the other: what is done without an engine."""

    __slots__ = ("_chunks",)

    def __init__(self, chunks: Sequence[Any]) -> None:
        self._chunks = chunks

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._chunks)

    def total(self, task: Callable[[Any, Cache], V]) -> V:
        return tree_sum(task(chunk, {}) for chunk in self._chunks)

    def each(self, task: Callable[[Any], T]) -> list[T]:
        return [task(chunk) for chunk in self._chunks]


def placed(model: Model, data: Any) -> Placed[Any]:
    """The chunks of the data: as an engine has placed them, or as the model cuts them."""
    if isinstance(data, Placed):
        return data
    return InOrder(model.chunks(list(data) if isinstance(data, Iterator) else data))


def e_step(model: LatentModel[Any, Any, S, Any], params: Any, data: Any) -> Expectation[S]:
    """The E-step: the expectations of the chunks, summed as a tree in their order.

    Args:
        model: The model.
        params: Where it is taken.
        data: What `model.chunks` takes, or chunks that an engine has placed.
    """
    total: Expectation[S] = placed(model, data).total(e_half(model, params))
    return total


def e_half(model: Model, params: Any) -> Callable[[Any, Cache], Expectation[Any]]:
    """The E-step at some parameters as a task for a pass: what it leaves of each chunk."""
    return partial(model.expectation, params)


def objective(model: LatentModel[Any, Any, S, Any], params: Any, expectation: Expectation[S]) -> float:
    """The objective that both half steps raise, in nats: Q + temperature x H + log prior, the hidden H taken once."""
    tempered = model.inference.tempered(expectation)
    return model.log_joint(params, expectation.statistics) + tempered + model.log_prior(params)


def log_likelihood(model: Model, params: Any, data: Any) -> float:
    """log p(data | params) in nats: the log evidence of the units, each times its weight.

    Args:
        model: The model.
        params: Its parameters.
        data: What `model.chunks` takes, or chunks that an engine has placed.

    Raises:
        Unavailable: the model has no `log_evidence`.
    """
    return tree_sum(placed(model, data).each(partial(_evidence, model, params)))


def evidence_of(model: Model, params: Any, chunk: Any) -> Any:
    """log p(x | params) of each unit of a chunk in nats, shape (units,).

    Raises:
        TypeError: the model gives another shape.
        Unavailable: it has no `log_evidence`.
    """
    evidence, units = model.log_evidence(params, chunk), len(chunk)
    if not isinstance(evidence, Numbers) or evidence.shape != (units,):
        what = f"an array of shape {evidence.shape}" if isinstance(evidence, Numbers) else repr(evidence)
        raise TypeError(
            f"{type(model).__name__}.log_evidence gave {what}: it must be an array of shape ({units},), a number a unit"
        )
    return evidence


def _evidence(model: Model, params: Any, chunk: Any) -> float:
    evidence, weight = evidence_of(model, params, chunk), unit_weight(chunk)
    if weight is not None:
        evidence = weight[weight > 0] * evidence[weight > 0]
    return float(evidence.sum())
