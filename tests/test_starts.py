"""Starts and restarts."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from subjects import FAITHFUL

import latentem as lem
from latentem.core import Placed
from latentem.run import restarts
from latentem.start.drawing import distances_to, sample
from latentem.start.starts import children, starts


def made(model, x, rng=0, n_starts=9, **options):
    return [s.make() for s in starts(model, model.chunks(x, **options), None, n_starts, rng)]


def test_kinds_of_starts_come_by_turns():
    """k-means++ on standardised columns, on raw columns and random groups take turns; a Gaussian's fourth merges."""
    kinds = [
        "k-means++ on standardised columns",
        "k-means++ on raw columns",
        "means of random groups of rows",
    ]
    for model, fourth in ((lem.GaussianMixture(2), "hierarchical agglomeration"), (lem.KMeans(2), kinds[0])):
        names = [s.name for s in starts(model, model.chunks(FAITHFUL), None, 16, 0)]
        assert names[:12] == [*kinds, fourth, *kinds[1:], *kinds, *kinds]
        assert names[12:] == names[:4]


@pytest.mark.parametrize(
    "model", [lem.GaussianMixture(3), lem.KMeans(3), lem.GaussianMixture(2, means=lem.Fixed(FAITHFUL[:2]))], ids=str
)
def test_a_start_depends_on_its_number_alone(model):
    """Start i is the same however many there are, to the bit."""
    few, many = made(model, FAITHFUL, n_starts=4), made(model, FAITHFUL, n_starts=9)
    assert few == many[:4]
    assert len({repr(start) for start in many}) == 9 if model.k == 3 else True


def test_random_groups_have_the_means_of_disjoint_rows_and_the_data_s_covariance():
    """The third start has equal weights, the data's covariance, and means near those of d + 1 rows each."""
    x = np.concatenate([FAITHFUL, FAITHFUL + 0.001])
    start = made(lem.GaussianMixture(4), x)[2]
    np.testing.assert_allclose(start.weights, 0.25)
    for covariance in start.components.covariances:
        np.testing.assert_allclose(covariance, np.cov(x.T, bias=True), rtol=1e-6)
    spread = start.components.means.std(axis=0) / x.std(axis=0)
    assert (spread > 0.1).all()


