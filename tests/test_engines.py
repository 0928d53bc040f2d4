"""Engines in this process, linear algebra held to one thread, and engines that other packages bring."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

import latentem as lem
from latentem.core import tree_sum
from latentem.core.additive import total_of
from latentem.engine import installed, named
from latentem.engine.blas import one_thread

# Not converged is no matter here: a few steps show what is asked.
pytestmark = [pytest.mark.timeout(60), pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")]
ENGINES = [
    lem.Serial(),
    lem.Threads(1),
    lem.Threads(2),
    lem.Threads(3),
    lem.Threads(),
    lem.Processes(2),
    lem.Processes(3),
]


class Loaded(Sequence):
    """Chunks that are made when they are asked for; `loads` counts."""

    def __init__(self, count, seed=0):
        self.count, self.seed, self.loads = count, seed, 0

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if i >= self.count:
            raise IndexError(i)
        self.loads += 1
        rng = np.random.default_rng([self.seed, i])
        return lem.Rows(rng.normal(rng.integers(3, size=(100, 1)), 0.6, (100, 2)))


def fitted(engine, data, **options):
    model = lem.GaussianMixture(3)
    start = model.params([1 / 3] * 3, [[-1, 0], [1, 1], [3, 2]], [np.eye(2)] * 3)
    return lem.fit(model, data, start=start, engine=engine, max_steps=10, **options)


def steps(fit):
    return [repr(step).partition(", seconds=")[0] for step in fit.history]


def same(one, other):
    assert one.params == other.params
    assert steps(one) == steps(other)
    assert one.log_evidence == other.log_evidence


@pytest.mark.parametrize("count", [1, 2, 7, 33])
@pytest.mark.parametrize("engine", ENGINES[1:], ids=repr)
def test_any_number_of_threads_gives_the_same_bits(engine, count):
    """Parameters and history are those of a serial run, for chunks in memory and for chunks loaded on demand."""
    chunks = list(Loaded(count))
    serial = fitted(lem.Serial(), chunks)
    same(fitted(engine, chunks), serial)
    placed = engine.place(Loaded(count))
    assert lem.core.e_step(serial.model, serial.params, placed) == serial.expectation


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
def test_chunks_are_in_their_order(engine):
    """Length, iteration and `each` have the chunks as they were given; iterating loads each once."""
    source = Loaded(9)
    placed, chunks = engine.place(source), list(Loaded(9))
    assert len(placed) == 9
    assert list(placed) == chunks
    assert source.loads == 9
    assert placed.each(lambda chunk: chunk.x[0, 0]) == [chunk.x[0, 0] for chunk in chunks]


def count(chunk, cache):
    """How often this has been done beside the chunk."""
    cache["passes"] = cache.get("passes", 0) + 1
    return cache["passes"]


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
def test_a_cache_stays_beside_its_chunk(engine):
    """What a pass keeps is there in the next one for chunks in memory, and never for those that are loaded anew."""

    kept, loaded = engine.place(list(Loaded(6))), engine.place(Loaded(6))
    assert [kept.total(count) for _ in range(3)] == [6, 12, 18]
    assert [loaded.total(count) for _ in range(3)] == [6, 6, 6]


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
def test_no_chunks_are_an_error(engine):
    """There is no sum of nothing."""
    with pytest.raises(ValueError, match="no chunks were given"):
        engine.place([]).total(lambda chunk, cache: 1.0)


@pytest.mark.parametrize("branch", [4, 16, 64])
def test_the_tree_of_the_branches_is_the_tree_of_the_leaves(branch):
    """Summing whole branches first gives the same bits, for every number of values: engines may share them out so."""
    values = np.random.default_rng(0).normal(size=300) * 10.0 ** np.random.default_rng(1).integers(-8, 8, 300)
    for count in range(1, 301):
        parts = [tree_sum(values[i : min(i + branch, count)]) for i in range(0, count, branch)]
        assert tree_sum(parts) == tree_sum(values[:count])


def test_a_node_of_the_tree_can_be_made_elsewhere():
    """With nodes that write down what they add, the tree of ten values is the one of the documentation."""
    assert tree_sum(map(str, range(10)), node=lambda parts: f"({'+'.join(parts)})") == "((0+1+2+3)+(4+5+6+7)+(8+9))"
    assert tree_sum(map(str, range(5)), node=lambda parts: f"({'+'.join(parts)})") == "((0+1+2+3)+4)"
    assert total_of(["a", "b", "c"]) == "abc"


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
def test_the_first_error_in_order_is_raised_and_the_engine_goes_on(engine):
    """Where several chunks fail, the first in their order says why; the next pass is as if nothing had been."""

    def fail(chunk, cache):
        if chunk == 2:
            time.sleep(0.05)
        if chunk in (2, 3, 7):
            raise lem.Degenerate(chunk, "means", "lost")
        return chunk

    placed = engine.place(list(range(9)))
    for _ in range(2):
        with pytest.raises(lem.Degenerate) as error:
            placed.total(fail)
        assert error.value.component == 2
    assert placed.total(lambda chunk, cache: chunk) == 36


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_mid_pass_ends_the_pass_and_no_more(engine):
    """A KeyboardInterrupt reaches the caller at once, BLAS has its threads back, and the next pass is whole."""

    caller = os.getpid()

    def interrupted(chunk, cache):
        if chunk == 3:
            os.kill(caller, signal.SIGINT)
            time.sleep(0.05)
        return chunk

    placed = engine.place(list(range(9)))
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with pytest.raises(KeyboardInterrupt):
            placed.total(interrupted)
        assert blas_threads() == before
    assert placed.total(lambda chunk, cache: chunk) == 36


@pytest.mark.usefixtures("ctrl_c")
def test_a_fit_that_is_interrupted_in_mid_pass_returns_the_best_so_far():
    """Ctrl-C while threads compute: the fit ends with the status "interrupted" and its last whole step."""

    class Interrupting(Loaded):
        def __getitem__(self, i):
            if self.loads == 80:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.05)
            return super().__getitem__(i)

    model = lem.GaussianMixture(3)
    start = fitted(lem.Serial(), list(Loaded(8))).params
    placed = lem.Threads(2).place(Interrupting(8))
    result = lem.EM(stop=lambda state: None, max_steps=50).run(model, start, placed)
    assert result.status.ending is lem.run.Ending.INTERRUPTED
    assert 5 < len(result.history) < 12


def blas_threads():
    return sorted(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
def test_linear_algebra_has_one_thread_within_a_pass_and_all_of_them_after(engine):
    """Within a task BLAS is held to one thread, also where a task asks an engine itself; afterwards it is as before."""
    placed = engine.place([1, 2, 3])
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        assert max(before) == 2
        nested = placed.each(lambda chunk: (blas_threads(), engine.place([1, 2]).each(lambda inner: blas_threads())))
        assert all(max(outer) == 1 and max(map(max, inner)) == 1 for outer, inner in nested)
        assert blas_threads() == before


def children():
    """The processes that this one has forked and not yet collected."""
    found = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "pid=,comm="], capture_output=True, text=True
    ).stdout
    return {int(line.split()[0]) for line in found.splitlines() if not line.endswith(" ps")}


def where(chunk, cache):
    """Which process computes, and how often it has been here."""
    cache["passes"] = cache.get("passes", 0) + 1
    return f"{os.getpid()}/{cache['passes']} "


def test_processes_are_forked_once_and_end_with_their_chunks():
    """Three passes are made by the same three processes, this one among them; without the chunks they are gone."""
    before, placed = children(), lem.Processes(3).place(list(range(9)))
    assert children() == before
    passes = [placed.total(where).split() for _ in range(3)]
    mine = children() - before
    assert len(mine) == 2
    for i, answers in enumerate(passes, 1):
        at = [answer.partition("/") for answer in answers]
        assert [int(process) for process, _, _ in at] == [os.getpid()] * 3 + [p for p in sorted(mine) for _ in range(3)]
        assert {times for _, _, times in at} == {str(i)}
    del placed
    assert children() == before


class Killing:
    """A model's E-step that kills the process that computes it at some passes, unless it is the caller's."""

    def __init__(self, at):
        self.at, self.passes, self.caller = at, 0, os.getpid()

    def __call__(self, state):
        self.passes += 1
        if self.passes in self.at:
            for child in children():
                os.kill(child, signal.SIGKILL)


def test_processes_that_are_killed_in_mid_run_change_nothing():
    """All workers are killed before the third and the sixth pass: parameters and history are those of a serial run."""
    chunks, model = list(Loaded(12)), lem.GaussianMixture(3)
    start = model.params([1 / 3] * 3, [[-1, 0], [1, 1], [3, 2]], [np.eye(2)] * 3)
    killing = Killing({3, 6})
    runner = lem.EM(stop=lambda state: killing(state), max_steps=10)
    result = runner.run(model, start, lem.Processes(3).place(chunks))
    serial = lem.EM(stop=lambda state: None, max_steps=10).run(model, start, chunks)
    assert killing.passes >= 6
    assert result.params == serial.params
    assert steps(result) == steps(serial)


def test_work_that_kills_every_process_is_given_up():
    """A chunk at which three processes in a row are lost ends the pass with an error, and not in a loop."""
    caller = os.getpid()

    def deadly(chunk, cache):
        if os.getpid() != caller:
            os.kill(os.getpid(), signal.SIGKILL)
        return chunk

    placed = lem.Processes(2).place([1, 2])
    with pytest.raises(RuntimeError, match="3 processes were lost in a row"):
        placed.total(deadly)
    assert placed.total(lambda chunk, cache: chunk) == 3


def test_an_error_in_a_process_says_where_it_was():
    """The type and the text are those of the error, and a note has its traceback."""

    def divide(chunk):
        return 1 / (3 - chunk)

    with pytest.raises(ZeroDivisionError) as error:
        lem.Processes(2).place([1, 2, 3, 4]).each(divide)
    assert "in divide" in error.value.__notes__[0]


def test_numpy_warns_in_processes_as_it_does_here():
    """What the caller's errstate makes an error is one in a forked process too."""
    placed = lem.Processes(2).place([np.zeros(1), np.ones(1), np.zeros(1)])
    with np.errstate(divide="ignore"):
        assert placed.total(lambda chunk, cache: 1 / chunk) == np.inf
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        placed.total(lambda chunk, cache: 1 / (1 - chunk))


