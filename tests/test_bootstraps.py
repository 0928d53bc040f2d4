"""Bootstraps and the jackknife, beside closed forms and what mclust and flexmix print."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from subjects import FAITHFUL

import latentem as lem
from latentem.uncertainty import resampling
from latentem.uncertainty.replicate import matched, memberships

ONE = np.random.default_rng(0).normal(3, 2, (80, 1))
MODEL = lem.GaussianMixture(1)
TIGHT = lem.remaining_below(1e-18)

# R 4.2.2, mclust 6.0.0: Mclust(faithful, G = 2, modelNames = "VVV", control = emControl(tol = c(1e-12, 1e-12))), then
# set.seed(1); summary(MclustBootstrap(model, nboot = 999, type = ...), what = "se")
NAMES = ["weights[0]", "means[0, 0]", "means[0, 1]", "means[1, 0]", "means[1, 1]"]
NAMES += ["covariances[0, 0, 0]", "covariances[0, 1, 1]", "covariances[1, 0, 0]", "covariances[1, 1, 1]"]
MCLUST = {
    "nonparametric": [0.0286165, 0.0323348, 0.4618436, 0.0293403, 0.6073462, 0.0200716, 4.351465, 0.0144201, 4.345517],
    "weighted": [0.0289432, 0.0333923, 0.4759479, 0.0283107, 0.5898068, 0.0205278, 4.456405, 0.0151342, 4.144864],
    "jackknife": [0.0291484, 0.0318269, 0.4603432, 0.0283345, 0.5995265, 0.0186049, 4.095934, 0.0138466, 4.387416],
}


def faithful():
    """The fit to Old Faithful whose first component has the longer eruptions, as mclust numbers them."""
    model = lem.GaussianMixture(2)
    start = model.params([0.64, 0.36], [[4.3, 80.0], [2.0, 54.0]], np.tile(np.diag([0.1, 33.0]), (2, 1, 1)))
    return lem.fit(model, FAITHFUL, start=start, stop=TIGHT)


@pytest.mark.parametrize(("method", "tolerance"), [("nonparametric", 0.24), ("weighted", 0.24), ("jackknife", 0.04)])
def test_the_errors_of_mclust(method, tolerance):
    """Standard errors of Old Faithful are those of MclustBootstrap, to four Monte Carlo errors of the two."""
    options = {} if method == "jackknife" else {"replications": 200}
    found = faithful().uncertainty(FAITHFUL, method, **options)
    np.testing.assert_allclose([found[name].standard_error for name in NAMES], MCLUST[method], rtol=tolerance)


def test_the_errors_of_flexmix():
    """Two regressions have the standard errors of flexmix's refit, which inverts a numerical Hessian, to 1e-3."""
    # R 4.2.2, flexmix 2.3.18, on these data with 17 digits: flexmix(y ~ x, k = 2, cluster = rep(1:2, 60), control =
    # list(iter = 5000, minprior = 0, tolerance = 1e-15)), then sqrt(diag(refit(fit, method = "optim")@vcov))
    coefficients = [[0.6562085009, 0.1176153004], [0.6211958680, 0.1093548258]]
    log_sigma = [0.0964511806, 0.1077262825]
    rng = np.random.default_rng(5)
    x = np.linspace(0, 10, 120)
    y = np.where(np.arange(120) % 2 == 0, 5 * x, 30 + 0.5 * x) + np.round(rng.normal(0, 3, 120), 2)
    rows = np.column_stack([x, y])
    model = lem.Mixture(lem.LinearRegression(), 2)
    found = lem.fit(model, rows, start=(np.arange(120) + 1) % 2, stop=TIGHT).uncertainty(rows)
    here = found.of(lambda params: params.components.coefficients).standard_errors.reshape(2, 2)
    np.testing.assert_allclose(here, coefficients, rtol=1e-3)
    here = found.of(lambda params: 0.5 * np.log(params.components.variances)).standard_errors
    np.testing.assert_allclose(here, log_sigma, rtol=1e-3)


def test_one_gaussian_by_closed_forms():
    """The jackknife of a mean is s / root n, exactly; both bootstraps and the parametric one come near it."""
    fit = lem.fit(MODEL, ONE)
    wanted = ONE.std(ddof=1) / np.sqrt(80)
    jackknife = fit.uncertainty(ONE, "jackknife")
    np.testing.assert_allclose(jackknife["means[0, 0]"].standard_error, wanted, rtol=1e-9)
    out = np.array([np.delete(ONE, i).var() for i in range(80)])
    variance = np.sqrt(79 / 80 * ((out - out.mean()) ** 2).sum())
    np.testing.assert_allclose(jackknife["covariances[0, 0, 0]"].standard_error, variance, rtol=1e-7)
    for method in ("weighted", "nonparametric", "parametric"):
        found = fit.uncertainty(ONE, method, replications=150)
        np.testing.assert_allclose(found["means[0, 0]"].standard_error, wanted, rtol=0.23)
        row = found["means[0, 0]"]
        assert row.low < row.estimate < row.high
        np.testing.assert_allclose(row.high - row.low, 2 * 1.96 * wanted, rtol=0.35)
        assert found.notes == ("150 of 150 replications count",)


