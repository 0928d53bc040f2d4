"""Fits in files: they come back to the last bit, whole or not at all, and nothing else is taken for one."""

from __future__ import annotations

import ast
import enum
import os
import subprocess
import sys
import time
from pathlib import Path

import attrs
import kept
import numpy as np
import pytest

import latentem as lem
from latentem.archive import BadArchive, unpack
from latentem.saved import library

ROOT = Path(__file__).parent.parent
OLD = sorted((Path(__file__).parent / "archive").glob("*.lem"))
pytestmark = [pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")]


def same(one, other):
    """Equal in all that a fit shows, to the last digit."""
    assert repr(one.params) == repr(other.params)
    assert attrs.asdict(one, recurse=False).keys() == attrs.asdict(other, recurse=False).keys()
    assert one.history == other.history
    for name in ("model", "expectation", "status", "events", "starts", "log_evidence", "columns"):
        assert repr(getattr(one, name)) == repr(getattr(other, name))
    assert (repr(one), str(one)) == (repr(other), str(other))


def returned(fit, tmp_path, known=()):
    """The fit by way of a file; it must be the file that the returned one writes."""
    path, again = tmp_path / "one.lem", tmp_path / "two.lem"
    fit.save(path)
    found = lem.load(path, known)
    found.save(again)
    assert path.read_bytes() == again.read_bytes()
    return found


@pytest.mark.parametrize("name", kept.SUBJECTS)
def test_a_fit_comes_back_to_the_last_bit(tmp_path, name):
    """Of every model and family: parameters, statistics, history, events and text, and what it says of data."""
    fit, data = kept.fitted(name), kept.SUBJECTS[name][1]
    found = returned(fit, tmp_path)
    same(found, fit)
    assert found.n_parameters == fit.n_parameters
    if fit.log_evidence is not None:
        assert repr(found.score(data)) == repr(fit.score(data))


@pytest.mark.parametrize("name", kept.RUNNERS)
def test_a_fit_of_every_runner_comes_back(tmp_path, name):
    """However the fit was run: the steps of all kinds, and what became of each start."""
    fit = lem.fit(lem.GaussianMixture(2), kept.clusters(), n_starts=2, runner=kept.RUNNERS[name], engine=lem.Serial())
    same(returned(fit, tmp_path), fit)


def test_a_fit_by_hand_and_one_with_names_come_back(tmp_path):
    """Parameters that were given, and columns that have names."""
    model = lem.GaussianMixture(1)
    given = lem.Fit.of(model, model.params([1.0], [[0.0, 0.0]], [np.eye(2)]), kept.clusters())
    same(returned(given, tmp_path), given)
    named = attrs.evolve(given, columns=("waiting", 'a "name", ä\n'))
    same(returned(named, tmp_path), named)


def test_equal_fits_are_equal_bytes_in_every_process(tmp_path):
    """Neither the time nor the seed of Python's hashes shows in a file."""
    code = (
        "import sys, latentem as lem; from attrs import evolve\n"
        "model = lem.Frozen(lem.Mixture(lem.Gaussian(), 2), {'weights', 'means', 'covariances'})\n"
        "x = lem.datasets.old_faithful(); from latentem.model import MixtureParams\n"
        "p = MixtureParams([0.4, 0.6], lem.Gaussian().params([[2, 55], [4, 80]], [[[1, 0], [0, 36]]] * 2))\n"
        "fit = lem.Fit.of(model, p, x)\n"
        "step = evolve(fit.history[0], seconds=0.0)\n"
        "evolve(fit, history=lem.run.History([step], 1)).save(sys.argv[1])\n"
    )
    found = []
    for seed in "12":
        path = tmp_path / f"{seed}.lem"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment, timeout=100)
        found.append(path.read_bytes())
    assert found[0] == found[1]


@attrs.frozen
class Maxwell(lem.ExponentialFamily):
    """A family of one's own."""

    note: str = "speeds"

    def T(self, x):  # noqa: N802 - the name that the field gives it
        return x**2

    def log_base(self, x):
        return (np.log(2 / np.pi) / 2 + 2 * np.log(x)).sum(axis=1)

    def natural(self, params):
        return -1 / (2 * params**2)

    def log_partition(self, params):
        return 3 * np.log(params).sum(axis=1)

    def from_mean(self, mean):
        return np.sqrt(mean / 3)


SPEEDS = np.abs(np.random.default_rng(1).normal(2, 1, (80, 1))) + 0.1


def speeds():
    return lem.fit(lem.Mixture(Maxwell("of atoms"), 2), SPEEDS, n_starts=1, max_steps=5, engine=lem.Serial())


def test_classes_of_ones_own_are_named_when_loading(tmp_path):
    """Unnamed they are refused by name, though their module is loaded; named they come back."""
    fit = speeds()
    same(returned(fit, tmp_path, [Maxwell]), fit)
    with pytest.raises(BadArchive, match=r"class of one's own: name it when loading, known=\[Maxwell\]"):
        lem.load(tmp_path / "one.lem")


def test_a_checkpoint_finds_the_classes_beside_the_model(tmp_path):
    """The same call knows the user's classes: the fit that ended comes back from its checkpoint."""
    path = tmp_path / "run.ckpt"
    options = {"n_starts": 1, "max_steps": 5, "checkpoint": path, "engine": lem.Serial()}
    model = lem.Mixture(Maxwell("of atoms"), 2)
    same(lem.fit(model, SPEEDS, **options), lem.fit(model, SPEEDS, **options))