def test_processes_within_processes_compute_where_they_are():
    """A task that asks for processes itself, even for its own, gets no more of them: in a fork or a thread of ours."""
    placed = lem.Processes(2).place([1, 2])
    for chunks in (placed, lem.Threads(2).place([1, 2])):
        for inside in (placed, lem.Processes(2).place([1, 2])):
            nested = chunks.each(lambda chunk, inside=inside: (os.getpid(), inside.total(where)))
            assert all(answer == f"{process}/1 " * 2 for process, answer in nested)
            assert len({process for process, _ in nested}) == (2 if chunks is placed else 1)


def in_a_pool(chunk):
    """What processes come to in a worker of somebody else's pool."""
    return lem.Processes(2).place([1, 2, chunk]).total(where).split()


def test_processes_within_a_pool_of_the_caller_s_compute_in_threads():
    """A daemon may have no children: there the chunks are computed where they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on it warns of every fork beside threads
        with multiprocessing.get_context("fork").Pool(1) as pool:
            answers = pool.map(in_a_pool, [3, 4])
    assert all(len({answer.partition("/")[0] for answer in one}) == 1 for one in answers)


def test_processes_know_a_closure_as_it_is_now():
    """A closure whose variable has changed between two passes gives what it gives elsewhere."""
    factor = 1

    def scaled(chunk, cache):
        return factor * chunk

    placed = lem.Processes(2).place([1, 2, 3])
    assert placed.total(scaled) == 6
    factor = 10
    assert placed.total(scaled) == 60


def ended(chunk):
    """An error of the kinds that say that a pipe has ended."""
    if chunk == 4:
        raise EOFError("the task's own")
    return chunk


class Locked(Exception):
    """An error that can't be pickled."""

    def __init__(self, text, more):
        super().__init__(text)
        self.lock = threading.Lock()


