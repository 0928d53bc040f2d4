"""Formulas of docs/mathematics.md, and the places of the library and its examples that compute them.

A formula has a label in a comment above it, `<!-- eq: weights -->`, and one that is not computed says why:
`<!-- eq: rates, no code: ... -->`. A place has a tag in a comment, `# (eq: weights)`: above its lines, which
then go to the next blank line or to where the block ends; or after its one line.
"""

import re
from pathlib import Path
from typing import NamedTuple

LABEL = re.compile(r"<!-- eq: ([a-z0-9-]+)(?:, no code: ([^>]+?))? -->")
TAG = re.compile(r"^(?P<code>.*?)#.*\(eq: (?P<names>[a-z0-9-]+(?:, [a-z0-9-]+)*)\)")


class Formula(NamedTuple):
    """A labelled formula; `reason` says why it has no code, if it has none."""

    name: str
    reason: str | None


class Place(NamedTuple):
    """Lines of a file, from `first` on, that compute a formula."""

    name: str
    path: str
    first: int
    lines: list[str]


def formulas(page: str) -> list[Formula]:
    """The labelled formulas of a page, in order."""
    return [Formula(*found.groups()) for found in LABEL.finditer(page)]


def unlabelled(page: str) -> list[int]:
    """The lines of a page on which a displayed formula begins that has no label above it."""
    lines = page.splitlines()
    edges = [number for number, line in enumerate(lines) if line == "$$" or (line.startswith("$$") and line != "$$")]
    return [number + 1 for number in edges[::2] if number == 0 or not LABEL.fullmatch(lines[number - 1])]


def places(root: Path) -> list[Place]:
    """The tagged places of the library and of the examples, in a copy of the repository."""
    return [
        place
        for directory in ("latentem", "examples")
        for path in sorted((root / directory).rglob("*.py"))
        for place in places_of(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())
    ]


def places_of(source: str, path: str) -> list[Place]:
    """The tagged places of one source."""
    lines, found = source.splitlines(), []
    for number, line in enumerate(lines):
        tag = TAG.match(line)
        if tag:
            begin, end = number, number + 1
            if not tag["code"].strip():
                begin, indent = number + 1, len(tag["code"])
                while end < len(lines) and lines[end][:indent].isspace() | (indent == 0) and lines[end].strip():
                    end += 1
            found += [Place(name, path, begin + 1, lines[begin:end]) for name in tag["names"].split(", ")]
    return found


def orphans(page: str, tagged: list[Place]) -> list[str]:
    """Sentences about labels and tags that lead nowhere; none if every formula has its lines, and these it."""
    labelled = formulas(page)
    names, computed = [formula.name for formula in labelled], {place.name for place in tagged}
    said = [f"line {number} begins a formula without a label" for number in unlabelled(page)]
    said += [f"two formulas are labelled {name}" for name in sorted(set(names)) if names.count(name) > 1]
    for name, reason in labelled:
        if reason is None and name not in computed:
            said.append(f"no code is tagged with the formula {name}")
        if reason is not None and name in computed:
            said.append(f"the formula {name} says that it has no code, and has some")
    said += [f"{at.path}:{at.first} is tagged {at.name}, which is no formula" for at in tagged if at.name not in names]
    said += [f"{at.path}:{at.first} has the tag {at.name}, and no line" for at in tagged if not at.lines]
    return said
