"""The engine on a Dask cluster of worker processes."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

import latentem as lem
from latentem.core import ColumnError, tree_sum

distributed = pytest.importorskip("distributed", reason="the engine is an extra, latentem[dask]")
# Not converged is no matter here: a few steps show what is asked.
pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")]


@pytest.fixture(scope="module")
def client():
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import a test
    options = {"n_workers": 3, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, silence_logs=50) as cluster, distributed.Client(cluster) as client:
        yield client
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Loaded(Sequence):
    """Chunks that are made when they are asked for, and never in the process that made this."""

    def __init__(self, count):
        self.count, self.home = count, os.getpid()

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        assert os.getpid() != self.home, "a chunk was loaded in the process of the client"
        return drawn(i)


def drawn(i):
    rng = np.random.default_rng(i)
    return lem.Rows(rng.normal(rng.integers(3, size=(100, 1)), 0.6, (100, 2)))


def fitted(engine, data, **options):
    """A fit of three overlapping components, from the same start, which takes the 13 passes that it is given."""
    model = lem.GaussianMixture(3)
    start = model.params([1 / 3] * 3, [[-1, 0], [1, 1], [3, 2]], [np.eye(2)] * 3)
    return lem.fit(model, data, start=start, engine=engine, max_steps=12, **options)


def model_params():
    return fitted(lem.Serial(), [drawn(0)]).params


def steps(fit):
    """The history without the times."""
    return [repr(step).partition(", seconds=")[0] for step in fit.history]


def same(one, other):
    assert one.params == other.params
    assert one.expectation == other.expectation
    assert steps(one) == steps(other)
    assert one.log_evidence == other.log_evidence


@pytest.mark.parametrize("count", [1, 23, 100])
def test_a_cluster_gives_the_bits_of_one_process(client, count):
    """Parameters, statistics and history are those of a serial run with the same chunks, however many share a task."""
    chunks = [drawn(i) for i in range(count)]
    same(fitted(lem.Dask(client), chunks), fitted(lem.Serial(), chunks))


def kill_a_worker(client, state):
    if state.step.index == 5:
        os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)


def test_a_killed_worker_changes_nothing(client):
    """A worker of three, killed by SIGKILL at pass 6 of 13: the bits of the undisturbed run, and of a serial one."""
    chunks = [drawn(i) for i in range(23)]
    undisturbed = fitted(lem.Dask(client), chunks)
    same(undisturbed, fitted(lem.Serial(), chunks))
    same(fitted(lem.Dask(client), chunks, callback=partial(kill_a_worker, client)), undisturbed)
    client.wait_for_workers(3)


def test_workers_load_chunks_that_are_loaded_on_demand(client):
    """A sequence that loads its chunks travels itself; the chunks never pass through the client, lost ones neither."""
    placed = lem.Dask(client).place(Loaded(30))
    model, params = lem.GaussianMixture(3), model_params()
    here = tree_sum(model.expectation(params, drawn(i)) for i in range(30))
    assert lem.core.e_step(model, params, placed) == here
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)
    assert lem.core.e_step(model, params, placed) == here
    client.wait_for_workers(3)


def test_chunks_come_back_in_their_order(client):
    """Length, iteration and `each` have the chunks as they were given."""
    chunks = [drawn(i) for i in range(30)]
    placed = lem.Dask(client).place(chunks)
    assert len(placed) == 30
    assert list(placed) == chunks
    assert placed.each(first_cell) == [first_cell(chunk) for chunk in chunks]


def first_cell(chunk):
    return float(chunk.x[0, 0])


def failing(error, chunk, cache=None):
    raise error


@pytest.mark.parametrize(
    "error", [lem.Degenerate(2, "means", "lost"), ColumnError(3, "is constant"), ValueError("a, b")], ids=repr
)
def test_errors_come_back_as_themselves(client, error):
    """What a model raises on a worker is raised here, with its fields."""
    placed = lem.Dask(client).place([drawn(0), drawn(1)])
    for call in (placed.total, placed.each):
        with pytest.raises(type(error)) as caught:
            call(partial(failing, error))
        assert str(caught.value) == str(error)


def test_a_run_that_degenerates_on_a_worker_ends_with_a_status(client):
    """A Degenerate from a worker is what it is in one process: at the start the error of the fit."""
    model = lem.GaussianMixture(1)
    start = model.params([1.0], [[0.0, 0.0]], [np.eye(2)])
    far = lem.Rows(np.full((3, 2), 1e200) * [[1], [2], [3]])
    caught = []
    for engine in (lem.Serial(), lem.Dask(client)):
        with np.errstate(all="ignore"), pytest.raises(lem.Degenerate) as error:
            lem.EM().run(model, start, engine.place([far]))
        caught.append(str(error.value))
    assert caught[0] == caught[1]


def counted(chunk, cache):
    cache["passes"] = cache.get("passes", 0) + 1
    return np.array([cache["passes"], len(cache)])


def test_what_is_kept_beside_a_chunk_is_there_in_the_next_pass(client):
    """A cache lives as long as its chunk stays where it is, and is another one in every placement."""
    chunks = [drawn(i) for i in range(9)]
    placed = lem.Dask(client).place(chunks)
    totals = [placed.total(counted).tolist() for _ in range(3)]
    assert totals[0] == [9, 9]
    assert 9 < totals[2][0] <= 27
    assert lem.Dask(client).place(chunks).total(counted).tolist() == [9, 9]


def test_what_is_kept_beside_a_chunk_does_not_travel():
    """Chunks that are moved to another worker arrive with empty caches, and with the size that Dask sees."""
    import cloudpickle
    from dask.sizeof import sizeof

    from latentem.engine.dask import _kept, _sealed

    kept = _kept(_sealed(([drawn(0), drawn(1)], range(2))))
    kept.caches[0]["bounds"] = np.ones(1000)
    moved = cloudpickle.loads(cloudpickle.dumps(kept))
    assert moved.chunks == kept.chunks
    assert moved.caches == [{}, {}]
    assert 2 * 100 * 2 * 8 <= sizeof(moved) < 2 * 100 * 2 * 8 + 2000


def test_a_pass_leaves_nothing_on_the_cluster(client):
    """After a pass the scheduler knows the chunks and nothing else; without the placement, not even those."""
    gc.collect()  # the tracebacks of other tests hold their placements
    placed = lem.Dask(client).place([drawn(i) for i in range(9)])
    for _ in range(3):
        placed.total(counted)
        placed.each(first_cell)
    assert eventually(lambda: tasks(client) == {"latentem-chunks": 9}), tasks(client)
    del placed
    assert eventually(lambda: not tasks(client)), tasks(client)


def tasks(client):
    def look(dask_scheduler):
        found = {}
        for key in dask_scheduler.tasks:
            name = key.rsplit("-", 2)[0]
            found[name] = found.get(name, 0) + 1
        return found

    return client.run_on_scheduler(look)


def eventually(fact):
    wait = threading.Event()
    for _ in range(100):
        if fact():
            return True
        wait.wait(0.05)
    return False


def test_fits_at_the_same_time_do_not_meet(client):
    """Two fits in two threads of the caller, on one cluster, each give what they give alone."""
    data = [[drawn(i) for i in range(20)], [drawn(i) for i in range(50, 70)]]
    fits = {}

    def one(i):
        fits[i] = fitted(lem.Dask(client), data[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(2):
        same(fits[i], fitted(lem.Serial(), data[i]))


def test_the_current_client_is_found(client):
    """Dask() takes the client that was made last."""
    same(fitted(lem.Dask(), [drawn(0), drawn(1)]), fitted(lem.Serial(), [drawn(0), drawn(1)]))


def test_what_is_missing_is_said(monkeypatch):
    """Without a client, and without the library, the message says what to do."""
    monkeypatch.setattr(distributed, "get_client", no_client)
    with pytest.raises(ValueError, match=r"there is no Dask client: make one"):
        lem.Dask().place([])
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install dask distributed"):
        lem.Dask().place([])


def no_client():
    raise ValueError("No global client found")


NOTEBOOK = """
import attrs, numpy as np, latentem as lem
from distributed import Client, LocalCluster

