"""Negative binomial components: counts that vary more than Poisson ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, ClassVar, final

import numpy as np
from attrs import evolve, frozen
from numpy.polynomial.polynomial import polyval
from scipy.special import digamma

from latentem.arrays import Array, Labels, matrix, own
from latentem.core import Block, Event, Path, Value
from latentem.family.base import Mask, refuse_other_columns
from latentem.family.by_component import at_boundary
from latentem.family.columns import of_columns, refuse_unsound, whole
from latentem.family.counts import poisson, refuse_large
from latentem.family.sample import SampleFamily, WeightedSample
from latentem.numerics.log_gamma import stirling
from latentem.numerics.rng import generator
from latentem.numerics.solve import root

_LARGE = 15.0
"""Argument from which the asymptotic series of digamma is exact to rounding."""
_DISPERSIONS = np.concatenate([[0.0], np.geomspace(1e-12, 1e12, 49)])
"""Where the search for maxima looks, times the mean."""
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_TINY, _WIDEST = float(np.finfo(float).tiny), 1e200
"""The least mean where a count has been seen, and the largest dispersion."""
_MOST_STEPS = 10_000
"""Largest count whose score is summed step by step, which is quicker than Stirling's series while there are few."""
_SMALL = 0.05
"""Argument below which differences from log(1 + t) cancel, and their power series have all digits in 14 terms."""
_BENT = tuple((-1) ** i / (i + 2) for i in range(14))
_BENT_MEAN = tuple((-1) ** i * (i + 1) / (i + 2) for i in range(14))


@final
@frozen
class NegativeBinomialParams(Value):
    """Means and dispersions of k negative binomial components; variance = mean + dispersion mean^2.

    Attributes:
        means: At least 0, shape (k, d).
        dispersions: At least 0, where 0 is Poisson, shape (k, d).

    Raises:
        ValueError: shapes disagree, or a value is negative or not finite.
    """

    means: Array = matrix("(k, d)")
    dispersions: Array = matrix("(k, d)")

    def __attrs_post_init__(self) -> None:
        refuse_unsound(self, lambda values: values >= 0, "finite numbers of at least 0")


@final
@frozen
class NegativeBinomial(SampleFamily[NegativeBinomialParams]):
    """Counts: independent columns of variance mean + dispersion mean^2 (the NB2 of Cameron and Trivedi, 1986).

    The means are weighted means, whatever the dispersions. A dispersion has no closed form: every root of its
    score is bracketed and found to machine precision, and the best of these, 0 (Poisson, the maximum
    where the counts do not vary more than that) and the current value is taken.
    """

    takes: ClassVar[str] = "counts: whole numbers of at least 0"
    discrete: ClassVar[bool | None] = True
    kind: ClassVar[type] = NegativeBinomialParams

    def params(self, means: Any, dispersions: Any) -> NegativeBinomialParams:
        """Parameters given by hand, checked at once; both of shape (k, d).

        Raises:
            ValueError: wrong shapes, or values that are negative or not finite.
        """
        return NegativeBinomialParams(means, dispersions)

    def log_density(self, params: NegativeBinomialParams, x: Array) -> Array:
        refuse_other_columns(x, params.means.shape[1])
        inside = self.support(x)
        total = np.zeros((len(x), len(params.means)))
        for column, mean, dispersion in zip(x.T, params.means.T, params.dispersions.T, strict=True):
            values, which = np.unique(np.where(inside, column, 0.0), return_inverse=True)  # counts repeat
            total += _log_density(values[:, None], mean, dispersion)[which]
        return np.where(inside[:, None], total, -np.inf)

    def estimate(self, x: Array, weight: Array, current: NegativeBinomialParams | None) -> NegativeBinomialParams:
        start = current or NegativeBinomialParams(*(own(np.ones((1, x.shape[1]))) for _ in range(2)))
        return self._with_dispersions(x, weight, self._with_means(x, weight, start))

    def blocks(self) -> Sequence[Block[WeightedSample, NegativeBinomialParams]]:
        means, dispersions = self._with_means, self._with_dispersions
        return [self.block(("means",), means), self.block(("dispersions",), dispersions, inside=_dispersed)]

    def diagnose(self, params: NegativeBinomialParams, statistics: WeightedSample) -> Sequence[Event]:
        found, columns = (params.dispersions == 0) & (params.means > 0), params.means.shape[1]
        limits = ((j, np.flatnonzero(zero).tolist()) for j, zero in enumerate(found) if zero.any())
        return [
            at_boundary(
                j,
                "the dispersion, 0,"
                if len(zero) == columns
                else "the dispersion, 0, of a column"
                if len(zero) == 1
                else f"the dispersion, 0, of {len(zero)} columns",
                "Poisson" if len(zero) == columns else "Poisson there",
                "dispersions",
                zero[0] if len(zero) == 1 < columns else None,
            )
            for j, zero in limits
        ]

    def cells(self, x: Array) -> Mask:
        return whole(x)

    def coordinates(self, x: Array) -> Array:
        return np.log1p(x)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        super().check(chunks, held)
        refuse_large(chunks)

    def sample(self, params: NegativeBinomialParams, labels: Labels, rng: Any) -> Array:
        rng = generator(rng)
        means, dispersions = params.means[labels], params.dispersions[labels]
        varying = dispersions > 0
        shape = 1 / np.where(varying, dispersions, 1.0)  # a Poisson count of a gamma rate
        return own(poisson(rng, np.where(varying, means / shape * rng.gamma(shape), means)))

    def marginal(
        self, params: NegativeBinomialParams, columns: tuple[int, ...], d: int
    ) -> tuple[NegativeBinomial, NegativeBinomialParams]:
        return self, of_columns(params, columns)

    def describe(self, params: NegativeBinomialParams) -> Mapping[str, Array]:
        return {"mean": params.means, "dispersion": params.dispersions}

    def _with_means(self, x: Array, weight: Array, current: NegativeBinomialParams) -> NegativeBinomialParams:
        share = weight / weight.max()  # so that small weights do not underflow in the products
        means = share @ x / share.sum()
        return evolve(current, means=np.where(x.any(axis=0), np.maximum(means, _TINY), means)[None])

    def _with_dispersions(self, x: Array, weight: Array, current: NegativeBinomialParams) -> NegativeBinomialParams:
        best = [
            _dispersion(column, weight, mean, now)
            for column, mean, now in zip(x.T, current.means[0], current.dispersions[0], strict=True)
        ]
        return evolve(current, dispersions=np.array([best]))


