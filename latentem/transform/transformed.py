"""What every transformer shares: it is a model, and forwards what it does not change."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from latentem.core import Block, Cache, Event, Expectation, Half, LatentModel, Path

Model = LatentModel[Any, Any, Any, Any]


class Transformed(LatentModel[Any, Any, Any, Any]):
    """A model made from another one.

    It forwards everything but `expectation`, which stays composed of its own `posterior` and
    `statistics`: a transformer that changes q cannot run the inner model's kernel by mistake. Those
    that leave q alone derive from `SamePosterior`.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def inner(self) -> Model:
        """The model that this one is made from."""

    @property
    def exact(self) -> bool:
        return self.inner.exact

    @property
    def smooth(self) -> bool:
        return self.inner.smooth

    @property
    def audited(self) -> frozenset[Half]:
        return self.inner.audited

    @property
    def temperature(self) -> float:
        return self.inner.temperature

    def posterior(self, params: Any, chunk: Any) -> Any:
        return self.inner.posterior(params, chunk)

    def statistics(self, chunk: Any, posterior: Any) -> Any:
        return self.inner.statistics(chunk, posterior)

    def log_joint(self, params: Any, statistics: Any) -> float:
        return self.inner.log_joint(params, statistics)

    def blocks(self) -> Sequence[Block[Any, Any]]:
        return self.inner.blocks()

    def first(self, statistics: Any) -> Any:
        return self.inner.first(statistics)

    def log_prior(self, params: Any) -> float:
        return self.inner.log_prior(params)

    def log_evidence(self, params: Any, chunk: Any) -> Any:
        return self.inner.log_evidence(params, chunk)

    def sample(self, params: Any, size: int, rng: Any) -> tuple[Any, Any]:
        return self.inner.sample(params, size, rng)

    def rounding(self, params: Any) -> float:
        return self.inner.rounding(params)

    def cancellation(self, params: Any, statistics: Any) -> float:
        return self.inner.cancellation(params, statistics)

    def diagnose(self, params: Any, statistics: Any) -> Sequence[Event]:
        return self.inner.diagnose(params, statistics)

    def lift(self, params: Any, statistics: Any) -> tuple[Any, Sequence[Event]]:
        return self.inner.lift(params, statistics)

    def describe(self, params: Any, statistics: Any) -> Mapping[str, Any]:
        return self.inner.describe(params, statistics)

    def check(self, chunks: Sequence[Any], held: Set[Path] = frozenset()) -> None:
        self.inner.check(chunks, held)

    def check_params(self, params: Any) -> None:
        self.inner.check_params(params)

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Any:
        return self.inner.chunk(data, weights, allowed)

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Any]:
        return self.inner.chunks(data, weights, allowed)


class SamePosterior(Transformed):
    """A transformer that leaves q alone: it may run the inner model's own E-step."""

    __slots__ = ()

    def labels(self, params: Any, chunk: Any) -> Any:
        return self.inner.labels(params, chunk)

    def expectation(self, params: Any, chunk: Any) -> Expectation[Any]:
        return self.inner.expectation(params, chunk)

    def recalled(self, params: Any, chunk: Any, cache: Cache) -> Expectation[Any]:
        if type(self).expectation is not SamePosterior.expectation:
            return self.expectation(params, chunk)
        return self.inner.recalled(params, chunk, cache)


def layers(model: Model) -> Iterator[Model]:
    """The model, the one inside it, and so on to the innermost."""
    yield model
    while isinstance(model, Transformed):
        model = model.inner
        yield model


def innermost(model: Model) -> Model:
    """The model under all transformers."""
    *_, last = layers(model)
    return last
