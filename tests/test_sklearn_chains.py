"""Chains as estimators: hmmlearn's answers at its parameters, its fits step by step, and scikit-learn's checks."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest
from hmmlearn import hmm as theirs
from hmmlearn.base import ConvergenceMonitor
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentem as lem
from latentem.sklearn import HiddenMarkov, hmm

# hmmlearn sets the shape of arrays, which numpy 2.5 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning:hmmlearn")

START, STEPS = np.array([0.6, 0.3, 0.1]), np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]])
MEANS = np.array([[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]])
LENGTHS = [40, 1, 59, 100]
NEIGHBOURS = "the state of a row depends on the rows beside it: that is what a chain is"


def spreads(kind):
    rng = np.random.default_rng(2)
    full = np.array([a @ a.T + 0.5 * np.eye(2) for a in rng.normal(size=(3, 2, 2))])
    return {"full": full, "tied": full[0], "diag": full[:, [0, 1], [0, 1]], "spherical": full[:, 0, 0]}[kind]


def rows(n=200, seed=0):
    rng = np.random.default_rng(seed)
    z = np.repeat(rng.integers(0, 3, n), 5)[:n]
    return MEANS[z] + rng.normal(size=(n, 2)) * 1.3


def gaussian(library, kind, **options):
    model = library.GaussianHMM(3, kind, **options)
    model.startprob_, model.transmat_, model.means_, model.covars_ = START, STEPS, MEANS, spreads(kind)
    model.n_features = 2
    return model


def mixtures(library, kind, **options):
    model, rng = library.GMMHMM(3, 2, covariance_type=kind, **options), np.random.default_rng(1)
    model.startprob_, model.transmat_ = START, STEPS
    model.weights_ = np.array([[0.3, 0.7], [0.5, 0.5], [0.9, 0.1]])
    model.means_ = MEANS[:, None] + rng.normal(size=(3, 2, 2))
    each = spreads("full" if kind == "tied" else kind)
    model.covars_ = each if kind == "tied" else np.stack([each, 2 * each], axis=1)
    model.n_features = 2
    return model


def of_symbols(library):
    model = library.CategoricalHMM(3, n_features=4)
    model.startprob_, model.transmat_ = START, STEPS
    model.emissionprob_ = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7], [0.25, 0.25, 0.5, 0.0]])
    return model


def of_trials(library):
    model = library.MultinomialHMM(3, n_trials=6)
    model.startprob_, model.transmat_ = START, STEPS
    model.emissionprob_ = np.array([[0.4, 0.3, 0.3], [0.1, 0.2, 0.7], [0.25, 0.25, 0.5]])
    return model


def of_counts(library):
    model = library.PoissonHMM(3)
    model.startprob_, model.transmat_ = START, STEPS
    model.lambdas_ = np.array([[1.0, 4.0], [6.0, 0.5], [3.0, 9.0]])
    return model


KINDS = ["full", "tied", "diag", "spherical"]
MADE = [
    *(pytest.param(lambda lib, kind=kind: gaussian(lib, kind), rows(), id=f"Gaussian {kind}") for kind in KINDS),
    *(pytest.param(lambda lib, kind=kind: mixtures(lib, kind), rows(), id=f"GMM {kind}") for kind in KINDS),
    pytest.param(of_symbols, np.random.default_rng(0).integers(0, 4, (200, 1)), id="categorical"),
    pytest.param(of_trials, np.random.default_rng(0).multinomial(6, [0.3, 0.3, 0.4], 200), id="multinomial"),
    pytest.param(of_counts, np.random.default_rng(0).poisson(4, (200, 2)), id="Poisson"),
]


@pytest.mark.parametrize(("make", "x"), MADE)
def test_answers_are_those_of_hmmlearn(make, x):
    """At equal parameters scores, states, their log probability, probabilities and criteria are hmmlearn's to 1e-9."""
    ours, other = make(hmm), make(theirs)
    assert_allclose(ours.score(x, lengths=LENGTHS), other.score(x, LENGTHS), rtol=1e-9)
    assert_allclose(ours.score(x, LENGTHS), other.score(x, LENGTHS), rtol=1e-9)
    log_prob, path = ours.decode(x, LENGTHS)
    other_log_prob, other_path = other.decode(x, LENGTHS)
    assert_allclose(log_prob, other_log_prob, rtol=1e-9)
    assert (path == other_path).all()
    assert (ours.predict(x, LENGTHS) == path).all()
    assert (ours.decode(x, LENGTHS, "map")[1] == other.decode(x, LENGTHS, "map")[1]).all()
    for one, another in zip(ours.score_samples(x, LENGTHS), other.score_samples(x, LENGTHS), strict=True):
        assert_allclose(one, another, rtol=1e-9, atol=1e-9)
    assert_allclose(ours.predict_proba(x), other.predict_proba(x), atol=1e-9)
    assert_allclose(ours.get_stationary_distribution(), other.get_stationary_distribution(), atol=1e-9)
    if "GMM" not in type(ours).__name__:  # hmmlearn counts the weights of one state only
        assert_allclose([ours.aic(x), ours.bic(x)], [other.aic(x), other.bic(x)], rtol=1e-9)


