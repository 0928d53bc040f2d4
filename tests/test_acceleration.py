"""Acceleration: leaps ahead of plain steps, what they may not do, and where they step aside."""

from __future__ import annotations

import pickle
from functools import cache
from typing import final

import attrs
import numpy as np
import pytest
from attrs import frozen
from subjects import FAITHFUL, deaths

import latentem as lem
from latentem.core import Placed, e_step, tree_sum
from latentem.run.anderson import mixing
from latentem.run.audit import slope
from latentem.start.starts import starts

POISSON = lem.Mixture(lem.Poisson(), 2)
HASSELBLAD = POISSON.params([0.5, 0.5], [[1.0], [3.0]])
ACCELERATIONS = [lem.Anderson(), lem.Squarem()]
BOOKS = [f.name for f in attrs.fields(lem.run.Step) if f.name not in ("index", "seconds", "remaining")]


def overlapping(n=200):
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(0, 1, (n, 2)), rng.normal(1.5, 1.2, (n, 2))])


def wide(n=200, d=6, m=2):
    rng = np.random.default_rng(9)
    return rng.normal(size=(n, m)) @ rng.normal(size=(m, d)) + rng.normal(size=(n, d)) * rng.uniform(0.5, 1.5, d)


@cache
def problem(name):
    """A model, where it starts, and data on which plain EM is slow."""
    if name == "poisson":
        return POISSON, HASSELBLAD, deaths()
    if name == "gaussian":
        model, x = lem.GaussianMixture(2), overlapping()
        return model, model.params([0.5, 0.5], [[-1.0, 0.0], [2.0, 2.0]], [np.eye(2)] * 2), x
    if name == "factors":
        model, x = lem.FactorAnalysis(2), wide()
        q = model.guess(model.chunk(x), 1)
        return model, model.first(model.statistics(model.chunk(x), q)), x
    rng = np.random.default_rng(10)
    model = lem.Mixture(lem.Student(), 2)
    x = np.concatenate([rng.standard_t(3, (200, 2)), 3 + rng.standard_t(3, (200, 2))])
    start = model.params([0.5, 0.5], lem.Student().params([[-1.0, 0.0], [2.0, 2.0]], [np.eye(2)] * 2, [5.0, 5.0]))
    return model, start, x


NAMES = ["poisson", "gaussian", "factors", "student"]


@cache
def run(name, acceleration=None):
    return lem.EM(accelerate=acceleration).run(*problem(name))


@pytest.mark.parametrize(("acceleration", "most"), [(lem.Anderson(), 60), (lem.Squarem(), 250)])
def test_hasselblads_counts_take_a_few_passes(acceleration, most):
    """On Hasselblad's counts plain EM takes over a thousand passes, an accelerated run a few, to the same maximum."""
    plain, fast = run("poisson"), run("poisson", acceleration)
    assert plain.history[-1].passes > 1000
    assert fast.history[-1].passes < most
    assert fast.converged
    assert fast.objective == pytest.approx(plain.objective, abs=1e-9 * 1096)
    np.testing.assert_allclose(fast.params.weights, plain.params.weights, atol=1e-4)


@pytest.mark.parametrize("acceleration", ACCELERATIONS, ids=["Anderson", "Squarem"])
@pytest.mark.parametrize("name", NAMES)
def test_a_slow_run_ends_at_the_same_maximum_in_half_the_passes(name, acceleration):
    """From the same start an accelerated run ends where plain EM ends, no lower, in at most half the passes."""
    plain, fast = run(name), run(name, acceleration)
    observations = plain.expectation.observations
    assert fast.converged
    assert fast.history[-1].passes <= plain.history[-1].passes / 2
    assert abs(fast.objective - plain.objective) < 1e-9 * observations
    assert fast.objective > plain.objective - 1e-11 * observations


@pytest.mark.parametrize("acceleration", ACCELERATIONS, ids=["Anderson", "Squarem"])
@pytest.mark.parametrize("name", NAMES)
def test_the_history_keeps_its_books(name, acceleration):
    """The objective never falls, leaps are marked, and every pass is counted: one a step, and one a rejected leap."""
    result = run(name, acceleration)
    history = result.history
    allowance = 1e-10 * (result.expectation.observations + np.abs(history.expected_log_joint).max())
    assert (np.diff(history.objective) >= -allowance).all()
    assert set(history.kind[1:]) == {"plain", "extrapolated"}
    spent = np.diff(history.passes)
    assert history.passes[0] == 1
    assert set(spent[history.kind[1:] == "extrapolated"]) == {1}
    assert set(spent[history.kind[1:] == "plain"]) <= {1, 2}
    assert (history.e_gain[1:] >= -allowance).all()
    assert ((history.m_gain + history.e_gain)[1:] >= -allowance).all()
    assert (history.movement[1:] >= 0).all()


