"""Other models against other libraries; each after asserting that the answers agree."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import numpy as np

import latentem as lem
from benchmarks.measure import Ratio, in_turn


def rivals() -> Iterator[tuple[str, str, Ratio]]:
    """What was compared, with whom, and the ratio of seconds; libraries that are not installed are left out."""
    for compare in (_hidden_markov, _factor_analysis, _latent_classes, _torch):
        try:
            yield compare()
        except ImportError as error:
            print(f"left out: {error}")


def _hidden_markov() -> tuple[str, str, Ratio]:
    from hmmlearn.hmm import GaussianHMM

    logging.getLogger("hmmlearn").setLevel(logging.ERROR)  # one step does not converge, and is not meant to
    k, rng = 5, np.random.default_rng(0)
    sequences = [rng.standard_normal((1000, 2)) + rng.integers(k, size=(1000, 1)) for _ in range(100)]
    x, lengths = np.concatenate(sequences), [1000] * 100
    transitions = np.full((k, k), 0.05) + 0.75 * np.eye(k)
    means = np.arange(k)[:, None] + np.zeros((k, 2))
    model = lem.HiddenMarkov(lem.Gaussian(), k)
    params = model.params(np.full(k, 1 / k), transitions, lem.Gaussian().params(means, np.array([np.eye(2)] * k)))
    rival = GaussianHMM(k, "full", init_params="", n_iter=1, implementation="scaling")

    def theirs() -> None:
        rival.startprob_, rival.transmat_ = np.full(k, 1 / k), transitions
        rival.means_, rival.covars_ = means, np.array([np.eye(2)] * k)
        rival.fit(x, lengths)

    run = lem.EM(lambda state: None, max_steps=10**6).iterate(
        model, params, lem.Threads().place(model.chunks(sequences))
    )
    theirs()
    assert abs(rival.monitor_.history[-1] - next(run).step.bound) < 1e-6
    return "hidden Markov model, 100 x 1,000, k = 5, a pass", "hmmlearn", in_turn(theirs, lambda: next(run))


def _factor_analysis() -> tuple[str, str, Ratio]:
    from sklearn.decomposition import FactorAnalysis

    rng = np.random.default_rng(0)
    x = rng.standard_normal((100_000, 5)) @ rng.standard_normal((5, 30)) + rng.standard_normal((100_000, 30))
    rival = FactorAnalysis(5, tol=1e-8, max_iter=10_000, svd_method="lapack")
    model = lem.FactorAnalysis(5)

    def ours() -> lem.Fit:
        return lem.fit(model, x, n_starts=1, stop=lem.remaining_below(1e-9))

    assert abs(rival.fit(x).score(x) - ours().log_likelihood / len(x)) < 1e-6
    return "factor analysis, 100,000 x 30, m = 5, a fit", "scikit-learn", in_turn(lambda: rival.fit(x), ours)


def _latent_classes() -> tuple[str, str, Ratio]:
    from stepmix.stepmix import StepMix

    rng = np.random.default_rng(0)
    chances = np.array([[0.9] * 4 + [0.1] * 4, [0.1] * 4 + [0.9] * 4, [0.9, 0.1] * 4])
    x = (rng.random((20_000, 8)) < chances[rng.integers(3, size=20_000)]).astype(float)
    model = lem.Mixture(lem.Bernoulli(), 3)

    def theirs() -> StepMix:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a start that did not converge by its own rule
            return StepMix(
                3, measurement="binary", n_init=1, random_state=0, abs_tol=1e-9, progress_bar=0, verbose=0
            ).fit(x)

    def ours() -> lem.Fit:
        return lem.fit(model, x, n_starts=1, stop=lem.remaining_below(1e-9))

    assert abs(theirs().score(x) - ours().log_likelihood / len(x)) < 1e-5
    return "latent classes, 20,000 x 8 binary, k = 3, a fit from one start", "stepmix", in_turn(theirs, ours)


def _torch() -> tuple[str, str, Ratio]:
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
