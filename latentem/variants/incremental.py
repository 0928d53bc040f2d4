"""Incremental EM: an M-step after every chunk."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Expectation, Half, Placed, e_step, placed, tree_sum
from latentem.core.additive import FAN_IN
from latentem.numerics.arithmetic import own_steps
from latentem.run.audit import Pass, audit, movement
from latentem.run.ledger import UNKNOWN, Ledger
from latentem.run.runner import Model, Runner, Stop, a_rule, decide, whole
from latentem.run.step import Ending, State, Status
from latentem.run.stop import remaining_below


@final
@frozen
class Incremental(Runner):
    """Incremental EM (Neal and Hinton, 1998): after the E-step on each chunk, an M-step on all of them.

    The expectation of every chunk is kept, and a visit replaces one. Each chunk so has a q of its
    own, from the parameters of its last visit, and Q + H of the q's together is a lower bound at every
    moment: each half of each visit is audited as in plain EM, and with one chunk it is plain EM.

    A State comes after each pass. Its figures are those of its parameters under the q's as they are,
    so the bound is below the log evidence until the end. There a last E-step over all chunks at the
    same parameters, a step of kind "full", makes the result's books those of plain EM. A run that is
    stopped from outside reports the bound of the mixed q's.

    Where plain EM is slow, C chunks take (C + 1) / 2C of its passes; docs/mathematics.md, "Incremental EM".
    `remaining` takes the rate for that of plain EM, so it estimates too much rather than too little.

    The expectation of every chunk must fit into memory. Chunks should hold rows of all kinds: shuffle
    before cutting. Many small chunks cost an M-step each and gain little over eight.

    Attributes:
        stop: When to end: a stop rule, or any callable from a State to a Status or None.
        max_steps: The most passes that a run takes.
    """

    stop: Stop = field(factory=remaining_below, validator=a_rule)
    max_steps: int = field(default=10_000, validator=whole(0, "passes"))

    @own_steps
    def iterate(self, model: Model, params: Any, data: Any) -> Generator[State[Any, Any], None, None]:
        """A State after each pass. The last one has a status, and its q is the one of its parameters.

        A run that fails in a half step ends with the State after the last sound pass, once more, with its status.
        """
        chunks = placed(model, data)
        model.check_params(params)
        ledger = Ledger(model)
        kept = _kept(model, params, chunks, ledger)
        lifted = ledger.lift(params, kept.total)
        if lifted is not params:
            params, kept = lifted, _kept(model, lifted, chunks, ledger)
        now = Pass.of(model, params, kept.total)
        kind, gained, status = "start", UNKNOWN, None
        entered, previous = params, None  # the first parameters of a pass, and the statistics that they maximise at
        while status is None:
            statistics, moved = now.expectation.statistics, math.nan
            try:
                following = model.m_step(statistics, now.params)
                if previous is not None:
                    moved = movement(model, entered, following, statistics, previous)
            except Degenerate as error:
                status = Status(Ending.DEGENERATE, str(error))
            state = ledger.record(kind, now, gained, moved)
            status = status or decide(self.stop, self.max_steps, state)
            if status is not None and (kind == "start" or len(chunks) == 1):
                state = evolve(state, status=status)  # every q is that of the parameters already
            yield state
            if state.status is not None:
                return

            ledger.resume()
            lost, before = None, now
            try:
                if status is None:
                    kind, entered, previous = "incremental", following, statistics
                    now, gained, lost = _pass(model, now, following, kept, chunks, ledger.index)
                else:
                    kind, now = "full", Pass.of(model, now.params, e_step(model, now.params, chunks))
                    gained, lost = audit(model, before, now, f"step {ledger.index}")
            except Degenerate as error:
                yield state.ended(Ending.DEGENERATE, str(error))
                return
            if lost is not None:
                yield state.ended(Ending.OBJECTIVE_FELL, lost)
                return
            ledger.passes += 1
        yield evolve(ledger.record(kind, now, gained), status=status)


def _kept(model: Model, params: Any, chunks: Placed[Any], ledger: Ledger) -> SumTree:
    ledger.passes += 1
    return SumTree([model.expectation(params, chunk) for chunk in chunks])


def _pass(
    model: Model, now: Pass, following: Any, kept: SumTree, chunks: Placed[Any], step: int
) -> tuple[Pass, dict[Half, float], str | None]:
    """One visit to each chunk, from the parameters that follow `now`: where they lead, what they gained, a loss."""
    gained: dict[Half, float] = {"E": 0.0, "M": 0.0}
    for number, chunk in enumerate(chunks):
        if number > 0:
            following = model.m_step(now.expectation.statistics, now.params)
        kept.replace(number, model.expectation(following, chunk))
        new = Pass.of(model, following, kept.total)
        more, lost = audit(model, now, new, f"step {step} at chunk {number + 1} of {len(chunks)}")
        if lost is not None:
            return now, gained, lost
        gained = {half: gained[half] + more[half] for half in gained}
        now = new
    return now, gained, None


@final
class SumTree:
    """The tree of `tree_sum`, kept: one value can be replaced in as many additions as the tree is high.

    The total is that of `tree_sum` over the values as they are, to the bit: nothing is ever
    subtracted, so rounding does not build up however often values are replaced.
    """

    def __init__(self, values: Sequence[Expectation[Any]]) -> None:
        self._levels = [list(values)]
        while len(self._levels[-1]) != 1:
            below = self._levels[-1]
            self._levels.append([tree_sum(below[i : i + FAN_IN]) for i in range(0, max(len(below), 1), FAN_IN)])

    @property
    def total(self) -> Expectation[Any]:
        """The sum of all values."""
        return self._levels[-1][0]

    def replace(self, number: int, value: Expectation[Any]) -> None:
        """Put another value in the place of the one of this number."""
        self._levels[0][number] = value
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            number //= FAN_IN
            level[number] = tree_sum(below[number * FAN_IN : (number + 1) * FAN_IN])