def test_each_kind_of_start_fails_where_another_works():
    """A column of noise in a large unit misleads k-means++ on raw columns, many of unit scale the standardised one."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    loud = np.column_stack([labels + 0.05 * rng.normal(size=200), 1000 * rng.normal(size=200)])
    quiet = np.column_stack([50 * labels + rng.normal(size=200), rng.normal(size=(200, 12))])
    model = lem.KMeans(2)

    def agreement(x, start):
        found = model.posterior(start, model.chunk(x)).labels()
        return max(np.mean(found == labels), np.mean(found != labels))

    for x, good in ((loud, 0), (quiet, 1)):
        x = x / (x.std(axis=0) if good == 0 else 1)  # score where the metric is fair
        scores = [np.mean([agreement(x, s) for s in made(model, x, n_starts=12)[kind::3]]) for kind in (0, 1)]
        assert scores[good] > 0.85


def test_start_may_be_labels_responsibilities_or_parameters():
    """Labels, their one-hot table and the parameters that they give lead to the same run."""
    labels = (FAITHFUL[:, 0] > 3).astype(int)
    model = lem.GaussianMixture(2)
    fits = [lem.fit(model, FAITHFUL, start=start) for start in (labels, np.eye(2)[labels], labels.tolist())]
    fits.append(lem.fit(model, FAITHFUL, start=next(lem.EM().iterate(model, made_from(labels), FAITHFUL)).params))
    for fit in fits[1:]:
        assert fit.params == fits[0].params
    assert len(fits[0].starts) == 1


def made_from(labels):
    parts = [FAITHFUL[labels == j] for j in (0, 1)]
    model = lem.GaussianMixture(2)
    q = lem.LabelPosterior(np.eye(2)[labels])
    statistics = model.statistics(lem.Rows(FAITHFUL), q)
    first = model.first(statistics)
    np.testing.assert_allclose(first.components.means, [part.mean(axis=0) for part in parts], rtol=1e-13)
    return first


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (np.zeros(272, int), "no rows in component 1"),
        (np.full(272, 2), "label 2"),
        (np.zeros((272, 3)), r"shape \(272, 3\)"),
        (np.zeros(100, int), r"shape \(100,\)"),
        (np.full((272, 2), 0.7), "sum to 1"),
        ("random", r"parameters of Mixture.* are a MixtureParams"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start, words):
    """A start of the wrong shape, with labels out of range, an empty component or probabilities off one is an error."""
    with pytest.raises(ValueError, match=words):
        lem.fit(lem.GaussianMixture(2), FAITHFUL, start=start)


def test_every_start_is_reported():
    """The report has one line a start: name, status, objective, steps and events; the best is what is returned."""
    fit = lem.fit(lem.GaussianMixture(3), FAITHFUL, n_starts=7)
    assert len(fit.starts) == 7
    ended = [report for report in fit.starts if report.status.converged]
    assert max(report.objective for report in ended if report.clean) == fit.objective
    left = [report for report in fit.starts if not report.status.converged]
    assert all("others were ahead" in report.status.sentence for report in left)
    assert len([report for report in left if report.steps <= 20]) == 4


@pytest.mark.timeout(200)
def test_a_finalist_that_creeps_far_behind_is_left(monkeypatch, tmp_path):
    """It stops after 100 steps or 200, whatever the engine, also after a checkpoint; else it takes 500."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 2)) + np.outer(rng.integers(5, size=2000), [8.0, 0.0])
    model, plain = lem.GaussianMixture(5), {"accelerate": None}  # leaps would bring it home
    best = lem.fit(model, x, **plain)
    left = [report.steps for report in best.starts if report.steps > 20 and not report.status.converged]
    assert left
    assert set(left) <= {restarts.EARLIEST * 2**i for i in range(3)}
    for number in (215, 240, 265):
        seen, path, stop = itertools.count(), tmp_path / str(number), {number: lem.STOP}
        with pytest.warns(lem.ConvergenceWarning):
            lem.fit(
                model, x, **plain, checkpoint=path, callback=lambda state, seen=seen, stop=stop: stop.get(next(seen))
            )
        assert lem.fit(model, x, **plain, checkpoint=path, engine=lem.Serial()).starts == best.starts
    monkeypatch.setattr(restarts, "EARLIEST", 10**9)
    patient = lem.fit(model, x, **plain)
    assert max(report.steps for report in patient.starts) > 500
    assert patient.params == best.params


def test_a_spike_with_a_higher_objective_loses_to_a_clean_mode():
    """Where a spike on repeated rows has the higher likelihood, the best clean mode is returned all the same."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=(80, 1)), 4 * rng.normal(size=(40, 1)), np.full((6, 1), 2.2)])
    fit = lem.fit(lem.GaussianMixture(2), x, n_starts=30)
    spike = np.r_[np.zeros(120, int), np.ones(6, int)]
    degenerate = lem.fit(lem.GaussianMixture(2), x, start=spike)
    assert [event.kind for event in degenerate.events] == ["floor"]
    assert degenerate.objective > fit.objective
    assert not fit.events


def test_no_start_is_lost_to_an_exception():
    """Without a prior some starts collapse: each is in the report, with its reason, and the fit is a sound one."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=(30, 1)), np.full((5, 1), 9.0), rng.normal(size=(30, 1)) - 8])
    fit = lem.fit(lem.GaussianMixture(2, prior=None), x, n_starts=12)
    assert len(fit.starts) == 12
    collapsed = [report for report in fit.starts if report.status.ending is lem.run.Ending.DEGENERATE]
    assert all("component" in report.status.sentence for report in collapsed)
    assert fit.converged
    three = lem.GaussianMixture(3, prior=None)
    with pytest.warns(lem.ConvergenceWarning, match="covariances of component"):
        lem.fit(three, x, start=np.repeat([0, 1, 2], [30, 5, 30]))


