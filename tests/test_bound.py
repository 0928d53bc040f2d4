"""The bound for any q, and the supervised end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import latentem as lem

X = lem.datasets.old_faithful()[:60]
MODEL = lem.GaussianMixture(3)
PARAMS = MODEL.params([0.3, 0.2, 0.5], [[2.0, 55.0], [3.5, 70.0], [4.4, 80.0]], [np.diag([0.4, 40.0])] * 3)


def by_hand(q):
    """Q, H and the log evidence, from scipy's densities, row by row."""
    joint = np.array(
        [
            np.log(w) + stats.multivariate_normal(m, c).logpdf(X)
            for w, m, c in zip(PARAMS.weights, PARAMS.components.means, PARAMS.components.covariances, strict=True)
        ]
    ).T
    positive = np.where(q > 0, q, 1.0)
    return (q * joint).sum(), -(q * np.log(positive)).sum(), np.log(np.exp(joint).sum(axis=1)).sum()


EXACT = MODEL.posterior(PARAMS, lem.Rows(X)).weights
POSTERIORS = {
    "uniform": np.full((60, 3), 1 / 3),
    "half and half": np.tile([0.5, 0.5, 0.0], (60, 1)),
    "hard": np.eye(3)[np.arange(60) % 3],
    "stale": MODEL.posterior(MODEL.params([0.6, 0.2, 0.2], X[:3], [np.eye(2) * 9] * 3), lem.Rows(X)).weights,
    "exact": EXACT,
}


@pytest.mark.parametrize("name", POSTERIORS)
def test_every_posterior_gives_its_own_bound(name):
    """Q, H, A, evidence and the gap are those of scipy's densities, and the gap is KL(q || p)."""
    q = POSTERIORS[name]
    books = lem.lower_bound(MODEL, PARAMS, X, lem.LabelPosterior(q))
    expected_log_joint, entropy, evidence = by_hand(q)
    assert books.expected_log_joint == pytest.approx(expected_log_joint, rel=1e-12)
    assert books.entropy == pytest.approx(entropy, rel=1e-12, abs=1e-12)
    assert books.log_evidence == pytest.approx(evidence, rel=1e-12)
    assert books.bound == books.expected_log_joint + books.entropy
    divergence = (q * (np.log(np.where(q > 0, q, 1)) - np.where(q > 0, np.log(EXACT), 0))).sum()
    assert books.gap == pytest.approx(divergence, abs=1e-9)
    assert lem.lower_bound(MODEL, PARAMS, X, q) == books


def test_the_exact_posterior_closes_the_gap():
    """At the exact posterior the bound touches the log evidence, and only there."""
    assert abs(lem.lower_bound(MODEL, PARAMS, X, EXACT).gap) < 1e-10
    nearly = 0.999 * EXACT + 0.001 / 3
    assert lem.lower_bound(MODEL, PARAMS, X, nearly).gap > 1e-6


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 50.0))
def test_no_posterior_lifts_the_bound_above_the_evidence(seed, concentration):
    """A <= log evidence for posteriors drawn from Dirichlet distributions, flat and spiky."""
    q = np.random.default_rng(seed).dirichlet(np.full(3, concentration), 60)
    books = lem.lower_bound(MODEL, PARAMS, X, q)
    assert books.gap >= -1e-9


def test_a_posterior_that_does_not_fit_is_refused():
    """Rows that do not sum to one, negative probabilities and wrong shapes are errors by row or shape."""
    with pytest.raises(ValueError, match="unit 1 are"):
        lem.lower_bound(MODEL, PARAMS, X, np.tile([[0.5, 0.5, 0.0], [0.5, 0.6, 0.0]], (30, 1)))
    with pytest.raises(ValueError, match="unit 0 are"):
        lem.LabelPosterior([[1.5, -0.5]])
    with pytest.raises(ValueError, match=r"\(60, 3\)"):
        lem.lower_bound(MODEL, PARAMS, X, np.full((60, 2), 0.5))


LABELS = np.arange(60) % 3


@pytest.mark.parametrize("structure", [lem.Full(), lem.Diagonal(), lem.Tied()], ids=str)
def test_all_labels_known_is_the_closed_form_at_once(structure):
    """With every label known: class frequencies, means and covariances, and movement 0 at the second pass."""
    model = lem.GaussianMixture(3, structure=structure)
    fit = lem.fit(model, X, allowed=LABELS, start=LABELS)
    np.testing.assert_allclose(fit.params.weights, np.bincount(LABELS) / 60, rtol=1e-14)
    parts = [X[j == LABELS] for j in range(3)]
    np.testing.assert_allclose(fit.params.components.means, [part.mean(axis=0) for part in parts], rtol=1e-13)
    classes = np.array([np.cov(part.T, bias=True) for part in parts])
    wanted = {"Full()": classes, "Diagonal()": classes * np.eye(2)}.get(
        str(structure), np.broadcast_to(np.average(classes, axis=0, weights=[len(p) for p in parts]), (3, 2, 2))
    )
    np.testing.assert_allclose(fit.params.components.dense(), wanted, rtol=1e-11, atol=1e-15)
    assert fit.history.movement[1] == 0
    assert fit.history.entropy.tolist() == [0.0] * len(fit.history)
    assert len(fit.history) == 2


