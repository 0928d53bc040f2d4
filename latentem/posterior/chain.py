"""Posteriors over paths: one label a time step, each depending on the one before."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, Labels, extents, frozen_or_none, matrix, own
from latentem.core import Hidden, Value
from latentem.posterior.labels import count_units, drawing, hidden_entropy
from latentem.posterior.layout import Layout
from latentem.posterior.recursions import Smoothed, best_paths, drawn_paths, filtered, lowered, smooth


@final
@frozen
class ChainPosterior(Value):
    """Markov chains: q(z_1 .. z_t) is proportional to exp(sum nodes[t, z_t] + sum coupling[z_t, z_t+1]).

    Attributes:
        nodes: Log potentials of the states of each row, shape (n, k), for all chains one below the other.
        coupling: Log potentials of neighbouring states, shape (k, k), the earlier one first.
        lengths: How many rows each chain has, shape (s,).
        multiplicity: How many times each chain counts, shape (s,); ones unless given.
        hidden: q(h | z) where a state has latents of its own, or None.

    Marginals, entropy, modes and draws follow from these potentials; their sum over paths is never needed.
    """

    nodes: Array = matrix("(n, k)")
    coupling: Array = matrix("(k, k)")
    lengths: Labels = extents()
    multiplicity: Array = field(default=None, converter=frozen_or_none, eq=EQUAL, hash=False)
    hidden: Hidden | None = None

    def __attrs_post_init__(self) -> None:
        count_units(self, len(self.lengths))

    @classmethod
    def of_labels(cls, labels: Labels, k: int, lengths: Any, multiplicity: Any = None, hidden: Any = None) -> Self:
        """All the weight of each chain on the path through these labels, shape (n,)."""
        nodes = np.full((len(labels), k), -np.inf)
        nodes[np.arange(len(labels)), labels] = 0.0
        return cls(own(nodes), np.zeros((k, k)), lengths, multiplicity, hidden)

    def entropy(self) -> float:
        """H[q] in nats."""
        return self.latent_entropy() + hidden_entropy(self.hidden, self.counts)

    def latent_entropy(self) -> float:
        """H[q(z)] in nats: the log weight of all paths less the expected one of a path."""
        return self._smoothed.entropy

    @property
    def impossible(self) -> int | None:
        """A row that ends every path of its chain, or None: then there is no such posterior."""
        return self._smoothed.impossible

    def counts(self) -> Array:
        """Weight of each row in each state, times the multiplicity of its chain, shape (n, k)."""
        return self.marginals() * np.repeat(self.multiplicity, self.lengths)[:, None]

    def starts(self) -> Array:
        """Expected number of chains that begin in each state, shape (k,)."""
        return self._smoothed.marginals[:, self._layout.begins] @ self.multiplicity

    def transitions(self) -> Array:
        """Expected number of times that each state follows each other one, shape (k, k)."""
        return self._smoothed.pairs

    def labels(self) -> Labels:
        """The states of the most probable path of each chain (Viterbi, 1967), shape (n,)."""
        return best_paths(self._nodes, self.coupling, self._layout)

    def paths(self) -> list[Labels]:
        """The states of the most probable path, chain by chain: vectors of shape (t,)."""
        return np.split(self.labels(), self.lengths.cumsum()[:-1])

    def marginals(self) -> Array:
        """Probabilities of the states at each row, shape (n, k)."""
        return self._smoothed.marginals.T.copy()

    def filtered(self) -> Array:
        """Probabilities of the states at each row given the rows of its chain up to it alone, shape (n, k)."""
        return filtered(self._nodes, self.coupling, self._layout).T.copy()

    def mode(self) -> ChainPosterior:
        """All the weight of each chain on its most probable path."""
        return self._along(self.labels())

    def power(self, exponent: float) -> ChainPosterior:
        """q(z) to a positive power, renormalised chain by chain; what else is hidden keeps its distribution."""
        nodes, coupling = own(exponent * self.nodes), own(exponent * self.coupling)
        return ChainPosterior(nodes, coupling, self.lengths, self.multiplicity, self.hidden)

    def draw(self, seed: int) -> ChainPosterior:
        """A point mass at paths drawn from q; the same q and seed draw the same paths."""
        rng = drawing(seed, self.nodes.tobytes() + self.coupling.tobytes())
        return self._along(drawn_paths(self._nodes, self.coupling, self._layout, rng.random(len(self.nodes))))

    def _along(self, labels: Labels) -> ChainPosterior:
        return ChainPosterior.of_labels(labels, len(self.coupling), self.lengths, self.multiplicity, self.hidden)

    @cached_property
    def _layout(self) -> Layout:
        return Layout.of(self.lengths, len(self.coupling))

    @cached_property
    def _nodes(self) -> Array:
        return lowered(self.nodes.T)

    @cached_property
    def _smoothed(self) -> Smoothed:
        return smooth(self._nodes, self.coupling, self._layout, self.multiplicity)
