"""Waiting times: exponential columns, and gamma columns by means and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, ClassVar, final

import numpy as np
from attrs import frozen
from scipy.special import digamma, polygamma

from latentem.arrays import Array, Labels, frozen_array, matrix
from latentem.core import Block, ColumnError, Path, Value
from latentem.family.base import Mask, refuse_other_columns
from latentem.family.by_component import component_block
from latentem.family.columns import (
    POSITIVE,
    ColumnFamily,
    log_of_positive,
    of_columns,
    refuse_constant,
    refuse_degenerate,
    refuse_extreme,
    refuse_unsound,
)
from latentem.family.exponential import ExponentialFamily, ExponentialStatistics
from latentem.numerics.log_gamma import LOG_2PI, less_log_ratio, log_less_digamma, stirling
from latentem.numerics.rng import generator

_EPS = float(np.finfo(float).eps)
_NARROW = 4e-11
"""Differences of mean logs below this, relative to their size, are rounding."""
_WIDEST = 1e100
"""Differences of mean logs, the inverse of which a small shape is, above which it is none."""
_NOTICED = 1e-11
"""Relative rounding below which the audit's own allowance covers it."""
_STEPS = 20
"""The most steps of Newton's method, which takes two to four."""
_SETTLED = 1e-5
"""A step after which what is left is 1e-10, and below rounding after one more, since each squares the last."""
_LARGE = 1e4
"""Shapes for which Minka's approximation is right to 1e-8."""


@final
@frozen
class Exponential(ColumnFamily):
    """Waiting times: independent exponential columns. The parameters are the rates, shape (k, d)."""

    parameter: ClassVar[str] = "rate"
    parameters: ClassVar[str] = "rates"
    rule: ClassVar[str] = "finite rates above 0"
    takes: ClassVar[str] = "values of at least 0"
    discrete: ClassVar[bool | None] = False

    def params(self, rates: Any) -> Array:
        """Rates given by hand, checked at once.

        Raises:
            ValueError: not of shape (k, d), or a rate is not positive and finite.
        """
        return self.checked(rates)

    def sound(self, values: Array) -> Any:
        return np.isfinite(values) & (values > 0)

    def cells(self, x: Array) -> Mask:
        return np.asarray(x >= 0)

    def coordinates(self, x: Array) -> Array:
        return log_of_positive(x)

    def natural(self, params: Array) -> Array:
        return -params

    def log_partition(self, params: Array) -> Array:
        return -np.log(params).sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        rates = 1 / mean  # (eq: geometric-exponential)
        refuse_degenerate(self.sound(rates), "rates", "unbounded: its values are all 0, or nearly,")
        return rates

    def mean(self, params: Array) -> Array:
        return 1 / params

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        super().check(chunks, held)
        refuse_extreme(chunks)
        zero = ~np.any([x.any(axis=0) for x in chunks], axis=0)
        if zero.any():
            raise ColumnError(int(zero.argmax()), "is all zeros, so its rate is infinite: leave it out")

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        return frozen_array(generator(rng).exponential(1 / params[labels]))


@final
@frozen
class GammaParams(Value):
    """Means and shapes of k times d gamma distributions; a standard deviation is mean / sqrt(shape).

    Attributes:
        means: Shape (k, d), above 0.
        shapes: Shape (k, d), above 0. The rates of the other parametrisation are shapes / means.

    Raises:
        ValueError: shapes disagree, or a value is not positive and finite.
    """

    means: Array = matrix("(k, d)")
    shapes: Array = matrix("(k, d)")

    def __attrs_post_init__(self) -> None:
        refuse_unsound(self, lambda values: values > 0, "finite ones above 0")


