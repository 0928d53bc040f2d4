"""A pass over columns that correlate, beside one over the same rows without correlations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import latentem as lem
from benchmarks.measure import Machine, in_turn
from benchmarks.page import Row, Section

SIZES = ((200_000, 8, 10), (100_000, 16, 16))
CONDITIONS = (4e3, 1e6)


def rows(_: Machine, quick: bool) -> Iterator[Row]:
    """Every size, structure and condition, after asserting that both have the same log likelihood but for the units."""
    for n, d, k in SIZES[: 1 if quick else None]:
        for structure in (lem.Full(), lem.Tied()):
            for condition in CONDITIONS:
                rng = np.random.default_rng(0)
                means, roots = rng.standard_normal((k, d)), np.eye(d) + rng.standard_normal((k, d, d)) / (3 * d**0.5)
                labels = rng.integers(k, size=n)
                x = means[labels] + np.einsum("nij,nj->ni", roots[labels], rng.standard_normal((n, d)))
                one, other = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
                mix = one * np.geomspace(1, condition**-0.5, d) @ other.T
                covariances = roots @ roots.transpose(0, 2, 1)
                plain, plain_bound = _passes(structure, x, means, covariances)
                ours, bound = _passes(structure, x @ mix.T, means @ mix.T, mix @ covariances @ mix.T)
                expected = plain_bound - n * np.linalg.slogdet(mix)[1]
                assert abs(bound - expected) < 1e-8 * abs(expected), f"{bound} is not {expected}"
                ratio = in_turn(ours, plain)
                times = f"{1e3 * ratio.ours:.1f}", f"{1e3 * ratio.rival:.1f}"
                yield Row((f"{n:,} x {d}, {k}", structure, f"{condition:,.0f}", *times, ratio))


def _passes(structure: Any, x: Any, means: Any, covariances: Any) -> tuple[Callable[[], Any], float]:
    """Passes one after the other from these parameters, and the bound after the second."""
    k, tied = len(means), isinstance(structure, lem.Tied)
    model = lem.Mixture(lem.Gaussian(structure), k)
    components = lem.Gaussian(structure).params(means, covariances.mean(axis=0) if tied else covariances)
    params = model.params(np.full(k, 1 / k), components)
    run = lem.EM(lambda state: None, max_steps=10**6).iterate(model, params, lem.Threads().place(model.chunks(x)))
    next(run)
    return (lambda: next(run)), float(next(run).bound)


SECTION = Section(
    "Correlated columns",
    "A pass of ours, where the condition number of the covariances is about 1 and where it is more.",
    ("rows x columns, k", "structure", "condition", "uncorrelated, ms", "correlated, ms", "correlated / uncorrelated"),
    rows,
)
