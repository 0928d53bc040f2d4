"""Observed information by Oakes' identity, beside second differences of the log likelihood and closed forms."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from mpmath import mp
from scipy.stats import multivariate_normal, norm, poisson
from subjects import FAITHFUL, deaths

import latentem as lem
from latentem.core import Block
from latentem.uncertainty.named import find, numbers

TIGHT = lem.remaining_below(1e-18)
RNG = np.random.default_rng(0)
FACTORS = RNG.normal(size=(200, 1)) * [1, 0.7, 0.5, 0.3] + RNG.normal(size=(200, 4)) * [0.5, 0.6, 0.7, 0.8]
STEPS = np.repeat([1, 6, 1, 4, 2, 7], 30)[:, None] + RNG.poisson(2, size=(180, 1))


def second(function, at, step):
    """Minus second derivatives of a function at a point, by differences of the fourth order in each coordinate."""
    size, weights = len(at), ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
    bends = np.empty((size, size))
    for i in range(size):
        for j in range(i, size):
            total = 0.0
            for a, u in weights:
                for b, v in weights:
                    moved = at.copy()
                    moved[i] += a * step[i]
                    moved[j] += b * step[j]
                    total += u * v * function(moved)
            bends[i, j] = bends[j, i] = -total / (step[i] * step[j])
    return bends


def gaussians(v, x):
    """Two Gaussians in two columns: a share, means, and covariances by their three entries."""
    matrix = [np.array([[s[0], s[1]], [s[1], s[2]]]) for s in (v[5:8], v[8:11])]
    first = v[0] * multivariate_normal(v[1:3], matrix[0]).pdf(x)
    return np.log(first + (1 - v[0]) * multivariate_normal(v[3:5], matrix[1]).pdf(x)).sum()


def poissons(v, x):
    return np.log(v[0] * poisson.pmf(x[:, 0], v[1]) + (1 - v[0]) * poisson.pmf(x[:, 0], v[2])).sum()


def bernoullis(v, x):
    p = v[1:].reshape(2, -1)
    each = [np.prod(np.where(x == 1, row, 1 - row), axis=1) for row in p]
    return np.log(v[0] * each[0] + (1 - v[0]) * each[1]).sum()


def one_factor(v, x):
    d = x.shape[1]
    covariance = np.outer(v[d : 2 * d], v[d : 2 * d]) + np.diag(v[2 * d :])
    return multivariate_normal(v[:d], covariance).logpdf(x).sum()


def chain(v, x):
    """Two Poisson states: the two probabilities of staying, and rates; the first row is of the first state."""
    transitions = np.array([[v[0], 1 - v[0]], [1 - v[1], v[1]]])
    ahead, total = np.array([1.0, 0.0]), 0.0
    for row in x[:, 0]:
        ahead = ahead * poisson.pmf(row, v[2:])
        total += np.log(ahead.sum())
        ahead = ahead / ahead.sum() @ transitions
    return total


def linkage(v, x):
    p = v[0]
    return float(x[0] @ np.log([0.5 + p / 4, (1 - p) / 4, (1 - p) / 4, p / 4]))


class Linkage(lem.LatentModel):
    """Dempster, Laird and Rubin (1977), section 1, as a user would write it: one number, and no more than EM needs."""

    def posterior(self, params, chunk):
        share = params / (2 + params)
        return lem.LabelPosterior([[1 - share, share]], [chunk[0, 0]])

    def statistics(self, chunk, posterior):
        first, second = posterior.counts()[0]
        return np.array([second + chunk[0, 3], chunk[0, 1] + chunk[0, 2], first])

    def log_joint(self, params, statistics):
        return float(statistics @ np.log([params / 4, (1 - params) / 4, 1 / 2]))

    def blocks(self):
        return [Block((), lambda statistics, params: self.first(statistics), lambda params: 1)]

    def first(self, statistics):
        return float(statistics[0] / statistics[:2].sum())


ANIMALS = np.array([[125.0, 18.0, 20.0, 34.0]])
GAUSSIAN = ["weights[0]", "means[0, 0]", "means[0, 1]", "means[1, 0]", "means[1, 1]"]
GAUSSIAN += [f"covariances[{j}, {i}]" for j in (0, 1) for i in ("0, 0", "1, 0", "1, 1")]
D = FACTORS.shape[1]
FACTOR = [
    *(f"mean[{i}]" for i in range(D)),
    *(f"loadings[{i}, 0]" for i in range(D)),
    *(f"noise[{i}]" for i in range(D)),
]
CASES = {
    "gaussian": (lem.GaussianMixture(2), FAITHFUL, gaussians, GAUSSIAN),
    "poisson": (
        lem.Mixture(lem.Poisson(), 2),
        deaths(),
        poissons,
        ["weights[0]", "components[0, 0]", "components[1, 0]"],
    ),
    "bernoulli": (
        lem.Mixture(lem.Bernoulli(), 2),
        (RNG.random((300, 4)) < np.where(RNG.random((300, 1)) < 0.6, [0.8, 0.7, 0.9, 0.8], [0.2, 0.4, 0.1, 0.3])) * 1.0,
        bernoullis,
        ["weights[0]", *(f"components[{j}, {i}]" for j in (0, 1) for i in range(4))],
    ),
    "factor": (lem.FactorAnalysis(1), FACTORS, one_factor, FACTOR),
    "chain": (
        lem.HiddenMarkov(lem.Poisson(), 2),
        STEPS,
        chain,
        ["transitions[0, 0]", "transitions[1, 1]", "emissions[0, 0]", "emissions[1, 0]"],
    ),
    "user": (Linkage(), ANIMALS, linkage, ["params"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_covariance_is_the_inverse_of_the_bend_of_the_log_likelihood(case):
    """The covariance is the inverse of minus the second derivatives of the log likelihood, written anew, to 1e-4."""
    model, x, likelihood, names = CASES[case]
    start = 0.5 if case == "user" else None
    fit = lem.fit(model, x, start=start, stop=TIGHT)
    if case == "chain" and fit.params.initial[0] < 0.5:
        likelihood = lambda v, x: chain(v[[1, 0, 3, 2]], x)  # noqa: E731 - the states are numbered the other way
    found = fit.uncertainty(x)
    at = [found.names.index(found[name].name) for name in names]
    covariance = found.covariance[np.ix_(at, at)]
    estimates, errors = found.estimates[at], found.standard_errors[at]
    bends = second(lambda v: likelihood(v, np.asarray(x, dtype=float)), estimates.copy(), 0.02 * errors)
    scale = np.outer(errors, errors)
    np.testing.assert_allclose(covariance / scale, np.linalg.inv(bends) / scale, atol=1e-4)


def test_one_gaussian_has_the_textbook_errors():
    """Of one Gaussian the mean has sd / root n, the variance variance x root 2/n, and nothing is missing."""
    x = RNG.normal(3, 2, (50, 1))
    found = lem.fit(lem.GaussianMixture(1), x).uncertainty(x)
    variance = x.var()
    np.testing.assert_allclose(found["means[0, 0]"].standard_error, np.sqrt(variance / 50), rtol=1e-6)
    np.testing.assert_allclose(found["covariances[0, 0, 0]"].standard_error, variance * np.sqrt(2 / 50), rtol=1e-6)
    assert abs(found.missing).max() < 1e-6
    low, high = found.interval(0.9)[found.names.index("components.covariances[0, 0, 0]")]
    reach = norm.ppf(0.95) * np.sqrt(2 / 50)
    np.testing.assert_allclose([low, high], variance * np.exp([-reach, reach]), rtol=1e-6)


def test_the_death_notices_to_many_digits():
    """The errors of Hasselblad's two Poissons are those of derivatives in fifty digits, to 1e-5."""
    x = deaths()
    fit = lem.fit(lem.Mixture(lem.Poisson(), 2), x, stop=TIGHT)
    found = fit.uncertainty(x)
    counts = np.bincount(x[:, 0])
    with mp.workdps(50):

        def likelihood(w, a, b):
            def of(rate, n):
                return mp.exp(-rate) * rate**n / mp.factorial(n)

            return sum(int(c) * mp.log(w * of(a, n) + (1 - w) * of(b, n)) for n, c in enumerate(counts))

        names = ["weights[0]", "components[0, 0]", "components[1, 0]"]
        at = tuple(mp.mpf(found[name].estimate) for name in names)
        orders = [[tuple((i == k) + (j == k) for k in range(3)) for j in range(3)] for i in range(3)]
        bends = mp.matrix([[-mp.diff(likelihood, at, order) for order in row] for row in orders])
        errors = [float(mp.sqrt((bends**-1)[i, i])) for i in range(3)]
    np.testing.assert_allclose([found[name].standard_error for name in names], errors, rtol=1e-5)


