"""Several runs that go through the data together."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Sequence

import numpy as np
import pytest

import latentem as lem
from latentem.core import Placed
from latentem.run import Start, run_all

# Not converged is no matter here: a few steps show what is asked.
pytestmark = [pytest.mark.timeout(60), pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")]


class Loaded(Sequence):
    """Chunks that are loaded at every pass; `loads` counts."""

    def __init__(self, chunks):
        self.chunks, self.loads = chunks, 0

    def __len__(self):
        return len(self.chunks)

    def __getitem__(self, i):
        chunk = self.chunks[i]
        self.loads += 1
        return chunk


def chunks(count=6):
    rng = np.random.default_rng(0)
    return [lem.Rows(rng.normal(rng.integers(3, size=(120, 1)), 0.6, (120, 2))) for _ in range(count)]


class AsTheyAre(lem.Engine):
    """Loads chunks, and says that it costs nothing: so runs take their turns."""

    def __init__(self, source):
        self.source = source

    def place(self, given):
        return Cheap(lem.Serial().place(self.source))


class Cheap(Placed):
    def __init__(self, placed):
        self.placed = placed

    def __len__(self):
        return len(self.placed)

    def __iter__(self):
        return iter(self.placed)

    def total(self, task):
        return self.placed.total(task)

    def each(self, task):
        return self.placed.each(task)


class Costly(lem.Engine):
    """Loads chunks at every pass."""

    def __init__(self, source):
        self.source = source

    def place(self, given):
        return lem.Serial().place(self.source)


def steps(fit):
    return [repr(step).partition(", seconds=")[0] for step in fit.history]


def same(one, other):
    assert one.params == other.params
    assert steps(one) == steps(other)
    assert one.status == other.status
    assert one.starts == other.starts
    assert one.log_evidence == other.log_evidence


RUNNERS = {
    "plain": lem.EM(max_steps=30),
    "accelerated": lem.EM(max_steps=30, accelerate=lem.Anderson()),
    "annealed": lem.Annealing(betas=(0.3, 1.0), em=lem.EM(max_steps=25)),
    "incremental": lem.Incremental(max_steps=10),
    "stochastic": lem.Stochastic(steps=20, burn_in=5),
}


@pytest.mark.parametrize("model", [lem.GaussianMixture(3), lem.KMeans(3)], ids=repr)
@pytest.mark.parametrize("name", RUNNERS)
def test_together_or_in_turn_is_the_same_to_the_bit(name, model):
    """Parameters, history, reports of all starts: those of the runs one after the other, for every way of running."""
    if name == "stochastic" and isinstance(model, lem.KMeans):
        return
    given = {"model": model, "data": chunks(), "n_starts": 5, "runner": RUNNERS[name]}
    same(
        lem.fit(**given, engine=Costly(Loaded(chunks()))),
        lem.fit(**given, engine=AsTheyAre(Loaded(chunks()))),
    )


def test_a_pass_is_read_once_for_all():
    """Ten starts together read the data as often as the longest of the trials, and of the finals, takes passes."""
    together, in_turn = Loaded(chunks()), Loaded(chunks())
    given = {"model": lem.GaussianMixture(3), "data": chunks(), "n_starts": 10, "max_steps": 30}
    fit = lem.fit(**given, engine=Costly(together))
    lem.fit(**given, engine=AsTheyAre(in_turn))
    passes = fit.history[-1].passes  # with those of leaps that were rejected
    assert passes > max(report.steps for report in fit.starts) == 30
    before_and_after = 8  # the starts look at the data, and the evidence is computed
    assert together.loads <= 6 * (passes + before_and_after)
    assert in_turn.loads > 6 * (10 * 20 + 3 * 10)


class Failing(Loaded):
    """The given error at the n-th load."""

    def __init__(self, chunks, at, error):
        super().__init__(chunks)
        self.at, self.error = at, error

    def __getitem__(self, i):
        if self.loads == self.at:
            self.loads += 1
            if self.error is KeyboardInterrupt:
                os.kill(os.getpid(), signal.SIGINT)
            else:
                raise self.error
        return super().__getitem__(i)


def test_an_error_in_a_pass_ends_all_and_leaves_no_thread():
    """What loading raises reaches the caller as itself, and no thread is left behind."""
    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        lem.fit(lem.GaussianMixture(3), chunks(), engine=Costly(Failing(chunks(), 100, OSError("the disk is gone"))))
    assert threading.active_count() == before


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_a_shared_pass_returns_the_best_so_far():
    """The fit ends with the status "interrupted", all starts are reported, and no thread is left behind."""
    before = threading.active_count()
    fit = lem.fit(lem.GaussianMixture(3), chunks(), engine=Costly(Failing(chunks(), 100, KeyboardInterrupt)))
    assert fit.status.ending is lem.run.Ending.INTERRUPTED
    assert len(fit.starts) == 10
    assert threading.active_count() == before


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_a_run_computes_is_heard():
    """An interrupt between passes, in the thread of a run, ends the fit with the best so far."""

    def press(state):
        if state.step.index == 4:
            os.kill(os.getpid(), signal.SIGINT)

    fit = lem.fit(lem.GaussianMixture(3), chunks(), engine=Costly(Loaded(chunks())), callback=press)
    assert fit.status.ending is lem.run.Ending.INTERRUPTED


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_before_the_first_state_raises():
    """There is nothing to return yet."""
    with pytest.raises(KeyboardInterrupt):
        lem.fit(lem.GaussianMixture(3), chunks(), engine=Costly(Failing(chunks(), 14, KeyboardInterrupt)))


def test_the_callback_stops_all():
    """When a callback says so the whole fit ends, with the best so far."""
    before = threading.active_count()
    seen = []

    def callback(state):
        seen.append(state.step.index)
        return lem.STOP if len(seen) == 23 else None

    fit = lem.fit(lem.GaussianMixture(3), chunks(), engine=Costly(Loaded(chunks())), callback=callback)
    assert fit.status.ending is lem.run.Ending.STOPPED
    assert seen == [0] * 10 + [1] * 10 + [2] * 3
    assert threading.active_count() == before


def test_a_start_that_degenerates_does_not_end_the_others():
    """A Degenerate, at a start or later, belongs to the run that met it."""
    model = lem.GaussianMixture(2, prior=None)
    data = [lem.Rows(np.vstack([chunk.x[:30], [[50.0, 50.0]]])) for chunk in chunks(2)]
    data[1] = chunks(1)[0]
    far = model.params([0.5, 0.5], [[0, 0], [1e200, 0]], [np.eye(2) * 1e-300] * 2)
    spike = model.params([0.5, 0.5], [[0, 0], [50, 50]], [np.eye(2), np.eye(2) * 1e-3])
    sound = [model.params([0.5, 0.5], [[0, 0], [i, 2]], [np.eye(2)] * 2) for i in (1, 2)]
    starts = [Start(f"{i}", lambda params=params: params) for i, params in enumerate([far, sound[0], spike, sound[1]])]
    runner = lem.EM(max_steps=30)
    with np.errstate(all="ignore"):
        together = run_all(runner, model, starts, lem.Serial().place(Loaded(data)))
        in_turn = run_all(runner, model, starts, lem.Serial().place(data))
    endings = [report.status.ending for report in in_turn.reports]
    assert endings[0] is endings[2] is lem.run.Ending.DEGENERATE
    assert [math.isnan(report.objective) for report in in_turn.reports] == [
        True,
        False,
        False,
        False,
    ]  # the first has no books
    assert repr(together.reports) == repr(in_turn.reports)
    assert together.best.params == in_turn.best.params


def test_each_run_has_a_cache_of_its_own():
    """What one run keeps beside a chunk no other sees, and what runs that have ended kept is dropped."""
    from latentem.run.together import advance

    placed = lem.Serial().place([1, 2])
    seen = {}

    def task(name, chunk, cache):
        seen.setdefault((name, chunk), []).append(dict(cache))
        cache["by"] = name
        return 1.0

    def work(name, passes):
        for _ in range(passes):
            assert (yield lambda chunk, cache: task(name, chunk, cache)) == 2.0

    assert advance(placed, {i: work(f"run {i}", 1 + 2 * i) for i in range(2)}) == {}
    assert seen["run 0", 1] == [{}]
    assert seen["run 1", 1] == [{}, {"by": "run 1"}, {"by": "run 1"}]
    kept = []
    placed.total(lambda chunk, cache: kept.append(list(cache)) or 1.0)
    assert kept == [["1"], ["1"]]
