"""Repeated rows are fitted once each, with the weight of all copies."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import latentem as lem
from latentem.data import Rows
from latentem.data.distinct import distinct
from latentem.engine import Processes
from latentem.run import EM
from latentem.start.repeats import for_runs
from tests.subjects import deaths

TIGHT = lem.remaining_below(1e-16)


def table(n=1200, seed=0):
    """Three columns of few values, with patterns that two groups have in different shares, and group labels."""
    rng = np.random.default_rng(seed)
    group = rng.random(n) < 0.4
    return np.column_stack(
        [rng.poisson(np.where(group, 4.0, 1.0)), rng.random(n) < np.where(group, 0.8, 0.2), rng.integers(0, 3, n)]
    ).astype(float), group.astype(int)


def gap_filled(x, seed=1):
    """The table with some cells missing."""
    return np.where(np.random.default_rng(seed).random(x.shape) < 0.2, np.nan, x)


TABLE, GROUP = table()
COUNTS = lem.Mixture(lem.Poisson().on(0), 2)
BITS = lem.Mixture(lem.Product(lem.Bernoulli().on(1), lem.Categorical(3).on(2)), 2)
MODELS = {
    "poisson": (COUNTS, TABLE),
    "negative binomial": (lem.Mixture(lem.NegativeBinomial().on(0), 2), TABLE),
    "product with gaps": (BITS, np.column_stack([TABLE[:, 0], gap_filled(TABLE)[:, 1:]])),
    "gaussian with gaps": (lem.GaussianMixture(2), gap_filled(TABLE)),
    "student": (lem.Mixture(lem.Student(), 2), TABLE),
    "inflated": (lem.Mixture(lem.ZeroInflated(lem.Poisson()).on(0), 2), TABLE),
    "regression": (lem.Mixture(lem.PoissonRegression(), 2), TABLE[:, ::-1]),
    "factors": (lem.FactorAnalysis(1), TABLE),
}


@pytest.mark.filterwarnings("ignore::latentem.fit.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_of_repeated_rows_is_that_of_all_rows(name):
    """Passes over distinct rows with weights come to what passes over all rows, read anew each time, come to."""
    model, x = MODELS[name]
    how = {"n_starts": 2, "stop": TIGHT, "max_steps": 25, "accelerate": None}
    fewer = lem.fit(model, x, **how)
    whole = lem.fit(model, [partial(np.array, x)], **how)
    assert len(distinct(model.chunks(x))[0]) < len(x) / 4
    assert fewer.observations == whole.observations == len(x)
    assert fewer.n_parameters == whole.n_parameters
    np.testing.assert_allclose(fewer.history.bound, whole.history.bound, rtol=1e-9)
    np.testing.assert_allclose(fewer.log_likelihood, whole.log_likelihood, rtol=1e-10)
    np.testing.assert_allclose(fewer.score_samples(x), whole.score_samples(x), rtol=1e-5, atol=1e-12)


def test_weights_and_known_labels_are_those_of_the_copies():
    """Copies of different weight, and rows known to be of one group, count as they do without their copies merged."""
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 4, len(TABLE)) * rng.random(len(TABLE))
    known = np.where(rng.random(len(TABLE)) < 0.3, GROUP, -1)
    how = {"n_starts": 2, "stop": TIGHT}
    fewer = lem.fit(COUNTS, TABLE, weights=weights, allowed=known, **how)
    rows = Rows(TABLE, weights, (known[:, None] == np.arange(2)) | (known[:, None] == -1))
    whole = lem.fit(COUNTS, [lambda: rows], **how)
    np.testing.assert_allclose(fewer.log_likelihood, whole.log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(fewer.params.weights, whole.params.weights, rtol=1e-7)
    found = distinct(COUNTS.chunks(TABLE, weights, known))
    assert np.isclose(found[0].weight.sum(), weights.sum())


def test_distinct_rows_are_those_of_a_table_of_counts():
    """Distinct rows and their counts are those of numpy's unique; minus zero is zero and NaN is NaN."""
    x = gap_filled(TABLE) * np.where(np.arange(len(TABLE)) % 2, 1.0, -1.0)[:, None]
    found = distinct([Rows(x[:500]), Rows(x[500:])])
    assert max(map(len, found)) <= 700
    rows, counts = np.unique(np.nan_to_num(x, nan=99.0) + 0.0, axis=0, return_counts=True)
    ours = np.nan_to_num(np.concatenate([chunk.x for chunk in found]), nan=99.0)
    weight = np.concatenate([chunk.weight for chunk in found])
    order = np.lexsort(ours.T[::-1])
    np.testing.assert_array_equal(ours[order], rows)
    np.testing.assert_array_equal(weight[order], counts)
    np.testing.assert_array_equal(ours[0], np.nan_to_num(x[0], nan=99.0))


