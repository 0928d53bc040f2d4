"""Evidence that is not complete: missing cells, known labels and weights, together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import latentem as lem
from latentem.testing import check_model

X = lem.datasets.iris()


def holes(x, share=0.2, seed=0):
    x = x.copy()
    x[np.random.default_rng(seed).random(x.shape) < share] = np.nan
    return x


def observed_evidence(params, chunk):
    """The log density of the cells that are there, row by row, from scipy."""
    total = []
    for row in chunk.x:
        seen = ~np.isnan(row)
        parts = zip(params.components.means, params.components.dense(), strict=True)
        each = [
            stats.multivariate_normal(m[seen], c[np.ix_(seen, seen)]).logpdf(row[seen]) if seen.any() else 0.0
            for m, c in parts
        ]
        total.append(logsumexp(np.log(params.weights) + np.array(each)))
    return np.array(total)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_observed_likelihood_rises_at_every_half_step(k):
    """With 20 % of the cells missing, each half gains, and the bound is the observed-data likelihood by scipy."""
    x = holes(X)
    model = lem.GaussianMixture(k)
    params = lem.fit(model, X, n_starts=1, rng=1).params
    before = -np.inf
    for state in lem.EM(max_steps=15).iterate(model, params, x):
        exact = observed_evidence(state.params, model.chunk(x)).sum()
        assert abs(exact - state.step.bound) < 1e-8 * len(x)
        assert exact >= before - 1e-9
        before = exact
        if state.step.index:
            assert min(state.step.m_gain, state.step.e_gain) > -1e-8


@pytest.mark.parametrize("structure", [lem.Full(), lem.Diagonal(), lem.Tied(), lem.Spherical()], ids=str)
def test_mixtures_with_holes_keep_the_contract(structure):
    """Each clause holds, bare and transformed, beside the independent density of the observed cells."""
    model = lem.GaussianMixture(2, structure=structure)
    params = lem.fit(model, X, n_starts=1).params
    x = holes(X[::5], 0.3)
    x[3] = np.nan
    check_model(model, params, x, evidence=observed_evidence)


def test_with_none_missing_it_is_the_plain_model():
    """A table without holes takes the plain path: the likelihood of each step is scipy's, and a copy's to the bit."""
    one, two = (lem.fit(lem.GaussianMixture(2), x, n_starts=2) for x in (X, np.ma.masked_array(X)))
    np.testing.assert_array_equal(one.history.bound, two.history.bound)
    posterior = one.model.posterior(one.params, one.model.chunk(X))
    assert posterior.hidden is None
    assert abs(observed_evidence(one.params, one.model.chunk(X)).sum() - one.log_likelihood) < 1e-8


def test_holes_weights_and_known_labels_go_together():
    """A row of weight two with holes is that row twice; known labels stay known."""
    x = holes(X)
    labels = np.where(np.arange(150) % 4 == 0, (np.arange(150) >= 50).astype(int), -1)
    model = lem.GaussianMixture(2)
    start = lem.fit(model, X, n_starts=1).params
    weights = np.where(np.arange(150) < 20, 2.0, 1.0)
    one = lem.EM(max_steps=4).run(model, start, model.chunk(x, weights, labels))
    repeated = np.r_[np.arange(150), np.arange(20)]
    two = lem.EM(max_steps=4).run(model, start, model.chunk(x[repeated], None, labels[repeated]))
    np.testing.assert_allclose(one.params.components.means, two.params.components.means, rtol=1e-10)
    q = model.posterior(one.params, model.chunk(x, None, labels))
    np.testing.assert_array_equal(q.weights[labels >= 0].argmax(axis=1), labels[labels >= 0])


def test_hidden_markov_models_take_holes():
    """A sequence with holes, whole rows among them, has the evidence of the sum over all paths of what is there."""
    family = lem.Gaussian()
    model = lem.HiddenMarkov(family, 2)
    params = model.params(
        [0.6, 0.4], [[0.7, 0.3], [0.2, 0.8]], family.params([[5.0, 3.0], [6.5, 3.0]], [np.eye(2)] * 2)
    )
    x = holes(X[[0, 60, 70, 2, 3, 90], :2], 0.3)
    x[2] = np.nan
    check_model(model, params, [x, x[::-1]])
    mixture = lem.Mixture(family, 2)
    total = -np.inf
    for path in np.ndindex(*(2,) * len(x)):
        value = np.log(params.initial[path[0]])
        for t, state in enumerate(path):
            value += np.log(params.transitions[path[t - 1], state]) if t else 0.0
            alone = mixture.params(np.eye(2)[state], params.emissions)
            value += observed_evidence_of(alone, x[t], state)
        total = np.logaddexp(total, value)
    np.testing.assert_allclose(model.log_evidence(params, model.chunk(x)), total, rtol=1e-12)


def observed_evidence_of(params, row, state):
    seen = ~np.isnan(row)
    if not seen.any():
        return 0.0
    mean, covariance = params.components.means[state], params.components.dense()[state]
    return stats.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).logpdf(row[seen])


def test_kmeans_and_columns_without_a_value_are_refused_by_name():
    """A column that is missing throughout has no mean; K-means takes no holes."""
    x = X.copy()
    x[:, 2] = np.nan
    with pytest.raises(ValueError, match="column 2 has no value at all"):
        lem.fit(lem.GaussianMixture(2), x)
