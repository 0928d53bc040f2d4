"""The contract can fail: each planted defect is caught by the clause that it was planted for."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from attrs import evolve
from test_models import moved

import latentem as lem
from latentem.core import Inference, Unavailable
from latentem.testing import BrokenContract, check_model
from latentem.testing.check import failures
from latentem.transform import Transformed

X = lem.datasets.old_faithful()[:60]
WEIGHTED = lem.Rows(X, np.tile([1.0, 2.5, 0.5], 20))
FULL = lem.GaussianMixture(2)
PARAMS = FULL.params([0.4, 0.6], [[2.0, 50.0], [4.4, 82.0]], [np.diag([0.5, 60.0]), np.diag([0.4, 40.0])])
TIED = lem.GaussianMixture(2, structure=lem.Tied())
TIED_PARAMS = TIED.params([0.4, 0.6], [[2.0, 50.0], [4.4, 82.0]], np.diag([0.5, 60.0]))
DEFECTS = []


def planted_for(clause, *, data=WEIGHTED, params=PARAMS, where=None):
    def register(defect):
        DEFECTS.append(pytest.param(defect, clause, data, params, where, id=defect.__name__))
        return defect

    return register


class Sound(Transformed):
    """A correct model, from which each defect differs in one method."""

    inner = FULL

    def change(self, name, maximize):
        return [evolve(b, maximize=maximize(b.maximize)) if b.name == name else b for b in self.inner.blocks()]


@attrs.frozen
class Doctored:
    """A posterior whose entropy is wrong."""

    inner: object
    value: float

    def entropy(self):
        return self.value


class DoctoredEntropy(Sound):
    def posterior(self, params, chunk):
        q = self.inner.posterior(params, chunk)
        return Doctored(q, self.wrong(q))

    def statistics(self, chunk, posterior):
        return self.inner.statistics(chunk, posterior.inner)


@planted_for("identity")
class MissingNormaliser(Sound):
    """The density lacks its 2 pi."""

    def log_joint(self, params, statistics):
        return self.inner.log_joint(params, statistics) + statistics.weights.sum() * np.log(2 * np.pi)


@planted_for("identity")
class PosteriorWithoutWeights(Sound):
    """The E-step forgets the mixture weights."""

    def posterior(self, params, chunk):
        return self.inner.posterior(evolve(params, weights=[0.5, 0.5]), chunk)


@planted_for("identity")
class NegativeEntropy(DoctoredEntropy):
    """The entropy has the wrong sign."""

    def wrong(self, q):
        return -q.entropy()


@planted_for("identity")
class UnweightedEntropy(DoctoredEntropy):
    """Row weights enter the statistics and miss the entropy."""

    def wrong(self, q):
        return lem.LabelPosterior(q.weights).entropy()


@planted_for("identity")
class SharpenedPosterior(Sound):
    """The responsibilities are squared on the way."""

    def posterior(self, params, chunk):
        return self.inner.posterior(params, chunk).power(2.0)


@planted_for("identity")
class EvidenceOfTheMode(Sound):
    """The evidence is that of the most probable component alone."""

    def log_evidence(self, params, chunk):
        return self.inner.log_evidence(params, chunk) + np.log(self.inner.posterior(params, chunk).weights.max(axis=1))


@planted_for("identity")
class StalePosterior(Sound):
    """The posterior of the first parameters is kept for good."""

    def __init__(self):
        self.kept = {}

    def posterior(self, params, chunk):
        return self.kept.setdefault(chunk.x.tobytes(), self.inner.posterior(params, chunk))


@planted_for("identity")
class HardThatForwards(Sound):
    """A hard assignment that runs the soft model's own E-step."""

    inference = Inference(exact=False, smooth=False)

    def posterior(self, params, chunk):
        return self.inner.posterior(params, chunk).mode()

    def expectation(self, params, chunk, cache=None):
        return self.inner.expectation(params, chunk)


@planted_for("identity")
class StaleCache(Sound):
    """The E-step of the first parameters is kept beside the chunk for good."""

    def expectation(self, params, chunk, cache=None):
        fresh = self.inner.expectation(params, chunk)
        return fresh if cache is None else cache.setdefault("first", fresh)


@planted_for("subsets")
class ScatterAboutOwnMean(Sound):
    """The covariance is taken about the statistics' mean, not the mean in the parameters."""

    def blocks(self):
        def own(maximize):
            return lambda s, p: maximize(s, evolve(p, components=evolve(p.components, means=s.components.means())))

        return self.change("components.covariances", own)


@planted_for("optimality")
class DivisorWithoutOne(Sound):
    """The covariance divides by n - 1."""

    def blocks(self):
        def unbiased(maximize):
            return lambda s, p: maximize(s, p) * (s.weights / (s.weights - 1))[:, None, None]

        return self.change("components.covariances", unbiased)


