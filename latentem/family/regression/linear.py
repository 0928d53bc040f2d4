"""Linear regressions as components."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from latentem.arrays import Array, Labels, matrix, vector
from latentem.core import Block, ColumnError, Degenerate, Event, Path, Value
from latentem.family.base import Family, Mask
from latentem.family.by_component import component_block
from latentem.family.columns import constant, refuse_outlying, refuse_wide, seen
from latentem.family.gaussian.covariance.diagonal import Diagonal
from latentem.family.gaussian.covariance.form import VANISHED
from latentem.family.gaussian.moments import ColumnMoments
from latentem.family.gaussian.prior import CovariancePrior, Floor, held_up, lifted, or_flat
from latentem.family.regression.design import DEPENDENT
from latentem.family.regression.line_moments import LineMoments
from latentem.family.regression.predictor import (
    Regression,
    described,
    linear_predictor,
    refuse_coefficients,
    refuse_other_rows,
)
from latentem.numerics.rng import generator

_EPS = float(np.finfo(float).eps)
_LOG_2PI = float(np.log(2 * np.pi))
_NOTICED = 1e-11
"""Relative rounding below which the audit's own allowance covers it."""
_SAME = 1e-10
"""Relative difference of parameters that is rounding."""
_NEAR, _ALIKE = 1e-2, 1e-8
"""Relative difference of coefficients of which more is asked; squared distance of lines, in variances, that is none."""


@final
@frozen
class LinearRegressionParams(Value):
    """Lines and the variances about them.

    Attributes:
        coefficients: The intercept, then the slopes, shape (k, p + 1).
        variances: Of the residuals, shape (k,).

    Raises:
        ValueError: shapes disagree, a value is not finite, or a variance is not positive.
    """

    coefficients: Array = matrix("(k, p + 1)")
    variances: Array = vector("(k,)")

    def __attrs_post_init__(self) -> None:
        refuse_coefficients(self.coefficients)
        if len(self.variances) != len(self.coefficients):
            raise ValueError(
                f"{len(self.variances)} variances were given for {len(self.coefficients)} rows of coefficients: "
                "give one each"
            )
        if not (np.isfinite(self.variances).all() and (self.variances > 0).all()):
            raise ValueError(f"variances were given as {self.variances}: give positive, finite numbers")


