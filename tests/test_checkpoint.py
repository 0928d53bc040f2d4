"""Checkpoints: a killed fit goes on to the same bits, and nothing else is taken for its file."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from functools import cache

import numpy as np
import pytest

import latentem as lem
from latentem.archive import Reading, unpack
from latentem.run import checkpoint as module
from latentem.run.checkpoint import Checkpoint, Standing, digest, sample
from latentem.saved import library

# Not converged is no matter here: runs are cut short on purpose.
pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")]


@pytest.fixture(autouse=True)
def every_step(monkeypatch):
    """Write after every step."""
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    monkeypatch.setattr(module, "_SHARE", 0)


def data():
    rng = np.random.default_rng(0)
    return rng.normal(rng.integers(3, size=(900, 1)), 0.7, (900, 2))


def steps(fit):
    return [repr(step).partition(", seconds=")[0] for step in fit.history]


def same(one, other):
    assert one.params == other.params
    assert one.expectation == other.expectation
    assert steps(one) == steps(other)
    assert one.status == other.status
    assert one.events == other.events
    assert one.starts == other.starts
    assert one.log_evidence == other.log_evidence


class Killed(Exception):
    pass


def stopping(after):
    """A callback that ends the process, as far as the fit can tell, after so many States."""
    left = [after]

    def callback(state):
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    return callback


RUNNERS = {
    "plain": lem.EM(max_steps=30),
    "accelerated": lem.EM(max_steps=30, accelerate=lem.Anderson()),
    "incremental": lem.Incremental(max_steps=20),
    "annealed": lem.Annealing(betas=(0.3, 1.0), em=lem.EM(max_steps=20)),
}


def fit_by(name, **options):
    return lem.fit(lem.GaussianMixture(3), data(), n_starts=3, runner=RUNNERS[name], **options)


undisturbed = cache(fit_by)


@pytest.mark.parametrize("name", RUNNERS)
@pytest.mark.parametrize("after", [1, 17, 50, 63])
def test_a_fit_that_is_cut_short_goes_on_to_the_same_bits(tmp_path, name, after):
    """However a fit runs, and wherever it is cut short, twice: what the same call then gives is the undisturbed fit."""
    path = tmp_path / "run.ckpt"
    for more in (after, 9):
        try:
            fit_by(name, checkpoint=path, callback=stopping(more))
        except Killed:
            continue
    same(fit_by(name, checkpoint=path), undisturbed(name))


@pytest.mark.parametrize("after", [5, 30])
def test_k_means_goes_on_too(tmp_path, after):
    """Caches beside the chunks are not kept, and not missed."""
    path = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        lem.fit(lem.KMeans(5), data(), checkpoint=path, callback=stopping(after))
    same(lem.fit(lem.KMeans(5), data(), checkpoint=path), lem.fit(lem.KMeans(5), data()))


def test_a_resumed_fit_does_not_begin_again(tmp_path):
    """What was done before the cut is not done again: the steps of both parts are those of the whole."""
    path, seen = tmp_path / "run.ckpt", []

    def fit(**options):
        return lem.fit(lem.GaussianMixture(3), data(), n_starts=4, max_steps=50, **options)

    fit(callback=lambda state: seen.append(state.step.index))
    whole = len(seen)
    with pytest.raises(Killed):
        fit(checkpoint=path, callback=stopping(50))
    seen.clear()
    fit(checkpoint=path, callback=lambda state: seen.append(state.step.index))
    assert len(seen) == whole - 50


def test_a_finished_fit_returns_at_once(tmp_path):
    """Fitting again takes no pass: neither a State nor a chunk is computed, and the answer is the same."""
    path = tmp_path / "run.ckpt"
    given = {"data": lem.datasets.old_faithful(), "n_starts": 3, "checkpoint": path}
    fit = lem.fit(lem.GaussianMixture(2), **given)
    again = lem.fit(lem.GaussianMixture(2), **given, engine=Refusing(), callback=stopping(1))
    same(again, fit)
    assert [step.seconds for step in again.history] == [step.seconds for step in fit.history]


class Refusing(lem.Engine):
    """An engine that takes no chunks."""

    def place(self, chunks):
        raise AssertionError("chunks were placed")


def test_a_finished_fit_that_did_not_converge_says_so_again(tmp_path):
    """The warning comes with every return of an unfinished answer."""
    for _ in range(2):
        with pytest.warns(lem.ConvergenceWarning, match="raise max_steps"):
            lem.fit(lem.GaussianMixture(3), data(), n_starts=1, max_steps=3, checkpoint=tmp_path / "run.ckpt")


def test_a_fit_that_was_stopped_goes_on(tmp_path):
    """A fit that its callback stopped, or Ctrl-C, is not finished: the same call goes on to the undisturbed end."""
    path = tmp_path / "run.ckpt"

    def interrupt(state):
        if state.step.index == 7:
            raise KeyboardInterrupt

    def fit(**options):
        return lem.fit(lem.GaussianMixture(3), data(), n_starts=2, max_steps=50, **options)

    stopped = fit(checkpoint=path, callback=lambda state: lem.STOP if state.step.index == 11 else None)
    assert stopped.status.ending is lem.run.Ending.STOPPED
    interrupted = fit(checkpoint=path, callback=interrupt)
    assert interrupted.status.ending is lem.run.Ending.INTERRUPTED
    same(fit(checkpoint=path), fit())


def test_time_that_a_run_has_spent_is_kept(tmp_path):
    """A limit of seconds is one of the whole run, whatever it was interrupted by."""
    path = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        lem.fit(lem.GaussianMixture(3), data(), n_starts=1, max_steps=50, checkpoint=path, callback=stopping(10))
    before = Checkpointed(path).runs[0].step.seconds
    fit = lem.fit(lem.GaussianMixture(3), data(), n_starts=1, max_steps=50, checkpoint=path)
    assert fit.history[9].seconds == before
    assert (np.diff(fit.history.seconds) >= 0).all()


def Checkpointed(path):  # noqa: N802 - it reads like the value that it gives
    """What stands in a file, whatever it is of."""
    document, arrays = unpack(path)
    return Reading(arrays, library(), {}).read(document["values"], document["root"])


def changed_data():
    x = data()
    x[450, 1] += 1e-13
    return x


@pytest.mark.parametrize(
    ("differs", "options"),
    [
        ("model", {"model": lem.GaussianMixture(3, prior=lem.Floor(1e-6))}),
        ("data", {"data": changed_data()}),
        ("data", {"weights": np.ones(900)}),
        ("data", {"data": data()[:899]}),
        ("rng", {"rng": 1}),
        ("n_starts", {"n_starts": 3}),
        ("runner", {"max_steps": 4}),
        ("runner", {"stop": lem.gain_below(1e-3)}),
        ("start", {"start": np.arange(900) % 3}),
        ("model, rng", {"model": lem.KMeans(3), "rng": 2}),
    ],
)
def test_the_checkpoint_of_another_fit_is_refused(tmp_path, differs, options):
    """Another model, cell, weight, seed or option is refused, with the name of what differs."""
    path = tmp_path / "run.ckpt"
    given = {"model": lem.GaussianMixture(3), "data": data(), "n_starts": 2, "max_steps": 5}
    lem.fit(**given, checkpoint=path)
    with pytest.raises(ValueError, match=f"checkpoint of another fit, which differs in {differs}(:|, runner)"):
        lem.fit(**{**given, **options}, checkpoint=path)


@pytest.mark.parametrize("cut", [0, 5, 30, 200, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path, cut):
    """A file without its end is no checkpoint, and is left as it is."""
    path = tmp_path / "run.ckpt"
    lem.fit(lem.GaussianMixture(2), data(), n_starts=1, max_steps=3, checkpoint=path)
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.ckpt is no checkpoint of latentem, or a damaged one"):
        lem.fit(lem.GaussianMixture(2), data(), n_starts=1, max_steps=3, checkpoint=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"hello\n", b"latentem checkpoint 1\n", b"latentem checkpoint 1\n{}\nx"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    """What is no checkpoint is refused by name, before any value is made of it."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.txt is no checkpoint of latentem"):
        lem.fit(lem.GaussianMixture(2), data(), checkpoint=path)


