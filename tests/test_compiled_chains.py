"""Recursions along chains in compiled loops: as exact as numpy's, and chosen as those of mixtures are."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_long_chains import CYCLE, LEFT_RIGHT, LENGTHS, MIXING, WEIGHTS, by_many_digits, logs, nodes_of

import latentem as lem
from latentem.compiled import Loops
from latentem.engine import Processes, Serial, Threads
from latentem.engine.looped import Looped
from latentem.posterior import compiled, recursions, scaled
from latentem.posterior.layout import Layout


@pytest.fixture(scope="module")
def loops():
    """The loops of chains, ready in this process; skipped where numba is not installed."""
    numba = pytest.importorskip("numba", reason="the extra `fast` is not installed: pip install numba")
    found = Loops(compiled.LOOPS, numba.__version__)
    found.prepare()
    return found


@pytest.mark.parametrize("transitions", [MIXING, LEFT_RIGHT, CYCLE], ids=["mixing", "left to right", "cycle"])
@pytest.mark.parametrize("block", [3, 5, 512])
def test_compiled_sums_are_those_of_fifty_digits(loops, monkeypatch, transitions, block):
    """Marginals, pairs and entropy are right to 1e-12, in blocks of any length and whole."""
    monkeypatch.setattr(compiled, "_BLOCK", block)
    nodes, coupling = nodes_of(2.0), logs(transitions)
    with mpmath.workdps(50):
        marginals, pairs, entropy, _ = by_many_digits(nodes, coupling, LENGTHS, WEIGHTS)
    nodes, layout = recursions.lowered(nodes), Layout.of(LENGTHS, len(nodes))
    with loops.used(), np.errstate(all="ignore"):
        assert compiled.smooth(nodes, coupling, LENGTHS, WEIGHTS) is not None
        found = recursions.smooth(nodes, coupling, layout, WEIGHTS)
    np.testing.assert_allclose(found.marginals, marginals, atol=1e-13)
    np.testing.assert_allclose(found.pairs, pairs, atol=1e-12)
    np.testing.assert_allclose(found.entropy, entropy, rtol=1e-13)


@settings(max_examples=40, deadline=None)
@given(
    k=st.integers(1, 9),
    lengths=st.lists(st.sampled_from([1, 2, 15, 16, 17, 100, 1025]), min_size=1, max_size=70),
    spread=st.sampled_from([0.1, 3.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_compiled_sums_are_numpys(loops, k, lengths, spread, seed):
    """For any number of states, chains and lengths both give the same, or both refuse."""
    rng = np.random.default_rng(seed)
    rows = np.array(lengths)
    nodes = recursions.lowered(spread * rng.normal(size=(k, rows.sum())))
    coupling = np.log(0.1 * rng.dirichlet(np.ones(k), k) + 0.9 * np.eye(k))
    weight = rng.exponential(size=len(rows))
    with loops.used(), np.errstate(all="ignore"):
        one = compiled.smooth(nodes, coupling, rows, weight)
        two = scaled.smooth(nodes, coupling, Layout.of(rows, k), np.repeat(weight, rows))
    assert one is not None
    assert two is not None
    np.testing.assert_allclose(one.marginals, two.marginals, atol=1e-11)
    np.testing.assert_allclose(one.pairs, two.pairs, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(one.log_weight, two.log_weight, rtol=1e-12)


def test_compiled_loops_leave_to_numpy_what_underflows(loops):
    """A path thousands of nats behind, a row that ends every path and a row off by 1e5 nats are as by numpy alone."""
    nodes = np.zeros((2, 60))
    nodes[1, :20], nodes[0, 20:], nodes[1, 40:] = -150.0, -190.0, -30.0
    impossible = np.where(np.arange(60) == 7, -np.inf, nodes_of(1.0, lengths=np.array([60]))[:2])
    length, layout = np.array([60]), Layout.of(np.array([60]), 2)
    for given_nodes in (nodes, impossible):
        lowered = recursions.lowered(given_nodes)
        with loops.used(), np.errstate(all="ignore"):
            assert compiled.smooth(lowered, logs(np.eye(2)), length, np.ones(1)) is None
            found = recursions.smooth(lowered, logs(np.eye(2)), layout, np.ones(1))
        alone = recursions.smooth(lowered, logs(np.eye(2)), layout, np.ones(1))
        np.testing.assert_array_equal(found.marginals, alone.marginals)
        assert found.impossible == alone.impossible


def test_every_engine_runs_in_the_loops_and_gives_the_same_bits(loops):
    """Threads and forked processes compute in the loops that were chosen, to the last bit."""
    model = lem.HiddenMarkov(lem.Gaussian(lem.Diagonal()), 3)
    rng = np.random.default_rng(0)
    params = model.params(
        [0.5, 0.3, 0.2], MIXING, lem.Gaussian(lem.Diagonal()).params([[0.0], [2.0], [5.0]], np.ones((3, 1)))
    )
    chunks = [model.chunk([model.sample(params, 700, rng)[0] for _ in range(3)]) for _ in range(4)]
    bounds = []
    for engine in (Serial(), Threads(2), Processes(2)):
        run = lem.EM(max_steps=3).run(model, params, Looped(engine.place(chunks), loops))
        bounds.append(run.history.bound)
    alone = lem.EM(max_steps=3).run(model, params, chunks).history.bound
    np.testing.assert_array_equal(bounds[0], bounds[1])
    np.testing.assert_array_equal(bounds[0], bounds[2])
    np.testing.assert_allclose(bounds[0], alone, rtol=1e-12)


def test_a_fit_of_many_rows_names_the_loops():
    """A model of chains names them from 131,072 states of rows a pass on, and none for fewer."""
    model = lem.HiddenMarkov(lem.Poisson(), 2)
    assert model.loops(2**16) == compiled.LOOPS
    assert model.loops(2**16 - 1) == ()
