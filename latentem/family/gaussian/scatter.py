"""Families with a location and a scatter matrix: means, covariance structures, floors and priors."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence, Set
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from attrs import evolve

from latentem.arrays import Array, made, own
from latentem.core import Block, ColumnError, Degenerate, Event, Path
from latentem.family.base import Family
from latentem.family.by_component import unobserved
from latentem.family.columns import constant, refuse_wide, seen
from latentem.family.gaussian.covariance.form import VANISHED
from latentem.family.gaussian.covariance.structure import Structure
from latentem.family.gaussian.moments import ColumnMoments, Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.prior import AT_FLOOR, CovariancePrior, Floor, held_up, lifted, of

_WIDER = "use fewer components, a tied structure or another Floor(eps), or look for repeated or outlying rows"
_NOTICED = 1e-11
"""Relative rounding below which the audit's own allowance covers it."""
_SEEN = 1e-10
"""Of a standard deviation: rounding of a mean that is asked about."""
_EPS = float(np.finfo(float).eps)
_NO_FLOOR = np.zeros(())
_FAR = 1e12
"""How many times its range a column may be from zero where values are missing."""

S = TypeVar("S", bound=Any)
P = TypeVar("P", bound=Any)


class ScatterFamily(Family[S, P]):
    """k densities of a quadratic form (x - mean)' inverse covariance (x - mean).

    Parameters have the fields `means` and `covariances`, the latter as the structure stores them.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def structure(self) -> Structure:
        """The covariance structure."""

    @property
    @abc.abstractmethod
    def prior(self) -> CovariancePrior:
        """The prior of the covariances."""

    @abc.abstractmethod
    def _normal(self, params: P) -> GaussianParams:
        """The means and covariances."""

    @abc.abstractmethod
    def _moments(self, statistics: S) -> Moments:
        """The moments whose mean is a location, and whose second moment is a scatter."""

    @abc.abstractmethod
    def _units(self, statistics: S) -> Array:
        """The divisors of the scatters, shape (k,): sums of weights."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.structure, Structure):
            raise TypeError(
                f"structure was given as {self.structure!r}: give Full(), Diagonal(), Spherical() or Tied(one of them)"
            )
        if not isinstance(self.prior, CovariancePrior):
            raise TypeError(f"prior was given as {self.prior!r}: give Floor(eps), InverseWishart(scale, dof) or None")

    @property
    def ellipsoidal(self) -> bool:
        return True

    def count(self, params: P) -> int:
        return len(params.means)

    def log_prior(self, params: P) -> float:
        if self.prior.flat:
            return 0.0
        each, normal = self.structure.each, self._normal(params)
        second, count = self.prior.pseudo(each, params.means.shape[1])
        (_, log_det), m = normal.factors, len(normal.distinct)
        trace = each.trace(normal.precisions[:m], second[None])
        return float(-0.5 * (count * log_det[:m] + trace).sum())  # (eq: inverse-wishart)

    def sharing(self, statistics: S, x: Array, weight: Array) -> S:
        moments = self._moments(statistics)
        observed = ColumnMoments.of(x, weight, self.structure.each)
        return self._with_moments(statistics, evolve(moments, observed=observed))

    @abc.abstractmethod
    def _with_moments(self, statistics: S, moments: Moments) -> S:
        """The statistics with other moments."""

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return np.ones(len(x), dtype=bool)

    def _first(self, statistics: S) -> tuple[Array, Array]:
        """Means and covariances of the statistics; an empty component gets the data's own.

        The covariances are kept off zero even where there is no floor: a start may not be degenerate.
        """
        moments = self._moments(statistics)
        each, d = self.structure.each, moments.origin.shape[1]
        least = self.structure.least(Floor().eps * moments.variances())
        pooled, _ = moments.pooled()
        wide = each.raised(each.average(pooled[None], self._units(statistics).sum(keepdims=True), d), least)
        if not self.structure.tied:
            wide = np.repeat(wide, len(moments.count), axis=0)
        means = moments.means()
        return means, self.structure.stored(self._estimate(moments, self._units(statistics), means, wide, least))

    def _means(self, held: tuple[int, ...] = ()) -> Block[S, P]:
        def size(params: P) -> int:
            return (len(params.means) - len(held)) * cast(int, params.means.shape[1])

        def maximize(statistics: S, params: P) -> Array:
            return self._best_means(held, self._moments(statistics), self._normal(params))

        return Block(("means",), maximize, size, lambda more: self._means((*held, *more)))

    def _best(self, moments: Moments, units: Array, params: GaussianParams) -> GaussianParams:
        """Means and covariances of an M-step. In closed form, a floor that is not near is not felt."""
        means, floor = self._best_means((), moments, params), self._floor(moments.variances())
        if floor is not None and (self.structure.separate or self.structure.tied):
            free = self._estimate(moments, units, means, params.distinct, _NO_FLOOR)
            found = made(GaussianParams, means, self.structure.stored(own(free)), self.structure)
            if found.surely_above(floor):
                return found
        covariances = self._best_covariances((), moments, units, means, params.distinct)
        return GaussianParams(means, covariances, self.structure)

    def _best_means(self, held: tuple[int, ...], moments: Moments, params: GaussianParams) -> Array:
        live = _but(moments.count > 0, held)
        means = moments.means()
        if params.reach > _SEEN / _EPS and (np.abs(away := moments.away(means)) > _SEEN * params.widths).any():
            # Far from the origin the float next to the mean is no better than another: then it stays.
            live &= params.lengths(away) < params.lengths(moments.away(params.means))
        return means if live.all() else np.where(live[:, None], means, params.means)

    def _covariances(self, held: tuple[int, ...] = ()) -> Block[S, P]:
        def maximize(statistics: S, params: P) -> Array:
            normal, moments = self._normal(params), self._moments(statistics)
            return self._best_covariances(held, moments, self._units(statistics), params.means, normal.distinct)

        def size(params: P) -> int:
            k, d = params.means.shape
            return self.structure.size(k - len(held), d)

        holding = None if not self.structure.separate else lambda more: self._covariances((*held, *more))
        return Block(("covariances",), maximize, size, holding)

    def _best_covariances(
        self, held: tuple[int, ...], moments: Moments, units: Array, means: Array, current: Array
    ) -> Array:
        """The maximisers at these means, as they are stored, beside the present ones, (m, ...)."""
        variances = moments.variances()
        floor = self._floor(variances)
        new = self._estimate(moments, units, means, current, _NO_FLOOR if floor is None else floor)
        if held:
            free = _but(np.ones(len(new), bool), held).reshape(-1, *(1,) * (new.ndim - 1))
            new = np.where(free, new, current)
        if floor is None:
            self._refuse_collapse(new, variances, units, means, held)
        return self.structure.stored(own(new))

    def _floor(self, variances: Array) -> Array | None:
        """The least covariance beside data with these variances, or None."""
        floor = self.prior.floor(variances)
        return None if floor is None else self.structure.least(floor)

    def _estimate(self, moments: Moments, units: Array, means: Array, current: Array, floor: Array) -> Array:
        """The maximisers not below a floor, one an axis entry; nothing is known of a component without rows."""
        each, d = moments.shape, means.shape[1]
        second, count = moments.second_about(means), self._counted(units)
        if len(second) > len(count):
            second = second.sum(axis=0, keepdims=True)
        if not self.prior.flat:
            pseudo_second, pseudo_count = self.prior.pseudo(each, d)
            second, count = second + pseudo_second, count + pseudo_count  # (eq: inverse-wishart-covariance)
        known = count > 0
        own = each.average(second, np.where(known, count, 1.0), d)  # (eq: covariances)
        if not known.all():
            own = np.where(known.reshape(-1, *(1,) * (second.ndim - 1)), own, current)
        return self.structure.estimate(own, count, current, floor)

    def _refuse_collapse(
        self, covariances: Array, variances: Array, units: Array, means: Array, held: tuple[int, ...]
    ) -> None:
        each = self.structure.each
        # Far from the origin the data have no digits of what is narrower than the floats are apart.
        apart = (np.finfo(float).eps * np.abs(means).max(axis=0)) ** 2
        apart = np.maximum(apart if variances.ndim else apart.mean(), VANISHED * variances)
        vanished = each.collapsed(covariances, variances) | (each.weakest(covariances, apart)[0] < 1)
        collapsed = np.flatnonzero(_but(vanished, held))
        if len(collapsed):
            j = int(collapsed[0])
            smallest = each.weakest(covariances, variances)[0][j]
            raise Degenerate(
                self._component(j),
                "covariances",
                f"collapsed: {self._counted(units)[j]:.4g} rows, whose variance in one direction is "
                f"{max(smallest, 0.0):.3g} times that of the data",
                "use fewer components, a tied structure, or a prior such as Floor()",
            )

    def lift(self, params: P, statistics: S) -> tuple[P, Sequence[Event]]:
        floor, given = self._floor(self._moments(statistics).variances()), self._normal(params).distinct
        if floor is None or np.array_equal(self.structure.each.raised(given, floor), given):
            return params, ()
        raised = self.structure.estimate(given, np.ones(len(given)), given, floor)
        ratio, _ = self.structure.each.weakest(given, floor)
        lifted_params = evolve(params, covariances=self.structure.stored(raised))
        return lifted_params, lifted(ratio, "covariances", "covariance", self.structure.tied)

    def rounding(self, params: P) -> float:
        """The error of a second moment that is whitened, and of a mean that is rounded.

        Machine precision times the condition of the correlations; and half the squared distance, in widths, by which
        rounding can move a mean that is large beside them.
        """
        normal = self._normal(params)
        unit = _EPS * normal.means.shape[1]
        if (unit + 0.5 * (_EPS * normal.reach) ** 2) * normal.condition_at_most <= _NOTICED:
            return 0.0
        with np.errstate(over="ignore"):
            moved = 0.5 * float(((_EPS * normal.means / normal.widths) ** 2).sum(axis=1).max())
            relative = (unit + moved) * normal.condition
        return relative if relative > _NOTICED else 0.0

    def diagnose(self, params: P, statistics: S) -> Sequence[Event]:
        moments, normal = self._moments(statistics), self._normal(params)
        each = moments.shape
        events = [] if moments.seen is None else unobserved(moments.seen, self._units(statistics))
        floor, covariances = self._floor(moments.variances()), normal.distinct
        if floor is None or each.weakest_at_least(normal.precisions[: len(covariances)], floor) > 2 * AT_FLOOR:
            return events
        ratio, column = each.weakest(covariances, floor)
        count, tied = self._counted(self._units(statistics)), self.structure.tied
        return events + held_up(ratio, count, "covariances", "covariance", _WIDER, tied, column)

    def coincident(self, params: P) -> list[tuple[int, int]]:
        return self._normal(params).coincident

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        # fmin and fmax pass over what is missing, and give NaN where there is nothing else.
        ranges = [(np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0), np.isnan(x).any(axis=0)) for x in chunks]
        low, high = np.fmin.reduce([least for least, _, _ in ranges]), np.fmax.reduce([most for _, most, _ in ranges])
        if np.isnan(low).any():
            raise ColumnError(int(np.isnan(low).argmax()), "has no value in any row: leave it out")
        still = constant(low, high)
        refuse_wide(low, high, still)
        far = np.maximum(np.abs(low), np.abs(high)) > _FAR * (high - low)
        lost = np.any([missing for _, _, missing in ranges], axis=0) & far & ~still
        if lost.any():
            column = int(lost.argmax())
            raise ColumnError(
                column,
                f"runs from {low[column]:g} to {high[column]:g}, and what is expected of its missing values would have "
                "no digits: subtract its mean",
            )
        if ("covariances",) in held or self.prior.widens:
            return
        moving = self.structure.each.kept(np.where(still, 0.0, 1.0))  # where one variance is for all, some must vary
        if not moving.all():
            column = int(still.argmax())
            raise ColumnError(
                column,
                f"is constant{seen(float(low[column]), float(high[column]))}, so its variance is zero: leave it out, "
                "fix the covariances, or give an InverseWishart prior",
            )

    def check_params(self, params: P, k: int) -> None:
        covariances = self._normal(params).distinct
        for j in range(len(covariances)):
            if (why := self.structure.each.unfit(covariances[j : j + 1])) is not None:
                raise ValueError(f"the covariance{of(self._component(j))} is {why}: give positive definite ones")
        if (why := self.structure.refuse(covariances)) is not None:
            raise ValueError(f"the covariances are {why}: give those that its estimate of them leaves as they are")

    def _component(self, j: int) -> int | None:
        return None if self.structure.tied else j

    def _counted(self, units: Array) -> Array:
        """The units behind each covariance."""
        return units.sum(keepdims=True) if self.structure.tied else units


def _but(mask: Any, held: tuple[int, ...]) -> Any:
    if not held:
        return mask
    mask = mask.copy()
    mask[list(held)] = False
    return mask
