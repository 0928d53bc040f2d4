"""Nanoseconds a row of a pass of a Gaussian mixture, along rows, columns and components."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import latentem as lem
from benchmarks.measure import Machine, seconds
from benchmarks.page import Row, Section

SIZES = {"n": (10**3, 10**4, 10**5, 10**6), "d": (1, 2, 4, 8, 16, 32, 64), "k": (2, 4, 8, 16, 32, 64)}


def rows(_: Machine, quick: bool) -> Iterator[Row]:
    """One a value of each sweep."""
    for along, values in SIZES.items():
        for value in values[: 2 if quick else None]:
            ns = _nanoseconds(**({"n": 50_000, "d": 4, "k": 5} | {along: value}))
            yield Row((along, f"{value:,}", f"{ns:.1f}"), point=(along, value, ns))


def _nanoseconds(n: int, d: int, k: int) -> float:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, d)) + rng.integers(3, size=(n, 1))
    model = lem.GaussianMixture(k)
    params = model.params(np.full(k, 1 / k), x[:k], np.array([np.eye(d)] * k))
    run = lem.EM(lambda state: None, max_steps=10**6).iterate(model, params, lem.Threads().place(model.chunks(x)))
    next(run)
    return float(np.median([seconds(lambda: next(run)) for _ in range(5)])) / n * 1e9


SECTION = Section(
    "Sweeps",
    "A pass of ours: 50,000 rows (n), 4 columns (d), 5 components (k) where nothing else is said.",
    ("along", "value", "ns a row"),
    rows,
)