@final
@frozen
class LinearRegression(Regression, Family[LineMoments, LinearRegressionParams]):
    """Normal responses about a line: y ~ N(intercept + slopes . x, variance) (DeSarbo and Cron, 1988).

    A row is (covariates..., response): the response is the last column, as in `np.column_stack([x, y])`.
    There may be no covariates. Where a component's covariates do not determine its slopes, it gets the least
    squares ones that are smallest in standardised covariates.

    Attributes:
        prior: `Floor(eps)`, relative to the variance of all responses; `InverseWishart(scale, dof)`; or None for
            plain maximum likelihood.
    """

    discrete: ClassVar[bool | None] = False
    kind: ClassVar[type] = LinearRegressionParams

    prior: CovariancePrior = field(factory=Floor, converter=or_flat)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.prior, CovariancePrior):
            raise TypeError(f"prior was given as {self.prior!r}: give Floor(eps), InverseWishart(scale, dof) or None")

    def params(self, coefficients: Any, variances: Any) -> LinearRegressionParams:
        """Parameters given by hand, (k, p + 1) with the intercept first and (k,), checked at once.

        Raises:
            ValueError: wrong shapes, or values that are not finite or not positive.
        """
        return LinearRegressionParams(coefficients, variances)

    def log_density(self, params: LinearRegressionParams, x: Array) -> Array:
        refuse_other_rows(x, params.coefficients)
        # The response enters as one covariate more, of slope -1, so that its offset cancels with the line's.
        minus = -np.ones((len(params.variances), 1))
        residual = linear_predictor(np.hstack([params.coefficients, minus]), x)
        return -0.5 * (_LOG_2PI + np.log(params.variances) + residual**2 / params.variances)

    def statistics(self, x: Array, weights: Array) -> LineMoments:
        return LineMoments.of(x, weights)

    def sharing(self, statistics: LineMoments, x: Array, weight: Array) -> LineMoments:
        return evolve(statistics, responses=ColumnMoments.of(x[:, -1:], weight, Diagonal()))

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return np.ones(len(x), dtype=bool)

    def log_joint(self, params: LinearRegressionParams, statistics: LineMoments) -> float:
        residuals = statistics.residuals(params.coefficients)
        each = statistics.count * (_LOG_2PI + np.log(params.variances)) + residuals / params.variances
        return float(-0.5 * each.sum())

    def log_prior(self, params: LinearRegressionParams) -> float:
        second, count = self._pseudo()
        return float(-0.5 * (count * np.log(params.variances) + second / params.variances).sum())

    def blocks(self) -> Sequence[Block[LineMoments, LinearRegressionParams]]:
        return [self._coefficients(), component_block(("variances",), self._variances, lambda params: 1, empty=True)]

    def first(self, statistics: LineMoments) -> LinearRegressionParams:
        """Lines and variances of the statistics; an empty component gets those of all the data.

        The variances are kept off zero even where there is no floor: a start may not be degenerate.
        """
        pooled = statistics.pooled()
        k = len(statistics.count)
        wide = pooled.residuals(_lines(pooled)) / pooled.count
        live = statistics.count > 0
        coefficients = np.where(live[:, None], _lines(statistics), _lines(pooled))
        variances = self._estimate(statistics, coefficients, np.broadcast_to(wide, (k,)))
        return LinearRegressionParams(coefficients, np.maximum(variances, Floor().eps * statistics.response_variance()))

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        ranges = np.array([(x.min(axis=0), x.max(axis=0)) for x in chunks])
        low, high = ranges[:, 0].min(axis=0), ranges[:, 1].max(axis=0)
        refuse_wide(low, high, low == high)
        refuse_outlying([x[:, :-1] for x in chunks])
        if constant(low, high)[-1] and ("variances",) not in held and self.prior.flat:
            raise ColumnError(
                len(low) - 1,
                f"is constant{seen(float(low[-1]), float(high[-1]))}, and it is the response: give another column "
                "last, fix the variances, or give an InverseWishart prior",
            )

    def rounding(self, params: LinearRegressionParams) -> float:
        """By how much a line is moved, in its widths, where an offset makes intercept and slopes cancel; squared.

        At a maximum that is what it costs.
        """
        relative = float((_moved(params) ** 2).max())
        return relative if relative > _NOTICED else 0.0

    def cancellation(self, params: LinearRegressionParams, statistics: LineMoments) -> float:
        """The cost elsewhere, in nats: of moved lines, as much for each row, and of the rounding of residuals."""
        lost = 4 * _EPS * statistics.terms(params.coefficients) / params.variances
        return float(_moved(params) @ np.abs(statistics.count) + lost.sum())

    def lift(
        self, params: LinearRegressionParams, statistics: LineMoments
    ) -> tuple[LinearRegressionParams, Sequence[Event]]:
        floor = self._floor(statistics)
        if not (params.variances < floor).any():
            return params, ()
        raised = evolve(params, variances=np.maximum(params.variances, floor))
        return raised, lifted(params.variances / floor, "variances", "variance")

    def diagnose(self, params: LinearRegressionParams, statistics: LineMoments) -> Sequence[Event]:
        floor = self._floor(statistics)
        if floor == 0:
            return ()
        remedy = "use fewer components or another Floor(eps), or look for repeated rows or rows on a line"
        return held_up(params.variances / floor, statistics.count, "variances", "variance", remedy)

    def coincident(self, params: LinearRegressionParams) -> list[tuple[int, int]]:
        numbers = np.column_stack([params.coefficients, params.variances])
        same = np.isclose(numbers[:, None], numbers, rtol=_SAME, atol=0).all(axis=2)
        return [(i, j) for i, j in np.argwhere(np.triu(same, 1)).tolist()]

    def alike(self, params: LinearRegressionParams, statistics: LineMoments) -> list[tuple[int, int]]:
        """Pairs whose lines are one among the rows of either: apart by 1e-4 of their standard deviation, or less."""
        pairs = []
        for i, j in itertools.combinations(np.flatnonzero(statistics.count > 0).tolist(), 2):
            change = params.coefficients[[i]] - params.coefficients[[j]]
            widths = params.variances[[i, j]]
            ratio = abs(float(np.log(widths[0] / widths[1])))
            if ratio > np.sqrt(_ALIKE) or (np.abs(change) > _NEAR * np.abs(params.coefficients[[i]])).any():
                continue
            apart = statistics.apart(params.coefficients[[i, j]])[[i, j]].max()
            if apart <= _ALIKE * widths.min():
                pairs.append((i, j))
        return pairs

    def respond(self, params: LinearRegressionParams, covariates: Array, labels: Labels, rng: Any) -> Array:
        lines = linear_predictor(params.coefficients, covariates)[np.arange(len(labels)), labels]
        noise: Array = generator(rng).standard_normal(len(labels))
        return lines + np.sqrt(params.variances[labels]) * noise

    def describe(self, params: LinearRegressionParams) -> Mapping[str, Array]:
        return {"sd": np.sqrt(params.variances), **described(params.coefficients)}

    def _coefficients(self) -> Block[LineMoments, LinearRegressionParams]:
        def maximize(statistics: LineMoments, params: LinearRegressionParams, free: Mask) -> Array:
            return _lines(statistics)

        def determined(statistics: LineMoments, params: LinearRegressionParams) -> Array:
            return statistics.ranks()

        def size(params: LinearRegressionParams) -> int:
            return params.coefficients.shape[1]

        return component_block(("coefficients",), maximize, size, determined, DEPENDENT)

    def _variances(self, statistics: LineMoments, params: LinearRegressionParams, free: Mask) -> Array:
        floor, live = self._floor(statistics), statistics.count > 0
        new = np.maximum(self._estimate(statistics, params.coefficients, params.variances), floor)
        least = np.full(len(new), VANISHED * statistics.response_variance())
        if floor == 0:  # what is narrower than rounding leaves it has no digits
            # Residuals have lost a share of the terms they differ by, and the square of what moves the line.
            lost = _EPS * statistics.terms(params.coefficients) / np.where(live, statistics.count, 1.0)
            least = np.maximum(least, 32 * lost + (4 * _EPS * params.coefficients[:, 0]) ** 2)
        collapsed = free & live & (new < least)
        if collapsed.any():
            j = int(collapsed.argmax())
            raise Degenerate(
                j,
                "variances",
                f"collapsed: {statistics.count[j]:.4g} rows, all of them on a line",
                "use fewer components, or a prior such as Floor()",
            )
        return new

    def _estimate(self, statistics: LineMoments, coefficients: Array, current: Array) -> Array:
        """The best variances about given lines without a floor; `current` where nothing is known."""
        pseudo_second, pseudo_count = self._pseudo()
        count = statistics.count + pseudo_count
        second = np.maximum(statistics.residuals(coefficients), 0.0) + pseudo_second
        return np.where(count > 0, second / np.where(count > 0, count, 1.0), current)

    def _floor(self, statistics: LineMoments) -> float:
        floor = self.prior.floor(np.array([statistics.response_variance()]))
        return 0.0 if floor is None else float(floor[0])

    def _pseudo(self) -> tuple[float, float]:
        second, count = self.prior.pseudo(Diagonal(), 1)
        return float(second[0]), count


def _moved(params: LinearRegressionParams) -> Array:
    """By how many of its widths the rounding of its intercept moves each line, shape (k,)."""
    moved: Array = _EPS * np.abs(params.coefficients[:, 0]) / np.sqrt(params.variances)
    return moved


def _lines(statistics: LineMoments) -> Array:
    slopes = statistics.best_slopes()
    return np.column_stack([statistics.best_intercepts(slopes), slopes])