def _dispersed(params: NegativeBinomialParams) -> Array:
    """How many dispersions of each component are not at their boundary, shape (k,)."""
    return (params.dispersions > 0).sum(axis=1)


def _log_density(x: Array, mean: Array, dispersion: Array) -> Array:
    """log p in nats, broadcast; the form of Loader (2000), in which no large numbers cancel: docs/mathematics.md."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # (eq: negative-binomial)
        size = 1 / dispersion
        present = np.where(x > 0, x, 1.0)
        excess = (present - mean) / (1 + dispersion * mean)
        grown = np.log1p(dispersion * present) - np.log1p(dispersion * mean)
        change, share = dispersion * excess, -excess / present
        # size log((1 + dispersion x) / (1 + dispersion mean)) and x log(mean / x times the same ratio)
        first = np.where(change > -0.5, excess * _per_unit(change), size * grown)
        second = present * np.where(np.abs(share) < 0.5, np.log1p(share), np.log(mean / present) + grown)
        corrections = stirling(present + size) - stirling(size) - stirling(present)
        constant = -0.5 * (np.log(2 * np.pi) + np.log(present) + np.log1p(dispersion * present))
        positive = first + second + corrections + constant
    return np.where(x > 0, positive, -mean * _per_unit(dispersion * mean))


def _dispersion(x: Array, weight: Array, mean: float, current: float) -> float:
    """The best dispersion of one column at a given mean; the current one where nothing depends on it."""
    if mean == 0:
        return current
    values, which = np.unique(x, return_inverse=True)
    counts = np.bincount(which, weight / weight.max()).astype(np.float64)
    score = _score_of(values, counts, mean)
    grid = np.minimum(_DISPERSIONS / max(mean, _TINY / 1e-12), _WIDEST)
    with np.errstate(all="ignore"):  # at the ends of the grid, where there is no root
        scores = score(grid)
    tops = np.flatnonzero((scores[:-1] > 0) & (scores[1:] <= 0))
    found = [0.0, current, *(root(lambda value: float(score(value)), grid[i], grid[i + 1]) for i in tops)]
    heights = _log_density(values, np.array(mean), np.array(found)[:, None]) @ counts
    tolerance = 1e-14 * np.abs(heights).max()
    # Of equals the root: values differ by rounding where the derivative still tells them apart.
    return next(found[i] for i in reversed(range(len(found))) if heights[i] >= heights.max() - tolerance)


def _score_of(values: Array, counts: Array, mean: float) -> Callable[[Any], Any]:
    """The score of counted values, as a function of dispersions of any shape."""
    if values[-1] > _MOST_STEPS:
        return lambda dispersion: _score(values, mean, np.asarray(dispersion)[..., None]) @ counts
    # The derivative of the log of prod (1 + dispersion j) over j < x, summed over the units that reach j.
    steps = np.arange(1.0, values[-1])
    reached = counts[::-1].cumsum()[::-1][np.searchsorted(values, steps, side="right")]
    units, total = counts.sum(), counts @ values

    def score(dispersion: Any) -> Any:
        at = np.asarray(dispersion)
        grown = (steps / (1 + at[..., None] * steps)) @ reached
        return grown + units * mean * mean * _bent_mean(at * mean) - total * mean / (1 + at * mean)

    return score


def _score(x: Array, mean: float, dispersion: Array) -> Array:
    """Derivative of log p by the dispersion, finite at 0, where it is ((x - mean)^2 - x) / 2."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        size = 1 / dispersion
        grown = 1 + dispersion * x
        steps = x * x * _bent(dispersion * x) - x / 2 / grown + _digamma_rest(x + size) / grown**2 - _digamma_rest(size)
    return steps + mean * mean * _bent_mean(dispersion * mean) - x * mean / (1 + dispersion * mean)


def _per_unit(t: Array) -> Array:
    """log(1 + t) / t."""
    return np.where(t == 0, 1.0, np.log1p(t) / np.where(t == 0, 1.0, t))


def _bent(t: Array) -> Array:
    """(t - log(1 + t)) / t^2, for t >= 0."""
    large = np.maximum(t, _SMALL)
    return np.where(t < _SMALL, polyval(np.minimum(t, _SMALL), _BENT), (large - np.log1p(large)) / large**2)


def _bent_mean(t: Array) -> Array:
    """(log(1 + t) - t / (1 + t)) / t^2, for t >= 0."""
    large = np.maximum(t, _SMALL)
    direct = (np.log1p(large) - large / (1 + large)) / large**2
    return np.where(t < _SMALL, polyval(np.minimum(t, _SMALL), _BENT_MEAN), direct)


def _digamma_rest(z: Array) -> Array:
    """z^2 (log z - 1 / (2 z) - digamma(z)); 1/12 at infinity."""
    inverse, small = 1 / np.maximum(z, _LARGE), np.minimum(z, _LARGE)
    direct = small**2 * (np.log(small) - digamma(small)) - small / 2
    return np.where(z < _LARGE, direct, polyval(inverse**2, _DIGAMMA))