@pytest.mark.parametrize("method", ["weighted", "nonparametric", "jackknife"])
def test_weights_are_copies(method):
    """Rows of weight two have the standard errors of rows that are there twice, exactly or to Monte Carlo error."""
    options = {} if method == "jackknife" else {"replications": 100}
    twice = np.repeat(ONE[:30], 2, axis=0)
    weighted = lem.fit(MODEL, ONE[:30], weights=np.full(30, 2.0))
    one = weighted.uncertainty(ONE[:30], method, weights=np.full(30, 2.0), **options).standard_errors
    other = lem.fit(MODEL, twice).uncertainty(twice, method, **options).standard_errors
    np.testing.assert_allclose(one, other, rtol=1e-6 if method == "jackknife" else 0.3)


def test_replications_are_the_same_wherever_they_run(tmp_path):
    """Serial, threads, processes and a file that is read in chunks give one answer; a replication keeps its draws."""
    fit = lem.fit(lem.GaussianMixture(2), FAITHFUL)
    found = fit.uncertainty(FAITHFUL, "nonparametric", replications=8, engine=lem.Serial())
    for engine in (lem.Threads(2), lem.Processes(2)):
        assert np.array_equal(
            fit.uncertainty(FAITHFUL, "nonparametric", replications=8, engine=engine).values, found.values
        )
    more = fit.uncertainty(FAITHFUL, "nonparametric", replications=12)
    np.testing.assert_allclose(more.values[:8], found.values, rtol=1e-6)
    np.save(tmp_path / "rows.npy", FAITHFUL)
    read = fit.uncertainty(tmp_path / "rows.npy", "nonparametric", replications=8)
    np.testing.assert_allclose(read.values, found.values, rtol=1e-3)


def test_steps_abreast_are_steps():
    """What all weightings are led to together is where plain steps lead each of them alone."""
    model, rng = lem.GaussianMixture(2), np.random.default_rng(1)
    fit = lem.fit(model, FAITHFUL)
    chunk = model.chunk(FAITHFUL)
    weightings = rng.exponential(size=(3, len(FAITHFUL)))
    ends = model.abreast(fit.params, chunk, weightings, 4)
    for weights, end in zip(weightings, ends, strict=True):
        params = fit.params
        for _ in range(4):
            posterior = model.posterior(params, evolve(chunk, weight=weights))
            params = model.m_step(model.statistics(evolve(chunk, weight=weights), posterior), params)
        np.testing.assert_allclose(end.weights, params.weights, rtol=1e-9)
        np.testing.assert_allclose(end.components.covariances, params.components.covariances, rtol=1e-8)
    tied = lem.GaussianMixture(2, structure=lem.Tied(lem.Full()))
    assert tied.abreast(lem.fit(tied, FAITHFUL).params, chunk, weightings, 1) is None


def test_chunks_share_out_the_draws():
    """Dirichlet weights sum to the data's over all chunks; as many units as there are are drawn with replacement."""
    chunks = [lem.Rows(ONE[:50]), lem.Rows(ONE[50:])]
    masses = resampling.Masses.of([resampling.mass(chunk) for chunk in chunks])
    seed = np.random.SeedSequence(3)
    for kind, spread in ((resampling.DirichletWeights, 1.0), (resampling.WithReplacement, 1.0)):
        way = kind(seed, masses)
        drawn = np.array(
            [np.concatenate([way.weights(b, i, chunk) for i, chunk in enumerate(chunks)]) for b in range(2000)]
        )
        np.testing.assert_allclose(drawn.sum(axis=1), 80, rtol=1e-12)
        np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.12)
        np.testing.assert_allclose(drawn.var(axis=0).mean(), spread * 79 / 80, rtol=0.05)


def test_switched_labels_are_found():
    """Parameters with their components swapped, or one of them elsewhere, are not matched; those of the fit are."""
    fit = faithful()
    chunk = fit.model.chunk(FAITHFUL)
    p = fit.params
    swapped = fit.model.params(p.weights[::-1], p.components.means[::-1], p.components.covariances[::-1])
    split = fit.model.params([0.5, 0.5], [[4.0, 75.0], [4.5, 85.0]], p.components.covariances)
    assert matched(memberships(fit.model, p, p, chunk))
    assert not matched(memberships(fit.model, p, swapped, chunk))
    assert not matched(memberships(fit.model, p, split, chunk))


def test_replications_that_do_not_count_are_counted():
    """Where components overlap, replications that lose one are left out, and an event says how many."""
    x = np.random.default_rng(8).normal(size=(30, 1))
    fit = lem.fit(lem.GaussianMixture(3), x, n_starts=3, stop=lem.remaining_below(1e-6))
    found = fit.uncertainty(x, "weighted", replications=30)
    used = len(found.params)
    assert used < 30
    assert found.notes == (f"{used} of 30 replications count",)
    assert any(event.kind == "lost" and "left out" in event.message for event in found.events)


