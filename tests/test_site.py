"""The documentation hangs together: formulas and code, pages and contents, links and what they lead to."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import latentem as lem

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "gallery" not in page.parts]


def module(name):
    """A module of docs/_ext/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


places = module("places")
MATHEMATICS = (DOCS / "mathematics.md").read_text(encoding="utf-8")
TAGGED = places.places(ROOT)


def test_every_formula_leads_to_its_lines_and_every_tagged_line_to_its_formula():
    """Each formula has a label, and code or a reason for none; each tag in the library or an example names one."""
    assert places.orphans(MATHEMATICS, TAGGED) == []
    assert {formula.name for formula in places.formulas(MATHEMATICS)} > {"weights", "movement", "floor"}


@pytest.mark.parametrize(
    ("page", "source", "said"),
    [
        ("<!-- eq: lost -->\n$$\n1\n$$\n", "", ["no code is tagged with the formula lost"]),
        ("", "x = 1  # (eq: lost)\n", ["a.py:1 is tagged lost, which is no formula"]),
        ("$$\n1\n$$\n", "", ["line 1 begins a formula without a label"]),
        (
            "<!-- eq: a, no code: why -->\n",
            "x = 1  # (eq: a)\n",
            ["the formula a says that it has no code, and has some"],
        ),
        ("<!-- eq: a -->\n<!-- eq: a -->\n", "x = 1  # (eq: a)\n", ["two formulas are labelled a"]),
        ("<!-- eq: a -->\n", "# (eq: a)\n\nx = 1\n", ["a.py:2 has the tag a, and no line"]),
    ],
)
def test_an_orphan_on_either_side_is_named(page, source, said):
    """A planted formula without code, a tag without formula, and what else leads nowhere: each is found by itself."""
    assert places.orphans(page, places.places_of(source, "a.py")) == said


def test_a_tag_marks_the_lines_below_it_or_its_own():
    """A tag above lines marks them to the blank line or the end of the block; one behind a line marks that line."""
    source = (
        "if x:\n    # (eq: a, b)\n    x = 1\n    y = 2\n\n    z = 3  # why (eq: c)\n    # (eq: d)\n    x = z\nw = 4\n"
    )
    found = [(place.name, place.first, len(place.lines)) for place in places.places_of(source, "a.py")]
    assert found == [("a", 3, 2), ("b", 3, 2), ("c", 6, 1), ("d", 8, 1)]


def prose(page):
    """A page without its code."""
    return re.sub(r"^```.*?^```|`[^`\n]+`", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def anchors(page):
    """The anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("*.md")), *PAGES], ids=lambda path: path.stem)
def test_links_lead_somewhere(page):
    """A link within the repository names a file that is there and, if it has an anchor, a heading of that file."""
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"\$\$.*?\$\$|\$[^$]+\$", "", prose(page), flags=re.S))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists() or "gallery" in target.parts, f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link} has no such heading"


def listed(index):
    """The pages of the contents of an index, as paths without suffix; patterns are resolved."""
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```", index.read_text(encoding="utf-8"), flags=re.S | re.M):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                entry = re.sub(r"^.*<(.*)>$", r"\1", line)
                found = sorted(index.parent.glob(f"{entry}.md")) if "*" in entry else [index.parent / f"{entry}.md"]
                yield from (path.with_suffix("") for path in found)


def test_every_page_is_in_the_contents():
    """Each page of docs/ is in exactly one list of contents, and each list names pages that are there."""
    entries = [entry for page in PAGES for entry in listed(page)]
    pages = {page.with_suffix("") for page in PAGES} - {DOCS / "index"}
    made = {entry for entry in entries if "gallery" in entry.parts}
    assert sorted(set(entries) - made) == sorted(pages)
    assert len(entries) == len(set(entries))
    assert made == {DOCS / "gallery" / name / "index" for name in ("course", "examples")}


def runnable():
    """All code that a test runs and a reader sees: blocks of pages, examples, doctests."""
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        yield from re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for example in (ROOT / "examples").glob("*.py"):
        yield example.read_text(encoding="utf-8")


def test_every_public_name_is_shown_in_code_that_runs():
    """Each name of `latentem` that is no room occurs in a block of a page or in an example, and these are run."""
    words = set(re.findall(r"\w+", "\n".join(runnable())))
    assert [name for name in lem.__all__ if not inspect.ismodule(getattr(lem, name)) and name not in words] == []


def documented():
    """The names of the pages of docs/api/, with the module that they are of."""
    for page in sorted((DOCS / "api").glob("*.md")):
        for name, listed in re.findall(r"^```\{names\} (\S+)\n(.*?)^```", page.read_text(), flags=re.S | re.M):
            yield from ((name, each) for each in listed.split())


def test_the_library_by_names_is_complete():
    """docs/api/ lists each public name of the library and of its rooms once, and no other."""
    found = list(documented())
    rooms = [name for name in lem.__all__ if inspect.ismodule(getattr(lem, name))]
    wanted = {("latentem", name) for name in lem.__all__ if name not in rooms}
    for module in [*rooms, "sklearn", "sklearn.hmm"]:
        room = importlib.import_module(f"latentem.{module}")
        wanted |= {
            (room.__name__, name) for name in room.__all__ if getattr(lem, name, None) is not getattr(room, name)
        }
    assert sorted(found) == sorted(wanted)


def test_a_page_that_asks_a_network_is_found():
    """Scripts, styles, fonts and pictures from elsewhere are found; links to follow, and files of the site, are not."""
    offline = module("offline")
    bad = [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        "@import url(https://fonts.example/f.css);",
        "src: url('https://fonts.example/f.woff2')",
        '<img alt="" src="https://pictures.example/p.png">',
    ]
    assert [len(offline.asked(text)) for text in bad] == [1] * len(bad)
    good = '<a href="https://example.org">x</a><script src="_static/x.js"></script><link rel="canonical" href="https://e.org">'
    assert offline.asked(good) == []


def test_an_example_gets_a_title_and_keeps_its_lines():
    """An example's title is its first line up to the colon, and its code is copied to the letter."""
    examples = module("examples")
    source = '"""Coins: two of them.\n\nMore.\n"""\n\nx = 1\nassert x\n'
    made = examples.titled(source, "it takes long")
    assert "\nCoins\n=====\n\nCoins: two of them.\n" in made
    assert "it takes long" in made
    assert made.endswith("\n\nx = 1\nassert x\n")
