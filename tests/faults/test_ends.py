"""Fits that crashed, cried wrongly, crawled or filled the memory; what may stop a fit; the numbers a caller gives."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import latentem as lem
from latentem.run.acceleration import Acceleration

GONE = {lem.run.Ending.OBJECTIVE_FELL}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lem.ConvergenceWarning)
        yield


def sound(fit):
    return np.isfinite(fit.log_likelihood) and fit.status.ending not in GONE


def said(call):
    """What an error of the library's says, or nothing where the fit is sound; any other error passes through."""
    try:
        assert sound(call())
    except (ValueError, lem.Degenerate) as error:
        return str(error)
    return ""


SPIKES = {
    "weibull": lem.Weibull(),
    "gamma": lem.Gamma(),
    "student": lem.Student(),
    "log-normal": lem.LogNormal(),
    "negative binomial": lem.NegativeBinomial(),
}


@pytest.mark.parametrize("name", SPIKES)
@pytest.mark.parametrize("seed", [6, 7])
def test_a_start_near_a_spike_loses_no_other(name, seed):
    """No maximiser of one dimension lets an error of its root finder out of a fit."""
    x = np.random.default_rng(seed).weibull(1.5, (20, 1)) * 3
    x[:8] = x[0]
    if name == "negative binomial":
        x = np.ceil(x)
    words = said(lambda: lem.fit(lem.Mixture(SPIKES[name], 3), x, max_steps=200))
    assert not words or "component" in words


def test_smoothing_in_logs_gives_marginals_that_sum_to_one():
    """A chain with a structural zero on counts of tens of thousands: its bound never falls."""
    rng = np.random.default_rng(0)
    x = rng.poisson(np.repeat([2e4, 3e4, 5e4], 40))[:, None]
    model = lem.HiddenMarkov(lem.Poisson(), 3)
    between = [[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]]
    start = model.params([1, 0, 0], between, lem.Poisson().params([[1.9e4], [3.1e4], [4.9e4]]))
    fit = lem.fit(model, x, start=start)
    assert fit.converged
    np.testing.assert_allclose(fit.predict_proba(x).sum(axis=1), 1, rtol=0, atol=1e-12)


def test_a_probability_that_underflows_is_no_loss():
    """Counts whose smallest probabilities underflow: no half loses, no start is thrown away."""
    rng = np.random.default_rng(0)
    for seed in range(3):
        x = np.concatenate([rng.poisson(0.3, 150), rng.poisson(30, 50)])[:, None]
        for model in (lem.Mixture(lem.ZeroInflated(lem.Poisson()), 3), lem.HiddenMarkov(lem.Poisson(), 3)):
            fit = lem.fit(model, x, n_starts=4, rng=seed, max_steps=200)
            assert not GONE & {report.status.ending for report in fit.starts}


def test_a_regression_far_from_its_origin_ends_by_name():
    """A covariate of 3e11 and noise is refused by name or fitted, never "math domain error"."""
    rng = np.random.default_rng(0)
    for seed in range(6):
        z = 3e11 + rng.normal(size=60)
        x = np.column_stack([z, 2 * (z - 3e11) + rng.normal(size=60)])
        assert "domain" not in said(lambda x=x, seed=seed: lem.fit(lem.Mixture(lem.LinearRegression(), 2), x, rng=seed))


BAD_ROWS = {"NaN": np.nan, "infinite": np.inf, "two": 1.0, "negative": [1.5, -0.5]}


@pytest.mark.parametrize("name", BAD_ROWS)
@pytest.mark.parametrize(
    "model",
    [lem.HiddenMarkov(lem.Gaussian(), 2), lem.GaussianMixture(2), lem.KMeans(2)],
    ids=["chain", "mixture", "kmeans"],
)
def test_responsibilities_as_a_start_are_checked(model, name):
    """They are finite, at least 0, and sum to one in each row, whatever the latent structure."""
    x = np.concatenate([np.random.default_rng(i).normal(size=(30, 2)) + 5 * i for i in (0, 1)])
    start = np.empty((60, 2))
    start[:] = BAD_ROWS[name]
    with pytest.raises(ValueError, match=r"sum to 1|at least 0|finite|NaN"):
        lem.fit(model, x, start=start)


def test_an_acceleration_of_ones_own_needs_only_what_its_protocol_says():
    """A subclass that has the abstract methods and no more is taken as it is: no attrs class, no other field."""
    theirs = lem.Anderson()
    asked = {name: property(lambda self, name=name: getattr(theirs, name)) for name in Acceleration.__abstractmethods__}
    Mine = type("Mine", (Acceleration,), asked)  # noqa: N806 - it is a class
    x = lem.datasets.old_faithful()
    assert lem.fit(lem.GaussianMixture(3), x, n_starts=2, accelerate=Mine()).converged