@pytest.mark.parametrize(("make", "x"), [param for param in MADE if "GMM" not in param.id])
def test_fits_are_those_of_hmmlearn_step_by_step(make, x):
    """From equal parameters, with hmmlearn's default priors, seven steps end where it does and record its history."""
    ours, other = make(hmm), make(theirs)
    for model in (ours, other):
        model.n_iter, model.init_params, model.tol = 7, "", -np.inf
        if getattr(model, "covariance_type", None) in ("full", "tied"):
            model.covars_prior = 0.01 * np.eye(2)  # hmmlearn adds a number to every entry of a matrix
        model.monitor_ = ConvergenceMonitor(-np.inf, 7, False)
    with pytest.warns(ConvergenceWarning, match="Raise n_iter"):
        ours.fit(x, lengths=LENGTHS)
    other.fit(x, LENGTHS)
    for name in ("startprob_", "transmat_", "means_", "covars_", "emissionprob_", "lambdas_"):
        if hasattr(other, name):
            scale = getattr(other, name)
            if name == "covars_" and other.covariance_type == "spherical":
                scale = other._covars_[:, :1, None] * np.eye(2)  # hmmlearn repeats them once a column
            assert_allclose(getattr(ours, name), scale, rtol=1e-7, atol=1e-9)
    assert_allclose(ours.monitor_.history, other.monitor_.history, rtol=1e-9)
    assert not ours.fit_.converged


@pytest.mark.parametrize("kind", KINDS)
def test_priors_of_means_and_covariances_are_those_of_hmmlearn(kind):
    """With a prior on each of the means, covariances, starts and transitions, a step ends where hmmlearn's does."""
    x, prior = rows(), spreads(kind)
    given = {
        "means_prior": MEANS + 1,
        "means_weight": 3.0,
        "covars_prior": prior if kind != "spherical" else np.tile(prior[:, None], (1, 2)),
        "covars_weight": 7.0,
        "startprob_prior": np.array([2.0, 1.5, 1.0]),
        "transmat_prior": 1 + STEPS,
    }
    other = gaussian(theirs, kind, n_iter=1, init_params="", **given).fit(x)
    ours = gaussian(hmm, kind, n_iter=1, init_params="", **{**given, "covars_prior": prior}).fit(x)
    assert_allclose(ours.means_, other.means_, rtol=1e-9)
    assert_allclose(ours.startprob_, other.startprob_, rtol=1e-9)
    assert_allclose(ours.transmat_, other.transmat_, rtol=1e-9)
    wanted = other.covars_ if kind != "spherical" else other._covars_[:, :1, None] * np.eye(2)
    assert_allclose(ours.covars_, wanted, rtol=1e-9)
    assert ours.fit_.status.ending is not lem.run.Ending.OBJECTIVE_FELL


