"""The Gaussian family, with covariance structures, a prior on the covariances, and missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, Labels
from latentem.core import Block, Hidden
from latentem.family.base import refuse_other_columns, refuse_other_params
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure, refuse_other_structure
from latentem.family.gaussian.kernels.compiled import loops_of
from latentem.family.gaussian.kernels.quadratic import QuadraticKernel
from latentem.family.gaussian.kernels.whitened import WhitenedKernel, whitened_cost
from latentem.family.gaussian.missing import Completion, available
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.prior import CovariancePrior, Floor, or_flat
from latentem.family.gaussian.scatter import ScatterFamily
from latentem.kernel.base import Kernel
from latentem.numerics.rng import generator


@final
@frozen
class Gaussian(ScatterFamily[Moments, GaussianParams]):
    """Normal densities N(mean_k, covariance_k).

    A value may be missing at random: NaN. The density of a row is then that of its observed cells, and
    the missing ones are latent (Ghahramani and Jordan, 1994; Little and Rubin, 2019, ch. 11).

    Attributes:
        structure: `Full()`, `Diagonal()`, `Spherical()`, `Tied` of one of them, or one by its name, `structure("VEV")`.
        prior: `Floor(eps)`, `InverseWishart(scale, dof)`, or None for plain maximum likelihood.
    """

    discrete: ClassVar[bool | None] = False

    structure: Structure = field(factory=Full)
    prior: CovariancePrior = field(factory=Floor, converter=or_flat)

    def params(self, means: Any, covariances: Any) -> GaussianParams:
        """Parameters given by hand, checked at once.

        Raises:
            ValueError: wrong shapes, or covariances that are not symmetric and positive definite.
        """
        params = GaussianParams(means, covariances, self.structure)
        self.check_params(params, len(params.means))
        return params

    @property
    def takes_missing(self) -> bool:
        return True

    def log_density(self, params: GaussianParams, x: Array) -> Array:
        return self.infer(params, x)[0]

    def infer(self, params: GaussianParams, x: Array) -> tuple[Array, Hidden | None]:
        d = params.means.shape[1]
        refuse_other_columns(x, d)
        missing = np.isnan(x)
        if missing.any():
            return self.structure.each.complete(x, missing, params.means, params.distinct)
        return -0.5 * (params.log_partitions + params.distances(x)), None  # (eq: gaussian-density)

    def kernel(self, params: GaussianParams, log_weights: Array) -> Kernel | None:
        products = QuadraticKernel.of(params, log_weights)
        if not products.whitens or products.cost < whitened_cost(params, 1 / len(params.means)):
            return products  # cheaper even where all but one component are ruled out
        whitened = WhitenedKernel.of(params, log_weights)
        return products if products.cost < whitened_cost(params, whitened.share) else whitened

    @property
    def loops(self) -> tuple[str, ...]:
        return loops_of(self.structure)

    def statistics(self, x: Array, weights: Array) -> Moments:
        missing = np.isnan(x)
        return self._kept(x, weights, available(x, missing, weights) if missing.any() else None)

    def expected(self, x: Array, weights: Array, hidden: Completion) -> Moments:
        return self._kept(x, weights, hidden)

    def _kept(self, x: Array, weights: Array, completion: Completion | None) -> Moments:
        """The moments, with one second moment for all components where they share their covariance."""
        moments = Moments.of(x, weights, self.structure.each, completion)
        return moments.together() if self.structure.tied else moments

    def log_joint(self, params: GaussianParams, statistics: Moments) -> float:
        # (eq: gaussian-log-joint)
        distances = statistics.distances(params.means, params.precisions)
        return -0.5 * (float(np.dot(statistics.count, params.log_partitions)) + distances)

    def blocks(self) -> Sequence[Block[Moments, GaussianParams]]:
        return self._blocks

    @cached_property
    def _blocks(self) -> Sequence[Block[Moments, GaussianParams]]:
        return self._means(), self._covariances()

    def m_step(self, statistics: Moments, params: GaussianParams) -> GaussianParams:
        return self._best(statistics, statistics.count, params)

    def first(self, statistics: Moments) -> GaussianParams:
        return GaussianParams(*self._first(statistics), self.structure)

    def check_params(self, params: GaussianParams, k: int) -> None:
        refuse_other_params(self, params, GaussianParams, lambda given: len(given.means), k)
        refuse_other_structure(params.structure, self.structure)
        super().check_params(params, k)

    def sample(self, params: GaussianParams, labels: Labels, rng: Any) -> Array:
        x = generator(rng).standard_normal((len(labels), params.means.shape[1]))
        covariances = params.one_each()
        for j in np.unique(labels):
            rows = labels == j
            x[rows] = params.means[j] + self.structure.each.colour(covariances[j], x[rows])
        return x

    def marginal(self, params: GaussianParams, columns: tuple[int, ...], d: int) -> tuple[Gaussian, GaussianParams]:
        own = params.among(columns)
        return Gaussian(own.structure, self.prior), own

    def elliptical(self, params: GaussianParams) -> tuple[Array, Array, Array]:
        return params.means, params.dense(), np.full(len(params.means), np.inf)

    def describe(self, params: GaussianParams) -> Mapping[str, Array]:
        return {"mean": params.means, "sd": np.sqrt(params.variances())}

    def _normal(self, params: GaussianParams) -> GaussianParams:
        return params

    def _moments(self, statistics: Moments) -> Moments:
        return statistics

    def _with_moments(self, statistics: Moments, moments: Moments) -> Moments:
        return moments

    def _units(self, statistics: Moments) -> Array:
        return statistics.count
