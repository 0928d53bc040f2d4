"""Whole fits from the same start: to the same log likelihood, and to our own stop."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.mixture import GaussianMixture

import latentem as lem
from benchmarks.measure import Machine, in_turn, seconds
from benchmarks.page import Row, Section

NEAR = 1e-8
"""Nats an observation within which two log likelihoods are the same here."""
PROBLEMS = {
    "slow: 2 components 1.5 widths apart": (100_000, 2, 2, 1.5),
    "slow: 3 components 2 widths apart": (50_000, 4, 3, 2.0),
    "easy: 5 components 8 widths apart": (100_000, 2, 5, 8.0),
}


def rows(_: Machine, quick: bool) -> Iterator[Row]:
    """All problems."""
    for name, problem in list(PROBLEMS.items())[: 2 if quick else None]:
        yield one(name, *problem)


def one(name: str, n: int, d: int, k: int, apart: float) -> Row:
    """One problem, after asserting that the rival ends at our log likelihood."""
    rng = np.random.default_rng(0)
    true = np.zeros((k, d))
    true[:, 0] = apart * np.arange(k)
    x = rng.standard_normal((n, d)) + true[rng.integers(k, size=n)]
    model = lem.GaussianMixture(k, prior=None)
    means = true + 0.3 * rng.standard_normal((k, d))
    params = model.params(np.full(k, 1 / k), means, np.array([np.cov(x.T)] * k))

    def ours(stop: lem.run.StopRule | None = None, plain: bool = False) -> lem.Fit:
        accelerate = None if plain else lem.Anderson()
        return lem.fit(model, x, start=params, stop=stop, accelerate=accelerate, max_steps=100_000)

    rested = ours()
    goal = rested.log_likelihood - NEAR * n

    def there(state: lem.run.State) -> lem.run.Status | None:
        return lem.run.Status(lem.run.Ending.CONVERGED, "the goal is reached") if state.step.bound >= goal else None

    reached = lem.run.StopRule("reached", there)
    best, plain = ours(reached), ours(reached, plain=True).history[-1].index
    rival = GaussianMixture(
        k,
        tol=0,
        max_iter=plain,
        reg_covar=0,
        weights_init=params.weights,
        means_init=params.components.means,
        precisions_init=np.linalg.inv(params.components.covariances),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it did not converge by its own rule, which is off
        theirs = rival.fit(x).score(x)
        assert abs(theirs - best.log_likelihood / n) < 10 * NEAR, f"{name}: {theirs} is not {best.log_likelihood / n}"
        ratio = in_turn(lambda: rival.fit(x), lambda: ours(reached), long=True)
    acceleration = in_turn(lambda: ours(reached, plain=True), lambda: ours(reached), long=True)
    cells = (
        name,
        plain,
        best.history.passes[-1],
        f"{ratio.rival:.2f}",
        f"{ratio.ours:.3f}",
        ratio,
        acceleration,
        f"{rested.history.passes[-1]} passes, {min(seconds(ours) for _ in range(3)):.2f} s",
        f"{seconds(lambda: lem.fit(model, x)):.2f}",
    )
    return Row(cells, bar=(f"fit, {name}", ratio))


SECTION = Section(
    "A fit from the same start, to the same log likelihood, against scikit-learn",
    """
Passes of plain EM to the log likelihood, ours and theirs alike; passes of ours, accelerated, to the same, all counted;
our plain EM over our accelerated; ours until its own stop rule is met, some digits further; ours from ten starts.
""",
    (
        "problem",
        "plain passes",
        "ours",
        "scikit-learn, s",
        "ours, s",
        "ratio",
        "plain over accelerated",
        "to our own stop",
        "ten starts, s",
    ),
    rows,
)