def test_the_rate_beside_it_is_that_of_em():
    """The largest fraction of missing information is the ratio of two successive plain steps near the maximum."""
    model = lem.GaussianMixture(2)
    fit = lem.fit(model, FAITHFUL, stop=TIGHT)
    ends = fit.params
    start = model.params([0.6, 0.4], ends.components.means, ends.components.covariances)
    path = [s.params.weights[0] for s in lem.EM(stop=TIGHT).iterate(model, start, FAITHFUL)]
    moves = np.diff(path)
    assert fit.uncertainty(FAITHFUL).missing[-1] == pytest.approx(moves[6] / moves[5], abs=2e-3)
    assert "which is the rate of EM" in str(fit.uncertainty(FAITHFUL))


@pytest.mark.parametrize("structure", ["EEV", "EVI"])
def test_covariances_that_share_something_move_together(structure):
    """The log det that two covariances apart share is known to root 2 d / n, as pooled rows of one Gaussian know it."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=(60, 2)) * [1, 3], 100 + rng.normal(size=(40, 2)) * [3, 1]])
    fit = lem.fit(lem.GaussianMixture(2, structure=lem.structure(structure)), x, stop=TIGHT)

    def log_det(params):
        one = params.components.covariances[0]
        return np.log(np.linalg.det(one) if one.ndim == 2 else one.prod())

    found = fit.uncertainty(x)
    assert found.chart.size == fit.n_parameters < len(found.names)
    np.testing.assert_allclose(found.of(log_det).standard_errors, np.sqrt(4 / 100), rtol=1e-4)
    again = pickle.loads(pickle.dumps(found))
    assert np.array_equal(again.of(log_det).standard_errors, found.of(log_det).standard_errors)


def test_functions_of_parameters_by_the_delta_method():
    """The error of a difference is that of the covariance, and a mapping gives names."""
    fit = lem.fit(lem.GaussianMixture(2), FAITHFUL, stop=TIGHT)
    found = fit.uncertainty(FAITHFUL)
    i, j = found.names.index("components.means[0, 0]"), found.names.index("components.means[1, 0]")
    c = found.covariance
    gap = found.of(lambda params: {"gap": params.components.means[0, 0] - params.components.means[1, 0]})
    assert gap.names == ("gap",)
    np.testing.assert_allclose(gap.standard_errors[0] ** 2, c[i, i] + c[j, j] - 2 * c[i, j], rtol=1e-8)


def test_names_of_matrices_and_parts():
    """A matrix of two columns has three numbers and stays symmetric, and the parts of a product have theirs."""
    fit = lem.fit(lem.GaussianMixture(1), FAITHFUL)
    entry = find(fit.model, fit.params, "covariances[0, 1, 0]")
    covariance = entry.changed(10.0).components.covariances[0]
    assert np.array_equal(covariance, covariance.T)
    assert len([one for one in numbers(fit.model, fit.params) if one.path[-1] == "covariances"]) == 3
    product = lem.Mixture(lem.Product(lem.Gaussian().on(0), lem.Exponential().on(1)), 1)
    found = lem.fit(product, FAITHFUL).uncertainty(FAITHFUL)
    assert {name.rpartition("[")[0] for name in found.names} == {
        "components.0.means",
        "components.0.covariances",
        "components.1",
    }
    np.testing.assert_allclose(
        found["1[0, 0]"].standard_error, found["1[0, 0]"].estimate / np.sqrt(len(FAITHFUL)), rtol=1e-6
    )


def test_bare_chunks_are_only_for_the_information():
    """A chunk that is a bare array takes no weights: bootstraps say so, and name the method that does without."""
    fit = lem.fit(Linkage(), ANIMALS, start=0.5)
    for method in ("weighted", "nonparametric", "jackknife"):
        with pytest.raises(lem.Unavailable, match=r'take no weights.*method="information"'):
            fit.uncertainty(ANIMALS, method)
    with pytest.raises(lem.Unavailable, match="has no sample"):
        fit.uncertainty(ANIMALS, "parametric")


def test_data_in_a_file(tmp_path):
    """A file that is read chunk by chunk gives the errors of the table in memory."""
    np.save(tmp_path / "rows.npy", FAITHFUL)
    fit = lem.fit(lem.GaussianMixture(2), FAITHFUL)
    read = fit.uncertainty(tmp_path / "rows.npy")
    np.testing.assert_allclose(read.covariance, fit.uncertainty(FAITHFUL).covariance, rtol=1e-5, atol=1e-9)


def test_what_is_held_has_no_error():
    """Held blocks and components are not among the names, and the others are as if theirs were known."""
    model = lem.GaussianMixture(2, weights=lem.Fixed([0.4], components=[0]), means=lem.Fixed())
    start = lem.GaussianMixture(2).params(
        [0.4, 0.6], [[2.0, 54.0], [4.3, 80.0]], np.tile(np.diag([0.1, 30.0]), (2, 1, 1))
    )
    found = lem.fit(model, FAITHFUL, start=start).uncertainty(FAITHFUL)
    assert all(name.startswith("components.covariances") for name in found.names)
    assert len(found.names) == 6


def test_numbers_at_an_edge_are_said_and_left_out():
    """A probability of one has no standard error, an event names it, and the others are those of a model without."""
    rng = np.random.default_rng(2)
    x = (rng.random((200, 4)) < np.where(rng.random((200, 1)) < 0.5, [1.0, 0.7, 0.8, 0.6], [0.3, 0.2, 0.3, 0.1])) * 1.0
    fit = lem.fit(lem.Mixture(lem.Bernoulli(), 2), x, stop=TIGHT)
    j = int(fit.params.components[:, 0].argmax())
    assert fit.params.components[j, 0] > 1 - 1e-12
    found = fit.uncertainty(x)
    assert f"components[{j}, 0]" not in found.names
    assert [event.kind for event in found.events] == ["edge"]
    assert f"components[{j}, 0]" in found.events[0].message
    assert np.isfinite(found.covariance).all()


def test_loadings_that_may_be_turned():
    """Of two factors the noise, which no turn changes, has the errors of the likelihood; all is finite."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(300, 6)) * 0.6
    fit = lem.fit(lem.FactorAnalysis(2), x, stop=TIGHT)
    found = fit.uncertainty(x)
    other = fit.params.loadings @ [[0.6, 0.8], [-0.8, 0.6]]
    turned = lem.Fit.of(fit.model, fit.model.params(fit.params.mean, other, fit.params.noise), x).uncertainty(x)
    noise = [i for i, name in enumerate(found.names) if name.startswith("noise")]
    np.testing.assert_allclose(turned.standard_errors[noise], found.standard_errors[noise], rtol=1e-3)
    assert found.chart.size == fit.n_parameters


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lem.KMeans(2), "no smooth and exact posterior"),
        (lem.Hard(lem.GaussianMixture(2)), "no smooth and exact posterior"),
        (lem.Tempered(lem.GaussianMixture(2), 0.7), "no smooth and exact posterior"),
    ],
)
def test_a_jumping_posterior_is_refused(model, words):
    """Models whose posterior jumps, or is not exact, have no observed information, and an error says so."""
    fit = lem.fit(model, FAITHFUL, n_starts=2)
    with pytest.raises(lem.Unavailable, match=words):
        fit.uncertainty(FAITHFUL)


def test_a_fit_that_is_no_maximum_is_said_or_refused():
    """A covariance at its floor is an error; parameters off the maximum are an event with the nats that are missing."""
    x = np.concatenate([FAITHFUL, np.tile(FAITHFUL[:1], (30, 1))])
    spike = lem.GaussianMixture(2).params([0.9, 0.1], [x.mean(axis=0), x[0]], [np.cov(x.T), 1e-6 * np.cov(x.T)])
    fit = lem.fit(lem.GaussianMixture(2), x, start=spike)
    assert "floor" in {event.kind for event in fit.events}
    with pytest.raises(ValueError, match="no maximum inside its parameters"):
        fit.uncertainty(x)
    ends = lem.fit(lem.GaussianMixture(2), FAITHFUL)
    near = lem.GaussianMixture(2).params([0.6, 0.4], ends.params.components.means, ends.params.components.covariances)
    events = lem.Fit.of(ends.model, near, FAITHFUL).uncertainty(FAITHFUL).events
    assert [event.kind for event in events] == ["unconverged"]
    assert "has not converged" in events[0].message
