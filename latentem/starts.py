"""Where runs begin: k-means++ on standardised and on raw columns, and small random groups of rows.

Each fails on real data where another works, so a fit takes them in turn. Responsibilities drawn at random for
all rows are not among them: for large n they put every component at the mean, which is a saddle.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, final, runtime_checkable

import numpy as np

from latentem.arrays import Array
from latentem.core import LatentModel, Path, Unavailable, tree_sum
from latentem.data import Rows, weight_of
from latentem.run import Start
from latentem.transform import Frozen, innermost, layers

Model = LatentModel[Any, Any, Any, Any]
Random = np.random.Generator


@runtime_checkable
class Labelled(Protocol):
    """A model whose units carry labels, so that a clustering of the rows is a start."""

    @property
    def k(self) -> int: ...
    @property
    def location(self) -> Path: ...
    def gathered(self, chunk: Any, responsibilities: Array, weight: Array | None = None) -> Any: ...


@runtime_checkable
class Guessing(Protocol):
    """A model that can begin from some q of its own: the same for all chunks, a function of the seed."""

    def guess(self, chunk: Any, seed: int) -> Any: ...


def starts(model: Model, chunks: Sequence[Any], start: Any, n_starts: int, rng: Any) -> list[Start]:
    """The starts of a fit: the given one, or `n_starts` random ones, of which the i-th depends on `rng` and i alone.

    Args:
        model: What is fitted.
        chunks: The data.
        start: Parameters, responsibilities (n, k), labels (n,), or None.
        n_starts: How many random starts to make where none is given.
        rng: An int, Generator, RandomState or SeedSequence.

    Raises:
        ValueError: the given start does not fit the model or the data.
        Unavailable: the model knows no random starts.
    """
    if start is not None:
        return [Start("given", partial(_given, model, chunks, start))]
    if isinstance(n_starts, bool) or not isinstance(n_starts, int | np.integer) or n_starts < 1:
        raise ValueError(f"n_starts was given as {n_starts!r}: give a whole number of starts, at least 1")
    base = innermost(model)
    if isinstance(base, Guessing):
        seeds = [int(child.generate_state(1)[0]) for child in children(rng, int(n_starts))]
        return [Start("a random guess of the latents", partial(_guessed, model, base, chunks, seed)) for seed in seeds]
    if not isinstance(base, Labelled):
        raise Unavailable(f"{type(base).__name__} knows no random starts: give start=params")
    seeder = Seeder(model, base, chunks)
    makers = (
        ("k-means++ on standardised columns", partial(seeder.plus_plus, standardised=True)),
        ("k-means++ on raw columns", partial(seeder.plus_plus, standardised=False)),
        ("means of random groups of rows", seeder.groups),
    )
    made = []
    count = int(n_starts) if base.k > 1 else 1  # with one component every start leads to the same place
    for i, child in enumerate(children(rng, count)):
        name, make = makers[i % len(makers)]
        made.append(Start(name, partial(seeder.start, make, child)))
    return made


def children(rng: Any, count: int) -> list[np.random.SeedSequence]:
    """Independent seeds, the i-th the same however many are asked for; a Generator or RandomState moves on.

    Raises:
        TypeError: rng is none of the four kinds.
    """
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator.seed_seq.spawn(count)  # type: ignore[attr-defined]  # its interface leaves spawn out
    if isinstance(rng, np.random.RandomState):
        rng = np.random.SeedSequence(rng.randint(2**32, size=4, dtype=np.uint64).tolist())
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        rng = np.random.SeedSequence(int(rng))
    if not isinstance(rng, np.random.SeedSequence):
        raise TypeError(
            f"rng was given as {rng!r}: give an int of at least 0, a Generator, RandomState or SeedSequence"
        )
    keys = [(*rng.spawn_key, i) for i in range(count)]  # the caller's own is left as it is
    return [np.random.SeedSequence(rng.entropy, spawn_key=key, pool_size=rng.pool_size) for key in keys]


def generator(rng: Any) -> Random:
    """One generator from any kind of `rng`; a Generator is used as it is, and moves on."""
    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng(children(rng, 1)[0])


@final
class Seeder:
    """Random starts for one model and one data set; what they share is computed once.

    Every component gets an average row's worth of the pooled data beside its own rows, so that a
    component of one row has a width, and one of zero counts can still explain a one.
    """

    def __init__(self, model: Model, base: Labelled, chunks: Sequence[Rows]) -> None:
        self._model, self._base, self._chunks = model, base, chunks
        self._weight = weight_of(chunks)
        self._x = _filled(np.concatenate([chunk.x for chunk in chunks]), self._weight)
        self._allowed = None if chunks[0].allowed is None else np.concatenate([chunk.allowed for chunk in chunks])
        self._pooled = self._statistics(np.full((len(self._x), base.k), 1 / base.k))
        self._reference: Any = None

    def start(self, make: Any, child: np.random.SeedSequence) -> Any:
        """The parameters that `make` draws; what is held is as in the first start, so that ends can be compared."""
        params = make(np.random.default_rng(child))
        if self._reference is None:
            self._reference = params
        for layer in layers(self._model):
            if isinstance(layer, Frozen):
                params = layer.held_as(params, self._reference)
        return params

    def plus_plus(self, rng: Random, standardised: bool) -> Any:
        """k-means++ (Arthur and Vassilvitskii, 2007): centres far apart, each row to its nearest."""
        mean = np.average(self._x, axis=0, weights=self._weight)
        x = self._x - mean
        if standardised:
            spread = np.sqrt(np.average(x * x, axis=0, weights=self._weight))
            x /= np.where(spread > 0, spread, 1.0)
        nearest = np.full(len(x), np.inf)
        labels = np.zeros(len(x), dtype=np.int64)
        known = self._known()
        centres = [np.average(x[rows], axis=0, weights=self._weight[rows]) if len(rows) else None for rows in known]
        for j in sorted(range(self._base.k), key=lambda j: centres[j] is None):
            centre = centres[j]
            if centre is None:
                chance = self._weight * (np.ones(len(x)) if np.isinf(nearest).any() else nearest)
                chance = chance if chance.sum() > 0 else self._weight
                centre = x[rng.choice(len(x), p=chance / chance.sum())]
            distance = ((x - centre) ** 2).sum(axis=1)
            closer = distance < nearest
            nearest[closer], labels[closer] = distance[closer], j
        return self._model.first(self._shared(self._restricted(np.eye(self._base.k)[labels])))

    def groups(self, rng: Random) -> Any:
        """Means of disjoint random groups of d + 1 rows, with the data's own covariance and equal weights."""
        k, live = self._base.k, np.flatnonzero(self._weight)
        size = max(1, min(self._x.shape[1] + 1, len(live) // k))
        chosen = rng.permutation(live)[: k * size]
        responsibilities = np.full((len(self._x), k), 1 / k)
        weight = np.zeros(len(self._x))
        responsibilities[chosen] = np.eye(k)[np.arange(len(chosen)) % k]
        weight[chosen] = self._weight.sum() / len(live)
        params = self._model.first(self._pooled)
        members = self._shared(self._restricted(responsibilities), weight)
        for block in self._model.blocks():
            if block.path == self._base.location:
                params = block.apply(members, params)
        return params

    def _known(self) -> list[Any]:
        if self._allowed is None:
            return [()] * self._base.k
        certain = (self._allowed.sum(axis=1) == 1) & (self._weight > 0)
        return [np.flatnonzero(certain & self._allowed[:, j]) for j in range(self._base.k)]

    def _restricted(self, responsibilities: Array) -> Array:
        if self._allowed is None:
            return responsibilities
        inside = responsibilities * self._allowed
        inside = np.where(inside.sum(axis=1, keepdims=True) > 0, inside, self._allowed)
        return inside / inside.sum(axis=1, keepdims=True)

    def _shared(self, responsibilities: Array, weight: Array | None = None) -> Any:
        own = self._statistics(responsibilities, weight)
        return own + (self._base.k / np.count_nonzero(self._weight)) * self._pooled

    def _statistics(self, responsibilities: Array, weight: Array | None = None) -> Any:
        return statistics_of(self._model, self._chunks, responsibilities, weight)


def _filled(x: Array, weight: Array) -> Array:
    """The rows with the mean of its column in the place of each missing value: only for distances."""
    missing = np.isnan(x)
    if not missing.any():
        return x
    present = np.where(missing, 0.0, weight[:, None])
    means = (present * np.where(missing, 0.0, x)).sum(axis=0) / present.sum(axis=0)
    return np.where(missing, means, x)


def statistics_of(model: Model, chunks: Sequence[Rows], responsibilities: Array, weight: Array | None = None) -> Any:
    """The statistics of the data under given responsibilities, (n, k), and row weights instead of their own, (n,)."""
    base = innermost(model)
    assert isinstance(base, Labelled)

    def parts() -> Any:
        begin = 0
        for chunk in chunks:
            part = slice(begin, begin + len(chunk.x))
            begin = part.stop
            yield base.gathered(chunk, responsibilities[part], None if weight is None else weight[part])

    return tree_sum(parts())


def _guessed(model: Model, base: Guessing, chunks: Sequence[Any], seed: int) -> Any:
    return model.first(tree_sum(model.statistics(chunk, base.guess(chunk, seed)) for chunk in chunks))


def _given(model: Model, chunks: Sequence[Any], start: Any) -> Any:
    base = innermost(model)
    given_as_table = hasattr(start, "__array__") or isinstance(start, list | tuple)
    if not given_as_table or not isinstance(base, Labelled):
        model.check_params(start)
        return start
    n, k = sum(len(chunk.x) for chunk in chunks), base.k
    array = np.asarray(start)
    if array.shape == (n,) and array.dtype.kind in "iu":
        if array.min() < 0 or array.max() >= k:
            raise ValueError(
                f"start holds the label {array.min() if array.min() < 0 else array.max()}: give 0 to {k - 1}"
            )
        array = np.eye(k)[array]
    if array.shape != (n, k) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"start of shape {array.shape} and type {array.dtype} was given: give parameters, "
            f"whole-number labels of shape ({n},), or responsibilities of shape ({n}, {k})"
        )
    array = array.astype(float)
    counts = weight_of(chunks) @ array
    if (counts == 0).any():
        raise ValueError(f"the start has no rows in component {int(counts.argmin())}: give it some, or lower k")
    return model.first(statistics_of(model, chunks, array))