def test_every_pass_over_the_data_is_counted():
    """`passes` is how often the data were gone through, rejected leaps included."""
    seen = []

    @final
    class Counted(Placed):
        def __len__(self):
            return len(chunks)

        def __iter__(self):
            return iter(chunks)

        def total(self, task):
            seen.append(1)
            return tree_sum(task(chunk, {}) for chunk in chunks)

        def each(self, task):
            return [task(chunk) for chunk in chunks]

    model, start, x = problem("poisson")
    chunks = model.chunks(x)
    *_, last = lem.EM(accelerate=lem.Squarem()).iterate(model, start, Counted())
    assert last.step.passes == len(seen)
    assert last.step.passes > last.step.index + 1  # some were rejected


@pytest.mark.parametrize("name", ["poisson", "gaussian", "student"])  # of the factors a shortcut leaves nothing
def test_remaining_is_honest_after_leaps(name):
    """After leaps the median estimate is above a third of what is left, and at the end next to nothing is left."""
    model, start, x = problem(name)
    result = run(name, lem.Anderson())
    history, observations = result.history, result.expectation.observations
    top = lem.EM(stop=lem.remaining_below(1e-16), accelerate=lem.Anderson()).run(model, start, x).objective
    left = top - history.objective
    told = (np.arange(len(history)) > np.argmax(history.kind == "extrapolated")) & (left > 1e-10 * abs(top))
    assert told.sum() >= 3
    assert np.median(history.remaining[told] / left[told]) > 1 / 3
    assert left[-1] < 1e-11 * observations


@final
@frozen
class Planted(lem.run.Acceleration):
    """Leaps to whatever a function makes of the last statistics."""

    make: object
    after: int = 0
    memory: int = 2
    every: int = 1
    least: int = 1

    def candidates(self, points, values, failures):
        yield self.make(points[-1].image)


def assert_same(plain, result, names=BOOKS):
    for name in names:
        assert list(map(repr, getattr(plain.history, name))) == list(map(repr, getattr(result.history, name))), name
    assert plain.params == result.params


@pytest.mark.parametrize(
    "make",
    [
        lambda g: -1.0 * g,
        lambda g: float("nan") * g,
        lambda g: attrs.evolve(g, components=attrs.evolve(g.components, total=-g.components.total)),
    ],
    ids=["negative", "NaN", "negative rates"],
)
def test_an_infeasible_leap_is_rejected(make):
    """Statistics that no data can have are never taken: the run is that of plain EM, to the bit."""
    plain = lem.EM(max_steps=200).run(POISSON, HASSELBLAD, deaths())
    result = lem.EM(max_steps=200, accelerate=Planted(make)).run(POISSON, HASSELBLAD, deaths())
    assert_same(plain, result, [name for name in BOOKS if name != "passes"])


def test_a_leap_that_lowers_the_objective_is_rejected_and_counted():
    """A leap far beyond the end costs a pass, and the plain step is taken instead."""
    end = run("poisson", lem.Anderson())
    near = POISSON.params(end.params.weights + np.array([0.001, -0.001]), end.params.components * 1.0005)
    plain = lem.EM(max_steps=100).run(POISSON, near, deaths())
    overshot = Planted(lambda image: 2.5 * end.expectation.statistics - 1.5 * image)
    result = lem.EM(max_steps=100, accelerate=overshot).run(POISSON, near, deaths())
    assert_same(plain, result, [name for name in BOOKS if name != "passes"])
    assert result.history[-1].passes > plain.history[-1].passes


@pytest.mark.parametrize(
    "model",
    [lem.KMeans(2), lem.Hard(lem.GaussianMixture(2)), lem.Sampled(lem.GaussianMixture(2), 1)],
    ids=["KMeans", "Hard", "Sampled"],
)
def test_where_the_posterior_jumps_it_steps_aside(model):
    """Of a model whose q is hard or sampled, the accelerated run is the plain one, to the bit."""
    labels = np.arange(272) % 2
    steps = lem.EM(max_steps=30)
    (start,) = starts(model, model.chunks(FAITHFUL), labels, 1, 0)
    plain = steps.run(model, start.make(), FAITHFUL)
    result = attrs.evolve(steps, accelerate=lem.Anderson()).run(model, start.make(), FAITHFUL)
    assert_same(plain, result, [*BOOKS, "remaining"])