@pytest.mark.parametrize("kind", ["full", "diag", "tied"])
def test_priors_of_mixtures_are_written_out(kind):
    """One step of a GMMHMM under priors is the posterior mode, written out from the responsibilities."""
    x = rows()
    prior, weight = (0.5 * np.eye(2), 6.0) if kind != "diag" else (2.0, 0.7)
    given = {"means_prior": 1.0, "means_weight": 2.0, "covars_prior": prior, "covars_weight": weight}
    start = mixtures(hmm, kind)
    model = mixtures(hmm, kind, n_iter=1, init_params="", weights_prior=3.0, **given).fit(x)
    density = np.stack([lem.Gaussian().log_density(_member(start, j, r), x)[:, 0] for j in range(3) for r in range(2)])
    joint = np.exp(density.T.reshape(-1, 3, 2)) * start.weights_
    share = start.predict_proba(x)[:, :, None] * joint / joint.sum(axis=2, keepdims=True)
    count = share.sum(axis=0)
    assert_allclose(model.weights_, (count + 2) / (count + 2).sum(axis=1, keepdims=True), rtol=1e-9)
    means = (np.einsum("njr,nd->jrd", share, x) + 2.0) / (count + 2)[..., None]
    assert_allclose(model.means_, means, rtol=1e-9)
    away = x[:, None, None] - means
    scatter = np.einsum("njr,njrd,njre->jrde", share, away, away) + 2 * np.einsum("jrd,jre->jrde", means - 1, means - 1)
    if kind == "full":
        wanted = (scatter + prior) / (count + 1 + weight + 2 + 1)[..., None, None]
    elif kind == "tied":
        wanted = (scatter.sum(axis=1) + prior) / (count.sum(axis=1) + 2 + weight + 2 + 1)[:, None, None]
    else:
        wanted = (np.diagonal(scatter, axis1=2, axis2=3) + 2 * weight) / (count + 1 + 2 * (prior + 1))[..., None]
    assert_allclose(model.covars_, wanted, rtol=1e-9)


def _member(model, j, r):
    covars = model.covars_[j] if model.covariance_type == "tied" else model.covars_[j, r]
    return lem.Gaussian().params(model.means_[j, r][None], (np.diag(covars) if covars.ndim == 1 else covars)[None])


def test_counts_have_priors():
    """Symbols and counts have conjugate priors: a step is the mean of what was seen and imagined."""
    x = np.random.default_rng(0).integers(0, 4, (200, 1))
    counted = np.stack([of_symbols(hmm).predict_proba(x)[x[:, 0] == level].sum(axis=0) for level in range(4)], axis=1)
    model = of_symbols(hmm).set_params(emissionprob_prior=3.0, n_iter=1, init_params="").fit(x)
    counted += 2 * (of_symbols(hmm).emissionprob_ > 0)  # what is zero stays zero
    assert_allclose(model.emissionprob_, counted / counted.sum(axis=1, keepdims=True), rtol=1e-9)
    x = np.random.default_rng(0).poisson(4, (200, 2))
    q = of_counts(hmm).predict_proba(x)
    model = of_counts(hmm).set_params(lambdas_prior=5.0, lambdas_weight=2.0, n_iter=1, init_params="").fit(x)
    assert_allclose(model.lambdas_, (q.T @ x + 5) / (q.sum(axis=0)[:, None] + 2), rtol=1e-9)


@pytest.mark.parametrize("name", ["GaussianHMM", "GMMHMM", "PoissonHMM", "CategoricalHMM"])
def test_starts_are_those_of_hmmlearn(name):
    """With the same random_state and no step, a fit leaves the parameters that hmmlearn starts from."""
    x = rows() if "G" in name else np.random.default_rng(0).poisson(4, (200, 1))
    more = {"n_mix": 2} if name == "GMMHMM" else {}
    ours, other = (getattr(lib, name)(3, random_state=5, n_iter=0, **more).fit(x) for lib in (hmm, theirs))
    for attribute in ("startprob_", "transmat_", "means_", "covars_", "weights_", "lambdas_", "emissionprob_"):
        if hasattr(other, attribute):
            assert_allclose(getattr(ours, attribute), getattr(other, attribute), rtol=1e-9, atol=1e-12)


