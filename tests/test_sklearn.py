"""Estimators in scikit-learn's manner: its own checks, and what it lacks."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn import cluster
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentem as lem
from latentem.sklearn import FactorAnalysis, GaussianMixture, KMeans, LatentEstimator, MiniBatchKMeans

OLD_FAITHFUL = -1130.26396018
"""Its largest log likelihood under two full covariances."""
FAITHFUL = lem.datasets.old_faithful()
TYPES = ("full", "tied", "diag", "spherical")
ESTIMATORS = [
    GaussianMixture(),
    GaussianMixture(2, covariance_type="diag", random_state=0),
    KMeans(),
    KMeans(3, random_state=0),
    MiniBatchKMeans(3, batch_size=50, random_state=0),
    FactorAnalysis(),
    FactorAnalysis(2, rotation="varimax", max_iter=100),
    LatentEstimator(lem.GaussianMixture(2), n_init=1),
]


def exceptions(estimator):
    """Checks that an estimator does not pass, each with its reason."""
    if isinstance(estimator, LatentEstimator):
        reason = "starts are those of lem.fit, drawn by the order of the rows: two optima of fifteen rows are found"
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    if isinstance(estimator, MiniBatchKMeans):
        reason = "batches are drawn: weights are those of chance, as in scikit-learn's own, which does not pass either"
        kinds = ("dense", "sparse")
        return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in kinds}
    return {}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=exceptions)
def test_checks_of_scikit_learn(estimator, check):
    """Every check of scikit-learn passes, but for those in the list of exceptions."""
    check(estimator)


@pytest.mark.parametrize("sparse", [False, True])
def test_mini_batches_move_centres_as_those_of_scikit_learn(sparse):
    """From the same centres and batches, weights among them, the centres are those of scikit-learn."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(m, 1, (200, 2)) for m in (0, 4, 9)])[rng.permutation(600)]
    weight, init = rng.integers(0, 3, 600).astype(float), x[:3]
    options = {"init": init, "n_init": 1, "reassignment_ratio": 0, "random_state": 0}
    mine, theirs = MiniBatchKMeans(3, **options), cluster.MiniBatchKMeans(3, **options)
    for rows in np.array_split(np.arange(600), 7):
        for each in (mine, theirs):
            each.partial_fit(csr_array(x[rows]) if sparse else x[rows], sample_weight=weight[rows])
    np.testing.assert_allclose(mine.cluster_centers_, theirs.cluster_centers_, rtol=1e-10)
    assert mine.inertia_ == pytest.approx(theirs.inertia_, rel=1e-10)
    assert mine.n_steps_ == theirs.n_steps_ == 7


def test_mini_batches_find_clusters_and_move_centres_that_have_no_rows():
    """Clusters well apart are found whatever the start, in one of which no row is nearest to a centre."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(m, 0.1, (400, 2)) for m in (0, 5, 10)])
    start = np.array([[0.0, 0.0], [7.5, 7.5], [1e3, 1e3]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = MiniBatchKMeans(3, init=start, batch_size=100, max_no_improvement=None, random_state=0).fit(x)
    np.testing.assert_allclose(np.sort(found.cluster_centers_[:, 0]), [0, 5, 10], atol=0.1)
    assert found.inertia_ == pytest.approx(-found.score(x))


@pytest.mark.parametrize("kind", TYPES)
def test_a_mixture_finds_what_the_library_finds(kind):
    """The likelihood, the criteria and the parameters are those of `lem.fit`, for all covariance types."""
    mine = GaussianMixture(2, covariance_type=kind, tol=1e-10, random_state=0).fit(FAITHFUL)
    fit = lem.fit(lem.GaussianMixture(2, mine.fit_.model.structure), FAITHFUL)
    assert mine.score(FAITHFUL) * 272 == pytest.approx(fit.log_likelihood, abs=1e-6)
    assert mine.bic(FAITHFUL) == pytest.approx(fit.bic, abs=1e-5)
    assert mine.aic(FAITHFUL) == pytest.approx(fit.aic, abs=1e-5)
    assert mine.lower_bound_ * 272 == pytest.approx(mine.fit_.log_likelihood, abs=1e-8)
    assert len(mine.lower_bounds_) == mine.n_iter_
    if kind == "full":
        assert fit.log_likelihood == pytest.approx(OLD_FAITHFUL, abs=1e-7)


@pytest.mark.parametrize("kind", TYPES)
def test_precisions_and_their_roots_invert_the_covariances(kind):
    """precisions_ are inverses, and U U' of the upper triangles precisions_cholesky_; hand-set roots are used."""
    mine = GaussianMixture(2, covariance_type=kind, random_state=0).fit(FAITHFUL)
    covariances, precisions, roots = mine.covariances_, mine.precisions_, mine.precisions_cholesky_
    if kind in ("full", "tied"):
        np.testing.assert_allclose(precisions, np.linalg.inv(covariances))
        np.testing.assert_allclose(roots @ roots.swapaxes(-1, -2), precisions)
        np.testing.assert_array_equal(np.triu(roots), roots)
    else:
        np.testing.assert_allclose(precisions * covariances, 1)
        np.testing.assert_allclose(roots**2, precisions)
    bare = GaussianMixture(2, covariance_type=kind)
    bare.weights_, bare.means_, bare.precisions_cholesky_ = mine.weights_, mine.means_, roots
    np.testing.assert_allclose(bare.score_samples(FAITHFUL), mine.score_samples(FAITHFUL))
    before = mine.score_samples(FAITHFUL)
    mine.means_ = mine.means_ + 0.1
    assert (mine.score_samples(FAITHFUL) != before).all()


