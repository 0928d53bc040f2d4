"""Ways of running: incremental, online, annealed and stochastic EM, against plain EM and code written out here."""

from __future__ import annotations

import itertools
import pickle

import attrs
import numpy as np
import pytest
from attrs import frozen
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logsumexp, xlogy
from subjects import FAITHFUL, MODELS, TIGHT, clusters, counts, overlapping

import latentem as lem
from latentem.core import tree_sum
from latentem.run import EM, run_all
from latentem.run.restarts import Start
from latentem.variants import Annealing, Incremental, Online, OnlineState
from latentem.variants.incremental import SumTree
from latentem.variants.stochastic import Stochastic

MODEL = lem.GaussianMixture(2)
START = MODEL.params([0.5, 0.5], [[3.0, 60.0], [4.0, 75.0]], [np.diag([1.0, 100.0])] * 2)
FAIL = lem.run.Ending.OBJECTIVE_FELL
STAGE = EM(stop=lem.remaining_below(1e-6), max_steps=5)
RUNNERS = [EM(), Incremental(), Online(passes=3), Annealing(betas=(0.5, 1), stage=STAGE), Stochastic(30, 10)]


def shuffled(x, parts, seed=0):
    """The rows in another order, in so many chunks."""
    order = np.random.default_rng(seed).permutation(len(x))
    return [lem.Rows(part) for part in np.array_split(np.asarray(x, dtype=float)[order], parts)]


def poisson(rates=(1.0, 3.0), weights=(0.5, 0.5)):
    model = lem.Mixture(lem.Poisson(), len(rates))
    return model, model.params(weights, lem.Poisson().params(np.reshape(rates, (-1, 1))))


def name_of(runner):
    return type(runner).__name__


@frozen
class Split:
    counts: np.ndarray
    share: float

    def entropy(self):
        return float(-self.counts.sum() * (xlogy(self.share, self.share) + xlogy(1 - self.share, 1 - self.share)))


class Linkage(lem.LatentModel):
    """The five methods and nothing else (Dempster, Laird and Rubin, 1977, section 1); the parameter is a float."""

    def posterior(self, params, chunk):
        return Split(chunk[:, 0], params / (2 + params))

    def statistics(self, chunk, posterior):
        hidden = posterior.counts * posterior.share
        return np.array([(chunk[:, 0] - hidden).sum(), (hidden + chunk[:, 3]).sum(), chunk[:, 1:3].sum()])

    def log_joint(self, params, statistics):
        return float(xlogy(statistics, [1 / 2, params / 4, (1 - params) / 4]).sum())

    def blocks(self):
        return [lem.Block((), lambda s, p: self.first(s), lambda p: 1)]

    def first(self, statistics):
        return float(statistics[1] / statistics[1:].sum())


MIXED = np.random.default_rng(5).poisson(np.repeat([1.0, 7.0], 150))[:, None]
LINKAGE = [np.array([row]) for row in ([125.0, 18, 20, 34], [60.0, 9, 8, 15], [30.0, 2, 7, 11])]


# Incremental EM.


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_incremental_em_on_one_chunk_is_plain_em(model):
    """With one chunk every figure of every step, but the time, is that of plain EM, to the bit."""
    x = counts() if "Poisson" in repr(model) else overlapping()
    start = first(model, x)
    one, other = (run(max_steps=40).run(model, start, x) for run in (EM, Incremental))
    assert one.params == other.params
    assert one.status == other.status
    for column in ("bound", "objective", "e_gain", "m_gain", "movement", "remaining", "passes", "log_prior"):
        np.testing.assert_array_equal(getattr(one.history, column), getattr(other.history, column))


def first(model, x):
    """Parameters from a cut of the rows at the median of the first column."""
    base = lem.transform.innermost(model)
    chunk = base.chunk(x)
    halves = np.eye(2)[(x[:, 0] > np.median(x[:, 0])).astype(int)]
    return model.first(base.statistics(chunk, lem.LabelPosterior(halves)))


