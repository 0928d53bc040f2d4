"""Hidden Markov models with any family as their emissions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, Labels, matrix, own, part, plain_int, shares, vector
from latentem.core import Additive, Cache, Degenerate, Expectation, Learnable, Value
from latentem.data import Sequences
from latentem.family import Family
from latentem.family.base import brief, shown
from latentem.kernel import densities, weighted_statistics
from latentem.model.components import ComponentModel, Kernels, a_family, kernel_at, number_of
from latentem.model.simplex import NO_COUNTS, PseudoCounts, Simplex, SimplexRows, log_of, refuse_off_simplex
from latentem.numerics.rng import generator
from latentem.posterior import ChainPosterior
from latentem.posterior.compiled import LOOPS
from latentem.posterior.layout import Layout, laid_out
from latentem.posterior.recursions import best_paths, log_weights, lowered, smooth

_SAME = 1e-4
"""Relative difference of probabilities up to which two states may be one."""
_CHUNK = 2**20
"""Numbers in the tables of a chunk: so many that the sequences which take a step together make it worth its call."""
_WORTHWHILE = 2**17
"""States of rows a pass from which compiled loops pay: they take half a second to import, which a fit must win back."""


@final
@frozen
class HiddenMarkovParams(Value):
    """How a path begins and goes on, and the parameters of the family.

    Attributes:
        initial: Probabilities of the first state, shape (k,).
        transitions: Probabilities of the next state, one row for each present state, shape (k, k).
        emissions: The family's parameters.

    Raises:
        ValueError: shapes disagree, or probabilities are off the simplex.
    """

    initial: Array = shares(1, "(k,)")
    transitions: Array = shares(2, "(k, k)")
    emissions: Any = part()

    def __attrs_post_init__(self) -> None:
        if self.transitions.shape != 2 * self.initial.shape:
            raise ValueError(
                f"transitions have shape {self.transitions.shape}: {len(self.initial)} initial probabilities "
                f"need {2 * self.initial.shape}"
            )
        refuse_off_simplex("initial probabilities", self.initial)
        refuse_off_simplex("transitions", self.transitions)

    @cached_property
    def kernels(self) -> Kernels:
        """The densities at these parameters arranged for speed: once a pass, not once a chunk."""
        return {}


@final
@frozen
class HiddenMarkovStatistics(Additive):
    """Counts and the family's statistics, named as the parameters that they determine.

    Attributes:
        initial: Expected number of sequences that begin in each state, shape (k,).
        transitions: Expected number of steps from each state to each other, shape (k, k).
        emissions: The family's statistics.
    """

    initial: Array = vector("(k,)")
    transitions: Array = matrix("(k, k)")
    emissions: Any = part()


@final
@frozen
class HiddenMarkov(ComponentModel[Sequences, ChainPosterior, HiddenMarkovStatistics, HiddenMarkovParams]):
    """p(x_1 .. x_t) summed over paths of states: initial, then transitions, and at each step an emission.

    A chunk is whole sequences of any lengths. EM for it is the algorithm of Baum, Petrie, Soules and Weiss (1970);
    `Hard` makes it Viterbi training (Juang and Rabiner, 1990). A transition that is zero stays zero.

    Attributes:
        family: What a state emits: any family of the mixtures.
        k: How many states there are.
        prior: Pseudo-counts on the initial state and on each row of the transitions, or None.
    """

    family: Family[Any, Any] = field(validator=a_family)
    k: int = field(converter=plain_int, validator=number_of("components"))
    prior: PseudoCounts | None = None

    part: ClassVar[str] = "emissions"
    kind: ClassVar[type[Sequences]] = Sequences

    @cached_property
    def pieces(self) -> Mapping[str, Learnable[Any, Any]]:
        prior = self._prior
        return {"initial": Simplex(prior), "transitions": SimplexRows(prior), "emissions": self.family}

    def assemble(self, pieces: Mapping[str, Any]) -> HiddenMarkovParams:
        return HiddenMarkovParams(**pieces)

    def params(self, initial: Any, transitions: Any, emissions: Any) -> HiddenMarkovParams:
        """Parameters given by hand, checked at once; emissions as the family's `params` makes them.

        Args:
            initial: Shape (k,).
            transitions: Shape (k, k), rows summing to one.
            emissions: The family's parameters.

        Raises:
            ValueError: probabilities off the simplex, or emissions that are not this family's.
        """
        params = HiddenMarkovParams(initial, transitions, emissions)
        self.check_params(params)
        return params

    def posterior(self, params: HiddenMarkovParams, chunk: Sequences) -> ChainPosterior:
        chunk = self._as_chunk(chunk)
        density, hidden = self.infer(params, chunk)
        nodes = own(self._nodes(params, chunk, density.copy()))
        posterior = ChainPosterior(nodes, log_of(params.transitions), chunk.lengths, chunk.weight, hidden)
        _refuse_impossible(posterior.impossible, chunk)
        return posterior

    def labels(self, params: HiddenMarkovParams, chunk: Sequences) -> Labels:
        chunk = self._as_chunk(chunk)
        density, _ = self.infer(params, chunk)
        nodes = self._nodes(params, chunk, density.T.copy().T).T
        states = best_paths(lowered(nodes), log_of(params.transitions), Layout.of(chunk.lengths, self.k))
        onward = np.delete(params.transitions[states[:-1], states[1:]], chunk.begins[1:] - 1)
        if not (nodes[states, np.arange(len(states))].min() > -np.inf and onward.all()):
            self.posterior(params, chunk)  # which says what row ends every path
        return states

    def expectation(
        self, params: HiddenMarkovParams, chunk: Sequences, cache: Cache | None = None
    ) -> Expectation[HiddenMarkovStatistics]:
        chunk = self._as_chunk(chunk)
        kernel = kernel_at(params.kernels, self.family, params.emissions, np.zeros(self.k))
        # A chain has one kernel for all its rows, or none.
        found = None if kernel is None else densities(kernel, chunk.x, chunk.centre, chunk.bounds)
        if found is None:
            return super().expectation(params, chunk)
        kernel, density = found
        nodes = self._nodes(params, chunk, self.masked(density, chunk)).T
        nodes = lowered(nodes, out=nodes if nodes.flags.c_contiguous else None)
        weight = np.ones(len(chunk)) if chunk.weight is None else chunk.weight
        smoothed = smooth(nodes, log_of(params.transitions), laid_out(chunk.lengths, self.k, cache), weight)
        _refuse_impossible(smoothed.impossible, chunk)
        counts = smoothed.marginals if chunk.weight is None else smoothed.marginals * chunk.row_weight
        emissions = weighted_statistics(kernel, chunk.x, counts.T)
        if emissions is None:  # the kernel's sums lack digits for narrow components
            emissions = self.emitted(chunk, np.ascontiguousarray(counts.T), None)
        summed = HiddenMarkovStatistics(counts[:, chunk.begins].sum(axis=1), smoothed.pairs, emissions)
        return Expectation(summed, smoothed.entropy, chunk.observations)

    def _nodes(self, params: HiddenMarkovParams, chunk: Sequences, density: Array) -> Array:
        """Log potentials of the states of each row, shape (n, k): densities, which are written to.

        Raises:
            Degenerate: a row has no state that may be.
        """
        if chunk.weight is not None and not (chunk.weight > 0).all():
            # A sequence that does not count is as one of which nothing is known: some path explains it.
            density = np.where(chunk.row_weight[:, None] > 0, density, 0.0)
        self.refuse_unsound(density, chunk)
        density[chunk.begins] += log_of(params.initial)
        return density

    def loops(self, rows: float) -> tuple[str, ...]:
        return LOOPS if rows * self.k >= _WORTHWHILE else ()

    def statistics(self, chunk: Sequences, posterior: ChainPosterior) -> HiddenMarkovStatistics:
        chunk = self._as_chunk(chunk)
        if posterior.nodes.shape != (len(chunk.x), self.k):
            raise ValueError(f"the posterior has shape {posterior.nodes.shape}: it must be {(len(chunk.x), self.k)}")
        emissions = self.emitted(chunk, posterior.counts(), posterior.hidden)
        return HiddenMarkovStatistics(posterior.starts(), posterior.transitions(), emissions)

    def log_evidence(self, params: HiddenMarkovParams, chunk: Sequences) -> Array:
        """log p(x_1 .. x_t | params) of each sequence, shape (s,), by a recursion in log space of its own."""
        chunk = self._as_chunk(chunk)
        density = self.masked(self.family.log_density(params.emissions, chunk.x), chunk)
        nodes = density.copy()
        nodes[chunk.begins] += log_of(params.initial)
        return log_weights(nodes.T, log_of(params.transitions), Layout.of(chunk.lengths, self.k))

    @property
    def noun(self) -> str:
        return "state"

    def sample(self, params: HiddenMarkovParams, size: int, rng: Any) -> tuple[Array, Labels]:
        """One sequence of `size` time steps: (x, states), shapes (size, d) and (size,)."""
        rng = generator(rng)
        cumulative = params.transitions.cumsum(axis=1)  # times their last, which rounding may have put off one
        uniform = rng.random(size)
        states = np.empty(size, dtype=np.int64)
        ahead = params.initial.cumsum()
        for t in range(size):
            states[t] = np.searchsorted(ahead[:-1], uniform[t] * ahead[-1], side="right")
            ahead = cumulative[states[t]]
        return self.family.sample(params.emissions, states, rng), states

    def describe(self, params: HiddenMarkovParams, statistics: HiddenMarkovStatistics) -> Mapping[str, Array]:
        to = {f"to {j}": params.transitions[:, j] for j in range(self.k)}
        return {"initial": params.initial, **to, **super().describe(params, statistics)}

    def check_params(self, params: HiddenMarkovParams) -> None:
        if not isinstance(params, HiddenMarkovParams):
            raise ValueError(f"{brief(params)} was given: parameters of {self!r} are a HiddenMarkovParams")
        if len(params.initial) != self.k:
            raise ValueError(f"{len(params.initial)} initial probabilities were given: the model has {self.k} states")
        if self._prior.count > 0 and not (params.initial.all() and params.transitions.all()):
            raise ValueError(
                f"initial probabilities or transitions hold a zero, which {self.prior} rules out: leave out the prior"
            )
        super().check_params(params)

    def _rows(self, n: int, d: int) -> int:
        return max(256, _CHUNK // max(self.k, d))

    def units(self, statistics: HiddenMarkovStatistics) -> Array:
        return statistics.initial + statistics.transitions.sum(axis=0)

    def gathered(
        self, chunk: Sequences, responsibilities: Array, weight: Array | None = None
    ) -> HiddenMarkovStatistics:
        # Rows are taken for independent, so that a pair of neighbours has the product of their responsibilities.
        counts = responsibilities * (chunk.row_weight if weight is None else weight)[:, None]
        begins = chunk.begins
        later = np.delete(np.arange(len(chunk.x)), begins)
        return HiddenMarkovStatistics(
            counts[begins].sum(axis=0),
            responsibilities[later - 1].T @ counts[later],
            self.family.statistics(chunk.x, counts),
        )

    def alike(self, params: HiddenMarkovParams, i: int, j: int) -> bool:
        swapped = np.arange(self.k)
        swapped[[i, j]] = j, i
        same = np.isclose(params.transitions[np.ix_(swapped, swapped)], params.transitions, rtol=_SAME, atol=0).all()
        return bool(same and np.isclose(params.initial[i], params.initial[j], rtol=_SAME, atol=0))

    @property
    def _prior(self) -> PseudoCounts:
        return self.prior or NO_COUNTS


def _refuse_impossible(row: int | None, chunk: Sequences) -> None:
    """Refuse a chunk of which a row ends every path.

    Raises:
        Degenerate: there is such a row.
    """
    if row is not None:
        raise Degenerate(
            None,
            "posterior",
            f"no path explains the sequence up to {{row}}, {shown(chunk.x[row])}",
            "start from wider emissions, or allow more transitions",
            row=row,
            place=chunk.place(row),
        )
