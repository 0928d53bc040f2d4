"""Stochastic EM: a fresh draw of the latents at every step, and an average."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Placed, e_half
from latentem.run import EM, Ending, Runner, State, Status
from latentem.run.audit import Pass, audit
from latentem.run.course import next_state
from latentem.run.em import first_turn
from latentem.run.ledger import Ledger, Turn
from latentem.run.runner import Model, Run, whole
from latentem.transform import Sampled


@final
@frozen
class Stochastic(Runner):
    """Stochastic EM (Celeux and Diebolt, 1985; Nielsen, 2000): an E-step that draws, with a new seed each time.

    The parameters become a Markov chain around the maximum, which leaves saddles and small maxima by
    itself. The statistics of the draws after the burn-in are averaged; one M-step at their mean gives the
    parameters that are returned, and one plain E-step the books of the result, as of plain EM.

    Until then a Step, of kind "drawn", has the books of its draw: H = 0, and the bound is log p(x, z) at
    the z drawn. The M half is audited; the E half, a draw, may lose, and says how much. The last Step, of kind
    "average", compares with none before it, so it has no gains. A run is never converged: the result is
    near the maximum (off by the order of one over the number of draws, and of observations), and
    plain EM from there finds it. Where components change places during the chain the average means nothing.

    Attributes:
        steps: How many draws are made.
        burn_in: How many of them do not enter the average; fewer than `steps`.
        seed: Of the draws: step t draws with `seed + t`.
    """

    steps: int = field(default=1000, validator=whole(1, "steps"))
    burn_in: int = field(default=200, validator=whole(0, "steps"))
    seed: int = field(default=0, validator=whole(0))

    def __attrs_post_init__(self) -> None:
        if self.burn_in >= self.steps:
            raise ValueError(f"burn_in is {self.burn_in} of {self.steps} steps: nothing is left to be averaged")

    @property
    def trial(self) -> int | None:
        return None

    def stepwise(self, model: Model, params: Any, chunks: Placed[Any]) -> Run:
        """A State after each draw, and one at the average, which has the status.

        A run that fails ends at the last sound parameters, with a step of kind "full": a plain E-step.

        Raises:
            Unavailable: the posterior has no draw.
        """
        model.check_params(params)
        ledger = Ledger(model)
        first = yield from first_turn(Sampled(model, self.seed), params, ledger)
        loop = EM(stop=lambda state: None, max_steps=self.steps - 1).loop(
            model, chunks, ledger, first, ahead=self._draw
        )
        total: Any = None
        end: State[Any, Any] | None = None
        while (state := (yield from next_state(loop))) is not None:
            if end is not None and state.step.index == end.step.index:  # the next draw failed
                end = state
                break
            end = state
            if ledger.index > self.burn_in:
                total = state.expectation.statistics if total is None else total + state.expectation.statistics
            yield evolve(state, status=None)
        assert end is not None
        # The books of the result are those of a plain E-step, for those of a draw are not comparable.
        kind, params, status = "full", end.params, end.status
        if end.step.index == self.steps - 1:
            try:
                params = model.m_step(1 / (self.steps - self.burn_in) * total, end.params)  # (eq: stochastic)
                sentence = f"after {self.steps} draws, as asked; the last {self.steps - self.burn_in} were averaged"
                kind, status = "average", Status(Ending.STOPPED, sentence)
                expectation = yield e_half(model, params)
                now = Pass.of(model, params, expectation)
            except Degenerate as error:
                kind, params, status = "full", end.params, Status(Ending.DEGENERATE, str(error))
        if kind == "full":
            now = Pass.of(model, params, (yield e_half(model, params)))
        ledger.passes += 1
        yield evolve(ledger.record(Turn(kind, now)), status=status)

    def _draw(self, model: Model, now: Pass, following: Any, ledger: Ledger) -> Generator[Any, Any, Turn]:
        """The E half that draws, and the audit, which lets a draw lose."""
        drawn = Sampled(model, self.seed + ledger.index)
        new = Pass.of(drawn, following, (yield e_half(drawn, following)))
        ledger.passes += 1
        return Turn("drawn", new, audit(Sampled(model), now, new, f"step {ledger.index}"))
