"""Answers of a model about data, at its parameters, chunk by chunk."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from attrs import evolve

from latentem.arrays import Array, Labels
from latentem.core import (
    ColumnError,
    Degenerate,
    HasLabels,
    HasPaths,
    LatentModel,
    RowError,
    Unavailable,
    evidence_of,
    log_likelihood,
    observations,
    unweighted,
)
from latentem.core.chunk import place_of, row_count
from latentem.data import Source
from latentem.numerics.arithmetic import own_arithmetic
from latentem.numerics.rng import generator
from latentem.tables import Categories, answered, recognised

Model = LatentModel[Any, Any, Any, Any]
if TYPE_CHECKING:  # `Fit` alone is a fit of any parameters
    from typing_extensions import TypeVar

    P = TypeVar("P", default=Any)
else:
    from typing import TypeVar

    P = TypeVar("P")
T = TypeVar("T")


@own_arithmetic
def each(ask: Callable[[P, Any], T], params: P, chunks: Sequence[Any]) -> list[T]:
    """The answers of a method for each chunk; an error that names a row says where in the data it is."""
    answers = []
    for i, chunk in enumerate(chunks):
        try:
            answers.append(ask(params, chunk))
        except (Degenerate, ColumnError, RowError) as error:
            if error.row is None:
                raise
            before = sum(row_count(chunks[j]) for j in range(i))
            raise error.put(place=place_of(before + error.row, chunks)) from None
    return answers


def marginals(model: Model, params: Any, chunk: Any) -> Array:
    """The posterior probability of each component for each row of a chunk, shape (n, k), if the latents are labels."""
    posterior = model.posterior(params, chunk)
    if not isinstance(posterior, HasLabels):
        raise Unavailable(f"{model!r} has no probabilities of labels: its latents are others; use posterior(data)")
    return posterior.marginals()


def paths(model: Model, params: Any, chunk: Any) -> list[Labels]:
    """The most probable path through each sequence of a chunk, shape (t,) each, if its units are sequences."""
    posterior = model.posterior(params, chunk)
    if not isinstance(posterior, HasPaths):
        raise Unavailable(f"{model!r} has no decode: its units are no sequences; use predict(data)")
    return posterior.paths()


def joint(model: Model, params: Any, chunks: Sequence[Any], labels: Any) -> Array:
    """log p(unit, labels | params) of each unit in nats, shape (units,): the evidence where only these are allowed.

    The labels, and the errors, are those of `Fit.log_joint`.
    """
    if isinstance(labels, list | tuple) and labels and np.ndim(labels[0]) == 1:
        labels = np.concatenate(labels)
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ValueError(f"labels of shape {given.shape} and type {given.dtype} were given: give a whole number a row")
    rows = sum(map(row_count, chunks))
    if len(given) != rows:
        raise ValueError(f"{len(given)} labels were given for {rows} rows: give one for each")
    left = iter(given)
    return np.concatenate(each(partial(_certain, model, left), params, chunks))


def _certain(model: Model, left: Any, params: Any, chunk: Any) -> Array:
    n, k = marginals(model, params, chunk).shape
    mine = np.fromiter(left, np.int64, n)  # what `left` gives next is for the next chunk
    if mine.min() < 0 or mine.max() >= k:
        raise ValueError(f"labels hold {mine.min() if mine.min() < 0 else mine.max()}: give 0 to {k - 1}")
    try:
        certain = evolve(chunk, allowed=np.eye(k, dtype=bool)[mine])
    except TypeError as error:
        raise Unavailable(f"{model!r} has no log_joint: its chunks take no known labels") from error
    return model.log_evidence(params, certain)


class Answers(abc.ABC, Generic[P]):
    """A model at its parameters, and what can be asked of it about data."""

    __slots__ = ()

    model: LatentModel[Any, Any, Any, P]
    params: P
    columns: tuple[str, ...] | None
    categories: Categories | None

    @own_arithmetic
    def posterior(self, data: Any) -> Any:
        """q(z) for these data, as one value."""
        return self.model.posterior(self.params, self.model.chunk(self._bare(data)))

    def predict(self, data: Any) -> Any:
        """The most probable component of each row, shape (n,): its number, or the name of its class.

        Of sequences: for each row the state that the most probable path (Viterbi) has there, which need not be the
        most probable state of the row; that is `predict_proba(data).argmax(axis=1)`.
        """
        labels, classes = self.labels(data), self.model.classes
        return labels if classes is None else np.asarray(classes)[labels]

    def labels(self, data: Any) -> Labels:
        """The number of the most probable component of each row, shape (n,), also where `predict` gives a name."""
        return np.concatenate(self._each(self.model.labels, data))

    def decode(self, data: Any) -> list[Labels]:
        """The most probable path of states through each sequence (Viterbi), one vector of shape (t,) for each.

        Raises:
            Unavailable: the data are no sequences to this model; `predict` has the most probable label of each row.
        """
        return list(chain.from_iterable(self._each(partial(paths, self.model), data)))

    def predict_proba(self, data: Any) -> Array:
        """The posterior probability of each component for each row, shape (n, k).

        Of sequences: of each state at each row, given all rows of its sequence (smoothing).
        """
        return np.concatenate(self._each(partial(marginals, self.model), data))

    def table(self, data: Any, prefix: str = "") -> Any:
        """What the fit says of each row, as a table of the kind that was given.

        The columns are `label`, the most probable component; `probability`, that of the label; `responsibility_0`,
        `responsibility_1`, ..., those of all components; and `log_density`, log p(unit | params) in nats, of a
        sequence at each of its rows. What the model does not say is left out.

        Args:
            data: As for `predict`, in memory.
            prefix: What the names of these columns begin with.

        Returns:
            A DataFrame of pandas (its index kept), polars or another library: its columns, and these behind them.
            A list of such for a list of them. For an array a structured array of these columns, shape (n,).

        Raises:
            TypeError: the data are not in memory.
            ValueError: the table has a column of such a name itself.
            Unavailable: the model says none of it.
        """
        return answered(self, data, prefix)

    def score_samples(self, data: Any) -> Array:
        """log p(unit | params) of each unit in nats, shape (units,).

        A unit is a row; where the data are sequences it is a sequence.
        """
        return np.concatenate(self._each(partial(evidence_of, self.model), data))

    def log_joint(self, data: Any, labels: Any = None) -> Array:
        """log p(unit, labels | params) of each unit in nats, shape (units,).

        Args:
            data: As for `predict`.
            labels: A label for each row, shape (n,); for sequences one below the other, or a list with a vector for
                each. None: those that `predict` gives, so for sequences the most probable paths.

        Raises:
            ValueError: there is not one label for each row, or a label is no component's number.
            Unavailable: the latents are no labels, or the model has no `log_evidence`.
        """
        chunks = self.model.chunks(self._bare(data))
        return joint(self.model, self.params, chunks, self.labels(data) if labels is None else labels)

    @own_arithmetic
    def score(self, data: Any) -> float:
        """Mean log p(data | params) in nats a row, of sequences too; what has a weight counts as often as it weighs."""
        chunks = self.model.chunks(self._checked(data))
        return log_likelihood(self.model, self.params, chunks) / sum(observations(chunk) for chunk in chunks)

    @own_arithmetic
    def sample(self, size: int, rng: Any = 0) -> tuple[Any, Any]:
        """Draw rows and their components, shapes (size, d) and (size,)."""
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"size was given as {size!r}: give a whole number of rows, at least 1")
        return self.model.sample(self.params, int(size), generator(rng))

    def _each(self, ask: Callable[[P, Any], T], data: Any) -> list[T]:
        """The answers of a method for each chunk of the data."""
        return each(ask, self.params, self.model.chunks(self._bare(data)))

    def _weighted(self, data: Any, weights: Any) -> Sequence[Any]:
        """The chunks of data, with their weights."""
        return self.model.chunks(self._checked(data), weights)

    def _weight(self, data: Any, weights: Any) -> Array:
        """How much each row of data counts, shape (n,)."""
        return np.concatenate([chunk.row_weight for chunk in self._weighted(data, weights)])

    def _bare(self, data: Any) -> Any:
        """The data without weights: what a row weighs changes nothing about the row."""
        data = self._checked(data)
        if isinstance(data, Source):
            return data.bare()
        return type(data)(map(unweighted, data)) if isinstance(data, list | tuple) else unweighted(data)

    def _checked(self, data: Any) -> Any:
        return recognised(data, self.columns, self.categories)