@attrs.frozen
class Counts(lem.Additive):
    total: float
    units: float

@attrs.frozen
class Noise:
    size: int
    def entropy(self):
        return 0.0

@attrs.frozen
class Rate(lem.LatentModel):
    scale: float
    def posterior(self, params, chunk):
        return Noise(len(chunk))
    def statistics(self, chunk, posterior):
        return Counts(float(chunk.sum()), posterior.size)
    def log_joint(self, params, statistics):
        return statistics.total * np.log(params.rate * self.scale) - statistics.units * params.rate * self.scale
    def blocks(self):
        return [lem.Block(("rate",), lambda s, p: s.total / s.units / self.scale, lambda p: 1)]
    def first(self, statistics):
        return Params(1.0)

@attrs.frozen
class Params:
    rate: float

if __name__ == "__main__":
    chunks = [np.random.default_rng(i).poisson(3.0, 50) for i in range(12)]
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        fits = [lem.fit(Rate(2.0), chunks, start=Params(1.0), engine=e) for e in (lem.Serial(), lem.Dask())]
    assert type(fits[1].expectation.statistics) is Counts
    assert fits[0].params == fits[1].params and fits[0].expectation == fits[1].expectation
    print(fits[1].params.rate == np.concatenate(chunks).mean() / 2)
