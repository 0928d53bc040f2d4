"""After each labelled formula, folded, the lines of the library that compute it, as they are when the site is built."""

from pathlib import Path
from textwrap import dedent
from typing import Any

from docutils import nodes
from places import LABEL, TAG, Place, orphans, places
from sphinx.application import Sphinx
from sphinx.util import logging

PAGE = "mathematics"


def folded(name: str, found: list[Place]) -> list[nodes.Node]:
    """A block that opens to show the lines of some places."""
    if not found:
        return []
    files = list(dict.fromkeys(Path(place.path).name for place in found))
    head = f'<details class="computed"><summary>{name}: {", ".join(files)}</summary>'
    shown: list[nodes.Node] = [nodes.raw("", head, format="html")]
    for place in found:
        last = place.first + len(place.lines) - 1
        where = f"line {last}" if last == place.first else f"lines {place.first} to {last}"
        shown.append(nodes.paragraph("", "", nodes.literal("", place.path), nodes.Text(f", {where}")))
        code = TAG.sub(lambda tag: tag["code"].rstrip(), dedent("\n".join(place.lines)))  # the head names the formula
        shown.append(nodes.literal_block(code, code, language="python", linenos=False))
    return [*shown, nodes.raw("", "</details>", format="html")]


def shown(app: Sphinx, doctree: nodes.document) -> None:
    """Puts the code after the formulas of the page, and an anchor, eq-NAME, before each."""
    if app.env.docname != PAGE:
        return
    tagged = places(Path(app.confdir).parent)
    for wrong in orphans((Path(app.confdir) / f"{PAGE}.md").read_text(encoding="utf-8"), tagged):
        logging.getLogger(__name__).warning(wrong, location=PAGE)
    for node in list(doctree.findall(lambda node: isinstance(node, nodes.raw | nodes.comment))):
        label = LABEL.fullmatch(node.astext().strip())
        if label is None:
            continue
        name, reason = label.groups()
        parent = node.parent
        at = parent.index(node)
        if reason is None:
            after = folded(name, [place for place in tagged if place.name == name])
        else:
            after = [nodes.paragraph("", f"Not computed: {reason}.", classes=["not-computed"])]
        for place in reversed(after):
            parent.insert(at + 2, place)
        parent.replace(node, nodes.target("", "", ids=[f"eq-{name}"]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connects to the reading of pages. The page of formulas is read each time, for the sources may have changed."""
    app.connect("doctree-read", shown)
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: [PAGE])
    return {"parallel_read_safe": True}