def refused(call):
    """A call that does not take raw data says how chunks are made."""
    try:
        call()
    except (TypeError, ValueError) as error:
        if "Rows(" not in str(error):
            raise


def test_what_takes_a_chunk_takes_data_or_says_what_to_do():
    """The methods of a model take chunks: a raw array is told so, and how to make one."""
    x = lem.datasets.old_faithful()
    model = lem.GaussianMixture(2)
    fit = lem.fit(model, x, n_starts=1)
    assert lem.log_likelihood(model, fit.params, [lem.Rows(x)]) == pytest.approx(fit.log_likelihood)
    calls = [
        lambda: lem.log_likelihood(model, fit.params, x),
        lambda: model.posterior(fit.params, x),
        lambda: model.statistics(x, model.posterior(fit.params, lem.Rows(x))),
        lambda: model.log_evidence(fit.params, x),
    ]
    for call in calls:
        refused(call)


def test_labels_of_k_means_need_no_table_of_rows_and_clusters():
    """The labels of 100,000 rows among 200 clusters take less memory than half the table of distances."""
    x = np.random.default_rng(0).normal(size=(100_000, 2))
    model = lem.KMeans(200)
    fit = lem.fit(model, x, start=model.params(x[:200]), max_steps=1)
    tracemalloc.start()
    labels = fit.predict(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000 * 200 * 8 / 2
    nearest = ((x[:500, None] - fit.params.components.means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(labels[:500], nearest)


def test_a_chain_on_values_without_memory_ends():
    """300 values without memory: the run ends, and what remains in its last step is a number."""
    x = np.random.default_rng(5).binomial(10, 0.5, (300, 1))
    fit = lem.fit(lem.HiddenMarkov(lem.Poisson(), 2), x, n_starts=1)
    assert fit.converged
    assert np.isfinite(fit.history[-1].remaining)


def test_a_fit_that_has_not_converged_says_what_to_try():
    """The summary of a fit that ran out of steps has advice in it."""
    fit = lem.fit(lem.GaussianMixture(3), lem.datasets.old_faithful(), max_steps=2, n_starts=1)
    assert "what to try" in str(fit)
    assert "max_steps" in fit.status.advice


def test_only_a_deliberate_sign_stops_a_fit():
    """A callback that happens to give True, as tqdm's update does, stops nothing; lem.STOP does."""
    x = lem.datasets.old_faithful()
    assert lem.fit(lem.GaussianMixture(2), x, n_starts=1, callback=lambda state: True).converged
    stopped = lem.fit(lem.GaussianMixture(2), x, n_starts=1, callback=lambda state: lem.STOP)
    assert stopped.status.ending is lem.run.Ending.STOPPED


def test_import_brings_no_distributions():
    """`import latentem` leaves scipy.stats alone, whose import is slow, and every optional package."""
    late = "scipy.stats", "narwhals", "pandas", "polars", "pyarrow", "dask", "h5py", "zarr", "sklearn", "matplotlib"
    program = f"import sys, latentem; print([name for name in {late} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_leaps_end_no_lower_than_plain_steps():
    """Factor analyses near a Heywood case: from one start, accelerated EM ends where plain EM ends, or higher."""
    for seed in (6, 11):
        rng = np.random.RandomState(seed)
        loadings, factors = rng.randn(3, 5), rng.randn(20, 3)
        x = factors @ loadings + rng.gamma(1, size=5) * rng.randn(20, 5)
        leaping = lem.fit(lem.FactorAnalysis(3), x, n_starts=1)
        plain = lem.fit(lem.FactorAnalysis(3), x, n_starts=1, accelerate=None, max_steps=3000)
        assert leaping.log_likelihood > plain.log_likelihood - 1e-4


def test_single_precision_weights_sum_to_one_in_their_own_precision():
    """float32 probabilities are probabilities: the tolerance knows the dtype, and an error says the sum."""
    model = lem.GaussianMixture(2)
    weights = np.float32([0.43418697, 0.56581312])
    params = model.params(weights, [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    assert params.weights.sum() == pytest.approx(1, abs=1e-15)
    with pytest.raises(ValueError, match=r"1\.1"):
        model.params([0.5, 0.6], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    x = lem.datasets.old_faithful()
    rows = np.random.default_rng(0).dirichlet([1, 1], len(x)).astype(np.float32)
    assert lem.fit(model, x, start=rows).converged
    objects = x.astype(object)
    assert lem.fit(model, objects, n_starts=2).params == lem.fit(model, x, n_starts=2).params


def test_every_rng_is_taken_everywhere():
    """None, an int, a Generator, a SeedSequence and a RandomState: fits, starts and draws."""
    x = lem.datasets.old_faithful()
    model = lem.GaussianMixture(2)
    fit = lem.fit(model, x, n_starts=1)
    for rng in (None, 3, np.random.default_rng(3), np.random.SeedSequence(3), np.random.RandomState(3)):
        assert lem.fit(model, x, n_starts=2, rng=rng).converged
        assert len(model.sample(fit.params, 5, rng)[0]) == 5
        assert len(fit.sample(5, rng=rng)[0]) == 5


@pytest.mark.parametrize("how", ["raise", "warn"])
def test_a_callers_error_state_is_left_alone(how):
    """Groups 60 deviations apart underflow inside a fit, and nobody outside hears of it."""
    x = np.concatenate([np.random.default_rng(i).normal(60 * i, 1, (40, 1)) for i in (0, 1)])
    with np.errstate(all=how), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        before = np.geterr()
        fit = lem.fit(lem.GaussianMixture(2), x)
        assert np.isfinite(fit.score_samples(x)).all()
        assert np.geterr() == before


def test_predict_of_a_chain_is_its_most_probable_path():
    """The joint log probability of the decoded path is no lower than that of any other, by enumeration."""
    rng = np.random.default_rng(0)
    x = rng.poisson([1, 1, 6, 6, 1, 6])[:, None]
    model = lem.HiddenMarkov(lem.Poisson(), 2)
    fit = lem.Fit.of(model, model.params([0.6, 0.4], [[0.8, 0.2], [0.3, 0.7]], lem.Poisson().params([[1.5], [5.0]])), x)
    paths = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    joint = np.array([float(np.squeeze(fit.log_joint(x, path))) for path in paths])
    np.testing.assert_array_equal(fit.predict(x), paths[joint.argmax()])
    assert np.logaddexp.reduce(joint) == pytest.approx(fit.log_likelihood)


def test_a_fit_of_given_parameters_scores_predicts_and_draws():
    """Fit.of fits nothing: its figures are those of the parameters that were given."""
    x = lem.datasets.old_faithful()
    model = lem.GaussianMixture(2)
    fitted = lem.fit(model, x, n_starts=2)
    given = lem.Fit.of(model, fitted.params, x)
    assert given.status.ending is lem.run.Ending.GIVEN
    assert given.log_likelihood == pytest.approx(fitted.log_likelihood, rel=1e-12)
    np.testing.assert_array_equal(given.predict(x), fitted.predict(x))
    assert given.sample(3, rng=0)[0].shape == (3, 2)


def test_labels_with_an_empty_component_are_refused_or_an_event():
    """Labels that leave a component without rows start no fit in silence."""
    x = lem.datasets.old_faithful()
    for model in (lem.GaussianMixture(3), lem.KMeans(3)):
        with pytest.raises(ValueError, match="2"):
            lem.fit(model, x, start=np.repeat([0, 1], 136))


def test_fewer_rows_than_parameters_is_an_event():
    """Ten rows do not tell 3 full covariances in three dimensions."""
    x = np.random.default_rng(0).normal(size=(12, 3))
    fit = lem.fit(lem.GaussianMixture(3), x, n_starts=2)
    assert any("parameters were estimated from 12 rows" in event.message for event in fit.events)


def test_draws_of_negative_binomials_have_no_limit_of_numpys():
    """Means of 1e15 are drawn, or refused by the library's name for them."""
    family = lem.NegativeBinomial()
    model = lem.Mixture(family, 1)
    for mean in (1e3, 1e11):
        x = lem.Mixture(lem.Poisson(), 1).sample(lem.Mixture(lem.Poisson(), 1).params([1.0], [[mean]]), 200, 0)[0]
        fit = lem.fit(model, x, n_starts=1)
        drawn = fit.sample(4000, rng=1)[0]
        assert drawn.mean() == pytest.approx(mean, rel=0.2)


def test_extreme_designs_end_by_name():
    """Covariates of 1e150 and of 1e-150 side by side: a named refusal or finite coefficients."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 2)) * [1e150, 1e-150]
    for family, y in (
        (lem.PoissonRegression(), rng.poisson(3, 60)),
        (lem.LogisticRegression(), rng.integers(0, 2, 60)),
    ):
        x = np.column_stack([z, y])
        words = said(lambda family=family, x=x: lem.fit(lem.Mixture(family, 2), x, n_starts=2, max_steps=30))
        assert "converge" not in words


def test_tied_covariances_of_two_rows_are_no_failed_audit():
    """Two rows in five columns: named or finite, and no block is called what it is not."""
    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=(2, 5))
        assert "maximiser" not in said(lambda x=x: lem.fit(lem.GaussianMixture(1, structure=lem.Tied()), x, n_starts=2))


def test_a_row_scores_alone_as_among_others():
    """Directions at high concentration: the score of a row does not depend on its company."""
    rng = np.random.default_rng(0)
    x = np.array([0.0, 0, 1]) + rng.normal(size=(60, 3)) * 1e-4
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    fit = lem.fit(lem.Mixture(lem.VonMisesFisher(), 2), x, n_starts=2)
    alone = np.concatenate([fit.score_samples(row[None]) for row in x])
    np.testing.assert_allclose(alone, fit.score_samples(x), rtol=1e-12)


def test_counts_that_floats_cannot_hold_are_refused():
    """Above 1e12 the log probability of a count has no digits left: refused by the column."""
    x = np.random.default_rng(0).poisson(9, (40, 2)) * 1e18
    for family in (lem.Poisson(), lem.Multinomial(), lem.Geometric(), lem.NegativeBinomial()):
        with pytest.raises(ValueError, match=r"column|count"):
            lem.fit(lem.Mixture(family, 2), x)


@pytest.mark.parametrize("structure", [lem.Full(), lem.Tied(), lem.Diagonal()], ids=repr)
def test_a_column_that_varies_in_its_last_bits_is_constant(structure):
    """0.1 + 0.2 beside 0.3, and 1e6 with a width of 1e-9: refused as a constant column is."""
    rng = np.random.default_rng(0)
    for column in (np.where(np.arange(60) % 2, 0.1 + 0.2, 0.3), 1e6 * (1 + 1e-15 * rng.normal(size=60))):
        with pytest.raises((ValueError, lem.Degenerate), match=r"constant|narrow beside their offset"):
            lem.fit(lem.GaussianMixture(2, structure=structure), np.column_stack([column, rng.normal(size=60)]))


def test_dates_beside_numbers_are_no_numbers():
    """A polars frame with dates in it is refused by the column, as pandas' is."""
    when = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 29), eager=True)
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=60), "when": when})
    for dtype in (pl.Date, pl.Datetime):
        with pytest.raises(TypeError, match="when"):
            lem.fit(lem.GaussianMixture(1), frame.with_columns(pl.col("when").cast(dtype)))


def test_arrow_tables_keep_the_names_of_their_columns():
    """A pyarrow Table's columns are named, and the next table of the same columns is taken."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    table = pa.table({"a": x[:, 0], "b": x[:, 1]})
    fit = lem.fit(lem.GaussianMixture(1), table)
    assert fit.columns == ("a", "b")
    np.testing.assert_array_equal(fit.predict(table.slice(0, 5)), fit.predict(x[:5]))


def test_one_zero_alone_is_scored_by_a_zero_inflated_line():
    """No row is left for the line, and the zero has its probability."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    x[::3] = 0
    fit = lem.fit(lem.Mixture(lem.ZeroInflated(lem.LinearRegression(), continuous=True), 1), x)
    inflation = float(fit.params.components.inflation.squeeze())
    np.testing.assert_allclose(fit.score_samples(x[:1]), np.log(inflation), rtol=1e-9)


EXTREMES = {
    "counts of 1e160": (lem.Mixture(lem.Poisson(), 2), lambda c, z: c * 1e160, None),
    "negative binomials of 1e160": (lem.Mixture(lem.NegativeBinomial(), 2), lambda c, z: c * 1e160, None),
    "geometric counts of 1e200": (lem.Mixture(lem.Geometric(), 2), lambda c, z: c * 1e200, None),
    "weights of 1e90 on values of 1e121": (lem.GaussianMixture(2), lambda c, z: z * 1e121, np.full(40, 1e90)),
    "an int8 for k": (lem.KMeans(np.int8(4)), lambda c, z: z, None),
    "a gate of 1e160": (
        lem.ConcomitantMixture(lem.Gaussian().on(0), 2, [1]),
        lambda c, z: np.column_stack([c[:, 0], c[:, 1] * 1e160]),
        None,
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_no_warning_of_arithmetic_escapes(name):
    """Values near the end of floats are refused by name or fitted, without a RuntimeWarning."""
    rng = np.random.default_rng(0)
    model, make, weights = EXTREMES[name]
    x = make(rng.poisson(9, (40, 3)), rng.normal(size=(40, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        said(lambda: lem.fit(model, x, weights=weights, n_starts=3, max_steps=20))


def test_bound_and_log_likelihood_of_factor_analyses_are_one_number():
    """Collinear columns without a prior, and columns far from the origin: they agree, or the fit is refused by name."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(50, 4))
        collinear = np.column_stack([x[:, :3], x[:, :3] @ rng.normal(size=(3, 2))])
        for model, data in ((lem.FactorAnalysis(3, prior=None), collinear), (lem.FactorAnalysis(2), x + 5e15)):
            try:
                fit = lem.fit(model, data, n_starts=2, max_steps=300)
            except (ValueError, lem.Degenerate):
                continue
            assert fit.bound == pytest.approx(fit.log_likelihood, abs=0.5)