def test_what_can_t_come_home_from_a_process_says_what_it_was():
    """An answer or an error that can't be pickled ends the pass with its name and text; the next pass is whole."""

    def locked(chunk):
        if chunk == 4:
            raise Locked("out of luck", 1)
        return chunk

    placed = lem.Processes(2).place([1, 2, 3, 4])
    with pytest.raises(RuntimeError, match="Locked: out of luck"):
        placed.each(locked)
    with pytest.raises(TypeError, match="lock"):
        placed.each(lambda chunk: threading.Lock())
    with pytest.raises(SystemExit):
        placed.each(lambda chunk: sys.exit(3) if chunk == 4 else chunk)
    with pytest.raises(EOFError, match="the task's own"):  # and not that of a worker that is gone
        placed.each(ended)
    assert placed.each(lambda chunk: chunk) == [1, 2, 3, 4]


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_leaves_no_old_answer_behind(monkeypatch):
    """An interrupt while workers are being stopped does not leave one whose answer the next pass would take."""
    placed = lem.Processes(3).place([1, 2, 3, 4, 5, 6])
    assert placed.total(count) == 6

    def interrupted(chunk, cache):
        raise KeyboardInterrupt

    stop = type(placed._workers[0]).stop

    def twice(worker):
        stop(worker)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(placed._workers[0]), "stop", twice)
        with pytest.raises(KeyboardInterrupt):
            placed.total(interrupted)
    assert placed.total(lambda chunk, cache: chunk) == 21


