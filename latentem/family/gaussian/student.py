"""The Student-t family: Gaussians whose rows have a latent scale each, so that outliers count for less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, Labels, array, frozen_array, matrix, own, vector
from latentem.core import Additive, Block, Event, Hidden, Value
from latentem.family.base import Mask, refuse_other_columns, refuse_other_params
from latentem.family.by_component import at_boundary, component_block
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure, refuse_other_structure
from latentem.family.gaussian.degrees import LEAST_DOF, MOST_DOF, dof_ahead, dof_at, excess_at, gain, log_gamma_constant
from latentem.family.gaussian.moments import ColumnMoments, Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.prior import CovariancePrior, Floor, or_flat
from latentem.family.gaussian.scales import GammaScales
from latentem.family.gaussian.scatter import ScatterFamily
from latentem.numerics.log_gamma import LOG_2PI, log_less_digamma, stirling
from latentem.numerics.rng import generator

_FIRST_DOF = 4.0
"""At a start, when no scale is known yet: tails that are heavy, but have a variance."""
_SAME_DOF = 1e-8
"""Relative difference of degrees of freedom below which they are one."""
_FAR = 0.05
"""Relative change of degrees of freedom, beyond that of a plain step, from which a leap to them is worth a pass."""


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
        return own(log_gamma_constant(self.dof / 2))

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
        spread: Sum of weight (E[u] - 1)^2, shape (k,): how far the rows tell scales apart. It is 0 in a
            file of before there was this field.
    """

    moments: Moments
    count: Array = vector("(k,)")
    excess: Array = vector("(k,)")
    spread: Array = field(default=0.0, converter=frozen_array, eq=EQUAL, hash=False)


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
        return self._gathered(x, weights, weights, gap * weights.sum(axis=0), np.zeros(weights.shape[1]))

    def expected(self, x: Array, weights: Array, hidden: GammaScales) -> StudentStatistics:
        means = hidden.means()
        excess = np.einsum("nk,nk->k", weights, hidden.excesses())
        spread = np.einsum("nk,nk->k", weights, (means - 1) ** 2)
        return self._gathered(x, weights, weights * means, excess, spread)

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
        return StudentParams(*self._first(statistics), own(dof_at(average)), self.structure)

    def _dof(self) -> Block[StudentStatistics, StudentParams]:
        def maximize(statistics: StudentStatistics, params: StudentParams, free: Mask) -> Array:
            average = _average_excess(statistics)
            new = dof_at(average)
            # Near the maximum, where the gain is flat, rounding may put the root below the current value.
            return np.where(gain(new, average) >= gain(params.dof, average), new, params.dof)

        def determined(statistics: StudentStatistics, params: StudentParams) -> Array:
            return ((params.dof > LEAST_DOF) & (params.dof < MOST_DOF)).astype(float)

        return component_block(("dof",), maximize, lambda params: 1, determined)

    def diagnose(self, params: StudentParams, statistics: StudentStatistics) -> Sequence[Event]:
        ends = {MOST_DOF: "Gaussian", LEAST_DOF: "as heavy in its tails as it may be"}
        at = [
            at_boundary(j, f"the number of degrees of freedom, {end:g},", limit, "dof")
            for end, limit in ends.items()
            for j in np.flatnonzero((params.dof == end) & (statistics.count > 0)).tolist()
        ]
        return [*super().diagnose(params, statistics), *at]

    def shortcut(self, params: StudentParams, statistics: StudentStatistics) -> StudentStatistics | None:
        """Statistics at which the degrees of freedom are those that a Newton step ahead finds; the rest is as it is.

        Known scales u would tell large degrees of freedom so well that plain steps, which go by them, creep there. The
        log likelihood of the rows says how far to go, as in the ECME algorithm of Liu and Rubin (1995).
        """
        count, excess = statistics.count, statistics.excess
        ahead = dof_ahead(params.dof, params.means.shape[1], count, excess, statistics.spread)
        far = (count > 0) & (np.abs(np.log(ahead / dof_at(_average_excess(statistics)))) > _FAR)
        return evolve(statistics, excess=np.where(far, count * excess_at(ahead), excess)) if far.any() else None

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

    def _gathered(self, x: Array, weights: Array, scaled: Array, excess: Array, spread: Array) -> StudentStatistics:
        each = self.structure.each
        observed = ColumnMoments.of(x, weights.sum(axis=1), each)  # a floor is relative to the data, not to u x
        moments = evolve(Moments.of(x, scaled, each), observed=observed)
        return StudentStatistics(moments, own(weights.sum(axis=0)), excess, spread)

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
