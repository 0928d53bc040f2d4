"""The Student-t family: Gaussians whose rows have a latent scale each, so that outliers count for less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import Array, Labels, array, matrix, own, vector
from latentem.core import Additive, Block, Hidden, Value
from latentem.family.base import Mask, refuse_other_columns, refuse_other_params
from latentem.family.by_component import component_block
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure, refuse_other_structure
from latentem.family.gaussian.moments import ColumnMoments, Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.prior import CovariancePrior, Floor, or_flat
from latentem.family.gaussian.scales import GammaScales
from latentem.family.gaussian.scatter import ScatterFamily
from latentem.numerics.log_gamma import LOG_2PI, log_less_digamma, stirling
from latentem.numerics.rng import generator

LEAST_DOF, MOST_DOF = 0.1, 1e6
"""Below, draws overflow; above, the density is a normal one but for a few parts in a million."""
_FIRST_DOF = 4.0
"""At a start, when no scale is known yet: tails that are heavy, but have a variance."""
_SAME_DOF = 1e-8
"""Relative difference of degrees of freedom below which they are one."""
_EPS = float(np.finfo(float).eps)
_STEPS = 30
"""The most steps of Newton's method, which takes two to four."""


@final
@frozen
class StudentParams(Value):
    """Means, scale matrices and degrees of freedom of k multivariate t distributions.

    Attributes:
        means: Shape (k, d).
        covariances: The scale matrices, in the structure's own shape as in `GaussianParams`. The covariance of a
            component is dof / (dof - 2) times that, where dof > 2.
        dof: Degrees of freedom, shape (k,), from 0.1 to 1e6; one number stands for all.
        structure: Which structure the scale matrices have.

    Raises:
        ValueError: shapes disagree, a value is not finite, or degrees of freedom are out of range.
    """

    means: Array = matrix("(k, d)")
    covariances: Array = array()
    dof: Array = array()
    structure: Structure = field(factory=Full)

    def __attrs_post_init__(self) -> None:
        k = len(self.normal.means)
        if self.dof.ndim == 0:
            object.__setattr__(self, "dof", own(np.full(k, float(self.dof))))
        if self.dof.shape != (k,):
            raise ValueError(f"dof has shape {self.dof.shape}: give one number, or one for each of {k} components")
        if not ((self.dof >= LEAST_DOF) & (self.dof <= MOST_DOF)).all():
            raise ValueError(f"dof was given as {self.dof}: give numbers from {LEAST_DOF:g} to {MOST_DOF:g}")

    @cached_property
    def normal(self) -> GaussianParams:
        """The Gaussians that these are where the latent scale is one."""
        return GaussianParams(self.means, self.covariances, self.structure)

    @cached_property
    def peaks(self) -> Array:
        """Log density at the mean in nats, shape (k,); written so that no log gammas cancel where dof is large."""
        y, h = self.dof / 2, self.means.shape[1] / 2
        _, log_det = self.normal.factors
        gammas = (y + h - 0.5) * np.log1p(h / y) - h + stirling(y + h) - stirling(y)
        return own(gammas - h * LOG_2PI - 0.5 * log_det)

    @cached_property
    def log_gamma_constants(self) -> Array:
        """log of y^y / (Gamma(y) e^y) with y = dof / 2, shape (k,): what of the law of u depends on dof alone."""
        return own(_log_gamma_constant(self.dof / 2))

    def dense(self) -> Array:
        """Scale matrices, shape (k, d, d), whatever the structure."""
        return self.normal.dense()


@final
@frozen
class StudentStatistics(Additive):
    """Expected sums over the rows x and their latent scales u.

    Attributes:
        moments: Of the rows with weights times E[u].
        count: Sum of weights, shape (k,).
        excess: Sum of weight E[u - 1 - log u], shape (k,): it has the digits that E[u] and E[log u] lose beside 1.
    """

    moments: Moments
    count: Array = vector("(k,)")
    excess: Array = vector("(k,)")