def test_the_seeds_of_starts_do_not_depend_on_their_number():
    """The i-th seed is the same whether three or ten are asked for, for an int, a Generator and a SeedSequence."""
    for make in (lambda: 5, lambda: np.random.default_rng(5), lambda: np.random.SeedSequence(5)):
        few, many = children(make(), 3), children(make(), 10)
        for one, other in itertools.zip_longest(few, many[:3]):
            assert one.generate_state(4).tolist() == other.generate_state(4).tolist()


def test_known_labels_enter_the_starts():
    """With a few labels known, k-means++ begins at their means, so that labels and components agree."""
    labels = np.full(272, -1)
    rows = np.flatnonzero(FAITHFUL[:, 0] < 2.5)[:3]
    labels[rows] = 1
    for start in made(lem.GaussianMixture(2), FAITHFUL, n_starts=2, allowed=labels):
        assert start.components.means[1, 0] < start.components.means[0, 0]


def test_a_seed_sequence_is_not_used_up():
    """The same SeedSequence gives the same fit twice."""
    seeds = np.random.SeedSequence(5)
    one, other = (lem.fit(lem.KMeans(6), FAITHFUL, rng=seeds, n_starts=2) for _ in range(2))
    assert one.params == other.params == lem.fit(lem.KMeans(6), FAITHFUL, rng=5, n_starts=2).params


