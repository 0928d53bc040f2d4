"""Finite mixtures of any family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, final

import attrs
import numpy as np
from attrs import field, frozen
from scipy.special import logsumexp, xlogy

from latentem.arrays import EQUAL, Array, axes, frozen_array, frozen_params, own
from latentem.core import Additive, Block, Degenerate, Event, LatentModel, Path, Value
from latentem.data import Rows, checked, rows, split
from latentem.family import Family
from latentem.posterior import LabelPosterior

_ROUNDING = 1e-9
_EMPTY = 1e-10
_CHUNK = 2**15


@final
@frozen
class MixtureParams(Value):
    """Weights of the components, and the parameters of their family.

    Attributes:
        weights: Shape (k,); at least 0, summing to one.
        components: The family's parameters.

    Raises:
        ValueError: the weights are not on the simplex.
    """

    weights: Array = field(converter=frozen_array, validator=axes(1, "(k,)"), eq=EQUAL, hash=False)
    components: Any = field(converter=frozen_params, eq=EQUAL, hash=False)

    def __attrs_post_init__(self) -> None:
        if not ((self.weights >= 0).all() and abs(self.weights.sum() - 1) <= _ROUNDING):
            raise ValueError(f"weights were given as {self.weights}: they must be at least 0 and sum to 1")


@final
@frozen
class MixtureStatistics(Additive):
    """Counts and the family's statistics, named as the parameters that they determine.

    Attributes:
        weights: Expected number of units in each component, shape (k,).
        components: The family's statistics.
    """

    weights: Array = field(converter=frozen_array, validator=axes(1, "(k,)"), eq=EQUAL, hash=False)
    components: Any


def _natural_number(instance: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{attribute.name} was given as {value!r}: give a whole number of components, at least 1")


def _at_least_zero(instance: Any, attribute: Any, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{attribute.name} was given as {value!r}: give a finite number, at least 0")


@final
@frozen
class PseudoCounts:
    """Weights ~ Dirichlet(1 + count, ..., 1 + count): as if `count` more units were in every component."""

    count: float = field(default=1.0, validator=_at_least_zero)


@final
@frozen
class Mixture(LatentModel[Rows, LabelPosterior, MixtureStatistics, MixtureParams]):
    """p(x) = sum over k of weight_k p(x | component k).

    Attributes:
        family: What the components are.
        k: How many there are.
        prior: A prior on the weights, or None. The family has its own.
    """

    family: Family[Any, Any]
    k: int = field(validator=_natural_number)
    prior: PseudoCounts | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.family, Family):
            raise TypeError(f"family was given as {self.family!r}: give a Family, such as Gaussian() or Poisson()")

    def params(self, weights: Any, components: Any) -> MixtureParams:
        """Parameters given by hand, checked at once; components as the family's `params` makes them.

        Raises:
            ValueError: weights off the simplex, or components that are not this family's.
        """
        params = MixtureParams(weights, frozen_array(components) if isinstance(components, list) else components)
        self.check_params(params)
        return params

    def posterior(self, params: MixtureParams, chunk: Rows) -> LabelPosterior:
        log_joint = self._log_joint(params, chunk)
        highest = log_joint.max(axis=1)
        if not (highest < np.inf).all():
            row = int(np.argmin(highest < np.inf))
            component = int(np.argmin(log_joint[row] < np.inf))
            raise Degenerate(component, "density", f"its log at the row {chunk.x[row]} is {log_joint[row, component]}")
        impossible = highest == -np.inf
        if impossible.any():
            row = int(impossible.argmax())
            raise Degenerate(
                None,
                "posterior",
                f"the density of the row {chunk.x[row]} is zero under every component that it may belong to",
                "start from wider components, or leave out the row",
            )
        return LabelPosterior.from_log(log_joint, chunk.weight)

    def statistics(self, chunk: Rows, posterior: LabelPosterior) -> MixtureStatistics:
        if posterior.weights.shape != (len(chunk), self.k):
            raise ValueError(f"the posterior has shape {posterior.weights.shape}: it must be {(len(chunk), self.k)}")
        counts = posterior.counts()
        return MixtureStatistics(own(counts.sum(axis=0)), self.family.statistics(chunk.x, counts))

    def log_joint(self, params: MixtureParams, statistics: MixtureStatistics) -> float:
        weights = xlogy(statistics.weights, params.weights).sum()
        return float(weights) + self.family.log_joint(params.components, statistics.components)

    def log_prior(self, params: MixtureParams) -> float:
        weights = 0.0 if self.prior is None else float(xlogy(self.prior.count, params.weights).sum())
        return weights + self.family.log_prior(params.components)

    def blocks(self) -> Sequence[Block[MixtureStatistics, MixtureParams]]:
        return [self._weights(), *(block.within("components") for block in self.family.blocks())]

    def first(self, statistics: MixtureStatistics) -> MixtureParams:
        counts = statistics.weights + (0 if self.prior is None else self.prior.count)
        return MixtureParams(counts / counts.sum(), self.family.first(statistics.components))

    def log_evidence(self, params: MixtureParams, chunk: Rows) -> Array:
        evidence: Array = logsumexp(self._log_joint(params, chunk), axis=1)
        return evidence

    def sample(self, params: MixtureParams, size: int, rng: Any) -> tuple[Array, Any]:
        labels = rng.choice(self.k, size, p=params.weights / params.weights.sum())
        return self.family.sample(params.components, labels, rng), labels

    def rounding(self, params: MixtureParams) -> float:
        return self.family.rounding(params.components)

    def diagnose(self, params: MixtureParams, statistics: MixtureStatistics) -> Sequence[Event]:
        total = statistics.weights.sum()
        events = [
            Event(
                "empty",
                f"component {j} has no units",
                "use fewer components or another start; where weights are learnt, PseudoCounts keeps it alive",
                int(j),
            )
            for j in np.flatnonzero(statistics.weights <= _EMPTY * total)
        ]
        for i, j in self.family.coincident(params.components):
            events.append(
                Event(
                    "coincident",
                    f"components {i} and {j} are the same distribution, and EM cannot part them",
                    "start from components that differ, or use fewer",
                    j,
                )
            )
        return [*events, *self.family.diagnose(params.components, statistics.components)]

    def lift(self, params: MixtureParams, statistics: MixtureStatistics) -> tuple[MixtureParams, Sequence[Event]]:
        components, events = self.family.lift(params.components, statistics.components)
        if components is params.components:
            return params, ()
        return attrs.evolve(params, components=components), events

    def describe(self, params: MixtureParams, statistics: MixtureStatistics) -> Mapping[str, Array]:
        counts = {"weight": params.weights, "units": statistics.weights}
        return {**counts, **self.family.describe(params.components)}

    def check(self, chunks: Sequence[Rows], held: Set[Path] = frozenset()) -> None:
        n = sum(len(c) if c.weight is None else np.count_nonzero(c.weight) for c in chunks)
        if n < self.k:
            raise ValueError(
                f"{n} rows were given for {self.k} components: give at least {self.k} that count, or lower k"
            )
        within = frozenset(path[1:] for path in held if path[:1] == ("components",))
        self.family.check([chunk.x for chunk in chunks], within)

    def check_params(self, params: MixtureParams) -> None:
        if not isinstance(params, MixtureParams):
            raise ValueError(f"{params!r} are no parameters of a mixture of {self.k} components")
        if len(params.weights) != self.k:
            raise ValueError(f"{len(params.weights)} weights were given: the model has {self.k} components")
        if self.prior is not None and self.prior.count > 0 and (params.weights == 0).any():
            raise ValueError(f"weights {params.weights} hold a zero, which {self.prior} rules out: leave out the prior")
        self.family.check_params(params.components, self.k)

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Rows:
        return rows(data, weights, allowed, self.k)

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Rows]:
        if isinstance(data, list | tuple) and data and all(isinstance(part, Rows) for part in data):
            if weights is not None or allowed is not None:
                raise ValueError("weights and allowed were given beside Rows: put them into the Rows")
            return checked(data, self.k)
        chunk = self.chunk(data, weights, allowed)
        return split(chunk, max(256, _CHUNK // max(self.k, chunk.x.shape[1])))

    # What starts need to know: `core` has no word for labels, since not every model has them.

    @property
    def location(self) -> Path:
        """Path of the block that says where the components are."""
        return ("components", *self.family.blocks()[0].path)

    def labelled(self, chunk: Rows, responsibilities: Array) -> LabelPosterior:
        """The posterior with these responsibilities, shape (n, k), and the chunk's weights."""
        return LabelPosterior(responsibilities, chunk.weight)

    def _log_joint(self, params: MixtureParams, chunk: Rows) -> Array:
        with np.errstate(divide="ignore"):
            log_weights = np.log(params.weights)
        log_joint = log_weights + self.family.log_density(params.components, chunk.x)
        return log_joint if chunk.allowed is None else np.where(chunk.allowed, log_joint, -np.inf)

    def _weights(self, held: tuple[int, ...] = ()) -> Block[MixtureStatistics, MixtureParams]:
        def maximize(statistics: MixtureStatistics, params: MixtureParams) -> Array:
            counts = statistics.weights + (0.0 if self.prior is None else self.prior.count)
            return _shared(counts, held, params.weights[list(held)])

        return Block(
            path=("weights",),
            maximize=maximize,
            size=lambda params: max(self.k - 1 - len(held), 0),
            holding=lambda more: self._weights((*held, *more)),
            place=lambda field, components, values: _held_at(field, held, components, values),
        )


def _held_at(field: Array, held: tuple[int, ...], components: tuple[int, ...], values: Any) -> Array:
    """Weights with some components at values, what is held already as it is, and the rest shared out."""
    earlier = [j for j in held if j not in components]
    return _shared(
        field, (*earlier, *components), np.concatenate([field[earlier], np.broadcast_to(values, len(components))])
    )


def _shared(shares: Array, held: tuple[int, ...], values: Any) -> Array:
    """Weights with some held at values, and what they leave shared out in proportion to `shares`."""
    free = np.ones(len(shares), dtype=bool)
    free[list(held)] = False
    new = np.zeros(len(shares))
    new[list(held)] = values
    total = shares[free].sum()
    rest = shares[free] / total if total > 0 else np.full(free.sum(), 1 / max(free.sum(), 1))
    new[free] = max(1 - new.sum(), 0.0) * rest
    return new
