"""Closed forms, and other libraries from the same start."""

import attrs
import numpy as np
import pytest
from scipy import stats
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.mixture import GaussianMixture as SklearnMixture
from subjects import STRUCTURES, TIGHT, begin, three_blobs

import latentem as lem


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_one_component_is_the_closed_form(structure):
    """With k = 1 the fit is the mean and the constrained divisor-n covariance; -n/2 (d log 2 pi + log det + d)."""
    x = three_blobs(d=3) + 1e6
    fit = lem.fit(lem.GaussianMixture(1, structure=structure), x)
    covariance = np.cov(x.T, bias=True)
    name = str(structure)
    if "Diagonal" in name:
        covariance = np.diag(np.diag(covariance))
    elif "Spherical" in name:
        covariance = np.trace(covariance) / 3 * np.eye(3)
    np.testing.assert_allclose(fit.params.components.means[0], x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(fit.params.components.dense()[0], covariance, rtol=1e-9, atol=1e-9)
    expected = -len(x) / 2 * (3 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + 3)
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("structure", "name"),
    [(lem.Full(), "full"), (lem.Diagonal(), "diag"), (lem.Spherical(), "spherical"), (lem.Tied(lem.Full()), "tied")],
)
def test_scikit_learn_ends_at_the_same_optimum(structure, name):
    """From the same start another library's EM, without its regularisation, has the same maximum."""
    x = three_blobs()
    ours = lem.fit(lem.GaussianMixture(3, structure=structure), x, start=begin())
    groups = [x[begin() == j] for j in range(3)]
    own = np.stack([np.cov(group.T, bias=True) for group in groups])
    columns = np.diagonal(own, axis1=1, axis2=2)
    precisions = {
        "full": np.linalg.inv(own),
        "diag": 1 / columns,
        "spherical": 1 / columns.mean(axis=1),
        "tied": np.linalg.inv(own.mean(axis=0)),
    }[name]
    means = np.stack([group.mean(axis=0) for group in groups])
    options = {"tol": 1e-13, "reg_covar": 0, "max_iter": 5000, "weights_init": [1 / 3] * 3}
    theirs = SklearnMixture(3, covariance_type=name, means_init=means, precisions_init=precisions, **options)
    theirs.fit(x)
    assert ours.log_likelihood == pytest.approx(len(x) * theirs.score(x), abs=1e-6)
    assert ours.history[0].bound < ours.bound
    np.testing.assert_allclose(ours.aic, theirs.aic(x), rtol=1e-9)
    np.testing.assert_allclose(ours.bic, theirs.bic(x), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_k_means_ends_at_the_same_centres(seed):
    """Lloyd's iteration from the same centres is the same in both libraries, weights included."""
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=(200, 3)), rng.uniform(0.1, 2, 200)
    centres = x[:5]
    ours = lem.fit(lem.KMeans(5), x, weights=weight, start=lem.KMeans(5).params(centres))
    theirs = SklearnKMeans(5, init=centres, n_init=1, tol=0, algorithm="lloyd").fit(x, sample_weight=weight)
    np.testing.assert_allclose(ours.params.components.means, theirs.cluster_centers_, rtol=1e-9)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-10)


def test_known_labels_are_kept_and_all_known_is_the_closed_form():
    """Rows whose component is given stay in it; with every label given the fit is the classes' own moments."""
    x, labels = three_blobs(), begin()
    whole = lem.fit(lem.GaussianMixture(3), x, allowed=labels, n_starts=2)
    for j in range(3):
        np.testing.assert_allclose(whole.params.components.means[j], x[labels == j].mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(whole.params.components.covariances[j], np.cov(x[labels == j].T, bias=True))
    parts = zip(whole.params.components.means, whole.params.components.covariances, strict=True)
    joint = [stats.multivariate_normal.logpdf(x[labels == j], *part).sum() for j, part in enumerate(parts)]
    assert whole.bound == pytest.approx(sum(joint) - 180 * np.log(3), abs=1e-8)
    part = np.where(np.arange(180) % 10 == 0, labels, -1)
    free = lem.fit(lem.GaussianMixture(3), x, allowed=np.ones((180, 3), bool), start=labels, stop=TIGHT)
    assert free.params == lem.fit(lem.GaussianMixture(3), x, start=labels, stop=TIGHT).params
    chunk = attrs.evolve(lem.Rows(x), allowed=(part[:, None] == np.arange(3)) | (part[:, None] == -1))
    some = lem.fit(lem.GaussianMixture(3), x, allowed=part, n_starts=3)
    shares = some.model.posterior(some.params, chunk).marginals()
    np.testing.assert_array_equal(shares[::10], np.eye(3)[labels[::10]])