def test_a_fit_that_is_stopped_does_not_call_another_run_converged():
    """When the callback stops a fit whose best run is another, the status is that of the stop."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(60, 1)), rng.normal(size=(60, 1)) + 2, np.full((25, 1), 1.0)])
    for seed in range(6):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = lem.fit(lem.GaussianMixture(3), x, rng=seed, callback=lambda state: state.status is not None)
        assert fit.converged == (not caught)
        assert np.isfinite(fit.history.remaining[-1]) or "callback" in str(caught[0].message)


class Watched(Placed):
    """Chunks that say how much is taken from where they are."""

    def __init__(self, chunks):
        self._inner, self.brought = lem.Serial().place(chunks), 0

    def __len__(self):
        return len(self._inner)

    def __iter__(self):
        raise AssertionError("the data were brought here")

    def total(self, task):
        return self._inner.total(task)

    def each(self, task):
        answers = self._inner.each(task)
        self.brought += sum(len(answer) for answer in answers if isinstance(answer, lem.Rows))
        return answers


MANY = np.random.default_rng(7).normal(size=(150_000, 2)) + 6 * np.eye(2)[np.arange(150_000) % 2]


@pytest.mark.parametrize(
    ("model", "most"),
    [(lem.GaussianMixture(2), 66_000), (lem.KMeans(5), 10_000), (lem.Frozen(lem.KMeans(2), {"means"}), 10_000)],
    ids=str,
)
def test_many_rows_stay_where_they_are(model, most):
    """From large data a sample is drawn, once for all starts and alike for the same rng; all starts are sound."""
    chunks = model.chunks(MANY)
    placed = Watched(chunks)
    some = [start.make() for start in starts(model, placed, None, 4, 5)]
    assert 4000 < placed.brought < most
    assert some == [start.make() for start in starts(model, Watched(chunks), None, 6, 5)][:4]
    assert some != [start.make() for start in starts(model, chunks, None, 4, 6)]
    for params in some:
        model.check_params(params)
        assert np.isfinite(lem.core.e_step(model, params, chunks).statistics.weights).all()


def test_a_sample_is_even_over_the_rows_that_count():
    """Rows of weight zero are never drawn, the others alike from every chunk, and known labels always."""
    x = np.arange(200_000.0)[:, None]
    weight = (np.arange(200_000) % 4 > 0).astype(float)
    known = np.full(200_000, -1)
    known[[5, 150_001]] = [0, 1]
    chunks = lem.KMeans(2).chunks(x, weights=weight, allowed=known)
    live, drawn = sample(lem.Serial().place(chunks), 20_000, np.random.SeedSequence(1))
    rows = np.concatenate([chunk.x[:, 0] for chunk in drawn]).astype(int)
    assert live == 150_000
    assert abs(len(rows) - 20_000) < 20
    assert len(set(rows.tolist())) == len(rows)
    assert (rows % 4 > 0).all()
    assert {5, 150_001} <= set(rows.tolist())
    counts = np.histogram(rows, bins=20, range=(0, 200_000))[0]
    assert (abs(counts - 1000) < 5 * np.sqrt(1000)).all()


def test_what_a_sample_may_lack_is_in_the_start_all_the_same():
    """A level that three rows of 100,000 have is possible under every start, though no sample need hold it."""
    x = np.zeros((100_000, 1), dtype=int)
    x[1::2] = 1
    x[[10, 50_000, 99_999]] = 2
    model = lem.Mixture(lem.Categorical(3), 2)
    for start in starts(model, model.chunks(x), None, 3, 0):
        assert np.isfinite(model.log_evidence(start.make(), model.chunk(x[[10]]))).all()


def test_known_labels_enter_the_starts_of_k_means():
    """K-means starts from the means of known labels too, on few rows and on a sample of many."""
    for x in (MANY[:3000], MANY):
        labels = np.full(len(x), -1)
        labels[np.arange(0, 40, 2)], labels[np.arange(1, 41, 2)] = 1, 0
        for start in made(lem.KMeans(2), x, n_starts=2, allowed=labels):
            assert start.components.means[1, 0] > start.components.means[0, 0]


def test_distances_in_single_precision_are_near_those_in_double():
    """Where rows are many their distances to a centre are taken by a product, off by 1e-5 of the lengths at most."""
    x = np.random.default_rng(0).normal(size=(40_000, 5)) * 1e12
    for centre in (x[3], x[4] / 2):
        fast, exact = distances_to(x, 1000)(centre), ((x - centre) ** 2).sum(axis=1)
        reach = (x**2).sum(axis=1).max() / 1e24
        np.testing.assert_allclose(fast * np.abs(x).max() ** 2 / 1e24, exact / 1e24, atol=1e-5 * reach)
    assert distances_to(x, 1000)(x[3])[3] == 0


def test_of_runs_that_are_equally_good_the_first_is_the_best():
    """All ten starts on Old Faithful end at one mode, apart by rounding: which is returned is not left to that."""
    x, model = lem.datasets.old_faithful(), lem.GaussianMixture(2)
    one, ten = (lem.fit(model, x, n_starts=n, accelerate=None) for n in (1, 10))
    ends = {report.objective for report in ten.starts if report.status.converged}
    assert len(ends) > 1
    assert max(ends) - min(ends) < 1e-9
    assert ten.params == one.params


def test_of_runs_that_are_equally_good_one_that_converged_is_the_best():
    """Of runs cut short by max_steps and runs that converged at the same mode, one of these is returned."""
    model, x = lem.GaussianMixture(3, lem.Diagonal()), lem.datasets.old_faithful()
    ended = 0
    for steps in range(24, 34):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lem.ConvergenceWarning)  # some are cut short on purpose
            fit = lem.fit(model, x, n_starts=10, max_steps=steps, rng=2)
        clean = [report for report in fit.starts if report.clean]
        best = max(report.objective for report in clean)
        converged = [report for report in clean if report.status.converged and report.objective > best - 1e-7]
        ended += 0 < len(converged) < len(clean)
        assert fit.status.converged or not converged
    assert ended