def test_one_changed_byte_is_seen(tmp_path):
    """A body that is not the one that was written is refused."""
    path = tmp_path / "run.ckpt"
    lem.fit(lem.GaussianMixture(2), data(), n_starts=1, max_steps=3, checkpoint=path)
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        lem.fit(lem.GaussianMixture(2), data(), n_starts=1, max_steps=3, checkpoint=path)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [(3, TypeError, "give the path of a file"), ("no/such/run.ckpt", ValueError, "there is no such directory")],
)
def test_a_path_that_cannot_be_is_refused_before_any_work(given, error, message):
    """A number, and a directory that is not there."""
    with pytest.raises(error, match=message):
        lem.fit(lem.GaussianMixture(2), data(), checkpoint=given, engine=Refusing())


def test_values_that_cannot_be_written_are_named(tmp_path):
    """Parameters that no file can hold are an error that says what to do; the file that was there stays."""
    book = Checkpoint(tmp_path / "run.ckpt", library(), model=1)
    book.write(Standing(outcome=1))
    with pytest.raises(TypeError, match=r"function .*<lambda>.*make them attrs classes at the top of the module"):
        book.write(Standing(outcome=lambda: 1))
    assert book.read().outcome == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]


def test_a_standing_of_every_kind_of_run_comes_back(tmp_path):
    """A run under way with its memory of leaps, one that was degenerate at once, and one that has not begun."""
    runner = lem.EM(max_steps=60, accelerate=lem.Anderson())
    model = lem.GaussianMixture(3)
    first = lem.fit(model, data(), n_starts=1, max_steps=3).params
    state = runner.run(model, first, data())
    assert state.memory.points
    error = lem.Degenerate(1, "covariances", "row {row} alone is in it", row=3)
    standing = Standing((state, error, None), (0,), 1, (2,))
    book = Checkpoint(tmp_path / "run.ckpt", library(), model=model)
    book.write(standing)
    found = book.read()
    assert repr(found) == repr(standing)
    assert str(found.runs[1]) == str(error)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """The disk is full in mid-write: the last checkpoint is there, and nothing else."""
    book = Checkpoint(tmp_path / "run.ckpt", library(), model=1)
    book.write(Standing(outcome=1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        book.write(Standing(outcome=2))
    assert book.read().outcome == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]


def test_writes_are_no_more_often_than_they_should(tmp_path, monkeypatch):
    """After a write, the next is due when the interval is over, or longer where writing itself takes long."""
    clock = [0.0]
    monkeypatch.setattr(module, "INTERVAL", 5.0)
    monkeypatch.setattr(module, "_SHARE", 20)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(os, "fsync", lambda descriptor: clock.__setitem__(0, clock[0] + 1.0))
    book = Checkpoint(tmp_path / "run.ckpt", library())
    assert not book.due
    clock[0] = 5.0
    assert book.due
    book.write(Standing())
    clock[0] = 6.0 + 19.9
    assert not book.due
    clock[0] = 6.0 + 20.0
    assert book.due


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, np.nextafter(2.0, 3)])),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (1, True),
        ("1", 1),
        ([1, [2]], [[1], 2]),
        ({"a": 1}, {"a": 2}),
        (frozenset("ab"), frozenset("ac")),
        (lem.KMeans(3), lem.KMeans(4)),
        (lem.Gaussian(), lem.Gaussian(lem.Diagonal())),
        (np.random.default_rng(1), np.random.default_rng(2)),
        (lem.remaining_below(1e-3), lem.remaining_below(1e-4)),
    ],
)
def test_a_digest_tells_values_apart(one, other):
    """Whatever differs has another digest; equal values made twice have the same one."""
    assert digest(one) != digest(other)
    assert digest(one) == digest(pickle.loads(pickle.dumps(one)) if not isinstance(one, lem.run.StopRule) else one)


