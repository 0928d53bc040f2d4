"""Noise: a component of constant density for outlying rows, beside Gaussians of any structure."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from subjects import FAITHFUL

import latentem as lem
from latentem.testing import check_model

RNG = np.random.default_rng(1990)
WIDE = np.ptp(FAITHFUL, axis=0) / 2
STRAY = RNG.uniform(FAITHFUL.min(axis=0) - WIDE, FAITHFUL.max(axis=0) + WIDE, (30, 2))
X = np.vstack([FAITHFUL, STRAY])
NOISY = lem.GaussianMixture(2, noise=True)


@pytest.fixture(scope="module")
def fit():
    return lem.fit(NOISY, X)


def log_joint(fit, x, volume):
    """log weight + log density of each row, written out: the Gaussians by scipy, and the volume."""
    weights, gaussians = fit.params.weights, fit.params.components.family
    each = [
        np.log(w) + stats.multivariate_normal(m, c).logpdf(x)
        for w, m, c in zip(weights, gaussians.means, gaussians.dense(), strict=False)
    ]
    return np.column_stack([*each, np.full(len(x), np.log(weights[-1] / volume))])


def em_by_hand(x, labels, volume, steps):
    """Textbook EM of Banfield and Raftery's model, from labels of which the last is noise."""
    k = labels.max()
    r = np.eye(k + 1)[labels]
    for _ in range(steps):
        n = r.sum(axis=0)
        means = (r.T @ x)[:k] / n[:k, None]
        joint = np.full((len(x), k + 1), np.log(n[k] / len(x) / volume))
        for j in range(k):
            centred = x - means[j]
            normal = stats.multivariate_normal(means[j], (r[:, j, None] * centred).T @ centred / n[j])
            joint[:, j] = np.log(n[j] / len(x)) + normal.logpdf(x)
        total = logsumexp(joint, axis=1)
        r = np.exp(joint - total[:, None])
    return total.sum(), means


def test_noise_among_gaussians_is_found(fit):
    """Of 30 rows scattered among Old Faithful's 272 those clear of the others are noise; the Gaussians stay."""
    labels, plain = fit.predict(X), lem.fit(lem.GaussianMixture(2), FAITHFUL)
    sds = np.sqrt(np.stack([np.diag(c) for c in plain.params.components.covariances]))
    gaussians = zip(plain.params.components.means, plain.params.components.covariances, strict=True)
    distances = [np.einsum("nd,de,ne->n", STRAY - m, np.linalg.inv(c), STRAY - m) for m, c in gaussians]
    away = np.min(distances, axis=0) > 4**2
    assert away.sum() >= 15
    assert (labels[272:][away] == 2).all()
    assert (labels[:272] == 2).sum() <= 5
    found, there = fit.params.components.family, plain.params.components
    one, other = np.argsort(found.means[:, 0]), np.argsort(there.means[:, 0])
    assert (np.abs(found.means[one] - there.means[other]) < 0.15 * sds[other]).all()
    assert np.sqrt(found.variances())[one] == pytest.approx(sds[other], rel=0.2)


def test_noise_is_fitted_as_by_hand(fit):
    """Log likelihood and means are those that textbook EM reaches with one over the volume of the bounding box."""
    volume = np.prod(np.ptp(X, axis=0))
    likelihood, means = em_by_hand(X, fit.predict(X), volume, 200)
    assert fit.log_likelihood == pytest.approx(likelihood, abs=1e-7)
    assert fit.params.components.family.means == pytest.approx(means, rel=1e-6)
    joint = log_joint(fit, X, volume)
    assert fit.predict_proba(X) == pytest.approx(np.exp(joint - logsumexp(joint, axis=1)[:, None]), abs=1e-9)


def test_no_noise_is_found_where_there_is_none():
    """Of rows without outliers none is noise, and the fit is as good, and as sound, as one without it."""
    rng = np.random.default_rng(2)
    x = np.vstack([rng.uniform(0, 1, (100, 2)), rng.uniform(5, 6, (100, 2))])
    fit, plain = (lem.fit(lem.GaussianMixture(2, noise=noise), x, n_starts=3) for noise in (True, False))
    assert fit.params.weights[2] < 1e-9
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert fit.events == ()


def test_the_weight_of_noise_is_a_parameter_more(fit):
    """BIC counts the Gaussians' numbers and the weight of noise, and nothing for its region."""
    assert fit.n_parameters == lem.fit(lem.GaussianMixture(2), FAITHFUL).n_parameters + 1
    assert fit.bic == pytest.approx(12 * np.log(302) - 2 * fit.log_likelihood)


