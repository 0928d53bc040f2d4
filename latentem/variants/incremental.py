"""Incremental EM: an M-step after every chunk."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.core import Degenerate, Expectation, Half, Placed, e_half, tree_sum
from latentem.core.additive import FAN_IN
from latentem.run.audit import Loss, Pass, audit
from latentem.run.course import next_state
from latentem.run.em import EM
from latentem.run.ledger import Ledger, Turn
from latentem.run.runner import Model, Run, Runner, Stop, a_rule, whole
from latentem.run.step import Ending, State
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

    def stepwise(self, model: Model, params: Any, chunks: Placed[Any]) -> Run:
        """A State after each pass. The last one has a status, and its q is the one of its parameters.

        A run that fails in a half step ends with the State after the last sound pass, once more, with its status.
        """
        model.check_params(params)
        ledger = Ledger(model)
        trees = SumTree([model.expectation(params, chunk) for chunk in chunks])
        ledger.passes += 1
        lifted = ledger.lift(params, trees.total)
        if lifted is not params:
            trees = SumTree([model.expectation(lifted, chunk) for chunk in chunks])
            ledger.passes += 1

        def visits(model: Model, now: Pass, following: Any, ledger: Ledger) -> Generator[Any, Any, Turn]:
            """An E half on each chunk, with an M half before each but the first, which was made already."""
            yield from ()  # a generator, as all ways ahead are: it computes on the chunks itself
            entered, maximised = following, now.expectation.statistics
            gained: dict[Half, float] = {"E": 0.0, "M": 0.0}
            for number, chunk in enumerate(chunks):
                if number > 0:
                    # (eq: incremental)
                    following = model.m_step(now.expectation.statistics, now.params)
                trees.replace(number, model.expectation(following, chunk))
                new = Pass.of(model, following, trees.total)
                more = audit(model, now, new, f"step {ledger.index} at chunk {number + 1} of {len(chunks)}")
                gained = {half: gained[half] + more[half] for half in gained}
                now = new
            ledger.passes += 1
            return Turn("incremental", now, gained, entered, maximised)

        first = Turn("start", Pass.of(model, lifted, trees.total))
        loop = EM(self.stop, self.max_steps).loop(model, chunks, ledger, first, ahead=visits)
        end = None
        while (state := (yield from next_state(loop))) is not None:
            failed = end is not None and state.step.index == end.step.index
            if failed or state.status is None or state.step.kind == "start" or len(chunks) == 1:
                yield state  # the q of every chunk is that of the parameters already, or will be replaced
                end = state
                continue
            yield evolve(state, status=None)
            yield (yield from self._full(model, ledger, state))
            return

    def _full(self, model: Model, ledger: Ledger, end: State[Any, Any]) -> Generator[Any, Any, State[Any, Any]]:
        """The State at a last E-step over all chunks, at the same parameters."""
        ledger.resume()
        before = Pass.of(model, end.params, end.expectation)
        try:
            now = Pass.of(model, end.params, (yield e_half(model, end.params)))
            gained = audit(model, before, now, f"step {ledger.index}")
        except Degenerate as error:
            return end.ended(Ending.DEGENERATE, str(error))
        except Loss as loss:
            return end.ended(Ending.OBJECTIVE_FELL, str(loss))
        ledger.passes += 1
        return evolve(ledger.record(Turn("full", now, gained)), status=end.status)


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
