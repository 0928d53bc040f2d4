"""Fits of every public model and family, small ones; those of `tests/archive/` were made of them."""

from __future__ import annotations

import warnings

import numpy as np
from subjects import KINDS, MODELS, clusters, counts, overlapping

import latentem as lem

RNG = np.random.default_rng(5)
BITS = RNG.integers(0, 2, (60, 3)).astype(float)
LEVELS = RNG.integers(0, 3, (60, 2)).astype(float)
UNIT = (lambda x: x / np.linalg.norm(x, axis=1, keepdims=True))(RNG.normal((1, 0, 0), 1, (60, 3)))
LINE = np.column_stack([np.linspace(0, 3, 60), np.linspace(0, 6, 60) + RNG.normal(0, 0.3, 60)])
TRIALS = np.column_stack([LINE[:, 0], RNG.integers(0, 5, 60)])
MIXED = np.column_stack([clusters(30), BITS[:, 0]])
HOLES = np.where(RNG.random((60, 2)) < 0.1, np.nan, clusters(30))

FAMILIES = [
    (lem.Gaussian(lem.Diagonal(), lem.InverseWishart(0.5, 3)), clusters(30)),
    (lem.Gaussian(), HOLES),
    (lem.Gaussian(prior=None), clusters(30)),
    (lem.Student(), clusters(30)),
    (lem.LogNormal(), overlapping(30) + 1),
    (lem.Bernoulli(), BITS),
    (lem.Categorical(3), LEVELS),
    (lem.Multinomial(4), np.column_stack([LEVELS[:, 0], 4 - LEVELS[:, 0]])),
    (lem.Binomial(5), TRIALS[:, 1:]),
    (lem.Geometric(), counts()[:60]),
    (lem.Poisson(), counts()[:60]),
    (lem.NegativeBinomial(), counts()[:60, :1]),
    (lem.Exponential(), overlapping(30) + 1),
    (lem.Gamma(), overlapping(30) + 1),
    (lem.Weibull(), overlapping(30) + 1),
    (lem.VonMisesFisher(), UNIT),
    (lem.LinearRegression(), LINE),
    (lem.PoissonRegression(), TRIALS),
    (lem.LogisticRegression(5), TRIALS),
    (lem.Product(lem.Gaussian().on(0, 1), lem.Bernoulli().on(2)), MIXED),
    (lem.ZeroInflated(lem.Poisson()), counts()[:60]),
    (lem.Assorted(lem.Gaussian(), lem.Student()), clusters(30)),
    (lem.Assorted(lem.Gaussian(), lem.Uniform([-9, -9], [12, 12])), clusters(30)),
    (lem.Assorted(lem.Poisson(), lem.PointMass(0)), np.round(clusters(30, 1).clip(0))),
]
SUBJECTS = {
    **{f"{i}: {m!r}": (m, counts() if "Poisson" in repr(m) else clusters()) for i, m in enumerate(MODELS + KINDS)},
    **{f"{f!r} of {x.shape[1]}": (lem.Mixture(f, 2), x) for f, x in FAMILIES},
    "factors": (lem.FactorAnalysis(1), clusters(30, 4)),
    "components": (lem.FactorAnalysis(1, lem.Spherical()), clusters(30, 4)),
    "hidden Markov": (lem.HiddenMarkov(lem.Gaussian(), 2, lem.PseudoCounts(1)), clusters(30)),
    "hidden Markov of chains": (lem.HiddenMarkov(lem.Categorical(3), 2), lem.Sequences(LEVELS, [20, 40])),
    "concomitant": (lem.ConcomitantMixture(lem.LinearRegression(), 2, columns=[0]), LINE),
    "sampled": (lem.Sampled(lem.GaussianMixture(2), 3), clusters(30)),
    "with a prior": (lem.Mixture(lem.Poisson(), 2, lem.PseudoCounts(2)), counts()),
    "frozen": (lem.Frozen(lem.Mixture(lem.Gaussian(), 2), {"weights": lem.Fixed([0.5, 0.5])}), clusters(30)),
}
RUNNERS = {
    "EM": lem.EM(max_steps=9),
    "Anderson": lem.EM(max_steps=60, accelerate=lem.Anderson()),
    "Squarem": lem.EM(max_steps=60, accelerate=lem.Squarem()),
    "Incremental": lem.Incremental(max_steps=5),
    "Annealing": lem.Annealing(betas=(0.3, 1.0), em=lem.EM(max_steps=5)),
    "Online": lem.Online(),
    "Stochastic": lem.Stochastic(steps=8, burn_in=4),
}


def fitted(name):
    """A fit of a subject, of few steps."""
    model, data = SUBJECTS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lem.fit(model, data, n_starts=2, max_steps=8, engine=lem.Serial())
