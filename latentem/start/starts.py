"""Where runs begin: k-means++ on standardised and on raw columns, small random groups of rows, and agglomeration.

Each fails on real data where another works, so a fit takes them in turn; agglomeration is for families of ellipsoids,
such as Gaussians. A family of skewed values gives coordinates of its own, such as logarithms: k-means++ on these, and
on ranks, takes the place of that on raw columns.
Responsibilities drawn at random for all rows are not among them: for large n they put every component at the mean,
which is a saddle. Of many rows a sample is drawn, once for all starts; the rest of the data stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

import numpy as np

from latentem.arrays import frozen_shares, real_numbers
from latentem.core import Cache, Placed, row_count
from latentem.engine import Serial
from latentem.numerics.rng import children
from latentem.run import Start
from latentem.start.seeding import Model, Seeder, beside_noise, statistics_of

_ROUNDING = 1e-9
"""How far a sum of responsibilities may be from one."""


@runtime_checkable
class SupportsArray(Protocol):
    """A table of any library's, which numpy can read."""

    def __array__(self) -> Any: ...


def starts(model: Model, chunks: Placed[Any] | Sequence[Any], start: Any, n_starts: int, rng: Any) -> list[Start]:
    """The starts of a fit: the given one, or `n_starts` random ones, of which the i-th depends on `rng` and i alone.

    Args:
        model: What is fitted.
        chunks: The data, as an engine has placed them or as they are.
        start: Parameters, responsibilities (n, k), labels (n,), or None.
        n_starts: How many random starts to make where none is given.
        rng: An int, Generator, RandomState or SeedSequence, or None.

    Raises:
        ValueError: the given start does not fit the model or the data.
    """
    data = chunks if isinstance(chunks, Placed) else Serial().place(chunks)
    if start is not None:
        return [Start("given", partial(_given, model, data, start))]
    check_count(n_starts)
    clusters = model.clusters()
    if clusters is None:
        seeds = [int(child.generate_state(1)[0]) for child in children(rng, int(n_starts))]
        return [Start("a random guess of the latents", partial(_guessed, model, data, seed)) for seed in seeds]
    count = int(n_starts) if clusters.k > 1 else 1  # with one component every start leads to the same place
    seeds_of = children(rng, count)
    seeder = Seeder(model, clusters, data, seeds_of[0])
    turns = zip(cycle(seeder.ways), seeds_of, strict=False)
    return [Start(name, partial(seeder.start, make, child)) for (name, make), child in turns]


def check_count(n_starts: Any) -> None:
    """Refuse with a ValueError what is no number of starts."""
    if isinstance(n_starts, bool) or not isinstance(n_starts, int | np.integer) or n_starts < 1:
        raise ValueError(f"n_starts was given as {n_starts!r}: give a whole number of starts, at least 1")


def _guessed(model: Model, data: Placed[Any], seed: int) -> Any:
    return model.first(data.total(partial(_at_guess, model, seed)))


def _at_guess(model: Model, seed: int, chunk: Any, cache: Cache) -> Any:
    return model.statistics(chunk, model.guess(chunk, seed))


def _given(model: Model, chunks: Placed[Any], start: Any) -> Any:
    clusters = model.clusters()
    if clusters is None or not isinstance(start, SupportsArray | list | tuple):
        model.check_params(start)
        return start
    n, k = sum(chunks.each(row_count)), clusters.k
    array = real_numbers(start, "start")
    if array.shape == (n,) and array.dtype.kind in "iu":
        if array.min() < 0 or array.max() >= k:
            worst = array.min() if array.min() < 0 else array.max()
            raise ValueError(f"start holds the label {worst}: give 0 to {k - 1}")
    elif array.shape == (n, k):
        array = frozen_shares(array)
        off = ~((array >= 0).all(axis=1) & (np.abs(array.sum(axis=1) - 1) <= _ROUNDING))
        if off.any():
            row = int(off.argmax())
            found = f"the responsibilities of row {row} are {array[row]}, which sum to {array[row].sum()}"
            raise ValueError(f"start: {found}: they must be at least 0 and sum to 1")
    else:
        raise ValueError(
            f"start of shape {array.shape} and type {array.dtype} was given: give parameters, "
            f"whole-number labels of shape ({n},), or responsibilities of shape ({n}, {k})"
        )
    places = k - clusters.background
    if array.ndim == 1 and array.max() < places < k:  # where nobody says which rows are noise, all may be
        array = beside_noise(clusters, np.eye(places)[array])
    weight = np.concatenate(chunks.each(attrgetter("row_weight")))
    counts = np.bincount(array, weight, k) if array.ndim == 1 else weight @ array
    if (counts == 0).any():
        raise ValueError(f"the start has no rows in component {int(counts.argmin())}: give it some, or lower k")
    return model.first(statistics_of(clusters, chunks, array))
