"""Selection: candidates side by side, with criteria from their definitions and models as others have published them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import xlogy

import latentem as lem
from latentem.selection import bootstrap, fitting
from latentem.selection.parts import count, part

ORACLE = Path(__file__).parent / "oracle" / "covariance_models.csv"
FIT = sys.modules["latentem.fit"]  # lem.fit is the function
GEYSER = lem.datasets.old_faithful()
RNG = np.random.default_rng(5)
SPIKED = np.concatenate([RNG.normal(size=(60, 1)), np.full((6, 1), 8.0)])


def small(**more):
    return lem.grid(lem.GaussianMixture, k=range(1, 4), structure={"full": lem.Full(), "tied": lem.Tied()}, **more)


@pytest.fixture(scope="module")
def geyser():
    return lem.select(small(), GEYSER)


def test_a_grid_names_each_model_by_its_values():
    """Keys are names of values, k last; a number of anything else says of what; one value for all is in no name."""
    assert [*lem.grid(lem.GaussianMixture, k=[2, 3], structure=lem.ALL_STRUCTURES)][:3] == ["EII,2", "VII,2", "EEI,2"]
    made = small()["tied,3"]
    assert made == lem.GaussianMixture(3, structure=lem.Tied())
    assert [*lem.grid(lem.FactorAnalysis, m=range(1, 3))] == ["m=1", "m=2"]
    assert [*lem.grid(lem.Mixture, family=[lem.Poisson(), lem.Geometric()], k=[1])] == ["Poisson(),1", "Geometric(),1"]
    assert [*lem.grid(lem.Mixture, family=lem.Poisson(), k=[1, 2])] == ["1", "2"]


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda: lem.grid(lem.GaussianMixture, k=[]), ValueError, "give at least one value to try"),
        (lambda: lem.grid(lem.GaussianMixture, k=[2, 2]), ValueError, "two of these have one name"),
        (lambda: lem.grid(lem.Poisson), TypeError, "give what makes a LatentModel"),
        (lambda: lem.grid(3, k=[1]), TypeError, "give what makes a model"),
        (lambda: lem.select({}, GEYSER), ValueError, "no models were given"),
        (lambda: lem.select(lem.GaussianMixture(2), GEYSER), TypeError, "give several"),
        (lambda: lem.select([lem.GaussianMixture], GEYSER), TypeError, "give a LatentModel"),
        (lambda: lem.select([lem.GaussianMixture(2)] * 2, GEYSER), ValueError, "was given twice"),
        (lambda: lem.select(small(), GEYSER, criterion="dic"), ValueError, "give one of 'aic', 'bic', 'icl'"),
        (lambda: lem.select([lem.KMeans(2)], GEYSER), lem.Unavailable, "has no BIC: its posterior is not exact"),
        (lambda: lem.select([lem.FactorAnalysis(1)], GEYSER, criterion="icl"), lem.Unavailable, "choose by BIC"),
        (lambda: lem.select(small(), GEYSER[:2]), ValueError, "2 of the 6 models.*2 rows.*'full,3'|full,3.*2 rows"),
        (lambda: lem.select([lem.Mixture(lem.Poisson(), 2)], -GEYSER), ValueError, "none of the 1 candidates"),
        (lambda: lem.select(small(), [["a", "b"]]), (TypeError, ValueError), "none of the 6 candidates"),
        (lambda: lem.select(small(), GEYSER, n_starts=0), ValueError, "give a whole number of starts"),
        (lambda: lem.select(small(), GEYSER, checkpoint=3), TypeError, "give the path of a directory"),
        (lambda: lem.cross_validate(lem.GaussianMixture(2), GEYSER, folds=1), ValueError, "at least 2"),
        (
            lambda: lem.cross_validate(lem.GaussianMixture(1), GEYSER[:3], folds=4),
            ValueError,
            "4 folds were given for 3",
        ),
        (lambda: lem.cross_validate(lem.GaussianMixture(4), GEYSER[:4], folds=2), ValueError, "without fold 0 of 2"),
        (lambda: lem.cross_validate(lem.KMeans(2), GEYSER), lem.Unavailable, "exact"),
        (
            lambda: lem.test_components(lem.GaussianMixture(3), lem.GaussianMixture(2), GEYSER),
            ValueError,
            "give the smaller model first",
        ),
        (
            lambda: lem.test_components(lem.GaussianMixture(1), lem.GaussianMixture(2), GEYSER, n=0),
            ValueError,
            "n was given as 0",
        ),
        (
            lambda: lem.test_components(lem.GaussianMixture(1), lem.GaussianMixture(2), lem.Rows(GEYSER, np.ones(272))),
            ValueError,
            "the data have weights",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(ask, error, words, monkeypatch):
    """Each wrong question is a named error that says what to give, and no step of EM is taken."""
    monkeypatch.setattr(FIT, "run_all", lambda *arguments: pytest.fail("it was fitted"))
    with pytest.raises(error, match=words):
        ask()


def test_each_fit_is_that_of_fit(geyser):
    """A candidate's fit has the bits of lem.fit with the same arguments, and BIC is from its definition."""
    alone = lem.fit(lem.GaussianMixture(3, structure=lem.Tied()), GEYSER)
    mine = geyser["tied,3"].fit
    assert mine.params == alone.params
    assert mine.log_likelihood == alone.log_likelihood
    assert geyser["tied,3"].bic == pytest.approx(11 * np.log(272) - 2 * -1126.31592764, abs=1e-5)
    assert geyser.best is geyser["tied,3"].fit


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (lem.GaussianMixture(3), GEYSER),
        (lem.Mixture(lem.Student(), 2), GEYSER),
        (lem.Mixture(lem.Poisson(), 2), np.random.default_rng(0).poisson([[2], [9]], size=(2, 40)).reshape(-1, 1)),
        (lem.GaussianMixture(2), np.where(np.random.default_rng(1).random(GEYSER.shape) < 0.2, np.nan, GEYSER)),
    ],
    ids=["normal", "student", "poisson", "missing"],
)
def test_icl_is_bic_and_twice_the_entropy_of_the_labels(model, data):
    """ICL = BIC + 2 H and H / (n log k), with H from the responsibilities: no other hidden variable counts."""
    fit = lem.fit(model, data, n_starts=1, stop=lem.remaining_below(1e-6))
    shares = fit.predict_proba(data)
    entropy = -xlogy(shares, shares).sum()
    assert fit.icl == pytest.approx(fit.bic + 2 * entropy, abs=1e-6)
    assert fit.normalised_entropy == pytest.approx(entropy / (len(data) * np.log(shares.shape[1])), abs=1e-9)