def test_filtering_looks_back_alone():
    """The filtered distribution of a row is that of the last row where the sequence ends there, and is not smoothed."""
    x, model = rows(30), gaussian(hmm, "full")
    filtered = model.filter_proba(x, [10, 20])
    for t in (0, 4, 9):
        assert_allclose(filtered[t], model.predict_proba(x[: t + 1])[-1], atol=1e-12)
    assert_allclose(filtered[29], model.predict_proba(x[10:])[-1], atol=1e-12)
    assert np.abs(filtered - model.predict_proba(x, [10, 20])).max() > 0.01


def test_letters_hold_and_keep():
    """What `params` leaves out stays to the bit, and what `init_params` leaves out is where the fit starts."""
    x = rows()
    model = gaussian(hmm, "diag", params="tc", init_params="", n_iter=1, tol=0).fit(x, lengths=LENGTHS)
    assert (model.means_ == MEANS).all()
    assert (model.startprob_ == START).all()
    assert np.abs(model.transmat_ - STEPS).max() > 1e-4
    left_right = gaussian(hmm, "diag", params="stmc", init_params="", n_iter=1, transmat_prior=2.0)
    left_right.transmat_ = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1.0]])
    assert (left_right.fit(x).transmat_[[1, 2, 2], [0, 0, 1]] == 0).all()


def test_missing_values_and_known_states():
    """NaN in Gaussian chains is a missing value, and y with -1 says the states of some rows."""
    x = rows()
    x[::7, 0] = np.nan
    model = hmm.GaussianHMM(3, "full", random_state=0, n_iter=200, tol=1e-3).fit(x, lengths=LENGTHS)
    assert np.isfinite(model.score(x, LENGTHS))
    known = np.full(200, -1)
    known[:20] = np.arange(20) % 3
    model = gaussian(hmm, "full", n_iter=1, init_params="").fit(x, known)
    assert model.fit_.model.inner.k == 3
    plain = gaussian(hmm, "full", n_iter=1, init_params="").fit(x)
    assert np.abs(model.means_ - plain.means_).max() > 1e-3


def test_lengths_are_routed_through_a_pipeline():
    """With metadata routing a pipeline hands the lengths on: the fit is over as many sequences."""
    with config_context(enable_metadata_routing=True):
        model = hmm.GaussianHMM(2, random_state=0, n_iter=1).set_fit_request(lengths=True)
        chain = make_pipeline(StandardScaler(), model).fit(rows(), lengths=LENGTHS)[-1]
    assert_allclose(chain.fit_.expectation.statistics.initial.sum(), 4)


@pytest.mark.filterwarnings("ignore:Raise n_iter")
def test_a_sequence_of_weight_two_is_two_of_them():
    """A fit with weights 2, 0 and 1 is that of the sequences repeated, left out and as they are; others are refused."""
    x, lengths, parts = rows(), [40, 60, 100], [0, 40, 100]
    weighted = gaussian(hmm, "full", init_params="", n_iter=4).fit(x, lengths=lengths, sequence_weight=[2, 0, 1])
    chosen = np.concatenate([x[parts[i] : parts[i] + lengths[i]] for i in (0, 0, 2)])
    repeated = gaussian(hmm, "full", init_params="", n_iter=4).fit(chosen, lengths=[40, 40, 100])
    for name in ("startprob_", "transmat_", "means_", "covars_"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9, atol=1e-12)
    assert weighted.fit_.log_likelihood == pytest.approx(repeated.fit_.log_likelihood, rel=1e-12)
    with pytest.raises(ValueError, match="give one a sequence"):
        hmm.GaussianHMM(2).fit(x, lengths=lengths, sequence_weight=np.ones(200))
    with pytest.raises(ValueError, match="all weights are zero"):
        hmm.GaussianHMM(2).fit(x, lengths=lengths, sequence_weight=np.zeros(3))


def test_draws_follow_the_chain():
    """20,000 draws have the transitions of the chain; a first state is kept; the same seed draws the same."""
    model = gaussian(hmm, "full")
    x, states = model.sample(20_000, random_state=3)
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (states[:-1], states[1:]), 1)
    assert_allclose(pairs / pairs.sum(axis=1, keepdims=True), STEPS, atol=0.02)
    assert (model.sample(5, random_state=3)[0] == model.sample(5, random_state=3)[0]).all()
    assert model.sample(4, currstate=2)[1][0] == 2
    assert x.shape == (20_000, 2)


