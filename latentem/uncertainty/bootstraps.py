"""Standard errors from the same fit to other data: the methods."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, own
from latentem.core import Degenerate, Event, unit_weight
from latentem.numerics.rng import children
from latentem.run import EM, Anderson, remaining_below
from latentem.uncertainty.by_replication import ByBootstrap, ByJackknife
from latentem.uncertainty.coordinates.chart import Free
from latentem.uncertainty.named import value_in
from latentem.uncertainty.replicate import Job, Replicate, replicated
from latentem.uncertainty.resampling import DirichletWeights, Drawn, LeftOut, Masses, Resampling, WithReplacement, mass
from latentem.uncertainty.subject import Method, Subject, refuse_replications

REPLICATIONS = 1000
_CLOSE = 1e-5
"""Nats of the objective that a replication may leave: its numbers are then off by 0.5 % of a standard error."""


class Replication(Method):
    """The same fit to other data."""

    __slots__ = ()

    name: ClassVar[str]
    way: ClassVar[str]

    @abc.abstractmethod
    def resampling(self, subject: Subject, seed: np.random.SeedSequence, masses: Masses) -> Resampling:
        """How the data come about."""

    def refuse(self, subject: Subject, replications: int | None) -> None:
        subject.free()
        self.prepared(subject, 0)

    def prepared(self, subject: Subject, rng: Any) -> Resampling:
        """How the data come about, once they have been looked at.

        Raises:
            TypeError, ValueError: they cannot.
        """
        (seed,) = children(rng, 1)
        masses = Masses.of(subject.engine.place(subject.chunks).each(mass))
        resampling = self.resampling(subject, seed, masses)
        resampling.refuse(subject.chunks[0])
        return resampling

    def run(
        self, subject: Subject, resampling: Resampling, numbers: Sequence[int], close: float
    ) -> tuple[list[Replicate], str, tuple[Event, ...]]:
        """The ends of replications, what became of them in words, and events.

        Raises:
            Degenerate: fewer than two can be used.
        """
        runner = EM(remaining_below(close / subject.expectation.observations), accelerate=Anderson())
        events = tuple(event for event in subject.events if not event.clean)
        job = Job(subject.model, subject.params, events, runner, resampling)
        ends = replicated(job, subject.chunks, subject.sharing, numbers)
        why = Counter(end.why for end in ends)
        used = sum(end.params is not None for end in ends)
        if used < 2:
            raise Degenerate(
                None,
                "replications",
                f"of {len(ends)} only {used} can be used: {why['degenerate']} became degenerate, and components of "
                f"{why['unmatched']} are not those of the fit",
                'use fewer components, a prior, or method="information"',
            )
        told = [
            (why["degenerate"], "became degenerate and {was} left out", "use fewer components or a prior"),
            (
                why["unmatched"],
                "ended with components that cannot be matched with those of the fit, and {was} left out",
                "take these standard errors for too small, or use fewer components",
            ),
            (why["slow"], "did not converge, and count as they are", "fit a model that the data determine better"),
        ]
        found = [
            Event("lost", f"{n} of {len(ends)} replications {what.format(was='was' if n == 1 else 'were')}", remedy)
            for n, what, remedy in told
            if n
        ]
        return ends, f"{used} of {len(ends)} replications count", tuple(found)


class Bootstrap(Replication):
    """Replications on data that are drawn."""

    __slots__ = ()

    def refuse(self, subject: Subject, replications: int | None) -> None:
        count = REPLICATIONS if replications is None else replications
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 2:
            raise ValueError(f"replications was given as {replications!r}: give a whole number, at least 2")
        super().refuse(subject, replications)

    def apply(self, subject: Subject, replications: int | None, rng: Any) -> ByBootstrap:
        count = REPLICATIONS if replications is None else replications
        free = subject.free()
        resampling = self.prepared(subject, rng)
        ends, tally, events = self.run(subject, resampling, range(int(count)), _CLOSE)
        params = tuple(end.params for end in ends if end.params is not None)
        return ByBootstrap(
            model=repr(subject.model),
            observations=subject.expectation.observations,
            names=tuple(one.name for one in free.numbers),
            estimates=own(np.array([one.value for one in free.numbers])),
            level=subject.level,
            events=events,
            way=self.way,
            tally=tally,
            fitted=subject.params,
            params=params,
            values=values_in(params, free),
        )


@final
@frozen
class Weighted(Bootstrap):
    """Rows that weigh as a Dirichlet has it (Newton and Raftery, 1994; O'Hagan, Murphy, Scrucca and Gormley, 2019)."""

    way: ClassVar[str] = "weighted likelihood bootstrap"

    def resampling(self, subject: Subject, seed: np.random.SeedSequence, masses: Masses) -> Resampling:
        return DirichletWeights(seed, masses)


@final
@frozen
class Nonparametric(Bootstrap):
    """Units drawn with replacement (Efron, 1979)."""

    way: ClassVar[str] = "nonparametric bootstrap"

    def resampling(self, subject: Subject, seed: np.random.SeedSequence, masses: Masses) -> Resampling:
        return WithReplacement(seed, masses)


@final
@frozen
class Parametric(Bootstrap):
    """Units drawn from the fit (Efron, 1979)."""

    way: ClassVar[str] = "parametric bootstrap"

    def resampling(self, subject: Subject, seed: np.random.SeedSequence, masses: Masses) -> Resampling:
        return Drawn(seed, masses, subject.model, subject.params)


@final
@frozen
class Jackknife(Replication):
    """All units but one, each in turn (Tukey, 1958)."""

    way: ClassVar[str] = "jackknife"

    def resampling(self, subject: Subject, seed: np.random.SeedSequence, masses: Masses) -> Resampling:
        return LeftOut(seed, masses)

    def refuse(self, subject: Subject, replications: int | None) -> None:
        refuse_replications(replications, "jackknife")
        super().refuse(subject, replications)
        if (count := self.prepared(subject, 0).masses.count) < 2:
            raise ValueError(f"data with {count} units were given: a jackknife leaves out one of at least two")

    def apply(self, subject: Subject, replications: int | None, rng: Any) -> ByJackknife:
        free = subject.free()
        resampling = self.prepared(subject, rng)
        count = resampling.masses.count
        weights = np.concatenate(subject.engine.place(subject.chunks).each(unit_weights))
        numbers = np.flatnonzero(weights > 0).tolist()
        # What leaving out a unit changes is a standard error over the root of n, and so must be known better.
        ends, tally, events = self.run(subject, resampling, numbers, _CLOSE / count)
        params = tuple(end.params for end in ends if end.params is not None)
        used = [number for number, end in zip(numbers, ends, strict=True) if end.params is not None]
        return ByJackknife(
            model=repr(subject.model),
            observations=subject.expectation.observations,
            names=tuple(one.name for one in free.numbers),
            estimates=own(np.array([one.value for one in free.numbers])),
            level=subject.level,
            events=events,
            way=self.way,
            tally=tally,
            fitted=subject.params,
            params=params,
            values=values_in(params, free),
            times=own(weights[used]),
            scales=free.scales,
        )


def values_in(params: Sequence[Any], free: Free) -> Array:
    """The free numbers in each of some parameters, shape (b, m)."""
    return own(np.array([[value_in(each, one) for one in free.numbers] for each in params]))


def unit_weights(chunk: Any) -> Array:
    """How much each unit of a chunk counts, shape (units,)."""
    weight = unit_weight(chunk)
    return np.ones(len(chunk)) if weight is None else np.asarray(weight)
