"""Answers that were wrong: what a fit is, what counts as free, what a weight of 0 means, where a density is no mass."""

from __future__ import annotations

import re
import warnings

import attrs
import numpy as np
import pandas as pd
import pytest
from mpmath import mp
from scipy import stats

import latentem as lem
from latentem.transform import SamePosterior


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lem.ConvergenceWarning)
        yield


def kinds(fit):
    return {event.kind for event in fit.events}


def test_a_callback_that_stops_at_the_end_of_a_start_leaves_a_stopped_fit(tmp_path):
    """Stopped in the State in which its first start ends, it is no whole fit: its checkpoint goes on to ten starts."""
    x = np.random.default_rng(7).normal(size=(200, 2))
    model, path = lem.KMeans(12), tmp_path / "run"
    first = lem.fit(model, x, checkpoint=path, callback=lambda state: lem.STOP if state.status else None)
    assert first.status.ending is lem.run.Ending.STOPPED
    whole, resumed = lem.fit(model, x), lem.fit(model, x, checkpoint=path)
    assert resumed.params == whole.params
    assert len(resumed.starts) == len(whole.starts) == 10


SKEWED = {
    "gamma": (lem.Gamma(), lambda rng: [rng.gamma(s, m / s, 150) for s, m in ((0.5, 3), (32, 320), (5, 30))]),
    "weibull": (lem.Weibull(), lambda rng: [rng.weibull(3, 150) * scale for scale in (1, 20, 400)]),
    "log-normal": (lem.LogNormal(), lambda rng: [rng.lognormal(mean, 0.4, 150) for mean in (0, 3, 6)]),
    "negative binomial": (
        lem.NegativeBinomial(),
        lambda rng: [rng.negative_binomial(9, 9 / (9 + mean), 150) for mean in (2, 60, 2000)],
    ),
}


@pytest.mark.parametrize("name", SKEWED)
def test_default_starts_find_components_that_are_apart_on_a_log_scale(name):
    """The default starts end no lower than the run that begins at the rows' own components."""
    family, draw = SKEWED[name]
    x = np.concatenate(draw(np.random.default_rng(2))).reshape(-1, 1)
    model = lem.Mixture(family, 3)
    reachable = lem.fit(model, x, start=np.repeat([0, 1, 2], 150))
    assert lem.fit(model, x).log_likelihood > reachable.log_likelihood - 0.01


@pytest.mark.parametrize("family", [lem.Categorical(3), lem.Poisson()], ids=str)
def test_a_sequence_of_weight_zero_is_absent(family):
    """Whatever it holds: a symbol that no other sequence has, a value outside the support, a label, a missing cell."""
    rng = np.random.default_rng(0)
    data = [rng.integers(0, 2, (30, 1)).astype(float) for _ in range(3)]
    model = lem.HiddenMarkov(family, 2)
    absent = lem.fit(model, data[:2], n_starts=3)
    for value in (2.0, np.nan, -3.0):
        data[2][4] = value
        fit = lem.fit(model, data, weights=[1.0, 1, 0], n_starts=3)
        assert fit.log_likelihood == pytest.approx(absent.log_likelihood, rel=1e-9)
        assert fit.observations == absent.observations


