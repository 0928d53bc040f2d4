"""Recordings of EM: every half step, its books, and the lines through its parameters."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from subjects import FAITHFUL, blobs, deaths

import latentem as lem
from latentem.teaching import Line, lines

IRIS = lem.datasets.iris()
MODEL = lem.GaussianMixture(2)


def joint(params, x):
    """log p(x, z) of each row and component by scipy, shape (n, k)."""
    each = zip(params.weights, params.components.means, params.components.covariances, strict=True)
    return np.stack([np.log(w) + multivariate_normal(m, c).logpdf(x) for w, m, c in each], axis=1)


def test_the_books_of_each_half_step_are_those_of_plain_numpy():
    """Q, H, A, the log evidence and KL of every frame agree with sums over rows of scipy's densities."""
    trace = lem.record(MODEL, FAITHFUL, steps=4, rng=3)
    assert [frame.kind for frame in trace] == ["start", *"EMEMEMEME"]
    assert [frame.index for frame in trace] == list(range(10))
    for frame in trace[1:]:
        at_q, at = joint(frame.q_params, FAITHFUL), joint(frame.params, FAITHFUL)
        q = np.exp(at_q - np.logaddexp.reduce(at_q, axis=1, keepdims=True))
        evidence = np.logaddexp.reduce(at, axis=1)
        assert np.allclose(trace.responsibilities(frame.index), q, rtol=0, atol=1e-10)
        assert frame.expected_log_joint == pytest.approx((q * at).sum(), abs=1e-8)
        assert frame.entropy == pytest.approx(-(q * np.log(q)).sum(), abs=1e-8)
        assert frame.log_evidence == pytest.approx(evidence.sum(), abs=1e-8)
        divergence = (q * (np.log(q) - at + evidence[:, None])).sum()
        assert frame.gap == pytest.approx(divergence, abs=1e-8)
    assert np.allclose(np.diff(trace.objective[1:]), trace.gain[2:], rtol=0, atol=1e-8)
    assert (trace.gain[2:] > 0).all()


