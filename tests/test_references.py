"""Published and closed-form answers."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from independent import matched
from sklearn.mixture import GaussianMixture
from subjects import FAITHFUL, deaths

import latentem as lem


def em_in_thirty_digits(x, weights, means, covariances, steps):
    """EM for two full Gaussians in 30-digit arithmetic: what the printed reference digits are checked against."""
    mpmath.mp.dps = 30
    rows = [mpmath.matrix([mpmath.mpf(repr(float(value))) for value in row]) for row in x]
    means, covariances = [mpmath.matrix(m.tolist()) for m in means], [mpmath.matrix(c.tolist()) for c in covariances]
    for _ in range(steps):
        inverse, root = [c**-1 for c in covariances], [mpmath.sqrt(mpmath.det(c)) for c in covariances]
        shares = []
        for row in rows:
            apart = [row - mean for mean in means]
            each = [weights[j] / root[j] * mpmath.exp(-(apart[j].T * inverse[j] * apart[j])[0] / 2) for j in (0, 1)]
            shares.append([part / sum(each) for part in each])
        counts = [mpmath.fsum(share[j] for share in shares) for j in (0, 1)]
        weights = [count / len(rows) for count in counts]
        pairs = list(zip(shares, rows, strict=True))
        means = [
            mpmath.matrix([mpmath.fsum(r[j] * v[i] for r, v in pairs) / counts[j] for i in (0, 1)]) for j in (0, 1)
        ]
        covariances = [
            mpmath.matrix(
                [
                    [
                        mpmath.fsum(r[j] * (v[a] - means[j][a]) * (v[b] - means[j][b]) for r, v in pairs) / counts[j]
                        for b in (0, 1)
                    ]
                    for a in (0, 1)
                ]
            )
            for j in (0, 1)
        ]
    return [float(w) for w in weights], [[float(value) for value in mean] for mean in means]


def test_old_faithful_full_has_the_known_maximum():
    """Two full components on Old Faithful reach the published maximum by default settings."""
    fit = lem.fit(lem.GaussianMixture(2), FAITHFUL)
    assert fit.log_likelihood == pytest.approx(-1130.26396018, abs=1e-7)
    means = [[4.28966198, 79.96811524], [2.03638846, 54.47851644]]
    order = matched(fit.params.components.means, means)
    np.testing.assert_allclose(fit.params.weights[order], [0.64412714, 0.35587286], rtol=1e-4)
    np.testing.assert_allclose(fit.params.components.means[order], means, rtol=1e-4)


def test_old_faithful_full_is_right_to_ten_digits():
    """With a sharp stop the parameters are those of EM in 30-digit arithmetic, to 1e-10."""
    sharp = lem.fit(lem.GaussianMixture(2), FAITHFUL, stop=lem.remaining_below(1e-20)).params
    weights, means = em_in_thirty_digits(
        FAITHFUL, sharp.weights, sharp.components.means, sharp.components.covariances, 8
    )
    np.testing.assert_allclose(sharp.weights, weights, rtol=1e-10)
    np.testing.assert_allclose(sharp.components.means, means, rtol=1e-10)


@pytest.mark.parametrize(
    ("k", "structure", "answer"),
    [
        (2, lem.Tied(lem.Full()), -1140.186759),
        (2, lem.Diagonal(), -1147.806353),
        (2, lem.Spherical(), -1709.529282),
    ],
    ids=str,
)
def test_old_faithful_has_the_known_maximum_under_each_structure(k, structure, answer):
    """Each constrained structure reaches its known maximum, printed to six decimals, by default settings."""
    fit = lem.fit(lem.GaussianMixture(k, structure=structure), FAITHFUL)
    assert fit.converged
    assert not fit.events
    assert fit.log_likelihood == pytest.approx(answer, abs=6e-7)


def test_old_faithful_three_tied_is_where_another_library_ends_when_run_to_the_end():
    """Three components with one covariance: scikit-learn without its ridge, run on, ends at the same log likelihood.

    It is -1126.3159278, to nine digits the same as an evaluation in 40-digit arithmetic.
    """
    fit = lem.fit(lem.GaussianMixture(3, structure=lem.Tied()), FAITHFUL)
    rival = GaussianMixture(3, covariance_type="tied", tol=1e-15, max_iter=5000, reg_covar=0, random_state=0)
    assert fit.log_likelihood == pytest.approx(rival.fit(FAITHFUL).score(FAITHFUL) * 272, abs=1e-7)
    assert fit.log_likelihood == pytest.approx(-1126.3159278234, abs=1e-7)


def test_death_notices_have_the_known_maximum():
    """Two Poissons on Hasselblad's counts, from (.5, 1, 3), creep for thousands of passes to the known maximum."""
    model = lem.Mixture(lem.Poisson(), 2)
    start = model.params([0.5, 0.5], [[1.0], [3.0]])
    fit = lem.fit(model, deaths(), start=start)
    assert fit.log_likelihood == pytest.approx(-1989.945859883, abs=1e-7)
    np.testing.assert_allclose(fit.params.weights[0], 0.3598854, rtol=1e-4)
    np.testing.assert_allclose(fit.params.components[:, 0], [1.2560951, 2.6634044], rtol=1e-4)

    sharp = lem.fit(model, deaths(), start=start, stop=lem.remaining_below(1e-18))
    np.testing.assert_allclose(sharp.params.weights[0], 0.3598854, atol=5.1e-8, rtol=0)
    np.testing.assert_allclose(sharp.params.components[:, 0], [1.2560951, 2.6634044], atol=5.1e-8, rtol=0)
    assert sharp.log_likelihood == pytest.approx(-1989.945859883, abs=5.1e-10)