@planted_for("optimality")
class CovariancesAboutTheMeansThatWere(Sound):
    """All blocks at once, and not in their order."""

    def m_step(self, statistics, params):
        after = self.inner.m_step(statistics, params)
        covariances = self.inner.blocks()[2].maximize(statistics, params)
        return evolve(after, components=evolve(after.components, covariances=covariances))


@planted_for("optimality")
class RidgeAfterwards(Sound):
    """A multiple of the identity is added after the M-step."""

    def blocks(self):
        return self.change("components.covariances", lambda m: lambda s, p: m(s, p) + 1e-3 * np.eye(2))


@planted_for("half steps", where="scaled by 1e-09")
class FloorInDataUnits(Sound):
    """Variances are held above a constant that knows nothing of the data's units."""

    def blocks(self):
        return self.change(
            "components.covariances", lambda m: lambda s, p: np.where(np.eye(2) > 0, np.maximum(m(s, p), 1e-9), m(s, p))
        )


@planted_for("optimality")
class SmoothedWeights(Sound):
    """One unit more in every component, and no prior that says so."""

    def blocks(self):
        return self.change("weights", lambda m: lambda s, p: (s.weights + 1) / (s.weights + 1).sum())


@planted_for("half steps")
class PriorOnlyInTheObjective(Sound):
    """The objective has a prior that the M-step ignores."""

    def log_prior(self, params):
        return 500 * float(np.log(params.weights).sum())


@planted_for("optimality")
class PriorOnlyInTheStep(Sound):
    """The M-step adds pseudo-counts that the objective does not have."""

    def blocks(self):
        return lem.GaussianMixture(2, prior=lem.PseudoCounts(5.0)).blocks()


@planted_for("optimality", params=TIED_PARAMS)
class UnweightedPooling(Sound):
    """The tied covariance is a mean over components that ignores their counts."""

    inner = TIED

    def blocks(self):
        def average(maximize):
            def pooled(s, p):
                parts = s.components.about(p.components.means)
                return (parts.second / parts.count[:, None, None]).mean(axis=0)

            return pooled

        return self.change("components.covariances", average)


@planted_for("optimality")
class SwappedMeans(Sound):
    """The means come back in another order."""

    def blocks(self):
        return self.change("components.means", lambda m: lambda s, p: m(s, p)[::-1])


@planted_for("linearity")
class CountedOnce(Sound):
    """A term of log_joint uses the size of the data at hand instead of the count in the statistics."""

    def log_joint(self, params, statistics):
        return self.inner.log_joint(params, statistics) + 3.0 * (WEIGHTED.weight.sum() - statistics.weights.sum())


@planted_for("chunks")
class AveragedChunks(Sound):
    """Each chunk leaves a mean where it should leave a sum."""

    def statistics(self, chunk, posterior):
        return (60 / len(chunk)) * self.inner.statistics(chunk, posterior)


@planted_for("chunks")
class LastRowLost(Sound):
    """Each chunk loses its last row."""

    def statistics(self, chunk, posterior):
        mask = np.ones(len(chunk))
        mask[-1] = 0
        return self.inner.statistics(chunk, lem.LabelPosterior(posterior.weights, posterior.multiplicity * mask))


@planted_for("chunks", where="shifted by 1e+06")
class RawMoments(Sound):
    """Moments are taken about zero, so that a distant origin cancels their digits."""

    def statistics(self, chunk, posterior):
        statistics = self.inner.statistics(chunk, posterior)
        return evolve(statistics, components=statistics.components.about(np.zeros(2)))


@planted_for("numbers")
class UncountedCovariances(Sound):
    """The block says that it has one free number fewer than it has."""

    def blocks(self):
        return [evolve(b, size=lambda p, b=b: b.size(p) - 1) if "cov" in b.name else b for b in self.inner.blocks()]


@planted_for("numbers", params=TIED_PARAMS)
class TiedCountedTwice(Sound):
    """The block counts a pooled covariance for each component."""

    inner = TIED

    def blocks(self):
        return [evolve(b, size=lambda p, b=b: 2 * b.size(p)) if "cov" in b.name else b for b in self.inner.blocks()]


