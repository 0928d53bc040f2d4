"""Transformers: models made from a model, which forward what they do not change."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve

from latentem.core import Block, Cache, Clustering, Event, Expectation, Inference, LatentModel, Path, Placed

if TYPE_CHECKING:  # a model made of another is written without its parameters where nobody asks for their type
    from typing_extensions import TypeVar

    P = TypeVar("P", default=Any)
else:
    from typing import TypeVar

    P = TypeVar("P")

Model = LatentModel[Any, Any, Any, Any]


class Transformed(LatentModel[Any, Any, Any, P]):
    """A model made from another one.

    It forwards everything but `expectation`, which stays composed of its own `posterior` and
    `statistics`: a transformer that changes q cannot run the inner model's kernel by mistake. Those
    that leave q alone derive from `SamePosterior`.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def inner(self) -> LatentModel[Any, Any, Any, P]:
        """The model that this one is made from."""

    @property
    def inference(self) -> Inference:
        return self.inner.inference

    def posterior(self, params: P, chunk: Any) -> Any:
        return self.inner.posterior(params, chunk)

    def statistics(self, chunk: Any, posterior: Any) -> Any:
        return self.inner.statistics(chunk, posterior)

    def log_joint(self, params: P, statistics: Any) -> float:
        return self.inner.log_joint(params, statistics)

    def blocks(self) -> Sequence[Block[Any, P]]:
        return self.inner.blocks()

    def m_step(self, statistics: Any, params: P) -> P:
        return self.inner.m_step(statistics, params)

    def first(self, statistics: Any) -> P:
        return self.inner.first(statistics)

    def log_prior(self, params: P) -> float:
        return self.inner.log_prior(params)

    def log_evidence(self, params: P, chunk: Any) -> Any:
        return self.inner.log_evidence(params, chunk)

    def sample(self, params: P, size: int, rng: Any) -> tuple[Any, Any]:
        return self.inner.sample(params, size, rng)

    def rounding(self, params: P) -> float:
        return self.inner.rounding(params)

    def cancellation(self, params: P, statistics: Any) -> float:
        return self.inner.cancellation(params, statistics)

    def shortcut(self, params: P, statistics: Any) -> Any:
        return self.inner.shortcut(params, statistics)

    def contradictions(self, params: P) -> Iterable[str]:
        return self.inner.contradictions(params)

    @property
    def noun(self) -> str:
        return self.inner.noun

    @property
    def classes(self) -> Sequence[Any] | None:
        return self.inner.classes

    def diagnose(self, params: P, statistics: Any) -> Sequence[Event]:
        return self.inner.diagnose(params, statistics)

    def lift(self, params: P, statistics: Any) -> tuple[P, Sequence[Event]]:
        return self.inner.lift(params, statistics)

    def attainable(self, statistics: Any, params: P, ahead: Any) -> Any:
        return self.inner.attainable(statistics, params, ahead)

    def describe(self, params: P, statistics: Any) -> Mapping[str, Any]:
        return self.inner.describe(params, statistics)

    def as_mixture(self, params: P, statistics: Any) -> tuple[Any, Any, Any]:
        return self.inner.as_mixture(params, statistics)

    def figures(self, params: P, statistics: Any) -> Mapping[str, float]:
        return self.inner.figures(params, statistics)

    def settled(self, data: Placed[Any]) -> Model:
        inner = self.inner.settled(data)
        return self if inner is self.inner else evolve(cast(Any, self), inner=inner)

    def clusters(self) -> Clustering | None:
        return self.inner.clusters()

    def guess(self, chunk: Any, seed: int) -> Any:
        return self.inner.guess(chunk, seed)

    def held(self, params: P, reference: P) -> P:
        return self.inner.held(params, reference)

    def drawn(self) -> Sequence[str]:
        return self.inner.drawn()

    def repair(
        self, model: Model, before: P, params: P, statistics: Any, chunks: Placed[Any]
    ) -> tuple[P, Sequence[Event]]:
        return self.inner.repair(model, before, params, statistics, chunks)

    def check(self, chunks: Sequence[Any], held: Set[Path] = frozenset()) -> None:
        self.inner.check(chunks, held)

    def check_params(self, params: P) -> None:
        self.inner.check_params(params)

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Any:
        return self.inner.chunk(data, weights, allowed)

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Any]:
        return self.inner.chunks(data, weights, allowed)


class SamePosterior(Transformed[P]):
    """A transformer that leaves q alone: it may run the inner model's own E-step."""

    __slots__ = ()

    def labels(self, params: P, chunk: Any) -> Any:
        return self.inner.labels(params, chunk)

    def abreast(self, params: P, chunk: Any, weightings: Any, steps: int = 1) -> Sequence[P] | None:
        return self.inner.abreast(params, chunk, weightings, steps)

    def expectation(self, params: P, chunk: Any, cache: Cache | None = None) -> Expectation[Any]:
        return self.inner.expectation(params, chunk, cache)

    def loops(self, rows: float) -> tuple[str, ...]:
        return self.inner.loops(rows)


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