def upto(count, converged=True):
    """A stop rule after some steps, made of a closure."""
    ending = lem.run.Ending.CONVERGED if converged else lem.run.Ending.STOPPED
    return lambda state: lem.run.Status(ending, "enough") if state.step.index >= count else None


def test_a_digest_knows_what_closures_hold_and_what_lambdas_do():
    """Functions of one name that differ in their variables, their defaults, their code or their object are apart."""
    rules = [
        lem.remaining_below(1e-6, 3),
        lem.remaining_below(1e-6, 10),
        lem.remaining_below(1.0000001e-6, 3),
        upto(3),
        upto(4),
        upto(3, converged=False),
        lambda state: None,
        lambda state: 1,
        lambda state, most=1: None,
        "one".startswith,
        np.random.default_rng(1).random,
        np.random.default_rng(2).random,
    ]
    assert len({digest(rule) for rule in rules}) == len(rules)
    assert digest(upto(3)) == digest(upto(3))


def test_a_digest_is_the_same_in_every_process():
    """It does not depend on the seed of Python's hashes, nor on addresses."""
    code = (
        "import latentem as lem, numpy as np; from latentem.run.checkpoint import digest\n"
        "model = lem.Frozen(lem.Mixture(lem.Gaussian(), 3), {'weights', 'means'})\n"
        "runner = lem.EM(stop=lem.gain_below(1e-3) | (lambda state: None))\n"
        "print(digest([model, runner, {'b': 1, 'a': 2}, np.random.default_rng(3), np.random.SeedSequence(4)]))"
    )
    found = set()
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


