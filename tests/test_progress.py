"""Progress while a fit runs: what is shown, where, and what it costs."""

from __future__ import annotations

import io
import math
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from subjects import FAITHFUL

import latentem as lem
from latentem.core import chunks_done, watched_passes
from latentem.report import Progress, displays
from latentem.report.reading import clock, magnitude, seconds_left

FIT = """
import sys, time
{first}
import latentem as lem
fit = lem.fit(lem.GaussianMixture(3), lem.datasets.old_faithful(), n_starts=3, stop=lem.remaining_below({nats}),
              progress=True, callback=lambda state: time.sleep(0.005))
assert fit.status.ending is lem.run.Ending.{ending}
"""
WITH_RICH, WITHOUT = "", "sys.modules['rich'] = sys.modules['rich.console'] = None"


def program(first=WITH_RICH, nats=1e-7, ending="CONVERGED"):
    """A fit that takes long enough to be looked at."""
    return FIT.format(first=first, nats=nats, ending=ending)


MODEL = lem.GaussianMixture(3)


def states(steps=60):
    """The States of a run that creeps."""
    start = lem.GaussianMixture(3).params(
        [0.3, 0.3, 0.4], FAITHFUL[[0, 1, 4]], np.tile(np.diag([1.0, 100.0]), (3, 1, 1))
    )
    return list(lem.EM(max_steps=steps).iterate(MODEL, start, FAITHFUL))


def in_terminal(code, seen=None, send=None):
    """What a program writes to a terminal, and its exit code; once it has written `seen` a signal is sent."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    done = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    written, begun = b"", time.monotonic()
    while time.monotonic() - begun < 200:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
        if send is not None and re.search(seen, written):
            done.send_signal(send)
            send = None
    os.close(leader)
    return written.decode(), done.wait(60)


class Recorder(displays.Display):
    """A display that keeps what it is shown."""

    def __init__(self):
        self.begun, self.shown, self.passes, self.closed = "", [], [], False

    def begin(self, title):
        self.begun = title

    def show(self, reading, outcome):
        self.shown.append((reading, outcome))

    def show_pass(self, title, under_way, reading):
        self.passes.append((under_way, reading))

    def close(self):
        self.closed = True


def test_a_terminal_shows_starts_passes_bound_gain_speed_and_time():
    """With rich a few lines of the terminal are drawn anew, and stay at the end with what the fit came to."""
    text, code = in_terminal(program())
    assert code == 0
    for shown in (
        r"(trial of )?start \d of 3",
        r"step \d+, \d+ passes",
        r"rows/s",
        r"bound -1[\d.]+",
        r"remaining gain",
    ):
        assert re.search(shown, text), shown
    assert "left" in text
    assert "\x1b[2K" in text  # a line is drawn over
    last = text[text.rindex("GaussianMixture(3)") :]
    assert "converged" in last
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0  # the cursor is back


PASSES = """
import sys
{first}
import latentem as lem
lem.report.progress._LONG = 0.0
lem.report.displays.Lines.pause, lem.report.displays.Lines.slower = 0.0, 1.0
lem.report.displays.Terminal.pause = 0.0
lem.report.progress._SHARE = 0
x = lem.datasets.old_faithful()
days = lem.data.source([lambda i=i: x[34 * i : 34 * (i + 1)] for i in range(8)])
fit = lem.fit(lem.GaussianMixture(2), days, n_starts=1, max_steps=2, progress=True)
"""


@pytest.mark.parametrize("first", [WITH_RICH, WITHOUT], ids=["rich", "lines"])
def test_a_terminal_shows_how_far_a_pass_is(first):
    """Rows seen, share of the pass, and rows a second stand in a terminal, already before the first State."""
    text, code = in_terminal(PASSES.format(first=first))
    assert code == 0
    told = r"this pass: (34|68|102|136|170|204|238) of 272 rows \(\d+%\), \S+ rows/s, about \d:\d\d:\d\d of it left"
    begun = re.search(told, text)
    assert begun
    assert begun.start() < text.index("step ")
    assert len(set(re.findall(told, text))) > 3


def test_without_rich_lines_are_written():
    """Where rich is not installed the same stands in plain lines, in a terminal, too."""
    text, code = in_terminal(program(WITHOUT))
    assert code == 0
    assert "\x1b" not in text
    lines = text.strip().splitlines()
    assert lines[0] == "GaussianMixture(3): begins"
    told = r"step \d+, \d+ passes, \S+ rows/s, bound -\S+, remaining gain .*; 0:00:\d\d"
    assert re.fullmatch(rf"GaussianMixture\(3\): converged: .*; {told}", lines[-1])


def test_ctrl_c_in_a_terminal_keeps_the_best():
    """A fit that shows its progress and is interrupted returns the best so far, and the cursor is back."""
    code = program(nats=1e-18, ending="INTERRUPTED")
    text, code = in_terminal(code, seen=rb"start \d of 3", send=signal.SIGINT)
    assert code == 0
    assert "interrupted: by Ctrl-C" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0


def test_where_stderr_is_no_terminal_there_are_lines():
    """A log gets lines, and standard output nothing."""
    code = program()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("GaussianMixture(3): converged")


def test_a_fit_is_silent_unless_asked():
    """Without progress=True nothing is written, and `progress` is True or False."""
    code = "import latentem as lem; lem.fit(lem.GaussianMixture(2), lem.datasets.old_faithful())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout == done.stderr == ""
    with pytest.raises(TypeError, match="give True or False"):
        lem.fit(lem.GaussianMixture(2), FAITHFUL, progress="yes")


def test_progress_changes_no_bit(capsys):
    """A fit that is watched gives the bits of one that is not."""
    watched, not_watched = (
        lem.fit(MODEL, FAITHFUL, n_starts=3, stop=lem.remaining_below(1e-6), progress=shown) for shown in (True, False)
    )
    assert watched.params == not_watched.params
    assert [report.steps for report in watched.starts] == [report.steps for report in not_watched.starts]
    assert "GaussianMixture(3): converged" in capsys.readouterr().err


def test_a_hundred_thousand_callbacks_draw_and_call_next_to_nothing(monkeypatch):
    """Between two drawings a State costs two calls of a function; a fast run is drawn four times a second at most."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    run, display, calls = states(5), Recorder(), 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    with Progress("run", on=display) as progress:
        for state in run:
            progress(state)
        sys.setprofile(count)
        try:
            for i in range(100_000):
                now[0] = i * 1e-4  # ten seconds in all
                progress(state)
        finally:
            sys.setprofile(None)
    drawn = len(display.shown)
    assert 30 <= drawn <= 42
    assert calls <= 2 * 100_000 + 2000 * drawn
    assert display.closed


