"""The two galleries of the site: the course, in docs/course/, and the examples, in examples/.

An example says in its docstring's first line what it is; a gallery wants a title. So the examples are copied to build/
with that line, up to its colon, as a title above it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SHOWN = {
    "checkpoint": "it starts a process of itself, and kills it",
    "cluster": "it starts a Dask cluster, and kills a worker",
}
"""Why an example is shown and not run; a test of the library runs each of them."""


def titled(source: str, why_not: str | None = None) -> str:
    """The source of an example, its docstring with a title and, if it is not run here, the reason."""
    docstring = ast.parse(source).body[0]
    text = ast.get_docstring(ast.parse(source))
    assert text is not None
    title = text.partition("\n")[0].partition(": ")[0].rstrip(".:").replace("`", "")
    text = text.replace("|", "\\|")  # bars of lengths are no markup
    rest = "\n".join(source.splitlines()[docstring.end_lineno :])
    note = "" if why_not is None else f"\n\n*Shown, not run, when the site is built: {why_not}.*"
    # A gallery shows what a single cell prints above its code, and below it where a text goes before.
    return f'r"""\n{title}\n{"=" * len(title)}\n\n{text}{note}\n"""\n\n# %%\n# The script:\n{rest}\n'


def copied(examples: Path, into: Path) -> None:
    """Writes the examples with their titles; a file whose text is as it was keeps its date, and so is not run again."""
    into.mkdir(parents=True, exist_ok=True)
    (into / "GALLERY_HEADER.rst").write_text(
        "Examples\n========\n\nEach is a file of `examples/` that runs by itself, and ends in what it asserts.\n"
    )
    for path in examples.glob("*.py"):
        (into / path.name).write_text(titled(path.read_text(encoding="utf-8"), SHOWN.get(path.stem)), encoding="utf-8")


def in_gallery(app: Sphinx, page: str, source: list[str]) -> None:
    """A link to the file of an example, which serves who reads the page elsewhere, leads to its page of the site."""
    source[0] = re.sub(r"\]\((?:\.\./)+examples/(\w+)\.py\)", r"](/gallery/examples/\1.rst)", source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Copies the examples, and says to sphinx-gallery where they are."""
    root = Path(app.confdir).parent
    copied(root / "examples", root / "build" / "examples")
    not_run = "|".join(SHOWN)
    app.config.sphinx_gallery_conf = {
        "examples_dirs": ["course", "../build/examples"],
        "gallery_dirs": ["gallery/course", "gallery/examples"],
        "within_subsection_order": "FileNameSortKey",  # the course's chapters are numbered
        "filename_pattern": rf"^(?!.*/({not_run})\.py$).*\.py$",
        "abort_on_example_error": False,
        "only_warn_on_example_error": True,  # and a warning is fatal, once all has been tried
        "capture_repr": ("_repr_html_", "__repr__"),
        "download_all_examples": False,
        "show_signature": False,
        "show_memory": False,
        "min_reported_time": 1_000_000,
        "remove_config_comments": True,
        "default_thumb_file": str(root / "docs" / "figures" / "faithful.png"),
        "plot_gallery": "True",
    }
    app.connect("source-read", in_gallery)
    return {"parallel_read_safe": True}
