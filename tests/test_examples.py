"""Every example runs: the files in examples/, the README, and the pages of the documentation."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def run(code_or_file):
    given = ["-c", code_or_file] if "\n" in str(code_or_file) else [str(code_or_file)]
    command = [sys.executable, "-W", "error", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, encoding="utf-8", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fenced(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs_to_its_last_assert(example):
    """An example in examples/ ends in asserts, and they hold."""
    assert isinstance(ast.parse(example.read_text()).body[-1], ast.Assert) or "assert_allclose" in example.read_text()
    run(example)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_python_on_every_page_runs(page):
    """The Python blocks of a page run from its top to its bottom, with warnings as errors."""
    if blocks := fenced(page, "python"):
        run("\n".join(blocks) + "\n")


def test_the_readme_shows_what_its_example_prints():
    """The README's example has at most 12 lines, and prints what the README says, to the letter."""
    example, shown = fenced(ROOT / "README.md", "python")[0], fenced(ROOT / "README.md", "text")[0]
    assert len(example.strip().splitlines()) <= 12
    assert run(example).strip() == shown.strip()


def test_the_first_page_of_the_site_shows_what_its_example_prints():
    """The example of docs/index.md prints what stands below it, to the letter."""
    page = ROOT / "docs" / "index.md"
    assert run(fenced(page, "python")[0]).strip() == fenced(page, "text")[0].strip()


def code_lines(source, name):
    """The lines of a class that are neither blank, nor comment, nor docstring."""
    tree = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name)
    first = min([tree.lineno, *(decorator.lineno for decorator in tree.decorator_list)])
    lines = set(range(first, tree.end_lineno + 1))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(body[0].lineno, body[0].end_lineno + 1))
    text = source.splitlines()
    return [text[i - 1] for i in sorted(lines) if text[i - 1].strip() and not text[i - 1].strip().startswith("#")]


def test_a_new_family_takes_at_most_ten_lines():
    """The geometric mixture is written in at most ten lines of code."""
    assert len(code_lines((ROOT / "examples" / "geometric.py").read_text(), "Geometric")) <= 10


def classes(example):
    """The names of the classes in an example."""
    return [node.name for node in ast.parse(example).body if isinstance(node, ast.ClassDef)]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("linkage", 25),
        ("abo", 25),
        ("censored", 25),
        ("coins", 25),
        ("geometric_median", 25),
        ("tutorial", 25),
        ("extending", 15),
        ("groups", 30),
    ],
)
def test_models_and_families_of_ones_own_are_short(name, most):
    """A class of a classic example has at most 25 lines of code, an extension 15, and a latent structure 30."""
    source = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    counted = {cls: len(code_lines(source, cls)) for cls in classes(source)}
    assert counted
    assert max(counted.values()) <= most, counted


def test_the_tutorial_is_its_example_to_the_letter():
    """The Python blocks of the tutorial, in order, are all of examples/tutorial.py but docstring and blank lines."""
    source = (ROOT / "examples" / "tutorial.py").read_text(encoding="utf-8")
    rest = source.split('"""\n', maxsplit=1)[1]
    for block in fenced(ROOT / "docs" / "tutorial.md", "python"):
        before, found, rest = rest.partition(block)
        assert found, f"not in the example, or not in this place: {block}"
        assert not before.strip()
    assert not rest.strip()


def test_the_tutorial_shows_what_its_example_prints():
    """What the tutorial says is printed is printed, in that order, to the letter."""
    printed = run(ROOT / "examples" / "tutorial.py")
    for shown in fenced(ROOT / "docs" / "tutorial.md", "text"):
        _, found, printed = printed.partition(shown)
        assert found, f"not printed, or not in this place: {shown}"
