"""A conjugate prior, as pseudo-statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import attrs
from attrs import frozen

from latentem.core import Block, Event, LatentModel
from latentem.transform.transformed import P, SamePosterior


@final
@frozen(repr=False)
class WithPrior(SamePosterior[P]):
    """Maximum a posteriori under the conjugate prior that `pseudo` stands for.

    The pseudo-statistics are added before the M-step and scored by `log_joint` itself, so the prior
    cannot be one thing in the step and another in the objective.

    Attributes:
        inner: The model.
        pseudo: Statistics as of imagined data.
    """

    inner: LatentModel[Any, Any, Any, P]
    pseudo: Any

    def __repr__(self) -> str:
        return f"WithPrior({self.inner!r}, pseudo=<{type(self.pseudo).__name__}>)"

    def log_prior(self, params: Any) -> float:
        return self.inner.log_prior(params) + self.inner.log_joint(params, self.pseudo)  # (eq: conjugate-prior)

    def cancellation(self, params: Any, statistics: Any) -> float:
        return self.inner.cancellation(params, statistics) + self.inner.cancellation(params, self.pseudo)

    def blocks(self) -> Sequence[Block[Any, Any]]:
        return [self._informed(block) for block in self.inner.blocks()]

    def abreast(self, params: Any, chunk: Any, weightings: Any, steps: int = 1) -> None:
        return None  # the model inside knows nothing of the prior

    def first(self, statistics: Any) -> Any:
        return self.inner.first(statistics + self.pseudo)

    def diagnose(self, params: Any, statistics: Any) -> Sequence[Event]:
        return self.inner.diagnose(params, statistics + self.pseudo)

    def lift(self, params: Any, statistics: Any) -> tuple[Any, Sequence[Event]]:
        return self.inner.lift(params, statistics + self.pseudo)

    def shortcut(self, params: Any, statistics: Any) -> Any:
        found = self.inner.shortcut(params, statistics + self.pseudo)
        return None if found is None else found - self.pseudo

    def attainable(self, statistics: Any, params: Any, ahead: Any) -> Any:
        informed = statistics + self.pseudo
        moved = self.inner.attainable(informed, params, ahead + self.pseudo)
        return statistics if moved is informed else moved - self.pseudo

    def _informed(self, block: Block[Any, Any]) -> Block[Any, Any]:
        holding, identified = block.holding, block.identified
        return attrs.evolve(
            block,
            # (eq: conjugate-prior)
            maximize=lambda statistics, params: block.maximize(statistics + self.pseudo, params),
            holding=None if holding is None else lambda components: self._informed(holding(components)),
            identified=None
            if identified is None
            else lambda statistics, params: identified(statistics + self.pseudo, params),
        )
