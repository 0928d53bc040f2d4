"""Models that people write: on the five methods alone, with parameters of any kind, and families that go wrong."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import frozen
from scipy.special import xlogy
from subjects import FAITHFUL

import latentem as lem
from latentem.testing import check_model

COUNTS = np.array([[125.0, 18.0, 20.0, 34.0], [60.0, 9.0, 8.0, 15.0]])


@frozen
class Share:
    counts: np.ndarray
    share: float

    def entropy(self):
        return float(-self.counts.sum() * (xlogy(self.share, self.share) + xlogy(1 - self.share, 1 - self.share)))


@frozen
class Pair:
    p: np.ndarray


class Linkage(lem.LatentModel):
    """The five methods and nothing else; the parameters are (p, 1 - p), as an array or in a value."""

    def __init__(self, make):
        self.make = make

    def p(self, params):
        return float(params.p[0] if isinstance(params, Pair) else params[0])

    def posterior(self, params, chunk):
        p = self.p(params)
        return Share(chunk[:, 0], p / (2 + p))

    def statistics(self, chunk, posterior):
        hidden = posterior.counts * posterior.share
        return np.array([(chunk[:, 0] - hidden).sum(), (hidden + chunk[:, 3]).sum(), chunk[:, 1:3].sum()])

    def log_joint(self, params, statistics):
        p = self.p(params)
        return float(xlogy(statistics, [1 / 2, p / 4, (1 - p) / 4]).sum())

    def blocks(self):
        return [lem.Block((), lambda s, p: self.first(s), lambda p: 1)]

    def first(self, statistics):
        return self.make(statistics[1:] / statistics[1:].sum())


@pytest.mark.parametrize("make", [np.array, Pair], ids=["array", "value"])
def test_five_methods_are_enough_to_be_fitted(make):
    """A model with the five methods alone is fitted and checked, whatever its parameters are made of."""
    model = Linkage(make)
    start = make(np.array([0.5, 0.5]))
    check_model(model, start, COUNTS)
    fit = lem.fit(model, COUNTS[:1], start=start, stop=lem.remaining_below(1e-18))
    assert fit.converged
    assert model.p(fit.params) == pytest.approx(0.6268214978709824, abs=1e-12)
    assert lem.fit(model, [COUNTS[:1], COUNTS[1:]], start=start).observations == 2
    assert "events: none" in str(fit)
    for figure in ("log_likelihood", "aic", "inertia"):
        with pytest.raises(lem.Unavailable, match=r"has no"):
            getattr(fit, figure)
    with pytest.raises(lem.Unavailable, match="no random starts"):
        lem.fit(model, COUNTS)


class Exponential(lem.ExponentialFamily):
    """Waiting times; the parameters are rates, without a care for a mean of zero."""

    def natural(self, params):
        return -params

    def log_partition(self, params):
        return -np.log(params).sum(axis=1)

    def from_mean(self, mean):
        return 1 / mean


def test_a_family_that_collapses_is_degenerate_by_name():
    """A component of zeros gives an infinite rate: a status or a report that names it, never a NaN or a bare error."""
    x = np.concatenate([np.zeros(50), np.random.default_rng(0).exponential(size=100)])[:, None]
    model = lem.Mixture(Exponential(), 2)
    with pytest.warns(lem.ConvergenceWarning, match="component 0"):
        fit = lem.fit(model, x, start=model.params([0.3, 0.7], np.array([[1e6], [1.0]])))
    assert fit.status.ending is lem.run.Ending.DEGENERATE
    assert np.isfinite(fit.params.components).all()


class Coin(lem.ExponentialFamily):
    def natural(self, params):
        return np.log(params) - np.log1p(-params)

    def log_partition(self, params):
        return -np.log1p(-params).sum(axis=1)

    def from_mean(self, mean):
        return mean


class TwoSided(lem.ExponentialFamily):
    def T(self, x):  # noqa: N802 - the protocol's name
        return np.hstack([x, 1 - x])

    def natural(self, params):
        return np.log(np.hstack([params, 1 - params]))

    def log_partition(self, params):
        return np.zeros(len(params))

    def from_mean(self, mean):
        return mean[:, : mean.shape[1] // 2]


def test_probabilities_of_exactly_one_need_a_column_for_each_outcome():
    """An infinite natural parameter is refused with the way out, and the way out works: 0 log 0 = 0."""
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(60), rng.integers(0, 2, (60, 3))]).astype(float)
    with pytest.raises(lem.Degenerate, match=r"\(x, 1 - x\)"):
        lem.fit(lem.Mixture(Coin(), 2), x)
    fit = lem.fit(lem.Mixture(TwoSided(), 2), x, n_starts=3)
    assert fit.converged
    assert (fit.params.components[:, 0] == 1).all()
    assert np.isfinite(fit.log_likelihood)


def test_an_unbounded_density_is_named():
    """A log density of NaN or plus infinity ends the run by name."""

    class Broken(lem.ExponentialFamily):
        def natural(self, params):
            return params

        def log_partition(self, params):
            return np.array([0.0, np.nan])

        def from_mean(self, mean):
            return mean

    model = lem.Mixture(Broken(), 2)
    with pytest.raises(lem.Degenerate, match="density of component 1"):
        lem.EM().run(model, model.params([0.5, 0.5], np.ones((2, 2))), FAITHFUL)


def test_components_that_the_data_do_not_part_are_an_event():
    """Two Poissons on counts of one: they end as the same distribution, and the fit says so."""
    x = np.random.default_rng(0).poisson(3, (50, 1))
    fit = lem.fit(lem.Mixture(lem.Poisson(), 2), x)
    assert [event.kind for event in fit.events] == ["coincident"]
    assert fit.log_likelihood == pytest.approx(lem.fit(lem.Mixture(lem.Poisson(), 1), x).log_likelihood, abs=1e-6)


def test_rules_compose_with_plain_functions():
    """A stop rule composes with any function of a State, and refuses what is none."""
    rule = lem.remaining_below() | (lambda state: None)
    assert lem.EM(stop=rule).run(lem.KMeans(2), lem.KMeans(2).params(FAITHFUL[:2]), FAITHFUL).converged
    with pytest.raises(TypeError, match="composes with"):
        _ = lem.remaining_below() | "soon"


def test_seconds_are_those_of_the_run_itself():
    """Time that passes between two steps, while others run, is not the run's."""
    import time

    model = lem.GaussianMixture(2)
    start = lem.fit(model, FAITHFUL, max_steps=2, stop=lem.gain_below(1e9)).params
    states = []
    for state in lem.EM().iterate(model, start, FAITHFUL):
        time.sleep(0.02)
        states.append(state)
    assert states[-1].step.seconds < 0.02 * len(states)


def test_models_hash_alike_whatever_they_hold():
    """A model that holds an array hashes as one that does not."""
    fixed = [lem.GaussianMixture(2, weights=lem.Fixed(np.array([0.5, 0.5]))) for _ in range(2)]
    assert fixed[0] == fixed[1]
    assert len({*fixed, lem.GaussianMixture(2)}) == 2