"""


def test_a_model_defined_in_main_works(tmp_path):
    """Model, parameters and statistics defined in the `__main__` of a script, as in a notebook, run on the workers."""
    script = tmp_path / "notebook.py"
    script.write_text(textwrap.dedent(NOTEBOOK))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"]


def test_several_starts_share_passes_and_survive_a_lost_worker(client):
    """Random starts of K-means and of a mixture, a worker killed in mid-run: the fits of one process, every report."""
    chunks = [drawn(i) for i in range(6)]
    for model in (lem.KMeans(4), lem.GaussianMixture(3)):
        options = {"n_starts": 4, "max_steps": 21}
        here = lem.fit(model, chunks, engine=lem.Serial(), **options)
        callback = None if isinstance(model, lem.KMeans) else partial(kill_a_worker_once, client, [])
        there = lem.fit(model, chunks, engine=lem.Dask(client), callback=callback, **options)
        same(there, here)
        assert there.starts == here.starts
        client.wait_for_workers(3)


def kill_a_worker_once(client, killed, state):
    if state.step.index == 3 and not killed:
        killed.append(min(client.run(os.getpid).values()))
        os.kill(killed[0], signal.SIGKILL)


def test_a_file_is_read_by_the_workers(client, tmp_path):
    """A fit of a file on the cluster has the bits of a fit of the same rows in memory."""
    rows = np.concatenate([drawn(i).x for i in range(300)])
    np.save(tmp_path / "rows.npy", rows)
    model = lem.GaussianMixture(3)
    start = model.params([1 / 3] * 3, [[-1, 0], [1, 1], [3, 2]], [np.eye(2)] * 3)
    there = lem.fit(model, tmp_path / "rows.npy", start=start, max_steps=6, engine=lem.Dask(client))
    same(there, lem.fit(model, rows, start=start, max_steps=6))


def test_data_that_cannot_be_fitted_are_refused_where_they_are_loaded(client, tmp_path):
    """The check of a source runs on the workers; what is wrong there is said here, as for data in memory."""
    rows = np.concatenate([drawn(i).x for i in range(300)])
    rows[:, 1] = -3.0
    np.save(tmp_path / "rows.npy", rows)
    model = lem.Mixture(lem.Poisson(), 2)
    messages = []
    for data, engine in ((rows, lem.Serial()), (tmp_path / "rows.npy", lem.Dask(client))):
        with pytest.raises(ValueError, match="outside the support") as error:
            lem.fit(model, data, engine=engine)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