def gaussian_incremental(chunks, w, m, v, passes):
    """Incremental EM for a mixture in one column, from the formulas: parameters at the end of each pass."""

    def expected(x):
        joint = np.log(w) - 0.5 * np.log(2 * np.pi * v) - 0.5 * (x[:, None] - m) ** 2 / v
        r = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        return np.array([r.sum(axis=0), r.T @ x, r.T @ x**2])

    kept, path = [expected(x) for x in chunks], []
    for _ in range(passes):
        for i, x in enumerate(chunks):
            n, s, q = sum(kept)
            w, m = n / n.sum(), s / n
            v = q / n - m**2
            kept[i] = expected(x)
        path.append((w, m, v))
    return path


def test_incremental_em_takes_the_path_of_neal_and_hinton():
    """The parameters after each pass are those of incremental EM written out in ten lines."""
    x = FAITHFUL[:, :1]
    chunks = shuffled(x, 5)
    model = lem.GaussianMixture(2, prior=None)
    start = model.params([0.4, 0.6], [[2.5], [4.0]], [[[0.5]], [[0.7]]])
    arrays = [chunk.x[:, 0] for chunk in chunks]
    wanted = gaussian_incremental(arrays, np.array([0.4, 0.6]), np.array([2.5, 4.0]), np.array([0.5, 0.7]), 12)
    states = list(itertools.islice(Incremental().iterate(model, start, chunks), 13))
    for state, (w, m, v) in zip(states[1:], wanted, strict=True):
        np.testing.assert_allclose(state.params.weights, w, rtol=1e-10)
        np.testing.assert_allclose(state.params.components.means[:, 0], m, rtol=1e-10)
        np.testing.assert_allclose(state.params.components.covariances[:, 0, 0], v, rtol=1e-9)
    assert [state.step.kind for state in states] == ["start"] + 12 * ["incremental"]
    assert states[-1].step.passes == 13


@pytest.mark.parametrize(
    ("model", "start", "chunks"),
    [
        (MODEL, START, shuffled(FAITHFUL, 8)),
        (lem.GaussianMixture(2, structure=lem.Tied(lem.Diagonal())), None, shuffled(clusters(), 30)),
        (*poisson(), shuffled(MIXED, 5)),
        (
            lem.WithPrior(poisson()[0], lem.core.e_step(*poisson(), shuffled(MIXED, 1)).statistics),
            poisson()[1],
            shuffled(MIXED, 4),
        ),
        (Linkage(), 0.4, LINKAGE),
    ],
    ids=["full", "tied", "Poisson", "prior", "linkage"],
)
def test_incremental_em_ends_where_plain_em_ends(model, start, chunks):
    """The objective at the end is plain EM's to 1e-9, in no more passes, and the books are those of the parameters."""
    start = first(model, np.concatenate([chunk.x for chunk in chunks])) if start is None else start
    plain, result = (run(stop=TIGHT).run(model, start, chunks) for run in (EM, Incremental))
    assert result.converged
    assert abs(result.objective - plain.objective) <= 1e-9
    assert result.history[-1].passes <= plain.history[-1].passes
    assert result.history[-1].kind == "full"
    again = lem.core.e_step(model, result.params, chunks)
    assert result.bound == model.log_joint(result.params, again.statistics) + again.entropy


def test_the_books_of_a_pass_are_a_bound_that_never_falls():
    """After each pass the bound of the mixed q's is at most the log evidence, and the gains of its visits add up."""
    x, chunks = overlapping(), shuffled(overlapping(), 9)
    start = first(MODEL, x)
    states = list(Incremental(max_steps=30).iterate(MODEL, start, chunks))
    for state in states:
        components = state.params.components
        parts = zip(state.params.weights, components.means, components.covariances, strict=True)
        density = sum(w * stats.multivariate_normal(m, c).pdf(x) for w, m, c in parts)
        assert state.step.bound <= np.log(density).sum() + 1e-8
    assert states[-1].step.bound == pytest.approx(np.log(density).sum(), abs=1e-8)
    for before, after in itertools.pairwise(states):
        gained = after.step.e_gain + after.step.m_gain
        assert gained == pytest.approx(after.step.objective - before.step.objective, abs=1e-8)
        assert min(after.step.e_gain, after.step.m_gain) >= -1e-8