@pytest.mark.parametrize("name", list(lem.ALL_STRUCTURES))
def test_structures_tie_the_gaussians_and_not_noise(name):
    """Noise goes with each of the fourteen structures, which has its own numbers and keeps what it ties."""
    structure = lem.ALL_STRUCTURES[name]
    start = np.r_[(FAITHFUL[:, 0] > 3).astype(int), np.full(30, 2)]
    fit = lem.fit(lem.GaussianMixture(2, structure, noise=True), X, start=start, stop=lem.remaining_below(1e-7))
    assert fit.n_parameters == structure.size(2, 2) + 4 + 2
    values = np.linalg.eigvalsh(fit.params.components.family.dense())
    volume = values.prod(axis=1)
    shape = values / np.sqrt(volume)[:, None]
    assert np.isclose(*volume, rtol=1e-4) == (name[0] == "E")
    assert np.allclose(*shape, rtol=1e-4) == (name[1] in "EI")
    assert fit.converged


def test_noise_keeps_the_contract():
    """A Gaussian beside noise keeps the contract of a model, with the evidence written out."""
    model = lem.GaussianMixture(1, noise=lem.Noise(-4, 6))
    params = model.params([0.8, 0.2], [[0.3]], [[[1.5]]])

    def evidence(params, chunk):
        family = params.components.family
        normal = stats.norm(family.means[0, 0], np.sqrt(family.covariances[0, 0, 0])).pdf(chunk.x[:, 0])
        return np.log(params.weights[0] * normal + params.weights[1] / 10)

    x = np.r_[np.random.default_rng(0).normal(0, 1, 20), -3.5, 5.0, 4.0][:, None]
    check_model(model, params, x, evidence=evidence)


def test_missing_cells_leave_noise_the_density_of_the_others(fit):
    """A row that lacks a cell has under noise one over the width of the column that is there; nothing, if none is."""
    low, high = fit.model.noise.low, fit.model.noise.high
    gaps = np.array([[np.nan, 70.0], [3.0, np.nan], [np.nan, np.nan]])
    at = lem.Noise(low, high)
    expected = [-np.log(high[1] - low[1]), -np.log(high[0] - low[0]), 0.0]
    assert at.log_density(at.params(), gaps)[:, 0] == pytest.approx(expected)
    x = X.copy()
    x[::7, 0] = np.nan
    found = lem.fit(NOISY, x, n_starts=3)
    assert found.params.components.family.means == pytest.approx(fit.params.components.family.means, rel=0.02)


def test_rows_far_from_all_that_was_fitted_are_noise(fit):
    """A row outside of the box has the density of noise; a Uniform has none there."""
    far = np.array([[40.0, 900.0]])
    assert fit.predict(far).tolist() == [2]
    expected = np.log(fit.params.weights[2] / np.prod(np.ptp(X, axis=0)))
    assert fit.score_samples(far)[0] == pytest.approx(expected)
    box = lem.Uniform(X.min(axis=0), X.max(axis=0))
    strict = lem.fit(lem.GaussianMixture(2, noise=box), X, start=fit.predict(X))
    assert strict.log_likelihood == pytest.approx(fit.log_likelihood)
    assert strict.predict(far).tolist() != [2]


def test_a_volume_is_that_of_a_box_of_the_same_proportions():
    """noise=V puts a box of volume V about the centre of the data, and the density of noise is 1/V."""
    fit = lem.fit(lem.GaussianMixture(2, noise=2000.0), X, n_starts=2)
    low, high = fit.model.noise.low, fit.model.noise.high
    assert np.prod(high - low) == pytest.approx(2000)
    assert (high - low)[0] / (high - low)[1] == pytest.approx(np.ptp(X, axis=0)[0] / np.ptp(X, axis=0)[1])
    assert low + high == pytest.approx(X.min(axis=0) + X.max(axis=0))
    joint = log_joint(fit, X, 2000.0)
    assert fit.log_likelihood == pytest.approx(logsumexp(joint, axis=1).sum())


def test_a_row_of_weight_zero_widens_no_region():
    """A row that does not count is as absent from the region of noise as from all else."""
    x, start = np.vstack([X, [[1e3, 1e4]]]), np.r_[X[:, 0] > 3, False].astype(int)
    with_it = lem.fit(NOISY, x, weights=np.r_[np.ones(302), 0.0], start=start)
    assert with_it.model.noise == lem.Noise(X.min(axis=0), X.max(axis=0))
    assert with_it.objective == pytest.approx(lem.fit(NOISY, X, start=start[:-1]).objective, abs=1e-9)


