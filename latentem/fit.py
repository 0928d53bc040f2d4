"""From data to the best fit."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar, final

from latentem.compiled import Loops, chosen
from latentem.core import ColumnError, Degenerate, Engine, InOrder, LatentModel, Placed, RowError, for_loops, row_count
from latentem.data import Chunks
from latentem.engine.blas import one_thread
from latentem.engine.looped import Looped, using
from latentem.findings import contradiction, drawn, log_evidence, unidentified
from latentem.fitted import Fit
from latentem.numerics.arithmetic import own_arithmetic
from latentem.report import Journal, Progress, watched_by
from latentem.run import Acceleration, Ending, Runner, State, Status, StopRule, run_all
from latentem.run.checkpoint import Checkpoint, Standing, sample
from latentem.saved import library, refuse_strangers
from latentem.settings import ACCELERATE, MAX_STEPS, Settings
from latentem.start.repeats import InPlaceOfAll, for_runs
from latentem.start.starts import starts
from latentem.tables import Admitted, admitted

Model = LatentModel[Any, Any, Any, Any]
P = TypeVar("P")
_LOG = logging.getLogger(__name__)


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
    settings = Settings.of(
        start=start,
        n_starts=n_starts,
        stop=stop,
        max_steps=max_steps,
        runner=runner,
        accelerate=accelerate,
        engine=engine,
        callback=callback,
        progress=progress,
        checkpoint=checkpoint,
        rng=rng,
    )
    fitted = fit_admitted(admitted(model, data, weights, allowed), settings)
    if not fitted.converged:
        told = f"not converged: {fitted.status}; {fitted.status.advice}"
        warnings.warn(told, ConvergenceWarning, stacklevel=3)
    return fitted


def fit_admitted(given: Admitted, settings: Settings) -> Fit[Any]:
    """The fit of a model to data that have been let in, without a warning; what it raises, `fit` raises.

    Args:
        given: The model and the data.
        settings: How it is made.
    """
    runner, engine, start = settings.runner, settings.engine, settings.start
    n_starts, checkpoint, rng = settings.n_starts, settings.checkpoint, settings.rng
    model, chunks = given.model, given.model.chunks(given.data, given.weights, given.allowed)
    loops, book = loops_of(model, chunks), book_of(model, chunks, settings)
    stood = None if book is None else book.read()
    if stood is not None and stood.outcome is not None:
        _LOG.info("the checkpoint %s holds the whole fit", checkpoint)
        then: Fit[Any] = stood.outcome
        return then
    if stood is not None:
        _LOG.info("a fit goes on from the checkpoint %s", checkpoint)
    fewer = for_runs(model, chunks, runner)
    whole, placed = (InOrder(chunks), engine.place(fewer)) if fewer is not chunks else (engine.place(chunks),) * 2
    if loops is not None:
        whole, placed = Looped(whole, loops), Looped(placed, loops)
    if fewer is not chunks:
        placed = InPlaceOfAll(placed, whole)
    runs = 1 if start is not None else n_starts
    # What parameters keep of themselves has the same bits here as wherever chunks are computed.
    with one_thread(), _shown(settings, model, _edges(chunks), runs) as shown, using(loops, shown and shown.preparing):
        check(given, chunks, whole)
        with columns_by_name(given):
            model = model.settled(whole)
        begins = starts(model, whole, start, n_starts, rng)
        _LOG.info("a fit of %r begins: %d starts, %d chunks, %r, %r", model, len(begins), len(chunks), runner, engine)
        journal = Journal.kept(begins)
        outcome = run_all(runner, model, begins, placed, settings.callback, book, watched_by(journal, shown))
        best, reports = outcome.best, outcome.reports
        if shown is not None:
            shown.ended(best)
        if journal is not None:
            journal.close(reports)
        evidence, status = None, best.status
        assert status is not None
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
        loose = unidentified(model, best.params, best.expectation, whole)
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
        loops=None if loops is None else str(loops),
    )
    _LOG.info("the fit of %r ends: %s; objective %.9g nats", model, status, fitted.objective)
    for event in fitted.events:
        _LOG.info("event: %s", event.describe(fitted.columns))
    if book is not None and status.ending not in (Ending.STOPPED, Ending.INTERRUPTED):
        with suppress(KeyboardInterrupt):  # the fit has ended, and the file is whole: the last one or this one
            book.write(Standing(outcome=fitted))
    return fitted


def loops_of(model: Model, chunks: Sequence[Any]) -> Loops | None:
    """The compiled loops that a fit of these chunks runs in; None: those of numpy. What it raises, `chosen` raises."""
    if isinstance(chunks, list | tuple) and not all(map(for_loops, chunks)):
        return None
    edges = _edges(chunks)
    return chosen(model.loops, math.inf if edges is None else edges[-1])


def book_of(model: Model, chunks: Sequence[Any], settings: Settings) -> Checkpoint | None:
    """The checkpoint of a fit, if it is to have one; what it was of is told apart by all that the answer depends on."""
    if settings.checkpoint is None:
        return None
    known = {name: getattr(settings, name) for name in ("start", "n_starts", "rng", "runner")}
    if (loops := loops_of(model, chunks)) is not None:
        known["loops"] = loops
    return Checkpoint(settings.checkpoint, library(), refuse_strangers, model=model, data=sample(chunks), **known)


def _shown(
    settings: Settings, model: Model, edges: Sequence[int] | None, runs: int
) -> AbstractContextManager[Progress | None]:
    if not settings.progress:
        return nullcontext()
    rows, runner = None if edges is None else edges[-1], settings.runner
    title = repr(model) if settings.title is None else settings.title
    return Progress(title, rows=rows, starts=runs, trial=runner.trial, runner=runner, edges=edges, on=settings.shown)


def _edges(chunks: Sequence[Any]) -> tuple[int, ...] | None:
    """At which rows the chunks begin, and the number of rows at last; None where that is not known."""
    if isinstance(chunks, list | tuple):
        return 0, *accumulate(map(row_count, chunks))
    return chunks.edges if isinstance(chunks, Chunks) else None


@contextmanager
def columns_by_name(given: Admitted) -> Iterator[None]:
    """Within, an error about a column says its name, if it has one."""
    try:
        yield
    except (ColumnError, RowError) as error:
        if given.columns is None or error.column is None:
            raise
        raise error.put(name=given.columns[error.column]) from None


def check(given: Admitted, chunks: Sequence[Any], placed: Placed[Any]) -> None:
    """Refuse data that cannot be fitted. Chunks that are loaded on demand are looked at where they are loaded.

    Raises:
        ValueError: the model cannot be fitted to them; the message names the column, if it has a name.
    """
    for i, chunk in enumerate(chunks if isinstance(chunks, list | tuple) else ()):
        if isinstance(chunk, Sized) and not len(chunk):
            raise ValueError(f"chunk {i} has no rows: leave it out")
    with columns_by_name(given):
        if isinstance(chunks, list | tuple) or not all(placed.each(partial(_sound_alone, given.model))):
            given.model.check(chunks)


def _sound_alone(model: Model, chunk: Any) -> bool:
    """Whether a chunk passes by itself, and so does no harm to the whole; the whole may pass where a part does not."""
    try:
        model.check([chunk])
    except ValueError:
        return False
    return True
