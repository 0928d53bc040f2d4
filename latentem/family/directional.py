"""Directions: the von Mises-Fisher family on the unit sphere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from math import log, pi
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from latentem.arrays import Array, Labels, matrix, own, vector
from latentem.core import Block, Degenerate, Path, RowError, Value
from latentem.family.base import Family, Mask, first_wrong, refuse_other_columns
from latentem.family.by_component import component_block
from latentem.family.gaussian.covariance.spherical import Spherical
from latentem.family.gaussian.moments import Moments
from latentem.kernel.base import FeatureKernel, Kernel, Sums
from latentem.numerics.bessel import log_bessel, log_scaled_bessel
from latentem.numerics.rng import generator

_OFF = 1e-9
"""How far from 1 a norm may be."""
_UNBOUNDED = 1e-20
"""One less the mean resultant length, from which unit vectors in double precision no longer tell it from 0."""
_BROAD = 1e4
"""Concentrations up to which products have the digits: kappa mu . x cancels against the log partition."""
_NORMAL = 1e8
"""Concentrations from which a draw is a normal one on the tangent plane, to a part in as many."""
_ALIKE = 1e-8
"""Symmetric divergence in nats below which two components are one."""
_STEEP = 1e6
"""Concentrations, times d, from which Newton's slope has lost its digits."""
_STEPS = 50
"""The most steps of Newton's method, which takes two to four."""
_SETTLED = 1e-9
"""A relative step after which the next one is below rounding, since each squares the last."""


@final
@frozen
class VonMisesFisherParams(Value):
    """Mean directions and concentrations of k von Mises-Fisher distributions.

    Attributes:
        directions: Unit vectors, shape (k, d).
        concentrations: Shape (k,), at least 0; at 0 the distribution is uniform and has no direction.

    Raises:
        ValueError: shapes disagree, a direction is not of norm 1, or a concentration is negative or not finite.
    """

    directions: Array = matrix("(k, d)")
    concentrations: Array = vector("(k,)")

    def __attrs_post_init__(self) -> None:
        k, d = self.directions.shape
        if d < 2 or self.concentrations.shape != (k,):
            raise ValueError(
                f"directions of shape {self.directions.shape} and concentrations of shape {self.concentrations.shape} "
                "were given: give (k, d) with d at least 2, and (k,)"
            )
        if not _on_sphere(self.directions).all():
            raise ValueError(f"directions were given as {self.directions}: divide each by its norm")
        if not (np.isfinite(self.concentrations) & (self.concentrations >= 0)).all():
            raise ValueError(f"concentrations were given as {self.concentrations}: give finite ones of at least 0")

    @cached_property
    def peaks(self) -> Array:
        """Log density at the mean direction in nats, shape (k,): once a pass, not once a chunk."""
        half = self.directions.shape[1] / 2
        return own(-half * log(2 * pi) - log_scaled_bessel(half - 1, self.concentrations)[0])


