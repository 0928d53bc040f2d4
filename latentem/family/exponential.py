"""Exponential families: a density from its sufficient statistics, and everything else from that."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, final

import numpy as np
from attrs import evolve, fields, frozen
from scipy.special import gammaln

from latentem.arrays import Array, Labels, frozen_array, frozen_params, matrix, vector
from latentem.core import Additive, Block, Degenerate, Path
from latentem.family.base import Family

_SAME = 1e-4
"""Relative difference of natural parameters below which two components are one: its square is what EM sees of it."""


@final
@frozen
class ExponentialStatistics(Additive):
    """Weighted sums of T(x) and log h(x).

    Attributes:
        count: Sum of weights, shape (k,).
        total: Sum of weight T(x), shape (k, p).
        log_base: Sum of weight log h(x), over all components.
    """

    count: Array = vector("(k,)")
    total: Array = matrix("(k, p)")
    log_base: float = 0.0


class ExponentialFamily(Family[ExponentialStatistics, Any]):
    """p(x | z = k) = h(x) exp(T(x) . natural_k - log_partition_k).

    A family writes `natural`, `log_partition` and `from_mean`, and `T` and `log_base` where they are
    not the identity and zero. The parameters are whatever `from_mean` returns: an array whose first
    axis is the component, or a value of your own. T must be minimal for `n_parameters` to be right, and
    natural parameters may be minus infinity but not plus: docs/mathematics.md.
    """

    __slots__ = ()

    def T(self, x: Array) -> Array:  # noqa: N802 - the name that the field gives it
        """Sufficient statistics of each row, (n, d) -> (n, p)."""
        return x

    def log_base(self, x: Array) -> Array:
        """log h(x) in nats, (n, d) -> (n,); minus infinity outside the support."""
        return np.zeros(len(x))

    @abc.abstractmethod
    def natural(self, params: Any) -> Array:
        """Natural parameters, shape (k, p); minus infinity is allowed where T is never negative."""

    @abc.abstractmethod
    def log_partition(self, params: Any) -> Array:
        """Log partition of each component in nats, shape (k,)."""

    @abc.abstractmethod
    def from_mean(self, mean: Array) -> Any:
        """Parameters under which E[T(x) | z = k] is `mean`, shape (k, p): the maximum likelihood ones."""

    @final
    def log_density(self, params: Any, x: Array) -> Array:
        features, natural = self.T(x), self._natural(params)
        if features.shape[1] != natural.shape[1]:
            raise ValueError(
                f"rows with {features.shape[1]} statistics were given: the parameters have {natural.shape[1]}"
            )
        with np.errstate(invalid="ignore"):  # an unbounded density is refused by name, by those who ask for it
            return self.log_base(x)[:, None] + _products(features, natural) - self._partition(params)

    @final
    def statistics(self, x: Array, weights: Array) -> ExponentialStatistics:
        per_row = weights.sum(axis=1)
        log_base = np.where(per_row > 0, self.log_base(x), 0.0)
        return ExponentialStatistics(weights.sum(axis=0), weights.T @ self.T(x), float(per_row @ log_base))

    @final
    def log_joint(self, params: Any, statistics: ExponentialStatistics) -> float:
        natural = self._natural(params)
        products = np.where(statistics.total == 0, 0.0, natural) * statistics.total
        partitions = np.where(statistics.count == 0, 0.0, self._partition(params)) * statistics.count
        return float(products.sum()) - float(partitions.sum()) + statistics.log_base

    def blocks(self) -> Sequence[Block[ExponentialStatistics, Any]]:
        return [self._block()]

    @final
    def first(self, statistics: ExponentialStatistics) -> Any:
        pooled = statistics.total.sum(axis=0) / statistics.count.sum()
        empty = (statistics.count == 0)[:, None]
        count = np.where(statistics.count == 0, 1.0, statistics.count)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # what is unsound is refused by name
            return frozen_params(self.from_mean(np.where(empty, pooled, statistics.total / count[:, None])))

    @final
    def count(self, params: Any) -> int:
        return len(self._natural(params))

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        begin = 0
        for chunk in chunks:
            outside = ~np.isfinite(self.log_base(chunk))
            if outside.any():
                row = int(outside.argmax())
                raise ValueError(f"row {begin + row}, {chunk[row]}, is outside the support of {type(self).__name__}")
            begin += len(chunk)

    def check_params(self, params: Any, k: int) -> None:
        if self.count(params) != k:
            raise ValueError(f"{params!r} are no parameters of {k} components of {self!r}")

    def coincident(self, params: Any) -> list[tuple[int, int]]:
        natural = self._natural(params)
        with np.errstate(invalid="ignore"):
            same = np.isclose(natural[:, None], natural, rtol=_SAME, atol=0).all(axis=2)
        return [(i, j) for i, j in np.argwhere(np.triu(same, 1)).tolist()]

    def describe(self, params: Any) -> Mapping[str, Array]:
        plain = isinstance(params, np.ndarray) and params.ndim <= 2
        return {"parameter": params} if plain else {"natural": self._natural(params)}

    def _natural(self, params: Any) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # log 0 is minus infinity, and meant
            natural = self.natural(params)
        unsound = ~(natural < np.inf).all(axis=1)
        if unsound.any():
            j = int(unsound.argmax())
            raise Degenerate(
                j,
                "natural parameters",
                f"they are {natural[j]}",
                "use a prior or fewer components, or write T with one column for each outcome, as (x, 1 - x)",
            )
        return natural

    def _partition(self, params: Any) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self.log_partition(params)

    def _block(self, held: tuple[int, ...] = ()) -> Block[ExponentialStatistics, Any]:
        def maximize(statistics: ExponentialStatistics, params: Any) -> Any:
            kept = statistics.count == 0
            kept[list(held)] = True
            return _keep(kept, params, self.first(statistics)) if kept.any() else self.first(statistics)

        def size(params: Any) -> int:
            natural = self._natural(params)
            return (len(natural) - len(held)) * natural.shape[1]

        return Block((), maximize, size, lambda more: self._block((*held, *more)))


@final
@frozen
class Poisson(ExponentialFamily):
    """Counts: independent Poisson columns. The parameters are the rates, shape (k, d)."""

    def params(self, rates: Any) -> Array:
        """Rates given by hand, checked at once.

        Raises:
            ValueError: not of shape (k, d), or a rate is negative or not finite.
        """
        checked = frozen_array(rates)
        if checked.ndim != 2 or not (np.isfinite(checked).all() and (checked >= 0).all()):
            raise ValueError(f"rates were given as {checked}: give finite rates of at least 0, shape (k, d)")
        return checked

    def log_base(self, x: Array) -> Array:
        inside = (x >= 0) & (x == np.floor(x))
        return np.where(inside, -gammaln(np.where(inside, x, 0) + 1), -np.inf).sum(axis=1)

    def natural(self, params: Array) -> Array:
        return np.log(params)

    def log_partition(self, params: Array) -> Array:
        return params.sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        return mean

    def check_params(self, params: Array, k: int) -> None:
        if len(self.params(params)) != k:
            raise ValueError(f"rates of shape {params.shape} were given for {k} components: give (k, d)")

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        return frozen_array(rng.poisson(params[labels]))

    def describe(self, params: Array) -> Mapping[str, Array]:
        return {"rate": params}


def _products(features: Array, natural: Array) -> Array:
    """Features @ natural', with 0 times minus infinity = 0."""
    unbounded = np.isinf(natural)
    if not unbounded.any():
        return features @ natural.T
    finite = features @ np.where(unbounded, 0.0, natural).T
    return np.where((features != 0).astype(float) @ unbounded.T > 0, -np.inf, finite)


def _keep(kept: Any, old: Any, new: Any) -> Any:
    """`new`, with the components in the mask `kept` as they are in `old`; arrays, or values made of them."""
    if isinstance(new, np.ndarray):
        return frozen_array(np.where(kept.reshape(-1, *(1,) * (new.ndim - 1)), old, new))
    return evolve(new, **{f.name: _keep(kept, getattr(old, f.name), getattr(new, f.name)) for f in fields(type(new))})
