"""The directive `names`: a table of public names of a module, and after it the documentation of each."""

import importlib
import inspect
import re
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

OURS = "latentem"
ROUTING = re.compile(r"set_\w+_request|get_metadata_routing")


class Names(SphinxDirective):
    """Names of the module that is its argument, separated by space."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The table, and each name by the directive of autodoc for its kind."""
        module, names = importlib.import_module(self.arguments[0]), " ".join(self.content).split()
        others = [
            name for name in names if getattr(getattr(module, name), "__module__", OURS).partition(".")[0] != OURS
        ]
        names = [name for name in names if name not in others]
        lines = [".. autosummary::", "", *(f"   ~{module.__name__}.{name}" for name in names), ""]
        for name in others:
            lines += [f"`{name}` is that of `{getattr(module, name).__module__}`.", ""]
        for name in names:
            value, full = getattr(module, name), f"{module.__name__}.{name}"
            if inspect.isclass(value):
                lines += [f".. autoclass:: {full}", "   :members:", "   :show-inheritance:", ""]
            else:
                lines += [f".. auto{'function' if callable(value) else 'data'}:: {full}", ""]
        return self.parse_text_to_nodes("\n".join(["```{eval-rst}", *lines, "```"]))  # the page is Markdown


def escaped(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Bars of lengths, as in |x|, and names that end in a dash, are no markup in a docstring."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # a comment, or napoleon takes what stands before a colon for a type
    for number, line in enumerate(lines):
        parts = line.split("`")
        parts[::2] = [re.sub(r"\||(?<=\w)_(?!\w)|\*(?=\w)", lambda mark: "\\" + mark[0], part) for part in parts[::2]]
        lines[number] = "`".join(parts)


def foreign(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Methods that scikit-learn puts into every estimator are documented there."""
    return True if ROUTING.fullmatch(name) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Adds the directive, and looks at docstrings before napoleon does."""
    app.add_directive("names", Names)
    app.connect("autodoc-process-docstring", escaped, priority=400)
    app.connect("autodoc-skip-member", foreign)
    return {"parallel_read_safe": True}