@pytest.mark.parametrize("copies", [2, 4, 12])
def test_the_rate_of_incremental_em_is_the_one_of_the_theory(copies):
    """On copies of one chunk, a pass shrinks the distance by r^C, where rate of EM = C / sum of r^-j, j = 1 to C."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, 200), rng.normal(3.0, 1, 100)])[:, None]
    model = lem.GaussianMixture(2, structure=lem.Tied())
    start = model.params([0.5, 0.5], [[-1.0], [1.0]], [[1.0]])
    chunks = [lem.Rows(x)] * copies
    plain, result = (run().run(model, start, chunks).history for run in (EM, Incremental))
    rho, rate = (np.sqrt(h.movement[-3] / h.movement[-5]) ** 0.5 for h in (plain, result))
    each = brentq(lambda r: rho / copies * (r ** -np.arange(1.0, copies + 1)).sum() - 1, 0.5, 1 - 1e-9)
    assert rate == pytest.approx(each**copies, rel=1e-5)
    assert len(result) < len(plain)
    middle = result[len(result) // 2]
    assert middle.remaining > result.objective[-1] - middle.objective > 0


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 15, 16, 17, 63, 70])
def test_the_kept_tree_is_the_sum_of_what_is_in_it(size):
    """After any replacements the total is `tree_sum` of the values as they are, to the bit."""
    rng = np.random.default_rng(size)
    values = [lem.core.Expectation(v, v, 1.0) for v in rng.normal(size=size) * 10.0 ** rng.integers(-8, 8, size)]
    tree = SumTree(values)
    assert tree.total == tree_sum(values)
    for number in rng.integers(size, size=3 * size).tolist():
        values[number] = lem.core.Expectation(rng.normal() * 10.0 ** rng.integers(-8, 8), rng.normal(), 1.0)
        tree.replace(number, values[number])
        assert tree.total == tree_sum(values)


@pytest.mark.parametrize(
    "model",
    [lem.Hard(MODEL), lem.Tempered(MODEL, 0.6), lem.Frozen(MODEL, {"weights"}), lem.KMeans(2), lem.Sampled(MODEL, 3)],
    ids=["Hard", "Tempered", "Frozen", "KMeans", "Sampled"],
)
def test_incremental_em_runs_every_transformed_model(model):
    """Under each transformer incremental EM ends sound, its audited halves never having lost."""
    start = START if not isinstance(model, lem.KMeans) else model.params([[2.0, 60.0], [4.0, 70.0]], 30.0)
    result = Incremental(max_steps=60).run(model, start, shuffled(FAITHFUL, 6))
    assert result.status.ending is not FAIL
    assert all((getattr(result.history, f"{half.lower()}_gain")[1:] > -1e-6).all() for half in model.inference.audited)
    if not isinstance(model, lem.Sampled):
        assert result.converged


# Audits, callbacks and Ctrl-C.


@frozen
class Ridge(lem.transform.Transformed):
    """A covariance block that is no maximiser."""

    inner: object = MODEL

    def blocks(self):
        weights, means, covariances = self.inner.blocks()

        def ridge(statistics, params):
            return covariances.maximize(statistics, params) + 5.0 * np.eye(2)

        return [weights, means, lem.Block(covariances.path, ridge, covariances.size)]


class Forgetful(lem.transform.Transformed):
    """A posterior that is right at the start alone."""

    inner = MODEL

    def posterior(self, params, chunk):
        q = self.inner.posterior(params, chunk)
        return q if params == START else lem.LabelPosterior(q.weights[:, ::-1])


@pytest.mark.parametrize(
    ("runner", "named"),
    [(Incremental(), "at chunk 1 of 4"), (Annealing(), "at beta 0.1"), (Stochastic(), "step 1")],
    ids=["Incremental", "Annealing", "Stochastic"],
)
def test_a_planted_block_is_named(runner, named):
    """Each audited variant ends with the half, the block and where it was, and returns sound parameters."""
    start = lem.EM().run(MODEL, START, FAITHFUL).params
    if isinstance(runner, Annealing):  # flat posteriors widen the components: only a wide ridge is no maximiser there
        start = lem.EM().run(lem.Tempered(MODEL, 0.1), start, FAITHFUL).params
    result = runner.run(Ridge(), start, shuffled(FAITHFUL, 4))
    assert result.status.ending is FAIL
    assert named in result.status.sentence
    assert "the M half" in result.status.sentence
    assert "block 'components.covariances'" in result.status.sentence
    assert result.params == start


def test_an_e_half_that_loses_is_named_with_its_chunk():
    """A posterior that goes wrong is found at the first visit."""
    result = Incremental().run(Forgetful(), START, shuffled(FAITHFUL, 4))
    assert result.status.ending is FAIL
    assert "the E half of step 1 at chunk 1 of 4" in result.status.sentence


@pytest.mark.parametrize("runner", RUNNERS, ids=name_of)
def test_run_is_the_last_state_of_iterate(runner):
    """`run` folds over `iterate`; a rerun gives the same bits, and only the last State has a status."""
    chunks = shuffled(FAITHFUL, 4)
    states = list(runner.iterate(MODEL, START, chunks))
    result = runner.run(MODEL, START, chunks)
    assert result.params == states[-1].params
    assert result.status == states[-1].status
    assert [state.status is None for state in states] == [True] * (len(states) - 1) + [False]
    assert (np.diff([step.index for step in result.history]) == 1).all()
    assert (np.diff(result.history.passes) >= 0).all()
    assert (np.diff(result.history.seconds) >= 0).all()
    assert result.history.bound.tolist() == list(states[-1].history.bound)
    joint = MODEL.log_joint(result.params, result.expectation.statistics)
    assert joint + result.expectation.entropy == result.bound


@pytest.mark.parametrize("runner", RUNNERS, ids=name_of)
def test_callbacks_and_ctrl_c_stop_every_runner(runner):
    """A callback that returns `STOP` and Ctrl-C end a run with the State in hand; what a callback raises is raised."""
    chunks = shuffled(FAITHFUL, 4)
    result = runner.run(MODEL, START, chunks, callback=lambda state: lem.STOP if state.step.index == 3 else None)
    assert result.status.ending is lem.run.Ending.STOPPED
    assert result.history[-1].index == 3

    def pressed(state):
        if state.step.index == 2:
            raise KeyboardInterrupt

    result = runner.run(MODEL, START, chunks, callback=pressed)
    assert result.status.ending is lem.run.Ending.INTERRUPTED
    assert result.history[-1].index == 2

    def broken(state):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        runner.run(MODEL, START, chunks, callback=broken)


@pytest.mark.parametrize("runner", RUNNERS, ids=name_of)
def test_restarts_take_any_runner(runner):
    """`run_all` runs each start, and the best is the best of the reports, or the first that is as good to rounding."""
    others = [START, MODEL.params([0.3, 0.7], [[2.0, 50.0], [4.5, 80.0]], [np.diag([1.0, 100.0])] * 2)]
    starts = [Start(str(i), lambda params=params: params) for i, params in enumerate(others)]
    outcome = run_all(runner, MODEL, starts, shuffled(FAITHFUL, 4))
    best, reports = outcome.best, outcome.reports
    assert len(reports) == 2
    objectives = [report.objective for report in reports]
    assert best.objective == next(one for one in objectives if one > max(objectives) - 1e-8)
    if runner.trial is None:
        ends = [runner.run(MODEL, params, shuffled(FAITHFUL, 4)).objective for params in others]
        assert [report.objective for report in reports] == ends


def test_a_fit_takes_a_runner():
    """`fit` runs any runner from its own starts, and the figures of the fit are those of its parameters."""
    chunks = shuffled(FAITHFUL, 4)
    wanted = lem.fit(MODEL, chunks, n_starts=2).log_likelihood
    fit = lem.fit(MODEL, chunks, runner=Incremental(), n_starts=2)
    assert fit.log_likelihood == pytest.approx(wanted, abs=1e-9)
    assert fit.bound == pytest.approx(fit.log_likelihood, abs=1e-8)
    with pytest.warns(lem.ConvergenceWarning, match="the stream is over"):
        fit = lem.fit(MODEL, chunks, runner=Online(passes=2), n_starts=1)
    assert fit.bound == pytest.approx(fit.log_likelihood, abs=1e-8)
    assert fit.observations == 272


@pytest.mark.parametrize("runner", RUNNERS, ids=name_of)
def test_parameters_that_are_none_are_refused(runner):
    """Every runner checks what it starts from."""
    with pytest.raises(ValueError, match="parameters"):
        runner.run(MODEL, "no", FAITHFUL)


def test_what_a_model_cannot_do_is_said():
    """Annealing and stochastic EM of a model whose posterior has no power and no draw say so; the others run it."""
    for runner, what in ((Annealing(), "no power"), (Stochastic(), "no draw")):
        with pytest.raises(lem.Unavailable, match=what):
            runner.run(Linkage(), 0.4, LINKAGE)
    assert Incremental().run(Linkage(), 0.4, LINKAGE).converged
    far = Online(passes=200).run(Linkage(), 0.1, LINKAGE).params
    assert far == pytest.approx(EM().run(Linkage(), 0.4, LINKAGE).params, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Incremental(stop="tol"), "stop was given as 'tol'"),
        (lambda: Incremental(max_steps=-1), "max_steps was given as -1"),
        (lambda: Online(exponent=0.5), "exponent was given as 0.5"),
        (lambda: Online(exponent=1.1), "exponent was given as 1.1"),
        (lambda: Online(delay=-1), "delay was given as -1"),
        (lambda: Online(wait=float("nan")), "wait was given as nan"),
        (lambda: Online(passes=0), "passes was given as 0"),
        (lambda: Online(stop=3), "stop was given as 3"),
        (lambda: Annealing(betas=(0.5, 0.9)), "the last is 1"),
        (lambda: Annealing(betas=()), "betas were given"),
        (lambda: Annealing(betas=(0.0, 1)), "positive"),
        (lambda: Annealing(nudge=1), "nudge was given as 1"),
        (lambda: Stochastic(steps=0), "steps was given as 0"),
        (lambda: Stochastic(10, 10), "nothing is left"),
        (lambda: Stochastic(seed=-1), "seed was given as -1"),
        (lambda: OnlineState(1.0).expectation, "no chunk has been seen"),
        (lambda: Online().run(MODEL, START, iter([])), "no chunk"),
    ],
)
def test_options_are_refused_by_name(make, message):
    """Each option out of range is an error that shows what was given."""
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# Online EM.


def poisson_stream(size, seed):
    """Chunks without end: 0.3 Poisson(2) + 0.7 Poisson(9), of `size` rows each."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.poisson(np.where(rng.random(size) < 0.3, 2.0, 9.0))[:, None].astype(float)


