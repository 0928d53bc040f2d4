"""What is asked of a fit behind it: merged components, comparisons and diagnostics."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.metrics import adjusted_rand_score
from subjects import FAITHFUL

import latentem as lem
from latentem.judging import adjusted_rand, overlap


def crosses(n=600, seed=2010):
    """Baudry et al.'s (2010) example: two crosses of two Gaussians each, and two Gaussians that are apart."""
    rng = np.random.default_rng(seed)
    means = np.array([[0, 0], [0, 0], [8, 5], [8, 5], [1, 9], [8, -4]])
    long, turned = np.diag([4.0, 0.15]), np.diag([0.15, 4.0])
    covariances = [long, turned, long, turned, np.eye(2) * 0.4, np.eye(2) * 0.4]
    z = rng.choice(6, n, p=[0.2, 0.2, 0.2, 0.2, 0.1, 0.1])
    x = np.stack([rng.multivariate_normal(means[j], covariances[j]) for j in z])
    return x, z, np.array([0, 0, 1, 1, 2, 3])[z]


X, Z, CLUSTER = crosses()


@pytest.fixture(scope="module")
def fit():
    return lem.fit(lem.GaussianMixture(6), X, start=Z)


@pytest.fixture(scope="module")
def pair():
    return lem.fit(lem.GaussianMixture(2), FAITHFUL, n_starts=3)


def merges_by_enumeration(shares, weight):
    """Every merge of two, its entropy written out in full, the lowest taken: groups and entropy at each number."""
    groups, found = [[j] for j in range(shares.shape[1])], []

    def entropy_of(those):
        t = np.stack([shares[:, group].sum(axis=1) for group in those])
        return float((weight * -np.where(t > 0, t * np.log(np.where(t > 0, t, 1)), 0).sum(axis=0)).sum())

    found.append((groups, entropy_of(groups)))
    while len(groups) > 1:
        ways = []
        for i, j in combinations(range(len(groups)), 2):
            rest = [group for at, group in enumerate(groups) if at not in (i, j)]
            ways.append(sorted([*rest, sorted(groups[i] + groups[j])]))
        groups = min(ways, key=entropy_of)
        found.append((groups, entropy_of(groups)))
    return found


@pytest.mark.parametrize("weighted", [False, True])
def test_merges_are_those_of_an_enumeration(fit, weighted):
    """Clusters and entropies at each number are those found by trying all pairs with their entropy written out."""
    weight = np.random.default_rng(0).uniform(0, 2, len(X)) if weighted else np.ones(len(X))
    merged = fit.merged(1, X, weights=weight if weighted else None)
    for groups, entropy in merges_by_enumeration(fit.predict_proba(X), weight):
        here = merged.to(len(groups))
        assert [list(group) for group in here.groups] == groups
        assert here.entropy == pytest.approx(entropy, abs=1e-8)
    lost = -np.diff(merged.entropies[::-1])
    assert [merge.lost for merge in merged.merges] == pytest.approx(lost, abs=1e-8)


def test_crosses_become_one_cluster_each(fit):
    """Six Gaussians are four clusters: the kink of the entropies says so, and each cross is one."""
    merged = fit.merged(4, X)
    assert merged.elbow == 4
    assert adjusted_rand_score(merged.predict(X), CLUSTER) > 0.97
    assert merged.icl == pytest.approx(fit.bic + 2 * merged.entropy)
    assert merged.icl < fit.merged(6, X).icl
    assert merged.predict_proba(X).sum(axis=1) == pytest.approx(1)
    assert merged.predict_proba(X).shape == (600, 4)
    joined = next(merge for merge in merged.merges if merge.clusters == 5)
    labels = fit.predict(X)
    assert joined.rows == np.isin(labels, joined.one + joined.other).sum()
    assert "0+1" in str(merged)


def test_noise_is_no_cluster():
    """Noise is merged with nothing, and its label stays the last."""
    x = np.vstack([X, np.random.default_rng(1).uniform([-20, -15], [25, 25], (60, 2))])
    noisy = lem.fit(lem.GaussianMixture(6, noise=True), x, start=np.r_[Z, np.full(60, 6)])
    merged = noisy.merged(4, x)
    assert merged.n == 4
    labels = merged.predict(x)
    assert labels.max() == 4
    assert (labels == 4).sum() == (noisy.predict(x) == 6).sum()
    assert merged.to(1).predict_proba(x)[:, 1] == pytest.approx(noisy.predict_proba(x)[:, 6])
    assert merged.entropies[0] > 1  # of noise or not
    with pytest.raises(ValueError, match="from 1 to 6"):
        noisy.merged(7, x)


