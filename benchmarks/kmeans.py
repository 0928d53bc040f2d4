"""K-means from the same centres until no assignment changes, against scikit-learn's Lloyd."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

import latentem as lem
from benchmarks.measure import Machine, in_turn
from benchmarks.page import Row, Section
from latentem.compiled.choice import VARIABLE, found_numba

SIZES = [
    (1_000_000, 2, 8),
    (200_000, 8, 16),
    (200_000, 32, 64),
    (100_000, 8, 256),
    (100_000, 64, 256),
    (50_000, 128, 1000),
]
MOST, WORK = 300, 2 * 10**11
"""Iterations, and rows x columns x clusters x iterations: where none has come to rest by then, all are timed so far."""


def rows(_: Machine, quick: bool) -> Iterator[Row]:
    """Every size, overlapping and apart, double and single, after asserting that both have the same inertia."""
    for single in (False, True):
        for size in SIZES[: 2 if quick else None]:
            for apart in (False, True):
                found = one(size, apart, single)
                if found is not None:
                    yield found


def one(size: tuple[int, int, int], apart: bool, single: bool) -> Row | None:
    """Time one size; None where a cluster became empty, for each moves it in its own way."""
    n, d, k = size
    rng = np.random.default_rng(0)
    true = (10.0 if apart else 1.0) * rng.standard_normal((k, d))
    x = rng.standard_normal((n, d)) + true[rng.integers(k, size=n)]
    x = x.astype(np.float32 if single else np.float64)
    centres = x[rng.choice(n, k, replace=False)]
    model, most = lem.KMeans(k), min(MOST, max(10, WORK // (n * d * k)))

    def ours(steps: int = most) -> lem.Fit:
        return lem.fit(model, x, start=model.params(centres), max_steps=steps)

    def compiled() -> lem.Fit:
        os.environ[VARIABLE] = "1"
        try:
            return ours()
        finally:
            os.environ[VARIABLE] = "0"

    def rival(steps: int) -> KMeans:
        return KMeans(k, init=centres, n_init=1, tol=0, max_iter=max(steps, 1), algorithm="lloyd")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # neither may have come to rest after the most iterations
        fit = ours()
        if any(event.kind == "reseeded" for event in fit.events) or "repaired" in fit.history.kind:
            print(f"left out: {size}{' apart' if apart else ''}, where a cluster became empty")
            return None
        steps = fit.history[-1].index
        # In single precision the rival's centres are rounded so too, and some hundred passes lead it to another rest.
        agreed = min(steps, 5) if single else steps
        mine, theirs = (fit if agreed == steps else ours(steps=agreed)).inertia, rival(agreed).fit(x).inertia_
        assert abs(theirs - mine) < (1e-4 if single else 1e-6) * theirs, f"{size}: {mine} is not {theirs}"
        whole = rival(steps)
        ratio = in_turn(lambda: whole.fit(x), ours, long=True)
        faster: tuple[Any, ...] = ("", "")
        if found_numba() is not None:
            assert compiled().params == fit.params, f"{size}: compiled loops end elsewhere"
            quick = in_turn(lambda: whole.fit(x), compiled, long=True)
            faster = f"{1e3 * quick.ours:.0f}", quick
    name = f"{n:,} x {d}, {k}"
    kinds = "apart" if apart else "overlapping", "single" if single else "double"
    times = f"{1e3 * ratio.rival:.0f}", f"{1e3 * ratio.ours:.0f}", ratio
    return Row((name, *kinds, steps, *times, *faster), bar=(f"K-means {' '.join(kinds)} {name}", ratio))


SECTION = Section(
    "K-means from the same centres until no assignment changes, against scikit-learn's Lloyd",
    "Left out where a cluster becomes empty: each moves it in its own way. Compiled: with threads, as in docs/fast.md.",
    (
        "rows x columns, k",
        "clusters",
        "type",
        "steps",
        "scikit-learn, ms",
        "threads, ms",
        "ratio",
        "compiled, ms",
        "ratio",
    ),
    rows,
)