def test_known_labels_stay_and_pull_the_others():
    """Some labels known: their rows keep probability one, and the bound is the evidence of the restricted data."""
    labels = np.full(60, -1)
    labels[:10] = np.where(X[:10, 0] < 3, 1, 0)
    model = lem.GaussianMixture(2, structure=lem.Tied())
    fit = lem.fit(model, X, allowed=labels)
    chunk = model.chunk(X, None, labels)
    weights = model.posterior(fit.params, chunk).weights
    assert (weights[np.arange(10), labels[:10]] == 1).all()
    joint = np.array(
        [
            np.log(w) + stats.multivariate_normal(m, fit.params.components.covariances).logpdf(X)
            for w, m in zip(fit.params.weights, fit.params.components.means, strict=True)
        ]
    ).T
    known = joint[np.arange(10), labels[:10]].sum()
    assert fit.bound == pytest.approx(known + np.logaddexp.reduce(joint[10:], axis=1).sum(), rel=1e-12)
    assert fit.params.components.means[1, 0] < fit.params.components.means[0, 0]


def test_a_set_of_allowed_components_has_the_others_at_zero():
    """A row that may be in two of three components has probability zero in the third."""
    allowed = np.ones((60, 3), bool)
    allowed[::2, 2] = False
    fit = lem.fit(MODEL, X, allowed=allowed, n_starts=3)
    q = MODEL.posterior(fit.params, MODEL.chunk(X, None, allowed))
    assert (q.weights[::2, 2] == 0).all()
    assert (q.weights[1::2, 2] > 0).any()
    assert np.isfinite(fit.bound)


def test_labels_that_cannot_be_are_refused():
    """Labels below -1 or beyond k - 1, tables of another width and rows allowed nowhere are errors."""
    for allowed, words in [
        (np.full(60, 3), "label 3"),
        (np.full(60, -2), "label -2"),
        (np.ones((60, 2), bool), "2 columns"),
        (np.zeros((60, 3), bool), "row 0 is allowed"),
        (np.full(60, 0.5), "whole-number labels"),
    ]:
        with pytest.raises(ValueError, match=words):
            lem.fit(MODEL, X, allowed=allowed)


def test_a_posterior_for_other_data_is_refused():
    """Mass where a row may not belong, or other multiplicities than the rows' weights, would break the bound."""
    allowed = np.eye(3, dtype=bool)[LABELS]
    with pytest.raises(ValueError, match="may not belong"):
        lem.lower_bound(MODEL, PARAMS, lem.Rows(X, allowed=allowed), np.full((60, 3), 1 / 3))
    weighted = lem.Rows(X, np.full(60, 5.0))
    with pytest.raises(ValueError, match="multiplicities"):
        lem.lower_bound(MODEL, PARAMS, weighted, lem.LabelPosterior(np.full((60, 3), 1 / 3)))
    books = lem.lower_bound(MODEL, PARAMS, weighted, np.full((60, 3), 1 / 3))
    assert books.bound == pytest.approx(5 * lem.lower_bound(MODEL, PARAMS, X, np.full((60, 3), 1 / 3)).bound, rel=1e-12)


def test_a_list_of_chunks_is_one_data_set():
    """The bound of rows in two chunks is that of the rows in one."""
    q = np.full((60, 3), 1 / 3)
    assert lem.lower_bound(MODEL, PARAMS, [lem.Rows(X[:25]), lem.Rows(X[25:])], q) == lem.lower_bound(
        MODEL, PARAMS, X, q
    )


def test_what_a_row_weighs_changes_nothing_about_the_row():
    """Predictions and scores of single rows ignore weights, also zero ones; the mean score counts them."""
    fit = lem.fit(MODEL, X, n_starts=3)
    weights = np.tile([1.0, 0.0, 3.0], 20)
    rows = lem.Rows(X, weights)
    assert np.array_equal(fit.predict(rows), fit.predict(X))
    np.testing.assert_array_equal(fit.score_samples(rows), fit.score_samples(X))
    np.testing.assert_array_equal(fit.posterior(rows).weights, fit.posterior(X).weights)
    assert fit.score(rows) == pytest.approx(np.average(fit.score_samples(X), weights=weights), rel=1e-12)