@pytest.mark.parametrize("acceleration", [None, *ACCELERATIONS], ids=["plain", "Anderson", "Squarem"])
@pytest.mark.parametrize("name", ["poisson", "student"])
def test_a_run_is_taken_up_again_to_the_bit(name, acceleration):
    """From any State, pickled and read again, `resume` gives the States that followed, to the bit."""
    model, start, x = problem(name)
    em = lem.EM(max_steps=60, accelerate=acceleration)
    states = list(em.iterate(model, start, x))
    for index in (0, 1, 4, 7, 8, 9, len(states) - 2):
        state = pickle.loads(pickle.dumps(states[index]))
        again = list(em.resume(model, state, x))
        assert len(again) == len(states) - index - 1
        for was, now in zip(states[index + 1 :], again, strict=True):
            assert now.params == was.params
            assert attrs.evolve(now.step, seconds=0) == attrs.evolve(was.step, seconds=0)
            assert now.status == was.status
            assert now.events == was.events
        assert len(again[-1].history) == len(states)


def test_a_run_that_ended_goes_on():
    """`resume` goes on from a State with a status too: twenty steps and the rest are the whole run."""
    model, start, x = problem("gaussian")
    *_, cut = lem.EM(max_steps=20, accelerate=lem.Anderson()).iterate(model, start, x)
    *_, end = lem.EM(accelerate=lem.Anderson()).resume(model, cut, x)
    assert end.params == run("gaussian", lem.Anderson()).params


def test_steps_that_shrink_towards_a_boundary_are_led_there(monkeypatch):
    """Plain EM shrinks a Heywood variance as 1 / steps; leaps reach its floor, and resume gives their bits."""
    x = lem.datasets.iris()[:, :4]
    monkeypatch.setattr(lem.FactorAnalysis, "shortcut", lambda self, params, statistics: None)
    model = lem.FactorAnalysis(1)
    start = model.params(x.mean(axis=0), np.full((4, 1), 0.5), np.full(4, 0.1))
    plain = lem.EM(max_steps=1500).run(model, start, x)
    em = lem.EM(max_steps=1500, accelerate=lem.Anderson())
    states = list(em.iterate(model, start, x))
    assert states[-1].converged
    assert not plain.converged
    assert states[-1].objective > plain.objective + 0.05
    leapt = [state.step.index for state in states if state.step.kind == "extrapolated"]
    for index in (leapt[0] - 1, leapt[9] - 1, leapt[-1] - 1):
        again = list(em.resume(model, pickle.loads(pickle.dumps(states[index])), x))
        assert again[-1].params == states[-1].params
        assert again[-1].step.passes == states[-1].step.passes


def test_a_mode_with_equal_rows_takes_hundreds_of_steps_and_not_thousands():
    """One Student-t on 20 rows, 8 of them equal, ends within 400 steps no lower than plain EM after 2,000."""
    x = np.random.default_rng(3).normal(size=(20, 1))
    x[:8] = x[0]
    model = lem.Mixture(lem.Student(), 1)
    fast = lem.fit(model, x, max_steps=400)
    plain = lem.EM(max_steps=2000).run(model, fast.start, x)
    assert fast.converged
    assert fast.objective > plain.objective - 1e-9


def test_a_probability_that_vanishes_is_led_to_zero_and_one_that_comes_back_is_not():
    """A chain on Old Faithful ends within 100 passes at plain EM's mode: one transition is zero there, one .0018."""
    model, x = lem.HiddenMarkov(lem.Gaussian(), 3), FAITHFUL
    start = next(iter(starts(model, model.chunks(x), None, 1, 0))).make()
    fast = lem.EM(accelerate=lem.Anderson()).run(model, start, x)
    plain = lem.EM(max_steps=300).run(model, start, x)
    assert fast.converged
    assert fast.history[-1].passes < 100
    assert fast.objective > plain.objective
    np.testing.assert_allclose(np.sort(fast.params.transitions.ravel())[:2], [0, 0.001765], atol=2e-6)


def test_a_leap_goes_on_from_statistics_whose_m_step_it_took():
    """Counts that a leap has made negative, or next to nothing, leave a tenth of what there is, or all if it grows."""
    chain = lem.HiddenMarkov(lem.Poisson(), 2)
    params = chain.params([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], [[1.0], [5.0]])
    ahead = chain.expectation(params, deaths()[:50]).statistics
    ahead = attrs.evolve(ahead, transitions=np.array([[40.0, 2.0], [3.0, 5.0]]))
    moved = chain.attainable(attrs.evolve(ahead, transitions=np.array([[40.0, -3.0], [-1.0, 8.0]])), params, ahead)
    np.testing.assert_allclose(moved.transitions, [[40, 0.1 * 0.1 * 40], [0.2 * 8, 8]])
    np.testing.assert_allclose(chain.m_step(moved, params).transitions[0], np.array([40, 0.4]) / 40.4)
    assert chain.attainable(ahead, params, ahead) is ahead  # a plain step may take more than a tenth


