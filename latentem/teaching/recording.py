"""EM run once more, or for the first time, with every half step kept."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from attrs import evolve

from latentem.core import Expectation, LatentModel, Placed
from latentem.engine import Serial
from latentem.engine.blas import one_thread
from latentem.findings import log_evidence
from latentem.fitted import Fit
from latentem.numerics.arithmetic import own_arithmetic
from latentem.run import EM, Anderson, State, Status
from latentem.run.audit import Books
from latentem.run.runner import TRIAL_STEPS
from latentem.start.repeats import for_runs
from latentem.start.starts import starts
from latentem.tables import admitted
from latentem.teaching.trace import Frame, Trace

Model = LatentModel[Any, Any, Any, Any]
_STEPS = 20
"""Of a recording that is no fit's, unless more are asked for: as many as one looks at."""


@own_arithmetic
def record(
    model: Model | Fit[Any],
    data: Any,
    *,
    start: Any = None,
    steps: int | None = None,
    weights: Any = None,
    allowed: Any = None,
    runner: EM | None = None,
    rng: Any = 0,
) -> Trace:
    """Run EM, and keep every half step: parameters and books. Q itself is computed again when it is asked for.

    >>> import latentem as lem
    >>> trace = lem.record(lem.GaussianMixture(2), lem.datasets.old_faithful(), steps=3)
    >>> [frame.kind for frame in trace]
    ['start', 'E', 'M', 'E', 'M', 'E', 'M', 'E']

    Args:
        model: A model; or a `Fit`, whose best run is run again from its start, to the same bits.
        data: As for `fit`.
        start: As for `fit`; None is the first of its random starts. A fit has its own.
        steps: How many steps, of two half steps each, at most: by default 20, or all of a fit.
        weights: As for `fit`.
        allowed: As for `fit`.
        runner: `EM(...)` with another stop rule or acceleration; by default plain steps, or those of the fit.
        rng: As for `fit`, for the random start.

    Raises:
        TypeError, ValueError: the data, the start or an option cannot be used; or a fit did not come from these data,
            or from another runner.
        Degenerate: the start itself is degenerate. Later, it is the trace's status.
    """
    if not isinstance(model, LatentModel | Fit):
        raise TypeError(f"model was given as {model!r}: give a LatentModel, such as GaussianMixture(2), or a Fit")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0):
        raise ValueError(f"steps was given as {steps!r}: give a whole number of steps, at least 0, or None")
    if runner is not None and not isinstance(runner, EM):
        raise TypeError(f"runner was given as {runner!r}: only EM has half steps; give EM(...), or None")
    fit = model if isinstance(model, Fit) else None
    given = admitted(model.model if isinstance(model, Fit) else model, data, weights, allowed)
    model, chunks = given.model, given.model.chunks(given.data, given.weights, given.allowed)
    placed = Serial().place(chunks)
    with one_thread():
        if fit is not None:
            if start is not None:
                raise ValueError("start was given beside a fit, which has its own: give the model in place of the fit")
            begin, runner = _of(fit, steps, runner)
        else:
            model.check(chunks)
            begin = starts(model, placed, start, 1, rng)[0].make()
            runner = runner or EM(accelerate=None, max_steps=_STEPS)
            if steps is not None:
                runner = _at_most(runner, int(steps))
        frames, last = _halves(model, runner, begin, Serial().place(for_runs(model, chunks, runner)))
    if fit is not None and (steps is None or steps >= fit.history[-1].index) and last.params != fit.params:
        raise ValueError(
            f"the run of {fit!r} could not be repeated: give the data, weights and labels of the fit, and its runner"
        )
    assert last.status is not None
    status = last.status if fit is None or steps is not None else fit.status
    return Trace(model, frames, chunks, status, given.columns, given.categories)


def _at_most(runner: EM, steps: int) -> EM:
    return EM(runner.stop, steps, runner.accelerate, runner.plain)


def _of(fit: Fit[Any], steps: int | None, runner: EM | None) -> tuple[Any, EM]:
    """Where a fit began, and what runs it again. A leap that was rejected has left no trace in its parameters."""
    if fit.start is None:
        raise ValueError(f"{fit!r} does not know its start, for an earlier version has saved it: fit again")
    total = int(fit.history[-1].index)
    last = total if steps is None else min(int(steps), total)
    if runner is None:
        leaps = [step.index for step in fit.history if step.kind == "extrapolated"]
        accelerate = Anderson() if leaps else None
        runner = EM(accelerate=accelerate, plain=TRIAL_STEPS if leaps and leaps[0] > TRIAL_STEPS else 0)
    return fit.start, EM(_never, last, runner.accelerate, runner.plain)


def _never(state: State[Any, Any]) -> Status | None:
    return None


def _halves(model: Model, runner: EM, begin: Any, placed: Placed[Any]) -> tuple[tuple[Frame, ...], State[Any, Any]]:
    """The frames of a run, and its last State."""
    frames: list[Frame] = []
    before: State[Any, Any] | None = None
    for state in runner.iterate(model, begin, placed):
        if before is not None and state.step.index == before.step.index:  # the run failed on its way from there
            return tuple(frames), state
        reached = Frame(
            index=2 * state.step.index,
            kind="start" if before is None else "M",
            params=state.params,
            q_params=None if before is None else before.params,
            log_evidence=log_evidence(model, state.params, placed),
            log_prior=model.log_prior(state.params),
            gain=state.step.m_gain,
            how=state.step.kind,
        )
        frames.append(reached if before is None else _with_books(model, reached, before.expectation))
        after = evolve(reached, index=reached.index + 1, kind="E", q_params=state.params, gain=state.step.e_gain)
        frames.append(evolve(_with_books(model, after, state.expectation), how="plain", events=state.events))
        before = state
    assert before is not None
    return tuple(frames), before


def _with_books(model: Model, frame: Frame, expectation: Expectation[Any]) -> Frame:
    """A frame with the books of its parameters and of the q that an E-step has left."""
    books = Books.of(model, frame.params, expectation)
    return evolve(
        frame,
        expected_log_joint=books.expected_log_joint,
        entropy=books.entropy,
        objective=books.objective,
        distortion=_distortion(model, frame.params, expectation, books.objective),
    )


def _distortion(model: Model, params: Any, expectation: Expectation[Any], objective: float) -> float | None:
    """J of hard labels. A jump of q that may not lose is one to the mode."""
    found = model.figures(params, expectation.statistics)
    if "inertia" in found:
        return found["inertia"]
    hard = not model.inference.smooth and "E" in model.inference.audited
    return -objective if hard else None