@final
@frozen
class Gamma(ExponentialFamily):
    """Positive values: independent gamma columns, T = (x, log x).

    log p(x) = a log (a / m) - log Gamma(a) + (a - 1) log x - a x / m, with mean m and shape a. These two are
    orthogonal: means have a closed form whatever the shapes. Shapes have none; Newton's method, started from
    Minka's (2002) approximation, finds them to machine precision.
    """

    takes: ClassVar[str] = POSITIVE
    discrete: ClassVar[bool | None] = False
    kind: ClassVar[type] = GammaParams

    def params(self, means: Any, shapes: Any) -> GammaParams:
        """Parameters given by hand, checked at once.

        Raises:
            ValueError: not both of shape (k, d), or a value is not positive and finite.
        """
        return GammaParams(means, shapes)

    def T(self, x: Array) -> Array:  # noqa: N802 - the protocol's name
        return np.hstack([x, np.log(np.where(x > 0, x, 1.0))])

    def cells(self, x: Array) -> Any:
        return x > 0

    def coordinates(self, x: Array) -> Array:
        return log_of_positive(x)

    def log_base(self, x: Array) -> Array:
        return np.where(x > 0, -np.log(np.where(x > 0, x, 1.0)), -np.inf).sum(axis=1)

    def log_density(self, params: GammaParams, x: Array) -> Array:
        if self.rounding(params) == 0:
            return super().log_density(params, x)
        # Narrow ones term by term: -a (r - 1 - log r) - log x with r = x / mean, and what Stirling's formula leaves.
        refuse_other_columns(x, params.means.shape[1])
        inside = x > 0
        density = np.zeros((len(x), len(params.means)))
        for column, mean, a in zip(np.where(inside, x, 1.0).T, params.means.T, params.shapes.T, strict=True):
            constant = 0.5 * (np.log(a) - LOG_2PI) - stirling(a)
            density += constant - a * less_log_ratio(column[:, None], mean) - np.log(column)[:, None]
        return np.where(inside.all(axis=1, keepdims=True), density, -np.inf)

    def natural(self, params: GammaParams) -> Array:
        return np.hstack([-params.shapes / params.means, params.shapes])

    def log_partition(self, params: GammaParams) -> Array:
        a = params.shapes  # Stirling's formula takes a log a out, which would cancel
        return (a * (np.log(params.means) - 1) - 0.5 * np.log(a) + 0.5 * LOG_2PI + stirling(a)).sum(axis=1)

    def from_mean(self, mean: Array) -> GammaParams:
        means, logs = np.hsplit(mean, 2)
        # The best mean is the average whatever the shape, so that means first, then shapes, is the joint maximum.
        refuse_degenerate(means > 0, "means", "its values are 0, or nearly,")
        return GammaParams(means, _shapes(np.log(means) - logs, logs))

    def mean(self, params: GammaParams) -> Array:
        return np.hstack([params.means, np.log(params.means) - log_less_digamma(params.shapes)[0]])

    def blocks(self) -> Sequence[Block[ExponentialStatistics, GammaParams]]:
        def means(statistics: ExponentialStatistics, params: GammaParams, free: Mask) -> Array:
            return _averages(statistics, free)[0]

        def shapes(statistics: ExponentialStatistics, params: GammaParams, free: Mask) -> Array:
            mean, logs = _averages(statistics, free)
            # The second bracket is zero where the mean is the average, as it is unless it is held.
            with np.errstate(over="ignore", divide="ignore"):  # a held mean too far off is refused by name
                gap = (np.log(mean) - logs) + less_log_ratio(mean, params.means)  # (eq: gamma)
            return _shapes(np.where(free[:, None], gap, 1.0), logs)

        def size(params: GammaParams) -> int:
            return params.means.shape[1]

        return [component_block(("means",), means, size), component_block(("shapes",), shapes, size)]

    def rounding(self, params: GammaParams) -> float:
        """The relative loss where terms of a log density, each about the shape or its multiple, cancel."""
        size = params.shapes * (2 + np.abs(np.log(params.means)))
        relative = _EPS * float(size.sum(axis=1).max())
        return relative if relative > _NOTICED else 0.0

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        super().check(chunks, held)
        refuse_extreme(chunks)
        if ("shapes",) not in held:
            refuse_constant(chunks, "so the likelihood is unbounded: leave it out, or hold the shapes")

    def sample(self, params: GammaParams, labels: Labels, rng: Any) -> Array:
        x = generator(rng).gamma(params.shapes[labels], (params.means / params.shapes)[labels])
        return frozen_array(np.maximum(x, np.finfo(float).tiny))  # a small shape draws values that underflow to zero

    def marginal(self, params: GammaParams, columns: tuple[int, ...], d: int) -> tuple[Gamma, GammaParams]:
        return self, of_columns(params, columns)

    def describe(self, params: GammaParams) -> Mapping[str, Array]:
        return {"mean": params.means, "sd": params.means / np.sqrt(params.shapes)}


def _averages(statistics: ExponentialStatistics, free: Mask) -> tuple[Array, Array]:
    """Averages of x and of log x, (k, d); 1 and 0 for components that are not free."""
    mean, logs = np.hsplit(statistics.total / np.where(free, statistics.count, 1.0)[:, None], 2)
    refuse_degenerate(~free[:, None] | (mean > 0), "means", "its values are 0, or nearly,")
    return np.where(free[:, None], mean, 1.0), np.where(free[:, None], logs, 0.0)


def _shapes(gap: Array, logs: Array) -> Array:
    """The shapes a, (k, d), at which log a - digamma(a) is `gap`, the log of the mean less the mean of the logs.

    Newton's method on the logarithms of both, between which the slope is about -1 everywhere. A gap that is zero to
    rounding is refused: the component's values do not vary.
    """
    varies = gap > _NARROW * (1 + np.abs(logs))
    refuse_degenerate(varies, "shapes", "unbounded: its values hardly vary beside their size,")
    refuse_degenerate(gap < _WIDEST, "shapes", "zero: its values are too far from its mean")
    # (eq: gamma)
    below, root = 3 - gap, np.sqrt((gap - 3) ** 2 + 24 * gap)
    a = np.where(below > 0, (below + root) / (12 * gap), 2 / np.maximum(root - below, 1.0))  # whichever does not cancel
    for _ in range(_STEPS):  # with what is quick, and loses digits where a is large; there the start is as good
        quick = np.minimum(a, _LARGE)
        excess, slope = np.log(quick) - digamma(quick), 1 - quick * polygamma(1, quick)
        step = np.where(a < _LARGE, np.log(gap / excess) * excess / slope, 0.0)
        a = a * np.exp(step)
        if (np.abs(step) <= _SETTLED).all():
            break
    excess, slope = log_less_digamma(a)
    return a * np.exp(np.log(gap / excess) * excess / (a * slope))
