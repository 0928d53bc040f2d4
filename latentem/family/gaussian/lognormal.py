"""Rows whose logarithms are Gaussian: LogNormal, whose columns may be correlated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, Labels, frozen_array
from latentem.core import ColumnError, Path, Whole
from latentem.family.base import Family, Mask
from latentem.family.columns import POSITIVE, log_of_positive
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure
from latentem.family.gaussian.family import Gaussian
from latentem.family.gaussian.kernels.quadratic import QuadraticKernel
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.prior import CovariancePrior, Floor
from latentem.kernel import Kernel, SideBySide


@final
@frozen
class LogNormal(Family[Moments, GaussianParams], Whole[Moments, GaussianParams]):
    """Positive rows whose logarithms are normal: a `Gaussian` on log x, and the Jacobian of the logarithm.

    The parameters are the means and covariances of log x, and a floor is relative to the variances of log x.

    Attributes:
        structure: `Full()`, `Diagonal()`, `Spherical()`, or `Tied` of one of them.
        prior: `Floor(eps)`, `InverseWishart(scale, dof)`, or None for plain maximum likelihood.
    """

    structure: Structure = field(factory=Full)
    prior: CovariancePrior | None = field(factory=Floor)

    takes: ClassVar[str] = POSITIVE
    discrete: ClassVar[bool | None] = False

    def __attrs_post_init__(self) -> None:
        _ = self.gaussian  # which checks the structure and the prior

    @cached_property
    def gaussian(self) -> Gaussian:
        """The family of log x."""
        return Gaussian(self.structure, self.prior)

    def params(self, means: Any, covariances: Any) -> GaussianParams:
        """Means and covariances of log x given by hand, checked at once.

        Raises:
            ValueError: wrong shapes, or covariances that are not symmetric and positive definite.
        """
        return self.gaussian.params(means, covariances)

    @cached_property
    def pieces(self) -> Mapping[tuple[()], Gaussian]:
        return {(): self.gaussian}

    def assemble(self, pieces: Mapping[tuple[()], GaussianParams]) -> GaussianParams:
        return pieces[()]

    def log_density(self, params: GaussianParams, x: Array) -> Array:
        inside = self.support(x)[:, None]
        logs = np.log(np.where(inside, x, 1.0))
        density = self.gaussian.log_density(params, logs) - logs.sum(axis=1, keepdims=True)  # (eq: log-normal)
        return np.where(inside, density, -np.inf)

    def kernel(self, params: GaussianParams, log_weights: Array) -> Kernel | None:
        return SideBySide.of([(QuadraticKernel.of(params, log_weights), _logs)], itemgetter(0))

    def statistics(self, x: Array, weights: Array) -> Moments:
        return self.gaussian.statistics(np.log(np.where(x > 0, x, 1.0)), weights)

    def sharing(self, statistics: Moments, x: Array, weight: Array) -> Moments:
        return self.gaussian.sharing(statistics, np.log(np.where(x > 0, x, 1.0)), weight)

    def cells(self, x: Array) -> Mask:
        return np.asarray(x > 0)

    @property
    def ellipsoidal(self) -> bool:
        return True

    def coordinates(self, x: Array) -> Array:
        return log_of_positive(x)

    def support(self, x: Array) -> Mask:
        return np.asarray(self.cells(x).all(axis=1))

    def log_joint(self, params: GaussianParams, statistics: Moments) -> float:
        # (eq: log-normal)
        # The Jacobian's sum of log x is in the moments already.
        logs = (statistics.first + statistics.count[:, None] * statistics.origin).sum()
        return super().log_joint(params, statistics) - float(logs)

    def count(self, params: GaussianParams) -> int:
        return self.gaussian.count(params)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        self.refuse_outside(chunks)
        try:
            self.gaussian.check([np.log(x) for x in chunks], held)
        except ColumnError as error:
            raise error.put(reason=f"in logarithms {error.reason}") from None

    def check_params(self, params: GaussianParams, k: int) -> None:
        self.gaussian.check_params(params, k)

    def coincident(self, params: GaussianParams) -> list[tuple[int, int]]:
        return self.gaussian.coincident(params)

    def sample(self, params: GaussianParams, labels: Labels, rng: Any) -> Array:
        return frozen_array(np.exp(self.gaussian.sample(params, labels, rng)))

    def marginal(self, params: GaussianParams, columns: tuple[int, ...], d: int) -> tuple[LogNormal, GaussianParams]:
        gaussian, own = self.gaussian.marginal(params, columns, d)
        return LogNormal(gaussian.structure, self.prior), own

    def describe(self, params: GaussianParams) -> Mapping[str, Array]:
        return {"mean of log": params.means, "sd of log": np.sqrt(params.variances())}


def _logs(x: Array) -> Array:
    """Logarithms of rows or of bounds of them; NaN and infinity, for which no kernel is sound, outside the support."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(x)
