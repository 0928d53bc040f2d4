"""K-means is EM, and so is everything between it and the full mixture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from independent import lloyd
from scipy.special import softmax
from sklearn.cluster import KMeans as Rival
from subjects import FAITHFUL

import latentem as lem

CORNERS = np.repeat([[0, 0, 0, 0], [2, 1, 3, 0], [3, -1, 1, 2]], 50, axis=0)
BLOBS = CORNERS + np.random.default_rng(5).normal(size=(150, 4))


def bound_of(inertia, n, d, k, variance):
    """constant - inertia / (2 variance): the classification log likelihood of equal weights and one variance."""
    return -n * np.log(k) - n * d / 2 * np.log(2 * np.pi * variance) - inertia / (2 * variance)


@pytest.mark.parametrize(("x", "k"), [(FAITHFUL, 3), (BLOBS, 4)], ids=["faithful", "blobs"])
def test_the_bound_is_the_inertia_at_every_half_step(x, k):
    """After each M half and each E half, the bound is constant - inertia / (2 variance)."""
    model, variance = lem.KMeans(k), 2.5
    start = model.params(x[:k], variance)
    states = list(lem.EM().iterate(model, start, x))
    labels = None
    for state in states:
        centres = state.params.components.means
        apart = ((x[:, None] - centres) ** 2).sum(axis=2)
        after_e = bound_of(apart.min(axis=1).sum(), *x.shape, k, variance)
        assert state.step.bound == pytest.approx(after_e, rel=1e-12)
        if labels is not None:
            after_m = bound_of(apart[np.arange(len(x)), labels].sum(), *x.shape, k, variance)
            assert state.step.bound - state.step.e_gain == pytest.approx(after_m, rel=1e-12)
        assert state.step.entropy == 0
        labels = apart.argmin(axis=1)
    assert states[-1].status.converged


@pytest.mark.parametrize(("x", "k"), [(FAITHFUL, 3), (FAITHFUL, 6), (BLOBS, 4)], ids=["3", "6", "blobs"])
def test_the_centres_are_those_of_lloyd_step_by_step(x, k):
    """The centres are those of a hand-written Lloyd's algorithm after every step, to the last assignment."""
    model = lem.KMeans(k)
    states = list(lem.EM().iterate(model, model.params(x[:k]), x))
    by_hand = lloyd(x, x[:k], len(states) - 1)
    for state, centres in zip(states[1:], by_hand, strict=True):
        np.testing.assert_allclose(state.params.components.means, centres, rtol=1e-13)
    np.testing.assert_allclose(by_hand[-1], lloyd(x, x[:k], len(states) + 5)[-1])


def test_a_fit_is_as_good_as_another_library_and_reports_its_inertia():
    """The best of ten starts has the inertia of scikit-learn's best of fifty, and it is that of the labels."""
    for x, k in ((FAITHFUL, 3), (BLOBS, 3)):
        fit = lem.fit(lem.KMeans(k), x)
        assert fit.inertia == pytest.approx(Rival(k, n_init=50, random_state=0, tol=0).fit(x).inertia_, rel=1e-9)
        labels, centres = fit.predict(x), fit.params.components.means
        assert fit.inertia == pytest.approx(((x - centres[labels]) ** 2).sum(), rel=1e-12)


def test_the_held_variance_is_the_pooled_within_cluster_variance_of_the_start():
    """Given labels as a start, the held variance is their pooled within-cluster variance a column."""
    labels = (FAITHFUL[:, 1] > 70).astype(int)
    fit = lem.fit(lem.KMeans(2), FAITHFUL, start=labels)
    within = sum(((FAITHFUL[labels == j] - FAITHFUL[labels == j].mean(axis=0)) ** 2).sum() for j in (0, 1))
    assert float(fit.params.components.covariances) == pytest.approx(within / FAITHFUL.size, rel=1e-12)


def test_an_empty_cluster_is_moved_to_the_least_likely_row():
    """A cluster that no row is nearest to moves to the row farthest from its own centre, the first that ties."""
    x = np.array([[0.0], [1.0], [10.0], [11.0], [19.0], [20.0]])
    model = lem.KMeans(3)
    start = model.params([[0.5], [15.0], [500.0]])
    states = list(lem.EM().iterate(model, start, x))
    # after the first M half the centres are .5 and 15: rows 2 and 5 are both 5 away, and row 2 comes first
    assert states[1].params.components.means[:, 0].tolist() == [0.5, 15.0, 10.0]
    assert states[1].step.kind == "repaired"
    assert [(event.kind, event.component, event.step) for event in states[-1].events] == [("reseeded", 2, 1)]
    assert sorted(states[-1].params.components.means[:, 0]) == [0.5, 10.5, 19.5]
    assert all(state.step.m_gain >= 0 for state in states[1:])