def test_rows_that_differ_are_left_as_they_are():
    """Where rows do not repeat, or are few, nothing is merged."""
    x = np.random.default_rng(0).normal(size=(5000, 2))
    assert distinct([Rows(x)]) is None
    assert distinct([Rows(np.repeat(x, 2, axis=0))]) is None
    assert distinct([Rows(np.ones((20, 1)))]) is None


def test_a_start_of_all_rows_is_one_of_the_distinct_ones():
    """Labels given for all rows begin the run where they would without copies merged."""
    x = deaths()
    labels = (np.arange(len(x)) % 7 < 3).astype(int)
    fit = lem.fit(lem.Mixture(lem.Poisson(), 2), x, start=labels, max_steps=9999)
    means = [x[labels == j].mean() for j in (0, 1)]
    np.testing.assert_allclose(fit.start.components[:, 0], means, rtol=1e-12)
    assert fit.log_likelihood == pytest.approx(-1989.945859883, abs=1e-6)


def test_what_depends_on_each_row_sees_each_row():
    """Sampled labels, other runners, components that move to rows and chains go through all rows."""
    poisson = lem.Mixture(lem.Poisson(), 2)
    held = lem.Frozen(poisson, {"weights"})
    for model, runner in [
        (lem.Sampled(poisson), EM()),
        (poisson, lem.Incremental()),
        (held, EM()),
        (lem.KMeans(2), EM()),
        (lem.HiddenMarkov(lem.Poisson(), 2), EM()),
    ]:
        chunks = model.chunks(deaths())
        assert for_runs(model, chunks, runner) is chunks
    assert sum(map(len, for_runs(poisson, poisson.chunks(deaths()), EM()))) == 10


def test_engines_and_checkpoints_have_the_bits(tmp_path):
    """Two processes, a checkpoint that is taken up again and plain threads end at the same bits."""
    model = lem.Mixture(lem.Poisson(), 2)
    here = lem.fit(model, deaths(), n_starts=2)
    assert lem.fit(model, deaths(), n_starts=2, engine=Processes(2)).params == here.params
    with pytest.warns(lem.ConvergenceWarning):
        lem.fit(model, deaths(), n_starts=2, checkpoint=tmp_path / "c", callback=lambda state: lem.STOP)
    assert lem.fit(model, deaths(), n_starts=2, checkpoint=tmp_path / "c").params == here.params


def test_events_count_all_rows():
    """Fewer distinct rows than parameters are no event where the rows are many."""
    x = np.repeat(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), 200, axis=0)
    fit = lem.fit(lem.Mixture(lem.Bernoulli(), 2), x)
    assert fit.n_parameters == 5
    assert "unidentified" not in {event.kind for event in fit.events}


def test_a_row_that_is_refused_has_its_number_among_all_rows():
    """A value that no component allows is named by the row where it first stands, and not among distinct rows."""
    x = np.zeros((3000, 1))
    x[1::2], x[[2222, 2500]] = 1, 2
    model = lem.Mixture(lem.Categorical(3), 2)
    start = model.params([0.5, 0.5], model.family.params([[[0.5, 0.5, 0.0]], [[0.3, 0.7, 0.0]]]))
    for engine in (lem.Threads(2), Processes(2)):
        with pytest.raises(lem.Degenerate, match=r"the density of row 2222 .*, \[2.\], is zero"):
            lem.fit(model, x, start=start, engine=engine)
