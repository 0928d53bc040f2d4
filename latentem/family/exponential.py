"""Exponential families: a density from its sufficient statistics, and everything else from that."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, frozen_params, matrix, own, vector
from latentem.core import Additive, Block, Degenerate, Path
from latentem.family.base import Family, Mask, numbered, refuse_shape
from latentem.family.by_component import component_block
from latentem.kernel.base import FeatureKernel, Kernel, Sums

_SAME = 1e-4
"""Relative difference of natural parameters below which two components are one: its square is what EM sees of it."""
_ALIKE = _SAME**2
"""Symmetric divergence in nats below which two components are one."""
_CLAIMED = 1e-6
"""Relative difference, and absolute one, of natural parameters that come back from their mean."""
_LEAST = float(np.log(np.finfo(float).smallest_subnormal))
"""The stand-in for minus infinity where it is compared: the log of the smallest positive float."""
_LEAST_MEAN = float(np.finfo(float).tiny)
"""The mean that stands for one that underflows: zero would be another distribution."""
_BLURRED = 1e-9
"""Nats a row from which a kernel is not made: log densities are computed term by term instead."""
_NOTHING = float(np.finfo(float).tiny / np.finfo(float).eps)
"""Sums of weights below this are none: a ratio of them has no digits."""


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
    axis is the component, or a value of your own. Where the columns of T are linearly related, as in
    (x, 1 - x), write `free` too, for `n_parameters` to be right. Natural parameters may be minus infinity
    but not plus: docs/mathematics.md.
    """

    __slots__ = ()

    def T(self, x: Array) -> Array:  # noqa: N802 - the name that the field gives it
        """Sufficient statistics of each row, (n, d) -> (n, p)."""
        return x

    def log_base(self, x: Array) -> Array:
        """log h(x) in nats, (n, d) -> (n,), minus infinity outside the support; here zero where `cells` can occur."""
        cells = self.cells(x)
        return np.zeros(len(x)) if cells is None else np.where(cells.all(axis=1), 0.0, -np.inf)

    @abc.abstractmethod
    def natural(self, params: Any) -> Array:
        """Natural parameters, shape (k, p); minus infinity is allowed where T is never negative."""

    @abc.abstractmethod
    def log_partition(self, params: Any) -> Array:
        """Log partition of each component in nats, shape (k,)."""

    @abc.abstractmethod
    def from_mean(self, mean: Array) -> Any:
        """Parameters under which E[T(x) | z = k] is `mean`, shape (k, p): the maximum likelihood ones.

        Raises:
            Degenerate: there are none, since the likelihood is unbounded.
        """

    def mean(self, params: Any) -> Array | None:
        """E[T(x) | z = k], shape (k, p); None where the family does not write it.

        Two components are one distribution where natural parameters and means hardly differ.
        """
        return None

    def free(self, params: Any) -> int:
        """How many free numbers one component has."""
        return self._natural(params).shape[1]

    def sharp(self, low: Array, high: Array) -> bool:
        """Whether no digits are lost in T(x) . natural - log partition, for rows between these bounds, (d,)."""
        return True

    def log_density(self, params: Any, x: Array) -> Array:
        natural = self._natural(params)
        features = self._features(x, natural.shape[1])
        # T(x) . natural - log partition + log h: docs/mathematics.md, "Sufficient statistics".
        # (eq: exponential-family)
        with np.errstate(invalid="ignore"):  # an unbounded density is refused by name, by those who ask for it
            return self._base(x)[:, None] + _products(features, natural) - self._partition(params)

    @final
    def statistics(self, x: Array, weights: Array) -> ExponentialStatistics:
        # (eq: exponential-statistics)
        per_row = weights.sum(axis=1)
        log_base = np.where(per_row > 0, self._base(x), 0.0)  # a row that counts nowhere may lie outside the support
        count, total = _but_nothing(weights.sum(axis=0)), _but_nothing(weights.T @ self._features(x))
        return ExponentialStatistics(count, total, float(per_row @ log_base))

    @final
    def kernel(self, params: Any, log_weights: Array) -> Kernel | None:
        natural, partition = self._natural(params), self._partition(params)
        if not (np.isfinite(natural).all() and np.isfinite(partition).all()) or self.rounding(params) > _BLURRED:
            return None
        return NaturalKernel(self, own(np.column_stack([log_weights - partition, natural])))

    @final
    def log_joint(self, params: Any, statistics: ExponentialStatistics) -> float:
        natural = self._natural(params)
        # At the edge a natural parameter is minus infinity, and 0 times that is 0: no units, no cost.
        # (eq: exponential-family)
        products = np.where(statistics.total == 0, 0.0, natural) * statistics.total
        partitions = np.where(statistics.count == 0, 0.0, self._partition(params)) * statistics.count
        return float(products.sum()) - float(partitions.sum()) + statistics.log_base

    @final
    def cancellation(self, params: Any, statistics: ExponentialStatistics) -> float:
        natural, partition = self._natural(params), self._partition(params)
        with np.errstate(invalid="ignore", over="ignore"):
            terms = np.nansum(np.abs(natural * statistics.total)) + np.nansum(np.abs(partition * statistics.count))
        return 4 * float(np.finfo(float).eps) * float(terms + abs(statistics.log_base))

    def blocks(self) -> Sequence[Block[ExponentialStatistics, Any]]:
        def maximize(statistics: ExponentialStatistics, params: Any, free: Mask) -> Any:
            # Never at what is known of a component that is not free: that may be degenerate.
            return self._estimate(statistics, ~free)

        return [component_block((), maximize, self.free)]

    @final
    def first(self, statistics: ExponentialStatistics) -> Any:
        return self._estimate(statistics, statistics.count == 0)

    @final
    def count(self, params: Any) -> int:
        return len(self._natural(params))

    def support(self, x: Array) -> Mask:
        return np.isfinite(self.log_base(x))

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        self.refuse_outside(chunks)

    def coincident(self, params: Any) -> list[tuple[int, int]]:
        natural, mean = self._natural(params), self.mean(params)
        apart = np.where(np.isinf(natural), _LEAST, natural)
        pairs = []
        for i in range(len(natural) - 1):
            if mean is None:
                same = np.isclose(natural[i + 1 :], natural[i], rtol=_SAME, atol=0).all(axis=1)
            else:  # KL both ways: a difference of natural parameters alone means nothing, near 0 least of all
                # (eq: alike)
                same = ((apart[i + 1 :] - apart[i]) * (mean[i + 1 :] - mean[i])).sum(axis=1) < _ALIKE
            pairs += [(i, j) for j in (i + 1 + np.flatnonzero(same)).tolist()]
        return pairs

    def contradictions(self, params: Any) -> Iterable[str]:
        mean = self.mean(params)
        if mean is None:
            return
        natural, back = self._natural(params), self._natural(self.from_mean(mean))
        if not np.allclose(back, natural, rtol=_CLAIMED, atol=_CLAIMED):
            j = int(np.isclose(back, natural, rtol=_CLAIMED, atol=_CLAIMED).all(axis=1).argmin())
            yield (
                f"{type(self).__name__}.mean gives {mean[j]} for component {j}: from_mean makes natural parameters "
                f"{back[j]} of it, and they are {natural[j]}"
            )

    def describe(self, params: Any) -> Mapping[str, Array]:
        plain = isinstance(params, np.ndarray) and params.ndim <= 2
        return numbered("parameter", params) if plain else numbered("natural", self._natural(params))

    def _features(self, x: Array, wanted: int | None = None) -> Array:
        features = self.T(x)
        if np.shape(features)[:1] != (len(x),) or np.ndim(features) != 2:
            refuse_shape(self, "T", features, f"({len(x)}, p), a row for each row of x")
        if wanted is not None and features.shape[1] != wanted:
            raise ValueError(
                f"{type(self).__name__}: T(x) of these rows has {features.shape[1]} columns, natural(params) {wanted}: "
                "the rows have another number of columns than those that the parameters were fitted to"
            )
        return features

    def _base(self, x: Array) -> Array:
        log_base = self.log_base(x)
        if np.shape(log_base) != (len(x),):
            refuse_shape(self, "log_base", log_base, f"({len(x)},), a number for each row of x")
        return log_base

    def _natural(self, params: Any) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # log 0 is minus infinity, and meant
            natural = self.natural(params)
        if np.ndim(natural) != 2:
            refuse_shape(self, "natural", natural, "(k, p), a row for each component")
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
            partition = self.log_partition(params)
        if np.ndim(partition) != 1:
            refuse_shape(self, "log_partition", partition, "(k,), a number for each component")
        return partition

    def _estimate(self, statistics: ExponentialStatistics, unknown: Any) -> Any:
        """The maximum likelihood parameters; components in the mask `unknown` have those of all data."""
        pooled = statistics.total.sum(axis=0) / statistics.count.sum()
        count = np.where(unknown, 1.0, statistics.count)[:, None]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # what is unsound is refused by name
            mean = statistics.total / count  # (eq: mean-matching)
            # Maximum likelihood matches means, but one that underflows to zero would be at the edge.
            mean = np.where((mean == 0) & (statistics.total != 0), np.copysign(_LEAST_MEAN, statistics.total), mean)
            # (eq: mean-matching)
            return frozen_params(self.from_mean(np.where(unknown[:, None], pooled, mean)))


