"""Likelihood and convergence: what a result reports is true, and slow is not converged."""

import attrs
import numpy as np
import pytest
from independent import log_joint_by_scipy
from scipy.special import logsumexp
from subjects import SOON, STRUCTURES, clusters, deaths

import latentem as lem
from latentem.transform import SamePosterior


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("max_steps", [0, 1, 7, 10_000])
def test_figures_are_those_of_the_returned_parameters(structure, max_steps):
    """Log likelihood, bound, AIC and BIC of a run, ended early or not, are scipy's at its parameters."""
    x = clusters()
    model = lem.GaussianMixture(2, structure=structure)
    start = (x[:, 0] > 2.5).astype(int)
    if max_steps < 10_000:
        with pytest.warns(lem.ConvergenceWarning, match="max steps"):
            fit = lem.fit(model, x, start=start, max_steps=max_steps)
        assert fit.status.ending is lem.run.Ending.MAX_STEPS
    else:
        fit = lem.fit(model, x, start=start)
        assert fit.converged
    expected = logsumexp(log_joint_by_scipy(fit.params, x), axis=1).sum()
    p = {lem.Full: 6, lem.Diagonal: 4, lem.Spherical: 2}
    p = p[type(structure.each)] // 2 if isinstance(structure, lem.Tied) else p[type(structure)]
    p += 4 + 1
    assert fit.n_parameters == p
    assert fit.log_likelihood == pytest.approx(expected, abs=1e-9)
    assert fit.bound == pytest.approx(expected, abs=1e-9)
    assert fit.objective == pytest.approx(expected, abs=1e-9)
    assert fit.aic == pytest.approx(2 * p - 2 * expected, abs=1e-9)
    assert fit.bic == pytest.approx(p * np.log(300) - 2 * expected, abs=1e-9)
    np.testing.assert_allclose(fit.score_samples(x).sum(), expected, atol=1e-9)


def test_weighted_figures_are_those_of_the_returned_parameters():
    """With sample weights the log likelihood is scipy's, each row times its weight; n in BIC is their sum."""
    x, weight = clusters(), np.random.default_rng(1).uniform(0, 3, 300)
    fit = lem.fit(lem.GaussianMixture(2), x, weights=weight, n_starts=2)
    expected = weight @ logsumexp(log_joint_by_scipy(fit.params, x), axis=1)
    assert fit.log_likelihood == pytest.approx(expected, abs=1e-9)
    assert fit.bound == pytest.approx(expected, abs=1e-9)
    assert fit.bic == pytest.approx(11 * np.log(weight.sum()) - 2 * expected, abs=1e-9)


def test_hard_bound_is_the_classification_likelihood():
    """K-means reports the bound and inertia of its centres, as numpy computes them from labels."""
    x = clusters()
    fit = lem.fit(lem.KMeans(3), x, n_starts=3)
    centres, variance = fit.params.components.means, float(fit.params.components.covariances)
    squares = ((x[:, None] - centres) ** 2).sum(axis=2)
    inertia = squares.min(axis=1).sum()
    bound = -inertia / (2 * variance) - len(x) * (np.log(2 * np.pi * variance) + np.log(3))
    assert fit.inertia == pytest.approx(inertia, rel=1e-12)
    assert fit.bound == pytest.approx(bound, rel=1e-12)
    np.testing.assert_array_equal(fit.predict(x), squares.argmin(axis=1))


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("prior", [lem.Floor(), None, lem.InverseWishart(0.5, 3), lem.PseudoCounts(2)], ids=str)
def test_objective_never_falls(structure, prior):
    """Bound + log prior, recomputed from the record, rises at every step up to rounding."""
    fit = lem.fit(lem.GaussianMixture(3, structure=structure, prior=prior), clusters(seed=3), n_starts=1, stop=SOON)
    history = fit.history
    slack = 1e-10 * (300 + np.abs(history.expected_log_joint) + np.abs(history.entropy))
    assert (np.diff(history.bound + history.log_prior) >= -slack[1:]).all()
    assert len(history) > 3


