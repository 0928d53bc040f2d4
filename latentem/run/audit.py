"""The audit: no half step may lose; and how far a run still is from its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Self, SupportsFloat, final

from attrs import frozen

from latentem.core import Degenerate, Expectation, Half, LatentModel, Numbers

ROUNDING = 1e-10
"""Of (observations + |Q| + |H|): a loss below it is none. Relative to the bound it would fail where that is zero."""
NOISE = 1e-22
"""Movement relative to Q that rounding makes of none: it is the square of what a kernel may put a log density off."""

AGREEING = 1e-9
"""Of the same: the log evidence and the bound, added up along different ways, are one number up to this."""

_BLIND = 0.01
"""Nats an observation that rounding may take from the books, at most."""
_PRIOR = 1e-14
"""Of the log prior: what rounding makes of its change. It counts where data count next to nothing."""

Model = LatentModel[Any, Any, Any, Any]


@final
@frozen
class Books:
    """The books of one pass, in nats.

    Attributes:
        expected_log_joint: Q.
        entropy: H.
        tempered: H times the temperature, its hidden part taken once; it is H where there is none.
        log_prior: log p(params) up to a constant.
        observations: How much the data count.
        rounding: Relative error of Q where the parameters are ill-conditioned, else 0.
        cancelled: How far rounding can put Q off, in nats, where large terms cancel.
    """

    expected_log_joint: float
    entropy: float
    tempered: float
    log_prior: float
    observations: float
    rounding: float
    cancelled: float = 0.0

    @classmethod
    def of(cls, model: Model, params: Any, expectation: Expectation[Any]) -> Self:
        """The books of a pass at these parameters."""
        joint = _one_number(model, "log_joint", model.log_joint(params, expectation.statistics))
        prior = _one_number(model, "log_prior", model.log_prior(params))
        entropy = _one_number(model, "posterior(...).entropy", expectation.entropy)
        return cls(
            joint,
            entropy,
            model.inference.tempered(expectation),
            prior,
            expectation.observations,
            model.rounding(params),
            model.cancellation(params, expectation.statistics),
        )

    @property
    def objective(self) -> float:
        """The objective that both half steps raise."""
        return self.expected_log_joint + self.tempered + self.log_prior  # (eq: tempered)

    @property
    def blur(self) -> float:
        """How far ill-conditioned parameters put the objective off."""
        return self.rounding * self._magnitude

    @cached_property
    def slack(self) -> float:
        """The loss that rounding can explain."""
        # (eq: slack)
        return (ROUNDING + self.rounding) * self._magnitude + self.cancelled + _PRIOR * abs(self.log_prior)

    def touches(self, log_evidence: float) -> bool:
        """Whether Q + H is this number, to rounding, as it is where q is the exact posterior."""
        gap = log_evidence - self.expected_log_joint - self.entropy
        return abs(gap) <= (AGREEING + self.rounding) * self._magnitude + self.cancelled

    @cached_property
    def _magnitude(self) -> float:
        return self.observations + abs(self.expected_log_joint) + abs(self.entropy)  # (eq: slack)


def _one_number(model: Model, method: str, given: Any) -> float:
    """The one number that a method of a model must give.

    Raises:
        TypeError: it is none; the method is named.
    """
    if isinstance(given, float):
        return given
    if (isinstance(given, Numbers) and given.shape != ()) or not isinstance(given, SupportsFloat):
        what = f"an array of shape {given.shape}" if isinstance(given, Numbers) else repr(given)
        raise TypeError(f"{type(model).__name__}.{method} gave {what}: it must be one number, in nats, for all data")
    return float(given)


@final
@frozen
class Pass:
    """Parameters, what an E-step left behind, and what the two come to."""

    params: Any
    expectation: Expectation[Any]
    books: Books

    @classmethod
    def of(cls, model: Model, params: Any, expectation: Expectation[Any]) -> Self:
        """The pass, unless its books have no digits.

        Raises:
            Degenerate: they have none.
        """
        books = Books.of(model, params, expectation)
        if not books.cancelled + books.rounding * books.observations <= _BLIND * books.observations:
            raise Degenerate(
                None,
                "log likelihood",
                f"rounding may put it off by {books.cancelled + books.blur:.2g} nats, for components are narrow beside "
                "their offset or their other widths",
                "use fewer components or a prior, or give the data without their offset",
            )
        return cls(params, expectation, books)


def gains(model: Model, params: Any, statistics: Any, before: Books, after: Books) -> dict[Half, float]:
    """The gain of each half of a step: M from the statistics of the pass before to these parameters, then E."""
    crossed = model.log_joint(params, statistics)
    return {
        "M": crossed - before.expected_log_joint + after.log_prior - before.log_prior,  # (eq: m-gain)
        "E": after.expected_log_joint - crossed + after.tempered - before.tempered,  # (eq: e-gain)
    }


def m_gain(model: Model, before: Any, after: Any, statistics: Any) -> float:
    """The gain of the objective, in nats, when the parameters change and q does not."""
    return (
        model.log_joint(after, statistics)
        - model.log_joint(before, statistics)
        + model.log_prior(after)
        - model.log_prior(before)
    )


@final
class Loss(Exception):
    """A half step has lost that may not; the message says which, how much, and in which block."""


def audit(model: Model, before: Pass, after: Pass, where: str) -> dict[Half, float]:
    """The gain of each half from one pass to the next, in nats.

    Raises:
        Loss: a gain is below what rounding explains, or is no number.
    """
    gained = gains(model, after.params, before.expectation.statistics, before.books, after.books)
    allowance = max(before.books.slack, after.books.slack)
    for half, gain in gained.items():
        if half in model.inference.audited and not gain >= -allowance:
            who = "posterior"
            if half == "M":
                who = blame(model, before.params, after.params, before.expectation.statistics)
            raise Loss(
                f"the {half} half of {where} lost {-gain:.3g} nats in {who}, "
                f"more than rounding explains ({allowance:.2g}): it is no maximiser"
            )
    return gained


def blame(model: Model, before: Any, after: Any, statistics: Any) -> str:
    """Which block of the M half lost most, by name; a repair that followed it if no block did."""
    losses = {}
    params = before
    for block in model.blocks():
        changed = block.apply(statistics, params)
        losses[f"block {block.name!r}"] = m_gain(model, params, changed, statistics)
        params = changed
    losses["the repair"] = m_gain(model, params, after, statistics)
    return min(losses, key=lambda name: -math.inf if math.isnan(losses[name]) else losses[name])


def slope(model: Model, params: Any, towards: Any, residual: Any) -> float:
    """How the objective changes with a residual of statistics, from some parameters towards others, in nats.

    Where the parameters maximise at statistics S, the others at S', and the residual is S' - S, it is the symmetric
    divergence between the two fits; docs/mathematics.md, "How far is the end". It is linear in a difference of
    statistics, so it keeps its digits where differences of bounds have lost all of theirs.
    """
    return model.log_joint(towards, residual) - model.log_joint(params, residual)  # (eq: movement, ascent)


def remaining(movements: Sequence[float], smooth: bool) -> float:
    """The objective still to be gained, in nats, if the movements go on shrinking as they do; infinity if unknown."""
    sizes = [abs(movement) for movement in movements[-4:] if not math.isnan(movement)]
    if sizes and sizes[-1] == 0:
        return 0.0
    if not smooth or len(sizes) < 2 or 0 in sizes:
        return math.inf
    # (eq: remaining)
    rate = max([math.sqrt(after / before) for before, after in pairwise(sizes)])
    return sizes[-1] / 2 / (1 - rate) if rate < 1 else math.inf
