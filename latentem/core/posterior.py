"""Posteriors, by what they can do. One is a value: it knows q, and never the parameters."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Posterior(Protocol):
    """A distribution q over the latent variables of one chunk."""

    def entropy(self) -> float:
        """H[q] in nats, computed from q alone."""
        ...


@runtime_checkable
class HasMode(Posterior, Protocol):
    """Countable latents: q has a point mass at its mode."""

    def mode(self) -> Posterior: ...


@runtime_checkable
class HasPower(Posterior, Protocol):
    """q(z) can be raised to a power and renormalised; what else is hidden, given z, keeps its distribution."""

    def power(self, exponent: float) -> Posterior: ...

    def latent_entropy(self) -> float:
        """H[q(z)] in nats, without that of what else is hidden given z."""
        ...


@runtime_checkable
class HasDraw(Posterior, Protocol):
    """One draw of the latents, as a point mass: a pure function of q and the seed."""

    def draw(self, seed: int) -> Posterior: ...


class Hidden(Protocol):
    """q(h | z) for what a unit leaves hidden beside its label z: one distribution a unit and label."""

    def entropies(self) -> Any:
        """Entropy of each in nats, shape (n, k)."""
        ...


@runtime_checkable
class HasPaths(Posterior, Protocol):
    """The latents of a unit are a path of labels, one after the other."""

    def paths(self) -> Any:
        """The most probable path of each unit, a list of vectors of shape (t,)."""
        ...


@runtime_checkable
class HasLabels(Posterior, Protocol):
    """The latent of a unit is a label."""

    def labels(self) -> Any: ...
    def marginals(self) -> Any: ...
