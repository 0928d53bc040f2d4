"""Online EM: a stream of chunks, each seen once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, final

from attrs import evolve, field, frozen
from attrs.validators import optional

from latentem.core import Degenerate, Expectation, InOrder, Placed, Value, e_half, placed
from latentem.numerics.arithmetic import own_arithmetic, own_steps
from latentem.run.audit import Pass
from latentem.run.ledger import Ledger, Turn
from latentem.run.runner import Model, Run, Runner, Stop, a_rule, answered, whole
from latentem.run.step import Ending, State, Status


@final
@frozen
class OnlineState(Value):
    """Where online EM stands: a small value that can be pickled, and taken up again.

    Attributes:
        params: The parameters.
        discounted: The expectations of the chunks so far, the later ones with more weight; None before the first.
        updates: How many chunks have been seen.
        observations: How much they count.
    """

    params: Any
    discounted: Expectation[Any] | None = None
    updates: int = 0
    observations: float = 0.0

    @property
    def expectation(self) -> Expectation[Any]:
        """The discounted expectation as of all observations so far, which is what the M-step sees.

        Raises:
            ValueError: no chunk has been seen.
        """
        if self.discounted is None:
            raise ValueError("no chunk has been seen, so there is no expectation: call update first")
        return self.observations / self.discounted.observations * self.discounted


def _exponent(instance: Any, attribute: Any, value: float) -> None:
    if not 0.5 < value <= 1:
        raise ValueError(f"exponent was given as {value!r}: it must be above 0.5 and at most 1, or there is no limit")


def _at_least_zero(instance: Any, attribute: Any, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{attribute.name} was given as {value!r}: give a finite number, at least 0")


@final
@frozen
class Online(Runner):
    """Online EM (Cappé and Moulines, 2009), stepwise EM (Liang and Klein, 2009): an M-step after each chunk.

    With g = (t + delay)^-exponent at chunk t, the statistics become (1 - g) times the old ones plus g
    times the chunk's: a mean over observations in which the past fades. Nothing of a chunk is kept, so
    a stream may be endless, and can be read only once.

    The books say less than those of EM. A State comes after the M-step on a chunk; its bound is Q + H at
    its parameters under the discounted q's, each of them as old as its chunk, scaled to all observations so
    far: a lower bound on the log evidence of the discounted data, not of the data. It may fall, neither
    half is audited, so both gains are NaN, as is the movement: steps shrink whether or not an end is near.
    So a run is never converged; it ends with the stream, or when `stop` says so. Only data that are no
    stream can be seen again: on them a last plain E-step gives the result the books of plain EM.

    A log prior counts once beside all observations so far, repeated ones too.

    Attributes:
        exponent: How fast the past fades, above 0.5 and at most 1: lower forgets a bad start sooner, and is
            noisier at the end.
        delay: How far the steps are shortened at first, at least 0.
        wait: Observations to see before the first M-step, for a few may not determine the parameters.
        passes: How often data that are no stream are gone through.
        stop: When to end before the stream does: a stop rule such as `seconds`, or None.
    """

    exponent: float = field(default=0.7, validator=_exponent)
    delay: float = field(default=2.0, validator=_at_least_zero)
    wait: float = field(default=20.0, validator=_at_least_zero)
    passes: int = field(default=1, validator=whole(1, "passes"))
    stop: Stop | None = field(default=None, validator=optional(a_rule))

    @property
    def trial(self) -> int | None:
        return None

    def begin(self, model: Model, params: Any) -> OnlineState:
        """Before the first chunk.

        Raises:
            ValueError: the parameters are not the model's.
        """
        model.check_params(params)
        return OnlineState(params)

    @own_arithmetic
    def update(self, model: Model, state: OnlineState, chunk: Any) -> OnlineState:
        """The state after one more chunk (what `model.chunk` takes); `state` itself if nothing in it counts.

        Raises:
            Degenerate: the chunk cannot be under these parameters, or the M-step gives none. `state` is still sound.
        """
        return self._update(model, state, model.chunk(chunk))

    def _update(self, model: Model, state: OnlineState, chunk: Any) -> OnlineState:
        new = model.expectation(state.params, chunk)
        if new.observations == 0:
            return state
        updates, observations = state.updates + 1, state.observations + new.observations
        if state.discounted is not None:
            # (eq: online)
            # Sums, not means: a chunk enters by its size, so unequal chunks have the limit of equal ones.
            step = (updates + self.delay) ** -self.exponent
            new = (1 - step) * state.discounted + step * new
        after = OnlineState(state.params, new, updates, observations)
        if observations < self.wait:
            return after
        params = model.m_step(after.expectation.statistics, state.params)
        return OnlineState(params, new, updates, observations)

    @own_steps
    def iterate(self, model: Model, params: Any, data: Any) -> Generator[State[Any, Any], None, None]:
        """A State after each chunk, from step 1, and one at the end, which has the status.

        `data` may be an iterator over chunks, which is taken for a stream and read as it goes: then the
        last State is shown again. Of what `model.chunks` takes, the last step is a plain E-step, of kind "full".
        """
        stream = data if isinstance(data, Iterator) else None
        chunks = InOrder(()) if stream is not None else placed(model, data)
        yield from answered(self._states(model, params, chunks, stream), chunks)

    def stepwise(self, model: Model, params: Any, chunks: Placed[Any]) -> Run:
        yield from self._states(model, params, chunks, None)

    def _states(self, model: Model, params: Any, chunks: Placed[Any], stream: Iterator[Any] | None) -> Run:
        online, ledger, state = self.begin(model, params), Ledger(model, index=1), None
        status = None
        for ledger.passes, chunk in self._visits(model, chunks, stream):
            ledger.resume()
            try:
                after = self._update(model, online, chunk)
                if after is online:
                    continue
                at = Pass.of(model, after.params, after.expectation)
            except Degenerate as error:
                if state is None:
                    raise
                yield state.ended(Ending.DEGENERATE, str(error))
                return
            online, state = after, ledger.record(Turn("online", at))
            yield state
            status = None if self.stop is None else self.stop(state)
            if status is not None:
                break
        if state is None:
            raise ValueError("no chunk with observations was given: the stream must hold at least one")
        status = status or Status(Ending.STOPPED, f"the stream is over after {online.updates} chunks")
        if stream is None:
            ledger.resume()
            ledger.passes += 1
            try:
                full = Pass.of(model, online.params, (yield e_half(model, online.params)))
                state = ledger.record(Turn("full", full))
            except Degenerate as error:
                status = Status(Ending.DEGENERATE, str(error))
        yield evolve(state, status=status)

    def _visits(self, model: Model, chunks: Placed[Any], stream: Iterator[Any] | None) -> Iterator[tuple[int, Any]]:
        """Chunks, each with the number of the pass that it belongs to."""
        if stream is not None:
            yield from ((1, model.chunk(chunk)) for chunk in stream)
            return
        for number in range(1, self.passes + 1):
            yield from ((number, chunk) for chunk in chunks)
