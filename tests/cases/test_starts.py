"""Starts: saddles, spikes, and restarts that do not depend on each other."""

import numpy as np
import pytest
from independent import log_joint_by_scipy
from scipy.special import logsumexp
from subjects import SOON, STRUCTURES, clusters, deaths

import latentem as lem


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_identical_components_are_an_event(structure):
    """Two equal components at the start are a saddle that EM cannot leave: an event names them."""
    x = clusters()
    model = lem.GaussianMixture(3, structure=structure)
    whole = structure.shape(3, 2)
    one = np.ones(whole) if "Full" not in str(structure) else np.broadcast_to(np.eye(2), whole)
    start = model.params([0.3, 0.3, 0.4], [[0, 1], [4, 4], [0, 1]], 2 * one)
    fit = lem.fit(model, x, start=start)
    coincident = [event for event in fit.events if event.kind == "coincident"]
    assert len(coincident) == 1
    assert "0 and 2" in coincident[0].message
    assert coincident[0].step == 0
    assert "start" in coincident[0].remedy
    np.testing.assert_allclose(fit.params.components.means[0], fit.params.components.means[2])


def test_identical_poisson_components_are_an_event():
    """Equal rates at the start are a coincident event for a Poisson mixture too, rates of zero included."""
    model = lem.Mixture(lem.Poisson(), 2)
    x = np.concatenate([deaths(), np.zeros((1096, 1), int)], axis=1)
    fit = lem.fit(model, x, start=model.params([0.5, 0.5], [[2.0, 0.0], [2.0, 0.0]]))
    assert [event.kind for event in fit.events] == ["coincident"]
    assert np.isfinite(fit.log_likelihood)


def test_components_that_differ_only_in_a_column_of_small_unit_are_not_coincident():
    """Means alike and variances alike in the large unit: components that differ in the small one are two."""
    x = np.random.default_rng(0).normal(size=(300, 2)) * [1e-6, 1e6]
    x[::2, 0] *= 5
    for structure, one in ((lem.Diagonal(), lambda v: v), (lem.Full(), np.diag)):
        model = lem.GaussianMixture(2, structure=structure)
        wide = [one(np.array([1e-12, 1e12])), one(np.array([25e-12, 1e12]))]
        with pytest.warns(lem.ConvergenceWarning):
            fit = lem.fit(model, x, start=model.params([0.5, 0.5], np.zeros((2, 2)), wide), max_steps=0)
        assert fit.events == (), structure


def test_two_point_start_without_prior_names_the_component():
    """The likelihood is unbounded at x = 3: without a prior the run ends sound, naming component 1."""
    model = lem.GaussianMixture(2, structure=lem.Spherical(), weights=lem.Fixed.uniform(), prior=None)
    x = np.array([[-1.0], [1.0], [3.0]])
    start = model.params([0.5, 0.5], [[0.0], [3.0]], [1.0, 1e-4])
    with pytest.warns(lem.ConvergenceWarning):
        at_start = lem.fit(model, x, start=start, max_steps=0)
    assert at_start.log_likelihood == pytest.approx(-1.23097587151041, abs=1e-12)
    with pytest.warns(lem.ConvergenceWarning, match="component 1"):
        fit = lem.fit(model, x, start=start)
    assert fit.status.ending is lem.run.Ending.DEGENERATE
    assert np.isfinite(fit.log_likelihood)
    assert (fit.params.components.covariances > 0).all()


@pytest.mark.parametrize("structure", [lem.Full(), lem.Diagonal(), lem.Spherical()], ids=str)
def test_two_point_start_with_the_default_prior_is_finite(structure):
    """With the default floor the two-point start ends finite, with a floor event on component 1, at eps times V."""
    model = lem.GaussianMixture(2, structure=structure, weights=lem.Fixed.uniform())
    shape = structure.shape(2, 1)
    start = model.params([0.5, 0.5], [[0.0], [3.0]], np.reshape([1.0, 1e-4], shape))
    fit = lem.fit(model, np.array([[-1.0], [1.0], [3.0]]), start=start)
    assert np.isfinite(fit.log_likelihood)
    assert any(event.kind == "floor" and event.component == 1 for event in fit.events)
    assert fit.params.components.covariances.ravel()[1] == pytest.approx(1e-8 * 8 / 3, rel=1e-6)
    np.testing.assert_array_equal(fit.params.weights, [0.5, 0.5])


def test_degenerate_restart_loses_no_other():
    """Without a prior some starts collapse: each is reported as degenerate, and the best of the others is returned."""
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(0, 1, (25, 2)), rng.normal(5, 1, (25, 2)), np.full((3, 2), 9.0)])
    fit = lem.fit(lem.GaussianMixture(3, prior=None), x, n_starts=12, stop=SOON)
    endings = [report.status.ending for report in fit.starts]
    assert len(fit.starts) == 12
    assert lem.run.Ending.DEGENERATE in endings
    assert fit.converged
    assert all(report.status.sentence for report in fit.starts)
    assert logsumexp(log_joint_by_scipy(fit.params, x), axis=1).sum() == pytest.approx(fit.log_likelihood, abs=1e-9)


@pytest.mark.parametrize("model", [lem.GaussianMixture(3), lem.KMeans(4), lem.Mixture(lem.Poisson(), 2)], ids=str)
def test_restart_i_does_not_depend_on_how_many_there_are(model):
    """The first starts of 7 are those of 3, bit by bit, for any model and any kind of rng."""
    x = np.abs(np.round(clusters()))

    def begun(count, rng):
        seen = []

        def first(state, seen=seen):
            if state.step.index == 0:
                seen.append(state.params)

        lem.fit(model, x, n_starts=count, rng=rng, callback=first, stop=lem.movement_below(1e-3))
        return seen

    rngs = [
        lambda: 5,
        lambda: np.random.default_rng(5),
        lambda: np.random.RandomState(5),
        lambda: np.random.SeedSequence(5),
    ]
    for rng in rngs:
        few, many = begun(3, rng()), begun(7, rng())
        assert (len(few), len(many)) == (3, 7)
        assert few == many[:3]