def test_the_entropy_of_a_chain_is_that_of_its_paths():
    """ICL of a hidden Markov model counts the entropy of the path, here by the sum over all paths of four rows."""
    x = np.array([[0.0], [0.4], [2.0], [1.5]])
    model = lem.HiddenMarkov(lem.Gaussian(lem.Tied()), 2)
    fit = lem.fit(model, x, start=np.array([0, 0, 1, 1]), max_steps=2, accelerate=None, n_starts=1)
    paths = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T
    joint = np.array([fit.log_joint(x, path)[0] for path in paths])
    q = np.exp(joint - fit.log_likelihood)
    assert fit.icl - fit.bic == pytest.approx(-2 * xlogy(q, q).sum(), abs=1e-9)


@pytest.mark.filterwarnings("ignore::latentem.ConvergenceWarning")
def test_criteria_that_a_model_has_not_are_named():
    """A model of no labels has no ICL, and a hard one neither criterion nor entropy."""
    with pytest.raises(lem.Unavailable, match="FactorAnalysis has no icl"):
        _ = lem.fit(lem.FactorAnalysis(1), lem.datasets.iris(), max_steps=2).icl
    with pytest.raises(lem.Unavailable, match="KMeans has no normalised_entropy"):
        _ = lem.fit(lem.KMeans(2), GEYSER).normalised_entropy


