"""Engines that other packages bring: found through entry points, by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from latentem.core import Engine

GROUP = "latentem.engines"


def installed() -> tuple[str, ...]:
    """The names of the engines that installed packages announce, in alphabetical order."""
    return tuple(sorted(entry_points(group=GROUP).names))


def named(name: str) -> type[Engine]:
    """The engine that an installed package announces under this name; calling it makes one.

    A package announces its engine, a class that derives from `Engine`, in its `pyproject.toml`:

        [project.entry-points."latentem.engines"]
        ray = "their_package:Ray"

    Raises:
        ValueError: there is none of this name, more than one, or it is no engine.
    """
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        names = ", ".join(installed()) or "none"
        raise ValueError(f"no engine is called {name!r}: installed packages announce {names}")
    if len({point.value for point in found}) > 1:
        places = ", ".join(point.value for point in found)
        raise ValueError(f"more than one engine is called {name!r}: import the one that you mean ({places})")
    engine: Any = found[0].load()
    if not (isinstance(engine, type) and issubclass(engine, Engine)):
        raise ValueError(f"{found[0].value}, announced as the engine {name!r}, is no class that derives from Engine")
    return engine