@pytest.mark.parametrize("n", [0, 7, 2.0, True, "two"])
def test_a_number_of_clusters_that_cannot_be_is_refused(fit, n):
    """Fewer clusters than one, more than components, or no whole number are refused, before the data are looked at."""
    with pytest.raises(ValueError, match="give a number of clusters from 1 to 6"):
        fit.merged(n, "no data")


def test_what_has_no_uncertain_labels_is_not_merged_or_compared(pair):
    """K-means and factor analysis have no uncertain labels: an error says so."""
    clusters = lem.fit(lem.KMeans(3), FAITHFUL, n_starts=2)
    factors = lem.fit(lem.FactorAnalysis(1, noise=lem.Spherical()), lem.datasets.iris(), n_starts=1)
    with pytest.raises(lem.Unavailable, match="cannot be merged"):
        clusters.merged(2, FAITHFUL)
    with pytest.raises(lem.Unavailable, match="cannot be compared"):
        pair.compare(clusters, FAITHFUL)
    with pytest.raises(lem.Unavailable, match="cannot be merged"):
        factors.merged(1, lem.datasets.iris())
    with pytest.raises(lem.Unavailable, match="labels"):
        factors.diagnostics(lem.datasets.iris())
    with pytest.raises(lem.Unavailable, match="no labels to compare"):
        pair.compare(factors, FAITHFUL)
    with pytest.raises(TypeError, match="give a Fit"):
        pair.compare("another", FAITHFUL)


def test_the_adjusted_rand_index_is_that_of_scikit_learn():
    """On random labellings, and where all rows are one cluster, the index is scikit-learn's."""
    rng = np.random.default_rng(1985)
    for k, other in ((2, 3), (5, 2), (1, 1), (4, 4)):
        one = rng.integers(0, k, 80)
        two = np.where(rng.random(80) < 0.6, one % other, rng.integers(0, other, 80))
        counts = np.zeros((k, other))
        np.add.at(counts, (one, two), 1)
        assert adjusted_rand(counts) == pytest.approx(adjusted_rand_score(one, two))
    assert adjusted_rand(np.eye(1)) == 1
    assert adjusted_rand(counts / 8e3) == pytest.approx(adjusted_rand(np.round(counts * 1e6)), abs=1e-5)


def test_a_tied_fit_is_nested_in_a_free_one(pair):
    """Beside one of tied covariances the ratio is twice the gain in log likelihood, and p that of chi-squared."""
    tied = lem.fit(lem.GaussianMixture(2, lem.Tied()), FAITHFUL, n_starts=3)
    found = pair.compare(tied, FAITHFUL)
    assert found.likelihood_ratio == pytest.approx(2 * (1140.186759 - 1130.263960), abs=1e-5)
    assert found.degrees == 3
    assert found.p_value == pytest.approx(stats.chi2(3).sf(found.likelihood_ratio))
    assert tied.compare(pair, FAITHFUL).likelihood_ratio == pytest.approx(found.likelihood_ratio)
    assert found.agreement == pytest.approx(adjusted_rand_score(pair.predict(FAITHFUL), tied.predict(FAITHFUL)))
    assert "nested" in str(found)


def test_no_p_value_is_claimed_where_its_law_does_not_hold(pair):
    """Of two and three components there is a ratio and no p-value; where the larger is behind, or as large, neither."""
    three = lem.fit(lem.GaussianMixture(3), FAITHFUL, n_starts=3)
    found = pair.compare(three, FAITHFUL)
    assert found.likelihood_ratio > 0
    assert found.p_value is None
    assert "McLachlan" in str(found)
    behind = lem.Fit.of(
        three.model,
        three.model.params([0.4, 0.3, 0.3], [[2, 55], [4, 80], [4, 70]], [np.diag([1.0, 90.0])] * 3),
        FAITHFUL,
    )
    assert pair.compare(behind, FAITHFUL).likelihood_ratio is None
    assert "not ahead" in str(pair.compare(behind, FAITHFUL))
    assert "as many free numbers" in str(pair.compare(pair, FAITHFUL))


