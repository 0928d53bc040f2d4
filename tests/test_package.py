"""What is installed: what an import loads and costs, the extras, and what is said of the versions."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import latentem as lem

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"all", "test", "browser", "lint", "docs", "bench"}


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **options)


def test_an_import_loads_no_more_of_scipy_than_special():
    """optimize, linalg, sparse and stats, each dearer than the library itself, wait until something needs them."""
    code = "import sys, {}; print(*(name for name in sys.modules if name.split('.')[0] == 'scipy'))"
    needed, ours = (set(python(code.format(name), check=True).stdout.split()) for name in ("scipy.special", "latentem"))
    assert ours <= needed


def cpu(code, cache):
    """Seconds of processor time that an interpreter takes for some code, with compiled modules on the disk."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    python(code, check=True, env={**env, "PYTHONPYCACHEPREFIX": str(cache)})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_an_import_is_quick(tmp_path):
    """It costs less than 0.35 s of processor time above numpy and scipy.special, or than these two on slow machines."""
    needed, ours = "import numpy, scipy.special", "import latentem"
    cpu(ours, tmp_path)  # compiles
    pairs = [(cpu(needed, tmp_path), cpu(ours, tmp_path)) for _ in range(5)]
    below, whole = map(min, zip(*pairs, strict=True))
    assert whole - below < max(0.35, below)


def test_all_is_all():
    """`latentem[all]` installs every extra that is for users, and what it installs is there for the tests."""
    (everything,) = EXTRAS["all"]
    named = set(re.fullmatch(r"latentem\[(.*)\]", everything)[1].split(","))
    assert named == set(EXTRAS) - OURS
    packages = {re.match(r"[\w.-]+", need)[0] for extra in named for need in EXTRAS[extra]}
    tested = {re.match(r"[\w.-]+", need)[0] for need in EXTRAS["test"]}
    assert packages - tested <= {"dask"}  # distributed brings it


def test_versions_of_all_that_matters_are_shown(capsys):
    """latentem, Python, what it needs, what it can use, whether that is there or not, and each BLAS."""
    assert lem.show_versions() is None
    shown = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert lines["latentem"] == lem.__version__
    assert set(lines) >= {"python", "platform", "cores", "numpy", "scipy", "attrs", "threadpoolctl", "pyarrow"}
    assert "pytest" not in lines
    assert "extra arrow" in lines["pyarrow"]


def test_versions_can_be_shown_where_nothing_is_installed(monkeypatch, capsys):
    """What is not there is said to be not installed; a tree that was never installed says so, too."""
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    lem.show_versions()
    assert "not installed (extra zarr)" in capsys.readouterr().out
    monkeypatch.setattr(metadata, "requires", missing)
    lem.show_versions()
    assert "numpy" not in capsys.readouterr().out
