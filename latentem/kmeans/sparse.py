"""Rows of a sparse table as a chunk of K-means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Self, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import Array, Labels, own
from latentem.core import Cache, Chunk, tree_sum
from latentem.data.units import allowed_field, cut_edges, even_rows, weight_field
from latentem.data.values import refuse_mask, refuse_weights
from latentem.kmeans.compressed import Compressed, compressed
from latentem.kmeans.points import Points
from latentem.model import MixtureStatistics
from latentem.posterior import LabelPosterior

_LEAST_ROWS, _MOST_NUMBERS = 2**13, 2**22
"""Rows and stored numbers in a chunk: each chunk costs a table of the centres."""
_LARGEST, _HEAVIEST = 1e130, 1e20
"""The largest values and weights that are taken: squares and sums of them are within the range of floats."""
_ACCURATE = 1e-10
"""Nats by which the log density of a row may be off before its distances are taken column by column."""
_UNSEEN = 40.0
"""Nats below the most likely centre from which another adds no digit to the density."""


@final
@frozen
class SparseRows(Chunk, Points):
    """A chunk of independent units, one a row of a sparse table.

    Attributes:
        x: The table, shape (n, d): any sparse matrix of scipy; it is kept in CSR form.
        weight: How much each unit counts, shape (n,), at least 0; None counts each once.
        allowed: Which clusters a unit may belong to, boolean of shape (n, k); None allows all.

    Raises:
        TypeError, ValueError: shapes disagree, a value or a weight is no finite number or too large, or a unit is
            allowed nowhere.
    """

    x: Compressed = field(converter=compressed, eq=False, repr=False)
    weight: Array | None = weight_field()
    allowed: npt.NDArray[np.bool_] | None = allowed_field()

    def __attrs_post_init__(self) -> None:
        within = np.abs(self.x.values.data) < _LARGEST
        if not within.all():
            row, value = self.x.row_of[int(within.argmin())], self.x.values.data[int(within.argmin())]
            raise ValueError(
                f"row {row} holds {value}: every value must be finite and below {_LARGEST:g}; leave it out"
            )
        if self.weight is not None:
            refuse_weights(self.weight, len(self), "row")
            heaviest = self.weight.max()
            if heaviest and not 1 / _HEAVIEST < heaviest < _HEAVIEST:
                raise ValueError(f"the largest weight is {heaviest:g}: rescale the weights to be near 1")
        if self.allowed is not None:
            refuse_mask(self.allowed, len(self))

    @property
    def compiled(self) -> bool:
        return False

    @property
    def row_weight(self) -> Array:
        return np.ones(len(self)) if self.weight is None else self.weight

    @property
    def observations(self) -> float:
        return float(len(self) if self.weight is None else self.weight.sum())

    @property
    def bounds(self) -> tuple[Array, Array]:
        return own(self.x.values.min(axis=0).toarray()), own(self.x.values.max(axis=0).toarray())

    def place(self, row: int, rows: int = 0, units: int = 0) -> str:
        return f"row {rows + row}"

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, part: slice) -> Self:
        weight = None if self.weight is None else self.weight[part]
        return type(self)(self.x.part(part), weight, None if self.allowed is None else self.allowed[part])

    @property
    def limits(self) -> tuple[float, float]:
        return float(self.x.values.min()), float(self.x.values.max())

    def plain(self, low: float, high: float) -> bool:
        return True  # it is refused when it is made if it is not

    def parts(self, k: int) -> Sequence[Self]:
        stored = max(1, self.x.values.nnz // len(self))  # in a row
        size = even_rows(len(self), _LEAST_ROWS, max(256, _MOST_NUMBERS // stored))
        edges = cut_edges(None, len(self), size)
        return [self] if len(edges) == 2 else [self[begin:end] for begin, end in pairwise(edges)]

    def nearest(self, centres: Array) -> Labels:
        labels = np.empty(len(self), dtype=np.intp)
        for part, distance, error in self.x.screened(centres):
            self._restrict(part, distance)
            possible = distance - error <= (distance + error).min(axis=1, keepdims=True)
            distance[~possible] = np.inf
            possible[possible.sum(axis=1) == 1] = False
            self.x.decide(part, centres, distance, possible & np.isfinite(distance))
            labels[part] = distance.argmin(axis=1)
        return labels

    def assigned(self, centres: Array, cache: Cache) -> tuple[Callable[[], Labels], MixtureStatistics]:
        labels = self.nearest(centres)
        return lambda: labels, self.clustered(labels, len(centres))

    def clustered(self, labels: Labels, k: int) -> MixtureStatistics:
        return self.x.summed(labels, k, self.weight)

    def gathered(self, posterior: LabelPosterior) -> MixtureStatistics:
        counts = posterior.counts()
        n, k = counts.shape
        return tree_sum([self.x.summed(np.full(n, j), k, np.ascontiguousarray(counts[:, j])) for j in range(k)])

    def away(self, centres: Array, labels: Labels) -> Array:
        return self.x.away(centres, labels)

    def log_evidence(self, centres: Array, variance: float) -> Array:
        evidence, (k, d) = np.empty(len(self)), centres.shape
        constant = -np.log(k) - d / 2 * np.log(2 * np.pi * variance)
        for part, distance, error in self.x.screened(centres):
            self._restrict(part, distance)
            seen = distance - error <= (distance + error).min(axis=1, keepdims=True) + 2 * variance * _UNSEEN
            faint = error > 2 * variance * _ACCURATE * max(1, d / 2)
            self.x.decide(part, centres, distance, seen & faint & np.isfinite(distance))
            least = distance.min(axis=1)
            shares = np.exp((least[:, None] - distance) / (2 * variance))
            evidence[part] = constant - least / (2 * variance) + np.log(shares.sum(axis=1))
        return evidence

    def _restrict(self, part: slice, distance: Array) -> None:
        """Put infinity where a row may not be."""
        if self.allowed is not None:
            distance[~self.allowed[part]] = np.inf
