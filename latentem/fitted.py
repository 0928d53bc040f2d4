"""A fitted model, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, final

import numpy as np
from attrs import evolve, field, frozen

from latentem import summary
from latentem.arrays import Array, Labels
from latentem.core import (
    ColumnError,
    Degenerate,
    Event,
    Expectation,
    HasLabels,
    HasPaths,
    LatentModel,
    RowError,
    Unavailable,
    log_likelihood,
    observations,
)
from latentem.data import Source, columns_of, found_source
from latentem.run import (
    History,
    StartReport,
    Status,
    hits,
)
from latentem.run.audit import Books
from latentem.starts import generator
from latentem.transform import layers

Model = LatentModel[Any, Any, Any, Any]
T = TypeVar("T")


@final
@frozen(repr=False)
class Fit:
    """A fitted model: every figure in it is that of its parameters.

    Attributes:
        model: What was fitted.
        params: The parameters; components are never reordered.
        expectation: Statistics, entropy and weight of the data at them.
        history: The steps of the best run; `history.bound` and the other columns are arrays.
        status: Why the best run ended.
        events: What is degenerate about the parameters, or was done on the way; empty is good.
        starts: What became of each start.
        log_evidence: log p(data | params) in nats, or None where the model does not say it.
        columns: Names of the data columns, where the data had names.
    """

    model: Model
    params: Any
    expectation: Expectation[Any]
    history: History
    status: Status
    events: tuple[Event, ...]
    starts: tuple[StartReport, ...]
    log_evidence: float | None
    columns: tuple[str, ...] | None = field(default=None)

    @property
    def converged(self) -> bool:
        return self.status.converged

    @property
    def bound(self) -> float:
        """The auxiliary lower bound A = Q + H at the parameters, in nats."""
        return self.history[-1].bound

    @property
    def objective(self) -> float:
        """What both half steps raised, in nats: Q + temperature x H + log prior."""
        return self.history[-1].objective

    @property
    def log_likelihood(self) -> float:
        """The log evidence of the data at the parameters, log p(data | params), in nats.

        Raises:
            Unavailable: the model has no `log_evidence`.
        """
        if self.log_evidence is None:
            raise Unavailable(f"{self.model!r} has no log_evidence, and so no log likelihood: see `bound`")
        return self.log_evidence

    @property
    def observations(self) -> float:
        """How much the data count: the number of rows, or the sum of their weights."""
        return self.expectation.observations

    @property
    def n_parameters(self) -> int:
        """Free numbers in the parameters that were estimated here.

        What is held does not count, also where it was estimated elsewhere: for a criterion in which it should, add
        `block.size(fit.params)` of each held block of the model inside. Nor does what the data do not determine: a
        transition that is zero stays zero, a covariate given twice has one slope (`fit.events` says which).
        """
        statistics = self.expectation.statistics
        return sum(block.free(statistics, self.params).numbers for block in self.model.blocks())

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 n_parameters - 2 log likelihood: lower is better."""
        return 2 * self.n_parameters - 2 * self._exact_log_likelihood("aic")

    @property
    def bic(self) -> float:
        """Schwarz's criterion, n_parameters log n - 2 log likelihood: lower is better (mclust's is its negative)."""
        return self.n_parameters * float(np.log(self.observations)) - 2 * self._exact_log_likelihood("bic")

    @property
    def inertia(self) -> float:
        """Sum of squared distances to the assigned centres, for K-means.

        Raises:
            Unavailable: the model is another.
        """
        for layer in layers(self.model):
            if hasattr(layer, "inertia"):
                return float(layer.inertia(self.params, self.expectation.statistics))
        raise Unavailable(f"{type(self.model).__name__} has no inertia: it is a figure of KMeans")

    def posterior(self, data: Any) -> Any:
        """q(z) for these data, as one value."""
        return self.model.posterior(self.params, self.model.chunk(self._bare(data)))

    def predict(self, data: Any) -> Labels:
        """The most probable component of each row, shape (n,)."""
        labels: Labels = np.concatenate(list(self._each(self.model.labels, data)))
        return labels

    def decode(self, data: Any) -> list[Labels]:
        """The most probable path of states through each sequence (Viterbi), one vector of shape (t,) for each.

        Raises:
            Unavailable: the data are no sequences to this model; `predict` has the most probable label of each row.
        """
        paths: list[Labels] = []
        for posterior in self._each(self.model.posterior, data):
            if not isinstance(posterior, HasPaths):
                raise Unavailable(f"{self.model!r} has no decode: its units are no sequences; use predict(data)")
            paths += posterior.paths()
        return paths

    def predict_proba(self, data: Any) -> Array:
        """The posterior probability of each component for each row, shape (n, k)."""
        marginals = []
        for posterior in self._each(self.model.posterior, data):
            if not isinstance(posterior, HasLabels):
                raise Unavailable(
                    f"{self.model!r} has no predict_proba: its latents are no labels; use posterior(data)"
                )
            marginals.append(posterior.marginals())
        return np.concatenate(marginals)

    def score_samples(self, data: Any) -> Array:
        """log p(row | params) of each row in nats, shape (n,)."""
        return np.concatenate(list(self._each(self.model.log_evidence, data)))

    def score(self, data: Any) -> float:
        """Mean log p(row | params), in nats a row; rows with weights count as often as they weigh."""
        chunks = self.model.chunks(self._checked(data))
        return log_likelihood(self.model, self.params, chunks) / sum(observations(chunk) for chunk in chunks)

    def sample(self, size: int, rng: Any = 0) -> tuple[Any, Any]:
        """Draw rows and their components, shapes (size, d) and (size,)."""
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"size was given as {size!r}: give a whole number of rows, at least 1")
        return self.model.sample(self.params, int(size), generator(rng))

    def __repr__(self) -> str:
        return f"<Fit of {self.model!r}: {self.status}>"

    def __str__(self) -> str:
        described = self.model.describe(self.params, self.expectation.statistics)
        events = [f"- {event.describe(self.columns)}" for event in self.events]
        lines = [
            f"{self.model!r} on {summary.counted(self.observations, 'observation')}",
            f"{self.status} ({summary.counted(self.history[-1].index, 'step')})",
            "",
            summary.components(described, self.columns) if described else repr(self.params),
            "",
            *self._figures(),
            *(["events:", *events] if events else ["events: none"]),
        ]
        return "\n".join(lines)

    def _figures(self) -> list[str]:
        number, step = summary.number, self.history[-1]
        books = f"Q {number(step.expected_log_joint)} + H {number(step.entropy)}"
        parameters = summary.counted(self.n_parameters, "free parameter")
        known = self.log_evidence
        if known is not None and Books.of(self.model, self.params, self.expectation).touches(known):
            likelihood = f"log likelihood {number(known)} = {books}"
        else:
            likelihood = f"bound {number(step.bound)} = {books}"
            if known is not None:
                likelihood += f", log likelihood {number(known)}"
        if self.model.exact and known is not None and all(event.kind != "gap" for event in self.events):
            parameters += f", AIC {number(self.aic)}, BIC {number(self.bic)} (lower is better)"
        if any(hasattr(layer, "inertia") for layer in layers(self.model)):
            parameters += f", inertia {number(self.inertia)}"
        if len(self.starts) == 1:
            return [likelihood, parameters]
        reached, ended = hits(self.starts, self.objective, self.observations)
        ends = f"; {reached} of the {ended} run to the end reached this mode" if ended else ""
        return [likelihood, parameters, f"{len(self.starts)} starts{ends}"]

    def _each(self, ask: Callable[[Any, Any], T], data: Any) -> Iterator[T]:
        """What a method of the model gives for each chunk; an error that names a row says where in the data it is."""
        chunks = self.model.chunks(self._bare(data))
        for i, chunk in enumerate(chunks):
            try:
                yield ask(self.params, chunk)
            except (Degenerate, ColumnError, RowError) as error:
                if error.row is None:
                    raise
                before = [chunks[j] for j in range(i)]
                rows, units = sum(len(other.x) for other in before), sum(map(len, before))
                raise error.put(place=chunk.place(error.row, rows, units)) from None

    def _bare(self, data: Any) -> Any:
        """The data without weights: what a row weighs changes nothing about the row."""
        data = self._checked(data)
        if isinstance(data, Source):
            return data.bare()
        return type(data)(map(_unweighted, data)) if isinstance(data, list | tuple) else _unweighted(data)

    def _checked(self, data: Any) -> Any:
        data = found_source(data) or data
        given = columns_of(data)
        if given is not None and self.columns is not None and given != self.columns:
            raise ValueError(
                f"columns {list(given)} were given: the model was fitted to {list(self.columns)}, in this order"
            )
        return data

    def _exact_log_likelihood(self, what: str) -> float:
        if not self.model.exact:
            raise Unavailable(
                f"{type(self.model).__name__} has no {what}: it needs an exact posterior, and this model's is not; "
                "fit the model without Hard, Tempered or Sampled"
            )
        return self.log_likelihood


def _unweighted(chunk: Any) -> Any:
    return evolve(chunk, weight=None) if getattr(chunk, "weight", None) is not None else chunk
