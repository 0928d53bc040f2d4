"""What is told to the logger "latentem", and that nothing is told unless somebody asks."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import numpy as np
import pytest
from subjects import FAITHFUL

import latentem as lem

STACKED = np.concatenate([FAITHFUL, np.repeat(FAITHFUL[:1], 40, axis=0)])


@pytest.fixture
def lines(caplog):
    """Fit, and see what was told."""

    def of(*given, level=logging.INFO, **options):
        caplog.clear()
        with caplog.at_level(level, logger="latentem"):
            fit = lem.fit(*given, **options)
        assert all(record.name.startswith("latentem.") for record in caplog.records)
        return fit, [record.getMessage() for record in caplog.records]

    return of


def test_nothing_is_told_unless_somebody_asks():
    """A program that sets up no logging sees no line, and one that sets up warnings alone sees none either."""
    code = "import logging, sys, latentem as lem\nif len(sys.argv) > 1: logging.basicConfig()\n"
    code += "lem.fit(lem.GaussianMixture(2), lem.datasets.old_faithful(), n_starts=2)"
    for more in ([], ["warnings"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *more], capture_output=True, text=True, timeout=200, check=True
        )
        assert done.stdout == done.stderr == ""


def test_the_begin_and_the_end_of_the_fit_and_of_each_run_are_told(lines):
    """There is a line as the fit begins and ends, and for each start one as it begins and one as it ends."""
    fit, told = lines(lem.GaussianMixture(2), FAITHFUL, n_starts=4)
    assert told[0].startswith("a fit of GaussianMixture(2) begins: 4 starts, 1 chunks, EM(")
    assert told[-1] == f"the fit of GaussianMixture(2) ends: {fit.status}; objective {fit.objective:.9g} nats"
    for number, report in enumerate(fit.starts, 1):
        begun = [
            line for line in told if re.match(rf"start {number} of 4, step 0 begins \({re.escape(report.name)}\)", line)
        ]
        ended = [
            line for line in told if line.startswith(f"start {number} of 4, step {report.steps} ends: {report.status}")
        ]
        assert len(begun) == len(ended) == 1


@pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")
def test_events_are_told_once_in_the_step_of_theirs(lines):
    """An event is told when it comes, not again in each step that it lasts; and those of the result at the end."""
    fit, told = lines(lem.GaussianMixture(3), STACKED, n_starts=1, max_steps=60)
    assert fit.events
    for event in fit.events:
        assert f"event: {event.describe()}" in told
    on_the_way = [line for line in told if re.match(r"start 1 of 1, step \d+: ", line)]
    assert len(on_the_way) == len(set(on_the_way)) > 0


def test_checkpoints_are_told(lines, tmp_path):
    """That a checkpoint was written is told, and where a fit goes on from one."""
    path = tmp_path / "runs.checkpoint"
    stopped = iter(range(30))
    given = (lem.GaussianMixture(3), FAITHFUL)
    options = {"n_starts": 2, "checkpoint": path, "stop": lem.remaining_below(1e-4)}
    with pytest.warns(lem.ConvergenceWarning):
        _, told = lines(*given, callback=lambda state: lem.STOP if next(stopped, None) is None else None, **options)
    assert any(line.startswith(f"checkpoint {path} written: ") for line in told)
    assert f"a fit goes on from the checkpoint {path}" in lines(*given, **options)[1]
    assert lines(*given, **options)[1] == [f"the checkpoint {path} holds the whole fit"]


@pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")
def test_rejected_leaps_are_told_to_those_who_debug(lines):
    """Where a leap of an accelerated run is rejected there is a line of the level DEBUG, and none of INFO."""
    options = {"n_starts": 1, "max_steps": 300, "rng": 1}
    for level, expected in ((logging.DEBUG, True), (logging.INFO, False)):
        _, told = lines(lem.GaussianMixture(4), FAITHFUL, level=level, **options)
        assert any("leap is rejected" in line for line in told) is expected


def test_the_journal_changes_no_bit(lines):
    """A fit of which every line is written gives the bits of one that is silent."""
    told, _ = lines(lem.GaussianMixture(3), FAITHFUL, n_starts=3, level=logging.DEBUG, stop=lem.remaining_below(1e-6))
    assert told.params == lem.fit(lem.GaussianMixture(3), FAITHFUL, n_starts=3, stop=lem.remaining_below(1e-6)).params


def test_the_journal_and_the_progress_see_the_same_run(lines, capsys):
    """Both can be had at once."""
    _, told = lines(lem.GaussianMixture(2), FAITHFUL, n_starts=2, progress=True)
    assert len(told) == 6
    assert "converged" in capsys.readouterr().err
