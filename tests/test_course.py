"""Every chapter of the course runs, and ends in checks."""

from __future__ import annotations

import ast
import os
import runpy
from pathlib import Path

import pytest

COURSE = Path(__file__).parent.parent / "docs" / "course"
CHAPTERS = sorted(COURSE.glob("*.py"))


@pytest.fixture
def canvas(monkeypatch):
    """Pictures are drawn without a screen, and are gone afterwards."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    yield
    pyplot.close("all")


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("canvas")
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_runs_to_its_last_check(chapter, monkeypatch, tmp_path):
    """A chapter runs from its top to its bottom, from any directory, and leaves no file behind in the course."""
    before = set(COURSE.iterdir())
    monkeypatch.chdir(tmp_path)
    runpy.run_path(os.fspath(chapter), run_name="__main__")
    assert {path for path in COURSE.iterdir() if path.name != "__pycache__"} <= before


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_ends_in_checks_and_has_exercises(chapter):
    """The last cell of a chapter holds asserts, and its exercises have solutions that are folded and assert too."""
    text = chapter.read_text(encoding="utf-8")
    cells = text.split("\n# %%\n")
    asserts = [text for text in cells if "assert" in ast.unparse(ast.parse(text))]
    assert cells[-1] in asserts
    assert len(asserts) >= 4
    assert text.count("<details>") + text.count(".. dropdown::") >= 3