ENGINES = [lem.Serial(), lem.Threads(2), lem.Processes(2)]


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
def test_engines_tell_how_many_chunks_are_done(engine):
    """Of each pass whoever looks on hears rising counts up to all chunks, in the thread that asked; then no more."""
    heard, mine = [], threading.get_ident()
    placed = engine.place([np.full((2, 1), float(i)) for i in range(9)])
    with watched_passes(lambda done, count: heard.append((done, count, threading.get_ident()))):
        assert placed.each(np.sum) == [2.0 * i for i in range(9)]
    placed.each(np.sum)
    done = [one[0] for one in heard]
    assert done == sorted(set(done))
    assert len(done) >= 5
    assert heard[-1] == (9, 9, mine)


def test_a_hundred_thousand_chunks_draw_and_call_next_to_nothing(monkeypatch):
    """A chunk costs a few calls while nothing is drawn, and a long pass is drawn four times a second at most."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    display, calls, edges = Recorder(), 0, range(0, 10 * 100_001, 10)

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    with Progress("pass", edges=edges, on=display):
        sys.setprofile(count)
        try:
            for i in range(1, 100_001):
                now[0] = i * 1e-4  # ten seconds in all
                chunks_done(i, 100_000)
        finally:
            sys.setprofile(None)
    drawn = len(display.passes)
    assert 30 <= drawn <= 40
    assert calls <= 4 * 100_000 + 2000 * drawn
    seen, reading = display.passes[-1]
    assert reading is None
    assert seen.rows == 10 * seen.chunks
    assert seen.rows / seen.seconds == pytest.approx(1e5, rel=1e-3)
    assert re.match(r"this pass: 9\d\dk of 1M rows \(9\d%\), 100k rows/s, about 0:00:00 of it left", seen.books)


def test_short_passes_are_not_shown(monkeypatch):
    """A pass that takes less than a second is no news; the next begins where the last was heard of."""
    now, display = [0.0], Recorder()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Progress("pass", on=display):
        for _ in range(50):
            for i in range(1, 10):
                now[0] += 0.1
                chunks_done(i, 9)
        assert display.passes == []
        for i in range(1, 10):
            now[0] += 0.5
            chunks_done(i, 9)
    assert next(seen.books for seen, _ in display.passes) == "this pass: 2 of 9 chunks (22%), about 0:00:04 of it left"
    assert display.passes[0][0].seconds == pytest.approx(1.0)


def test_slow_drawing_is_done_less_often(monkeypatch):
    """A display that takes a tenth of a second gets one part in a hundred of the time."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Slow(Recorder):
        def show(self, reading, outcome):
            super().show(reading, outcome)
            now[0] += 0.1

    (*_, state), display = states(3), Slow()
    with Progress("run", on=display) as progress:
        for _ in range(100_000):
            now[0] += 0.001
            progress(state)
    assert 5 <= len(display.shown) <= 12