def test_online_em_recovers_parameters_from_a_stream():
    """On an endless stream, read chunk by chunk and only as far as needed, online EM finds the parameters."""
    model, start = poisson((1.0, 4.0))
    read = []
    stream = (read.append(1) or chunk for chunk in poisson_stream(200, 0))
    *_, state = itertools.islice(Online().iterate(model, start, stream), 600)
    assert len(read) == 600
    np.testing.assert_allclose(state.params.components[:, 0], [2.0, 9.0], atol=0.1)
    np.testing.assert_allclose(state.params.weights, [0.3, 0.7], atol=0.015)
    assert state.step.index == 600
    assert state.expectation.observations == pytest.approx(600 * 200)
    assert np.isnan(state.step.e_gain)
    assert state.step.remaining == np.inf
    ended = Online(stop=lem.seconds(0.05)).run(model, start, poisson_stream(50, 1))
    assert ended.status.ending is lem.run.Ending.STOPPED
    assert "seconds" in ended.status.sentence


def poisson_online(chunks, w, rates, exponent, delay):
    """Stepwise EM for a Poisson mixture in one column, from the formulas; and how much each chunk weighs at the end."""
    total, weigh = None, []
    for t, x in enumerate(chunks, 1):
        joint = np.log(w) + stats.poisson(rates).logpmf(x)
        r = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        new, g = np.array([r.sum(axis=0), r.T @ x[:, 0]]), (t + delay) ** -exponent
        total = new if total is None else (1 - g) * total + g * new
        weigh = [1.0] if t == 1 else [*((1 - g) * before for before in weigh), g]
        w, rates = total[0] / total[0].sum(), total[1] / total[0]
    return w, rates, np.array(weigh)


