"""Parameters as a table of a library's that is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

from latentem.core import Unavailable
from latentem.data.readers.reader import optional
from latentem.report.summary import Summary, unique_labels

LIBRARIES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}
"""Libraries of tables in the order in which they are looked for, and what makes a table of columns in each."""


def frame(summary: Summary, library: str | None = None) -> Any:
    """One row a component: its number, then what the model describes, a column each, under its label.

    Args:
        summary: Of the fit.
        library: "pandas", "polars" or "pyarrow". None: the first of them that is in use already; else the first that
            is installed.

    Raises:
        ImportError: the library, or every one of them, is not installed; the message says how to install it.
        ValueError: the library is another.
        Unavailable: the model describes no components.
    """
    maker = _maker(library)
    if not summary.parameters:
        raise Unavailable(f"{summary.model} describes no components, so that there is no table of them: see fit.params")
    make = maker()
    labels, count = unique_labels(summary), len(summary.parameters[0].values)
    numbered = summary.names == tuple(map(str, range(count)))
    columns: dict[str, Any] = {summary.noun: list(range(count)) if numbered else list(summary.names)}
    for label, parameter in zip(labels, summary.parameters, strict=True):
        values = [float("nan") if value is None else value for value in parameter.values]
        columns[f"{label}'" if label == summary.noun else label] = values
    return make(columns)


def table_of(columns: Mapping[str, Sequence[Any]], library: str | None = None) -> Any:
    """Columns by their names, as a table of a library. Arguments and errors are those of `frame`."""
    return _maker(library)()(dict(columns))


def _maker(library: str | None) -> Callable[[], Any]:
    """How to come by what makes a table of columns: the library is looked for when it is called."""
    if library is not None and library not in LIBRARIES:
        raise ValueError(f"library was given as {library!r}: give one of {', '.join(map(repr, LIBRARIES))}, or None")
    return partial(_found, library)


def _found(library: str | None) -> Any:
    if library is None:
        in_use = [name for name in LIBRARIES if sys.modules.get(name) is not None]
        library = next(iter([*in_use, *filter(_is_installed, LIBRARIES)]), "pandas")
    return getattr(optional(library, "arrow" if library == "pyarrow" else library), LIBRARIES[library])


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # what stands under this name in sys.modules is no module
        return False