class WithoutFree(lem.ExponentialFamily):
    """Bernoulli with the columns x and 1 - x, which are linearly related, and no word of that."""

    def T(self, x):  # noqa: N802 - the name that the field gives it
        return np.hstack([x, 1 - x])

    def natural(self, params):
        return np.log(np.hstack([params, 1 - params]))

    def log_partition(self, params):
        return np.zeros(len(params))

    def from_mean(self, mean):
        return mean[:, : mean.shape[1] // 2]

    def sample(self, params, labels, rng):
        return (rng.random((len(labels), params.shape[1])) < params[labels]).astype(float)


class WrongMean(WithoutFree):
    """E[T] of the columns in another order."""

    def free(self, params):
        return params.shape[1]

    def mean(self, params):
        return np.hstack([1 - params, params])


BITS = (np.random.default_rng(0).random((200, 4)) < 0.5).astype(float)
BIT_PARAMS = lem.model.MixtureParams([0.4, 0.6], np.array([[0.2, 0.7, 0.4, 0.6], [0.6, 0.3, 0.5, 0.8]]))


@planted_for("numbers", data=lem.Rows(BITS), params=BIT_PARAMS)
class LinearlyRelated(Sound):
    """A family whose T has linearly related columns does not say how many numbers are free."""

    inner = lem.Mixture(WithoutFree(), 2)


@planted_for("claims", data=lem.Rows(BITS), params=BIT_PARAMS)
class MeanOfOthers(Sound):
    """A family's mean is that of other parameters."""

    inner = lem.Mixture(WrongMean(), 2)


@planted_for("draws")
class VarianceForDeviation(Sound):
    """Draws are stretched by the variance where it should be the standard deviation."""

    def sample(self, params, size, rng):
        labels = rng.choice(2, size, p=params.weights)
        z = rng.standard_normal((size, 2))
        return params.components.means[labels] + np.einsum("nij,nj->ni", params.components.dense()[labels], z), labels


@planted_for("draws")
class LabelsSwapped(Sound):
    """The labels of draws are those of the other component."""

    def sample(self, params, size, rng):
        x, labels = self.inner.sample(params, size, rng)
        return x, 1 - labels


@pytest.mark.parametrize(("defect", "clause", "data", "params", "where"), DEFECTS)
def test_each_planted_defect_is_caught_by_its_clause(defect, clause, data, params, where):
    """The clause that a defect was planted for finds it."""
    found = failures(defect(), params, data, moved=None if where is None else moved)
    assert any(failure.clause == clause and (where is None or where in failure.where) for failure in found)


def test_the_error_has_every_failure():
    """`check_model` raises all that is found, of the bare model and under each transformer."""
    with pytest.raises(BrokenContract) as caught:
        check_model(MissingNormaliser(), PARAMS, lem.Rows(X[:12]))
    told = {failure.where.split(",")[0] for failure in caught.value.failures if failure.clause == "identity"}
    assert told == {"bare", "Hard", "Tempered", "Sampled", "WithPrior"}


def test_the_model_without_a_defect_passes():
    """The correct model that the defects differ from raises no alarm, nor does its tied form."""
    check_model(Sound(), PARAMS, WEIGHTED, moved=moved)

    class SoundTied(Sound):
        inner = TIED

    check_model(SoundTied(), TIED_PARAMS, WEIGHTED)


class WithoutEvidence(Sound):
    """A model that says no log evidence."""

    def log_evidence(self, params, chunk):
        raise Unavailable("there is none")


def test_a_model_without_log_evidence_is_held_to_the_given_one():
    """Where a model has no log evidence its bound must touch the one that is given, weights of rows included."""

    def evidence(params, chunk):
        return FULL.log_evidence(params, chunk)

    model, few = WithoutEvidence(), WEIGHTED[:20]
    check_model(model, PARAMS, few, evidence=evidence)
    with pytest.raises(BrokenContract, match="off the sum of log_evidence"):
        check_model(model, PARAMS, few, evidence=lambda params, chunk: evidence(params, chunk) + 1e-3)


@pytest.mark.parametrize(
    "expectation", [lambda self, params, chunk: None, lambda self, params, chunk, cache: None], ids=["two", "three"]
)
def test_an_e_step_whose_cache_is_not_optional_is_refused_where_it_is_defined(expectation):
    """A class whose `expectation` takes no cache, or cannot do without, is refused, and told the right form."""
    with pytest.raises(
        TypeError, match=r"Mine.expectation was defined with .*: it must take \(self, params, chunk, cac"
    ):
        type("Mine", (Sound,), {"expectation": expectation})


def test_a_likelihood_that_never_falls_catches_few_of_them():
    """Watching the log likelihood rise, as is common, misses at least half of these defects."""
    caught = 0
    for defect, _, data, params, where in (parameter.values for parameter in DEFECTS):
        if where is not None:
            continue
        model, chunks, path = defect(), [data], []
        for _step in range(5):
            path.append(lem.log_likelihood(defect.inner, params, chunks))
            statistics = model.expectation(params, data).statistics
            params = model.m_step(statistics, params)
        caught += bool(np.any(np.diff(path) < -1e-9))
    assert caught <= len(DEFECTS) / 2
