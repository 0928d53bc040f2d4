"""A plugin of pytest that runs another library's tests against our classes.

    python -m pytest -p peers_plugin -c /dev/null --pyargs sklearn.mixture.tests.test_gaussian_mixture

In each module of PATCHED the names of their classes stand for ours. With PEERS_REPORT set to a path, a line for each
test is written there: what became of it, whether one of our classes was made in it, and its name. A test in which none
was says nothing about us.
"""

from __future__ import annotations

import functools
import os

import pytest

import latentem.sklearn as ours

PATCHED = {
    "sklearn.mixture.tests.test_gaussian_mixture": ("GaussianMixture",),
    "sklearn.mixture.tests.test_mixture": ("GaussianMixture",),
    "sklearn.cluster.tests.test_k_means": ("KMeans", "MiniBatchKMeans"),
    "sklearn.decomposition.tests.test_factor_analysis": ("FactorAnalysis",),
}

_now = {"module": "", "reached": False}


def _watched(cls):
    plain = cls.__init__

    @functools.wraps(plain)
    def init(self, *args, **options):
        _now["reached"] = True
        plain(self, *args, **options)

    cls.__init__ = init


def pytest_configure(config):
    """Our classes say when they are made."""
    for name in {name for names in PATCHED.values() for name in names}:
        _watched(getattr(ours, name))


def _ours(value, names):
    """The parameter of a test with our class in place of theirs."""
    kind = value if isinstance(value, type) else type(value)
    if kind.__name__ not in names or not kind.__module__.startswith("sklearn."):
        return value
    mine = getattr(ours, kind.__name__)
    return mine if isinstance(value, type) else mine()


def pytest_collection_modifyitems(items):
    """The names in their modules, and the classes among the parameters of their tests, become ours."""
    for item in items:
        names = PATCHED.get(item.module.__name__, ())
        for name in names:
            setattr(item.module, name, getattr(ours, name))
        if callspec := getattr(item, "callspec", None):
            callspec.params.update({key: _ours(value, names) for key, value in callspec.params.items()})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    _now.update(module=item.module.__name__, reached=False)
    return (yield)


def pytest_runtest_logreport(report):
    path = os.environ.get("PEERS_REPORT")
    if path and (report.when == "call" or report.outcome != "passed"):
        with open(path, "a", encoding="utf-8") as file:
            name = f"{_now['module'].rsplit('.', 1)[-1]}::{report.nodeid.split('::')[-1]}"
            print(report.outcome, "reached" if _now["reached"] else "elsewhere", name, sep="\t", file=file)