def test_a_structure_of_the_library_is_a_covariance_type():
    """covariance_type takes a Structure, here one spherical variance for all components."""
    mine = GaussianMixture(2, covariance_type=lem.Tied(lem.Spherical()), random_state=0).fit(FAITHFUL)
    assert mine.covariances_.shape == ()
    assert mine.predict_proba(FAITHFUL).shape == (272, 2)


@pytest.mark.parametrize("given", [("weights",), ("means",), ("precisions",), ("weights", "means", "precisions")])
def test_starts_are_given_alone_or_together(given):
    """With max_iter=0 the parameters are the given starts, whatever is given; the rest is finite."""
    starts = {"weights": [0.3, 0.7], "means": [[2.0, 50.0], [4.0, 80.0]], "precisions": [np.eye(2), 2 * np.eye(2)]}
    chosen = {f"{name}_init": starts[name] for name in given}
    mine = GaussianMixture(2, max_iter=0, random_state=0, **chosen).fit(FAITHFUL)
    for name in given:
        np.testing.assert_allclose(getattr(mine, f"{name}_"), starts[name])
    assert np.isfinite(mine.score(FAITHFUL))


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_all_ways_to_begin(init):
    """Each init_params leads to the known maximum on Old Faithful within ten starts."""
    mine = GaussianMixture(2, init_params=init, n_init=10, tol=1e-9, random_state=0).fit(FAITHFUL)
    assert mine.score(FAITHFUL) * 272 == pytest.approx(OLD_FAITHFUL, abs=1e-5)