def test_lines_come_ever_more_seldom(monkeypatch):
    """An hour of work is no more than twenty lines."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    (*_, state), stream = states(3), io.StringIO()
    with Progress("run", on=displays.Lines(stream)) as progress:
        for _ in range(3600):
            now[0] += 1
            progress(state)
    assert 10 <= len(stream.getvalue().splitlines()) <= 20


def test_a_stream_that_is_closed_ends_the_display_and_not_the_fit():
    """Work goes on when nobody can be told of it."""
    stream, run = io.StringIO(), states(5)
    stream.close()
    with Progress("run", on=displays.Lines(stream)) as progress:
        progress._due = 0.0
        for state in run:
            progress(state)
    assert progress._display is None


def test_work_is_announced_before_its_first_state():
    """The display says that work begins before anything is known of it."""
    display = Recorder()
    with Progress("long", on=display):
        assert (display.begun, display.shown) == ("long", [])
    assert display.closed
    assert display.shown == []


def test_a_reading_counts_what_was_done():
    """Passes are those of all runs, rows a second their rows in the time, and the end is that of the best run."""
    run, display = states(5), Recorder()
    with Progress("run", rows=272, starts=2, trial=20, on=display) as progress:
        for number in (0, 1):
            for state in run:
                progress(state, number)
        trial = progress.reading()
        progress.ended(run[-1])
    end, outcome = display.shown[-1]
    assert end.passes == 2 * run[-1].step.passes == 12
    assert end.rows_a_second == pytest.approx(12 * 272 / end.seconds)
    assert (trial.trial, trial.start, trial.begun) == (True, 2, 2)
    assert outcome == str(run[-1].status)
    assert end.bound == run[-1].bound
    assert end.left is None


def test_progress_is_a_callback_of_any_runner():
    """A runner that is run by itself is watched in the same way."""
    display, start = Recorder(), states(0)[0].params
    with Progress("mine", runner=lem.EM(), on=display) as progress:
        end = lem.EM().run(MODEL, start, FAITHFUL, callback=progress)
    assert display.shown[-1][0].step == end.step.index


def test_the_time_left_is_that_of_a_gain_that_falls_as_it_did():
    """Where the remaining gain halves each step of a second, what is left to the aim takes a second a halving."""
    run = states(30)
    steps = [
        lem.run.Step(**{**{f: getattr(step, f) for f in STEP}, "remaining": 2.0**-i, "seconds": float(i)})
        for i, step in enumerate(run[-1].history)
    ]
    state = lem.run.State(run[-1].params, run[-1].expectation, lem.run.History(steps, 21))
    aim = 2.0**-50 / state.expectation.observations
    assert seconds_left(state, aim, None) == pytest.approx(30)
    assert seconds_left(state, aim, 25) == pytest.approx(5)
    assert seconds_left(state, None, 25) is None
    assert seconds_left(run[0], aim, None) is None


STEP = ["index", "kind", "bound", "objective", "expected_log_joint", "entropy", "log_prior", "e_gain", "m_gain"]
STEP += ["movement", "remaining", "passes", "seconds"]


def test_rules_say_what_gain_they_aim_at():
    """`remaining_below(x)` aims at x, and so does it or another rule; other rules aim at no gain."""
    rule = lem.remaining_below(1e-9)
    assert rule.aim == 1e-9
    assert (rule | lem.seconds(9)).aim == (lem.seconds(9) | rule).aim == 1e-9
    assert lem.gain_below(1e-9).aim is None


def test_counts_and_times_are_short():
    """Large counts have a unit, and times hours, minutes and seconds."""
    assert [magnitude(count) for count in (7, 1234, 5.5e6, 2e10)] == ["7", "1.23k", "5.5M", "20G"]
    assert [clock(seconds) for seconds in (0.4, 61, 3661, 1e6)] == ["0:00:00", "0:01:01", "1:01:01", "12 days"]
    assert not math.isnan(float(magnitude(0)))
