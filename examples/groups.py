"""A latent structure of one's own over any family: all rows of a group have one label.

Pupils within a school, days within a hive (Vermunt, 2003): the label is the group's, and each of its rows makes it
surer. The class says how labels come about. What statistics teach is learnt part by part, weights and family, so that
random starts, diagnoses, priors and transformers come with it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from scipy import stats
from scipy.special import logsumexp

import latentem as lem
from latentem.arrays import Array
from latentem.model import ComponentModel, MixtureParams, MixtureStatistics, Simplex
from latentem.testing import check_model


@frozen
class GroupMixture(ComponentModel[lem.Sequences, lem.LabelPosterior, MixtureStatistics, MixtureParams]):
    """p(group) = sum over k of weight_k times the product over its rows of p(row | component k)."""

    kind = lem.Sequences

    family: lem.Family[Any, Any]
    k: int

    @property
    def pieces(self) -> Mapping[str, Any]:
        return {"weights": Simplex(), "components": self.family}

    def assemble(self, pieces: Mapping[str, Any]) -> MixtureParams:
        return MixtureParams(**pieces)

    def posterior(self, params: MixtureParams, chunk: lem.Sequences) -> lem.LabelPosterior:
        return lem.LabelPosterior.from_log(self.joint(params, chunk), chunk.weight)

    def statistics(self, chunk: lem.Sequences, posterior: lem.LabelPosterior) -> MixtureStatistics:
        counts = posterior.counts()
        return MixtureStatistics(counts.sum(axis=0), self.emitted(chunk, counts.repeat(chunk.lengths, axis=0), None))

    def log_evidence(self, params: MixtureParams, chunk: lem.Sequences) -> Array:
        return np.asarray(logsumexp(self.joint(params, chunk), axis=1))

    def joint(self, params: MixtureParams, chunk: lem.Sequences) -> Array:
        return np.log(params.weights) + np.add.reduceat(self.infer(params, chunk)[0], chunk.begins)

    def units(self, statistics: MixtureStatistics) -> Array:
        return statistics.weights

    def gathered(self, chunk: lem.Sequences, responsibilities: Array, weight: Any = None) -> MixtureStatistics:
        counts = responsibilities * (chunk.row_weight if weight is None else weight)[:, None]
        return MixtureStatistics(counts.sum(axis=0), self.family.statistics(chunk.x, counts))

    def describe(self, params: MixtureParams, statistics: MixtureStatistics) -> Mapping[str, Array]:
        return {"expected groups": statistics.weights, **self.family.describe(params.components)}


def evidence(params: MixtureParams, chunk: lem.Sequences) -> Array:
    """The log evidence of each group: a product of scipy's probabilities, in plain numbers."""
    groups = np.split(chunk.x[:, 0], chunk.lengths.cumsum()[:-1])
    each = [np.prod(stats.poisson(params.components.T).pmf(group[:, None]), axis=0) for group in groups]
    return np.log(np.array(each) @ params.weights)


rng = np.random.default_rng(0)
busy = rng.random(80) < 0.4
hives = [rng.poisson(5.0 if high else 2.5, (rng.integers(3, 9), 1)) for high in busy]

model = GroupMixture(lem.Poisson(), 2)
start = MixtureParams(np.array([0.5, 0.5]), lem.Poisson().params([[2.0], [5.0]]))
check_model(model, start, hives[:30], evidence=evidence)
fit = lem.fit(model, hives)
print(fit)

found = fit.predict(hives) == fit.params.components[:, 0].argmax()
by_row = lem.fit(lem.Mixture(lem.Poisson(), 2), np.concatenate(hives), start=fit.params)
found_by_row = by_row.predict(np.concatenate(hives)) == by_row.params.components[:, 0].argmax()
held = lem.fit(lem.Frozen(model, {"weights": lem.Fixed.uniform()}), hives)

assert fit.converged
assert abs(fit.log_likelihood - evidence(fit.params, model.chunk(hives)).sum()) < 1e-8
assert np.mean(found == busy) > 0.9
assert np.mean(found_by_row == np.repeat(busy, [len(hive) for hive in hives])) < 0.8
assert held.n_parameters == 2
assert fit.n_parameters == by_row.n_parameters == 3