def test_known_labels_missing_values_and_weights():
    """y with -1 names components; NaN is a missing value; weight two is two rows."""
    first = GaussianMixture(2, random_state=0).fit(FAITHFUL)
    labels = np.full(272, -1)
    labels[:6] = 1 - first.predict(FAITHFUL)[:6]
    swapped = GaussianMixture(2, random_state=0).fit(FAITHFUL, labels)
    np.testing.assert_allclose(swapped.means_, first.means_[::-1], rtol=1e-3)
    with pytest.raises(ValueError, match="labels other than -1"):
        GaussianMixture(2).fit(FAITHFUL, np.where(labels < 0, -1, 5))
    holes = FAITHFUL.copy()
    holes[3, 0] = np.nan
    missing = GaussianMixture(2, random_state=0).fit(holes)
    assert missing.predict_proba(holes).sum(axis=1) == pytest.approx(1)
    weight = np.arange(272) % 3
    weighted = GaussianMixture(2, random_state=0, tol=0).fit(FAITHFUL, sample_weight=weight)
    repeated = GaussianMixture(2, random_state=0, tol=0).fit(FAITHFUL.repeat(weight, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-8)


def test_reg_covar_is_an_absolute_floor():
    """A constant column is refused by default, and admitted where reg_covar says how wide it is."""
    x = np.column_stack([FAITHFUL, np.ones(272)])
    with pytest.raises(ValueError, match="column 2 is constant"):
        GaussianMixture(2).fit(x)
    mine = GaussianMixture(2, reg_covar=1e-4, random_state=0).fit(x)
    np.testing.assert_allclose(mine.covariances_[:, 2, 2], 1e-4)
    np.testing.assert_allclose(mine.means_[:, 2], 1)


def test_what_is_held_stays():
    """`fixed` holds parameters, and they do not count in the criteria."""
    fixed = {"weights": lem.Fixed.uniform()}
    mine = clone(GaussianMixture(2, fixed=fixed, random_state=0)).fit(FAITHFUL)
    np.testing.assert_array_equal(mine.weights_, 0.5)
    free = GaussianMixture(2, random_state=0).fit(FAITHFUL)
    assert mine.fit_.n_parameters == free.fit_.n_parameters - 1
    with pytest.raises(ValueError, match="what can be held"):
        GaussianMixture(2, fixed={"mean": lem.Fixed()}).fit(FAITHFUL)


def test_tol_zero_and_max_iter():
    """tol=0 goes on to the last digit; a run cut short warns in scikit-learn's word, and warm_start goes on with it."""
    exact = GaussianMixture(2, tol=0, random_state=0).fit(FAITHFUL)
    assert exact.converged_
    assert exact.score(FAITHFUL) * 272 == pytest.approx(OLD_FAITHFUL, abs=2e-8)
    step = GaussianMixture(2, tol=1e-12, max_iter=1, warm_start=True, random_state=0)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        step.fit(FAITHFUL)
    first = step.score(FAITHFUL)
    with pytest.warns(ConvergenceWarning):
        assert step.fit(FAITHFUL).score(FAITHFUL) > first
    assert step.n_iter_ == 1


def test_degenerate_is_a_value_error():
    """Where all starts collapse, scikit-learn's ValueError says so, and ours behind it says which component."""
    x = np.repeat(np.eye(2), 4, axis=0)
    with pytest.raises(ValueError, match=r"ill-defined empirical covariance.*component"):
        GaussianMixture(4, reg_covar=0, random_state=0).fit(x)


def test_searches_and_pipelines():
    """GridSearchCV by likelihood and by BIC choose two components on Old Faithful; a pipeline predicts and pickles."""
    grid = {"n_components": [1, 2, 3], "covariance_type": ["tied", "full"]}
    by_bic = GridSearchCV(GaussianMixture(random_state=0), grid, scoring=lambda e, x, y=None: -e.bic(x), cv=3)
    assert by_bic.fit(FAITHFUL).best_params_["n_components"] >= 2
    assert (cross_val_score(GaussianMixture(2, random_state=0), FAITHFUL, cv=3) > -4.4).all()
    models = [lem.GaussianMixture(1), lem.GaussianMixture(2)]
    search = GridSearchCV(LatentEstimator(models[0], random_state=0), {"model": models}, cv=3).fit(FAITHFUL)
    assert search.best_params_["model"] == models[1]
    pipe = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(FAITHFUL)
    again = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(again.predict(FAITHFUL), pipe.predict(FAITHFUL))
    assert "GaussianMixture" in pipe._repr_html_()


def test_names_and_routing():
    """Column names are kept and checked, `set_output` names the columns, and sample_weight is routed where asked."""
    frame = pd.DataFrame(FAITHFUL, columns=["eruption", "waiting"])
    mine = GaussianMixture(2, random_state=0).fit(frame)
    assert mine.feature_names_in_.tolist() == ["eruption", "waiting"]
    assert mine.fit_.columns == ("eruption", "waiting")
    with pytest.raises(ValueError, match="feature names"):
        mine.predict(frame[["waiting", "eruption"]])
    near = KMeans(2, random_state=0).set_output(transform="pandas").fit_transform(frame)
    assert near.columns.tolist() == ["kmeans0", "kmeans1"]
    with sklearn.config_context(enable_metadata_routing=True):
        routed = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), GaussianMixture(2, random_state=0)
        )
        routed[-1].set_fit_request(sample_weight=True)
        assert routed.fit(FAITHFUL, sample_weight=np.full(272, 2.0))[-1].fit_.observations == 544


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_not_fitted(estimator):
    """What needs a fit says by NotFittedError that there is none."""
    with pytest.raises(NotFittedError):
        clone(estimator).score(FAITHFUL)


