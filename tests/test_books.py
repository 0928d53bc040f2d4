"""The books balance: over random cases, at every half step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from independent import gaussian_log_joint, log_evidence, slack
from subjects import STRUCTURES

import latentem as lem

PRIORS = [lem.Floor(), None, lem.PseudoCounts(1.5), lem.InverseWishart(0.7, 5.0), lem.Floor(0.05)]
NAMES = ["weights", "means", "covariances"]
SUBSETS = [s for size in range(3) for s in itertools.combinations(NAMES, size)]


def random_case(seed):
    """Data, a model and a start: every structure, prior, frozen subset and assignment comes up."""
    rng = np.random.default_rng(seed)
    structure, hard = STRUCTURES[seed % 6], bool(seed // 6 % 2)
    prior, held = PRIORS[seed // 12 % 5], SUBSETS[int(rng.integers(len(SUBSETS)))]
    d = int(rng.integers(1, 5))
    k = d + int(rng.integers(1, 3))  # k differs from d, so that shapes tell the structures apart
    n = int(rng.integers(5 * (d + 1) * k, 200))
    offset, scale = 10.0 ** rng.integers(-2, 4), 10.0 ** rng.integers(-2, 3)
    x = offset + scale * (rng.normal(size=(n, d)) + 2 * rng.normal(size=(k, d))[rng.integers(k, size=n)])
    if isinstance(prior, lem.InverseWishart):
        prior = lem.InverseWishart(0.7 * scale**2, 5.0)
    model = lem.GaussianMixture(k, structure=structure, prior=prior)
    each = {2: np.eye(d), 1: np.ones(d), 0: np.array(1.0)}[len(structure.each.one(d))] * scale**2 * 3
    covariances = each if structure.tied else np.stack([each * (1 + 0.2 * j) for j in range(k)])
    start = model.params(rng.dirichlet(np.full(k, 5.0)), x[rng.choice(n, k, replace=False)], covariances)
    model = lem.Frozen(model, set(held)) if held else model
    return (lem.Hard(model) if hard else model), start, x, hard


@pytest.mark.parametrize("block", range(12))
def test_no_half_step_loses_and_the_bound_is_the_evidence(block):
    """Over 240 cases no half step loses, Q + H is scipy's log evidence (or classification log likelihood),
    and what the result reports is the bound of the parameters that it returns, to the bit."""
    for seed in range(20 * block, 20 * block + 20):
        model, start, x, hard = random_case(seed)
        states = list(lem.EM(max_steps=25).iterate(model, start, x))
        assert states[-1].status.ending is not lem.run.Ending.OBJECTIVE_FELL, (seed, str(states[-1].status))
        for before, state in itertools.pairwise([None, *states]):
            step, observations = state.step, state.expectation.observations
            allowed = slack(observations, step.expected_log_joint, step.entropy)
            joint = gaussian_log_joint(state.params, x)
            wanted = joint.max(axis=1).sum() if hard else log_evidence(joint)
            assert abs(step.bound - wanted) <= allowed, seed
            assert step.bound == step.expected_log_joint + step.entropy
            if before is not None and before.step.index < step.index:
                allowed = max(allowed, slack(observations, before.step.expected_log_joint, before.step.entropy))
                assert step.m_gain >= -allowed, seed
                assert step.e_gain >= -allowed, seed
                gained = step.objective - before.step.objective
                assert abs(step.m_gain + step.e_gain - gained) <= 2 * allowed, seed
        final = states[-1]
        again = lem.core.e_step(model, final.params, model.chunks(x))
        assert model.log_joint(final.params, again.statistics) + again.entropy == final.step.bound, seed


def test_the_gain_of_the_e_half_is_the_divergence_between_successive_posteriors():
    """e_gain is KL(old q || new q), summed over rows."""
    x = lem.datasets.old_faithful()
    model = lem.GaussianMixture(2)
    start = model.params([0.5, 0.5], [[3.0, 60.0], [4.0, 75.0]], [np.diag([1.0, 100.0])] * 2)
    states = list(itertools.islice(lem.EM().iterate(model, start, x), 6))
    for before, after in itertools.pairwise(states):
        old, new = (model.posterior(state.params, lem.Rows(x)).weights for state in (before, after))
        divergence = (old * (np.log(old) - np.log(new))).sum()
        assert after.step.e_gain == pytest.approx(divergence, abs=1e-9)


def test_a_block_that_is_no_maximiser_is_named():
    """When an M half loses, the run ends with a status that names the half and the block, and is not converged."""

    class Ridge(lem.transform.Transformed):
        inner = lem.GaussianMixture(2)

        def blocks(self):
            weights, means, covariances = self.inner.blocks()

            def ridge(statistics, params):
                return covariances.maximize(statistics, params) + 5.0 * np.eye(2)

            return [weights, means, lem.Block(covariances.path, ridge, covariances.size)]

    x = lem.datasets.old_faithful()
    start = lem.fit(lem.GaussianMixture(2), x).params
    with pytest.warns(lem.ConvergenceWarning, match=r"M half of step 1 lost .* block 'components.covariances'"):
        fit = lem.fit(Ridge(), x, start=start)
    assert fit.status.ending is lem.run.Ending.OBJECTIVE_FELL
    assert not fit.converged
    assert fit.params == start


def test_an_e_half_that_loses_is_named():
    """When an E half loses, the status says so."""

    class Forgetful(lem.transform.Transformed):
        inner = lem.GaussianMixture(2)

        def posterior(self, params, chunk):
            q = self.inner.posterior(params, chunk)
            return q if params == start else lem.LabelPosterior(q.weights[:, ::-1])

    x = lem.datasets.old_faithful()
    start = lem.fit(lem.GaussianMixture(2), x, max_steps=3, stop=lem.gain_below(1e3)).params
    result = lem.EM().run(Forgetful(), start, x)
    assert result.status.ending is lem.run.Ending.OBJECTIVE_FELL
    assert "E half" in result.status.sentence


def test_tempering_raises_its_own_objective_and_keeps_the_bound_below_the_evidence():
    """Under Tempered both halves raise Q + H / beta, and Q + H stays below the log evidence."""
    x = lem.datasets.old_faithful()
    plain = lem.GaussianMixture(2)
    start = plain.params([0.5, 0.5], [[3.0, 60.0], [4.0, 75.0]], [np.diag([1.0, 100.0])] * 2)
    for beta in (0.3, 0.8, 2.0):
        for state in itertools.islice(lem.EM().iterate(lem.Tempered(plain, beta), start, x), 30):
            step = state.step
            assert step.objective == pytest.approx(step.expected_log_joint + step.entropy / beta, rel=1e-12)
            assert step.bound <= log_evidence(gaussian_log_joint_full(state.params, x)) + 1e-9
            assert np.isnan(step.e_gain) or min(step.e_gain, step.m_gain) > -1e-6


def gaussian_log_joint_full(params, x):
    from scipy import stats

    parts = params.components
    each = [stats.multivariate_normal(m, c).logpdf(x) for m, c in zip(parts.means, parts.covariances, strict=True)]
    return np.log(params.weights) + np.transpose(each)


def test_a_sampled_run_differs_by_seed_and_repeats_by_seed():
    """Stochastic EM: the same seed gives the same run, another seed another; the M half still never loses."""
    x = lem.datasets.old_faithful()
    plain = lem.GaussianMixture(2)
    start = plain.params([0.5, 0.5], [[3.0, 60.0], [4.0, 75.0]], [np.diag([1.0, 100.0])] * 2)
    runs = [lem.EM(max_steps=15).run(lem.Sampled(plain, seed), start, x) for seed in (1, 1, 2)]
    assert runs[0].params == runs[1].params
    assert runs[0].history.bound[:5].tolist() != runs[2].history.bound[:5].tolist()
    assert (runs[0].history.m_gain[1:] > -1e-6).all()
