"""Six of the nine clauses of the contract, each a generator of what it finds wrong."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.core import (
    Degenerate,
    Expectation,
    LatentModel,
    Learnable,
    Unavailable,
    can_be_cut,
    e_step,
    evidence_of,
    get,
    objective,
    put,
    tree_sum,
    unit_weight,
)
from latentem.run import EM, Ending, State
from latentem.run.audit import Books, m_gain
from latentem.transform import Frozen

Model = LatentModel[Any, Any, Any, Any]
_STEPS = 3
"""Steps of the run whose half steps are audited."""
_HELD_STEPS = 2
"""Steps of each of the many runs in which blocks are held: one from the start, and one from where it leads."""
_PIECES = 25
"""More than the 16 leaves of two full levels of `tree_sum`, and not a power of its fan-in."""
_MOST_BLOCKS = 4
"""Blocks up to which all their subsets are held, 15 at most."""
_RELATIVE = 1e-9
"""Of Q: a gain below it is rounding, where the model does not say that its parameters are ill-conditioned."""


@final
@frozen
class Case:
    """One model, parameters and data, and what the clauses have in common."""

    model: Model
    params: Any
    pieces: Sequence[Any]
    evidence: Callable[[Any, Any], Any] | None

    def e(self, params: Any) -> Expectation[Any]:
        return e_step(self.model, params, self.pieces)

    def log_evidence(self, params: Any, piece: Any) -> Any:
        """What the bound must touch, of each unit: the model's own log evidence; the given one where it has none."""
        try:
            return evidence_of(self.model, params, piece)
        except Unavailable:
            if self.evidence is None:
                raise
            return np.asarray(self.evidence(params, piece))

    def log_likelihood(self, params: Any) -> float:
        """The log evidence of all units, each times its weight."""
        total = 0.0
        for piece in self.pieces:
            evidence, weight = self.log_evidence(params, piece), unit_weight(piece)
            total += float(evidence.sum() if weight is None else weight[weight > 0] @ evidence[weight > 0])
        return total

    def slack(self, params: Any, expectation: Expectation[Any]) -> float:
        books = Books.of(self.model, params, expectation)
        return books.slack + 1e-10 * abs(books.log_prior)

    @cached_property
    def own(self) -> Expectation[Any]:
        """The E-step at the parameters."""
        return self.e(self.params)

    @cached_property
    def combinations(self) -> list[Any]:
        """Random positive combinations of the statistics of the pieces, on scales from 0.01 to 100."""
        rng = np.random.default_rng(0)
        parts = [self.model.expectation(self.params, piece).statistics for piece in self.pieces]
        return [mixture(parts, scale * rng.gamma(1.0, size=len(parts))) for scale in (0.01, 0.3, 1.0, 100.0)]

    @cached_property
    def neighbours(self) -> list[Any]:
        """The parameters, and others that the blocks give at random combinations."""
        found = [self.params]
        for statistics in self.combinations[:2]:
            try:
                candidate = self.model.m_step(statistics, self.params)
                found.append(self.model.lift(candidate, self.e(candidate).statistics)[0])
            except Degenerate:
                continue
        return found


def mixture(statistics: Sequence[Any], shares: Any) -> Any:
    """The sum of statistics, each times its share."""
    return tree_sum(share * one for share, one in zip(shares.tolist(), statistics, strict=True))


def cut(chunk: Any, parts: int) -> list[Any]:
    """The chunk in so many slices of nearly equal length; whole where it cannot be sliced."""
    if isinstance(chunk, list | tuple):
        return list(chunk)
    if not can_be_cut(chunk):
        return [chunk]
    edges = np.linspace(0, len(chunk), min(parts, len(chunk)) + 1).astype(int).tolist()
    return [chunk[begin:end] for begin, end in itertools.pairwise(edges)]


def _identity(case: Case, chunk: Any) -> Iterator[str]:
    model, params = case.model, case.params
    for piece in case.pieces:
        posterior = model.posterior(params, piece)
        statistics, entropy = model.statistics(piece, posterior), posterior.entropy()
        cache: dict[str, Any] = {}
        model.expectation(case.neighbours[-1], piece, cache)
        for name, left in (("expectation", None), ("expectation, with a cache that other parameters left,", cache)):
            fused = model.expectation(params, piece, left)
            allowance = case.slack(params, fused)
            if not abs(fused.entropy - entropy) <= allowance:
                yield f"{name} has entropy {fused.entropy}, its posterior {entropy}"
            for other in case.neighbours:
                difference = model.log_joint(other, fused.statistics) - model.log_joint(other, statistics)
                if not abs(difference) <= case.slack(other, fused):
                    yield f"{name} and statistics(posterior) differ by {difference:.3g} nats of log_joint"
    for other in case.neighbours:
        there = case.e(other)
        bound = model.log_joint(other, there.statistics) + there.entropy
        try:
            gap = case.log_likelihood(other) - bound
        except Unavailable:
            break
        allowance = case.slack(other, there)
        if not (abs(gap) <= allowance if model.inference.exact else gap >= -allowance):
            yield f"log_joint + entropy is {bound}, off the sum of log_evidence by {gap:.3g} nats"
    if case.evidence is not None:
        for piece in case.pieces:
            given = np.asarray(case.evidence(params, piece))
            error = np.abs(np.asarray(case.log_evidence(params, piece)) - given)
            if not (error <= 1e-9 * (1 + np.abs(given))).all():
                yield f"log_evidence is off the given one by up to {error.max():.3g} nats a unit"
    if "E" not in model.inference.audited:
        return
    value, allowance = objective(model, params, case.own), case.slack(params, case.own)
    for other in case.neighbours:
        foreign = case.e(other)
        if not objective(model, params, foreign) <= value + allowance:
            yield "the posterior of other parameters gives a higher objective than the parameters' own"