def test_two_empty_clusters_move_to_different_places():
    """Two empty clusters are not moved to copies of one row, and rows of weight zero are no place to go."""
    x = np.array([[0.0], [0.0], [7.0], [7.0], [50.0], [1.0], [2.0]])
    model = lem.KMeans(3)
    chunk = lem.Rows(x, np.array([1, 1, 1, 1, 0, 1, 1.0]))
    start = model.params([[0.0], [900.0], [901.0]])
    last = list(lem.EM().iterate(model, start, chunk))[-1]
    assert sorted(last.params.components.means[:, 0].tolist()) == pytest.approx([1 / 3, 2.0, 7.0])
    assert last.clean


def test_clusters_are_reseeded_where_the_chunks_are():
    """Many empty clusters move to the farthest rows in turn, wherever their chunks are, and never to equal rows."""
    rng = np.random.default_rng(3)
    x = np.repeat(np.round(rng.normal(size=(9000, 2)), 2), 2, axis=0)
    model = lem.KMeans(12)
    start = model.params(np.concatenate([[[0.0, 0.0], [1.0, 1.0]], 50 + np.arange(20.0).reshape(10, 2)]))
    labels = ((x[:, None] - start.components.means[:2]) ** 2).sum(axis=2).argmin(axis=1)
    centres = np.stack([x[labels == j].mean(axis=0) for j in (0, 1)])
    apart = ((x - centres[labels]) ** 2).sum(axis=1)
    wanted = list(dict.fromkeys(map(tuple, x[np.argsort(-apart, kind="stable")].tolist())))[:10]
    chunks = model.chunks(x)
    assert len(chunks) > 1
    ends = []
    for data in (chunks, lem.Threads(2).place(chunks), [model.chunk(x)]):
        states = list(itertools.islice(lem.EM().iterate(model, start, data), 2))
        assert [tuple(row) for row in states[1].params.components.means[2:].tolist()] == wanted
        ends.append([(event.component, event.message) for event in states[1].events])
    assert ends[0] == ends[1] == ends[2]


def test_a_cluster_is_reseeded_only_where_it_is_allowed():
    """An empty cluster moves to the farthest of the rows that may belong to it; where there is none, it stays."""
    x = np.array([[0.0], [1.0], [10.0], [11.0], [30.0], [31.0]])
    allowed = np.ones((6, 3), dtype=bool)
    allowed[4:, 2] = False
    model = lem.KMeans(3)
    start = model.params([[0.5], [15.0], [500.0]])
    states = list(itertools.islice(lem.EM().iterate(model, start, model.chunks(x, allowed=allowed)), 2))
    assert states[1].params.components.means[2, 0] == 10.0  # of 10, 11 | 30, 31 about 20.5, those on the left may
    allowed[:, 2] = False
    allowed[0, 2] = True  # which sits nearest to its own centre, but is the only one
    states = list(itertools.islice(lem.EM().iterate(model, start, model.chunks(x, allowed=allowed)), 2))
    assert states[1].params.components.means[2, 0] == 0.0


def test_more_clusters_than_distinct_rows_leave_one_empty_and_say_so():
    """With fewer distinct rows than clusters there is nowhere to move to: the empty cluster is an event."""
    x = np.repeat([[0.0], [5.0]], 4, axis=0)
    model = lem.KMeans(3)
    fit = lem.fit(model, x, start=model.params([[0.0], [5.0], [9.0]]))
    assert fit.converged
    assert fit.inertia == 0
    assert [(event.kind, event.component) for event in fit.events] == [("empty", 2)]


def test_an_empty_component_with_learnt_weights_stays_empty():
    """Where the weights are learnt nothing is moved: the component keeps weight zero, an event."""
    model = lem.Hard(lem.GaussianMixture(2, structure=lem.Tied(lem.Spherical())))
    start = lem.GaussianMixture(2, structure=lem.Tied(lem.Spherical())).params(
        [0.5, 0.5], [[3.0, 70.0], [9e3, 9e3]], 40.0
    )
    fit = lem.fit(model, FAITHFUL, start=start)
    assert fit.params.weights.tolist() == [1.0, 0.0]
    assert ("empty", 1) in [(event.kind, event.component) for event in fit.events]


def soft(k, beta):
    return lem.GaussianMixture(
        k, structure=lem.Tied(lem.Spherical()), weights=lem.Fixed.uniform(), covariances=lem.Fixed(1 / (2 * beta))
    )


def soft_by_hand(x, centres, beta, steps):
    """Soft K-means: responsibilities softmax(-beta |x - m|^2), centres their weighted means."""
    for _ in range(steps):
        shares = softmax(-beta * ((x[:, None] - centres) ** 2).sum(axis=2), axis=1)
        centres = (shares.T @ x) / shares.sum(axis=0)[:, None]
    return centres