def test_rows_that_changed_are_found_whatever_the_order_of_labels(pair):
    """A fit whose components are in another order differs in no row; one moved row is named."""
    p = pair.params
    turned = pair.model.params(p.weights[::-1], p.components.means[::-1], p.components.covariances[::-1])
    other = lem.Fit.of(pair.model, turned, FAITHFUL)
    same = pair.compare(other, FAITHFUL)
    assert same.agreement == 1
    assert len(same.changed) == 0
    assert same.counts.trace() == 0
    tied = lem.fit(lem.GaussianMixture(2, lem.Tied()), FAITHFUL, start=pair.predict(FAITHFUL))
    changed = pair.compare(tied, FAITHFUL).changed
    assert changed.tolist() == np.flatnonzero(pair.predict(FAITHFUL) != tied.predict(FAITHFUL)).tolist()


def test_diagnostics_count_rows_as_written_out(pair):
    """Expected, labelled and doubtful rows, certainty and effective rows are their formulas; weight 2 is two rows."""
    r = pair.predict_proba(FAITHFUL)
    found = pair.diagnostics(FAITHFUL)
    mine = r.argmax(axis=1) == 0
    assert found.rows == pytest.approx(r.sum(axis=0))
    assert found.labelled[0] == mine.sum()
    assert found.certainty[0] == pytest.approx(r[mine, 0].mean())
    assert found.doubtful[0] == (r[mine, 0] < 0.9).sum()
    assert found.effective == pytest.approx(r.sum(axis=0) ** 2 / (r**2).sum(axis=0))
    twice = pair.diagnostics(np.vstack([FAITHFUL, FAITHFUL[:50]]))
    weighted = pair.diagnostics(FAITHFUL, weights=np.r_[np.full(50, 2.0), np.ones(222)])
    assert weighted.effective == pytest.approx(twice.effective)
    assert weighted.doubtful == pytest.approx(twice.doubtful)
    assert "mean certainty" in str(found)


def test_overlap_is_the_integral_of_the_root_of_two_densities():
    """Bhattacharyya's coefficient is the integral: in closed form of Gaussians, by draws of t and of noise."""
    gaussian = lem.Gaussian()
    params = gaussian.params([[0.0], [1.5], [30.0]], [[[1.0]], [[4.0]], [[1.0]]])

    def integral(f, g):
        return integrate.quad(lambda x: np.sqrt(f(x) * g(x)), -60, 60, limit=500, points=[0, 1.5])[0]

    normals = [stats.norm(0, 1).pdf, stats.norm(1.5, 2).pdf]
    found = overlap(gaussian, params)
    assert found[0, 1] == pytest.approx(integral(*normals), abs=1e-8)
    assert found[0, 2] < 1e-40
    assert (found == found.T).all()
    student = lem.Student()
    heavy = student.params([[0.0], [1.5]], [[[1.0]], [[4.0]]], [3.0, 8.0])
    ts = [stats.t(3, 0, 1).pdf, stats.t(8, 1.5, 2).pdf]
    assert overlap(student, heavy)[0, 1] == pytest.approx(integral(*ts), abs=0.015)
    noisy = lem.Noisy(gaussian, lem.Noise(-10, 10))
    beside = overlap(noisy, lem.family.NoisyParams(params))
    assert beside[0, 1] == found[0, 1]
    within = integrate.quad(lambda x: np.sqrt(normals[0](x) / 20), -10, 10)[0]
    assert beside[0, 3] == pytest.approx(within, abs=0.015)


def test_quantiles_of_draws_lie_in_their_band():
    """Rows drawn from a fit are within the band of lem.plot.qq about as often as it says, and shifted rows are not."""
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fit = lem.fit(lem.GaussianMixture(2), FAITHFUL, n_starts=2)
    x, _ = fit.sample(400, rng=5)

    def inside(data):
        ax = lem.plot.qq(fit, data, column=1)
        points = ax.collections[1].get_offsets()
        band = ax.collections[0].get_paths()[0].vertices
        across = points[:, 0]
        low = np.array([band[np.isclose(band[:, 0], at), 1].min() for at in across])
        high = np.array([band[np.isclose(band[:, 0], at), 1].max() for at in across])
        plt.close("all")
        return ((points[:, 1] >= low) & (points[:, 1] <= high)).mean()

    assert inside(x) > 0.85
    assert inside(x + np.array([0.0, 6.0])) < 0.3
    with pytest.raises(ValueError, match="give column="):
        lem.plot.qq(fit, x)
    with pytest.raises(ValueError, match="mass was given as 2"):
        lem.plot.qq(fit, x, column=0, mass=2)
