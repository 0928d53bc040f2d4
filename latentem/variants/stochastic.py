"""Stochastic EM: a fresh draw of the latents at every step, and an average."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, LatentModel, e_step, placed
from latentem.numerics.arithmetic import own_steps
from latentem.run import Ending, Runner, State, Status
from latentem.run.audit import Pass, audit
from latentem.run.ledger import UNKNOWN, Ledger
from latentem.run.runner import whole
from latentem.transform import Sampled

Model = LatentModel[Any, Any, Any, Any]


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

    It stands beside `fit` and not in `run/`, since it needs a transformer, and a runner may know none.

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

    @own_steps
    def iterate(self, model: Model, params: Any, data: Any) -> Generator[State[Any, Any], None, None]:
        """A State after each draw, and one at the average, which has the status.

        A run that fails ends at the last sound parameters, with a step of kind "full": a plain E-step.

        Raises:
            Unavailable: the posterior has no draw.
        """
        chunks = placed(model, data)
        model.check_params(params)
        ledger = Ledger(model)
        now = self._drawn(model, params, chunks, ledger)
        lifted = ledger.lift(params, now.expectation)
        if lifted is not params:
            now = self._drawn(model, lifted, chunks, ledger)
        kind, gained = "start", UNKNOWN
        total: Any = None
        while True:
            state = ledger.record(kind, now, gained)
            yield state
            ledger.resume()
            statistics, done = now.expectation.statistics, ledger.index
            if done > self.burn_in:
                total = statistics if total is None else total + statistics
            try:
                if done == self.steps:
                    mean = 1 / (self.steps - self.burn_in) * total
                    params = model.m_step(mean, now.params)
                    now = Pass.of(model, params, e_step(model, params, chunks))
                    break
                new = self._drawn(model, model.m_step(statistics, now.params), chunks, ledger)
            except Degenerate as error:
                yield self._failed(model, now, chunks, ledger, Status(Ending.DEGENERATE, str(error)))
                return
            gained, lost = audit(Sampled(model), now, new, f"step {done}")
            if lost is not None:
                yield self._failed(model, now, chunks, ledger, Status(Ending.OBJECTIVE_FELL, lost))
                return
            kind, now = "drawn", new
        ledger.passes += 1
        sentence = f"after {self.steps} draws, as asked; the last {self.steps - self.burn_in} were averaged"
        yield evolve(ledger.record("average", now), status=Status(Ending.STOPPED, sentence))

    def _failed(self, model: Model, now: Pass, chunks: Any, ledger: Ledger, status: Status) -> State[Any, Any]:
        ledger.passes += 1
        at = Pass.of(model, now.params, e_step(model, now.params, chunks))
        return evolve(ledger.record("full", at), status=status)

    def _drawn(self, model: Model, params: Any, chunks: Any, ledger: Ledger) -> Pass:
        drawn = Sampled(model, self.seed + ledger.index)
        ledger.passes += 1
        return Pass.of(drawn, params, e_step(drawn, params, chunks))
