"""The audit: no half step may lose; and how far a run still is from its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from latentem.core import Expectation, Half, LatentModel

ROUNDING = 1e-10
"""Of (observations + |Q| + |H|): a loss below it is none. Relative to the bound it would fail where that is zero."""

Model = LatentModel[Any, Any, Any, Any]


def magnitude(model: Model, params: Any, expectation: Expectation[Any]) -> float:
    """What rounding errors are relative to, in nats: observations + |Q| + |H|."""
    joint = model.log_joint(params, expectation.statistics)
    return expectation.observations + abs(joint) + abs(expectation.entropy)


def slack(model: Model, params: Any, expectation: Expectation[Any]) -> float:
    """The loss, in nats, that rounding can explain."""
    return (ROUNDING + model.rounding(params)) * magnitude(model, params, expectation)


def m_gain(model: Model, before: Any, after: Any, statistics: Any) -> float:
    """What the objective gains, in nats, when the parameters change and q does not."""
    return (
        model.log_joint(after, statistics)
        - model.log_joint(before, statistics)
        + model.log_prior(after)
        - model.log_prior(before)
    )


def e_gain(model: Model, params: Any, before: Expectation[Any], after: Expectation[Any]) -> float:
    """What the objective gains, in nats, when q changes and the parameters do not."""
    return (
        model.log_joint(params, after.statistics)
        - model.log_joint(params, before.statistics)
        + model.temperature * (after.entropy - before.entropy)
    )


def verdict(audited: frozenset[Half], gains: dict[Half, float], allowance: float) -> Half | None:
    """The audited half that lost more than the allowance, or whose gain is not a number; None if both are sound."""
    for half, gain in gains.items():
        if half in audited and not gain >= -allowance:
            return half
    return None


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


def movement(model: Model, params: Any, following: Any, statistics: Any, previous: Any) -> float:
    """Symmetric divergence between successive fits, in nats; docs/mathematics.md, "How far is the end".

    `params` maximise at `previous`, `following` at `statistics`. It is linear in a difference of
    statistics, so it keeps its digits where differences of bounds have lost all of theirs.
    """
    change = statistics - previous
    return model.log_joint(following, change) - model.log_joint(params, change)


def remaining(movements: Sequence[float], smooth: bool) -> float:
    """The objective still to be gained, in nats, if the movements go on shrinking as they do; infinity if unknown."""
    sizes = [abs(movement) for movement in movements[-4:] if not math.isnan(movement)]
    if sizes and sizes[-1] == 0:
        return 0.0
    if not smooth or len(sizes) < 2 or 0 in sizes:
        return math.inf
    rate = max(math.sqrt(after / before) for before, after in pairwise(sizes))
    return sizes[-1] / 2 / (1 - rate) if rate < 1 else math.inf
