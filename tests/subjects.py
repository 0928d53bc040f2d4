"""What the tests are run on: structures, models and data."""

from __future__ import annotations

import numpy as np

import latentem as lem

FREE = [lem.Full(), lem.Diagonal(), lem.Spherical()]
STRUCTURES = [*FREE, *(lem.Tied(structure) for structure in FREE)]
KINDS = [*(lem.GaussianMixture(2, structure=s) for s in STRUCTURES), lem.KMeans(2), lem.Mixture(lem.Poisson(), 2)]
MODELS = [
    lem.GaussianMixture(2),
    lem.GaussianMixture(2, structure=lem.Tied(lem.Diagonal()), weights=lem.Fixed.uniform()),
    lem.GaussianMixture(2, weights=lem.Fixed(np.array([0.4, 0.6])), prior=(lem.PseudoCounts(1), lem.Floor(1e-6))),
    lem.GaussianMixture(2, structure=lem.Spherical(), prior=lem.InverseWishart(0.5, 3)),
    lem.KMeans(2),
    lem.Mixture(lem.Poisson(), 2),
    lem.Hard(lem.Mixture(lem.Poisson(), 2)),
    lem.Tempered(lem.GaussianMixture(2), 0.7),
    lem.Frozen(lem.GaussianMixture(2), {"means"}),
]
SOON = lem.remaining_below(1e-5)
TIGHT = lem.remaining_below(1e-18)
FAITHFUL = lem.datasets.old_faithful()


def deaths():
    """Hasselblad's (1969) death notices, a count a day, shape (1096, 1)."""
    return np.repeat(np.arange(10), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])[:, None]


def clusters(n=150, d=2, seed=0):
    """Two that touch, of different widths."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, (n, d)), rng.normal(4, 1.5, (n, d))])


def overlapping(n=150):
    """Two that overlap, rounded and not negative."""
    rng = np.random.default_rng(4)
    return np.round(np.concatenate([rng.normal(6, 2, (n, 2)), rng.normal(9, 2, (n, 2))]).clip(0), 2)


def counts():
    """The same as whole numbers."""
    return np.round(overlapping())


def blobs(n=40, d=2, seed=0):
    """Two far apart."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(4, 1, (n, d)), rng.normal(12, 1, (n, d))])


def three_blobs(n=60, d=2, seed=0):
    """Three, the columns correlated."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d))
    return np.concatenate([rng.normal(5, 1, (n, d)) @ mix, rng.normal(8, 1.3, (n, d)) @ mix, rng.normal(1, 1, (n, d))])


def begin(n=60):
    """Labels of the three."""
    return np.repeat([0, 1, 2], n)