def test_kmeans_is_lloyd_to_the_end():
    """With tol=0 every centre is the mean of its rows, the inertia is theirs, and float32 is kept."""
    mine = KMeans(3, tol=0, n_init=5, random_state=0).fit(FAITHFUL)
    means = [FAITHFUL[mine.labels_ == j].mean(axis=0) for j in range(3)]
    np.testing.assert_allclose(mine.cluster_centers_, means)
    assert mine.inertia_ == pytest.approx(((FAITHFUL - mine.cluster_centers_[mine.labels_]) ** 2).sum())
    assert mine.score(FAITHFUL) == pytest.approx(-mine.inertia_)
    assert KMeans(3, random_state=0).fit(FAITHFUL.astype(np.float32)).cluster_centers_.dtype == np.float32
    labels = np.full(272, -1)
    labels[:2] = 1, 0
    np.testing.assert_array_equal(KMeans(2, random_state=0).fit(FAITHFUL, labels).labels_[:2], [1, 0])


def test_an_empty_cluster_moves():
    """A centre far from all rows moves to one, and the centres are the best of these four rows."""
    x = np.array([[0, 0], [0.5, 0], [0.5, 1], [1, 1]])
    mine = KMeans(2, init=np.array([[0.5, 0.5], [3, 3]])).fit(x)
    assert mine.inertia_ == pytest.approx(0.25)
    np.testing.assert_allclose(np.sort(mine.cluster_centers_, axis=0), [[0.25, 0], [0.75, 1]])
    assert len(set(mine.labels_[:2])) == len(set(mine.labels_[2:])) == 1


def test_factor_analysis_answers_are_its_attributes():
    """The covariance is loadings + noise, a rotation leaves it, as many factors as columns give the data's own."""
    x = np.random.default_rng(0).standard_normal((200, 3)) @ np.random.default_rng(1).standard_normal((3, 6))
    x += np.random.default_rng(2).standard_normal(x.shape)
    plain, turned = (FactorAnalysis(2, tol=1e-8, rotation=rotation).fit(x) for rotation in (None, "varimax"))
    np.testing.assert_allclose(turned.get_covariance(), plain.get_covariance())
    assert (turned.components_**2).var(axis=1).sum() > (plain.components_**2).var(axis=1).sum()
    expected = plain.fit_.posterior(x).means
    np.testing.assert_allclose(np.abs(np.linalg.svd(plain.transform(x))[1]), np.abs(np.linalg.svd(expected)[1]))
    full = FactorAnalysis(tol=1e-10).fit(x)
    np.testing.assert_allclose(full.get_covariance(), np.cov(x.T, bias=True), rtol=1e-4, atol=1e-4)
    none = FactorAnalysis(0).fit(x)
    np.testing.assert_allclose(none.noise_variance_, x.var(axis=0))
    before = plain.score(x)
    plain.components_ = plain.components_ * 0.5
    assert plain.score(x) < before


def test_any_model_is_an_estimator():
    """LatentEstimator fits a mixture of Poissons, whose answers are those of the Fit."""
    counts = np.repeat(np.arange(10.0), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])[:, None]
    mine = LatentEstimator(lem.Mixture(lem.Poisson(), 2), random_state=0).fit(counts)
    assert mine.score(counts) * len(counts) == pytest.approx(-1989.945859883, abs=1e-5)
    x, labels = mine.sample(7)
    assert x.shape == (7, 1)
    assert labels.shape == (7,)


def test_a_missing_package_says_how_to_install_it():
    """Without scikit-learn, importing the estimators names the command; the library itself does not need it."""
    code = "import sys; sys.modules['sklearn'] = None; import latentem; import latentem.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "pip install 'scikit-learn>=1.6'" in done.stderr


def test_verbose_prints(capsys):
    """verbose says how runs go on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        GaussianMixture(2, verbose=2, verbose_interval=1, max_iter=3, tol=1e-12, random_state=0).fit(FAITHFUL)
    said = capsys.readouterr().out
    assert "Initialization 0" in said
    assert "ll change" in said
