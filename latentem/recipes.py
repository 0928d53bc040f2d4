"""Recipes: well-known models, each made of the same few parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import field, fields, frozen

from latentem.arrays import Array, Labels, own, plain_int
from latentem.core import Cache, ColumnError, Event, Expectation, Path
from latentem.data import Rows, even_rows, row_chunks
from latentem.family import Floor, Full, Gaussian, InverseWishart, Spherical, Structure, Tied
from latentem.family.base import refuse_other_columns
from latentem.family.moments import Moments
from latentem.kmeans import Addends, log_evidence, nearest, recalled, separate, squared_distances
from latentem.model import Mixture, MixtureParams, MixtureStatistics, PseudoCounts
from latentem.posterior import LabelPosterior
from latentem.transform import Fixed, Frozen, Hard, Transformed, innermost
from latentem.transform.transformed import Model, SamePosterior

_LEAST_ROWS, _MOST_ROWS, _MOST_NUMBERS = 2**13, 2**19, 2**22
"""Rows and numbers in a chunk of K-means: each costs, however few its rows."""
_LARGE = 1e130
"""Far within the range of floats, squares included."""

Prior = Floor | InverseWishart | PseudoCounts | None


def _brief(recipe: Any) -> str:
    """A recipe as one would write it: what is at its default is left out."""
    bare = type(recipe)(recipe.k)
    shown = [f.name for f in fields(type(recipe)) if f.name != "k" and getattr(recipe, f.name) != getattr(bare, f.name)]
    return (
        ", ".join([f"{type(recipe).__name__}({recipe.k}", *(f"{name}={getattr(recipe, name)}" for name in shown)]) + ")"
    )


def _fixed(value: Any) -> Fixed | None:
    if value is None or isinstance(value, Fixed):
        return value
    raise TypeError(f"{value!r} was given: to hold a field at a value, give Fixed(value)")


@final
@frozen(repr=False)
class GaussianMixture(SamePosterior[MixtureParams]):
    """A mixture of k Gaussians.

    Attributes:
        k: Number of components.
        structure: `Full()`, `Diagonal()`, `Spherical()`, or `Tied` of one of them.
        weights: `Fixed(value)` or `Fixed.uniform()` to hold them; None estimates them.
        means: `Fixed(value)`, or `Fixed(value, components=[0])` to hold some; None estimates them.
        covariances: Likewise; held for some components only where they are not tied.
        prior: `Floor(eps)`, `InverseWishart(scale, dof)`, `PseudoCounts(count)`, several in a tuple, or
            None for plain maximum likelihood. Pseudo-counts alone leave the floor where it is.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind, or components are held of what is tied.
    """

    k: int = field(converter=plain_int)
    structure: Structure = field(factory=Full)
    weights: Fixed | None = field(default=None, converter=_fixed)
    means: Fixed | None = field(default=None, converter=_fixed)
    covariances: Fixed | None = field(default=None, converter=_fixed)
    prior: Prior | tuple[Prior, ...] = field(factory=Floor)

    def __attrs_post_init__(self) -> None:
        if (self.means and self.means.equal) or (self.covariances and self.covariances.equal):
            raise ValueError("Fixed.uniform() was given for means or covariances: only weights can be uniform")
        self.inner.blocks()

    def __repr__(self) -> str:
        return _brief(self)

    @cached_property
    def inner(self) -> Model:
        given = self.prior if isinstance(self.prior, tuple) else (self.prior,)
        counts = [prior for prior in given if isinstance(prior, PseudoCounts)]
        rest = [prior for prior in given if not isinstance(prior, PseudoCounts)]
        if len(counts) > 1 or len(rest) > 1:
            raise ValueError(f"prior was given as {self.prior!r}: give at most one for weights and one for covariances")
        covariances = rest[0] if rest else Floor()
        mixture = Mixture(Gaussian(self.structure, covariances), self.k, counts[0] if counts else None)
        named = {"weights": self.weights, "means": self.means, "covariances": self.covariances}
        held = {name: fixed for name, fixed in named.items() if fixed is not None}
        return Frozen(mixture, held) if held else mixture

    def params(self, weights: Any, means: Any, covariances: Any) -> MixtureParams:
        """Parameters given by hand, checked at once.

        Args:
            weights: Shape (k,).
            means: Shape (k, d).
            covariances: (k, d, d) full, (k, d) diagonal, (k,) spherical; (d, d), (d,) or () if tied.

        Raises:
            ValueError: weights off the simplex, wrong shapes, or covariances not positive definite.
        """
        if np.ndim(means) == 2 and len(means) != self.k:
            raise ValueError(f"{len(means)} means were given: the model has {self.k} components")
        params = MixtureParams(weights, Gaussian(self.structure).params(means, covariances))
        self.check_params(params)
        return params


@final
@frozen(repr=False)
class KMeans(Transformed[MixtureParams]):
    """K-means, as EM: hard assignment to Gaussians of equal weight and one held spherical variance.

    Its bound is constant - inertia / (2 variance), so each half step of EM is one of Lloyd's (1982). The held
    variance is the start's pooled within-cluster variance; it sets the unit of the bound and nothing else.

    Attributes:
        k: Number of clusters.
    """

    k: int = field(converter=plain_int)

    def __attrs_post_init__(self) -> None:
        self.inner.blocks()

    def __repr__(self) -> str:
        return _brief(self)

    @cached_property
    def inner(self) -> Model:
        spherical = Mixture(Gaussian(Tied(Spherical())), self.k)
        return Hard(Frozen(spherical, {"weights": Fixed.uniform(), "covariances": Fixed.at_start()}))

    def params(self, means: Any, variance: float = 1.0) -> MixtureParams:
        """Centres given by hand, shape (k, d), and the held variance.

        Raises:
            ValueError: wrong shapes, or a variance that is not positive.
        """
        if np.ndim(means) == 2 and len(means) != self.k:
            raise ValueError(f"{len(means)} centres were given: the model has {self.k} clusters")
        weights = own(np.full(self.k, 1 / self.k))
        params = MixtureParams(weights, Gaussian(Tied(Spherical())).params(means, variance))
        self.check_params(params)
        return params

    def posterior(self, params: MixtureParams, chunk: Rows) -> LabelPosterior:
        return LabelPosterior.of_labels(self.labels(params, chunk), self.k, self._as_chunk(params, chunk).weight)

    def labels(self, params: MixtureParams, chunk: Rows) -> Labels:
        return nearest(params.components.means, self._as_chunk(params, chunk))

    def expectation(self, params: MixtureParams, chunk: Rows) -> Expectation[MixtureStatistics]:
        return self.recalled(params, chunk, {})

    def recalled(self, params: MixtureParams, chunk: Rows, cache: Cache) -> Expectation[MixtureStatistics]:
        chunk = self._as_chunk(params, chunk)
        memory = recalled(params.components.means, chunk, cache)
        statistics = memory.statistics()
        if statistics is None:
            statistics = self.statistics(chunk, LabelPosterior.of_labels(memory.labels, self.k, chunk.weight))
        return Expectation(statistics, 0.0, chunk.observations)

    @property
    def location(self) -> Path:
        """Path of the block that says where the clusters are."""
        return innermost(self).location  # type: ignore[attr-defined]  # it is a Mixture

    def coordinates(self, x: Array) -> Array | None:
        """Distances are measured as they are."""
        return None

    def gathered(self, chunk: Rows, responsibilities: Array, weight: Array | None = None) -> MixtureStatistics:
        """Statistics of rows with given responsibilities, (n, k), and weights, (n,)."""
        return self.statistics(chunk, LabelPosterior(responsibilities, chunk.weight if weight is None else weight))

    def clustered(self, chunk: Rows, labels: Labels) -> MixtureStatistics:
        """Statistics of rows in given clusters, (n,)."""
        addends = Addends.of(chunk.x, chunk.weight)
        return addends.statistics(addends.total(labels, self.k), lambda: labels)

    def evened(self, chunk: Rows) -> MixtureStatistics:
        """Statistics of rows that all clusters share alike."""
        addends = Addends.of(chunk.x, chunk.weight)
        labels = np.zeros(len(chunk), dtype=np.int64)
        whole = addends.statistics(addends.total(labels, 1), lambda: labels)
        moments, count = whole.components, np.repeat(whole.weights / self.k, self.k)
        origin = np.repeat(moments.origin, self.k, axis=0)
        second = np.repeat(moments.second / self.k, self.k)
        return MixtureStatistics(count, Moments(Spherical(), origin, count, np.zeros_like(origin), second))

    def log_evidence(self, params: MixtureParams, chunk: Rows) -> Array:
        chunk = self._as_chunk(params, chunk)
        evidence = log_evidence(params.components.means, float(params.components.covariances), chunk)
        return super().log_evidence(params, chunk) if evidence is None else evidence

    def _as_chunk(self, params: MixtureParams, data: Any) -> Rows:
        """A chunk of the columns of the centres; raw data are made one."""
        chunk: Rows = data if isinstance(data, Rows) else self.chunk(data)
        refuse_other_columns(chunk.x, params.components.means.shape[1])
        return chunk

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Rows]:
        def size(n: int, d: int) -> int:
            return even_rows(n, _LEAST_ROWS, min(_MOST_ROWS, max(256, _MOST_NUMBERS // d)))

        if (
            isinstance(data, np.ndarray)
            and not isinstance(data, np.memmap | np.ma.MaskedArray)
            and data.dtype.kind in "fiu"
        ):
            data = data.astype(np.float64, copy=False)  # chunks that are not made anew keep their bounds beside them
        return row_chunks(data, weights, allowed, size, self.k, missing=True)

    def check(self, chunks: Sequence[Rows], held: Set[Path] = frozenset()) -> None:
        ranges = [(float(chunk.x.min()), float(chunk.x.max())) for chunk in chunks]
        low, high = min(ranges)[0], max(high for _, high in ranges)
        if np.isnan(ranges).any():
            begin = 0
            for chunk in chunks:
                if (missing := np.isnan(chunk.x)).any():
                    row, column = (int(i[0]) for i in np.nonzero(missing))
                    raise ColumnError(
                        column,
                        f"is missing a value in row {begin + row}, and K-means takes no missing values: leave out such "
                        "rows, fill them in, or fit a GaussianMixture",
                    )
                begin += len(chunk)
        plain = all(chunk.weight is None for chunk in chunks) and sum(map(len, chunks)) >= self.k
        if not (plain and max(-low, high) < _LARGE and high - low > 1 / _LARGE):
            super().check(chunks, held)

    def diagnose(self, params: MixtureParams, statistics: MixtureStatistics) -> Sequence[Event]:
        if (statistics.weights > 0).all() and separate(params.components.means, params.components.covariances):
            return ()
        return super().diagnose(params, statistics)

    @property
    def noun(self) -> str:
        return "cluster"

    def describe(self, params: MixtureParams, statistics: MixtureStatistics) -> Mapping[str, Any]:
        return {"rows": statistics.weights, "centre": params.components.means}

    def remoteness(
        self, before: MixtureParams, params: MixtureParams, chunk: Rows, cache: Cache
    ) -> tuple[Array, Labels]:
        """Minus the squared distance of each row to its own centre, assigned at parameters before, and its label."""
        labels = recalled(before.components.means, chunk, cache).labels
        return -squared_distances(chunk.x, params.components.means, labels), labels

    def inertia(self, params: MixtureParams, statistics: MixtureStatistics) -> float:
        """Sum of squared distances to the assigned centres, in squared data units."""
        return float(statistics.components.second_about(params.components.means).sum())
