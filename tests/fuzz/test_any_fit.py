"""Any model, family and data, with any options: a named error, or a finite fit whose books are right.

`make fuzz` goes on for twenty minutes; FUZZ_MINUTES and FUZZ_SEED say how long, and from where.
"""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import densities
import hypothesis
import numpy as np
import pytest
from cases import cases
from hypothesis import HealthCheck, settings

import latentem as lem

HERE = Path(lem.__file__).parent
NAMED = (TypeError, ValueError, lem.Degenerate)
MINUTES = float(os.environ.get("FUZZ_MINUTES", "0"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
EXAMPLES = 150
ROUND = 200
COMPARED = 12
"""Rows whose evidence is computed independently, at most."""


def test_any_fit_is_right_or_refused_by_name():
    """150 random fits, the same ones each time; or as many as FUZZ_MINUTES have room for, from FUZZ_SEED on."""
    if not MINUTES:
        explore(EXAMPLES, derandomize=True)()
        return
    end, seed = time.monotonic() + 60 * MINUTES, SEED
    while time.monotonic() < end:
        hypothesis.seed(seed)(explore(ROUND))()
        seed += 1
    print(f"seeds {SEED} to {seed - 1}, {ROUND} fits each: nothing found")


def explore(examples, **how):
    made = hypothesis.given(cases())(is_right_or_refused)
    quiet = list(HealthCheck)
    return settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=quiet, print_blob=True, **how
    )(made)


def is_right_or_refused(case):
    given = copy.deepcopy((case.data, case.options))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", lem.ConvergenceWarning)
        try:
            fit = lem.fit(case.model, case.data, **case.options)
        except NAMED as error:
            assert_named(error)
            return
        finally:
            assert_same((case.data, case.options), given)
        assert_sound(case, fit)
        assert_evidence(case, fit)
        assert_predictions(case, fit)
        assert_draws(case, fit)
        assert_repeats(case, fit)


def assert_named(error):
    """The error is raised by the library, and says something."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    inside = Path(last.filename).is_relative_to(HERE)
    raised = inside and last.line.lstrip().startswith("raise")
    assert raised, f"{type(error).__name__}: {error} at {last}"
    assert len(str(error)) > 20


def assert_same(now, before):
    """What was given is as it was."""
    if isinstance(now, np.ndarray):
        np.testing.assert_array_equal(now, before)
    elif isinstance(now, list | tuple):
        for one, other in zip(now, before, strict=True):
            assert_same(one, other)
    elif isinstance(now, dict):
        assert_same(list(now.values()), list(before.values()))


def assert_sound(case, fit):
    assert np.isfinite([fit.objective, fit.bound, fit.expectation.entropy]).all()
    assert not any(event.kind == "gap" for event in fit.events), fit.events
    for status in (fit.status, *(report.status for report in fit.starts)):
        assert status.ending is not lem.run.Ending.OBJECTIVE_FELL, status
    words = str(fit)
    assert " nan" not in words, words
    assert fit.n_parameters >= 0
    again = pickle.loads(pickle.dumps(fit))
    assert again.params == fit.params
    assert str(again) == words


def slack(fit, size):
    """What rounding explains of a log likelihood of this size, in nats."""
    statistics = fit.expectation.statistics
    return (1e-8 + fit.model.rounding(fit.params)) * size + 10 * fit.model.cancellation(fit.params, statistics)


def assert_evidence(case, fit):
    if fit.log_evidence is None or case.options["allowed"] is not None:  # what is known of a label is no density
        return
    units = case.data if case.sequences else np.asarray(case.data)
    weights = np.ones(len(units)) if case.options["weights"] is None else np.asarray(case.options["weights"], float)
    counted = np.flatnonzero(weights > 0)
    chosen = counted[np.linspace(0, len(counted) - 1, min(COMPARED, len(counted))).astype(int)]
    some = [units[i] for i in chosen] if case.sequences else units[chosen].astype(float)
    all_units = [units[i] for i in counted] if case.sequences else units[counted]
    each = fit.score_samples(all_units)
    mine = each[np.searchsorted(counted, chosen)]
    size = len(each) + np.abs(each).sum()
    assert abs(weights[counted] @ each - fit.log_likelihood) <= 1e-8 * (weights[counted] @ (1 + np.abs(each)))
    if case.model.exact and fit.history[-1].kind not in ("online", "drawn"):
        assert abs(fit.bound - fit.log_likelihood) <= slack(
            fit, fit.observations + abs(fit.bound) + abs(fit.history[-1].entropy)
        )
    alone = fit.score_samples([some[0]] if case.sequences else some[:1])
    assert abs(alone[0] - mine[0]) <= 1e-9 * (1 + abs(mine[0]))
    wanted = densities.log_evidence(case.core, fit.params, some)
    if wanted is None:
        return
    # Rounding of the parameters that are shown is not rounding of a density at them: only the latter is compared.
    unit = (1e-9 + fit.model.rounding(fit.params)) * (1 + np.abs(wanted)) + slack(fit, 0.0) / max(len(each), 1)
    off = np.abs(mine - wanted) > unit
    assert not off.any(), f"log evidence {mine[off]} of units {chosen[off]}: {wanted[off]} by mpmath; size {size}"


def assert_predictions(case, fit):
    try:
        probabilities = fit.predict_proba(case.data)
    except lem.Unavailable:
        return
    except NAMED:
        assert case.options["weights"] is not None  # a row of weight zero may be impossible
        return
    rows = sum(len(table) for table in case.tables)
    labels = fit.predict(case.data)
    assert probabilities.shape[0] == rows == len(labels)
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    assert (labels >= 0).all()
    assert (labels < probabilities.shape[1]).all()


def assert_draws(case, fit):
    try:
        x, labels = fit.sample(7, rng=1)
    except lem.Unavailable:
        return
    assert len(x) == len(labels) == 7
    assert np.isfinite(x).all()
    again, same = fit.sample(7, rng=1)
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(labels, same)


def assert_repeats(case, fit):
    if case.engine is not None:
        other = lem.fit(case.model, case.data, engine=case.engine, **case.options)
        assert other.params == fit.params
        assert other.objective == fit.objective
    if case.interrupted is not None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "fit")
            seen = iter(range(10**6))

            def callback(state):
                return lem.STOP if next(seen) == case.interrupted else None

            lem.fit(case.model, case.data, checkpoint=path, callback=callback, **case.options)
            whole = lem.fit(case.model, case.data, checkpoint=path, **case.options)
        assert whole.params == fit.params
        assert whole.objective == fit.objective


if __name__ == "__main__":
    pytest.main([__file__, "-s", "-q"])