def test_a_rule_on_the_gain_stops_far_from_the_maximum_of_the_death_notices():
    """Stopping on a mean gain below 1e-6 looks converged a fifth of the way off: the reason for the default rule."""
    model = lem.Mixture(lem.Poisson(), 2)
    start = model.params([0.5, 0.5], [[1.0], [3.0]])
    fit = lem.fit(model, deaths(), start=start, stop=lem.gain_below(1e-6), accelerate=None)
    assert fit.converged
    assert fit.history[-1].index < 20
    assert abs(fit.params.weights[0] - 0.3598854) / 0.3598854 > 0.15


def closed_form(x, structure):
    """The maximum likelihood covariance of one component: the divisor-n covariance or its constrained form."""
    s = np.cov(x.T, bias=True)
    dimensions = len(structure.each.one(x.shape[1]))
    return {2: s, 1: np.diag(np.diag(s)), 0: np.trace(s) / len(s) * np.eye(len(s))}[dimensions]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shape", [lem.Full(), lem.Diagonal(), lem.Spherical()], ids=str)
def test_one_component_is_the_closed_form_after_one_step(shape, tied):
    """With k = 1 a single M-step gives the mean, the constrained covariance and -n/2 (d log 2 pi + log det S + d)."""
    structure = lem.Tied(shape) if tied else shape
    model = lem.GaussianMixture(1, structure=structure)
    covariances = {2: np.eye(2), 1: np.ones(2), 0: np.array(1.0)}[len(shape.one(2))]
    start = model.params([1.0], [[0.0, 0.0]], covariances if tied else covariances[None])
    states = list(itertools.islice(lem.EM().iterate(model, start, FAITHFUL), 2))
    params, wanted = states[1].params, closed_form(FAITHFUL, structure)
    np.testing.assert_allclose(params.components.means[0], FAITHFUL.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(params.components.dense()[0], wanted, rtol=1e-12, atol=1e-15)
    maximum = -272 / 2 * (2 * np.log(2 * np.pi) + np.linalg.slogdet(wanted)[1] + 2)
    assert states[1].step.bound == pytest.approx(maximum, abs=1e-9)


TWO_POINT = np.array([[-1.0], [1.0], [3.0]])


def two_point(prior):
    model = lem.GaussianMixture(2, weights=lem.Fixed.uniform(), prior=prior)
    return model, model.params([0.5, 0.5], [[0.0], [3.0]], [[[1.0]], [[1e-4]]])


def test_the_two_point_start_has_the_known_log_likelihood():
    """The start of the two-point case has the log likelihood -1.23097587151041."""
    model, start = two_point(None)
    state = next(lem.EM().iterate(model, start, TWO_POINT))
    assert state.step.bound == pytest.approx(-1.23097587151041, abs=1e-13)


def test_the_two_point_start_collapses_by_name_without_a_prior():
    """With no prior the run ends degenerate, naming component 1 (the second), with finite parameters."""
    model, start = two_point(None)
    with pytest.warns(lem.ConvergenceWarning, match="component 1"):
        fit = lem.fit(model, TWO_POINT, start=start)
    assert fit.status.ending is lem.run.Ending.DEGENERATE
    assert np.isfinite(fit.params.components.covariances).all()
    assert np.isfinite(fit.log_likelihood)


def test_the_two_point_start_is_finite_under_the_default_prior():
    """With the default floor the same run converges, and says that component 1 is held up by it, and rows are few."""
    model, start = two_point(lem.Floor())
    fit = lem.fit(model, TWO_POINT, start=start)
    assert fit.converged
    assert np.isfinite(fit.log_likelihood)
    assert [(event.kind, event.component) for event in fit.events] == [("floor", 1), ("unidentified", None)]


def least_inertia(x, k):
    """The least inertia of k clusters on a line, by dynamic programming over the sorted values."""
    x, n = np.sort(x), len(x)
    best = [0.0] + [np.inf] * n
    for _ in range(k):
        best = [min((best[i] + np.var(x[i:j]) * (j - i) for i in range(j)), default=np.inf) for j in range(n + 1)]
    return best[n]


@pytest.mark.parametrize(("k", "seed"), list(itertools.product([2, 3, 4], range(4))))
def test_kmeans_on_a_line_finds_the_exact_optimum(k, seed):
    """On small one-dimensional data the best of thirty starts is the optimum that dynamic programming finds."""
    x = np.random.default_rng(seed).normal(size=24) ** 3
    fit = lem.fit(lem.KMeans(k), x[:, None], n_starts=30)
    assert fit.inertia == pytest.approx(least_inertia(x, k), rel=1e-12)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_starts_of_kmeans_reach_small_far_clusters(k):
    """On the galaxies, five of which are far from the others, forty starts find the optimum of dynamic programming."""
    x = lem.datasets.galaxies() / 1000
    fit = lem.fit(lem.KMeans(k), x, n_starts=40)
    assert fit.inertia == pytest.approx(least_inertia(x[:, 0], k), rel=1e-12)