def test_tempered_models_with_missing_cells_have_a_maximum():
    """A single component has no labels to temper: its fit is that of plain EM, whatever is missing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    x[rng.random(x.shape) < 0.3] = np.nan
    plain = lem.fit(lem.GaussianMixture(1), x)
    hot = lem.fit(lem.Tempered(lem.GaussianMixture(1), 0.1), x)
    np.testing.assert_allclose(hot.params.components.covariances, plain.params.components.covariances, rtol=1e-3)
    x[:100] += 5
    annealed = lem.fit(lem.GaussianMixture(2), x, runner=lem.Annealing(), n_starts=3)
    assert annealed.log_likelihood == pytest.approx(lem.fit(lem.GaussianMixture(2), x).log_likelihood, abs=0.01)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_zeros_of_a_continuous_family_belong_to_the_point_whatever_the_units(unit):
    """The inflation is the share of the zeros, for a density at zero does not compare with a mass there."""
    rng = np.random.default_rng(1)
    x = rng.exponential(size=(200, 1)) * unit
    x[:52] = 0
    fit = lem.fit(lem.Mixture(lem.ZeroInflated(lem.Exponential(), continuous=True), 1), x)
    assert float(fit.params.components.inflation.squeeze()) == pytest.approx(52 / 200)


def test_a_component_whose_rows_lack_a_column_says_so():
    """Nothing was learned about it there: an event names the component and the column."""
    rng = np.random.default_rng(0)
    first = np.arange(200) < 100
    x = rng.normal(np.where(first, 0, 8), 1)
    y = np.column_stack([x, np.where(first, np.nan, rng.integers(0, 3, 200))])
    model = lem.Mixture(lem.Product(lem.Gaussian().on(0), lem.Categorical(3).on(1)), 2)
    fit = lem.fit(model, y)
    [event] = [event for event in fit.events if "column" in event.message and "component" in event.message]
    assert "1" in event.message
    assert fit.converged


def left_to_right(k, rng):
    data = [np.concatenate([rng.normal(3 * j, 1, rng.integers(2, 9)) for j in range(k)])[:, None] for _ in range(20)]
    allowed = np.triu(np.ones((k, k))) * np.tri(k, k, 1)
    emissions = lem.Gaussian().params(3 * np.arange(k)[:, None] + 0.1, [[[2.0]]] * k)
    model = lem.HiddenMarkov(lem.Gaussian(), k)
    return model, data, model.params(np.eye(k)[0], allowed / allowed.sum(axis=1, keepdims=True), emissions)


def test_structural_zeros_are_no_parameters():
    """A left-to-right chain of 4 states has 3 transitions, 4 means and 4 variances to move."""
    model, data, start = left_to_right(4, np.random.default_rng(0))
    assert lem.fit(model, data, start=start).n_parameters == 3 + 4 + 4


COVARIATES = {
    "given twice": (lambda z: np.column_stack([z, z]), 1),
    "an intercept of one's own": (lambda z: np.column_stack([z, np.ones_like(z)]), 1),
    "dummies that sum to one": (lambda z: np.column_stack([z > 0.5, z <= 0.5, z]).astype(float), 2),
}


@pytest.mark.parametrize("name", COVARIATES)
def test_covariates_that_say_the_same_count_once(name):
    """The number of parameters is the rank of the design, and an event says what was not identified."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=120)
    design, rank = COVARIATES[name]
    y = 2 * z + rng.normal(size=120)
    fit = lem.fit(lem.Mixture(lem.LinearRegression(), 1), np.column_stack([design(z), y]))
    assert fit.n_parameters == rank + 1 + 1  # slopes, an intercept, a variance
    assert "unidentified" in kinds(fit)
    gated = np.column_stack([y, z, z])
    twice = lem.fit(lem.ConcomitantMixture(lem.Gaussian().on(0), 2, [1, 2]), gated, n_starts=2)
    once = lem.fit(lem.ConcomitantMixture(lem.Gaussian().on(0), 2, [1]), gated[:, :2], n_starts=2)
    assert twice.n_parameters == once.n_parameters


def test_a_held_noise_variance_is_no_parameter():
    """A Heywood case, its noise at the floor, counts one less."""
    rng = np.random.default_rng(0)
    x = 2 * rng.normal(size=(60, 1)) @ np.ones((1, 4)) + rng.normal(size=(60, 4))
    sound = lem.fit(lem.FactorAnalysis(1), x, n_starts=1, max_steps=100)
    assert sound.n_parameters == 4 + 4 + 4
    x[:, 3] = x[:, 2] * 2 - 1
    assert lem.fit(lem.FactorAnalysis(1), x, n_starts=1, max_steps=100).n_parameters < 12


@pytest.mark.parametrize("kappa", [1e8, 1e12, 3e13])
def test_von_mises_fisher_keeps_its_digits_at_high_concentration(kappa):
    """log p of directions near the mean, on the sphere in three dimensions, against 50 digits."""
    rng = np.random.default_rng(0)
    mean = np.array([1.0, 2.0, 2.0]) / 3
    x = mean + rng.normal(size=(20, 3)) / np.sqrt(kappa)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    family = lem.VonMisesFisher()
    got = family.log_density(family.params(mean[None], [kappa]), x)[:, 0]
    with mp.workdps(50):
        exact = []
        for row in x:
            norms = mp.sqrt(mp.fdot(row, row)), mp.sqrt(mp.fdot(mean, mean))
            cosine = mp.fdot(row, mean) / norms[0] / norms[1]
            top = mp.mpf(kappa)
            log_c = mp.log(top) - mp.log(2 * mp.pi) - mp.log(1 - mp.exp(-2 * top)) - top
            exact.append(float(log_c + top * cosine))
    np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-2 if kappa > 1e13 else 1e-3)


def at_step_three(state):
    return lem.STOP if state.step.index == 3 else None


def test_a_summary_prints_no_equation_that_does_not_hold():
    """log likelihood = Q + H is printed where it is true, to the digits shown."""
    x = lem.datasets.old_faithful()
    for runner, data in ((lem.Stochastic(), x), (lem.Incremental(), [lem.Rows(part) for part in np.array_split(x, 8)])):
        fit = lem.fit(lem.GaussianMixture(2), data, runner=runner, callback=at_step_three)
        [line] = [line for line in str(fit).splitlines() if "log likelihood" in line]
        equation = re.search(r"(\S+) (\S+) = Q (\S+) \+ H (-?[\d.]+)", line.replace("log likelihood", "log_likelihood"))
        _, left, q, h = equation.groups()
        assert float(left) == pytest.approx(float(q) + float(h), abs=2e-6)
        assert equation[1] == "bound" or float(left) == pytest.approx(fit.log_likelihood, abs=1e-6)