@final
@frozen(eq=False)
class NaturalKernel(FeatureKernel):
    """The densities of an exponential family in its own form; log h(x), which the components share, left out.

    Attributes:
        family: The family.
        natural: Its natural parameters after the constants, shape (k, 1 + p).
    """

    family: ExponentialFamily
    natural: Array

    def sound(self, low: Array, high: Array) -> bool:
        return self.family.sharp(low, high)

    def features(self, x: Array, out: Array) -> None:
        out[...] = self.family._features(x, len(out)).T

    @property
    def more(self) -> bool:
        kind = type(self.family)
        return kind.log_base is not ExponentialFamily.log_base or kind.cells is not Family.cells

    def beside(self, x: Array, features: Array, weight: Array | None, sums: Sums) -> None:
        log_base = self.family.log_base(x)
        sums.beside += float(log_base.sum() if weight is None else log_base[weight > 0] @ weight[weight > 0])

    def statistics(self, sums: Sums) -> ExponentialStatistics:
        products = _but_nothing(sums.products)
        return ExponentialStatistics(products[0], products[1:].T, float(sums.beside))


def _but_nothing(sums: Array) -> Array:
    """Sums, with those that are next to nothing as zero."""
    return np.where(np.abs(sums) < _NOTHING, 0.0, sums)


def _products(features: Array, natural: Array) -> Array:
    """Features @ natural', with 0 times minus infinity = 0."""
    unbounded = np.isinf(natural)
    if not unbounded.any():
        return features @ natural.T
    finite = features @ np.where(unbounded, 0.0, natural).T
    return np.where((features != 0).astype(float) @ unbounded.T > 0, -np.inf, finite)