def test_data_are_known_by_what_is_in_memory_or_by_their_ends():
    """Of chunks in memory every one counts; chunks that are loaded are known by their number, first and last."""
    assert digest(sample([1, 2, 3])) != digest(sample([1, 5, 3]))
    assert digest(sample(range(9))) != digest(sample(range(8)))
    assert sample(range(3, 9)) == (6, [3, 8])
    assert sample(range(1)) == (1, [0])


SCRIPT = """
import sys, time
import numpy as np, latentem as lem
from latentem.run import checkpoint
checkpoint.INTERVAL, checkpoint._SHARE = 0.0, 0
rng = np.random.default_rng(0)
x = rng.normal(rng.integers(3, size=(900, 1)), 0.7, (900, 2))
path = sys.argv[1] or None
print("ready", flush=True)
fit = lem.fit(lem.GaussianMixture(3), x, n_starts=4, max_steps=40, checkpoint=path,
              callback=lambda state: time.sleep(0.003))
steps = [repr(step).partition(", seconds=")[0] for step in fit.history]
print(fit.params.components.means.tobytes().hex(), fit.params.components.covariances.tobytes().hex(), steps,
      fit.log_evidence, fit.starts, fit.status)
"""


def test_a_fit_that_is_killed_again_and_again_gives_the_same_bits(tmp_path):
    """SIGKILL at random moments, also while a checkpoint is written: the same parameters and history in the end."""
    undisturbed = subprocess.run([sys.executable, "-c", SCRIPT, ""], capture_output=True, text=True, timeout=60)
    assert undisturbed.returncode == 0, undisturbed.stderr
    chance, path, killed = random.Random(0), tmp_path / "run.ckpt", 0
    for attempt in range(30):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        if attempt < 4:
            time.sleep(chance.uniform(0.02, 0.3))
            process.send_signal(signal.SIGKILL)
        rest, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
        killed += 1
    assert killed >= 2
    assert f"ready\n{rest}" == undisturbed.stdout


def test_a_fit_that_is_stopped_where_a_start_ends_has_not_ended(tmp_path):
    """`STOP` or Ctrl-C in the State with which one of several starts ends: the other starts are still to come."""
    path = tmp_path / "run.ckpt"
    whole = lem.fit(lem.KMeans(5), data())

    def pressed(state):
        if state.status is not None:
            raise KeyboardInterrupt

    for callback, ending in (
        (lambda state: lem.STOP if state.status is not None else None, lem.run.Ending.STOPPED),
        (pressed, lem.run.Ending.INTERRUPTED),
    ):
        first = lem.fit(lem.KMeans(5), data(), checkpoint=path, callback=callback)
        assert first.status.ending is ending
        assert len(first.starts) < 10 or any(not report.status.converged for report in first.starts)
    same(lem.fit(lem.KMeans(5), data(), checkpoint=path), whole)


def test_a_single_run_that_is_stopped_where_it_ends_has_ended():
    """There is nothing left to do, so its own ending stands."""
    fit = lem.fit(
        lem.GaussianMixture(2),
        data(),
        n_starts=1,
        callback=lambda state: lem.STOP if state.status is not None else None,
    )
    assert fit.converged


def test_each_write_has_a_file_of_its_own(tmp_path):
    """Two that keep one checkpoint do not share the file that they write, and a user's file of a like name stays."""
    path, mine = tmp_path / "run.ckpt", tmp_path / "run.ckpt.new"
    mine.write_text("mine")
    both = [Checkpoint(path, library(), model=lem.KMeans(2)) for _ in range(2)]
    errors = []

    def write(checkpoint):
        try:
            for visited in range(50):
                checkpoint.write(Standing(visited=visited))
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(checkpoint,)) for checkpoint in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert mine.read_text() == "mine"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.ckpt", "run.ckpt.new"]
    assert both[0].read() == Standing(visited=49)