def test_online_em_is_stepwise_em_and_its_books_are_a_discounted_bound():
    """Parameters are those of the formulas, with chunks of any size; the bound is below the discounted evidence."""
    stream = [chunk[: 20 + 5 * (i % 7)] for i, chunk in enumerate(itertools.islice(poisson_stream(60, 2), 80))]
    model, start = poisson((1.0, 4.0))
    result = Online(exponent=0.8, delay=5.0).run(model, start, iter(stream))
    w, rates, weigh = poisson_online(stream, np.array([0.5, 0.5]), np.array([1.0, 4.0]), 0.8, 5.0)
    np.testing.assert_allclose(result.params.weights, w, rtol=1e-12)
    np.testing.assert_allclose(result.params.components[:, 0], rates, rtol=1e-12)
    sizes = np.array([len(x) for x in stream])
    evidence = np.array([logsumexp(np.log(w) + stats.poisson(rates).logpmf(x), axis=1).sum() for x in stream])
    discounted = sizes.sum() * (weigh @ evidence) / (weigh @ sizes)
    assert result.bound <= discounted
    assert result.bound == pytest.approx(discounted, rel=0.02)
    assert result.expectation.observations == pytest.approx(sizes.sum())
    assert result.status.ending is lem.run.Ending.STOPPED
    assert not result.converged


