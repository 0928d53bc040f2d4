"""Stop rules, callbacks, and the shapes of a run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from subjects import FAITHFUL

import latentem as lem

MODEL = lem.GaussianMixture(2)
START = MODEL.params([0.5, 0.5], [[3.0, 60.0], [4.0, 75.0]], [np.diag([1.0, 100.0])] * 2)


def run(stop, **options):
    return lem.EM(stop=stop, **options).run(MODEL, START, FAITHFUL)


def test_run_is_the_last_state_of_iterate():
    """`run` folds over `iterate`: the same parameters, history and status."""
    states = list(lem.EM().iterate(MODEL, START, FAITHFUL))
    result = lem.EM().run(MODEL, START, FAITHFUL)
    assert result.params == states[-1].params
    assert result.history.bound.tolist() == [state.step.bound for state in states]
    assert result.status == states[-1].status
    assert result.bound == result.history[-1].bound


def test_a_history_is_a_sequence_with_columns():
    """A history has a length, items, slices and columns, and names what it has when asked for another."""
    history = run(lem.remaining_below()).history
    assert len(history) == len(list(history)) == len(history.entropy)
    assert history[-1] == history[len(history) - 1]
    assert history[2:5].bound.tolist() == history.bound[2:5].tolist()
    assert history.passes.tolist() == list(range(1, len(history) + 1))
    assert np.isnan(history.m_gain[0])
    assert (np.diff(history.objective) >= -1e-7).all()
    with pytest.raises(AttributeError, match="expected_log_joint"):
        _ = history.loglik


def test_rules_compose():
    """`a | b` ends at the first of the two, `a & b` at the last."""
    gain, movement = lem.gain_below(1e-4), lem.movement_below(1e-9)
    lengths = {name: len(run(rule).history) for name, rule in (("a", gain), ("b", movement))}
    assert lengths["a"] != lengths["b"]
    assert len(run(gain | movement).history) == min(lengths.values())
    assert len(run(gain & movement).history) == max(lengths.values())


def test_seconds_stop_a_run_without_convergence():
    """When its time is over a run is stopped, and is not converged."""
    result = run(lem.seconds(1e-9) | lem.remaining_below())
    assert result.status.ending is lem.run.Ending.STOPPED
    assert not result.converged
    assert not run(lem.seconds(1e-9) & lem.movement_below(1e9)).converged


def test_max_steps_is_a_status_with_advice():
    """A run that reaches max_steps says so, and a fit warns once, with a sentence."""
    result = run(lem.remaining_below(), max_steps=3)
    assert result.status.ending is lem.run.Ending.MAX_STEPS
    assert result.history[-1].index == 3
    with pytest.warns(lem.ConvergenceWarning, match="3 steps were taken.*raise max_steps") as caught:
        lem.fit(MODEL, FAITHFUL, start=START, max_steps=3)
    assert len(caught) == 1


def test_assignments_unchanged_is_the_end_of_hard_assignment():
    """A hard run ends when no assignment changes, whichever rule says so."""
    model = lem.KMeans(3)
    start = model.params(FAITHFUL[:3])
    one = lem.EM(stop=lem.assignments_unchanged()).run(model, start, FAITHFUL)
    other = lem.EM().run(model, start, FAITHFUL)
    assert one.params == other.params
    assert one.history.movement[-1] == 0
    assert np.isinf(one.history.remaining[1:-1]).all()


def test_a_rule_may_be_any_function_of_the_state():
    """A plain function from a State to a Status is a stop rule."""

    def at_four(state):
        return lem.run.Status(lem.run.Ending.CONVERGED, "four is enough") if state.step.index == 4 else None

    assert run(at_four).history[-1].index == 4


def test_a_callback_sees_each_state_and_can_stop():
    """The callback sees every State in order; when it returns `STOP` the fit ends there."""
    seen = []

    def watch(state):
        seen.append(state.step.index)
        return lem.STOP if state.step.index == 5 else None

    with pytest.warns(lem.ConvergenceWarning, match="by the callback at step 5"):
        fit = lem.fit(MODEL, FAITHFUL, start=START, callback=watch)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert fit.status.ending is lem.run.Ending.STOPPED
    assert fit.history[-1].index == 5


def test_ten_copies_of_the_data_take_the_same_steps():
    """The default rule does not depend on n."""
    one = lem.EM().run(MODEL, START, FAITHFUL)
    ten = lem.EM().run(MODEL, START, np.tile(FAITHFUL, (10, 1)))
    assert len(one.history) == len(ten.history)


def test_the_estimate_of_what_remains_is_right():
    """Halfway through a slow run the estimate is within 5 % of what the objective still gains."""
    model = lem.GaussianMixture(3, structure=lem.Tied())
    start = lem.fit(model, FAITHFUL, n_starts=3, stop=lem.gain_below(1e-5)).params
    history = lem.EM().run(model, start, FAITHFUL).history
    end = history.objective[-1]
    for step in itertools.islice(history, 10, len(history) // 2):
        assert step.remaining == pytest.approx(end - step.objective, rel=0.05)


@pytest.mark.parametrize("make", [lem.remaining_below, lem.gain_below, lem.movement_below, lem.seconds])
@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf")])
def test_rules_refuse_what_they_could_never_meet(make, bad):
    """A tolerance that is not positive and finite is an error that shows it."""
    with pytest.raises(ValueError, match="was given as"):
        make(bad)
