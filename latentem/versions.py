"""What a report of a defect should say of the machine: versions, and the libraries that compute."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata

from latentem.compiled import VARIABLE

_OURS = frozenset({"all", "test", "browser", "lint", "docs", "bench"})
"""Extras that bring no door of the library: those of its makers, and the sum of the others."""


def show_versions() -> None:
    """Print the versions of latentem, Python, what it needs and what it can use, and how numpy computes.

    Nothing that is optional is imported for it.
    """
    rows = list(_rows())
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name.ljust(width)}  {what}" for name, what in rows))


def _rows() -> Iterator[tuple[str, str]]:
    yield "latentem", _version("latentem")
    yield "python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "platform", platform.platform()
    yield "cores", str(os.cpu_count())
    extras = dict[str, set[str]]()
    for requirement in _requirements():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if extra is None:
            yield name, _version(name)
        elif extra[1] not in _OURS:
            extras.setdefault(name, set()).add(extra[1])
    for name in sorted(extras):
        yield name, f"{_version(name)} (extra {', '.join(sorted(extras[name]))})"
    yield "loops", f"compiled where numba is and rows are many; {VARIABLE} is {os.environ.get(VARIABLE, 'not set')}"
    yield from _computing()


def _requirements() -> list[str]:
    try:
        return metadata.requires("latentem") or []
    except metadata.PackageNotFoundError:  # a tree that was never installed
        return []


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _computing() -> Iterator[tuple[str, str]]:
    """The BLAS that numpy and scipy call, and how many threads each would take."""
    import scipy.linalg  # noqa: F401 - it brings a BLAS of its own, which must be there to be found
    from threadpoolctl import threadpool_info

    for found in threadpool_info():
        yield found["user_api"], f"{found['internal_api']} {found.get('version')}, {found['num_threads']} threads"
