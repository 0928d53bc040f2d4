"""Recursions along chains, whole and in blocks: against 50 digits, all paths, and one another."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from hmmlearn import hmm
from scipy.special import softmax

import latentem as lem
from latentem.posterior import in_logs, recursions, scaled
from latentem.posterior.layout import Layout

K = 3
LENGTHS = np.array([40, 7, 1, 23])
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0])
LONGEST = [1, 2, 5, 7, 12, 100]
MIXING = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
LEFT_RIGHT = np.array([[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])
CYCLE = np.array([[0.6, 0.4, 0.0], [0.0, 0.5, 0.5], [1e-30, 0.0, 1.0]])


def logs(probabilities):
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def nodes_of(spread, seed=0, lengths=LENGTHS):
    return spread * np.random.default_rng(seed).normal(size=(K, lengths.sum()))


def by_many_digits(nodes, coupling, lengths, weights):
    """Marginals, weighted pairs, weighted entropy and log weights of chains, by plain sums in 50 digits."""
    exp = np.vectorize(lambda log: mpmath.exp(log) if log > -np.inf else mpmath.mpf(0), otypes=[object])
    marginals, pairs, entropy, log_weights = [], np.zeros((K, K), dtype=object), mpmath.mpf(0), []
    a = exp(coupling)
    for chain, weight in zip(np.split(nodes.T, lengths.cumsum()[:-1]), weights, strict=True):
        b = exp(chain)
        forward, backward = [b[0]], [exp(np.zeros(K))]
        for row in b[1:]:
            forward.append(forward[-1] @ a * row)
        for row in b[:0:-1]:
            backward.insert(0, a @ (row * backward[0]))
        whole = sum(forward[-1])
        q = np.array(forward) * np.array(backward) / whole
        surprise = mpmath.log(whole) - sum(p * x for p, x in zip(q.flat, chain.flat, strict=True) if p)
        for past, row, future in zip(forward, b[1:], backward[1:], strict=False):
            both = past[:, None] * a * (row * future) / whole
            pairs = pairs + weight * both
            surprise -= sum(p * c for p, c in zip(both.flat, coupling.flat, strict=True) if p)
        marginals.append(q.astype(float))
        entropy += weight * surprise
        log_weights.append(float(mpmath.log(whole)))
    return np.concatenate(marginals).T, pairs.astype(float), float(entropy), np.array(log_weights)


@pytest.mark.parametrize("transitions", [MIXING, LEFT_RIGHT, CYCLE], ids=["mixing", "left to right", "cycle"])
@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_blocks_of_any_length_give_what_fifty_digits_give(transitions, spread):
    """Marginals, pairs, entropy and log weights are right to 1e-12, by scaled numbers and in log space."""
    nodes, coupling = nodes_of(spread), logs(transitions)
    with mpmath.workdps(50):
        marginals, pairs, entropy, log_weights = by_many_digits(nodes, coupling, LENGTHS, WEIGHTS)
    rows = np.repeat(WEIGHTS, LENGTHS)
    for longest in LONGEST:
        layout = Layout.of(LENGTHS, K, longest)
        found = recursions.smooth(recursions.lowered(nodes), coupling, layout, WEIGHTS)
        np.testing.assert_allclose(found.marginals, marginals, atol=1e-13)
        np.testing.assert_allclose(found.pairs, pairs, atol=1e-12)
        np.testing.assert_allclose(found.entropy, entropy, rtol=1e-13, atol=1e-12 * spread)
        np.testing.assert_allclose(recursions.log_weights(nodes, coupling, layout), log_weights, rtol=1e-14)
        with np.errstate(all="ignore"):
            found = in_logs.smooth(recursions.lowered(nodes), coupling, layout, rows)
        np.testing.assert_allclose(found.marginals, marginals, atol=1e-13)
        np.testing.assert_allclose(found.pairs, pairs, atol=1e-12)


def test_scaled_numbers_serve_where_states_mix_and_where_they_do_not():
    """Ergodic and left-to-right chains of ordinary data need no log space, whole or in blocks."""
    for transitions in (MIXING, LEFT_RIGHT):
        for longest in LONGEST:
            layout = Layout.of(LENGTHS, K, longest)
            nodes = nodes_of(2.0)
            with np.errstate(all="ignore"):
                assert scaled.smooth(recursions.lowered(nodes), logs(transitions), layout, None) is not None


def test_a_state_that_underflows_in_one_block_comes_back_in_another():
    """A path that is thousands of nats behind for two blocks still wins at the end; scaled numbers say they cannot."""
    nodes = np.zeros((2, 60))
    nodes[1, :20] = -150.0
    nodes[0, 20:] = -190.0
    nodes[1, 40:] = -30.0
    with np.errstate(divide="ignore"):
        coupling = np.log(np.eye(2))
    share = softmax(nodes.sum(axis=1))
    for longest in (3, 10, 20, 60):
        layout = Layout.of(np.array([60]), 2, longest)
        with np.errstate(all="ignore"):
            assert scaled.smooth(recursions.lowered(nodes), coupling, layout, None) is None
        found = recursions.smooth(recursions.lowered(nodes), coupling, layout, np.ones(1))
        np.testing.assert_allclose(found.marginals, np.tile(share[:, None], 60), atol=1e-12)
        np.testing.assert_array_equal(recursions.best_paths(nodes, coupling, layout), np.full(60, share.argmax()))


def test_a_row_that_no_state_explains_well_moves_nothing_else():
    """Where one row is 1e5 nats below under every state, the posterior is that of its differences."""
    nodes, coupling = nodes_of(1.0), logs(MIXING)
    far = nodes.copy()
    far[:, [3, 20, 50]] -= 1e5
    for longest in (5, 100):
        layout = Layout.of(LENGTHS, K, longest)
        one, two = (recursions.smooth(recursions.lowered(each), coupling, layout, WEIGHTS) for each in (nodes, far))
        np.testing.assert_allclose(two.marginals, one.marginals, atol=1e-10)
        np.testing.assert_allclose(two.entropy, one.entropy, atol=1e-9)


def test_the_first_row_that_ends_every_path_is_named_in_any_block():
    """A row that no path can pass is found where it is, whatever the blocks, and its chain has no weight."""
    nodes = nodes_of(1.0)
    nodes[1:, 10] = -np.inf  # only state 0 may be, and the last state cannot be left
    nodes[:2, 5] = -np.inf
    for longest in (*LONGEST, None):
        layout = Layout.of(LENGTHS, K, longest)
        assert recursions.smooth(recursions.lowered(nodes), logs(LEFT_RIGHT), layout, WEIGHTS).impossible == 10
        assert (recursions.log_weights(nodes, logs(LEFT_RIGHT), layout) == -np.inf).tolist() == [
            True,
            False,
            False,
            False,
        ]


def test_best_paths_are_those_of_all_paths_listed():
    """Of each chain the heaviest of all paths is found, and of those that tie the lowest from the end on."""
    lengths = np.array([6, 1, 4])
    rng = np.random.default_rng(0)
    for nodes in (rng.normal(size=(K, 11)), rng.integers(-1, 1, (K, 11)).astype(float), np.zeros((K, 11))):
        coupling = np.where(rng.random((K, K)) < 0.3, -1.0, 0.0)
        expected = []
        for chain in np.split(nodes.T, lengths.cumsum()[:-1]):
            paths = np.array(list(itertools.product(range(K), repeat=len(chain))))[:, ::-1]  # the last state first
            weights = chain[np.arange(len(chain)), paths].sum(axis=1) + coupling[paths[:, :-1], paths[:, 1:]].sum(
                axis=1
            )
            expected.append(paths[np.isclose(weights, weights.max(), atol=1e-12).argmax()])
        for longest in (1, 2, 3, 100):
            found = recursions.best_paths(nodes, coupling, Layout.of(lengths, K, longest))
            np.testing.assert_array_equal(found, np.concatenate(expected))


def test_drawn_paths_have_the_pairs_of_q():
    """Over many draws of a chain in blocks, neighbours occur as often as q says."""
    lengths = np.full(4000, 6)
    nodes = np.tile(nodes_of(1.0, lengths=np.array([6])), 4000)
    rng = np.random.default_rng(1)
    layout = Layout.of(lengths, K, 2)
    paths = recursions.drawn_paths(nodes, logs(LEFT_RIGHT), layout, rng.random(24000)).reshape(4000, 6)
    pairs = recursions.smooth(nodes, logs(LEFT_RIGHT), layout, np.ones(4000)).pairs
    counted = np.zeros((K, K))
    np.add.at(counted, (paths[:, :-1], paths[:, 1:]), 1)
    assert (counted[pairs == 0] == 0).all()
    assert (np.abs(counted - pairs) <= 5 * np.sqrt(5 * pairs)).all()  # five pairs a path, which may go together


def test_filtered_rows_are_smoothed_rows_of_what_has_come():
    """The filtered distribution of a row is the smoothed one of the chain that ends there."""
    nodes, coupling = nodes_of(2.0), logs(CYCLE)
    for longest in (4, 100):
        found = recursions.filtered(nodes, coupling, Layout.of(LENGTHS, K, longest))
        for end in (1, 9, 26, 40):
            so_far = recursions.smooth(nodes[:, :end], coupling, Layout.of(np.array([end]), K), np.ones(1))
            np.testing.assert_allclose(found[:, end - 1], so_far.marginals[:, -1], atol=1e-13)


def test_a_long_chain_is_cut_and_short_ones_beside_it_are_not():
    """Blocks cover every row once; short chains stay whole, and rows of one step never follow one another."""
    lengths = np.array([20_000, *[30] * 200, 5_000])
    layout = Layout.of(lengths, K)
    assert layout.cut is not None
    assert len(layout.packing.width) < 500
    assert len(layout.cut.row) == 25_000
    np.testing.assert_array_equal(np.sort(layout.packing.row), np.arange(lengths.sum()))
    np.testing.assert_array_equal(np.sort(layout.packing.place, axis=None), np.arange(K * lengths.sum()))
    assert Layout.of(np.full(1000, 30), K).cut is None


def test_a_long_chain_agrees_with_hmmlearn():
    """At 20,000 steps the posterior, the log likelihood and the path are hmmlearn's, ergodic and left to right."""
    rng = np.random.default_rng(0)
    family = lem.Gaussian(lem.Diagonal())
    model = lem.HiddenMarkov(family, K)
    for transitions, initial in ((MIXING, [0.5, 0.3, 0.2]), (np.triu(MIXING * 1e-4 + np.eye(K)), [1.0, 0.0, 0.0])):
        rows = transitions / transitions.sum(axis=1, keepdims=True)
        params = model.params(initial, rows, family.params([[0.0], [1.5], [3.0]], [[1.0], [0.5], [1.0]]))
        x, _ = model.sample(params, 20_000, rng)
        chunk = model.chunk([x])
        other = hmm.GaussianHMM(K, "diag")
        other.n_features, other.startprob_, other.transmat_ = 1, params.initial, params.transitions
        other.means_, other.covars_ = np.array([[0.0], [1.5], [3.0]]), np.array([[1.0], [0.5], [1.0]])
        q = model.posterior(params, chunk)
        np.testing.assert_allclose(q.marginals(), other.predict_proba(x), atol=1e-9)
        np.testing.assert_array_equal(q.labels(), other.predict(x))
        evidence = model.log_evidence(params, chunk)
        np.testing.assert_allclose(evidence, other.score(x), rtol=1e-12)
        expectation = model.expectation(params, chunk)
        bound = model.log_joint(params, expectation.statistics) + expectation.entropy
        np.testing.assert_allclose(bound, evidence[0], rtol=1e-13)
