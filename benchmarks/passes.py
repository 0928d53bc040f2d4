"""A pass of EM over a Gaussian mixture: E-step, books, audit and M-step, against scikit-learn's E and M steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

import latentem as lem
from benchmarks.measure import Machine, in_turn
from benchmarks.others import compiled_loops
from benchmarks.page import Row, Section
from latentem.compiled.choice import found_numba
from latentem.engine.blas import one_thread
from latentem.engine.looped import Looped

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


def rows(machine: Machine, quick: bool) -> Iterator[Row]:
    """Full covariances at every size, the others at the first three."""
    for number, size in enumerate(SIZES[: 2 if quick else None]):
        for kind in ("full", "diag", "spherical", "tied") if number < 3 else ("full",):
            yield one(machine, size, kind)


def one(machine: Machine, size: tuple[int, int, int, float], kind: str) -> Row:
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
    loops = compiled_loops(model) if found_numba() is not None and model.loops(math.inf) else None
    compiled = {
        f"compiled {name}": _steps(model, params, Looped(engines[name].place(chunks), loops))
        for name in ("fit", "one", "two")
        if loops is not None
    }
    rival = GaussianMixture(k, covariance_type=kind).fit(x[: max(2000, 3 * d)])
    rival.weights_, rival.means_, rival.covariances_ = np.full(k, 1 / k), means.copy(), np.array(covariances)
    rival.precisions_cholesky_ = _compute_precision_cholesky(rival.covariances_, kind)
    bounds, theirs = [next(run).step.bound for run in runs.values()], rival._e_step(x)[0] * n
    assert np.ptp(bounds) == 0, f"{size} {kind}: the engines disagree: {bounds}"
    again = [next(run).step.bound for run in compiled.values()]
    assert not again or np.ptp(again) == 0, f"{size} {kind}: the engines disagree: {again}"
    for bound in (bounds[0], *again):
        assert abs(bound - theirs) < 1e-9 * abs(theirs), f"{size} {kind}: {bound} is not {theirs}"
    runs |= compiled

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
    faster: tuple[Any, ...] = ("", "", "")
    if loops is not None:
        quick, scaled = in_turn(rival_pass, ours("compiled fit")), in_turn(ours("compiled one"), ours("compiled two"))
        faster = f"{1e3 * quick.ours:.1f}", quick, scaled
    limit = machine.least(n, d, k) / min(ratio.ours, forked.ours)
    kind = f"{kind}{', apart' if apart > 1 else ''}"
    cells = (
        f"{n:,} x {d}, {k}",
        kind,
        f"{1e3 * ratio.rival:.1f}",
        f"{1e3 * ratio.ours:.1f}",
        ratio,
        f"{1e3 * forked.ours:.1f}",
        forked,
        threads,
        processes,
        *faster,
        f"{limit:.2f}" if kind.startswith("full") else "",
    )
    return Row(cells, bar=(f"mixture {kind} {n:,} x {d}, {k}", ratio))


def _steps(model: Any, params: Any, chunks: Any) -> Iterator[Any]:
    return lem.EM(lambda state: None, max_steps=10**6).iterate(model, params, chunks)


SECTION = Section(
    "A pass of a Gaussian mixture, against scikit-learn",
    """
E-step, entropy, books, audit and M-step of ours, with threads, as `fit` has them, and with forked processes; E and M
step of theirs. Two threads, two processes: ours with one over ours with two. Compiled: the same in loops compiled by
numba, where it is installed (docs/fast.md). Roofline: the products, exponentials and bytes that a pass needs, at the
rates above, over the shorter of our times by numpy.
""",
    (
        "rows x columns, k",
        "covariances",
        "scikit-learn, ms",
        "threads, ms",
        "ratio",
        "processes, ms",
        "ratio",
        "two threads",
        "two processes",
        "compiled, ms",
        "ratio",
        "two threads",
        "roofline",
    ),
    rows,
)