def test_a_spike_never_wins():
    """A fit at its floor has the lowest BIC by far, is listed behind all clean ones, and is not the best."""
    models = {"1": lem.GaussianMixture(1), "2": lem.GaussianMixture(2)}
    found = lem.select(models, SPIKED)
    assert found["2"].bic < found["1"].bic - 10
    assert "floor" in found["2"].status
    assert found.best is found["1"].fit
    assert "1 degenerate" in str(found)
    alone = lem.select({"2": models["2"]}, SPIKED)
    with pytest.raises(ValueError, match="no candidate has a clean fit with BIC; '2': converged; floor"):
        _ = alone.best


def test_a_candidate_that_fails_is_a_row(monkeypatch):
    """An error in one fit is the reason in its row; the others are fitted, and it comes last."""

    def fitted(given, settings, fit=fitting.fit_admitted):
        if given.model == lem.GaussianMixture(2):
            raise lem.Degenerate(1, "covariances", "it has collapsed")
        if given.model == lem.GaussianMixture(3):
            raise ZeroDivisionError("by a user's model")
        return fit(given, settings)

    monkeypatch.setattr(fitting, "fit_admitted", fitted)
    found = lem.select([lem.GaussianMixture(k) for k in (2, 3, 1)], GEYSER)
    assert [one.fit is None for one in found] == [True, True, False]
    assert "covariances of component 1: it has collapsed" in found[0].reason
    assert found[1].reason == "ZeroDivisionError: by a user's model"
    assert found.ranked[0] is found[2]
    assert "it has collapsed" in found.table()
    assert "2 without a fit" in str(found)


def test_models_that_the_data_refuse_are_rows_where_that_is_asked_for():
    """With strict=False more components than rows is a row with its reason."""
    found = lem.select({str(k): lem.GaussianMixture(k) for k in (1, 5)}, GEYSER[:4], strict=False)
    assert "4 rows were given for 5 components" in found["5"].reason
    assert found.best.model.k == 1


def test_models_of_every_kind_stand_side_by_side():
    """Factor analysis, a Student mixture and a user's model are ranked together; what one has not is left out."""
    models = {"factor": lem.FactorAnalysis(1), "t": lem.Mixture(lem.Student(), 2), "normal": lem.GaussianMixture(2)}
    found = lem.select(models, GEYSER, n_starts=1, stop=lem.remaining_below(1e-6))
    assert [one.k for one in found] == [None, 2, 2]
    assert found["factor"].icl is None
    assert sorted(models) == sorted(one.name for one in found.ranked)
    assert found.by("icl").ranked[-1].name == "factor"


def test_what_is_printed(geyser):
    """print shows the three best with their differences, table() all, and a page holds both and escapes names."""
    lines = str(geyser).splitlines()
    assert lines[0] == "6 candidates on 272 observations, by BIC (lower is better)"
    assert [line.split()[0] for line in lines[3:6]] == [one.name for one in geyser.ranked[:3]]
    assert lines[3].split()[-2] == "0.0000"
    second, first = geyser.ranked[1], geyser.ranked[0]
    assert lines[4].split()[-2] == f"{second.bic - first.bic:.4f}"
    assert len(geyser.table().splitlines()) == 7
    page = lem.select({"<b>": lem.GaussianMixture(1)}, GEYSER)._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_selection_is_a_data_frame(geyser, library):
    """to_frame has a row a candidate, from the best to the worst."""
    pytest.importorskip(library)
    frame = geyser.to_frame(library)
    assert list(frame["name"]) == [one.name for one in geyser.ranked]
    assert list(frame["bic"]) == [one.bic for one in geyser.ranked]
    assert list(frame["k"]) == [one.k for one in geyser.ranked]