def test_an_online_state_can_be_pickled_and_taken_up_again():
    """Half a stream, a pickle, and the other half give the bits of the whole stream; a state is never changed."""
    online, stream = Online(), list(itertools.islice(poisson_stream(30, 3), 20))
    model, start = poisson((1.0, 4.0))
    whole = half = online.begin(model, start)
    for chunk in stream:
        whole = online.update(model, whole, chunk)
    for chunk in stream[:10]:
        half = online.update(model, half, chunk)
    kept = pickle.dumps(half)
    rest = pickle.loads(kept)
    for chunk in stream[10:]:
        rest = online.update(model, rest, chunk)
    assert rest == whole
    assert pickle.dumps(half) == kept
    assert whole.params == online.run(model, start, iter(stream)).params
    nothing = lem.Rows(stream[0], np.zeros(30))
    with pytest.raises(ValueError, match="weight"):
        online.update(model, whole, nothing)


def test_online_em_on_repeated_data_nears_the_batch_optimum():
    """Gone through 60 times, in unequal chunks, data are fitted to within 1e-5 nats an observation of the maximum."""
    x = clusters()[np.random.default_rng(1).permutation(300)]
    chunks = [lem.Rows(part) for part in np.split(x, [90, 130, 220, 240])]
    plain = EM().run(MODEL, first(MODEL, x), chunks)
    result = Online(passes=60).run(MODEL, first(MODEL, x), chunks)
    gap = (plain.objective - lem.log_likelihood(MODEL, result.params, chunks)) / 300
    assert -1e-12 <= gap < 1e-5
    assert result.history[-1].passes == 61
    assert result.history[-1].kind == "full"
    assert result.expectation.observations == 300
    assert result.bound == pytest.approx(lem.log_likelihood(MODEL, result.params, chunks), abs=1e-8)
    few = Online(passes=1).run(MODEL, first(MODEL, x), chunks)
    assert gap < plain.objective / 300 - lem.log_likelihood(MODEL, few.params, chunks) / 300


def test_online_em_waits_until_there_is_enough():
    """Row by row, the parameters stay as they are until `wait` observations have been seen."""
    states = list(Online(wait=20).iterate(MODEL, START, (row[None] for row in FAITHFUL[:60])))
    assert [state.params == START for state in states[:60]] == [True] * 19 + [False] * 41
    assert all(np.isfinite(state.step.bound) for state in states)


# Annealing.