@final
@frozen
class VonMisesFisher(Family[Moments, VonMisesFisherParams]):
    """Unit vectors in d dimensions: log p(x) = kappa mu . x - log partition, with respect to area on the sphere.

    The log partition is (d / 2) log 2 pi + log I_(d/2 - 1)(kappa) - (d / 2 - 1) log kappa (Banerjee et al., 2005).
    Directions have a closed form. Concentrations have none; Newton's method finds them to machine precision.

    As mu . x = 1 - |x - mu|^2 / 2, the statistics are moments of the rows, which carry their origin: however
    concentrated a component is, nothing cancels. Rows are taken for their directions, x / |x|.
    """

    discrete: ClassVar[bool | None] = False
    kind: ClassVar[type] = VonMisesFisherParams
    takes: ClassVar[str] = "unit vectors: divide each row by its norm, and leave out rows of norm 0"

    def params(self, directions: Any, concentrations: Any) -> VonMisesFisherParams:
        """Parameters given by hand, checked at once.

        Raises:
            ValueError: wrong shapes, directions that are not of norm 1, or negative concentrations.
        """
        return VonMisesFisherParams(directions, concentrations)

    def log_partition(self, params: VonMisesFisherParams) -> Array:
        """Log partition of each component in nats, shape (k,)."""
        return params.concentrations - params.peaks

    def mean(self, params: VonMisesFisherParams) -> Array:
        """E[x | z = k], shape (k, d)."""
        ratio = log_bessel(params.directions.shape[1] / 2 - 1, params.concentrations)[1]
        return ratio[:, None] * params.directions

    def from_mean(self, mean: Array) -> VonMisesFisherParams:
        """Parameters under which E[x | z = k] is `mean`, shape (k, d).

        Raises:
            Degenerate: a mean is of length 1.
        """
        unit = _unit(mean)
        length = (unit * mean).sum(axis=1)
        directions = np.where(length[:, None] > 0, unit, np.eye(1, mean.shape[1]))
        return VonMisesFisherParams(directions, _concentrations(1 - length, mean.shape[1]))

    def log_density(self, params: VonMisesFisherParams, x: Array) -> Array:
        refuse_other_columns(x, params.directions.shape[1])
        unit, density = _unit(x), np.empty((len(x), len(params.directions)))
        for j, direction in enumerate(params.directions):
            apart = unit - direction
            np.einsum("nd,nd->n", apart, apart, out=density[:, j])
        return np.where(_on_sphere(x)[:, None], params.peaks - 0.5 * params.concentrations * density, -np.inf)

    def kernel(self, params: VonMisesFisherParams, log_weights: Array) -> Kernel | None:
        if params.concentrations.max() > _BROAD:
            return None
        constants = log_weights + params.peaks - params.concentrations
        return DirectionKernel(own(np.column_stack([constants, params.concentrations[:, None] * params.directions])))

    def statistics(self, x: Array, weights: Array) -> Moments:
        return Moments.of(_unit(x), weights, Spherical())

    def log_joint(self, params: VonMisesFisherParams, statistics: Moments) -> float:
        # kappa mu . x = kappa - kappa |x - mu|^2 / 2: the peak has the first term, the second moment the other.
        second = statistics.second_about(params.directions)
        return float(statistics.count @ params.peaks - 0.5 * params.concentrations @ second)

    def blocks(self) -> Sequence[Block[Moments, VonMisesFisherParams]]:
        def directions(statistics: Moments, params: VonMisesFisherParams, free: Mask) -> Array:
            unit = _unit(statistics.means())
            return np.where(unit.any(axis=1, keepdims=True), unit, params.directions)  # where all cancel, none is best

        def concentrations(statistics: Moments, params: VonMisesFisherParams, free: Mask) -> Array:
            gap = statistics.second_about(params.directions) / (2 * np.where(free, statistics.count, 1.0))
            return _concentrations(np.where(free, gap, 1.0), params.directions.shape[1])  # (eq: von-mises-fisher)

        return [
            component_block(("directions",), directions, lambda params: params.directions.shape[1] - 1),
            component_block(("concentrations",), concentrations, lambda params: 1),
        ]

    def first(self, statistics: Moments) -> VonMisesFisherParams:
        whole = statistics.count.sum()
        pooled = _unit((statistics.count @ statistics.origin + statistics.first.sum(axis=0))[None])[0]
        means = np.where((statistics.count > 0)[:, None], _unit(statistics.means()), pooled)
        directions = np.where(means.any(axis=1, keepdims=True), means, np.eye(1, means.shape[1]))
        gap = statistics.second_about(directions) / (2 * np.where(statistics.count > 0, statistics.count, 1.0))
        of_all = statistics.second_about(np.broadcast_to(pooled, directions.shape)).sum() / (2 * whole)
        gap = np.where(statistics.count > 0, gap, of_all)
        return VonMisesFisherParams(directions, _concentrations(gap, directions.shape[1]))

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return np.asarray(_on_sphere(x))

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        if chunks[0].shape[1] < 2:
            raise ValueError("data of one column were given: directions need at least two")
        if (found := first_wrong(chunks, lambda x: ~self.support(x))) is not None:
            row, x, _ = found
            raise RowError(
                row,
                f"{x}, has norm {np.linalg.norm(x):.10g}, and rows must be unit vectors: divide each by its norm (and "
                "leave out rows of norm 0)",
            )

    def coincident(self, params: VonMisesFisherParams) -> list[tuple[int, int]]:
        kappa, directions = params.concentrations, params.directions
        _, ratio, rest = log_bessel(directions.shape[1] / 2 - 1, kappa)
        pairs = []
        for i in range(len(kappa) - 1):
            # (kappa mu - kappa' mu') . (E[x] - E'[x]), written so that nothing cancels
            apart = 0.5 * ((directions[i + 1 :] - directions[i]) ** 2).sum(axis=1)
            across = kappa[i] * ratio[i + 1 :] + kappa[i + 1 :] * ratio[i]
            divergence = (kappa[i + 1 :] - kappa[i]) * (rest[i] - rest[i + 1 :]) + across * apart
            pairs += [(i, j) for j in (i + 1 + np.flatnonzero(divergence < _ALIKE)).tolist()]
        return pairs

    def sample(self, params: VonMisesFisherParams, labels: Labels, rng: Any) -> Array:
        rng = generator(rng)
        from scipy import stats  # a large module, which nothing else here needs

        x = rng.standard_normal((len(labels), params.directions.shape[1]))
        for j in np.unique(labels):
            rows, direction, kappa = labels == j, params.directions[j], params.concentrations[j]
            if kappa > _NORMAL:
                x[rows] -= np.outer(x[rows] @ direction, direction)
                x[rows] = direction + x[rows] / np.sqrt(kappa)
            elif kappa > 0:
                x[rows] = stats.vonmises_fisher(direction, kappa).rvs(int(rows.sum()), random_state=rng)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def describe(self, params: VonMisesFisherParams) -> Mapping[str, Array]:
        return {"concentration": params.concentrations, "direction": params.directions}


