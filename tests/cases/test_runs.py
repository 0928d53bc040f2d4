"""Runs: interrupted, side by side, stopped, copied, pickled."""

import os
import signal
import threading
from functools import partial

import attrs
import numpy as np
import pytest
from subjects import MODELS, overlapping

import latentem as lem
from latentem.transform import SamePosterior

pytestmark = pytest.mark.usefixtures("ctrl_c")


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("n_starts", [1, 5])
@pytest.mark.parametrize("when", [0, 1, 12, 30, 60])
def test_ctrl_c_returns_the_best_so_far(n_starts, when):
    """An interrupt in any step of any start gives the best State seen, with the status interrupted and true figures."""
    x, seen = overlapping(), []

    def callback(state):
        seen.append(state)
        if len(seen) == when + 1:
            interrupt()

    with pytest.warns(lem.ConvergenceWarning, match="interrupted"):
        fit = lem.fit(lem.GaussianMixture(2), x, n_starts=n_starts, callback=callback, accelerate=None)
    assert len(seen) == when + 1
    assert fit.status.ending is lem.run.Ending.INTERRUPTED
    assert "Ctrl-C" in fit.status.sentence
    assert not fit.converged
    runs = [i for i, state in enumerate(seen) if state.step.index == 0] + [len(seen)]
    ends = [seen[i - 1] for i in runs[1:]] if when < 60 else [*seen]
    assert fit.objective == pytest.approx(max(state.step.objective for state in ends), abs=1e-9)
    assert fit.log_likelihood == pytest.approx(fit.score_samples(x).sum(), abs=1e-9)
    assert fit.log_likelihood == pytest.approx(fit.bound, abs=1e-8)


def test_an_interrupted_fit_goes_on_from_its_parameters():
    """Fitting again from start=fit.params ends where the run that was not interrupted ends."""
    x, start = overlapping(), (overlapping()[:, 0] > 8).astype(int)
    fit = partial(lem.fit, lem.GaussianMixture(2), x, accelerate=None)  # a leap looks back at what a new fit forgets
    whole = fit(start=start)
    with pytest.warns(lem.ConvergenceWarning):
        part = fit(start=start, callback=lambda s: interrupt() if s.step.index == 9 else 0)
    rest = fit(start=part.params)
    assert len(part.history) == 10
    assert len(part.history) + len(rest.history) - 1 == pytest.approx(len(whole.history), abs=3)
    assert rest.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-8)


@attrs.frozen
class Impatient(SamePosterior):
    """A model during whose scoring someone presses Ctrl-C."""

    inner: object

    def log_evidence(self, params, chunk):
        interrupt()
        return self.inner.log_evidence(params, chunk)


def test_a_second_ctrl_c_raises():
    """The first interrupt is answered with the best so far; another one while that is made up raises."""
    pressed = []

    def callback(state):
        if state.step.index == 3:
            pressed.append(1)
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        lem.fit(Impatient(lem.GaussianMixture(2)), overlapping(), n_starts=3, callback=callback)
    assert pressed == [1]


def test_a_first_ctrl_c_while_the_end_is_scored_keeps_the_fit():
    """The run has ended: its parameters are returned, and the sentence says what is not known."""
    with pytest.warns(lem.ConvergenceWarning, match="before the log likelihood was known"):
        fit = lem.fit(Impatient(lem.GaussianMixture(2)), overlapping(), n_starts=2)
    assert fit.status.ending is lem.run.Ending.INTERRUPTED
    assert "the run had ended (converged" in str(fit.status)
    assert fit.log_evidence is None
    assert fit.params == lem.fit(lem.GaussianMixture(2), overlapping(), n_starts=2).params


def test_what_a_run_was_left_for_is_said():
    """Starts that had no turn when the fit was ended are not said to be behind others."""
    with pytest.warns(lem.ConvergenceWarning):
        fit = lem.fit(
            lem.GaussianMixture(2),
            overlapping(),
            n_starts=3,
            callback=lambda s: lem.STOP if s.step.index == 25 else None,
        )
    left = [report.status.sentence for report in fit.starts if "left" in report.status.sentence]
    assert left
    assert all("where the whole fit was ended" in sentence for sentence in left)