@final
@frozen
class Student(ScatterFamily[StudentStatistics, StudentParams]):
    """Multivariate t densities: u ~ Gamma(dof_k / 2, dof_k / 2), x | u ~ N(mean_k, covariance_k / u).

    The latent scale u makes each M-step that of weighted moments (Liu and Rubin, 1995; Peel and McLachlan,
    2000). Degrees of freedom have no closed form; Newton's method finds them to machine precision.

    Attributes:
        structure: Of the scale matrices: `Full()`, `Diagonal()`, `Spherical()`, or `Tied` of one of them.
        prior: On the scale matrices: `Floor(eps)`, relative to the data's variances, `InverseWishart(scale, dof)`,
            or None.
    """

    discrete: ClassVar[bool | None] = False

    structure: Structure = field(factory=Full)
    prior: CovariancePrior = field(factory=Floor, converter=or_flat)

    def params(self, means: Any, covariances: Any, dof: Any) -> StudentParams:
        """Parameters given by hand, checked at once.

        Args:
            means: Shape (k, d).
            covariances: The scale matrices, in the structure's own shape.
            dof: Degrees of freedom, shape (k,), or one number for all.

        Raises:
            ValueError: wrong shapes, scale matrices not positive definite, or dof outside 0.1 to 1e6.
        """
        params = StudentParams(means, covariances, dof, self.structure)
        self.check_params(params, len(params.means))
        return params

    def log_density(self, params: StudentParams, x: Array) -> Array:
        return self._log_density(params, self._checked_distances(params, x))

    def infer(self, params: StudentParams, x: Array) -> tuple[Array, Hidden]:
        distances = self._checked_distances(params, x)
        # (eq: student)
        scales = GammaScales(own((params.dof + x.shape[1]) / 2), own((params.dof + distances) / 2))
        return self._log_density(params, distances), scales

    def statistics(self, x: Array, weights: Array) -> StudentStatistics:
        """Of rows whose scales are not known yet: as at the mean of t distributions with 4 degrees of freedom."""
        gap, _ = log_less_digamma(np.array(_FIRST_DOF / 2))
        return self._gathered(x, weights, weights, gap * weights.sum(axis=0))

    def expected(self, x: Array, weights: Array, hidden: GammaScales) -> StudentStatistics:
        excess = np.einsum("nk,nk->k", weights, hidden.excesses())
        return self._gathered(x, weights, weights * hidden.means(), excess)

    def log_joint(self, params: StudentParams, statistics: StudentStatistics) -> float:
        d = params.means.shape[1]
        count, scales = statistics.count, statistics.moments.count
        log_scales = scales - count - statistics.excess  # E[log u] = E[u] - 1 - E[u - 1 - log u]
        second = statistics.moments.second_about(params.means)
        # log N(x; mean, covariance / u) + log Gamma(u; dof / 2, dof / 2), expected: docs/mathematics.md, "Student-t".
        normal = (
            d * log_scales.sum()
            - count @ params.normal.log_partitions
            - self.structure.each.trace(params.normal.precisions, second).sum()
        )
        gamma = count @ params.log_gamma_constants - params.dof / 2 @ statistics.excess - log_scales.sum()
        return float(0.5 * normal + gamma)

    def blocks(self) -> Sequence[Block[StudentStatistics, StudentParams]]:
        return [self._means(), self._covariances(), self._dof()]

    def first(self, statistics: StudentStatistics) -> StudentParams:
        pooled = statistics.excess.sum() / statistics.count.sum()
        average = np.where(statistics.count > 0, _average_excess(statistics), pooled)
        return StudentParams(*self._first(statistics), own(_dof_at(average)), self.structure)

    def _dof(self) -> Block[StudentStatistics, StudentParams]:
        def maximize(statistics: StudentStatistics, params: StudentParams, free: Mask) -> Array:
            average = _average_excess(statistics)
            new = _dof_at(average)
            # Near the maximum, where the gain is flat, rounding may put the root below the current value.
            return np.where(_gain(new, average) >= _gain(params.dof, average), new, params.dof)

        def determined(statistics: StudentStatistics, params: StudentParams) -> Array:
            return ((params.dof > LEAST_DOF) & (params.dof < MOST_DOF)).astype(float)

        reason = f"degrees of freedom end at {MOST_DOF:g}, where the density is a normal one"
        return component_block(("dof",), maximize, lambda params: 1, determined, reason)

    def coincident(self, params: StudentParams) -> list[tuple[int, int]]:
        dof = params.dof
        return [(i, j) for i, j in super().coincident(params) if abs(dof[i] - dof[j]) <= _SAME_DOF * dof[i]]

    def check_params(self, params: StudentParams, k: int) -> None:
        refuse_other_params(self, params, StudentParams, lambda given: len(given.means), k)
        refuse_other_structure(params.structure, self.structure)
        super().check_params(params, k)

    def sample(self, params: StudentParams, labels: Labels, rng: Any) -> Array:
        rng = generator(rng)
        z = rng.standard_normal((len(labels), params.means.shape[1]))
        covariances, half = params.normal.one_each(), params.dof[labels] / 2
        z /= np.sqrt(rng.standard_gamma(half) / half)[:, None]
        x = np.empty_like(z)
        for j in np.unique(labels):
            rows = labels == j
            x[rows] = params.means[j] + self.structure.each.colour(covariances[j], z[rows])
        return x

    def marginal(self, params: StudentParams, columns: tuple[int, ...], d: int) -> tuple[Student, StudentParams]:
        own = params.normal.among(columns)
        return Student(own.structure, self.prior), StudentParams(own.means, own.covariances, params.dof, own.structure)

    def elliptical(self, params: StudentParams) -> tuple[Array, Array, Array]:
        return params.means, params.dense(), params.dof

    def describe(self, params: StudentParams) -> Mapping[str, Array]:
        return {"mean": params.means, "scale": np.sqrt(params.normal.variances()), "dof": params.dof}

    def _checked_distances(self, params: StudentParams, x: Array) -> Array:
        refuse_other_columns(x, params.means.shape[1])
        return params.normal.distances(x)

    def _log_density(self, params: StudentParams, distances: Array) -> Array:
        return params.peaks - (params.dof + params.means.shape[1]) / 2 * np.log1p(distances / params.dof)

    def _gathered(self, x: Array, weights: Array, scaled: Array, excess: Array) -> StudentStatistics:
        each = self.structure.each
        observed = ColumnMoments.of(x, weights.sum(axis=1), each)  # a floor is relative to the data, not to u x
        moments = evolve(Moments.of(x, scaled, each), observed=observed)
        return StudentStatistics(moments, own(weights.sum(axis=0)), excess)

    def _normal(self, params: StudentParams) -> GaussianParams:
        return params.normal

    def _moments(self, statistics: StudentStatistics) -> Moments:
        return statistics.moments

    def _with_moments(self, statistics: StudentStatistics, moments: Moments) -> StudentStatistics:
        return evolve(statistics, moments=moments)

    def _units(self, statistics: StudentStatistics) -> Array:
        return statistics.count


