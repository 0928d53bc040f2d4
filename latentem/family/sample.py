"""Families without sufficient statistics: they keep the rows themselves."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Self, TypeVar, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, axes, matrix, own, viewed_array
from latentem.core import Additive, Block, Degenerate, Path, get
from latentem.family.base import Family, Mask, numbered, refuse_shape
from latentem.family.by_component import component, component_block, leaves, stacked

P = TypeVar("P")

_SAME = 1e-10
"""Relative difference of parameters that is rounding. More would take two lines far from the origin for one."""
_NEAR, _ALIKE = 1e-2, 1e-8
"""Relative difference of parameters of which more is asked; mean squared difference of log densities that is none."""


@final
@frozen
class WeightedSample(Additive):
    """Rows and how much each counts in each component: what is left where no smaller statistics suffice.

    A sum concatenates; where both operands hold the same rows, their weights add. Memory grows with the
    data, so there is no streaming, and a negative weight is what a difference leaves.

    Attributes:
        rows: Shape (n, d).
        weights: Shape (n, k).

    Raises:
        ValueError: not one row of weights for each row.
    """

    rows: Array = field(converter=viewed_array, validator=axes(2, "(n, d)"), eq=EQUAL, hash=False)
    weights: Array = matrix("(n, k)")

    def __attrs_post_init__(self) -> None:
        if len(self.rows) != len(self.weights):
            raise ValueError(f"{len(self.weights)} rows of weights were given for {len(self.rows)} rows: give one each")

    @property
    def count(self) -> Array:
        """Sum of weights, shape (k,)."""
        return self.weights.sum(axis=0)

    def component(self, j: int) -> tuple[Array, Array]:
        """Rows that count in a component, (m, d), and their weights, (m,)."""
        weight = self.weights[:, j]
        present = weight != 0
        return (self.rows, weight) if present.all() else (self.rows[present], weight[present])

    def pooled(self) -> tuple[Array, Array]:
        """All rows, (n, d), and their weights over all components, (n,)."""
        return WeightedSample(self.rows, self.weights.sum(axis=1, keepdims=True)).component(0)

    def combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        # A difference of two passes over one chunk then has small weights, not large ones that cancel.
        if self.rows is other.rows or np.array_equal(self.rows, other.rows):
            return evolve(self, weights=own(combine(self.weights, other.weights)))
        weights = np.concatenate([self.weights, combine(0.0, other.weights)])
        return evolve(self, rows=own(np.concatenate([self.rows, other.rows])), weights=own(weights))

    def __rmul__(self, factor: float) -> Self:
        return evolve(self, weights=own(factor * self.weights))


class SampleFamily(Family[WeightedSample, P]):
    """A family that writes its log density and how one component is fitted to weighted rows.

    The parameters are an array whose first axis is the component, or a value all of whose arrays have such
    an axis. A family with a closed form should be an `ExponentialFamily`: this one keeps all rows.
    """

    __slots__ = ()

    @abc.abstractmethod
    def estimate(self, x: Array, weight: Array, current: P | None) -> P:
        """Parameters of one component (a first axis of length one) that maximise weight @ log density.

        Args:
            x: Rows, shape (n, d).
            weight: How much each counts, positive, shape (n,).
            current: What the component has now, to start from and not to fall below; None at a start.

        Raises:
            Degenerate: there is no maximum; the component's number is filled in by the caller.
        """

    def support(self, x: Array) -> Mask:
        """Which rows can occur at all, shape (n,): all, unless `cells` says which values can."""
        cells = self.cells(x)
        return np.ones(len(x), dtype=bool) if cells is None else np.asarray(cells.all(axis=1))

    @final
    def statistics(self, x: Array, weights: Array) -> WeightedSample:
        return WeightedSample(x, weights)

    @final
    def log_joint(self, params: P, statistics: WeightedSample) -> float:
        density = self.log_density(params, statistics.rows)
        return float(np.einsum("nk,nk->", np.where(statistics.weights == 0, 0.0, density), statistics.weights))

    def blocks(self) -> Sequence[Block[WeightedSample, P]]:
        return [self.block((), self.estimate)]

    @final
    def first(self, statistics: WeightedSample) -> P:
        def one(j: int) -> P:
            known = statistics.count[j] > 0
            return self.estimate(*(statistics.component(j) if known else statistics.pooled()), None)

        return stacked([_named(self, j, one, j) for j in range(statistics.weights.shape[1])])

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        self.refuse_outside(chunks)

    def coincident(self, params: P) -> list[tuple[int, int]]:
        each = [component(params, j) for j in range(self.count(params))]
        pairs = itertools.combinations(range(len(each)), 2)
        return [(i, j) for i, j in pairs if _alike(each[i], each[j])]

    def alike(self, params: P, statistics: WeightedSample) -> list[tuple[int, int]]:
        """Pairs whose log densities are the same at the rows of both, to 1e-4 nats."""
        each = [component(params, j) for j in range(self.count(params))]
        near = [(i, j) for i, j in itertools.combinations(range(len(each)), 2) if _alike(each[i], each[j], _NEAR)]
        if not near:
            return []
        density, pairs = self.log_density(params, statistics.rows), []
        for i, j in near:
            weight = statistics.weights[:, i] + statistics.weights[:, j]
            one, other = density[weight > 0][:, [i, j]].T
            unlike = one != other  # minus infinity may be equal, too
            apart = one[unlike] - other[unlike]
            if weight[weight > 0][unlike] @ apart**2 <= _ALIKE * weight.sum():
                pairs.append((i, j))
        return pairs

    def describe(self, params: P) -> Mapping[str, Array]:
        return numbered("parameter", params) if isinstance(params, np.ndarray) and params.ndim <= 2 else {}

    @final
    def block(
        self,
        path: Path,
        estimate: Callable[[Array, Array, P], P],
        rank: Callable[[Array, Array], int] | None = None,
        reason: str = "",
        inside: Callable[[P], Array] | None = None,
    ) -> Block[WeightedSample, P]:
        """The block at `path` (a field, or () for all), from what `estimate` gives for one component.

        Args:
            path: Where it is.
            estimate: Maximises for one component.
            rank: How many numbers the rows and weights of one component determine; None: all.
            reason: Why they may not determine all.
            inside: How many numbers of each component are not at a boundary, shape (k,), where that is what decides.
        """

        def maximize(statistics: WeightedSample, params: P, free: Mask) -> Any:
            each = [component(params, j) for j in range(len(free))]
            for j in np.flatnonzero(free).tolist():
                each[j] = _named(self, j, estimate, *statistics.component(j), each[j])
            return get(stacked(each), path)

        def size(params: P) -> int:
            return sum(array.size for array in leaves(get(component(params, 0), path)))

        def ranks(statistics: WeightedSample, params: P) -> Array:
            each = map(statistics.component, range(len(statistics.count)))
            return np.array([rank(*rows) if rank is not None and len(rows[0]) else 0 for rows in each])

        def within(statistics: WeightedSample, params: P) -> Array:
            assert inside is not None
            return inside(params)

        determined = within if inside is not None else ranks if rank is not None else None
        return component_block(path, maximize, size, determined, reason)


def _alike(one: Any, other: Any, relative: float = _SAME) -> bool:
    pairs = zip(leaves(one), leaves(other), strict=True)
    return all(bool(np.isclose(array, another, rtol=relative, atol=0).all()) for array, another in pairs)


def _named(family: Any, j: int, estimate: Callable[..., P], *arguments: Any) -> P:
    """The estimate of one component; an error says which."""
    try:
        new = estimate(*arguments)
    except Degenerate as error:
        raise evolve(error, component=j) from None
    if {array.shape[:1] for array in leaves(new)} != {(1,)}:
        refuse_shape(family, "estimate", new, "parameters of one component, arrays whose first axis has length 1")
    return new
