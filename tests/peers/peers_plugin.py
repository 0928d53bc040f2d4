"""A plugin of pytest that runs another library's tests against our classes.

    python -m pytest -p peers_plugin --pyargs sklearn.mixture.tests.test_gaussian_mixture

In each module of PATCHED the names of their classes stand for ours. With PEERS_REPORT set to a path, a line for each
test is written there: its name, what became of it, and whether one of our classes was made in it. A test in which none
was says nothing about us.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any

import pytest

import latentem.sklearn as ours

PATCHED = {
    "sklearn.mixture.tests.test_gaussian_mixture": ("GaussianMixture",),
    "sklearn.mixture.tests.test_mixture": ("GaussianMixture",),
    "sklearn.cluster.tests.test_k_means": ("KMeans",),
    "sklearn.decomposition.tests.test_factor_analysis": ("FactorAnalysis",),
}

_reached = {"now": False}


def _watched(cls: Any) -> None:
    plain = cls.__init__

    @functools.wraps(plain)
    def init(self: Any, *args: Any, **options: Any) -> None:
        _reached["now"] = True
        plain(self, *args, **options)

    cls.__init__ = init


def pytest_configure(config: pytest.Config) -> None:
    for name in {name for names in PATCHED.values() for name in names if name in ours.__all__}:
        _watched(getattr(ours, name))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        module = item.module
        for name in PATCHED.get(module.__name__, ()):
            theirs, mine = getattr(module, name), getattr(ours, name)
            setattr(module, name, mine)
            params = getattr(item, "callspec", None)
            for key, value in (params.params if params else {}).items():
                if value is theirs:
                    params.params[key] = mine
        for key, value in (item.callspec.params if hasattr(item, "callspec") else {}).items():
            for name in PATCHED.get(module.__name__, ()):
                if isinstance(value, type) and value.__name__ == name:
                    item.callspec.params[key] = getattr(ours, name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    _reached["now"] = False
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    path = os.environ.get("PEERS_REPORT")
    if path and (report.when == "call" or report.outcome == "skipped"):
        with open(path, "a", encoding="utf-8") as file:
            name = report.nodeid.split("/")[-1]
            print(report.outcome, "reached" if _reached["now"] else "elsewhere", name, sep="\t", file=file)