def test_workers_of_several_threads_may_be_lost_at_once():
    """Six placements in threads of the caller fork side by side; all workers are killed, and all sums are whole."""
    totals, ready = [], threading.Barrier(6)

    def call():
        placed = lem.Processes(2).place([1, 2, 3])
        ready.wait()
        placed.total(count)
        if ready.wait() == 0:
            for child in children():
                os.kill(child, signal.SIGKILL)
        ready.wait()
        totals.append(placed.total(count))

    callers = [threading.Thread(target=call) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert totals == [2 * 1 + 1 + 1] * 6  # the first chunk is the caller's own, and has kept its cache


def test_what_processes_warn_of_is_warned_of_here():
    """Warnings in a forked process come home, where the caller's filters decide about them."""

    def warn(chunk):
        warnings.warn(f"chunk {chunk}", UserWarning, stacklevel=1)
        return chunk

    placed = lem.Processes(2).place([1, 2, 3, 4])
    with pytest.warns(UserWarning, match="chunk") as caught:
        placed.each(warn)
    assert sorted(str(warning.message) for warning in caught) == [f"chunk {i}" for i in (1, 2, 3, 4)]
    with pytest.raises(UserWarning, match="chunk 1"):
        placed.each(warn)


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_processes_are_refused_where_there_is_no_fork(monkeypatch, system):
    """At once, with what to use instead."""
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(ValueError, match=f"which {system} has not: use Threads"):
        lem.Processes()


BITS = """
import warnings, numpy as np, latentem as lem
warnings.simplefilter("ignore")  # five steps do not converge, and forks beside threads are warned of
rng = np.random.default_rng(0)
x = rng.standard_normal((1500, 150))
x[:700, 0] += 3
model = lem.GaussianMixture(2)
start = model.params([0.5, 0.5], [x[:700].mean(0), x[700:].mean(0)], [np.cov(x.T)] * 2)
engines = [lem.Serial(), lem.Threads(2), lem.Processes(2)]
fits = [lem.fit(model, x, start=start, max_steps=5, engine=engine) for engine in engines]
print(all(fit.params == fits[0].params for fit in fits))
"""


def test_the_bits_do_not_depend_on_how_many_threads_linear_algebra_has():
    """In 150 columns, with two BLAS threads outside of passes, parameters are the same from every engine."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", BITS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, env=environment)
    assert done.stdout.split() == ["True"], done.stderr


def test_the_last_to_leave_lifts_the_limit():
    """Two threads hold in turn, overlapping: the limit stays until the second has left, whatever the order."""
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with one_thread():
            entered.set()
            leave.wait()

    with threadpool_limits(2, "blas"):
        other = threading.Thread(target=hold)
        with one_thread():
            other.start()
            entered.wait()
        assert max(blas_threads()) == 1
        leave.set()
        other.join()
        assert max(blas_threads()) == 2


def test_who_set_a_limit_before_does_not_matter():
    """A thread that has set a limit once, and lives on, does not keep others from holding BLAS to one thread."""
    done, leave = threading.Event(), threading.Event()

    def set_once():
        ThreadpoolController().limit(limits=2, user_api="blas")
        done.set()
        leave.wait()

    other = threading.Thread(target=set_once)
    before = blas_threads()
    with one_thread():
        pass
    other.start()
    done.wait()
    with one_thread():
        assert max(blas_threads()) == 1
    assert max(blas_threads()) == 2
    leave.set()
    other.join()
    ThreadpoolController().limit(limits=max(before), user_api="blas")


def test_callers_in_threads_of_their_own_get_no_more_threads():
    """Four callers at once on Threads(2): never more than two chunks are under way, and each gets its own bits."""
    lock, under_way, most = threading.Lock(), [0], [0]

    def task(chunk, cache):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.005)
        with lock:
            under_way[0] -= 1
        return chunk

    totals = {}

    def call(i):
        totals[i] = lem.Threads(2).place([float(i)] * 10).total(task)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert totals == {i: 10.0 * i for i in range(4)}
    assert most[0] == 2


def test_fits_in_threads_of_the_caller_give_what_they_give_alone():
    """Three fits at once in the caller's threads, on the same engine: the bits of each alone."""
    data = [list(Loaded(8, seed)) for seed in range(3)]
    fits = {}
    callers = [threading.Thread(target=lambda i=i: fits.update({i: fitted(lem.Threads(2), data[i])})) for i in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for i in range(3):
        same(fits[i], fitted(lem.Serial(), data[i]))


def test_numpy_warnings_are_as_the_caller_wants_them():
    """What the caller says of floating-point errors holds in the threads too."""

    def divide(chunk):
        return np.float64(1) / np.float64(0)

    placed = lem.Threads(2).place([1, 2, 3])
    with np.errstate(divide="ignore"):
        assert placed.each(divide) == [np.inf] * 3
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        placed.each(divide)


FORK = """
import os, sys
import numpy as np, latentem as lem
rng = np.random.default_rng(0)
x = np.concatenate([rng.normal(m, 1, (3000, 2)) for m in (0, 3)])
def figures():
    return lem.fit(lem.GaussianMixture(2), x, n_starts=2, engine=lem.Threads(2)).params.components.means.tobytes().hex()
mine = figures()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.write(writer, figures().encode())
    os._exit(0)
os.waitpid(child, 0)
print(os.read(reader, 10000).decode() == mine == figures())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows no fork")
def test_a_fork_in_between_does_not_hang():
    """A child that is forked after threads have run has threads of its own, and the same bits."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=50)
    assert done.stdout.split() == ["True"], done.stderr


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "two"])
@pytest.mark.parametrize("engine", [lem.Threads, lem.Processes])
def test_how_many_compute_is_a_natural_number(engine, count):
    """Anything else is refused, with what is allowed."""
    with pytest.raises(ValueError, match="give how many compute at a time, at least 1, or None"):
        engine(count)


