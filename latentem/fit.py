"""From data to the best fit, and what can be asked of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, final

import numpy as np
from attrs import evolve, field, frozen

from latentem import summary
from latentem.arrays import Array, Labels
from latentem.core import (
    ColumnError,
    Engine,
    Event,
    Expectation,
    HasLabels,
    LatentModel,
    Placed,
    Unavailable,
    log_likelihood,
    observations,
)
from latentem.data import Source, columns_of, found_source
from latentem.engine import Threads
from latentem.reseed import reseed_empty
from latentem.run import (
    EM,
    Acceleration,
    Anderson,
    Ending,
    History,
    Runner,
    StartReport,
    State,
    Status,
    StopRule,
    hits,
    remaining_below,
    run_all,
)
from latentem.run.checkpoint import Checkpoint, Standing, sample
from latentem.run.runner import TRIAL_STEPS
from latentem.starts import generator, starts
from latentem.transform import layers

Model = LatentModel[Any, Any, Any, Any]
MAX_STEPS = 10_000
ACCELERATE = Anderson()


@final
class ConvergenceWarning(UserWarning):
    """A run ended before it converged; the message says how, and what to do."""


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
        """What both half steps raised: Q + temperature x H + log prior, in nats."""
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
        """Free numbers in the parameters that were estimated; what is fixed does not count."""
        return sum(block.size(self.params) for block in self.model.blocks())

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
        labels: Labels = np.concatenate([q.labels() for q in self._labelled(self._chunks(data), "predict")])
        return labels

    def decode(self, data: Any) -> list[Labels]:
        """The most probable path of states through each sequence (Viterbi), one vector of shape (t,) for each.

        Raises:
            Unavailable: the data are no sequences to this model; `predict` has the most probable label of each row.
        """
        chunks = self._chunks(data)
        if not hasattr(chunks[0], "lengths"):
            raise Unavailable(f"{self.model!r} has no decode: its units are no sequences; use predict(data)")
        paths: list[Labels] = []
        for chunk in chunks:
            path = np.concatenate([q.labels() for q in self._labelled([chunk], "decode")])
            paths += np.split(path, chunk.lengths.cumsum()[:-1])
        return paths

    def predict_proba(self, data: Any) -> Array:
        """The posterior probability of each component for each row, shape (n, k)."""
        return np.concatenate([q.marginals() for q in self._labelled(self._chunks(data), "predict_proba")])

    def score_samples(self, data: Any) -> Array:
        """log p(row | params) of each row in nats, shape (n,)."""
        return np.concatenate([self.model.log_evidence(self.params, chunk) for chunk in self._chunks(data)])

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
        if self.model.exact and self.log_evidence is not None:
            likelihood = f"log likelihood {number(self.log_evidence)} = {books}"
            parameters += f", AIC {number(self.aic)}, BIC {number(self.bic)} (lower is better)"
        else:
            likelihood = f"bound {number(step.bound)} = {books}"
            if self.log_evidence is not None:
                likelihood += f", log likelihood {number(self.log_evidence)}"
        if any(hasattr(layer, "inertia") for layer in layers(self.model)):
            parameters += f", inertia {number(self.inertia)}"
        if len(self.starts) == 1:
            return [likelihood, parameters]
        reached, ended = hits(self.starts, self.objective, self.observations)
        ends = f"; {reached} of the {ended} run to the end reached this mode" if ended else ""
        return [likelihood, parameters, f"{len(self.starts)} starts{ends}"]

    def _labelled(self, chunks: Iterable[Any], what: str) -> Iterator[HasLabels]:
        for chunk in chunks:
            posterior = self.model.posterior(self.params, chunk)
            if not isinstance(posterior, HasLabels):
                raise Unavailable(f"{self.model!r} has no {what}: its latents are no labels; use posterior(data)")
            yield posterior

    def _chunks(self, data: Any) -> Sequence[Any]:
        return self.model.chunks(self._bare(data))

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


def _evidence(model: Model, params: Any, chunks: Any) -> float | None:
    try:
        return log_likelihood(model, params, chunks)
    except Unavailable:
        return None


def fit(
    model: Model,
    data: Any,
    *,
    start: Any = None,
    n_starts: int = 10,
    weights: Any = None,
    allowed: Any = None,
    stop: StopRule | None = None,
    max_steps: int = MAX_STEPS,
    runner: Runner | None = None,
    accelerate: Acceleration | None = ACCELERATE,
    engine: Engine | None = None,
    callback: Callable[[State[Any, Any]], Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    rng: Any = 0,
) -> Fit:
    """Fit a model: data, chunks, starts, restarts, EM, the best.

    Args:
        model: A recipe, such as `GaussianMixture(2)`, or any `LatentModel`.
        data: A table of shape (n, d), the path of a file, what `lem.data.source` gives, or what the model's `chunks`
            takes.
        start: Parameters, responsibilities (n, k) or labels (n,): one run from there. None: `n_starts` random ones.
        n_starts: Each runs 20 steps; the best then run on until three have ended without a degenerate event.
        weights: How much each row counts, shape (n,); for a file also the name of a column.
        allowed: Known labels, shape (n,), with -1 for unknown; or a boolean table (n, k) of what is possible; for a
            file also the name of a column.
        stop: When a run ends; by default `remaining_below(1e-12)` nats an observation.
        max_steps: The most steps of one run.
        runner: Another way of running than plain EM, such as `Incremental()` or `Annealing()`; it has its own `stop`
            and `max_steps`, so these are not given beside it.
        accelerate: How EM leaps ahead of steps that are slow: `Anderson()`, `Squarem()`, or None for plain steps only.
            The first steps of a run are plain, and so are all of those by which starts are compared.
        engine: Who computes on the chunks; by default `Threads()`, as many as there are cores.
        callback: Sees each `State` of each run; the whole fit stops when it returns something true.
        checkpoint: Path of a file that is kept up to date. The same call, after it was killed, goes on from there to
            the same bits; once it has ended, it returns the same fit at once. docs/engines.md says whom to trust.
        rng: An int, Generator, RandomState or SeedSequence; start i depends on it and on i alone.

    Returns:
        The best run. Ctrl-C returns the best so far; a second one raises.

    Raises:
        TypeError, ValueError: the data, the start or an option cannot be used; nothing has been computed.
        Degenerate: every start was degenerate at once.

    Warns:
        ConvergenceWarning: the best run ended before it converged.
    """
    if not isinstance(model, LatentModel):
        raise TypeError(f"model was given as {model!r}: give a LatentModel, such as GaussianMixture(2)")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback was given as {callback!r}: give a function of a State, or None")
    if runner is None:
        runner = EM(stop if stop is not None else remaining_below(), max_steps, reseed_empty, accelerate)
        if accelerate is not None and start is None and n_starts != 1:
            late: Any = accelerate
            runner = evolve(runner, accelerate=evolve(late, after=max(late.after, TRIAL_STEPS)))
    elif not isinstance(runner, Runner):
        raise TypeError(f"runner was given as {runner!r}: give a way of running, such as Incremental(), or None")
    elif stop is not None or max_steps != MAX_STEPS or accelerate is not ACCELERATE:
        raise ValueError(f"stop, max_steps or accelerate was given beside {runner!r}: give them to the runner itself")
    if engine is None:
        engine = Threads()
    elif not isinstance(engine, Engine):
        raise TypeError(f"engine was given as {engine!r}: give an engine, such as Threads(2), or None")
    if (source := found_source(data, weights, allowed)) is not None:
        data, weights, allowed = source, None, None
    chunks = model.chunks(data, weights, allowed)
    book = None
    if checkpoint is not None:
        known = {"data": sample(chunks), "start": start, "n_starts": n_starts, "rng": rng, "runner": runner}
        book = Checkpoint(checkpoint, model=model, **known)
    fitted: Fit | None = None if book is None else book.outcome
    if fitted is None:
        placed = engine.place(chunks)
        try:
            _check(model, chunks, placed)
        except ColumnError as error:
            if (names := columns_of(data)) is None:
                raise
            raise ColumnError(error.column, error.reason, names[error.column]) from None
        best, reports = run_all(runner, model, starts(model, placed, start, n_starts, rng), placed, callback, book)
        _warn(best.status)
        fitted = Fit(
            model=model,
            params=best.params,
            expectation=best.expectation,
            history=best.history,
            status=best.status,
            events=best.events,
            starts=reports,
            log_evidence=_evidence(model, best.params, placed),
            columns=columns_of(data),
        )
        if book is not None and best.status.ending not in (Ending.STOPPED, Ending.INTERRUPTED):
            book.write(Standing(outcome=fitted))
    else:
        _warn(fitted.status)
    return fitted


def _warn(status: Status) -> None:
    if not status.converged:
        warnings.warn(f"not converged: {status}; {_ADVICE[status.ending]}", ConvergenceWarning, stacklevel=3)


def _check(model: Model, chunks: Sequence[Any], placed: Placed[Any]) -> None:
    """Refuse data that cannot be fitted. Chunks that are loaded on demand are looked at where they are loaded."""
    if isinstance(chunks, list | tuple) or not all(placed.each(partial(_sound_alone, model))):
        model.check(chunks)


def _sound_alone(model: Model, chunk: Any) -> bool:
    """Whether a chunk passes by itself, and so does no harm to the whole; the whole may pass where a part does not."""
    try:
        model.check([chunk])
    except ValueError:
        return False
    return True


_ADVICE = {
    Ending.MAX_STEPS: "raise max_steps, or loosen stop",
    Ending.STOPPED: "fit again from start=fit.params to go on",
    Ending.INTERRUPTED: "fit again from start=fit.params to go on",
    Ending.OBJECTIVE_FELL: "mend the model: testing.check_model says more",
    Ending.DEGENERATE: "the parameters are the last sound ones",
}