@final
@frozen(eq=False)
class DirectionKernel(FeatureKernel):
    """The densities as products of rows and kappa mu, where no component is so concentrated that these cancel.

    Attributes:
        natural: The constants, and kappa mu, shape (k, 1 + d).
    """

    natural: Array

    def sound(self, low: Array, high: Array) -> bool:
        return True

    def features(self, x: Array, out: Array) -> None:
        refuse_other_columns(x, len(out))
        out[...] = _unit(x).T

    def statistics(self, sums: Sums) -> Moments | None:
        count, total = sums.products[0], sums.products[1:].T
        gap = count - np.linalg.norm(total, axis=1)
        if not (total.shape[1] * count <= 2 * _BROAD * gap)[count > 0].all():
            return None  # the next ones will be more concentrated than products can tell
        return Moments(Spherical(), np.zeros(total.shape), count, total, count)


def _on_sphere(x: Array) -> Any:
    return np.abs(np.linalg.norm(x, axis=1) - 1) <= _OFF


def _unit(rows: Array) -> Array:
    """Each row divided by its norm, however short it is; a row of zeros stays."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1.0)
    norm = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(norm > 0, norm, 1.0)


def _concentrations(gap: Array, d: int) -> Array:
    """The kappa at which I_(d/2) / I_(d/2 - 1) is one less `gap`, shape (k,); 0 where that is not positive.

    Newton's method (Sra, 2012) from the start of Banerjee et al. (2005). The ratio rises from 0 to 1 and is concave,
    so from the left it is approached from the left, and a step too far to the left is not taken beyond a half. A gap
    of 0, at which the likelihood grows with kappa without end, is refused.
    """
    if (gap <= _UNBOUNDED).any():
        raise Degenerate(
            int(gap.argmin()),
            "concentrations",
            "unbounded: all its rows are the same direction",
            "use fewer components or a prior, or hold the concentrations",
        )
    gap = np.minimum(gap, 1.0)
    r = 1 - gap
    kappa = r * (d - r**2) / (gap * (1 + r))
    for _ in range(_STEPS):
        _, ratio, rest = log_bessel(d / 2 - 1, kappa)
        off = np.where(r < 0.5, ratio - r, gap - rest)
        # 1 - ratio^2 - (d - 1) ratio / kappa, which is 1 / d at 0
        slope = np.where(kappa > 0, rest * (1 + ratio) - (d - 1) * ratio / np.where(kappa > 0, kappa, 1.0), 1 / d)
        # Where kappa is large the slope cancels, and the complement is all but proportional to 1 / kappa.
        steep = kappa > _STEEP * d
        new = np.where(steep, kappa * rest / gap, np.maximum(kappa - off / np.where(steep, 1.0, slope), kappa / 2))
        settled = np.abs(new - kappa) <= _SETTLED * kappa
        kappa = new
        if settled.all():
            break
    return kappa
