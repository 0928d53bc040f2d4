"""Acceleration: leaps ahead of plain steps, found from what the last passes have shown. No array is seen here."""

from __future__ import annotations

import abc
import logging
import math
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from latentem.core import Degenerate, Event, LatentModel, e_half
from latentem.run.audit import NOISE, Pass, gains, slope
from latentem.run.ledger import Turn
from latentem.run.memory import Memory, Point

_LOG = logging.getLogger(__name__)
NEAR = 1e-3
"""Movement, in nats an observation, above which a run is still on its way to a mode: a leap could end at another."""
SLOW = 0.8
"""Rate of plain steps below which they are left alone: each of them leaves less than two thirds of the gain."""
REACH = 0.1
"""Symmetric divergence, in nats an observation, between the ends of a leap, at most: a standard deviation may change by
a quarter. Leaps beyond it end in corners that plain steps would not have turned into."""
_FIRST_STRIDES = 4.0
"""Plain steps of the first leap away from a saddle; four times as many after each that came to something."""
_SHORTENED, _MARGIN = 4, 0.9
"""How often a leap is shortened before it is given up, and by how much more than need be."""
REJECTED, INFEASIBLE = 2, 8
"""Plain steps after the first leap that was rejected, or led out of the parameters before it cost a pass."""
_UNSOUND = (Degenerate, ValueError, ArithmeticError)
"""Errors with which a model may refuse statistics that no data can have."""

Model = LatentModel[Any, Any, Any, Any]
Values = npt.NDArray[np.float64]


@final
@frozen
class Leap:
    """A candidate: statistics, and the parameters that they lead to.

    Attributes:
        params: The M-step of the statistics.
        statistics: An affine combination of those of the last passes.
        ascent: Slope of the objective towards it where the run stands, in nats; positive, or minus infinity if unknown.
        own: Whether it is the model's own shortcut, and no extrapolation.
    """

    params: Any
    statistics: Any
    ascent: float
    own: bool = False


