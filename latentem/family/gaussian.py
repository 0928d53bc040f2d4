"""The Gaussian family, with covariance structures and a prior on the covariances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import Array, Labels
from latentem.core import Block, ColumnError, Degenerate, Event, Path
from latentem.family.base import Family
from latentem.family.covariance import Full, Spherical
from latentem.family.gaussian_params import GaussianParams
from latentem.family.moments import Moments
from latentem.family.priors import CovariancePrior, Flat, Floor, InverseWishart
from latentem.family.structure import Structure

_LOG_2PI = float(np.log(2 * np.pi))
_AT_FLOOR = 1 + 1e-6
_SAME = 1e-8
_NOTICED = 1e-11
"""Relative rounding below which the audit's own allowance covers it."""
_LARGEST, _SMALLEST = 1e140, 1e-140


def _or_flat(prior: CovariancePrior | None) -> CovariancePrior:
    return Flat() if prior is None else prior


@final
@frozen
class Gaussian(Family[Moments, GaussianParams]):
    """Normal densities N(mean_k, covariance_k).

    Attributes:
        structure: `Full()`, `Diagonal()`, `Spherical()`, or `Tied` of one of them.
        prior: `Floor(eps)`, `InverseWishart(scale, dof)`, or None for plain maximum likelihood.
    """

    structure: Structure = field(factory=Full)
    prior: CovariancePrior = field(factory=Floor, converter=_or_flat)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.structure, Structure):
            raise TypeError(
                f"structure was given as {self.structure!r}: give Full(), Diagonal(), Spherical() or Tied(one of them)"
            )
        if not isinstance(self.prior, CovariancePrior):
            raise TypeError(f"prior was given as {self.prior!r}: give Floor(eps), InverseWishart(scale, dof) or None")

    def params(self, means: Any, covariances: Any) -> GaussianParams:
        """Parameters given by hand, checked at once.

        Raises:
            ValueError: wrong shapes, or covariances that are not symmetric and positive definite.
        """
        params = GaussianParams(means, covariances, self.structure)
        self.check_params(params, len(params.means))
        return params

    def log_density(self, params: GaussianParams, x: Array) -> Array:
        k, d = params.means.shape
        if x.shape[1] != d:
            raise ValueError(f"data with {x.shape[1]} columns were given: the parameters have {d}")
        whiteners, log_det = params.factors
        distance = np.empty((len(x), k))
        for j in range(k):
            z = self.structure.each.whiten(whiteners[j], x - params.means[j])
            np.einsum("nd,nd->n", z, z, out=distance[:, j])
        return -0.5 * (d * _LOG_2PI + log_det + distance)

    def statistics(self, x: Array, weights: Array) -> Moments:
        return Moments.of(x, weights, self.structure.each)

    def log_joint(self, params: GaussianParams, statistics: Moments) -> float:
        d = params.means.shape[1]
        whiteners, log_det = params.factors
        distances = self.structure.each.trace(whiteners, statistics.about(params.means).second)
        return float(-0.5 * (statistics.count @ (d * _LOG_2PI + log_det) + distances.sum()))

    def log_prior(self, params: GaussianParams) -> float:
        each, d = self.structure.each, params.means.shape[1]
        second, count = self.prior.pseudo(each, d)
        if count == 0:
            return 0.0
        whiteners, log_det = each.factor(self.structure.spread(params.covariances), d)
        return float(-0.5 * (count * log_det + each.trace(whiteners, second[None])).sum())

    def blocks(self) -> Sequence[Block[Moments, GaussianParams]]:
        return [self._means(), self._covariances()]

    def first(self, statistics: Moments) -> GaussianParams:
        """Means and covariances of the statistics; an empty component gets the data's own.

        The covariances are kept off zero even where there is no floor: a start may not be degenerate.
        """
        each, d = self.structure.each, statistics.origin.shape[1]
        least = Floor().eps * statistics.variances()
        pooled, total = statistics.pooled()
        wide = each.raised(each.estimate(pooled[None], np.array([total]), d), least)
        means = statistics.means()
        covariances = each.raised(self._estimate(statistics, means, wide), least)
        return GaussianParams(means, self._stored(covariances), self.structure)

    def count(self, params: GaussianParams) -> int:
        return len(params.means)

    def _means(self, held: tuple[int, ...] = ()) -> Block[Moments, GaussianParams]:
        def maximize(statistics: Moments, params: GaussianParams) -> Array:
            live = _but((statistics.count > 0), held)
            return np.where(live[:, None], statistics.means(), params.means)

        def size(params: GaussianParams) -> int:
            return (len(params.means) - len(held)) * params.means.shape[1]

        return Block(("means",), maximize, size, lambda more: self._means((*held, *more)))

    def _covariances(self, held: tuple[int, ...] = ()) -> Block[Moments, GaussianParams]:
        def maximize(statistics: Moments, params: GaussianParams) -> Array:
            current = self.structure.spread(params.covariances)
            new = self._estimate(statistics, params.means, current)
            variances = statistics.variances()
            floor = self.prior.floor(variances)
            if floor is not None:
                new = self.structure.each.raised(new, floor)
            free = _but(np.ones(len(new), bool), held).reshape(-1, *(1,) * (new.ndim - 1))
            new = np.where(free, new, current)
            self._refuse_collapse(new, variances, statistics, held)
            return self._stored(new)

        def size(params: GaussianParams) -> int:
            k, d = params.means.shape
            return self.structure.size(k - len(held), d)

        def holding(more: tuple[int, ...]) -> Block[Moments, GaussianParams]:
            return self._covariances((*held, *more))

        return Block(("covariances",), maximize, size, None if self.structure.tied else holding)

    def _estimate(self, statistics: Moments, means: Array, current: Array) -> Array:
        """The maximisers without a floor, one an axis entry; `current` where nothing is known."""
        each, d = self.structure.each, means.shape[1]
        second, count = statistics.about(means).second, statistics.count
        if self.structure.tied:
            second, count = second.sum(axis=0, keepdims=True), count.sum(keepdims=True)
        pseudo_second, pseudo_count = self.prior.pseudo(each, d)
        count = count + pseudo_count
        known = (count > 0).reshape(-1, *(1,) * (second.ndim - 1))
        return np.where(known, each.estimate(second + pseudo_second, np.where(count > 0, count, 1.0), d), current)

    def _stored(self, covariances: Array) -> Array:
        return covariances[0] if self.structure.tied else covariances

    def _refuse_collapse(
        self, covariances: Array, variances: Array, statistics: Moments, held: tuple[int, ...]
    ) -> None:
        if not isinstance(self.prior, Flat):
            return
        collapsed = np.flatnonzero(_but(self.structure.each.collapsed(covariances, variances), held))
        if len(collapsed):
            j = int(collapsed[0])
            units = statistics.count.sum() if self.structure.tied else statistics.count[j]
            smallest = self.structure.each.weakest(covariances, variances)[0][j]
            raise Degenerate(
                None if self.structure.tied else j,
                "covariances",
                f"collapsed ({units:.4g} units, smallest variance {max(smallest, 0.0):.3g} of the data's)",
                "use fewer components, a tied structure, or a prior such as Floor()",
            )

    def lift(self, params: GaussianParams, statistics: Moments) -> tuple[GaussianParams, Sequence[Event]]:
        floor = self.prior.floor(statistics.variances())
        if floor is None:
            return params, ()
        given = self.structure.spread(params.covariances)
        raised = self.structure.each.raised(given, floor)
        if np.array_equal(raised, given):
            return params, ()
        ratio, _ = self.structure.each.weakest(given, floor)
        events = [
            Event(
                "lifted",
                f"the given covariance{_of(self._component(j))} is below the floor and was raised to it",
                "give a wider start, or another floor (prior=Floor(eps), or None)",
                self._component(j),
                "covariances",
            )
            for j in np.flatnonzero(ratio < 1 / _AT_FLOOR).tolist()  # nearer to it than that is rounding
        ]
        return evolve(params, covariances=self._stored(raised)), events

    def rounding(self, params: GaussianParams) -> float:
        """What a second moment loses when it is whitened: machine precision times the condition of the correlations."""
        relative = params.means.shape[1] * np.finfo(float).eps * params.condition
        return relative if relative > _NOTICED else 0.0

    def diagnose(self, params: GaussianParams, statistics: Moments) -> Sequence[Event]:
        floor = self.prior.floor(statistics.variances())
        if floor is None:
            return ()
        ratio, column = self.structure.each.weakest(self.structure.spread(params.covariances), floor)
        count = [statistics.count.sum()] if self.structure.tied else statistics.count
        return [
            Event(
                "floor",
                f"the covariance{_of(self._component(j))} is held up by its floor ({count[j]:.4g} units)",
                "use fewer components, a tied structure or another Floor(eps), or look for repeated or outlying rows",
                self._component(j),
                "covariances",
                None if column is None else int(column[j]),
            )
            for j in np.flatnonzero(ratio <= _AT_FLOOR).tolist()
        ]

    def coincident(self, params: GaussianParams) -> list[tuple[int, int]]:
        whiteners, _ = params.factors
        covariances, widths = params.one_each(), np.sqrt(params.variances())
        scale = self.structure.each.product(widths, widths)
        pairs = []
        for i in range(len(params.means) - 1):
            apart = (self.structure.each.whiten(whiteners[i], params.means[i + 1 :] - params.means[i]) ** 2).sum(axis=1)
            for j in i + 1 + np.flatnonzero(apart < _SAME):
                if (np.abs(covariances[i] - covariances[j]) <= _SAME * scale[i]).all():
                    pairs.append((i, int(j)))
        return pairs

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        ranges = np.array([(x.min(axis=0), x.max(axis=0)) for x in chunks])
        low, high = ranges[:, 0].min(axis=0), ranges[:, 1].max(axis=0)
        constant = low == high
        size = np.maximum(np.abs(low), np.abs(high))
        with np.errstate(over="ignore"):
            width = high - low
        extreme = (size > _LARGEST) | ((width < _SMALLEST) & ~constant)
        if extreme.any():
            column = int(extreme.argmax())
            raise ColumnError(
                column,
                f"runs from {low[column]:g} to {high[column]:g}, and its variance is beyond the range of floats: "
                "give it in other units",
            )
        if ("covariances",) in held or isinstance(self.prior, InverseWishart):
            return
        if constant.all() if self.structure.each == Spherical() else constant.any():
            column = int(constant.argmax())
            raise ColumnError(
                column,
                f"is constant ({low[column]:g}), so its variance is zero: leave it out, fix the covariances, "
                "or give an InverseWishart prior",
            )

    def check_params(self, params: GaussianParams, k: int) -> None:
        if not isinstance(params, GaussianParams) or params.structure != self.structure or len(params.means) != k:
            raise ValueError(f"{params!r} are no parameters of {k} components of {self!r}")
        covariances = self.structure.spread(params.covariances)
        for j in range(len(covariances)):
            if (why := self.structure.each.refuse(covariances[j : j + 1])) is not None:
                raise ValueError(f"the covariance{_of(self._component(j))} is {why}: give positive definite ones")

    def sample(self, params: GaussianParams, labels: Labels, rng: Any) -> Array:
        x = rng.standard_normal((len(labels), params.means.shape[1]))
        covariances = params.one_each()
        for j in np.unique(labels):
            rows = labels == j
            x[rows] = params.means[j] + self.structure.each.colour(covariances[j], x[rows])
        return x

    def describe(self, params: GaussianParams) -> Mapping[str, Array]:
        return {"mean": params.means, "sd": np.sqrt(params.variances())}

    def _component(self, j: int) -> int | None:
        return None if self.structure.tied else j


def _but(mask: Any, held: tuple[int, ...]) -> Any:
    mask = mask.copy()
    mask[list(held)] = False
    return mask


def _of(component: int | None) -> str:
    return " of all components" if component is None else f" of component {component}"
