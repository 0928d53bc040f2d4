"""Finite mixtures of any family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import field, frozen
from scipy.special import logsumexp

from latentem.arrays import Array, frozen_params, made, own, part, plain_int, shares, vector
from latentem.core import Additive, Cache, Event, Expectation, Learnable, Value, tree_sum
from latentem.data import Rows, even_rows, split
from latentem.family import Family
from latentem.family.base import brief
from latentem.kernel import Kernel, fused
from latentem.model.abreast import abreast
from latentem.model.components import ComponentModel, Kernels, a_family, kernel_at, number_of
from latentem.model.reseeding import reseeded
from latentem.model.simplex import NO_COUNTS, PseudoCounts, Simplex, log_of, refuse_off_simplex
from latentem.numerics.rng import generator
from latentem.posterior import LabelPosterior

_SMALL, _LARGE, _BLOCK = 2**17, 2**20, 2**15
"""Numbers in the tables, (rows, k) or (rows, d), of a chunk, at least and at most; and of a block, where no kernel
chooses it."""

_WORTHWHILE = 2**17
"""Densities a pass from which compiled loops pay: they take half a second to import, which a fit must win back."""


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

    weights: Array = shares(1, "(k,)")
    components: Any = part()

    def __attrs_post_init__(self) -> None:
        refuse_off_simplex("weights", self.weights)

    @cached_property
    def kernels(self) -> Kernels:
        """The densities at these parameters arranged for speed: once a pass, not once a chunk."""
        return {}


@final
@frozen
class MixtureStatistics(Additive):
    """Counts and the family's statistics, named as the parameters that they determine.

    Attributes:
        weights: Expected number of units in each component, shape (k,).
        components: The family's statistics.
    """

    weights: Array = vector("(k,)")
    components: Any = part()


@final
@frozen
class Mixture(ComponentModel[Rows, LabelPosterior, MixtureStatistics, MixtureParams]):
    """p(x) = sum over k of weight_k p(x | component k).

    Attributes:
        family: What the components are.
        k: How many there are.
        prior: A prior on the weights, or None. The family has its own.
    """

    family: Family[Any, Any] = field(validator=a_family)
    k: int = field(converter=plain_int, validator=number_of("components"))
    prior: PseudoCounts | None = None

    @cached_property
    def pieces(self) -> Mapping[str, Learnable[Any, Any]]:
        return {"weights": Simplex(self._prior), "components": self.family}

    def assemble(self, pieces: Mapping[str, Any]) -> MixtureParams:
        return made(MixtureParams, pieces["weights"], frozen_params(pieces["components"]))

    def params(self, weights: Any, components: Any) -> MixtureParams:
        """Parameters given by hand, checked at once; components as the family's `params` makes them.

        Raises:
            ValueError: weights off the simplex, or components that are not this family's.
        """
        params = MixtureParams(weights, components)
        self.check_params(params)
        return params

    def posterior(self, params: MixtureParams, chunk: Rows) -> LabelPosterior:
        chunk = self._as_chunk(chunk)
        density, hidden = self.infer(params, chunk)
        log_joint = log_of(params.weights) + density
        self.refuse_unsound(log_joint, chunk)
        return LabelPosterior.from_log(log_joint, chunk.weight, hidden)

    def statistics(self, chunk: Rows, posterior: LabelPosterior) -> MixtureStatistics:
        chunk = self._as_chunk(chunk)
        if posterior.weights.shape != (len(chunk), self.k):
            raise ValueError(f"the posterior has shape {posterior.weights.shape}: it must be {(len(chunk), self.k)}")
        counts = posterior.counts()
        return MixtureStatistics(own(counts.sum(axis=0)), self.emitted(chunk, counts, posterior.hidden))

    def expectation(
        self, params: MixtureParams, chunk: Rows, cache: Cache | None = None
    ) -> Expectation[MixtureStatistics]:
        kernel = kernel_at(params.kernels, self.family, params.components, log_of(params.weights))
        return self._fused(kernel, params, self._as_chunk(chunk))

    def _fused(self, kernel: Kernel | None, params: MixtureParams, chunk: Rows) -> Expectation[MixtureStatistics]:
        """The E-step by a kernel where it is sound, by the next one elsewhere, and at last by the composed default."""
        if kernel is None:
            return tree_sum(super(Mixture, self).expectation(params, part) for part in self._blocks(chunk))
        counts, statistics, entropy, left = fused(kernel, chunk)
        found = made(MixtureStatistics, counts, statistics)
        if not left:
            return Expectation(found, entropy, chunk.observations)
        if left[0] is chunk:
            return self._fused(kernel.otherwise, params, chunk)
        mine = Expectation(found, entropy, chunk.observations - sum(part.observations for part in left))
        return tree_sum([mine, *(self._fused(kernel.otherwise, params, part) for part in left)])

    def _blocks(self, chunk: Rows) -> list[Rows]:
        """The chunk in parts whose tables, (rows, k) and (rows, d), stay in cache."""
        return split(chunk, max(256, _BLOCK // max(self.k, chunk.x.shape[1])))

    def _rows(self, n: int, d: int) -> int:
        """How many of n rows a chunk has."""
        width = max(self.k, d)
        return even_rows(n, max(256, _SMALL // width), max(256, _LARGE // width))

    def loops(self, rows: float) -> tuple[str, ...]:
        return self.family.loops if rows * self.k >= _WORTHWHILE else ()

    def abreast(
        self, params: MixtureParams, chunk: Rows, weightings: Array, steps: int = 1
    ) -> Sequence[MixtureParams] | None:
        found = abreast(self.family, self._prior, (params.weights, params.components), chunk, weightings, steps)
        return None if found is None else [MixtureParams(*each) for each in found]

    def log_evidence(self, params: MixtureParams, chunk: Rows) -> Array:
        log_weights, chunk = log_of(params.weights), self._as_chunk(chunk)
        return np.concatenate(
            [
                logsumexp(log_weights + self.masked(self.family.log_density(params.components, part.x), part), axis=1)
                for part in self._blocks(chunk)
            ]
        )

    def sample(self, params: MixtureParams, size: int, rng: Any) -> tuple[Array, Any]:
        rng = generator(rng)
        labels = rng.choice(self.k, size, p=params.weights / params.weights.sum())
        return self.family.sample(params.components, labels, rng), labels

    def describe(self, params: MixtureParams, statistics: MixtureStatistics) -> Mapping[str, Array]:
        return {"weight": params.weights, **super().describe(params, statistics)}

    def as_mixture(self, params: MixtureParams, statistics: MixtureStatistics) -> tuple[Array, Family[Any, Any], Any]:
        return params.weights, self.family, params.components

    def check_params(self, params: MixtureParams) -> None:
        if not isinstance(params, MixtureParams):
            raise ValueError(f"{brief(params)} was given: parameters of {self!r} are a MixtureParams")
        if len(params.weights) != self.k:
            raise ValueError(f"{len(params.weights)} weights were given: the model has {self.k} components")
        if self._prior.count > 0 and (params.weights == 0).any():
            raise ValueError(f"weights {params.weights} hold a zero, which {self.prior} rules out: leave out the prior")
        super().check_params(params)

    def units(self, statistics: MixtureStatistics) -> Array:
        return statistics.weights

    def gathered(self, chunk: Rows, responsibilities: Array, weight: Array | None = None) -> MixtureStatistics:
        return self.statistics(chunk, LabelPosterior(responsibilities, chunk.weight if weight is None else weight))

    def repair(
        self, model: Any, before: MixtureParams, params: MixtureParams, statistics: MixtureStatistics, chunks: Any
    ) -> tuple[MixtureParams, Sequence[Event]]:
        """An empty component whose weight is held moves to the row that is least likely under its own."""
        return reseeded(self, model, before, params, statistics, chunks)

    @property
    def _prior(self) -> PseudoCounts:
        return self.prior or NO_COUNTS