def test_a_log_evidence_that_is_wrong_is_a_loud_event():
    """The posterior is exact, so bound and log likelihood are one number: the event sends its author to check_model."""

    @attrs.frozen
    class Wrong(SamePosterior):
        inner: object

        def log_evidence(self, params, chunk):
            return self.inner.log_evidence(params, chunk) + 0.5

    fit = lem.fit(Wrong(lem.GaussianMixture(2)), lem.datasets.old_faithful(), n_starts=2)
    [event] = fit.events
    assert event.kind == "gap"
    assert "log_evidence" in event.message
    assert "check_model" in event.remedy
    assert "log likelihood" not in str(fit).split("= Q")[0]
    assert "AIC 2" not in str(fit)


WIDTHS = [
    lem.KMeans(2),
    lem.FactorAnalysis(1),
    lem.GaussianMixture(2),
    lem.HiddenMarkov(lem.Weibull(), 2),
    lem.Mixture(lem.ZeroInflated(lem.Weibull(), continuous=True), 1),
    *(
        lem.Mixture(family, 2)
        for family in (lem.Weibull(), lem.Gamma(), lem.LogNormal(), lem.Exponential(), lem.Student())
    ),
]


@pytest.mark.parametrize("model", WIDTHS, ids=repr)
def test_rows_of_another_width_are_refused_wherever_they_are_given(model):
    """Parameters are never broadcast against data: one column for two, two for one."""
    x = np.abs(np.random.default_rng(0).normal(size=(30, 2))) + 0.1
    for wide, narrow in ((x, x[:, :1]), (x[:, :1], x)):
        if isinstance(model, lem.FactorAnalysis) and wide.shape[1] == 1:
            continue
        fit = lem.fit(model, wide, n_starts=1, max_steps=5)
        for method in (fit.score_samples, fit.score, *([] if isinstance(model, lem.FactorAnalysis) else [fit.predict])):
            with pytest.raises(ValueError, match="column"):
                method(narrow)


def test_masks_beside_the_data_are_never_lost():
    """Masked weights, labels, starts and rows are refused: what is behind a mask is nobody's number."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    hidden = np.arange(60) < 30
    masked = np.ma.masked_array(np.repeat([0, 1], 60 // 2), hidden)
    for options in ({"weights": masked + 1.0}, {"allowed": masked}, {"start": masked}):
        with pytest.raises((TypeError, ValueError), match="mask"):
            lem.fit(lem.GaussianMixture(2), x, **options)
    with pytest.raises((TypeError, ValueError), match="mask"):
        lem.Rows(np.ma.masked_array(x, x > 1))


def test_what_is_held_without_a_start_is_named():
    """Held fields whose values no one has given are those of the random start, and an event says so."""
    x = lem.datasets.old_faithful()
    fit = lem.fit(lem.Frozen(lem.GaussianMixture(2), {"weights"}), x)
    assert any("weights" in event.message and "held" in event.message for event in fit.events), fit.events


def test_an_unnamed_index_column_of_a_file_is_refused(tmp_path):
    """DataFrame.to_csv() writes its index: the library says so, as the command line does."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    frame.to_csv(tmp_path / "x.csv")
    with pytest.raises(ValueError, match="index"):
        lem.fit(lem.KMeans(2), tmp_path / "x.csv")


def test_a_first_row_of_decimal_commas_is_no_header(tmp_path):
    """It is refused with the rest of the file, by the row and what it holds."""
    path = tmp_path / "x.csv"
    path.write_text('"1,5","2,5"\n"2,5","3,5"\n"4,5","1,5"\n')
    with pytest.raises(ValueError, match="1,5"):
        lem.fit(lem.KMeans(1), path)


IDENTICAL = {
    "negative binomial": (lem.NegativeBinomial(), lambda rng: rng.negative_binomial(3, 0.3, (80, 1))),
    "Poisson": (lem.Poisson(), lambda rng: rng.poisson(4, (80, 1))),
    "linear regression": (lem.LinearRegression(), lambda rng: np.cumsum(rng.normal(size=(80, 2)), axis=1)),
    "Poisson regression": (
        lem.PoissonRegression(),
        lambda rng: np.column_stack([z := rng.normal(size=80), rng.poisson(np.exp(z / 2))]),
    ),
}


@pytest.mark.parametrize("name", IDENTICAL)
def test_identical_components_are_an_event_of_every_family(name):
    """Two components that start as one, but for a millionth, stay one, and the fit says so."""
    family, draw = IDENTICAL[name]
    x = draw(np.random.default_rng(4))
    nearly = np.column_stack([half := 0.5 + 1e-7 * np.arange(80) / 80, 1 - half])
    fit = lem.fit(lem.Mixture(family, 2), x, start=nearly, max_steps=1)
    assert "coincident" in kinds(fit)


def test_degrees_of_freedom_beyond_sight_are_no_parameters():
    """Gaussian rows say of the degrees of freedom only that they are large."""
    x = np.random.default_rng(0).normal(size=(300, 1))
    fit = lem.fit(lem.Mixture(lem.Student(), 1), x)
    if fit.params.components.dof[0] >= 1e6:
        assert fit.n_parameters == 2
    else:
        assert fit.n_parameters == 3
    assert stats.kstest(x[:, 0], "norm").pvalue > 0.01
