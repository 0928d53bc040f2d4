"""Other posteriors for the same model: hard, tempered, sampled."""

from __future__ import annotations

from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import (
    Cache,
    Expectation,
    HasDraw,
    HasMode,
    HasPower,
    Inference,
    LatentModel,
    Posterior,
    Unavailable,
    observations,
)
from latentem.transform.transformed import P, Transformed


@final
@frozen
class Hard(Transformed[P]):
    """Every unit wholly at the mode of its posterior: K-means, classification EM, Viterbi training.

    The entropy is zero, so the bound is the classification log likelihood (Celeux and Govaert, 1992).
    """

    inner: LatentModel[Any, Any, Any, P]

    @property
    def inference(self) -> Inference:
        # The entropy of a point mass is zero, so no temperature of the inner model is left in the objective.
        return evolve(self.inner.inference, exact=False, smooth=False, temperature=1.0)

    def posterior(self, params: Any, chunk: Any) -> Posterior:
        inner = self.inner.posterior(params, chunk)
        if not isinstance(inner, HasMode):
            raise Unavailable(f"{type(inner).__name__} has no mode: Hard needs latents that can be counted")
        return inner.mode()  # (eq: hard)


def _positive(instance: Any, attribute: Any, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} was given as {value!r}: it must be positive and finite")


@final
@frozen
class Tempered(Transformed[P]):
    """The posterior of the labels raised to the power `beta`, as in deterministic annealing (Ueda and Nakano, 1998).

    Both half steps raise Q + H[q(z)] / beta, plus the entropy of what else is hidden given a label z, such as missing
    cells: that keeps its distribution. (Tempered too, missing cells would widen at each step: where a larger share
    than beta of a column is missing there would be no maximum.) The reported bound is Q + H, below the log evidence.
    """

    inner: LatentModel[Any, Any, Any, P]
    beta: float = field(validator=_positive)

    @property
    def inference(self) -> Inference:
        inner = self.inner.inference
        return evolve(inner, exact=False, temperature=inner.temperature / self.beta)

    def posterior(self, params: Any, chunk: Any) -> Posterior:
        return self._raised(params, chunk)

    def expectation(self, params: Any, chunk: Any, cache: Cache | None = None) -> Expectation[Any]:
        posterior = self._raised(params, chunk)
        entropy = posterior.entropy()
        hidden = entropy - posterior.latent_entropy()
        return Expectation(self.statistics(chunk, posterior), entropy, observations(chunk), hidden)

    def _raised(self, params: Any, chunk: Any) -> HasPower:
        inner = self.inner.posterior(params, chunk)
        raised = inner.power(self.beta) if isinstance(inner, HasPower) else inner
        if not isinstance(raised, HasPower):
            raise Unavailable(f"{type(inner).__name__} has no power: Tempered cannot raise it to {self.beta}")
        return raised


@final
@frozen
class Sampled(Transformed[P]):
    """One draw from the posterior in its place: stochastic EM (Celeux and Diebolt, 1985).

    The draw is a pure function of q and the seed, so a run can be repeated; one whose draw leaves the
    same statistics twice has come to rest. Only the M half is audited: a draw may lose.
    """

    inner: LatentModel[Any, Any, Any, P]
    seed: int = 0

    @property
    def inference(self) -> Inference:
        return evolve(self.inner.inference, exact=False, smooth=False, audited={"M"})

    def posterior(self, params: Any, chunk: Any) -> Posterior:
        inner = self.inner.posterior(params, chunk)
        if not isinstance(inner, HasDraw):
            raise Unavailable(f"{type(inner).__name__} has no draw: Sampled cannot sample from it")
        return inner.draw(self.seed)  # (eq: sampled)