def test_noise_is_named_where_a_fit_is_shown(fit):
    """The printed table calls the last component noise, and so do a frame of it and the summary."""
    last = next(line for line in str(fit).splitlines() if line.startswith("noise"))
    assert last.split() == ["noise", f"{fit.params.weights[2]:.5g}", f"{fit.params.weights[2] * 302:.5g}"]
    assert fit.summary().names == ("0", "1", "noise")
    assert fit.to_frame("pandas")["component"].tolist() == ["0", "1", "noise"]
    assert "noise=Noise(" in repr(fit.model)


def test_noise_comes_back_from_a_file(fit, tmp_path):
    """A fit with noise that was saved, or pickled, labels and scores as it did."""
    fit.save(tmp_path / "noise.lem")
    for again in (lem.load(tmp_path / "noise.lem"), pickle.loads(pickle.dumps(fit))):
        assert again.model == fit.model
        assert (again.predict(X) == fit.predict(X)).all()
        assert (again.score_samples(X) == fit.score_samples(X)).all()


def test_files_and_engines_give_the_same_fit(fit, tmp_path):
    """The region is found chunk by chunk: a file, and one engine or another, give the fit of memory to the bit."""
    np.save(tmp_path / "rows.npy", X)
    given = {"start": fit.predict(X), "max_steps": 30}
    here = lem.fit(NOISY, X, engine=lem.Serial(), **given)
    for data, engine in ((X, lem.Threads(2)), (tmp_path / "rows.npy", lem.Serial())):
        there = lem.fit(NOISY, data, engine=engine, **given)
        assert there.model == here.model
        assert there.objective == here.objective
    chunks = [lem.Rows(part) for part in np.array_split(X, 5)]
    assert lem.fit(NOISY, chunks, **given).objective == pytest.approx(here.objective, abs=1e-9)


def test_known_noise_is_noise(fit):
    """Rows given as label k stay noise, and a start may say which rows are."""
    known = np.full(302, -1)
    known[[0, 5]] = 2
    held = lem.fit(NOISY, X, allowed=known, n_starts=2)
    assert held.predict_proba(X)[0].tolist() != [0, 0, 1]  # what is known is not told to predict
    assert held.expectation.statistics.weights[2] > fit.expectation.statistics.weights[2] + 1
    for start in (fit.predict(X), (X[:, 0] > 3).astype(int)):  # where no row is said to be noise, each may be
        assert lem.fit(NOISY, X, start=start).objective == pytest.approx(fit.objective, abs=1e-8)


def test_draws_have_their_share_of_noise(fit):
    """Draws labelled noise lie in the box, in the share of its weight; parameters given by hand are k means."""
    x, labels = fit.sample(4000, rng=1)
    assert (labels == 2).mean() == pytest.approx(fit.params.weights[2], abs=0.02)
    stray = x[labels == 2]
    assert (stray >= X.min(axis=0)).all()
    assert (stray <= X.max(axis=0)).all()
    assert np.ptp(stray, axis=0) == pytest.approx(np.ptp(X, axis=0), rel=0.05)
    gaussians = fit.params.components.family
    given = NOISY.params(fit.params.weights, gaussians.means, gaussians.covariances)
    assert lem.Fit.of(NOISY, given, X).log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)


@pytest.mark.parametrize("noise", ["wide", -1.0, 0, np.inf, np.nan, None])
def test_noise_that_is_none_is_refused(noise):
    """What is no volume and no box is refused when the model is made."""
    with pytest.raises(ValueError, match="noise was given as"):
        lem.GaussianMixture(2, noise=noise)


def test_data_without_a_volume_are_refused_by_column():
    """A constant column leaves the region without a volume: an error that names it; so does a model without data."""
    x = np.column_stack([FAITHFUL, np.ones(272)])
    with pytest.raises(ValueError, match=r"column 2 is constant .* no volume"):
        lem.fit(lem.GaussianMixture(2, lem.Spherical(), noise=True), x)
    params = NOISY.params([0.5, 0.4, 0.1], [[4, 80], [2, 54]], [np.eye(2)] * 2)
    with pytest.raises(ValueError, match="takes its region from data"):
        NOISY.posterior(params, FAITHFUL)
    with pytest.raises(ValueError, match="noise is beside all components"):
        lem.MixtureOf(lem.Noisy(lem.Gaussian(), lem.Noise(0, 1)), 2)
    with pytest.raises(ValueError, match="columns were given: the box"):
        lem.fit(lem.GaussianMixture(2, noise=lem.Noise([0], [9])), FAITHFUL)
