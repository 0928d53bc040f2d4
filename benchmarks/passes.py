"""A pass of EM over a Gaussian mixture: E-step, books, audit and M-step, against scikit-learn's E and M steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from attrs import frozen
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

import latentem as lem
from benchmarks.measure import Machine, Ratio, in_turn, seconds
from latentem.engine.blas import one_thread

SIZES = [
    (1_000_000, 2, 5, 0.5),
    (200_000, 8, 10, 0.5),
    (100_000, 16, 16, 0.5),
    (100_000, 32, 16, 0.5),
    (50_000, 64, 32, 0.5),
    (50_000, 64, 32, 6.0),
    (20_000, 128, 8, 0.5),
    (20_000, 128, 8, 6.0),
    (10_000, 256, 5, 0.5),
]
"""Rows, columns, components, and how far apart their means are, in widths a column."""
STRUCTURES = {"full": lem.Full(), "diag": lem.Diagonal(), "spherical": lem.Spherical(), "tied": lem.Tied(lem.Full())}


@frozen
class Pass:
    """What was measured of a pass at one size.

    Attributes:
        size: Rows, columns, components, distance.
        kind: The covariances, as scikit-learn calls them.
        ratio: Seconds of scikit-learn over ours, as `fit` does it, with threads.
        forked: The same with forked processes.
        threads: Seconds of ours with one thread over two.
        processes: Seconds of ours with one thread over two processes.
        roofline: Share of the machine's limit that the faster of ours reaches; NaN where it was not asked for.
    """

    size: tuple[int, int, int, float]
    kind: str
    ratio: Ratio
    forked: Ratio
    threads: Ratio
    processes: Ratio
    roofline: float


def passes(machine: Machine, sizes: list[Any] = SIZES) -> Iterator[Pass]:
    """Full covariances at every size, the others at the first three."""
    for number, size in enumerate(sizes):
        for kind in ("full", "diag", "spherical", "tied") if number < 3 else ("full",):
            yield one(machine, size, kind)


def one(machine: Machine, size: tuple[int, int, int, float], kind: str) -> Pass:
    """Time one size, after asserting that both have the same log likelihood at the start."""
    n, d, k, apart = size
    rng = np.random.default_rng(0)
    root = np.eye(d) + 0.3 * rng.standard_normal((d, d)) / np.sqrt(d)
    true = apart * rng.standard_normal((k, d))
    x = rng.standard_normal((n, d)) @ root + true[rng.integers(k, size=n)]
    means = true + 0.05 * rng.standard_normal((k, d))
    dense = root.T @ root
    covariances = {
        "full": np.broadcast_to(dense, (k, d, d)),
        "diag": np.broadcast_to(np.diag(dense), (k, d)),
        "spherical": np.full(k, np.trace(dense) / d),
        "tied": dense,
    }[kind]
    model = lem.GaussianMixture(k, structure=STRUCTURES[kind])
    params = model.params(np.full(k, 1 / k), means, covariances)
    engines = {"fit": lem.Threads(), "one": lem.Serial(), "two": lem.Threads(2), "forked": lem.Processes(2)}
    chunks = model.chunks(x)
    runs = {name: _steps(model, params, engine.place(chunks)) for name, engine in engines.items()}
    rival = GaussianMixture(k, covariance_type=kind).fit(x[: max(2000, 3 * d)])
    rival.weights_, rival.means_, rival.covariances_ = np.full(k, 1 / k), means.copy(), np.array(covariances)
    rival.precisions_cholesky_ = _compute_precision_cholesky(rival.covariances_, kind)
    bounds, theirs = [next(run).step.bound for run in runs.values()], rival._e_step(x)[0] * n
    assert np.ptp(bounds) == 0, f"{size} {kind}: the engines disagree: {bounds}"
    assert abs(bounds[0] - theirs) < 1e-9 * abs(theirs), f"{size} {kind}: {bounds[0]} is not {theirs}"

    def rival_pass() -> None:
        _, log_responsibilities = rival._e_step(x)
        rival._m_step(x, log_responsibilities)

    def ours(name: str) -> Callable[[], Any]:
        def step() -> None:
            with one_thread():  # as in a fit, from its beginning to its end
                next(runs[name])

        return step

    ratio, forked = in_turn(rival_pass, ours("fit")), in_turn(rival_pass, ours("forked"))
    threads, processes = in_turn(ours("one"), ours("two")), in_turn(ours("one"), ours("forked"))
    fastest = min(ratio.ours, forked.ours)
    reached = machine.least(n, d, k) / fastest if kind == "full" else float("nan")
    return Pass(size, kind, ratio, forked, threads, processes, reached)


def _steps(model: Any, params: Any, chunks: Any) -> Iterator[Any]:
    return lem.EM(lambda state: None, max_steps=10**6).iterate(model, params, chunks)


def sweep(along: str) -> list[tuple[int, float]]:
    """Nanoseconds a row of our pass, along n, d or k."""
    values = {"n": (10**3, 10**4, 10**5, 10**6), "d": (1, 2, 4, 8, 16, 32, 64), "k": (2, 4, 8, 16, 32, 64)}[along]
    return [(value, _nanoseconds(**({"n": 50_000, "d": 4, "k": 5} | {along: value}))) for value in values]


def _nanoseconds(n: int, d: int, k: int) -> float:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, d)) + rng.integers(3, size=(n, 1))
    model = lem.GaussianMixture(k)
    params = model.params(np.full(k, 1 / k), x[:k], np.array([np.eye(d)] * k))
    run = _steps(model, params, lem.Threads().place(model.chunks(x)))
    next(run)
    return float(np.median([seconds(lambda: next(run)) for _ in range(5)])) / n * 1e9
