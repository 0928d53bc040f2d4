"""Replications: the model fitted to other data, from where the fit ended, its components those of the fit."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.core import (
    Cache,
    Degenerate,
    Engine,
    Event,
    HasLabels,
    InOrder,
    LatentModel,
    Placed,
    Value,
    tree_sum,
    unit_weight,
)
from latentem.data import Chunks
from latentem.numerics.arithmetic import own_arithmetic
from latentem.run import EM, State
from latentem.run.course import next_state
from latentem.run.together import advance
from latentem.uncertainty.resampling import Resampling

Model = LatentModel[Any, Any, Any, Any]
_ALIKE = 0.5
"""Cosine between the memberships in a component and in that of a replication, at least, for them to be one."""
_TOGETHER = 16
"""Replications that share one look at data that are costly to read."""
_LED = 40
"""Plain steps that replications take together, before each goes on by itself."""
_BATCHES = 4
"""Batches of replications for each that an engine computes at a time: some end sooner than others."""


@final
@frozen(eq=False)
class Numbered(Value):
    """A chunk, and which one it is."""

    i: int
    chunk: Any

    def __len__(self) -> int:
        return len(self.chunk)


@final
@frozen(eq=False)
class Replicate:
    """The end of one replication.

    Attributes:
        params: Its parameters, or None where they are not to be used.
        why: Then the reason: "degenerate" or "unmatched". "slow", where the run did not converge; the parameters stand.
    """

    params: Any
    why: str = ""


@final
@frozen(eq=False)
class Job:
    """What is done again and again.

    Attributes:
        model: The model.
        params: The parameters of the fit, from which each replication starts.
        events: What is degenerate about these already.
        runner: How a replication runs.
        resampling: How its data come about.
    """

    model: Model
    params: Any
    events: tuple[Event, ...]
    runner: EM
    resampling: Resampling

    @own_arithmetic
    def batch(self, chunks: Sequence[Any], numbers: Sequence[int]) -> list[Replicate]:
        """Replications of these numbers on data in memory, one after the other, from where all were led together."""
        begins = self._led(chunks, numbers)
        return [self._one(chunks, number, begin) for number, begin in zip(numbers, begins, strict=True)]

    def _led(self, chunks: Sequence[Any], numbers: Sequence[int]) -> Sequence[Any]:
        """Where each run begins: at the fit, or some plain steps ahead, where the model takes them for all at once."""
        found = None
        if len(chunks) == 1:
            weights = [self.resampling.weights(number, 0, chunks[0]) for number in numbers]
            if all(each is not None for each in weights):
                found = self.model.abreast(self.params, chunks[0], np.array(weights), _LED)
        return [self.params] * len(numbers) if found is None else found

    def _one(self, chunks: Sequence[Any], number: int, begin: Any) -> Replicate:
        data = InOrder([self.resampling.chunk(number, i, chunk) for i, chunk in enumerate(chunks)])
        try:
            state = self.runner.run(self.model, begin, data)
            if (found := self._sound(state)).params is None:
                return found
            same = tree_sum(memberships(self.model, self.params, state.params, chunk) for chunk in chunks)
        except Degenerate:
            return Replicate(None, "degenerate")
        return found if matched(same) else Replicate(None, "unmatched")

    def _sound(self, state: State[Any, Any]) -> Replicate:
        """The end of a run, unless something is degenerate there that was not where it began."""
        known = {event.subject for event in self.events}
        if any(not event.clean and event.subject not in known for event in state.events) or state.status is None:
            return Replicate(None, "degenerate")
        if state.status.ending.value in ("degenerate", "objective fell"):
            return Replicate(None, "degenerate")
        return Replicate(state.params, "" if state.converged else "slow")

    def asking(self, placed: Placed[Any], number: int, ends: dict[int, Replicate]) -> Generator[Any, Any, None]:
        """A replication that asks for its passes over chunks elsewhere, and leaves its end."""
        other = Other(placed, self.resampling, number)
        run = self.runner.stepwise(self.model, self.params, other)
        state: State[Any, Any] | None = None
        try:
            asked = _otherwise(run, self.resampling, number)
            while (following := (yield from next_state(asked))) is not None:
                state = following
        except Degenerate:
            state = None
        ends[number] = Replicate(None, "degenerate") if state is None else self._sound(state)
        if ends[number].params is not None:
            same = yield partial(_memberships, self.model, self.params, ends[number].params)
            ends[number] = ends[number] if matched(same) else Replicate(None, "unmatched")


def replicated(job: Job, chunks: Sequence[Any], engine: Engine, numbers: Sequence[int]) -> list[Replicate]:
    """Replications of these numbers, in their order, whoever computes them.

    Where a pass is costly, several of them share one look at the data; elsewhere the engine shares out replications.
    """
    placed = engine.place(numbered(chunks))
    if not placed.costly:
        size = max(1, -(-len(numbers) // (_BATCHES * _BATCHES)))
        batches = [tuple(numbers[begin : begin + size]) for begin in range(0, len(numbers), size)]
        ends = engine.place(batches).each(partial(job.batch, list(chunks)))
        return [end for batch in ends for end in batch]
    found: dict[int, Replicate] = {}
    for begin in range(0, len(numbers), _TOGETHER):
        mine = numbers[begin : begin + _TOGETHER]
        errors = advance(placed, {number: job.asking(placed, number, found) for number in mine})
        for error in errors.values():
            raise error
    return [found[number] for number in numbers]


def numbered(chunks: Sequence[Any]) -> Sequence[Any]:
    """The chunks with their numbers; loaded on demand, where they are."""
    if isinstance(chunks, list | tuple):
        return [Numbered(i, chunk) for i, chunk in enumerate(chunks)]
    return Chunks(partial(_load, chunks), len(chunks), chunks.edges if isinstance(chunks, Chunks) else None)


def _load(chunks: Sequence[Any], i: int) -> Numbered:
    return Numbered(i, chunks[i])


@final
class Other(Placed[Any]):
    """Chunks where they are, of which each task sees what a resampling makes of them."""

    __slots__ = ("_number", "_placed", "_resampling")

    def __init__(self, placed: Placed[Any], resampling: Resampling, number: int) -> None:
        self._placed, self._resampling, self._number = placed, resampling, number

    def __len__(self) -> int:
        return len(self._placed)

    def __iter__(self) -> Any:
        return (self._resampling.chunk(self._number, each.i, each.chunk) for each in self._placed)

    def total(self, task: Any) -> Any:
        return self._placed.total(partial(_on_other, task, self._resampling, self._number))

    def each(self, task: Any) -> list[Any]:
        return self._placed.each(partial(_each_other, task, self._resampling, self._number))


def _otherwise(run: Any, resampling: Resampling, number: int) -> Generator[Any, Any, None]:
    """A run whose tasks see other data."""
    item = next(run)
    while True:
        try:
            if isinstance(item, State):
                yield item
                item = next(run)
            else:
                try:
                    answer = yield partial(_on_other, item, resampling, number)
                except Degenerate as error:
                    item = run.throw(error)
                else:
                    item = run.send(answer)
        except StopIteration:
            return


def _on_other(task: Any, resampling: Resampling, number: int, each: Numbered, cache: Cache) -> Any:
    return task(resampling.chunk(number, each.i, each.chunk), cache)


def _each_other(task: Any, resampling: Resampling, number: int, each: Numbered) -> Any:
    return task(resampling.chunk(number, each.i, each.chunk))


def _memberships(model: Model, one: Any, other: Any, each: Numbered, cache: Cache) -> Array:
    return memberships(model, one, other, each.chunk)


def memberships(model: Model, one: Any, other: Any, chunk: Any) -> Array:
    """Inner products of the memberships of units at two parameters, shape (k + 2, k); (2, 0) where there are no labels.

    Row i of the first k is component i of the one with each of the other; the last two are the squares of each.
    """
    first, second = model.posterior(one, chunk), model.posterior(other, chunk)
    if not (isinstance(first, HasLabels) and isinstance(second, HasLabels)):
        return np.zeros((2, 0))
    mine, theirs = first.marginals(), second.marginals()
    weight = unit_weight(chunk)
    weights = np.ones(len(mine)) if weight is None else np.asarray(chunk.row_weight)
    weighed = weights[:, None] * mine
    return np.vstack([weighed.T @ theirs, (weighed * mine).sum(axis=0), weights @ (theirs * theirs)])


def matched(same: Array) -> bool:
    """Whether each component is that of the same number: in the best assignment, and by its members."""
    if not same.shape[1]:
        return True
    from scipy.optimize import linear_sum_assignment  # which takes as long to load as the library itself

    table, mine, theirs = same[:-2], same[-2], same[-1]
    _, partners = linear_sum_assignment(table, maximize=True)
    alike = np.diagonal(table) >= _ALIKE * np.sqrt(mine * theirs)
    return bool((partners == np.arange(len(table))).all() and alike.all())
