"""The rows of a chunk as K-means asks for them, whatever holds them: an array, or another kind of chunk."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, final

from attrs import frozen

from latentem.arrays import Array, Labels
from latentem.core import Cache
from latentem.data import Rows
from latentem.kmeans.evidence import log_evidence
from latentem.kmeans.lloyd import nearest, recalled
from latentem.kmeans.sums import Addends, squared_distances
from latentem.model import MixtureStatistics
from latentem.posterior import LabelPosterior

_LARGE = 1e130
"""Far within the range of floats, squares included."""


class Points(abc.ABC):
    """Rows that can be clustered. A chunk of another kind than `Rows` that derives from this is clustered as it is."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def limits(self) -> tuple[float, float]:
        """The least and the largest value of all; NaN where one is missing."""

    @abc.abstractmethod
    def plain(self, low: float, high: float) -> bool:
        """Whether sums of squares are within the range of floats, whatever the centres, if these are the limits."""

    @abc.abstractmethod
    def parts(self, k: int) -> Sequence[Any]:
        """The chunks that a fit of k clusters has of them."""

    @abc.abstractmethod
    def nearest(self, centres: Array) -> Labels:
        """The nearest of the centres, (k, d), to each row, shape (n,): the lowest of those that tie in double."""

    @abc.abstractmethod
    def assigned(self, centres: Array, cache: Cache) -> tuple[Callable[[], Labels], MixtureStatistics | None]:
        """The nearest centres, until it is asked again, and the statistics of these clusters.

        None where only `gathered` has their digits.
        """

    @abc.abstractmethod
    def clustered(self, labels: Labels, k: int) -> MixtureStatistics:
        """Statistics of rows in given clusters, (n,)."""

    @abc.abstractmethod
    def gathered(self, posterior: LabelPosterior) -> MixtureStatistics | None:
        """Statistics of rows under any q of their labels; None: as the mixture has them."""

    @abc.abstractmethod
    def away(self, centres: Array, labels: Labels) -> Array:
        """Squared distance of each row to the centre of its label, shape (n,)."""

    @abc.abstractmethod
    def log_evidence(self, centres: Array, variance: float) -> Array | None:
        """log p(row) in nats, shape (n,), under k equal weights and one variance; None: as the mixture has it."""


@final
@frozen(eq=False)
class InArray(Points):
    """The rows of a chunk that is an array."""

    chunk: Rows

    @property
    def limits(self) -> tuple[float, float]:
        return float(self.chunk.x.min()), float(self.chunk.x.max())

    def plain(self, low: float, high: float) -> bool:
        return self.chunk.weight is None and max(-low, high) < _LARGE and high - low > 1 / _LARGE

    def parts(self, k: int) -> Sequence[Rows]:
        return [self.chunk]

    def nearest(self, centres: Array) -> Labels:
        return nearest(centres, self.chunk)

    def assigned(self, centres: Array, cache: Cache) -> tuple[Callable[[], Labels], MixtureStatistics | None]:
        memory = recalled(centres, self.chunk, cache)
        return lambda: memory.labels, memory.statistics()

    def clustered(self, labels: Labels, k: int) -> MixtureStatistics:
        addends = Addends.of(self.chunk.x, self.chunk.weight)
        return addends.statistics(addends.total(labels, k), lambda: labels)

    def gathered(self, posterior: LabelPosterior) -> None:
        return None

    def away(self, centres: Array, labels: Labels) -> Array:
        return squared_distances(self.chunk.x, centres, labels)

    def log_evidence(self, centres: Array, variance: float) -> Array | None:
        return log_evidence(centres, variance, self.chunk)


def points_of(chunk: Any) -> Points:
    """The rows of a chunk."""
    return chunk if isinstance(chunk, Points) else InArray(chunk)