def test_curves_have_the_figures(geyser):
    """lem.plot.criteria draws a curve for each structure through its criteria, k by k, and rings the best."""
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert lem.plot.criteria(geyser, ax=ax) is ax
    curves = {line.get_label(): line for line in ax.get_lines()}
    assert list(curves) == ["full", "tied"]
    for label, line in curves.items():
        assert list(line.get_xdata()) == [1, 2, 3]
        assert list(line.get_ydata()) == [geyser[f"{label},{k}"].bic for k in (1, 2, 3)]
    assert ax.collections[0].get_offsets().tolist() == [[3, geyser.best.bic]]
    assert ax.get_ylabel() == "BIC (lower is better)"
    with pytest.raises(lem.Unavailable, match="number of components"):
        lem.plot.criteria(lem.select([lem.FactorAnalysis(1)], GEYSER))


def test_a_file_and_a_table_select_alike(geyser, tmp_path, monkeypatch):
    """From a CSV file the fits have the same bits, and the rows of the file are read once for all models."""
    from latentem.data.readers.text import Csv

    path, reads, read = tmp_path / "x.csv", [], Csv.read
    np.savetxt(path, GEYSER, delimiter=",", header="eruption,waiting", comments="")
    monkeypatch.setattr(Csv, "read", lambda self, *rows: reads.append(rows) or read(self, *rows))
    models = {name: model for name, model in small().items() if model.k < 3}
    found = lem.select(models, path)
    assert [one.bic for one in found] == [geyser[name].bic for name in models]
    assert len(reads) == 1
    assert found.best.columns == ("eruption", "waiting")


def test_a_killed_selection_goes_on(geyser, tmp_path, monkeypatch):
    """With checkpoint= what was fitted is not fitted again, models may be added, and the fits are the same."""
    models, run_all, fitted = small(), FIT.run_all, []
    monkeypatch.setattr(FIT, "run_all", lambda *given: fitted.append(given[1]) or run_all(*given))
    first = dict([*models.items()][:2])
    lem.select(first, GEYSER, checkpoint=tmp_path / "kept")
    assert len(fitted) == 2
    found = lem.select(models, GEYSER, checkpoint=tmp_path / "kept")
    assert len(fitted) == 6
    assert [one.bic for one in found] == [one.bic for one in geyser]
    with pytest.raises(ValueError, match="differs in"):
        lem.select(first, GEYSER, checkpoint=tmp_path / "kept", rng=1)
    assert len(fitted) == 6


def test_ctrl_c_keeps_what_is_done(monkeypatch):
    """After Ctrl-C the candidates that are done are there, and rank; the others say why they are not."""

    def fitted(given, settings, fit=fitting.fit_admitted):
        if given.model == lem.GaussianMixture(3):
            raise KeyboardInterrupt
        return fit(given, settings)

    monkeypatch.setattr(fitting, "fit_admitted", fitted)
    found = lem.select({str(k): lem.GaussianMixture(k) for k in (2, 1, 3, 4)}, GEYSER)
    assert found.interrupted
    assert [one.fit is not None for one in found] == [True, True, False, False]
    assert found.best is found["2"].fit
    assert "interrupted by Ctrl-C" in found["4"].reason
    with pytest.raises(KeyboardInterrupt):
        lem.select({"3": lem.GaussianMixture(3)}, GEYSER)


def test_progress_says_which_candidate_is_under_way(capsys):
    """Lines on the standard error stream begin with the candidate's name and number."""
    lem.select({"one": lem.GaussianMixture(1), "two": lem.GaussianMixture(2)}, GEYSER, progress=True)
    told = capsys.readouterr().err
    assert "one (1 of 2): converged" in told
    assert "two (2 of 2): converged" in told


PUBLISHED = [
    ("faithful", lem.datasets.old_faithful, ("EEE", "EEV", "VVV"), (2, 3), "EEE,3"),
    ("iris", lem.datasets.iris, ("VEV", "VVV", "EEV"), (2, 3), "VEV,2"),
    ("diabetes", lem.datasets.diabetes, ("VVV", "VEV", "VVI"), (2, 3, 4), "VVV,3"),
]


