"""The record of a run: its steps, its states, and how it ended."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, final, overload

import numpy as np
import numpy.typing as npt
from attrs import evolve, fields_dict, frozen

from latentem.archive import Archived
from latentem.core import Event, Expectation
from latentem.run.memory import Memory

S = TypeVar("S")
P = TypeVar("P")


@final
@frozen
class Step:
    """The books of one iteration: of parameters, the pass at them, and the half steps that led there.

    All but counts and times are in nats, totals over the data. What is not known yet is NaN: gains at
    a start, movement where the parameters are not yet the M-step of a pass.

    Attributes:
        index: Number of steps before it; 0 is the start. A step has one M-step, but for those that a runner names.
        kind: "start", "plain", "extrapolated" (a leap, in place of the M half), "repaired" (something was moved
            after the M half), or as another runner names it.
        bound: The auxiliary lower bound A = Q + H.
        objective: What both halves raise: Q + temperature x H + log prior, the hidden part of H taken once.
        expected_log_joint: Q, the expected complete-data log likelihood.
        entropy: H, the entropy of the posterior.
        log_prior: log p(params) up to a constant.
        e_gain: What the E half gained: temperature x KL(old q || new q).
        m_gain: What the M half gained.
        movement: Symmetric divergence between these parameters and those of the next M-step; at least 0, but for
            rounding, where the M-step is a joint maximum.
        remaining: Estimate of the objective still to be gained; infinity while there is no estimate.
        passes: Passes over the data so far, those at rejected leaps among them.
        seconds: Spent in this run so far.
    """

    index: int
    kind: str
    bound: float
    objective: float
    expected_log_joint: float
    entropy: float
    log_prior: float
    e_gain: float
    m_gain: float
    movement: float
    remaining: float
    passes: int
    seconds: float


@final
@frozen(eq=False)
class History(Sequence[Step], Archived):
    """A sequence of Steps; `history.bound` and the other fields of a Step are columns, as arrays.

    Attributes:
        steps: The steps, and perhaps later ones.
        length: How many of them are in this history.
    """

    steps: Sequence[Step]
    length: int

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.length <= len(self.steps):
            raise ValueError(f"length was given as {self.length}: a history has as many steps as there are, or fewer")

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> History: ...
    def __getitem__(self, index: int | slice) -> Step | History:
        if isinstance(index, slice):
            part = [self.steps[i] for i in range(*index.indices(self.length))]
            return History(part, len(part))
        return self.steps[range(self.length)[index]]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Step]:
        return (self.steps[i] for i in range(self.length))

    def archived(self) -> Mapping[str, Any]:
        return {"steps": tuple(self), "length": self.length}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and list(map(repr, self)) == list(map(repr, other))

    __hash__ = None  # type: ignore[assignment]  # it holds a list

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        if name not in fields_dict(Step):
            raise AttributeError(f"a history has no column {name!r}: it has {', '.join(fields_dict(Step))}")
        return np.array([getattr(step, name) for step in self])


@final
class Ending(enum.Enum):
    """The ways in which a run can end."""

    CONVERGED = "converged"
    MAX_STEPS = "max steps reached"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    OBJECTIVE_FELL = "objective fell"
    DEGENERATE = "degenerate"
    GIVEN = "given"


@final
@frozen
class Status:
    """Why a run ended: the way, and a sentence."""

    ending: Ending
    sentence: str

    @property
    def converged(self) -> bool:
        return self.ending is Ending.CONVERGED

    @property
    def advice(self) -> str:
        """Advice on what to do about it; empty where nothing need be done."""
        return _ADVICE.get(self.ending, "")

    def __str__(self) -> str:
        return f"{self.ending.value}: {self.sentence}"


_ADVICE = {
    Ending.MAX_STEPS: "raise max_steps, loosen stop, or ask less of the data by fewer components, a tied structure or "
    "a prior",
    Ending.STOPPED: "fit again from start=fit.params to go on",
    Ending.INTERRUPTED: "fit again from start=fit.params to go on",
    Ending.OBJECTIVE_FELL: "mend the model: latentem.testing.check_model says more",
    Ending.DEGENERATE: "the parameters are the last sound ones; use fewer components, a tied structure, or a prior",
}


@final
@frozen
class State(Generic[S, P]):
    """Where a run stands after an E-step; the last one is how it ended.

    Attributes:
        params: The parameters.
        expectation: What the E-step at them left behind.
        history: The steps so far; the last one is about these parameters.
        events: What is degenerate about them, or was done on the way.
        blur: How far rounding can put the objective off, in nats, where the parameters are ill-conditioned; else 0.
        status: None while the run goes on.
        memory: What an accelerated run has learnt on the way, else None. All else that the next step needs is above.
    """

    params: P
    expectation: Expectation[Any]
    history: History
    events: tuple[Event, ...] = ()
    blur: float = 0.0
    status: Status | None = None
    memory: Memory | None = None

    @property
    def step(self) -> Step:
        """The books at these parameters."""
        return self.history[-1]

    @property
    def clean(self) -> bool:
        """Whether nothing is degenerate and no half step has lost."""
        failed = self.status is not None and self.status.ending in (Ending.OBJECTIVE_FELL, Ending.DEGENERATE)
        return not failed and all(event.clean for event in self.events)

    @property
    def converged(self) -> bool:
        """Whether the run has ended because its stop rule was met."""
        return self.status is not None and self.status.converged

    @property
    def bound(self) -> float:
        """A = Q + H in nats."""
        return self.step.bound

    @property
    def objective(self) -> float:
        """The objective that both half steps raise, in nats."""
        return self.step.objective

    def ended(self, ending: Ending, sentence: str) -> State[S, P]:
        """This state as the last one of its run."""
        return evolve(self, status=Status(ending, sentence))