@attrs.frozen
class Never(SamePosterior):
    """A model whose E-step someone interrupts."""

    inner: object

    def expectation(self, params, chunk, cache=None):
        interrupt()
        return self.inner.expectation(params, chunk)


def test_ctrl_c_before_the_first_state_raises():
    """With nothing in hand an interrupt is an interrupt."""
    with pytest.raises(KeyboardInterrupt):
        lem.fit(Never(lem.GaussianMixture(2)), overlapping(), n_starts=3)


def test_a_callback_stops_or_breaks_a_fit():
    """What returns `STOP` stops the whole fit, by name, and nothing else does; what raises is not swallowed."""
    seen = []
    with pytest.warns(lem.ConvergenceWarning, match="callback"):
        fit = lem.fit(
            lem.GaussianMixture(2),
            overlapping(),
            n_starts=4,
            callback=lambda s: seen.append(s) or (lem.STOP if len(seen) == 7 else True),
        )
    assert fit.status.ending is lem.run.Ending.STOPPED
    assert len(seen) == 7

    def broken(state):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        lem.fit(lem.GaussianMixture(2), overlapping(), callback=broken)


def test_fits_in_threads_do_not_disturb_each_other():
    """Eight fits at once, of one model object and of several, give the bits that they give alone."""
    x = overlapping()
    jobs = [(MODELS[i % 2], x[i : i + 200], i) for i in range(8)]

    def fit(model, data, seed):
        return lem.fit(model, data, rng=seed, n_starts=2, stop=lem.remaining_below(1e-6))

    alone = [fit(*job) for job in jobs]
    together = [None] * len(jobs)

    def work(i):
        together[i] = fit(*jobs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert one.params == other.params
        assert one.log_likelihood == other.log_likelihood
        np.testing.assert_array_equal(one.history.bound, other.history.bound)


def test_a_fit_leaves_no_trace_in_numpy():
    """Neither numpy's error state nor its global random state is touched, and the same call gives the same bits."""
    np.random.seed(3)
    state, errors = np.random.get_state()[1].copy(), np.geterr()
    one, other = (lem.fit(lem.GaussianMixture(2), overlapping(), n_starts=2) for _ in range(2))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert np.geterr() == errors
    assert one.params == other.params


def test_rng_of_every_kind_is_taken_and_others_are_refused():
    """Equal seeds give equal fits; a negative number, a float, True or a word are errors. None is new each time."""
    x, model, stop = overlapping(), lem.GaussianMixture(3), lem.movement_below(1e-2)
    for make in (lambda: 3, lambda: np.int64(3), lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)):
        one, other = (lem.fit(model, x, rng=make(), n_starts=2, stop=stop) for _ in range(2))
        assert one.params == other.params
    for bad in (-1, 2.5, True, "seed"):
        with pytest.raises(TypeError, match="rng was given as"):
            lem.fit(model, x, rng=bad)
    one, other = (lem.fit(model, x, rng=None, n_starts=1, stop=stop) for _ in range(2))
    assert one.params != other.params


def test_options_out_of_range_are_refused_by_name():
    """Numbers of starts, steps and components must be whole and in range, Python's or numpy's alike."""
    x, model = overlapping(), lem.GaussianMixture(2)
    for bad in (0, -1, 1.5, True, "3"):
        with pytest.raises((ValueError, TypeError), match="n_starts"):
            lem.fit(model, x, n_starts=bad)
        with pytest.raises((ValueError, TypeError), match="k was given"):
            lem.GaussianMixture(bad)
    for bad in (-1, 1.5, True, "3"):
        with pytest.raises((ValueError, TypeError), match="max_steps"):
            lem.fit(model, x, max_steps=bad)
    fit = lem.fit(lem.GaussianMixture(np.int64(2)), x, n_starts=np.int32(1), max_steps=np.int64(5000))
    assert fit.converged
    with pytest.raises(TypeError, match="LatentModel"):
        lem.fit("full", x)
    with pytest.raises(TypeError, match="stop"):
        lem.fit(model, x, stop="tol")
    with pytest.raises(TypeError, match="callback"):
        lem.fit(model, x, callback=3)
