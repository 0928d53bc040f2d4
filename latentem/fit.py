"""From data to the best fit."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar, final

from latentem.core import ColumnError, Degenerate, Engine, LatentModel, Placed, RowError, row_count
from latentem.data import Chunks
from latentem.engine import Threads
from latentem.engine.blas import one_thread
from latentem.findings import contradiction, drawn, log_evidence, unidentified
from latentem.fitted import Fit
from latentem.numerics.arithmetic import own_arithmetic
from latentem.report import Journal, Progress, watched_by
from latentem.run import EM, Acceleration, Anderson, Ending, Runner, State, Status, StopRule, remaining_below, run_all
from latentem.run.checkpoint import Checkpoint, Standing, sample
from latentem.run.runner import TRIAL_STEPS
from latentem.saved import library, refuse_strangers
from latentem.start.starts import starts
from latentem.tables import admitted

Model = LatentModel[Any, Any, Any, Any]
P = TypeVar("P")
_LOG = logging.getLogger(__name__)
MAX_STEPS = 10_000
ACCELERATE = Anderson()


@final
class ConvergenceWarning(UserWarning):
    """A run ended before it converged; the message says how, and what to do."""


@own_arithmetic
def fit(
    model: LatentModel[Any, Any, Any, P],
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
    progress: bool = False,
    rng: Any = 0,
) -> Fit[P]:
    """Fit a model: data, chunks, starts, restarts, EM, the best.

    Args:
        model: A recipe, such as `GaussianMixture(2)`, or any `LatentModel`.
        data: A table of shape (n, d): an array, or a data frame, in which families may be on columns by name; the path
            of a file, what `lem.data.source` gives, or what the model's `chunks` takes.
        start: Parameters, responsibilities (n, k) or labels (n,): one run from there. None: `n_starts` random ones.
        n_starts: Each runs 20 steps; the best then run on until three have ended without a degenerate event, or have
            fallen behind the others for good.
        weights: How much each row counts, shape (n,); for a file or a data frame also the name of a column.
        allowed: Known labels, shape (n,), with -1 for unknown; or a boolean table (n, k) of what is possible; for a
            file or a data frame also the name of a column.
        stop: When a run ends; by default `remaining_below(1e-12)` nats an observation.
        max_steps: The most steps of one run.
        runner: Another way of running than plain EM, such as `Incremental()` or `Annealing()`; it has its own `stop`
            and `max_steps`, so these are not given beside it.
        accelerate: How EM leaps ahead of steps that are slow: `Anderson()`, `Squarem()`, or None for plain steps only.
            The first steps of a run are plain, and so are all of those by which starts are compared.
        engine: Who computes on the chunks; by default `Threads()`, as many as there are cores.
        callback: Sees each `State` of each run; the whole fit stops when it returns `lem.STOP`.
        checkpoint: Path of a file that is kept up to date. The same call, after it was killed, goes on from there to
            the same bits; once it has ended, it returns the same fit at once. docs/engines.md says more.
        progress: Whether to show how far the fit is: by rich in a terminal or a notebook, where it is installed, else
            by lines on the standard error stream.
        rng: An int, Generator, RandomState or SeedSequence; start i depends on it and on i alone.

    Returns:
        The best run. Ctrl-C returns the best so far; a second one raises.

    Raises:
        TypeError, ValueError: the data, the start or an option cannot be used; nothing has been computed.
        Degenerate: every start was degenerate at once, or the best run ended where some row is impossible. Else what
            is degenerate is a status, with the last sound parameters, or an event.

    Warns:
        ConvergenceWarning: the best run ended before it converged.
    """
    if not isinstance(model, LatentModel):
        raise TypeError(f"model was given as {model!r}: give a LatentModel, such as GaussianMixture(2)")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback was given as {callback!r}: give a function of a State, or None")
    if not isinstance(progress, bool):
        raise TypeError(f"progress was given as {progress!r}: give True or False")
    if runner is None:
        plain = TRIAL_STEPS if start is None and n_starts != 1 else 0
        runner = EM(stop if stop is not None else remaining_below(), max_steps, accelerate, plain)
    elif not isinstance(runner, Runner):
        raise TypeError(f"runner was given as {runner!r}: give a way of running, such as Incremental(), or None")
    elif stop is not None or max_steps != MAX_STEPS or accelerate is not ACCELERATE:
        raise ValueError(f"stop, max_steps or accelerate was given beside {runner!r}: give them to the runner itself")
    if engine is None:
        engine = Threads()
    elif not isinstance(engine, Engine):
        raise TypeError(f"engine was given as {engine!r}: give an engine, such as Threads(2), or None")
    given = admitted(model, data, weights, allowed)
    model, chunks = given.model, given.model.chunks(given.data, given.weights, given.allowed)
    book = None
    if checkpoint is not None:
        known = {"data": sample(chunks), "start": start, "n_starts": n_starts, "rng": rng, "runner": runner}
        book = Checkpoint(checkpoint, library(), refuse_strangers, model=model, **known)
    stood = None if book is None else book.read()
    if stood is not None and stood.outcome is not None:
        _LOG.info("the checkpoint %s holds the whole fit", checkpoint)
        _warn(stood.outcome.status)
        return stood.outcome
    if stood is not None:
        _LOG.info("a fit goes on from the checkpoint %s", checkpoint)
    placed = engine.place(chunks)
    runs = 1 if start is not None else n_starts
    # What parameters keep of themselves has the same bits here as wherever chunks are computed.
    with one_thread(), _shown(progress, model, chunks, runs, runner) as shown:
        try:
            _check(model, chunks, placed)
            model = model.settled(placed)
        except (ColumnError, RowError) as error:
            if given.columns is None or error.column is None:
                raise
            raise error.put(name=given.columns[error.column]) from None
        begins = starts(model, placed, start, n_starts, rng)
        _LOG.info("a fit of %r begins: %d starts, %d chunks, %r, %r", model, len(begins), len(chunks), runner, engine)
        journal = Journal.kept(begins)
        outcome = run_all(runner, model, begins, placed, callback, book, watched_by(journal, shown))
        best, reports = outcome.best, outcome.reports
        if shown is not None:
            shown.ended(best)
        if journal is not None:
            journal.close(reports)
        evidence, status = None, best.status
        assert status is not None
        _warn(status)
        try:
            evidence = log_evidence(model, best.params, placed)
        except KeyboardInterrupt:
            if status.ending is Ending.INTERRUPTED:  # the second Ctrl-C
                raise
            before = f"before the log likelihood was known; the run had ended ({status})"
            status = Status(Ending.INTERRUPTED, f"by Ctrl-C, {before}")
        if evidence == -math.inf:
            reason = f"the run ended where some row is impossible ({status.sentence})"
            raise Degenerate(None, "log likelihood", reason, "give wider starts, other data first, or a prior")
        loose = unidentified(model, best.params, best.expectation, placed)
        gap = contradiction(model, best.params, best.expectation, evidence, placed)
    fitted = Fit(
        model=model,
        params=best.params,
        expectation=best.expectation,
        history=best.history,
        status=status,
        events=(*best.events, *gap, *loose, *(drawn(model) if start is None else ())),
        starts=reports,
        log_evidence=evidence,
        start=outcome.first,
        columns=given.columns,
        categories=given.categories,
    )
    _LOG.info("the fit of %r ends: %s; objective %.9g nats", model, status, fitted.objective)
    for event in fitted.events:
        _LOG.info("event: %s", event.describe(fitted.columns))
    if book is not None and status.ending not in (Ending.STOPPED, Ending.INTERRUPTED):
        with suppress(KeyboardInterrupt):  # the fit has ended, and the file is whole: the last one or this one
            book.write(Standing(outcome=fitted))
    return fitted


def _shown(
    progress: bool, model: Model, chunks: Sequence[Any], runs: int, runner: Runner
) -> AbstractContextManager[Progress | None]:
    if not progress:
        return nullcontext()
    edges = chunks.edges if isinstance(chunks, Chunks) else None
    if isinstance(chunks, list | tuple):
        edges = (0, *accumulate(map(row_count, chunks)))
    rows = None if edges is None else edges[-1]
    return Progress(repr(model), rows=rows, starts=runs, trial=runner.trial, runner=runner, edges=edges)


def _warn(status: Status) -> None:
    if not status.converged:
        warnings.warn(f"not converged: {status}; {status.advice}", ConvergenceWarning, stacklevel=4)


def _check(model: Model, chunks: Sequence[Any], placed: Placed[Any]) -> None:
    """Refuse data that cannot be fitted. Chunks that are loaded on demand are looked at where they are loaded."""
    for i, chunk in enumerate(chunks if isinstance(chunks, list | tuple) else ()):
        if isinstance(chunk, Sized) and not len(chunk):
            raise ValueError(f"chunk {i} has no rows: leave it out")
    if isinstance(chunks, list | tuple) or not all(placed.each(partial(_sound_alone, model))):
        model.check(chunks)


def _sound_alone(model: Model, chunk: Any) -> bool:
    """Whether a chunk passes by itself, and so does no harm to the whole; the whole may pass where a part does not."""
    try:
        model.check([chunk])
    except ValueError:
        return False
    return True
