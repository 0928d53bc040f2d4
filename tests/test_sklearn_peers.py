"""scikit-learn's own tests of mixtures, K-means and factor analysis, run against our classes."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "scikit-learn.md"


def loaded(name):
    """A module in tests/peers."""
    spec = importlib.util.spec_from_file_location(name, HERE / "peers" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(1200)
def test_the_peers_tests_pass_or_are_explained(tmp_path):
    """Of scikit-learn's tests that make one of our classes, those that fail have a reason each; no reason is idle."""
    explained = loaded("explained")
    report = tmp_path / "report.tsv"
    path = os.pathsep.join([str(HERE.parent), str(HERE / "peers"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PEERS_REPORT": str(report), "PYTHONPATH": path, "SKLEARN_RUN_FLOAT32_TESTS": "1"}
    code = "import peers_plugin; print(*peers_plugin.PATCHED)"
    modules = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    options = [
        "-p",
        "peers_plugin",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "-q",
    ]
    command = [sys.executable, "-m", "pytest", *options, "--pyargs", *modules.stdout.split()]
    subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=1100, check=False)
    rows = [line.split("\t") for line in report.read_text(encoding="utf-8").splitlines()]
    mine = [(outcome, name) for outcome, reached, name in rows if reached == "reached"]
    failed = [name for outcome, name in mine if outcome == "failed"]
    assert [name for name in failed if explained.reason(name) is None] == []
    unused = [begin for begin in explained.EXPLAINED if not any(name.startswith(begin) for name in failed)]
    assert unused == []
    counts = Counter(outcome for outcome, _ in mine)
    assert counts["passed"] >= 200


def test_the_page_lists_the_tests_that_differ():
    """docs/scikit-learn.md names each test that is not passed."""
    text = PAGE.read_text(encoding="utf-8")
    for begin in loaded("explained").EXPLAINED:
        assert re.split(r"::|\[", begin)[1] in text
