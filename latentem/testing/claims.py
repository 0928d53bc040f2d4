"""Claims of a model beside its five methods, held against these: free numbers, draws, means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import attrs
import numpy as np

from latentem.core import Degenerate, HasLabels, Unavailable, get
from latentem.testing.clauses import Case, cut, mixture

_UNITS = 200
"""Pieces, at most, whose weights are changed."""
_NUDGE = 1e-3
"""By how much the weights of units are changed, to see which way the maximum of a block moves."""
_FELT, _NONE = 1e-3, 1e-5
"""Of the largest singular value: above it a direction is one, below it none. Between the two nothing is claimed."""
_DRAWN = 2000
"""Units that `sample` is asked for."""
_SPARE = 4
"""Directions that are looked at beyond those claimed, so that one too many would show."""
_DEVIATIONS, _LABELS = 6.0, 20.0
"""Standard deviations that chance is given; of counts of labels more, since those of a chain hang together."""


def _numbers(case: Case, chunk: Any) -> Iterator[str]:
    """The free numbers of a block: no fewer than its maximum can move the log evidence in, no more than it can move in.

    Parameters that no log evidence sees, such as a rotation of factors, may be left out.
    """
    model, params = case.model, case.params
    pieces = cut(chunk, _UNITS)
    total = case.own.statistics
    # Where few rows are distinct, what other responsibilities leave of them shows more directions.
    statistics = [model.expectation(other, piece).statistics for other in case.neighbours for piece in pieces]
    # The blocks share them.
    changes = cache(lambda seed: mixture(statistics, np.random.default_rng(seed).normal(size=len(statistics))))
    mixtures = cache(lambda seed: mixture(statistics, np.random.default_rng(seed).gamma(1.0, size=len(statistics))))
    for block in model.blocks():
        try:
            at = block.apply(total, params)
            free = block.free(total, at).numbers
            few = min(len(case.log_evidence(at, chunk)), len(pieces)) < free + 2 * _SPARE
            if few or model.diagnose(at, total):  # too few units to tell, or something is held up by a floor
                continue
            seen = [_seen(case, chunk, block, changes(seed)) for seed in range(free + _SPARE)]
            values = [_value(case, block, mixtures(seed)) for seed in range(free + 2 * _SPARE)]
        except (Degenerate, Unavailable):
            continue
        apart = np.diff(values, axis=0)
        moved = _rank(apart / np.where((most := np.abs(apart).max(axis=0)) > 0, most, 1.0))
        felt = _rank(np.array(seen))
        if not felt[0] <= free <= moved[1]:
            yield (
                f"block {block.name} says that {free} of its numbers are free: its maximum moves in {moved[0]} ways, "
                f"of which the log evidence sees {felt[0]}"
            )


def _seen(case: Case, chunk: Any, block: Any, change: Any) -> Any:
    """How the log evidence of each unit follows the maximum of a block, as the weights of the units change a little."""
    total = case.own.statistics
    one, other = (block.apply(total + step * change, case.params) for step in (_NUDGE, -_NUDGE))
    return case.log_evidence(one, chunk) - case.log_evidence(other, chunk)


def _value(case: Case, block: Any, mixed: Any) -> Any:
    """The numbers of the maximum of a block, where the units have random weights."""
    return np.concatenate(list(_numbers_in(get(block.apply(mixed, case.params), block.path))))


def _rank(directions: Any) -> tuple[int, int]:
    """The rank of some directions, at least and at most."""
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    singular = np.linalg.svd(directions / np.where(lengths > 0, lengths, 1.0), compute_uv=False)
    return int((singular > _FELT * singular[0]).sum()), int((singular > _NONE * singular[0]).sum())


def _numbers_in(value: Any) -> Iterator[Any]:
    """All numbers of a nested value, array by array."""
    if attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _numbers_in(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _numbers_in(part)
    elif isinstance(value, np.ndarray | float):
        yield np.ravel(value)


def _draws(case: Case, chunk: Any) -> Iterator[str]:
    """Where data come from `sample`, these parameters explain them nearly as well as any."""
    model, params = case.model, case.params
    try:
        x, z = model.sample(params, _DRAWN, np.random.default_rng(0))
    except Unavailable:
        return
    drawn = model.chunk(x)
    before = model.expectation(params, drawn)
    try:
        better = model.m_step(before.statistics, params)
        after = model.expectation(better, drawn)
    except Degenerate as error:
        yield f"what sample draws has no M-step: {error}"
        return
    gain = (
        model.log_joint(better, after.statistics)
        + after.entropy
        - model.log_joint(params, before.statistics)
        - before.entropy
    )
    half = sum(block.size(params) for block in model.blocks()) / 2  # the gain is half a chi-squared, or less
    most = half + _DEVIATIONS * np.sqrt(half) + case.slack(params, before)
    if not gain <= most:
        yield f"one step on {_DRAWN} draws of sample gains {gain:.4g} nats, where chance gives {most:.3g} at most"
    posterior = model.posterior(params, drawn)
    if isinstance(posterior, HasLabels) and model.inference.exact:
        marginals, labels = posterior.marginals(), np.asarray(z)
        if labels.shape != (len(marginals),):
            yield f"sample gives labels of shape {labels.shape} for {len(marginals)} rows"
            return
        expected, variance = marginals.sum(axis=0), (marginals * (1 - marginals)).sum(axis=0)
        counts = np.bincount(labels, minlength=marginals.shape[1])
        off = np.abs(counts - expected) > _LABELS * np.sqrt(variance) + 1
        if off.any():
            yield f"sample gives the labels {counts} times, and the posterior of its rows expects {np.round(expected)}"


CLAIMS: dict[str, Callable[[Case, Any], Iterable[str]]] = {
    "numbers": _numbers,
    "draws": _draws,
    "claims": lambda case, chunk: case.model.contradictions(case.params),
}