def test_sequences_are_drawn_whole():
    """The units of a hidden Markov model are sequences: a jackknife leaves out one, and draws keep their lengths."""
    rng = np.random.default_rng(4)
    sequences = [rng.poisson(np.repeat([1, 8, 1], n), (3 * n,))[:, None] for n in (6, 9, 12, 7, 8)]
    fit = lem.fit(lem.HiddenMarkov(lem.Poisson(), 2), sequences)
    jackknife = fit.uncertainty(sequences, "jackknife")
    assert len(jackknife.params) == 5
    first = lem.fit(fit.model, sequences[1:], start=fit.params, stop=TIGHT)
    np.testing.assert_allclose(jackknife.params[0].emissions, first.params.emissions, rtol=1e-4)
    assert len(fit.uncertainty(sequences, "parametric", replications=5).params) >= 2


def test_missing_cells_stay_missing():
    """Rows that the parametric bootstrap draws lack the cells that the data lack."""
    x = FAITHFUL.copy()
    x[::3, 0] = np.nan
    fit = lem.fit(lem.GaussianMixture(1), x)
    chunk = fit.model.chunk(x)
    masses = resampling.Masses.of([resampling.mass(chunk)])
    drawn = resampling.Drawn(np.random.SeedSequence(1), masses, fit.model, fit.params).chunk(0, 0, chunk)
    assert np.array_equal(np.isnan(drawn.x), np.isnan(x))
    assert not np.array_equal(drawn.x[1:2], x[1:2])


FIT = lem.fit(MODEL, ONE)


@pytest.mark.parametrize(
    ("kind", "words", "arguments"),
    [
        (ValueError, "method was given as 'hessian': give one of 'information'", {"method": "hessian"}),
        (
            ValueError,
            "replications was given as 1: give a whole number, at least 2",
            {"method": "weighted", "replications": 1},
        ),
        (ValueError, "replications was given as True", {"method": "weighted", "replications": True}),
        (ValueError, "which draws none", {"replications": 10}),
        (ValueError, "which draws none", {"method": "jackknife", "replications": 10}),
        (ValueError, "level was given as 95", {"level": 95}),
        (TypeError, "engine was given as 3", {"engine": 3}),
        (ValueError, "count as 79 rows were given, and the fit is of 80", {"data": ONE[1:]}),
        (ValueError, "of the bound .* were given", {"data": ONE + 1}),
        (TypeError, "rng was given as 'x'", {"method": "weighted", "rng": "x"}),
    ],
)
def test_what_cannot_be_is_refused(kind, words, arguments):
    """Bad options, and data that were not fitted, are errors that say what was given and what is allowed."""
    with pytest.raises(kind, match=words):
        FIT.uncertainty(**{"data": ONE, **arguments})


def test_what_a_model_lacks_is_refused():
    """Fractions of rows cannot be drawn, known labels not be drawn anew, nor columns that no model is of."""
    weights = np.full(80, 0.5)
    half = lem.fit(MODEL, ONE, weights=weights)
    for method in ("nonparametric", "jackknife", "parametric"):
        with pytest.raises(ValueError, match="no whole numbers"):
            half.uncertainty(ONE, method, weights=weights)
    labels = np.where(FAITHFUL[:, 0] > 4, 0, -1)
    known = lem.fit(lem.GaussianMixture(2), FAITHFUL, allowed=labels)
    with pytest.raises(ValueError, match="known labels"):
        known.uncertainty(FAITHFUL, "parametric", allowed=labels)
    regression = lem.fit(lem.ConcomitantMixture(lem.Gaussian().on(0), 2, (1,)), FAITHFUL, n_starts=2)
    with pytest.raises(lem.Unavailable, match="depend on columns"):
        regression.uncertainty(FAITHFUL, "parametric")


def test_a_table_in_all_its_forms():
    """It prints, is HTML without what a page would run, a dict that JSON can write, and a data frame."""
    pandas = pytest.importorskip("pandas")
    found = faithful().uncertainty(FAITHFUL)
    lines = str(found).splitlines()
    assert lines[0] == "GaussianMixture(2) on 272 observations: observed information"
    assert lines[2].split() == ["number", "estimate", "standard", "error", "95%", "interval"]
    assert lines[3].split()[:3] == ["weights[0]", "0.64413", "0.029089"]
    assert "<script" not in found._repr_html_()
    assert "components.means[0, 1]" in found.html()
    assert found.to_dict()["number"] == list(found.names)
    frame = found.to_frame("pandas")
    assert isinstance(frame, pandas.DataFrame)
    assert np.array_equal(frame["standard error"], found.standard_errors)
    with pytest.raises(KeyError, match="no name here"):
        found["means[9, 9]"]
    functions = faithful().uncertainty(FAITHFUL, "weighted", replications=20).of(lambda p: p.weights)
    assert functions.names == ("value[0]", "value[1]")
    np.testing.assert_allclose(functions.standard_errors[0], functions.standard_errors[1])