def announce(path, monkeypatch, entries):
    """An installed package that announces engines."""
    package = path / "other_engines-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: other-engines\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (package / "entry_points.txt").write_text(f"[latentem.engines]\n{lines}")
    (path / "other_engines.py").write_text(
        "import latentem as lem\n"
        "class Reversed(lem.Engine):\n"
        "    def place(self, chunks):\n"
        "        return lem.Serial().place(chunks[::-1])\n"
        "def no_engine():\n"
        "    return 1\n"
    )
    monkeypatch.syspath_prepend(path)


def test_an_engine_of_another_package_is_found_by_name(tmp_path, monkeypatch):
    """A package that announces an engine in the group "latentem.engines" makes it available, and fits run on it."""
    announce(tmp_path, monkeypatch, {"backwards": "other_engines:Reversed"})
    assert "backwards" in installed()
    engine = named("backwards")()
    chunks = list(Loaded(5))
    same(fitted(engine, chunks), fitted(lem.Serial(), chunks[::-1]))


def test_what_is_no_engine_is_refused_by_name(tmp_path, monkeypatch):
    """An unknown name lists the known ones; a function and a name that stands for two things are refused."""
    announce(tmp_path, monkeypatch, {"one": "other_engines:no_engine", "backwards": "other_engines:Reversed"})
    with pytest.raises(ValueError, match=r"no engine is called 'ray': installed packages announce .*backwards.*one"):
        named("ray")
    with pytest.raises(ValueError, match="no class that derives from Engine"):
        named("one")


def test_the_engines_of_the_library_are_announced():
    """The project's own entry points name its own engines."""
    import tomllib
    from importlib import import_module
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    found = {}
    for name, value in project["entry-points"]["latentem.engines"].items():
        module, _, engine = value.partition(":")
        found[name] = getattr(import_module(module), engine)
    assert found == {"serial": lem.Serial, "threads": lem.Threads, "processes": lem.Processes, "dask": lem.Dask}