@pytest.mark.parametrize("beta", [0.01, 0.05, 1.0])
def test_soft_kmeans_has_variance_one_over_two_beta(beta):
    """Uniform weights and variance 1 / (2 beta) are soft K-means with stiffness beta, step by step."""
    model, centres = soft(3, beta), FAITHFUL[:3]
    start = lem.KMeans(3).params(centres, 1 / (2 * beta))
    states = list(itertools.islice(lem.EM().iterate(model, start, FAITHFUL), 8))
    for steps, state in enumerate(states):
        wanted = soft_by_hand(FAITHFUL, centres, beta, steps)
        np.testing.assert_allclose(state.params.components.means, wanted, rtol=1e-10)


def test_soft_kmeans_becomes_kmeans_as_the_stiffness_grows():
    """As beta grows the centres tend to those of K-means from the same start: the tied variance shrinks to zero."""
    hard = lem.fit(lem.KMeans(3), FAITHFUL)
    centres, gaps = hard.params.components.means, []
    for beta in (0.02, 0.2, 2.0, 200.0, 2e6):
        start = lem.KMeans(3).params(centres, 1 / (2 * beta))
        fit = lem.fit(soft(3, beta), FAITHFUL, start=start)
        gaps.append(np.abs(fit.params.components.means - centres).max())
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-12
    assert np.array_equal(fit.predict(FAITHFUL), hard.predict(FAITHFUL))


def test_mahalanobis_kmeans_is_kmeans_on_whitened_data():
    """Hard assignment under a given covariance is K-means after whitening by it."""
    covariance = np.cov(FAITHFUL.T)
    model = lem.Hard(
        lem.GaussianMixture(3, structure=lem.Tied(), weights=lem.Fixed.uniform(), covariances=lem.Fixed(covariance))
    )
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, FAITHFUL.T).T
    start = lem.GaussianMixture(3, structure=lem.Tied()).params([1 / 3] * 3, FAITHFUL[:3], covariance)
    fit = lem.fit(model, FAITHFUL, start=start)
    plain = lem.fit(lem.KMeans(3), white, start=lem.KMeans(3).params(white[:3]))
    assert np.array_equal(fit.predict(FAITHFUL), plain.predict(white))
    np.testing.assert_allclose(fit.params.components.means, plain.params.components.means @ root.T, rtol=1e-10)


def test_classification_em_learns_weights_and_covariances_of_its_own_partition():
    """Hard assignment with everything learnt ends where each component is the closed form of its own rows."""
    fit = lem.fit(lem.Hard(lem.GaussianMixture(2)), FAITHFUL)
    labels = fit.predict(FAITHFUL)
    for j in (0, 1):
        rows = FAITHFUL[labels == j]
        assert fit.params.weights[j] == pytest.approx(len(rows) / 272, rel=1e-12)
        np.testing.assert_allclose(fit.params.components.means[j], rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(fit.params.components.covariances[j], np.cov(rows.T, bias=True), rtol=1e-10)
    assert fit.bound <= fit.log_likelihood


def test_identity_covariances_hold_the_density_at_unit_width():
    """With covariances fixed at the identity the responsibilities are softmax of log weight - |x - m|^2 / 2."""
    model = lem.GaussianMixture(2, structure=lem.Tied(lem.Spherical()), covariances=lem.Fixed(1.0))
    fit = lem.fit(model, FAITHFUL)
    apart = ((FAITHFUL[:, None] - fit.params.components.means) ** 2).sum(axis=2)
    wanted = softmax(np.log(fit.params.weights) - apart / 2, axis=1)
    np.testing.assert_allclose(fit.predict_proba(FAITHFUL), wanted, atol=1e-12)
    assert float(fit.params.components.covariances) == 1.0
    assert fit.n_parameters == 5


def test_a_held_centre_is_not_moved_and_no_event_says_so():
    """An empty cluster whose centre is held stays where it is."""
    model = lem.Frozen(lem.KMeans(3), {"means": lem.Fixed([900.0, 900.0], components=[0])})
    fit = lem.fit(model, FAITHFUL, n_starts=2)
    assert [event.kind for event in fit.events] == ["empty"]
    assert set(fit.history.kind.tolist()) == {"start", "plain"}


def test_a_prior_on_the_centres_leaves_empty_clusters_to_the_prior():
    """With pseudo-statistics the move would not be free: nothing is moved, and the other centres are the M-step's."""
    plain = lem.KMeans(3)
    chunk = plain.chunk(FAITHFUL)
    pseudo = 0.05 * plain.statistics(chunk, lem.LabelPosterior(np.eye(3)[np.arange(272) % 3]))
    model = lem.WithPrior(plain, pseudo)
    start = plain.params([[2.0, 55.0], [4.3, 80.0], [900.0, 900.0]])
    with_repair = lem.EM().run(model, start, FAITHFUL)
    assert with_repair.params == lem.EM().run(model, start, FAITHFUL).params