def test_any_family_is_an_estimator():
    """HiddenMarkov over Student-t, counts and mixtures fits, scores, is cloned, pickled and searched."""
    x = rows(300)
    for family in (lem.Student(), lem.MixtureOf(lem.Gaussian(), 2), None):
        model = HiddenMarkov(2, family, random_state=0, n_iter=30, tol=1.0).fit(x, lengths=[100, 200])
        assert_allclose(model.score(x, lengths=[100, 200]), model.fit_.log_likelihood, rtol=1e-9)
        again = pickle.loads(pickle.dumps(model))
        assert (again.predict(x) == model.predict(x)).all()
        assert clone(model).get_params()["n_components"] == 2
    held = HiddenMarkov(2, params="st", init_params="st", n_iter=3, tol=1e9)
    held.emissions_ = model.emissions_
    assert held.fit(x).emissions_ == model.emissions_
    search = GridSearchCV(HiddenMarkov(random_state=0, n_iter=50, tol=1.0), {"n_components": [1, 2]}, cv=3).fit(x)
    assert search.best_params_ == {"n_components": 2}


def test_what_cannot_be_used_is_an_error_in_words():
    """Lengths, letters, decoders, priors and attributes that mean nothing are refused, by name."""
    x = rows()
    with pytest.raises(NotFittedError):
        hmm.GaussianHMM(2).predict(x)
    half = hmm.GaussianHMM(3)
    half.startprob_, half.transmat_, half.means_ = START, STEPS, MEANS  # and no covars_
    with pytest.raises(NotFittedError):
        half.score(x)
    model = gaussian(hmm, "diag", init_params="")
    with pytest.raises(ValueError, match="doesn't sum to 200 samples"):
        model.fit(x, lengths=[10, 20])
    with pytest.raises(ValueError, match="at least 1"):
        model.fit(x, lengths=[200, 0])
    for name, value, words in [
        ("algorithm", "beam", "Unknown decoder"),
        ("implementation", "fast", "give 'log' or 'scaling'"),
        ("params", "stx", r"params holds \['x'\]"),
        ("startprob_prior", 0.5, "below 1 are not supported"),
        ("transmat_prior", [1.0, 1.0], "transmat_prior has shape"),
        ("means_weight", -1.0, "means_weight was given as -1.0"),
        ("covars_prior", -1.0, "covars_prior was given as -1.0"),
        ("n_iter", -1, "n_iter was given as -1"),
        ("covariance_type", "round", "covariance_type must be one of"),
    ]:
        with pytest.raises(ValueError, match=words):
            gaussian(hmm, "diag", init_params="").set_params(**{name: value}).fit(x)
    with pytest.raises(ValueError, match="must be positive"):
        model.covars_ = np.zeros((3, 2))
    with pytest.raises(ValueError, match="Symbols should be integers"):
        of_symbols(hmm).fit(np.array([[0.5], [1.0]]))
    with pytest.raises(TypeError, match="give a Family"):
        HiddenMarkov(2, "normal").fit(x)


def test_the_log_says_what_is_overwritten(caplog):
    """That an attribute will be overwritten, and that data are too few, is logged and not printed."""
    with caplog.at_level(logging.WARNING, logger="latentem"):
        model = gaussian(hmm, "diag", n_iter=1).fit(rows(6))
    said = " ".join(caplog.messages)
    assert "will be overwritten" in said
    assert "degenerate solution" in said
    assert model.monitor_.converged
    assert not model.fit_.converged


@parametrize_with_checks(
    [HiddenMarkov(random_state=0)],
    expected_failed_checks=lambda estimator: {
        "check_methods_sample_order_invariance": NEIGHBOURS,
        "check_methods_subset_invariance": NEIGHBOURS,
    },
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_checks_of_scikit_learn(estimator, check):
    """Every check of scikit-learn passes, but for those in which rows would have to be independent."""
    check(estimator)