@pytest.mark.parametrize(
    ("path", "known", "error", "message"),
    [
        (3, (), TypeError, "give the path of a file"),
        ("x.lem", [3], TypeError, r"known=\[Maxwell\]"),
        ("x.lem", [Maxwell, type("Maxwell", (), {})], ValueError, "two classes called Maxwell"),
        ("missing.lem", (), FileNotFoundError, r"missing\.lem"),
        (ROOT, (), BadArchive, "is no file"),
    ],
)
def test_what_cannot_be_loaded_is_named(path, known, error, message):
    """A number for a path, no class, two of one name, no file, a directory."""
    with pytest.raises(error, match=message):
        lem.load(path, known)


def test_what_cannot_be_saved_is_named_and_leaves_the_file(tmp_path):
    """A function in a model is an error that shows it; the file that was there stays, and nothing beside it."""
    fit, path = speeds(), tmp_path / "one.lem"
    fit.save(path)
    before = path.read_bytes()
    for bad in (lambda: 1, open, np.array(["text"]), object()):
        with pytest.raises(TypeError, match=r"cannot be written to a file|an array of type"):
            attrs.evolve(fit, model=bad).save(path)
    with pytest.raises(TypeError, match="give the path of a file"):
        fit.save(None)
    with pytest.raises(FileNotFoundError):
        fit.save(tmp_path / "no" / "one.lem")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["one.lem"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    """An error in mid-write is told, and the last file is there."""
    fit, path = speeds(), tmp_path / "one.lem"
    fit.save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        attrs.evolve(fit, columns=("speed",)).save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["one.lem"]


WRITERS = """
import os, sys, attrs, latentem as lem
fit = lem.load(sys.argv[1])
large = attrs.evolve(fit, columns=("b" * 200_000,))
for line in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("killed", flush=True)
        continue
    while True:
        large.save(sys.argv[2])
        fit.save(sys.argv[2])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed that were forked")
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path):
    """50 SIGKILLs at random moments: the file is one of the two that were written, byte for byte, and loads."""
    small, large, path = tmp_path / "small.lem", tmp_path / "large.lem", tmp_path / "one.lem"
    fit = lem.fit(lem.GaussianMixture(2), kept.clusters(), n_starts=1, max_steps=3, engine=lem.Serial())
    fit.save(small)
    attrs.evolve(fit, columns=("b" * 200_000,)).save(large)
    whole = {small.read_bytes(), large.read_bytes()}
    path.write_bytes(small.read_bytes())
    random = np.random.default_rng(0)
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, small, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        found, kills = set(), 0
        while kills < 50 or (found < whole and kills < 200):  # both are seen, however slow the disk is
            kills += 1
            parent.stdin.write("go\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            time.sleep(random.uniform(0, 0.06 + 0.003 * kills))  # longer where the machine is slow
            os.kill(child, 9)
            assert parent.stdout.readline() == "killed\n"
            found.add(path.read_bytes())
            assert found <= whole
        assert found == whole
        parent.stdin.close()
        assert parent.wait(20) == 0
    lem.load(path)


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_files_of_earlier_versions_load(path):
    """What some version has written loads in every later one: the figures are those in the text beside it."""
    fit = lem.load(path)
    assert repr(fit.objective) + "\n" == path.with_suffix(".txt").read_text()


def test_there_are_files_of_this_version():
    """One a kind of model at least; a class that a file may name keeps its name and its fields for good."""
    assert len(OLD) >= 10
    named = set()
    for path in OLD:
        named |= {value["class"] for value in unpack(path)[0]["values"]}
    assert named <= library().keys()
    assert {"Fit", "Mixture", "HiddenMarkov", "FactorAnalysis", "KMeans", "Frozen", "Student"} <= named


def calls(path):
    """The functions that a file calls, or imports by name, written as in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        elif isinstance(node, ast.ImportFrom) and node.module in (
            "pickle",
            "cloudpickle",
            "marshal",
            "shelve",
            "joblib",
        ):
            yield from ((f"{node.module}.{name.name}", {}) for name in node.names)


def test_no_pickle_is_read_from_disk():
    """Pickles are read by engines alone, from other processes; numpy is told not to, and nothing else can."""
    for path in (ROOT / "latentem").rglob("*.py"):
        for name, words in calls(path):
            if name.split(".")[-1] in ("loads", "load", "Unpickler", "read_pickle", "eval", "exec"):
                reads = name.split(".")[0] in ("pickle", "cloudpickle", "marshal", "shelve", "joblib", "eval", "exec")
                between = path.parent.name == "engine" and name in ("pickle.loads", "cloudpickle.loads")
                assert not reads or between, f"{path.name} calls {name}"
                if name == "np.load":
                    assert words.get("allow_pickle") == "False", f"{path.name} lets numpy read pickles"
            assert name not in ("pickle.load", "pickle.Unpickler"), f"{path.name} reads pickles from a file"


def test_library_classes_have_names_of_their_own():
    """A file knows a class by its name alone: no two that it may hold have the same."""
    seen = {}
    for kind in (kind for module in list(sys.modules.values()) for kind in list(vars(module).values())):
        ours = isinstance(kind, type) and str(kind.__module__).startswith("latentem.") and kind.__name__ in library()
        if ours and (attrs.has(kind) or issubclass(kind, enum.Enum)):
            assert seen.setdefault(kind.__name__, kind) is kind
    assert seen == library()
