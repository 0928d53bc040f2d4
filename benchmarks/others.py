"""Other models against other libraries; each after asserting that the answers agree."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import latentem as lem
from benchmarks.measure import Machine, Ratio, in_turn
from benchmarks.page import Row, Section
from latentem.compiled import Loops
from latentem.compiled.choice import found_numba
from latentem.engine.looped import Looped

Compared = tuple[str, str, Ratio]


def rows(_: Machine, quick: bool) -> Iterator[Row]:
    """One a comparison; libraries that are not installed are left out."""
    chains = {
        "100 x 1,000": (100, 1000, False),
        "one of 100,000": (1, 100_000, False),
        "one of 100,000, left to right": (1, 100_000, True),
    }
    comparisons: list[Callable[[], Compared]] = [
        *(partial(_hidden_markov, name, *shape, loops) for loops in (False, True) for name, shape in chains.items()),
        _factor_analysis,
        _carcinoma,
        partial(_latent_classes, 20_000, 8),
        partial(_latent_classes, 5_000, 20),
        _torch,
    ]
    for compare in comparisons[: 2 if quick else None]:
        try:
            what, whom, ratio = compare()
        except ImportError as error:
            print(f"left out: {error}")
            continue
        yield Row(
            (what, whom, f"{1e3 * ratio.rival:.0f}", f"{1e3 * ratio.ours:.1f}", ratio), bar=(f"{whom}: {what}", ratio)
        )


def _hidden_markov(name: str, many: int, length: int, forward: bool, compiled: bool) -> Compared:
    from hmmlearn.hmm import GaussianHMM

    logging.getLogger("hmmlearn").setLevel(logging.ERROR)  # one step does not converge, and is not meant to
    k, rng = 5, np.random.default_rng(0)
    sequences = [rng.standard_normal((length, 2)) + rng.integers(k, size=(length, 1)) for _ in range(many)]
    x, lengths = np.concatenate(sequences), [length] * many
    transitions = np.full((k, k), 0.05) + 0.75 * np.eye(k)
    if forward:
        ahead = np.arange(k) * length // k
        sequences = [x + 3 * (np.arange(length)[:, None] >= ahead).sum(1, keepdims=True)]
        x, transitions = sequences[0], (1 - 1e-4) * np.eye(k) + 1e-4 * np.eye(k, k=1)
        transitions[-1, -1] = 1.0
    means = (3 if forward else 1) * np.arange(1, k + 1)[:, None] + np.zeros((k, 2))
    model = lem.HiddenMarkov(lem.Gaussian(), k)
    params = model.params(np.full(k, 1 / k), transitions, lem.Gaussian().params(means, np.array([np.eye(2)] * k)))
    rival = GaussianHMM(k, "full", init_params="", n_iter=1, implementation="scaling")

    def theirs() -> None:
        rival.startprob_, rival.transmat_ = np.full(k, 1 / k), transitions
        rival.means_, rival.covars_ = means, np.array([np.eye(2)] * k)
        rival.fit(x, lengths)

    placed: Any = lem.Threads().place(model.chunks(sequences))
    if compiled:
        name = f"{name}, compiled"
        placed = Looped(placed, compiled_loops(model))
    run = lem.EM(lambda state: None, max_steps=10**6).iterate(model, params, placed)
    theirs()
    bound, history = next(run).step.bound, rival.monitor_.history
    assert abs(history[-1] - bound) < 1e-9 * abs(bound)
    return f"hidden Markov model, {name}, k = 5, a pass", "hmmlearn", in_turn(theirs, lambda: next(run))


def compiled_loops(model: Any) -> Loops:
    """The compiled loops of a model, ready."""
    if found_numba() is None:
        raise ImportError("numba")
    loops = Loops(model.loops(math.inf), str(found_numba()))
    loops.prepare()
    return loops


def _factor_analysis() -> Compared:
    from sklearn.decomposition import FactorAnalysis

    rng = np.random.default_rng(0)
    x = rng.standard_normal((100_000, 5)) @ rng.standard_normal((5, 30)) + rng.standard_normal((100_000, 30))
    rival = FactorAnalysis(5, tol=1e-8, max_iter=10_000, svd_method="lapack")
    model = lem.FactorAnalysis(5)

    def ours() -> lem.Fit:
        return lem.fit(model, x, n_starts=1, stop=lem.remaining_below(1e-9))

    assert abs(rival.fit(x).score(x) - ours().log_likelihood / len(x)) < 1e-6
    return "factor analysis, 100,000 x 30, m = 5, a fit", "scikit-learn", in_turn(lambda: rival.fit(x), ours)


def _latent_classes(n: int, d: int) -> Compared:
    rng = np.random.default_rng(0)
    half = d // 2
    chances = np.array([[0.9] * half + [0.1] * half, [0.1] * half + [0.9] * half, [0.9, 0.1] * half])
    x = (rng.random((n, d)) < chances[rng.integers(3, size=n)]).astype(float)
    return f"latent classes, {n:,} x {d} binary, k = 3, a fit from one start", "stepmix", _classes(x, 3, 1)


def _carcinoma() -> Compared:
    x = np.asarray(lem.datasets.carcinoma(), float)
    return "latent classes, carcinoma, 118 x 7, k = 3, ten starts", "stepmix", _classes(x - x.min(), 3, 10)


def _classes(x: np.ndarray, k: int, starts: int) -> Ratio:
    from stepmix.stepmix import StepMix

    model = lem.Mixture(lem.Bernoulli(), k)

    def theirs() -> StepMix:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a start that did not converge by its own rule
            return StepMix(
                k,
                measurement="binary",
                n_init=starts,
                random_state=0,
                abs_tol=1e-9,
                max_iter=10_000,
                progress_bar=0,
                verbose=0,
            ).fit(x)

    def ours() -> lem.Fit:
        return lem.fit(model, x, n_starts=starts, stop=lem.remaining_below(1e-9))

    assert abs(theirs().score(x) - ours().log_likelihood / len(x)) < 1e-5
    return in_turn(theirs, ours)


def _torch() -> Compared:
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    n, d, k, rng = 100_000, 8, 10, np.random.default_rng(0)
    means = 3 * rng.standard_normal((k, d))
    x = rng.standard_normal((n, d)) + means[rng.integers(k, size=n)]
    parts = [Normal(torch.tensor(mean), torch.eye(d, dtype=torch.float64), "full") for mean in means]
    rival, rows = GeneralMixtureModel(parts), torch.tensor(x)
    model = lem.GaussianMixture(k)
    params = model.params(np.full(k, 1 / k), means, np.array([np.eye(d)] * k))
    run = lem.EM(lambda state: None, max_steps=10**6).iterate(model, params, lem.Threads().place(model.chunks(x)))
    assert abs(float(rival.summarize(rows).sum()) - next(run).step.bound) < 1e-6 * n
    rival.from_summaries()

    def theirs() -> None:
        rival.summarize(rows)
        rival.from_summaries()

    return "Gaussian mixture, 100,000 x 8, k = 10, a pass", "pomegranate", in_turn(theirs, lambda: next(run))


SECTION = Section(
    "Other models",
    "A pass is an iteration of theirs, and a step of ours with books and audit.",
    ("what", "against", "theirs, ms", "ours, ms", "ratio"),
    rows,
)