class Acceleration(abc.ABC):
    """A way of leaping ahead of plain steps. A frozen value; it works for any model, through `log_joint`.

    Leaps begin once plain steps are slow, and close to a mode. A leap is tried on a pass of its own, and rejected if
    it is infeasible, makes something degenerate, or lowers the objective: then the plain step is taken, on another
    pass, and the next leap waits. Passes from before the objective was concave along a step are forgotten.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def after(self) -> int:
        """How many plain steps a run takes first."""

    @property
    @abc.abstractmethod
    def memory(self) -> int:
        """How many passes a leap may look back at."""

    @property
    @abc.abstractmethod
    def every(self) -> int:
        """How many passes there are from one leap to the next."""

    @property
    @abc.abstractmethod
    def least(self) -> int:
        """How many passes a leap needs to look back at."""

    @abc.abstractmethod
    def candidates(self, points: Sequence[Point], values: Values, failures: int) -> Iterator[Any]:
        """Statistics to leap to, each to be tried if the ones before it lead out of the parameters.

        Args:
            points: The last passes, the newest last.
            values: The log joint of the parameters of each point, by rows, at the residual of each, by columns; shape
                (points, points). The log joint is linear, so differences of rows are inner products with changes of
                the natural parameters.
            failures: Leaps that failed one after the other.
        """

    @final
    def begin(self, plain: int = 0) -> Memory:
        """The memory of a run that starts, with at least so many plain steps before the first leap."""
        return Memory(wait=max(self.after, plain))

    @final
    def seen(self, memory: Memory, point: Point) -> Memory:
        """The memory with one pass more."""
        if point.plain:
            memory = evolve(memory, wait=max(memory.wait - 1, 0))
        if point.plain and memory.points and memory.points[-1].movement > 0 and point.movement > 0:
            rate = math.sqrt(point.movement / memory.points[-1].movement)
            memory = memory.learnt(1 / (1 - rate) if rate < 1 else math.inf)
            memory = evolve(memory, slow=memory.slow or rate >= SLOW, departing=rate >= 1)
            if rate >= 1:  # it runs away from somewhere: the passes before do not say where to
                memory = memory.cleared()
        points = (*memory.points, point)[-self.memory :]
        numbers = {p.number for p in points}
        known = {pair: value for pair, value in memory.values.items() if numbers.issuperset(pair)}
        return evolve(memory, points=points, values=known)

    @final
    def leap(self, model: Model, memory: Memory, at: Pass) -> tuple[Leap | None, Memory]:
        """The leap to try from the newest point, which is `at`, if there is one, and the memory with what was learnt.

        From the memory that it returns, the same leap is found again.
        """
        few = len(memory.points) < (1 if memory.departing else self.least)
        if memory.wait > 0 or not memory.slow or few:
            return None, memory
        last, movement = memory.points[-1], memory.points[-1].movement
        # A movement below rounding points nowhere; one above NEAR may be on its way to another mode.
        rounding = max(at.books.blur, NOISE * (at.books.observations + abs(at.books.expected_log_joint)))
        if not rounding < movement < NEAR * at.books.observations:
            return None, memory
        if (own := _shortcut(model, memory, at)) is not None:
            return own, memory
        if memory.departing:
            return self._ahead(model, memory, at)
        memory = _measured(model, memory)
        values = np.array([[memory.values[i.number, j.number] for j in memory.points] for i in memory.points])
        shrinking = False
        with np.errstate(all="ignore"):
            for number, statistics in enumerate(self.candidates(memory.points, values, memory.failures)):
                shrinking = True
                found, share = self._within_reach(model, at, statistics, last)
                if found is None:
                    continue
                if share < 1 and not number:  # the end is far out of reach
                    return self._ahead(model, evolve(memory, departing=True), at)
                if not found.ascent > 0:  # towards a saddle
                    break
                return found, memory if number else memory.learnt(found.ascent / movement)
        # Towards a boundary a step shrinks as 1 / steps, by no more than its metric changes: no end is in sight.
        return (
            (None, memory.failed(INFEASIBLE)) if shrinking else self._ahead(model, evolve(memory, departing=True), at)
        )

    def _ahead(self, model: Model, memory: Memory, at: Pass) -> tuple[Leap | None, Memory]:
        """The leap by strides of the newest plain step, within reach, and the memory with as many as it took."""
        last = memory.points[-1]
        with np.errstate(all="ignore"):
            found, share = self._within_reach(model, at, last.image + memory.strides * last.residual, last)
            if share < 1:  # made anew from the number that is kept, so that a run taken up again finds these bits
                memory = evolve(memory, strides=share * memory.strides)
                found = found and _leap(model, at, last.image + memory.strides * last.residual, last)
        if found is None or not found.ascent > 0:
            return None, evolve(memory.failed(INFEASIBLE), strides=_FIRST_STRIDES)
        return found, memory

    def _within_reach(self, model: Model, at: Pass, statistics: Any, last: Point) -> tuple[Leap | None, float]:
        """The leap to these statistics, or to a share of the way there that the trust region allows, and that share.

        None if it is infeasible.
        """
        share, most = 1.0, REACH * at.books.observations
        for _ in range(_SHORTENED):
            found = _leap(model, at, statistics, last)
            if found is None:
                break
            # The symmetric divergence between here and there: no scale may change by more than a plain step might.
            apart = slope(model, at.params, found.params, found.statistics - (last.image - last.residual))
            if apart <= most:
                return found, share
            if not math.isfinite(apart):
                break
            shorter = math.sqrt(most / apart) * _MARGIN
            share, statistics = share * shorter, last.image + shorter * (statistics - last.image)
        return None, share

    @final
    def attempt(
        self, model: Model, memory: Memory, leap: Leap, at: Pass, events: Sequence[Event]
    ) -> Generator[Any, Any, tuple[Turn | None, Memory]]:
        """The pass at a leap, or None if it is rejected; and the memory after it. It yields the task of the pass.

        The leap leads from the pass `at`, where the events were what is degenerate.
        """
        rejected = _shorter(memory.failed(REJECTED))
        if leap.own:
            rejected = evolve(memory, again=2 * memory.points[-1].number)
            memory = evolve(memory, departing=False)
        try:
            expectation = yield partial(_quietly, e_half(model, leap.params))
            with np.errstate(all="ignore"):
                new = Pass.of(model, leap.params, expectation)
                gained = gains(model, leap.params, at.expectation.statistics, at.books, new.books)
                onward = slope(model, at.params, leap.params, new.expectation.statistics - leap.statistics)
                found = model.diagnose(new.params, new.expectation.statistics)
        except _UNSOUND as error:
            _LOG.debug("a leap is rejected, for it leads nowhere: %s", error)
            return None, rejected
        total, allowance = gained["M"] + gained["E"], max(at.books.slack, new.books.slack)
        # Where rounding could explain a loss, the mean of the slopes at both ends decides: it does not cancel.
        fell = not total >= -allowance or (total <= allowance and not leap.ascent + onward >= 0)
        known = {event.subject for event in events}
        if (
            fell
            or ("E" in model.inference.audited and not gained["E"] >= -allowance)
            or (not leap.own and any(not event.clean and event.subject not in known for event in found))
        ):
            _LOG.debug("a leap is rejected, for it loses or is degenerate: it would gain %.3g nats", total)
            return None, rejected
        turn = Turn("extrapolated", new, gained, leap.params, leap.statistics)
        if memory.departing:
            return turn, evolve(memory.cleared(), failures=0, wait=self.every - 1, strides=4 * memory.strides)
        memory = evolve(memory, failures=0, wait=self.every - 1)
        return turn, memory if onward < leap.ascent else memory.cleared()


def _quietly(task: Any, chunk: Any, cache: Any) -> Any:
    """A task under which no floating-point error is told: a leap may lead anywhere."""
    with np.errstate(all="ignore"):
        return task(chunk, cache)


def _shorter(memory: Memory) -> Memory:
    """After a leap that came to nothing: where it went ahead by strides, fewer of them."""
    return evolve(memory, strides=max(_FIRST_STRIDES, memory.strides / 4)) if memory.departing else memory


def _measured(model: Model, memory: Memory) -> Memory:
    """The memory with all values of its points."""
    values = dict(memory.values)
    for i in memory.points:
        for j in memory.points:
            if (i.number, j.number) not in values:
                values[i.number, j.number] = model.log_joint(i.params, j.residual)
    return evolve(memory, values=values)


def _shortcut(model: Model, memory: Memory, at: Pass) -> Leap | None:
    """The leap by the model's own shortcut, if it knows one and it is due."""
    last = memory.points[-1]
    if memory.failures or last.number < memory.again:
        return None
    try:
        with np.errstate(all="ignore"):
            statistics = model.shortcut(at.params, at.expectation.statistics)
            if statistics is None:
                return None
            params = model.m_step(statistics, at.params)
            ascent = slope(model, at.params, params, last.residual)
    except _UNSOUND:
        return None
    # It may be far, where slopes here say nothing: then it must gain more than rounding could.
    return Leap(params, statistics, ascent if ascent > 0 else -math.inf, own=True)


def _leap(model: Model, at: Pass, statistics: Any, last: Point) -> Leap | None:
    try:
        statistics = model.attainable(statistics, at.params, last.image)
        params = model.m_step(statistics, at.params)
        ascent = slope(model, at.params, params, last.residual)
    except _UNSOUND:
        return None
    return Leap(params, statistics, ascent) if math.isfinite(ascent) else None
