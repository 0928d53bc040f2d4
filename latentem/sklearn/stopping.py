"""What `tol` and `verbose` mean."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from latentem.run import Ending, State, Status, StopRule, remaining_below

_ROUNDING = remaining_below(np.finfo(float).tiny)
"""Met where nothing moves any more but by rounding."""


def settled(tol: float, per_row: bool = True) -> StopRule:
    """Converged when the last step gained less than `tol`, and no more than `tol` is estimated to remain.

    The first half is scikit-learn's rule. By itself it is met where EM creeps, far from the maximum; the second half
    keeps such a run going. With `tol=0` a run goes on until nothing moves but by rounding.

    Args:
        tol: In nats, at least 0.
        per_row: Whether it is a mean over the rows, as for mixtures; else it is a total.
    """

    def decide(state: State[Any, Any]) -> Status | None:
        if (still := _ROUNDING(state)) is not None:
            return still
        step = state.step
        unit = state.expectation.observations if per_row else 1.0
        remaining = step.remaining if np.isfinite(step.remaining) else 0.0  # no estimate yet: the gain alone decides
        if step.index == 0 or not max(abs(step.e_gain + step.m_gain), remaining) < tol * unit:
            return None
        where = "nats a row" if per_row else "nats"
        return Status(Ending.CONVERGED, f"the last step gained, and there remain, less than {tol:g} {where}")

    return StopRule(f"settled({tol:g})", decide)


def spoken(verbose: int, interval: int, number: int) -> Callable[[State[Any, Any]], None] | None:
    """A callback that prints how a run goes on, or None where nobody wants to know.

    Args:
        verbose: 0 for nothing, 1 for the number of the step, 2 for time and gain too.
        interval: Every how many steps.
        number: The number of the start.
    """
    if not verbose:
        return None
    print(f"Initialization {number}")
    begun = perf_counter()

    def say(state: State[Any, Any]) -> None:
        step = state.step
        if state.status is not None:
            print(
                f"Initialization {number} ended after {step.index} iterations, bound {step.bound:.5f}: {state.status}"
            )
        elif step.index and step.index % interval == 0:
            gain = (step.e_gain + step.m_gain) / state.expectation.observations
            more = f"\ttime lapse {perf_counter() - begun:.5f}s\tll change {gain:.5f}" if verbose > 1 else ""
            print(f"  Iteration {step.index}{more}")

    return say