def _half_steps(case: Case, chunk: Any) -> Iterator[str]:
    """Losses that the runner's own audit finds in a few steps."""
    end = _end(case.model, case.params, case.pieces, _STEPS)
    if end is not None:
        yield from _losses(end)


def _end(model: Model, params: Any, pieces: Sequence[Any], steps: int) -> State[Any, Any] | None:
    """The end of a few steps, or None where the start is no density for these data."""
    try:
        return EM(stop=lambda state: None, max_steps=steps).run(model, params, list(pieces))
    except Degenerate:
        return None


def _losses(end: State[Any, Any]) -> Iterator[str]:
    if end.status is not None and end.status.ending is Ending.OBJECTIVE_FELL:
        yield end.status.sentence
    elif not math.isfinite(end.objective):
        yield f"the runner ends at an objective of {end.objective}"


def _subsets(case: Case, chunk: Any) -> Iterator[str]:
    blocks = case.model.blocks()
    halves = cut(chunk, 2)  # whether the number of chunks matters is another clause's question, and there are many runs
    sizes = range(1, len(blocks) + 1) if len(blocks) <= _MOST_BLOCKS else (1, len(blocks) - 1)
    for held in itertools.chain.from_iterable(itertools.combinations(blocks, size) for size in sizes):
        if held == (held[0],) and not held[0].path:
            continue  # the whole of the parameters: nothing is left to move
        model = Frozen(case.model, {block.name for block in held if block.path})
        for start in case.neighbours:
            if (end := _end(model, start, halves, _HELD_STEPS)) is None:
                continue
            for message in _losses(end):
                yield f"with {', '.join(block.name for block in held)} frozen, {message}"
            for block in held:
                if block.path and not _same(get(end.params, block.path), get(start, block.path)):
                    yield f"{block.name} was frozen and moved"


def _linearity(case: Case, chunk: Any) -> Iterator[str]:
    one, two, *_ = case.combinations
    for params, (a, b) in itertools.product(case.neighbours, ((1.0, 1.0), (0.25, 3.0), (2.0, -1.0))):
        joint = case.model.log_joint
        parts = a * joint(params, one), b * joint(params, two)
        whole, scale = joint(params, a * one + b * two), 1 + abs(parts[0]) + abs(parts[1])
        if not abs(whole - sum(parts)) <= 1e-9 * scale:
            yield f"log_joint({a:g} S + {b:g} T) is {whole}, {a:g} log_joint(S) + {b:g} log_joint(T) is {sum(parts)}"


def _chunks(case: Case, chunk: Any) -> Iterator[str]:
    if "E" not in case.model.inference.audited:
        return  # a draw depends on the chunk that it is for
    whole = e_step(case.model, case.params, cut(chunk, 1))
    for parts, order in itertools.product((7, _PIECES), (1, -1)):
        other = e_step(case.model, case.params, cut(chunk, parts)[::order])
        allowance = case.slack(case.params, whole)
        for params in case.neighbours:
            difference = case.model.log_joint(params, other.statistics - whole.statistics)
            if not abs(difference) <= max(allowance, case.slack(params, whole)):
                yield f"in {parts} chunks the statistics differ by {difference:.3g} nats of log_joint"
        if not abs(other.entropy - whole.entropy) <= allowance:
            yield f"in {parts} chunks the entropy is {other.entropy}, in one {whole.entropy}"
        if not math.isclose(other.observations, whole.observations, rel_tol=1e-9):
            yield f"in {parts} chunks there are {other.observations} observations, in one {whole.observations}"


def _optimality(case: Case, chunk: Any) -> Iterator[str]:
    model = case.model
    for statistics, given in itertools.product(case.combinations[1:3], case.neighbours):
        params = model.lift(given, statistics)[0]
        scale = _RELATIVE * (1 + abs(model.log_joint(params, statistics)) + abs(model.log_prior(params)))
        try:
            by_block, at_once = Learnable.m_step(model, statistics, params), model.m_step(statistics, params)
            if not abs(apart := m_gain(model, by_block, at_once, statistics)) <= scale:
                yield f"m_step is {apart:.3g} nats off the blocks in their order"
        except Degenerate:
            pass
        for block in model.blocks():
            for other in (*case.combinations, *_near(statistics, case.combinations)):
                try:
                    best = block.apply(statistics, params)
                    rival = block.maximize(other, params)
                except Degenerate:
                    continue
                try:
                    candidate = model.lift(put(params, block.path, rival), statistics)[0]
                    gain = m_gain(model, best, candidate, statistics)
                except Degenerate as error:
                    yield f"block {block.name} gives parameters that are no density: {error}"
                    return
                blur = max(model.rounding(best), model.rounding(candidate)) * scale / _RELATIVE
                if not gain <= scale + blur:
                    yield f"block {block.name}: a value that it gives at other statistics is {gain:.3g} nats better"


def _near(statistics: Any, others: Sequence[Any]) -> Iterator[Any]:
    """Statistics on other scales, which show a bias that depends on n, and a little way towards others."""
    yield from (0.01 * statistics, 100.0 * statistics)
    yield from (statistics + 1e-2 * other for other in others)


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else bool(one == other)


CLAUSES: dict[str, Callable[[Case, Any], Iterator[str]]] = {
    "identity": _identity,
    "half steps": _half_steps,
    "subsets": _subsets,
    "linearity": _linearity,
    "chunks": _chunks,
    "optimality": _optimality,
}