def _average_excess(statistics: StudentStatistics) -> Array:
    """Mean of E[u - 1 - log u], shape (k,); 1 where a component has no units."""
    live = statistics.count > 0
    return np.where(live, statistics.excess / np.where(live, statistics.count, 1.0), 1.0)


def _log_gamma_constant(y: Array) -> Array:
    """The log of y^y / (Gamma(y) e^y), without the cancellation of its terms."""
    return 0.5 * (np.log(y) - LOG_2PI) - stirling(y)


def _gain(dof: Array, average: Array) -> Array:
    """The part of log_joint, a unit of this mean excess, that depends on dof: concave."""
    return _log_gamma_constant(dof / 2) - dof / 2 * average


def _dof_at(average: Array) -> Array:
    """The degrees of freedom, from 0.1 to 1e6, that maximise at a mean excess, shape (k,).

    The root of log(dof / 2) - digamma(dof / 2) = average, by Newton's method on the logarithms of both sides,
    between which the slope is about -1, from the approximation of Minka (2002). The maximum is concave in dof,
    so that beyond an end of the range it is at that end.
    """
    least, most = (float(log_less_digamma(np.array(end / 2))[0]) for end in (MOST_DOF, LEAST_DOF))
    inside = np.clip(average, least, most)
    # (eq: student)
    y = (3 - inside + np.sqrt((inside - 3) ** 2 + 24 * inside)) / (12 * inside)
    for _ in range(_STEPS):
        gap, slope = log_less_digamma(y)
        step = np.log(inside / gap) * gap / (y * slope)
        y = y * np.exp(step)
        if (np.abs(step) <= 4 * _EPS).all():
            break
    y = np.clip(y, LEAST_DOF / 2, MOST_DOF / 2)
    return np.where(average <= least, MOST_DOF, np.where(average >= most, LEAST_DOF, 2 * y))
