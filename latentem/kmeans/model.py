"""K-means as a model: hard assignment to Gaussians of equal weight, its E-step that of Lloyd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, Labels, own, plain_int
from latentem.core import Cache, Clustering, ColumnError, Event, Expectation, Path, rows_that_count
from latentem.data import Rows, chunks_of, even_rows
from latentem.family import Gaussian, Spherical, Tied
from latentem.family.base import refuse_other_columns
from latentem.family.gaussian.moments import Moments
from latentem.kmeans.evidence import separate
from latentem.kmeans.lloyd import LOOPS
from latentem.kmeans.points import Points, points_of
from latentem.model import Mixture, MixtureParams, MixtureStatistics
from latentem.model.reseeding import reseeded
from latentem.posterior import LabelPosterior
from latentem.transform import Fixed, Frozen, Hard, Transformed
from latentem.transform.transformed import Model

_LEAST_ROWS, _MOST_ROWS, _MOST_NUMBERS = 2**13, 2**19, 2**22
"""Rows and numbers in a chunk of K-means: each costs, however few its rows."""
_WORTHWHILE = 2**20
"""Distances a pass from which compiled loops pay: they take half a second to import, which a fit must win back."""


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
        self.inner.blocks()  # to make the mixture checks k

    def __repr__(self) -> str:
        return f"KMeans({self.k})"

    @cached_property
    def _mixture(self) -> Mixture:
        return Mixture(Gaussian(Tied(Spherical())), self.k)

    @cached_property
    def inner(self) -> Model:
        return Hard(Frozen(self._mixture, {"weights": Fixed.uniform(), "covariances": Fixed.at_start()}))

    def params(self, means: Any, variance: float = 1.0) -> MixtureParams:
        """Centres given by hand, shape (k, d), and the held variance.

        Raises:
            ValueError: wrong shapes, or a variance that is not positive.
        """
        if np.ndim(means) == 2 and len(means) != self.k:
            raise ValueError(f"{len(means)} centres were given: the model has {self.k} clusters")
        components = Gaussian(Tied(Spherical())).params(means, variance)
        return self._mixture.params(own(np.full(self.k, 1 / self.k)), components)

    def posterior(self, params: MixtureParams, chunk: Rows) -> LabelPosterior:
        return LabelPosterior.of_labels(self.labels(params, chunk), self.k, self._as_chunk(params, chunk).weight)

    def labels(self, params: MixtureParams, chunk: Rows) -> Labels:
        return points_of(self._as_chunk(params, chunk)).nearest(params.components.means)

    def expectation(
        self, params: MixtureParams, chunk: Rows, cache: Cache | None = None
    ) -> Expectation[MixtureStatistics]:
        chunk = self._as_chunk(params, chunk)
        labels, statistics = points_of(chunk).assigned(params.components.means, {} if cache is None else cache)
        if statistics is None:
            statistics = self.statistics(chunk, LabelPosterior.of_labels(labels(), self.k, chunk.weight))
        return Expectation(statistics, 0.0, chunk.observations)

    def statistics(self, chunk: Rows, posterior: LabelPosterior) -> MixtureStatistics:
        found = points_of(chunk).gathered(posterior)
        return super().statistics(chunk, posterior) if found is None else found

    @property
    def location(self) -> Path:
        """Path of the block that says where the clusters are."""
        return ("components", "means")

    @property
    def background(self) -> int:
        """No cluster is noise."""
        return 0

    @property
    def ellipsoidal(self) -> bool:
        """Clusters have a centre, and no shape of their own."""
        return False

    @property
    def hard(self) -> bool:
        return True

    def clusters(self) -> Clustering:
        return self

    def loops(self, rows: float) -> tuple[str, ...]:
        return LOOPS if rows * self.k >= _WORTHWHILE else ()

    def coordinates(self, x: Array) -> Array | None:
        """Distances are measured as they are."""
        return None

    def gathered(self, chunk: Rows, responsibilities: Array, weight: Array | None = None) -> MixtureStatistics:
        """Statistics of rows with given responsibilities, (n, k), and weights, (n,)."""
        return self.statistics(chunk, LabelPosterior(responsibilities, chunk.weight if weight is None else weight))

    def clustered(self, chunk: Rows, labels: Labels) -> MixtureStatistics:
        """Statistics of rows in given clusters, (n,)."""
        return points_of(chunk).clustered(labels, self.k)

    def evened(self, chunk: Rows) -> MixtureStatistics:
        """Statistics of rows that all clusters share alike."""
        whole = points_of(chunk).clustered(np.zeros(len(chunk), dtype=np.int64), 1)
        moments, count = whole.components, np.repeat(whole.weights / self.k, self.k)
        origin = np.repeat(moments.origin, self.k, axis=0)
        second = np.repeat(moments.second / self.k, self.k)
        return MixtureStatistics(count, Moments(Spherical(), origin, count, np.zeros_like(origin), second))

    def log_evidence(self, params: MixtureParams, chunk: Rows) -> Array:
        chunk = self._as_chunk(params, chunk)
        evidence = points_of(chunk).log_evidence(params.components.means, float(params.components.covariances))
        return super().log_evidence(params, chunk) if evidence is None else evidence

    def _as_chunk(self, params: MixtureParams, data: Any) -> Any:
        """A chunk of the columns of the centres; raw data are made one."""
        chunk: Any = data if isinstance(data, Rows | Points) else self.chunk(data)
        refuse_other_columns(chunk.x, params.components.means.shape[1])
        return chunk

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Any:
        if not isinstance(data, Points):
            return super().chunk(data, weights, allowed)
        _refuse_beside(data, weights, allowed)
        return data

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Any]:
        if made := _points(data):
            _refuse_beside(made[0], weights, allowed)
            return made if isinstance(data, list | tuple) else made[0].parts(self.k)

        def size(n: int, d: int) -> int:
            return even_rows(n, _LEAST_ROWS, min(_MOST_ROWS, max(256, _MOST_NUMBERS // d)))

        if (
            isinstance(data, np.ndarray)
            and not isinstance(data, np.memmap | np.ma.MaskedArray)
            and data.dtype.kind in "fiu"
        ):
            data = data.astype(np.float64, copy=False)  # chunks that are not made anew keep their bounds beside them
        return chunks_of(Rows, data, weights, allowed, size, self.k, missing=True)

    def check(self, chunks: Sequence[Rows], held: Set[Path] = frozenset()) -> None:
        ranges = [points_of(chunk).limits for chunk in chunks]
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
        plain = all(points_of(chunk).plain(low, high) for chunk in chunks)
        if not (plain and sum(map(rows_that_count, chunks)) >= self.k):
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

    def repair(
        self, model: Any, before: MixtureParams, params: MixtureParams, statistics: MixtureStatistics, chunks: Any
    ) -> tuple[MixtureParams, Sequence[Event]]:
        """An empty cluster moves to the row that is farthest from its own centre."""
        return reseeded(self._mixture, model, before, params, statistics, chunks, _remoteness)

    def figures(self, params: MixtureParams, statistics: MixtureStatistics) -> Mapping[str, float]:
        return {"inertia": self.inertia(params, statistics)}

    def inertia(self, params: MixtureParams, statistics: MixtureStatistics) -> float:
        """Sum of squared distances to the assigned centres, in squared data units."""
        return float(statistics.components.second_about(params.components.means).sum())


def _points(data: Any) -> Sequence[Any]:
    """Points that somebody has made, or a list of them; of other data none."""
    chunks = data if isinstance(data, list | tuple) else [data]
    return chunks if all(isinstance(chunk, Points) for chunk in chunks) else ()


def _refuse_beside(points: Points, weights: Any, allowed: Any) -> None:
    if weights is not None or allowed is not None:
        name = type(points).__name__
        raise ValueError(f"weights and allowed were given beside {name}: put them into the {name}")


def _remoteness(before: MixtureParams, params: MixtureParams, chunk: Rows, cache: Cache) -> tuple[Array, Labels]:
    """Minus the squared distance of each row to its own centre, assigned at parameters before, and its label."""
    points = points_of(chunk)
    assigned, _ = points.assigned(before.components.means, cache)
    labels = assigned()
    return -points.away(params.components.means, labels), labels
