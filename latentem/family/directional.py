"""Directions: the von Mises-Fisher family on the unit sphere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from math import log, pi
from typing import Any, final

import numpy as np
from attrs import frozen
from scipy import stats

from latentem.arrays import Array, Labels, matrix, vector
from latentem.core import Block, Degenerate, Path, Value
from latentem.family.bessel import log_bessel
from latentem.family.exponential import ExponentialFamily, ExponentialStatistics

_OFF = 1e-9
"""How far from 1 a norm may be."""
_EPS = float(np.finfo(float).eps)
_CONCENTRATED = 64 * _EPS
"""Mean resultant lengths this near to 1 are 1 to rounding."""
_NOTICED = 1e-11
_STEPS = 50
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
    def log_partition(self) -> Array:
        """Log partition of each component in nats, shape (k,): once a pass, not once a chunk."""
        half = self.directions.shape[1] / 2
        return half * log(2 * pi) + log_bessel(half - 1, self.concentrations)[0]


@final
@frozen
class VonMisesFisher(ExponentialFamily):
    """Unit vectors in d dimensions: log p(x) = kappa mu . x - log partition, with respect to area on the sphere.

    The log partition is (d / 2) log 2 pi + log I_(d/2 - 1)(kappa) - (d / 2 - 1) log kappa (Banerjee et al., 2005).
    Directions have a closed form. Concentrations have none; Newton's method finds them to machine precision.
    """

    def params(self, directions: Any, concentrations: Any) -> VonMisesFisherParams:
        """Parameters given by hand, checked at once.

        Raises:
            ValueError: wrong shapes, directions that are not of norm 1, or negative concentrations.
        """
        return VonMisesFisherParams(directions, concentrations)

    def log_base(self, x: Array) -> Array:
        return np.where(_on_sphere(x), 0.0, -np.inf)

    def natural(self, params: VonMisesFisherParams) -> Array:
        return params.concentrations[:, None] * params.directions

    def log_partition(self, params: VonMisesFisherParams) -> Array:
        return params.log_partition

    def from_mean(self, mean: Array) -> VonMisesFisherParams:
        length = _length(mean)
        directions = np.where(length[:, None] > 0, _unit(mean), np.eye(1, mean.shape[1]))
        return VonMisesFisherParams(directions, _concentrations(length, mean.shape[1]))

    def mean(self, params: VonMisesFisherParams) -> Array:
        ratio = log_bessel(params.directions.shape[1] / 2 - 1, params.concentrations)[1]
        return ratio[:, None] * params.directions

    def blocks(self) -> Sequence[Block[ExponentialStatistics, VonMisesFisherParams]]:
        return [self._directions(), self._concentrations()]

    def _directions(self, held: tuple[int, ...] = ()) -> Block[ExponentialStatistics, VonMisesFisherParams]:
        def maximize(statistics: ExponentialStatistics, params: VonMisesFisherParams) -> Array:
            free = _length(statistics.total) > 0
            free[list(held)] = False
            return np.where(free[:, None], _unit(statistics.total), params.directions)

        def size(params: VonMisesFisherParams) -> int:
            k, d = params.directions.shape
            return (k - len(held)) * (d - 1)

        return Block(("directions",), maximize, size, lambda more: self._directions((*held, *more)))

    def _concentrations(self, held: tuple[int, ...] = ()) -> Block[ExponentialStatistics, VonMisesFisherParams]:
        def maximize(statistics: ExponentialStatistics, params: VonMisesFisherParams) -> Array:
            kept = statistics.count == 0
            kept[list(held)] = True
            mean = statistics.total / np.where(kept, 1.0, statistics.count)[:, None]
            along = np.where(kept, 0.0, (mean * params.directions).sum(axis=1))
            return np.where(kept, params.concentrations, _concentrations(along, mean.shape[1]))

        def size(params: VonMisesFisherParams) -> int:
            return len(params.concentrations) - len(held)

        return Block(("concentrations",), maximize, size, lambda more: self._concentrations((*held, *more)))

    def rounding(self, params: VonMisesFisherParams) -> float:
        """What kappa mu . x and the log partition lose where they cancel: machine precision times kappa."""
        relative = 2 * _EPS * float(params.concentrations.max())
        return relative if relative > _NOTICED else 0.0

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        begin = 0
        for x in chunks:
            if x.shape[1] < 2:
                raise ValueError("data of one column were given: directions need at least two")
            off = ~self.support(x)
            if off.any():
                row = int(off.argmax())
                raise ValueError(
                    f"row {begin + row}, {x[row]}, has norm {np.linalg.norm(x[row]):.10g}, and rows must be unit "
                    "vectors: divide each by its norm (and leave out rows of norm 0)"
                )
            begin += len(x)

    def check_params(self, params: VonMisesFisherParams, k: int) -> None:
        if not isinstance(params, VonMisesFisherParams) or len(params.concentrations) != k:
            raise ValueError(f"{params!r} are no parameters of {k} components of {self!r}")

    def sample(self, params: VonMisesFisherParams, labels: Labels, rng: Any) -> Array:
        x = rng.standard_normal((len(labels), params.directions.shape[1]))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        for j in np.unique(labels):
            if params.concentrations[j] > 0:
                rows = labels == j
                law = stats.vonmises_fisher(params.directions[j], params.concentrations[j])
                x[rows] = law.rvs(int(rows.sum()), random_state=rng)
        return x

    def describe(self, params: VonMisesFisherParams) -> Mapping[str, Array]:
        return {"concentration": params.concentrations, "direction": params.directions}


def _on_sphere(x: Array) -> Any:
    return np.abs(np.linalg.norm(x, axis=1) - 1) <= _OFF


def _unit(total: Array) -> Array:
    """Each row divided by its norm, however short it is; a row of zeros stays."""
    largest = np.abs(total).max(axis=1, keepdims=True)
    scaled = total / np.where(largest > 0, largest, 1.0)
    norm = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(norm > 0, norm, 1.0)


def _length(mean: Array) -> Array:
    return (_unit(mean) * mean).sum(axis=1)


def _concentrations(length: Array, d: int) -> Array:
    """The kappa at which I_(d/2) / I_(d/2 - 1) is the mean resultant length, shape (k,); 0 where that is not positive.

    Newton's method (Sra, 2012) from the start of Banerjee et al. (2005). The ratio rises from 0 to 1 and is concave,
    so from the left it is approached from the left, and a step too far to the left is not taken beyond a half.

    Raises:
        Degenerate: a length is 1, where the likelihood grows with kappa without end.
    """
    if (length >= 1 - _CONCENTRATED).any():
        raise Degenerate(
            int(length.argmax()),
            "concentrations",
            "unbounded: all its rows are the same direction",
            "use fewer components or a prior, or hold the concentrations",
        )
    r = np.maximum(length, 0.0)
    kappa = r * (d - r**2) / ((1 - r) * (1 + r))
    for _ in range(_STEPS):
        _, ratio, rest = log_bessel(d / 2 - 1, kappa)
        gap = np.where(r < 0.5, ratio - r, (1 - r) - rest)
        # 1 - ratio^2 - (d - 1) ratio / kappa, which is 1 / d at 0
        slope = np.where(kappa > 0, rest * (1 + ratio) - (d - 1) * ratio / np.where(kappa > 0, kappa, 1.0), 1 / d)
        new = np.maximum(kappa - gap / slope, kappa / 2)
        settled = np.abs(new - kappa) <= _SETTLED * kappa
        kappa = new
        if settled.all():
            break
    return kappa