def test_death_notices_default_rule_reaches_the_published_maximum():
    """Hasselblad's two Poissons from (.5, 1, 3): the default rule goes on to the digits of the reference."""
    model = lem.Mixture(lem.Poisson(), 2)
    fit = lem.fit(model, deaths(), start=model.params([0.5, 0.5], [[1.0], [3.0]]))
    order = np.argsort(fit.params.components[:, 0])
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-1989.945859883, abs=1e-7)
    np.testing.assert_allclose(fit.params.components[order, 0], [1.2560951, 2.6634044], rtol=1e-4)
    assert fit.params.weights[order[0]] == pytest.approx(0.3598854, rel=1e-4)


def test_death_notices_gain_rule_stops_early():
    """The rule of other libraries, mean gain below 1e-6, ends within 20 steps, a fifth off; it is offered and named."""
    model = lem.Mixture(lem.Poisson(), 2)
    start = model.params([0.5, 0.5], [[1.0], [3.0]])
    fit = lem.fit(model, deaths(), start=start, stop=lem.gain_below(1e-6), accelerate=None)
    assert fit.history[-1].index <= 20
    assert abs(fit.params.weights[0] / 0.3598854 - 1) > 0.15


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (lem.GaussianMixture(2), lem.datasets.old_faithful()),
        (lem.GaussianMixture(2, structure=lem.Tied()), clusters()),
        (lem.GaussianMixture(2, structure=lem.Diagonal()), clusters(40, 3, 5)),
        (lem.KMeans(2), clusters()),
        (lem.Mixture(lem.Poisson(), 2), deaths()),
    ],
    ids=["full", "tied", "diagonal", "k-means", "poisson"],
)
def test_ten_copies_take_the_same_steps(model, x):
    """The stop rule is per observation: ten copies of the data take the same plain steps to the same parameters."""
    start = (x[:, 0] > np.median(x[:, 0])).astype(int)
    once = lem.fit(model, x, start=start, stop=SOON, accelerate=None)
    ten = lem.fit(model, np.tile(x, (10, 1)), start=np.tile(start, 10), stop=SOON, accelerate=None)
    assert len(once.history) == len(ten.history)
    np.testing.assert_allclose(ten.params.weights, once.params.weights, rtol=1e-9)
    assert ten.bound == pytest.approx(10 * once.bound, rel=1e-11)


@attrs.frozen
class WrongBlock(SamePosterior):
    """A model whose means block, or weights block, is no maximiser."""

    inner: object
    name: str

    def blocks(self):
        def spoilt(block):
            if block.path[-1] != self.name:
                return block
            wrong = {"means": lambda value: value + 3, "weights": lambda value: value[::-1].copy()}[self.name]
            return attrs.evolve(block, maximize=lambda s, p: wrong(block.maximize(s, p)))

        return [spoilt(block) for block in self.inner.blocks()]


@pytest.mark.parametrize("name", ["means", "weights"])
def test_block_that_is_no_maximiser_is_named(name):
    """A block that lowers the objective ends the run, not converged, with the half step and the block in the status."""
    x = clusters()[:230]
    model = WrongBlock(lem.GaussianMixture(2, covariances=lem.Fixed()), name)
    start = lem.GaussianMixture(2).params([0.6, 0.4], [[0, 0], [4, 4]], [np.eye(2), 2 * np.eye(2)])
    with pytest.warns(lem.ConvergenceWarning, match="objective fell"):
        fit = lem.fit(model, x, start=start)
    assert not fit.converged
    assert fit.status.ending is lem.run.Ending.OBJECTIVE_FELL
    assert "M half" in fit.status.sentence
    assert name in fit.status.sentence
    expected = logsumexp(log_joint_by_scipy(fit.params, x), axis=1).sum()
    assert fit.log_likelihood == pytest.approx(expected, abs=1e-9)
    assert fit.bound == pytest.approx(expected, abs=1e-9)