SUBJECTS = {
    "gaussians": (lem.GaussianMixture(3), IRIS, {}),
    "poissons": (lem.Mixture(lem.Poisson(), 2), deaths(), {}),
    "k-means": (lem.KMeans(3), FAITHFUL, {}),
    "a chain": (lem.HiddenMarkov(lem.Gaussian(), 2), FAITHFUL, {"n_starts": 2}),
    "factors": (lem.FactorAnalysis(1), FAITHFUL, {"n_starts": 1}),
    "hard": (lem.Hard(MODEL), blobs(), {}),
    "one start": (lem.Mixture(lem.Poisson(), 2), deaths(), {"n_starts": 1}),
    "weights": (MODEL, FAITHFUL, {"weights": np.arange(272) % 3 + 1.0}),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_fit_is_recorded_to_its_last_bit(name):
    """The best run of a fit, run again from its start, has its history, half for half, and its parameters."""
    model, data, options = SUBJECTS[name]
    fit = lem.fit(model, data, **options)
    trace = lem.record(fit, data, weights=options.get("weights"))
    assert trace[-1].params == fit.params
    assert trace.status == fit.status
    after_e = [frame for frame in trace if frame.kind == "E"]
    assert [frame.bound for frame in after_e] == fit.history.bound.tolist()
    assert [frame.entropy for frame in after_e] == fit.history.entropy.tolist()
    assert [frame.how for frame in trace if frame.kind == "M"] == [step.kind for step in fit.history[1:]]


def test_k_means_lowers_the_distortion_in_each_half():
    """J is the sum of squared distances to the assigned centres, by numpy, and neither half raises it."""
    trace = lem.record(lem.KMeans(4), FAITHFUL, rng=1)
    for frame in trace[1:]:
        before, now = frame.q_params.components.means, frame.params.components.means
        labels = ((FAITHFUL[:, None] - before) ** 2).sum(axis=2).argmin(axis=1)
        assert frame.distortion == pytest.approx(((FAITHFUL - now[labels]) ** 2).sum(), rel=1e-12)
    assert (np.diff(trace.distortion[1:]) <= 1e-9).all()
    assert len(trace) > 4


def test_recording_keeps_no_copy_of_the_data():
    """A trace holds the parameters of its frames, and views of the rows that were given."""
    x = np.ascontiguousarray(FAITHFUL)
    trace = lem.record(MODEL, x, steps=2)
    assert sum(len(chunk) for chunk in trace.chunks) == 272
    assert not any(isinstance(value, np.ndarray) for frame in trace for value in attrs.astuple(frame, recurse=False))


TOUCHING = {
    "gaussians": (MODEL, FAITHFUL, ["components.means[0, 1]", "log components.covariances[1, 0, 0]", "weights[0]"]),
    "poissons": (lem.Mixture(lem.Poisson(), 2), deaths(), ["components[0, 0]", "log components[1, 0]", "weights[1]"]),
    "a chain": (lem.HiddenMarkov(lem.Gaussian(), 2), FAITHFUL[:100], ["transitions[0, 1]", "emissions.means[1, 0]"]),
    "factors": (lem.FactorAnalysis(1), FAITHFUL, ["loadings[0, 0]", "log noise[1]"]),
    "spheres": (lem.GaussianMixture(2, structure=lem.Spherical()), FAITHFUL, ["log covariances[0]", "weights[0]"]),
}


@pytest.mark.parametrize("name", TOUCHING)
@pytest.mark.parametrize("frame", [1, 4])
def test_the_bound_touches_the_log_likelihood_from_below(name, frame):
    """Along each line A(., theta old) meets the log likelihood at theta old to 1e-9, and is above it nowhere."""
    model, data, names = TOUCHING[name]
    trace = lem.record(model, data, steps=3)
    for line in ["next", *names]:
        found = trace.tangent(frame, line, points=201)
        assert len(found.places) > 100
        assert abs(found.touching) <= 1e-9
        assert (found.log_likelihood - found.bound >= -1e-9).all()
        assert found.log_likelihood.max() - found.bound.min() > 0.01  # there is something to see


def test_a_line_changes_one_number_and_what_hangs_on_it():
    """Of shares the others keep their proportions, of a covariance the correlations stay, and the ends are as said."""
    params = lem.GaussianMixture(3).params(
        [0.2, 0.3, 0.5], IRIS[[0, 60, 120]], [np.cov(IRIS.T), np.cov(IRIS[:50].T), np.cov(IRIS[50:].T)]
    )
    model = lem.GaussianMixture(3)
    share = Line.along(model, params, "weights[0]").make(0.6)
    assert np.allclose(share.weights, [0.6, 0.15, 0.25])
    wide = Line.along(model, params, "log components.covariances[1, 2, 2]").make(np.log(7.0))
    before, after = params.components.covariances, wide.components.covariances
    assert after[1, 2, 2] == pytest.approx(7.0)
    spread = np.sqrt(np.einsum("kii->ki", after))
    assert np.allclose(after[1] / np.outer(spread[1], spread[1]), np.corrcoef(IRIS[:50].T))
    assert (after[[0, 2]] == before[[0, 2]]).all()
    halfway = Line.towards(params, wide).make(0.5)
    assert np.allclose(halfway.components.covariances, (before + after) / 2)


def test_lines_are_those_that_an_m_half_sets():
    """K-means moves its centres only, a mixture with held weights no weight."""
    trace = lem.record(lem.KMeans(2), FAITHFUL, steps=1)
    assert lines(trace.model, trace[0].params) == [f"components.means[{j}, {i}]" for j in (0, 1) for i in (0, 1)]
    held = lem.GaussianMixture(2, weights=lem.Fixed.uniform())
    assert not any("weights" in name for name in lines(held, lem.record(held, FAITHFUL, steps=1)[0].params))


def test_errors_say_what_to_do():
    """What cannot be recorded, or drawn a tangent of, is refused with what is allowed."""
    trace = lem.record(MODEL, FAITHFUL, steps=1)
    with pytest.raises(ValueError, match=r"frame 0 is the start"):
        trace.responsibilities(0)
    with pytest.raises(ValueError, match=r"'means\[9, 9\]' is no number in these parameters: give one of weights\[0\]"):
        trace.tangent(1, "means[9, 9]")
    moved = MODEL.params([0.5, 0.5], [[-1.0, 50.0], [4.0, 80.0]], [np.diag([1.0, 100.0])] * 2)
    with pytest.raises(ValueError, match=r"which has no logarithm: give its name without log"):
        Line.along(MODEL, moved, "log components.means[0, 0]")
    with pytest.raises(ValueError, match=r"no M half follows frame 3"):
        trace.tangent(3, "next")
    with pytest.raises(ValueError, match=r"points was given as 2: give a whole number, at least 3"):
        trace.tangent(1, "next", points=2)
    with pytest.raises(TypeError, match=r"only EM has half steps"):
        lem.record(MODEL, FAITHFUL, runner=lem.Incremental())
    with pytest.raises(ValueError, match=r"steps was given as -1: give a whole number of steps"):
        lem.record(MODEL, FAITHFUL, steps=-1)
    with pytest.raises(TypeError, match=r"model was given as 2"):
        lem.record(2, FAITHFUL)
    fit = lem.fit(MODEL, FAITHFUL)
    with pytest.raises(ValueError, match=r"could not be repeated: give the data, weights and labels of the fit"):
        lem.record(fit, FAITHFUL[:200])
    with pytest.raises(ValueError, match=r"start was given beside a fit"):
        lem.record(fit, FAITHFUL, start=fit.params)
    factors = lem.record(lem.FactorAnalysis(1), FAITHFUL, steps=1)
    with pytest.raises(lem.Unavailable, match=r"no probabilities of labels"):
        factors.responsibilities(1)
    with pytest.raises(AttributeError, match=r"a trace has no column 'kl': it has expected_log_joint"):
        trace.kl  # noqa: B018  the access is what fails


def test_a_model_without_a_density_is_recorded_and_has_no_tangent():
    """Its frames have Q, H and A, no log evidence and no KL, and a tangent says what is missing."""

    @attrs.frozen
    class Quiet(lem.transform.Transformed):
        inner: lem.LatentModel = MODEL

        def posterior(self, params, chunk):
            return self.inner.posterior(params, chunk)

        def log_evidence(self, params, chunk):
            raise lem.Unavailable("Quiet has no log_evidence")

    trace = lem.record(Quiet(), FAITHFUL, steps=2)
    assert np.isnan(trace.log_evidence).all()
    assert trace[1].gap is None
    assert (np.diff(trace.bound[1:]) > 0).all()
    with pytest.raises(lem.Unavailable, match="Quiet has no log_evidence"):
        trace.tangent(1, "next")
