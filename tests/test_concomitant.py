"""Weights that depend on columns of the row."""

from __future__ import annotations

import numpy as np
from independent import jacobian_rank
from scipy import optimize, stats
from scipy.special import expit, log_softmax, logsumexp

import latentem as lem
from latentem.testing import check_model

RNG = np.random.default_rng(0)
N = 400
W = RNG.normal(size=N)
Z = RNG.random(N) < expit(0.5 + 2 * W)
ROWS = np.column_stack([W, np.where(Z, 3.0, -1.0) + RNG.normal(size=N)])
MODEL = lem.ConcomitantMixture(lem.Gaussian(lem.Spherical()).on(1), 2, (0,))
PARAMS = MODEL.params([[0.0, 0.0], [0.2, 0.7]], lem.Gaussian(lem.Spherical()).params([[-0.5], [2.0]], [1.5, 0.8]))


def evidence(params, chunk):
    log_weights = log_softmax(params.gate[:, 0] + chunk.x[:, :1] * params.gate[:, 1], axis=1)
    parts = params.components
    each = stats.norm(parts.means[:, 0], np.sqrt(parts.covariances)).logpdf(chunk.x[:, 1:])
    return logsumexp(log_weights + each, axis=1)


def test_concomitant_mixtures_keep_the_contract():
    """Each clause holds, bare and transformed, beside an evidence from scipy."""
    check_model(MODEL, PARAMS, ROWS[:60], evidence=evidence)


def test_the_fit_is_the_maximum_of_the_likelihood():
    """A fit ends where scipy's optimiser of the written-out likelihood ends, and near what was drawn."""
    fit = lem.fit(MODEL, ROWS, n_starts=2)

    def loss(v):
        parts = [stats.norm(v[2 + j], np.exp(v[4 + j])).logpdf(ROWS[:, 1]) for j in (0, 1)]
        log_odds = v[0] + v[1] * ROWS[:, 0]
        return -np.logaddexp(parts[0] - np.logaddexp(0, log_odds), parts[1] - np.logaddexp(0, -log_odds)).sum()

    best = optimize.minimize(loss, [0.0, 0.0, -0.5, 2.0, 0.0, 0.0], method="BFGS", options={"gtol": 1e-7})
    assert abs(fit.log_likelihood + best.fun) < 1e-6
    slope = fit.params.gate[1, 1] * np.sign(np.diff(fit.params.components.means[:, 0])[0])
    assert 1.3 < slope < 3.0


def test_without_columns_it_is_the_plain_mixture():
    """No concomitant columns: constant weights, and the mixture's likelihood."""
    model = lem.ConcomitantMixture(lem.Gaussian().on(1), 2, ())
    fit = lem.fit(model, ROWS, n_starts=3)
    plain = lem.fit(lem.GaussianMixture(2), ROWS[:, 1:], n_starts=3)
    assert abs(fit.log_likelihood - plain.log_likelihood) < 1e-7


def test_number_of_parameters_is_the_rank_of_the_jacobian():
    """(k - 1)(p + 1) for the gate and those of the family."""
    chunk = MODEL.chunk(ROWS)

    def log_densities(v):
        family = lem.Gaussian(lem.Spherical())
        gate = np.stack([np.zeros(2), v[2:4] - v[:2]])
        return MODEL.log_evidence(MODEL.params(gate, family.params(v[4:6, None], np.exp(v[6:]))), chunk)

    rank = jacobian_rank(log_densities, np.array([0.1, 0.2, 0.4, 0.9, -1.0, 3.0, 0.0, 0.3]))
    assert rank == sum(block.size(PARAMS) for block in MODEL.blocks()) == 6
