"""A plugin of pytest that runs hmmlearn's tests against our chains.

    python -m pytest -p hmmlearn_plugin --pyargs hmmlearn.tests

In each of their modules the names of their classes stand for ours. With PEERS_REPORT set to a path, a line for each
test is written there: what became of it, whether one of our classes was made in it, and its name.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any

import pytest

from latentem.sklearn import hmm as ours

NAMES = ("CategoricalHMM", "GMMHMM", "GaussianHMM", "MultinomialHMM", "PoissonHMM")
_reached = {"now": False}


def _watched(cls: Any) -> None:
    plain = cls.__init__

    @functools.wraps(plain)
    def init(self: Any, *args: Any, **options: Any) -> None:
        _reached["now"] = True
        plain(self, *args, **options)

    cls.__init__ = init


def pytest_configure(config: pytest.Config) -> None:
    for name in (*NAMES, "ConvergenceMonitor"):
        _watched(getattr(ours, name))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for module in {item.module for item in items}:
        if hasattr(module, "hmm"):
            module.hmm = ours
        for name in (*NAMES, "ConvergenceMonitor"):
            if hasattr(module, name):
                setattr(module, name, getattr(ours, name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    _reached["now"] = False
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    path = os.environ.get("PEERS_REPORT")
    if path and (report.when == "call" or report.outcome == "skipped"):
        with open(path, "a", encoding="utf-8") as file:
            name = report.nodeid.split("/")[-1]
            outcome = ("xfailed" if report.skipped else "xpassed") if hasattr(report, "wasxfail") else report.outcome
            print(outcome, "reached" if _reached["now"] else "elsewhere", name, sep="\t", file=file)