@pytest.mark.parametrize(("name", "data", "structures", "ks", "best"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_the_best_model_is_the_published_one(name, data, structures, ks, best):
    """BIC chooses what is reported for mclust, and no fit is below mclust's log likelihood by more than 1e-3 nats."""
    models = lem.grid(lem.GaussianMixture, k=ks, structure={letters: lem.structure(letters) for letters in structures})
    found = lem.select(models, data(), n_starts=5)
    assert found.best_candidate.name == best
    assert found.best is found[best].fit
    reached = {one.name: one.log_likelihood for one in found}
    for row in csv.DictReader(ORACLE.read_text().splitlines()):
        if row["dataset"] == name and (mine := reached.pop(f"{row['model']},{row['components']}", None)) is not None:
            assert mine > float(row["log_likelihood"]) - 1e-3
    assert not reached or name == "diabetes"  # the oracle has other rows of that study


def test_held_out_likelihood_is_that_of_fits_without_the_fold():
    """Each row is scored by a fit to the rows of the other folds; mean and standard error are those of the scores."""
    x, model = GEYSER[:90], lem.GaussianMixture(1)
    found = lem.cross_validate(model, x, folds=3, rng=4)
    assert sorted(np.bincount(found.folds)) == [30, 30, 30]
    expected = np.empty(90)
    for fold in range(3):
        seen, held = x[found.folds != fold], x[found.folds == fold]
        y, covariance = held - seen.mean(axis=0), np.cov(seen.T, bias=True)
        squares = (y * np.linalg.solve(covariance, y.T).T).sum(axis=1)
        expected[found.folds == fold] = -squares / 2 - np.linalg.slogdet(2 * np.pi * covariance)[1] / 2
    assert found.log_densities == pytest.approx(expected, abs=1e-9)
    assert found.mean == pytest.approx(expected.mean())
    assert found.standard_error == pytest.approx(expected.std(ddof=1) / np.sqrt(90))
    assert lem.cross_validate(lem.GaussianMixture(2), x, folds=3, rng=4).folds.tolist() == found.folds.tolist()


def test_held_out_sequences_are_whole():
    """A sequence is in one fold, and the mean is over its rows; weight two counts as two."""
    rng = np.random.default_rng(3)
    data = [rng.normal(size=(t, 1)) for t in (5, 9, 7, 6, 8, 5)]
    model = lem.HiddenMarkov(lem.Gaussian(), 1)
    found = lem.cross_validate(model, data, folds=3)
    assert found.log_densities.shape == (6,)
    assert found.mean == pytest.approx(found.log_densities.sum() / 40)
    weight = np.array([1.0, 2.0, 1.0, 1.0, 0.0, 3.0])
    weighted = lem.cross_validate(model, data, folds=3, weights=weight)
    total = weight @ [5, 9, 7, 6, 8, 5]
    assert weighted.mean == pytest.approx(weight @ weighted.log_densities / total)


class Wait(lem.LatentModel):
    """A user's model, of plain arrays: exponential times of which those at 1 are censored; the parameter is a rate."""

    def posterior(self, params, chunk):
        return Beyond(int((chunk >= 1).sum()), params)

    def statistics(self, chunk, posterior):
        return np.array([len(chunk), chunk.sum() + posterior.censored / posterior.rate, posterior.censored])

    def blocks(self):
        return [lem.Block((), lambda s, _: s[0] / s[1], lambda _: 1)]

    def log_joint(self, params, statistics):
        return statistics[0] * np.log(params) - params * statistics[1]

    def first(self, statistics):
        return statistics[0] / statistics[1]

    def log_evidence(self, params, chunk):
        return np.where(chunk >= 1, -params, np.log(params) - params * chunk)

    def sample(self, params, size, rng):
        return np.minimum(rng.exponential(1 / params, size), 1.0), None


class Beyond:
    """The times beyond 1, given that they are: exponential."""

    def __init__(self, censored, rate):
        self.censored, self.rate = censored, rate

    def entropy(self):
        return self.censored * (1 - np.log(self.rate))


def test_a_model_of_ones_own_is_selected_and_cross_validated():
    """Five methods and a log evidence are enough; where there are no random starts, the start is given by name."""
    times = np.minimum(np.random.default_rng(8).exponential(0.5, 200), 1.0)
    found = lem.select({"wait": Wait()}, times, start={"wait": 1.0})
    rate = (times < 1).sum() / times.sum()
    assert found.best.params == pytest.approx(rate, rel=1e-5)
    assert found["wait"].k is None
    assert found["wait"].bic == pytest.approx(np.log(200) - 2 * (np.log(rate) * (times < 1).sum() - rate * times.sum()))
    scored = lem.cross_validate(Wait(), times, folds=4, start=1.0)
    out = scored.folds == 0
    alone = (times[~out] < 1).sum() / times[~out].sum()
    expected = np.where(times[out] >= 1, -alone, np.log(alone) - alone * times[out])
    assert scored.log_densities[out] == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="'what', which is none of the candidates: wait"):
        lem.select({"wait": Wait()}, times, start={"what": 1.0})


def test_chunks_of_ones_own_are_dealt_by_slices():
    """Units of chunks that can only be cut are taken in their order, run by run."""
    chunks = [np.arange(5.0), np.arange(5.0, 9.0)]
    assert count(chunks) == 9
    taken = part(chunks, np.array([0, 1, 3, 4, 5, 8]))
    assert [piece.tolist() for piece in taken] == [[0, 1], [3, 4], [5], [8]]


def test_two_components_against_one_on_the_geyser():
    """Two components are called for: no sample of one reaches the statistic, and p is the least there can be."""
    one, two = lem.GaussianMixture(1), lem.GaussianMixture(2)
    found = lem.test_components(one, two, GEYSER, n=4, n_starts=1)
    assert found.p_value == 0.2
    assert found.statistic == pytest.approx(2 * (found.larger.log_likelihood - found.smaller.log_likelihood))
    assert found.error == pytest.approx(np.sqrt(0.2 * 0.8 / 4))
    assert found.samples.shape == (4,)
    again = lem.test_components(one, two, GEYSER, n=2, n_starts=1)
    assert again.samples.tolist() == found.samples[:2].tolist()


def test_the_bootstrap_test_keeps_its_level_and_stops_early():
    """Of 30 samples of one normal about a tenth are rejected at 10 %; most tests end before their nine samples."""
    one, two = (lem.GaussianMixture(k, structure=lem.Tied()) for k in (1, 2))
    quick = {"n_starts": 1, "max_steps": 15}
    rejected = drawn = 0
    for i in range(30):
        x = np.random.default_rng([11, i]).normal(size=(20, 1))
        found = lem.test_components(one, two, x, n=9, exceedances=1, rng=i, **quick)
        rejected += found.p_value <= 0.1
        drawn += len(found.samples)
        reached = (found.samples >= found.statistic).sum()
        assert found.p_value == (reached / len(found.samples) if len(found.samples) < 9 else (reached + 1) / 10)
    assert 0 < rejected < 10  # of a binomial of 30 and 0.1, all but 4 and 0.05 %
    assert drawn < 30 * 5


def test_samples_have_the_holes_and_lengths_of_the_data(monkeypatch):
    """A sample lacks the cells that the data lack, and has sequences of their lengths."""
    drawn, draw = [], bootstrap._draw
    monkeypatch.setattr(bootstrap, "_draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    holes = np.random.default_rng(2).random((50, 2)) < 0.2
    x = np.where(holes, np.nan, GEYSER[:50])
    lem.test_components(lem.GaussianMixture(1), lem.GaussianMixture(2), x, n=1, n_starts=1, max_steps=3)
    assert np.array_equal(np.isnan(drawn[-1].x), holes)
    data = [GEYSER[:7, :1], GEYSER[7:30, :1]]
    models = (lem.HiddenMarkov(lem.Gaussian(lem.Tied()), k) for k in (1, 2))
    lem.test_components(*models, data, n=1, n_starts=1, max_steps=3)
    assert drawn[-1].lengths.tolist() == [7, 23]
