"""Posteriors over one label a unit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, Labels, frozen_or_none, own, shares
from latentem.core import Hidden, Value
from latentem.posterior.recursions import chosen

_ROUNDING = 1e-9
"""How far a sum of probabilities may be from one."""


@final
@frozen
class LabelPosterior(Value):
    """Independent labels: q(z) is a product over units of Cat(z_n | weights[n]).

    Attributes:
        weights: Label probabilities, shape (n, k); rows sum to one.
        multiplicity: How many times each unit counts, shape (n,); ones unless given.
        hidden: q(h | z) where a component has latents of its own, or None.

    Sample weights live here and nowhere else: statistics and entropy both read them from this
    value, so they cannot enter one and miss the other.

    Raises:
        ValueError: weights are negative, or a row does not sum to one within 1e-9.
    """

    weights: Array = shares(2, "(n, k)")
    multiplicity: Array = field(default=None, converter=frozen_or_none, eq=EQUAL, hash=False)
    hidden: Hidden | None = None
    _log_weights: Array | None = field(default=None, converter=frozen_or_none, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        count_units(self, len(self.weights))
        off = np.abs(self.weights.sum(axis=1) - 1)
        if not (np.all(self.weights >= 0) and np.all(off <= _ROUNDING)):
            row = int(np.argmax(np.where(np.isnan(off), np.inf, off) + (self.weights < 0).any(axis=1)))
            raise ValueError(
                f"label probabilities of unit {row} are {self.weights[row]}, which sum to {self.weights[row].sum()}: "
                "they must be at least 0 and sum to 1"
            )

    @classmethod
    def from_log(cls, log_joint: Array, multiplicity: Array | None = None, hidden: Hidden | None = None) -> Self:
        """From unnormalised log probabilities, shape (n, k); each row must have one that is finite."""
        # (eq: responsibilities)
        shifted = log_joint - log_joint.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        total = weights.sum(axis=1, keepdims=True)
        weights /= total
        shifted -= np.log(total)
        return cls(own(weights), multiplicity, hidden, own(shifted))

    @classmethod
    def of_labels(cls, labels: Any, k: int, multiplicity: Array | None = None, hidden: Hidden | None = None) -> Self:
        """All the weight of each unit on the label given for it, shape (n,)."""
        weights = np.zeros((len(labels), k))
        weights[np.arange(len(labels)), labels] = 1.0
        return cls(own(weights), multiplicity, hidden)

    @cached_property
    def log_weights(self) -> Array:
        """log q(z_n = k), shape (n, k), in nats; it does not underflow where the weights do."""
        if self._log_weights is not None:
            return self._log_weights
        with np.errstate(divide="ignore"):
            return own(np.log(self.weights))

    def entropy(self) -> float:
        """H[q] in nats, with 0 log 0 = 0."""
        return self.latent_entropy() + hidden_entropy(self.hidden, self.counts)

    def latent_entropy(self) -> float:
        """H[q(z)] in nats: that of the labels alone."""
        # (eq: responsibilities)
        surprise = np.where(self.weights > 0, self.log_weights, 0.0)
        return float(-(self.multiplicity @ np.einsum("nk,nk->n", self.weights, surprise)))

    def counts(self) -> Array:
        """Weight of each unit in each component, times its multiplicity, shape (n, k)."""
        return self.weights * self.multiplicity[:, None]

    def labels(self) -> Labels:
        """The most probable label of each unit, shape (n,); the lowest of those that tie."""
        return self.log_weights.argmax(axis=1)

    def marginals(self) -> Array:
        """The label probabilities, shape (n, k)."""
        return self.weights

    def mode(self) -> LabelPosterior:
        """All the weight of each unit on its most probable label; what else is hidden keeps its distribution."""
        return self._at(self.labels())

    def power(self, exponent: float) -> LabelPosterior:
        """q(z) to a positive power, renormalised unit by unit; what else is hidden keeps its distribution."""
        # (eq: tempered)
        return LabelPosterior.from_log(exponent * self.log_weights, self.multiplicity, self.hidden)

    def draw(self, seed: int) -> LabelPosterior:
        """A point mass at labels drawn from q; the same q and seed draw the same labels."""
        rng = drawing(seed, self.weights.tobytes())
        return self._at(chosen(self.weights.T, rng.random(len(self.weights))))

    def _at(self, labels: Labels) -> LabelPosterior:
        return LabelPosterior.of_labels(labels, self.weights.shape[1], self.multiplicity, self.hidden)


def count_units(posterior: Any, units: int) -> None:
    """Fill in a multiplicity that was left out: each unit counts once.

    Raises:
        ValueError: one was given that is not one number a unit.
    """
    if posterior.multiplicity is None:
        object.__setattr__(posterior, "multiplicity", own(np.ones(units)))
    if posterior.multiplicity.shape != (units,):
        raise ValueError(f"multiplicity has shape {posterior.multiplicity.shape}: it must be {(units,)}, one a unit")


def drawing(seed: int, q: bytes) -> np.random.Generator:
    """Random numbers for a draw from q: a seed alone would draw the same in every chunk."""
    digest = hashlib.blake2b(q, digest_size=16).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])


def hidden_entropy(hidden: Hidden | None, counts: Callable[[], Array]) -> float:
    """E[H[h | z]] in nats under the counts of the labels, shape (n, k); never minus zero."""
    if hidden is None:
        return 0.0
    each = counts()
    return float(np.where(each > 0, each * hidden.entropies(), 0.0).sum())  # (eq: hidden-entropy)
