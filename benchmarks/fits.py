"""Whole fits from the same start: to the same log likelihood, and to our own stop."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from attrs import frozen
from sklearn.mixture import GaussianMixture

import latentem as lem
from benchmarks.measure import Ratio, in_turn, seconds

NEAR = 1e-8
"""Nats an observation within which two log likelihoods are the same here."""
PROBLEMS = {
    "slow: 2 components 1.5 widths apart": (100_000, 2, 2, 1.5),
    "slow: 3 components 2 widths apart": (50_000, 4, 3, 2.0),
    "easy: 5 components 8 widths apart": (100_000, 2, 5, 8.0),
}


@frozen
class Race:
    """What was measured of one problem.

    Attributes:
        name: Which.
        plain: Passes of plain EM to the log likelihood, ours and scikit-learn's alike.
        passes: Passes of ours, accelerated, to the same, all counted.
        ratio: Seconds of scikit-learn over ours.
        acceleration: Seconds of our plain EM over our accelerated.
        rested: Passes and seconds of ours until our own stop rule is met, some digits further.
        ten: Seconds of ours from ten starts, as `fit` does where no start is given.
    """

    name: str
    plain: int
    passes: int
    ratio: Ratio
    acceleration: Ratio
    rested: tuple[int, float]
    ten: float


def races(problems: dict[str, tuple[int, int, int, float]] = PROBLEMS) -> Iterator[Race]:
    """All problems."""
    for name, problem in problems.items():
        yield one(name, *problem)


def one(name: str, n: int, d: int, k: int, apart: float) -> Race:
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
    end = int(rested.history.passes[-1]), min(seconds(ours) for _ in range(3))
    ten = seconds(lambda: lem.fit(model, x))
    return Race(name, plain, int(best.history.passes[-1]), ratio, acceleration, end, ten)