def line():
    """Four clusters in a line, of known width, and starts with every mean in the first one."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(m, 0.6, (50, 1)) for m in (0.0, 3.0, 6.0, 9.0)])
    model = lem.GaussianMixture(
        4, structure=lem.Tied(lem.Spherical()), weights=lem.Fixed.uniform(), covariances=lem.Fixed(0.36)
    )
    made = [model.params(np.full(4, 0.25), x[rng.choice(50, 4, replace=False)], 0.36) for _ in range(6)]
    return model, x, made


def test_annealing_finds_the_global_mode_from_hard_starts():
    """From starts with all means in one of four clusters, plain EM mostly ends elsewhere, and annealing never does."""
    model, x, starts = line()
    plain = EM(stop=lem.remaining_below(1e-7))
    best = plain.run(model, attrs.evolve(starts[0], components=at(starts[0], [0.0, 3.0, 6.0, 9.0])), x).objective
    plainly, annealed = (
        [best - runner.run(model, start, x).objective for start in starts] for runner in (plain, Annealing(em=plain))
    )
    assert sum(gap < 1e-4 for gap in plainly) <= 2
    assert max(annealed) < 1e-4


def at(params, means):
    return attrs.evolve(params.components, means=np.reshape(means, (-1, 1)))


def test_each_stage_of_annealing_raises_its_own_objective():
    """Within a stage Q + H / beta never falls; kinds and steps tell the stages apart; the end is plain EM's."""
    betas = (0.2, 0.5, 1.0)
    result = Annealing(betas=betas).run(MODEL, START, FAITHFUL)
    assert result.converged
    assert [step.index for step in result.history] == list(range(len(result.history)))
    for beta in betas:
        stage = [step for step in result.history if step.kind.endswith(f"at beta {beta:g}")]
        assert stage[0].kind.startswith("start")
        assert np.isnan(stage[0].m_gain)
        objective = [step.expected_log_joint + step.entropy / beta for step in stage]
        assert [step.objective for step in stage] == pytest.approx(objective, rel=1e-12)
        assert (np.diff(objective) > -1e-7).all()
    plain = EM().run(MODEL, START, FAITHFUL)
    assert result.objective == pytest.approx(plain.objective, abs=1e-9)
    assert result.bound == pytest.approx(lem.log_likelihood(MODEL, result.params, MODEL.chunks(FAITHFUL)), abs=1e-8)


def test_annealing_with_nothing_to_anneal_is_plain_em():
    """With the one beta 1 the parameters and bounds are plain EM's, to the bit."""
    plain, result = (runner.run(MODEL, START, FAITHFUL) for runner in (EM(), Annealing(betas=[1])))
    assert plain.params == result.params
    assert plain.history.bound.tolist() == result.history.bound.tolist()


# Stochastic EM.


def test_stochastic_em_averages_to_the_maximum():
    """The average of the draws is within 0.1 nats of the maximum, and ten times as near as the draws."""
    x = clusters()
    plain = EM().run(MODEL, first(MODEL, x), x)
    gaps = []
    for seed in range(2):
        states = list(Stochastic(400, 100, seed).iterate(MODEL, first(MODEL, x), x))
        gaps.append(plain.objective - states[-1].step.objective)
        chunks = MODEL.chunks(x)
        single = [plain.objective - lem.log_likelihood(MODEL, state.params, chunks) for state in states[100:-1:50]]
        assert gaps[-1] < 0.1 * np.mean(single)
    assert min(gaps) > -1e-9
    assert np.mean(gaps) < 0.1


def test_stochastic_em_is_what_it_says():
    """Each step draws anew; the M half never loses; the end is the M-step at the mean of the draws' statistics."""
    chunks = shuffled(clusters(), 3)
    start = first(MODEL, clusters())
    runner = Stochastic(steps=12, burn_in=4, seed=7)
    states = list(runner.iterate(MODEL, start, chunks))
    assert [state.step.kind for state in states] == ["start", *["drawn"] * 11, "average"]
    assert all(state.step.entropy == 0 for state in states[:-1])
    assert all(state.step.m_gain >= -1e-8 for state in states[1:-1])
    assert min(state.step.e_gain for state in states[1:-1]) < 0
    kept = [state.expectation.statistics for state in states[4:12]]
    means = sum(s.weights for s in kept) / 8
    np.testing.assert_allclose(states[-1].params.weights, means / 300, rtol=1e-12)
    first_moments = sum(s.components.first + s.weights[:, None] * s.components.origin for s in kept) / 8
    np.testing.assert_allclose(states[-1].params.components.means, first_moments / means[:, None], rtol=1e-10)
    assert states[-1].status.ending is lem.run.Ending.STOPPED
    assert states[-1].step.bound == pytest.approx(lem.log_likelihood(MODEL, states[-1].params, chunks), abs=1e-8)
    other = Stochastic(steps=12, burn_in=4, seed=8).run(MODEL, start, chunks)
    assert other.params != states[-1].params
    drawn = [lem.core.e_step(lem.Sampled(MODEL, 7 + t), start, chunks).statistics.weights[0] for t in range(4)]
    assert len(set(drawn)) > 1