def test_units_do_not_matter():
    """Data in other units take the same leaps: the metric is the model's own."""
    stop = lem.remaining_below(1e-8)
    model, start, x = problem("gaussian")
    scale = np.array([1024.0, 1 / 4096])
    moved = model.params(
        start.weights, start.components.means * scale, start.components.covariances * np.outer(scale, scale)
    )
    one = lem.EM(stop=stop, accelerate=lem.Anderson()).run(model, start, x)
    other = lem.EM(stop=stop, accelerate=lem.Anderson()).run(model, moved, x * scale)
    assert one.history.kind.tolist() == other.history.kind.tolist()
    assert other.objective == pytest.approx(one.objective - len(x) * np.log(scale).sum(), abs=1e-5)


def quadratic(points=4, size=9, seed=0):
    """Points of a concave quadratic of the natural parameters, its bend, and the values that mixing sees."""
    rng = np.random.default_rng(seed)
    natural, root = rng.normal(size=(points, size)), rng.normal(size=(size, size))
    slopes = -natural @ root @ root.T
    return natural, root, natural @ slopes.T


def test_mixing_is_the_best_combination_of_the_points_where_the_objective_is_quadratic():
    """The coefficients sum to one, and no other combination of the points is higher: numpy's least squares finds it."""
    natural, root, values = quadratic()
    mixed = mixing(values)
    roots = natural @ root
    free, *_ = np.linalg.lstsq((roots[:-1] - roots[-1]).T, -roots[-1], rcond=None)
    np.testing.assert_allclose(mixed, [*free, 1 - free.sum()], rtol=1e-9)


def test_damping_shortens_the_coefficients():
    """With damping the combination stays nearer to the last pass; without, and at equal points, it is sound."""
    *_, values = quadratic(seed=1)
    np.testing.assert_allclose(mixing(values, 1e-8), [0, 0, 0, 1], atol=1e-3)
    twice = np.ix_([0, 1, 1, 2], [0, 1, 1, 2])
    assert mixing(values[twice]) is None or np.isfinite(mixing(values[twice])).all()
    assert mixing(np.full((2, 2), np.nan)) is None
    assert mixing(-values) is None  # convex: a combination of the points is lowest there


def test_the_metric_is_the_complete_information():
    """Of one Poisson component, the product of residuals f and h of the sum s is f h / s, Fisher's metric."""
    model = lem.Mixture(lem.Poisson(), 1)
    params = model.params([1.0], [[2.0]])
    at = e_step(model, params, model.chunks(deaths())).statistics
    exact = model.m_step(at, params)
    total = float(deaths().sum())

    def shifted(by):
        return attrs.evolve(at, components=attrs.evolve(at.components, total=at.components.total + by))

    f, h = 1e-3, 5.0
    towards = model.m_step(shifted(f), exact)
    assert slope(model, exact, towards, shifted(h) - at) == pytest.approx(f * h / total, rel=1e-5)


def test_fit_leaps_by_default_and_not_in_trials():
    """`fit` is accelerated unless told otherwise, and compares its starts after plain steps."""
    fit = lem.fit(POISSON, deaths(), n_starts=4)
    assert "extrapolated" in fit.history.kind
    assert "extrapolated" not in fit.history.kind[:21]
    assert "extrapolated" in lem.fit(POISSON, deaths(), start=HASSELBLAD).history.kind[:21]
    plain = lem.fit(POISSON, deaths(), start=HASSELBLAD, accelerate=None)
    assert set(plain.history.kind) == {"start", "plain"}
    np.testing.assert_allclose(plain.history.bound, run("poisson").history.bound, rtol=1e-13)


def test_what_cannot_be_an_acceleration_is_refused():
    """Wrong accelerations are refused by name, and so is one beside a runner."""
    with pytest.raises(TypeError, match="Anderson"):
        lem.EM(accelerate="anderson")
    with pytest.raises(TypeError, match="Anderson"):
        lem.fit(POISSON, deaths(), accelerate=True)
    with pytest.raises(ValueError, match="memory was given as 1"):
        lem.Anderson(memory=1)
    with pytest.raises(ValueError, match="accelerate"):
        lem.fit(POISSON, deaths(), runner=lem.EM(), accelerate=lem.Squarem())
