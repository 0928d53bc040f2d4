"""Random starts for models whose units carry labels: from all rows, or from a sample of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from itertools import cycle, islice
from typing import Any, final

import numpy as np

from latentem.arrays import Array, Labels
from latentem.core import Cache, Clustering, LatentModel, Placed, row_count, tree_sum
from latentem.data import Rows, weight_of
from latentem.engine.blas import one_thread
from latentem.start.agglomeration import MOST, ROWS, WIDEST, agglomerated
from latentem.start.columns import filled, ranks, scaled
from latentem.start.drawing import distances_to, sample
from latentem.start.oversampling import oversampled

Model = LatentModel[Any, Any, Any, Any]
Random = np.random.Generator
Way = Callable[[Random], Any]
"""How the parameters of a start are drawn."""
_TURNS = 12
"""Starts of which one is agglomeration, much the same each time: a multiple of how many other ways there are."""
_NOISE = 0.1
"""The share of every row that noise has at a start."""
_SAMPLE, _FEWEST = 2**16, 2**12
"""Rows that a start is made on, at most; at least where units lie wholly in their clusters."""


@final
class Seeder:
    """Random starts for one model and one data set; what they share is computed once.

    Every component but those of K-means gets an average row's worth of the pooled data beside its own rows, so that a
    component of one row has a width, and one of zero counts can still explain a one.
    """

    def __init__(self, model: Model, base: Clustering, data: Placed[Any], seed: np.random.SeedSequence) -> None:
        self._model, self._base, self._data = model, base, data
        self._live, self._chunks = sample(data, _size(base, data), seed)
        self._weight = weight_of(self._chunks)
        x = np.concatenate([chunk.x for chunk in self._chunks])
        self._x = filled(x, self._weight)
        own = base.coordinates(x)  # of values as they are given: what is missing is filled in afterwards, on this scale
        self._coordinates = None if own is None else filled(own, self._weight)
        masks = [chunk.allowed for chunk in self._chunks]
        self._allowed = None if masks[0] is None else np.concatenate(masks)
        # What is rare may be missing from a sample, and a family may not do without it; clusters can.
        self._whole = sum(map(row_count, self._chunks)) == sum(data.each(row_count))
        if base.hard or self._whole:
            self._pooled = tree_sum(map(base.evened, self._chunks))
        else:
            self._pooled = data.total(partial(_evenly, base))
        self._seed = seed
        self._places = base.k - base.background
        few = x.shape[1] <= WIDEST and self._places <= MOST
        self._agglomerates = base.ellipsoidal and self._allowed is None and few
        self._reference: Any = None

    @property
    def ways(self) -> Sequence[tuple[str, Way]]:
        """The ways in which a fit makes its starts in turn, by name."""
        if not self._agglomerates:
            return self._drawn
        turns = list(islice(cycle(self._drawn), _TURNS))
        turns[3] = "hierarchical agglomeration", self.agglomeration
        return turns

    @property
    def _drawn(self) -> Sequence[tuple[str, Way]]:
        standardised = "k-means++ on standardised columns", partial(self.plus_plus, standardised=True)
        groups = "means of random groups of rows", self.groups
        if self._coordinates is not None:
            own = "k-means++ on the family's coordinates", self.along_coordinates
            return own, ("k-means++ on ranks", self.along_ranks), standardised, groups
        if self._base.hard and not self._whole and self._allowed is None:
            return standardised, ("k-means|| over all rows", self.parallel), groups
        return standardised, ("k-means++ on raw columns", partial(self.plus_plus, standardised=False)), groups

    def start(self, make: Way, child: np.random.SeedSequence) -> Any:
        """The parameters that `make` draws; what is held is as in the first start, so that ends can be compared."""
        with one_thread():  # products with one centre at a time: threads would only wait for one another
            params = make(np.random.default_rng(child))
        if child is self._seed:
            self._reference = params
        return self._model.held(params, self._first())

    def _first(self) -> Any:
        """The first start, whichever is made first: a fit that goes on from a checkpoint does not make all of them."""
        if self._reference is None:
            self._reference = self.plus_plus(np.random.default_rng(self._seed), standardised=True)
        return self._reference

    def plus_plus(self, rng: Random, standardised: bool) -> Any:
        """k-means++ (Arthur and Vassilvitskii, 2007): centres far apart, each row to its nearest."""
        x = self._standardised(self._x) if standardised else self._centred(self._x)
        return self._spread_out(rng, x)

    def along_coordinates(self, rng: Random) -> Any:
        """k-means++ in the coordinates that the model gives, standardised."""
        assert self._coordinates is not None
        return self._spread_out(rng, self._standardised(self._coordinates))

    def along_ranks(self, rng: Random) -> Any:
        """k-means++ on ranks, where one tail of a column is long on any scale."""
        assert self._coordinates is not None
        return self._spread_out(rng, self._standardised(ranks(self._coordinates)))

    def _centred(self, x: Array) -> Array:
        """Rows about their mean, in a unit in which squares neither overflow nor vanish."""
        x = scaled(x, np.abs(x).max())
        return x - np.average(x, axis=0, weights=self._weight)

    def _standardised(self, x: Array) -> Array:
        """Columns of mean 0 and variance 1; one that does not vary stays at 0."""
        x = self._centred(scaled(x, np.abs(x).max(axis=0)))
        spread = np.sqrt(np.average(x * x, axis=0, weights=self._weight))
        x /= np.where(spread > 0, spread, 1.0)
        return x

    def _spread_out(self, rng: Random, x: Array) -> Any:
        """Parameters from k-means++ on these rows, (n, ...), which stand for the rows of the data."""
        nearest = np.full(len(x), np.inf)
        labels = np.zeros(len(x), dtype=np.int64)
        # Rows whose label is known give their component's centre; the others are drawn after it.
        known = self._known()[: self._places]
        centres = [np.average(x[rows], axis=0, weights=self._weight[rows]) if len(rows) else None for rows in known]
        distances = distances_to(x, self._places)
        for j in sorted(range(self._places), key=lambda j: centres[j] is None):
            centre = centres[j]
            if centre is None:
                # (eq: k-means-plus-plus)
                chance = self._weight * (np.ones(len(x)) if np.isinf(nearest).any() else nearest)
                chance = chance if chance.sum() > 0 else self._weight  # every row stands on a centre already
                centre = x[rng.choice(len(x), p=chance / chance.sum())]
            distance = distances(centre)
            closer = distance < nearest
            nearest[closer], labels[closer] = distance[closer], j
        return self._model.first(self._shared(self._clusters(labels)))

    def parallel(self, rng: Random) -> Any:
        """k-means|| (Bahmani et al., 2012): k-means++ on a few weighted rows that stand for all of them."""
        stand_ins = oversampled(self._data, self._base.k, rng.integers(2**32, size=4).tolist())
        if len(stand_ins) < self._base.k:
            return self.plus_plus(rng, standardised=False)
        seeder = copy(self)
        seeder._chunks, seeder._x, seeder._weight = [stand_ins], stand_ins.x, stand_ins.row_weight
        seeder._coordinates = None
        return seeder.plus_plus(rng, standardised=False)

    def groups(self, rng: Random) -> Any:
        """Means of disjoint random groups of d + 1 rows, with the data's own covariance and equal weights."""
        # (eq: random-groups)
        k, live = self._places, np.flatnonzero(self._weight)
        size = max(1, min(self._x.shape[1] + 1, len(live) // k))  # d + 1 rows span the space
        chosen = rng.permutation(live)[: k * size]
        labels, each = np.arange(len(chosen)) % k, np.full(len(chosen), self._weight.sum() / len(live))
        if self._base.hard:
            own = self._base.clustered(Rows(self._x[chosen], each), labels)
        else:
            own = self._of_some(chosen, labels, each)
        params = self._model.first(self._pooled)
        for block in self._model.blocks():
            if block.path == self._base.location:
                params = block.apply(self._shared(own), params)
        return params

    def agglomeration(self, rng: Random) -> Any:
        """Small groups of rows, merged while Gaussians fit them best; what few rows say is said of all of them."""
        # (eq: agglomeration)
        live = np.flatnonzero(self._weight)
        chosen = live if len(live) <= ROWS else rng.choice(live, ROWS, replace=False)
        x = self._standardised(self._x if self._coordinates is None else self._coordinates)[chosen]
        weight = self._weight[chosen]
        labels = agglomerated(x, weight, self._places, rng)
        if labels.max(initial=0) + 1 < self._places:
            return self.plus_plus(rng, standardised=True)
        weight = weight * (self._weight.sum() / weight.sum())
        return self._model.first(self._shared(self._of_some(chosen, labels, weight)))

    def _of_some(self, chosen: Labels, labels: Labels, weight: Array) -> Any:
        """Statistics of a few rows alone, of these labels and weights."""
        responsibilities = beside_noise(self._base, np.full((len(self._x), self._places), 1 / self._places))
        responsibilities[chosen] = beside_noise(self._base, np.eye(self._places)[labels])
        weights = np.zeros(len(self._x))
        weights[chosen] = weight
        return statistics_of(self._base, self._chunks, self._restricted(responsibilities), weights)

    def _known(self) -> list[Any]:
        if self._allowed is None:
            return [()] * self._base.k
        certain = (self._allowed.sum(axis=1) == 1) & (self._weight > 0)
        return [np.flatnonzero(certain & self._allowed[:, j]) for j in range(self._base.k)]

    def _restricted(self, responsibilities: Array) -> Array:
        """Responsibilities of the components that are allowed alone, which share what a row had elsewhere."""
        if self._allowed is None:
            return responsibilities
        inside = responsibilities * self._allowed
        inside = np.where(inside.sum(axis=1, keepdims=True) > 0, inside, self._allowed)
        return inside / inside.sum(axis=1, keepdims=True)

    def _clusters(self, labels: Labels) -> Any:
        if not self._base.hard:
            return statistics_of(
                self._base, self._chunks, self._restricted(beside_noise(self._base, np.eye(self._places)[labels]))
            )
        if self._allowed is not None:
            labels = np.where(self._allowed[np.arange(len(labels)), labels], labels, self._allowed.argmax(axis=1))
        edges = np.cumsum([len(chunk.x) for chunk in self._chunks])
        return tree_sum(map(self._base.clustered, self._chunks, np.split(labels, edges[:-1])))

    def _shared(self, own: Any) -> Any:
        """The components' own statistics, and beside them an average row's worth of the pooled data for each.

        Clusters that are told by their centres alone need none: it would draw a small one towards the middle.
        """
        if self._base.hard:
            return own
        return own + (self._base.k / self._live) * self._pooled  # (eq: pooled-unit)


def beside_noise(base: Clustering, table: Array) -> Array:
    """Responsibilities of the components that have a place, (n, places), with a share for noise beside them, (n, k)."""
    noise = base.background
    return table if not noise else np.hstack([(1 - _NOISE) * table, np.full((len(table), noise), _NOISE / noise)])


def _size(base: Clustering, data: Placed[Any]) -> int:
    """How many rows a start is made on: so many that it costs less than a few passes, and is as good."""
    if not base.hard:
        return _SAMPLE
    return min(_SAMPLE, max(_FEWEST, 4 * base.k, sum(data.each(row_count)) // 16))  # (eq: sample-of-rows)


def _evenly(base: Clustering, chunk: Any, cache: Cache) -> Any:
    return base.evened(chunk)


def statistics_of(base: Clustering, chunks: Iterable[Any], responsibilities: Array, weight: Array | None = None) -> Any:
    """The statistics of the data under given responsibilities, (n, k), and row weights instead of their own, (n,)."""

    def parts() -> Any:
        begin = 0
        for chunk in chunks:
            part = slice(begin, begin + len(chunk.x))
            begin = part.stop
            given = responsibilities[part]
            table = np.eye(base.k)[given] if given.ndim == 1 else given
            yield base.gathered(chunk, table, None if weight is None else weight[part])

    return tree_sum(parts())
