"""A zero-inflated Poisson (Lambert, 1992), written out on `LatentModel`.

A count is a structural zero with probability `inflation`, and Poisson otherwise; which of the two is latent.
The counts are movements of a foetal lamb in 240 intervals of five seconds (Leroux and Puterman, 1992). The
library has the same as a family, `ZeroInflated(Poisson())`, whose mixtures and products then come by themselves.
"""

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy import stats
from scipy.special import gammaln, logsumexp, xlog1py, xlogy

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class ZeroInflatedPoisson(lem.LatentModel[Array, lem.LabelPosterior, Array, Array]):
    """Parameters (inflation, rate); statistics: structural zeros, other counts, their sum, and that of log x!."""

    def log_joints(self, params: Array, x: Array) -> Array:
        structural = np.where(x == 0, np.log(params[0]), -np.inf)
        return np.column_stack([structural, np.log1p(-params[0]) + stats.poisson.logpmf(x, params[1])])

    def posterior(self, params: Array, chunk: Array) -> lem.LabelPosterior:
        return lem.LabelPosterior.from_log(self.log_joints(params, chunk))

    def statistics(self, chunk: Array, posterior: lem.LabelPosterior) -> Array:
        structural, drawn = posterior.weights.T
        return np.array([structural.sum(), drawn.sum(), drawn @ chunk, drawn @ gammaln(chunk + 1)])

    def log_joint(self, params: Array, statistics: Array) -> float:
        (inflation, rate), (structural, drawn, total, log_factorials) = params, statistics
        of_labels = xlogy(structural, inflation) + xlog1py(drawn, -inflation)
        return float(of_labels + xlogy(total, rate) - drawn * rate - log_factorials)

    def blocks(self) -> Sequence[lem.Block[Array, Array]]:
        return [lem.Block((), lambda statistics, params: self.first(statistics), lambda params: 2)]

    def first(self, statistics: Array) -> Array:
        return np.array([statistics[0] / statistics[:2].sum(), statistics[2] / statistics[1]])

    def log_evidence(self, params: Array, chunk: Array) -> Array:
        return np.asarray(logsumexp(self.log_joints(params, chunk), axis=1))


counts = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0, 7.0], [182, 41, 12, 2, 2, 1])
model = ZeroInflatedPoisson()
check_model(model, np.array([0.3, 1.5]), counts)

fit = lem.fit(model, counts, start=np.array([0.5, 1.0]), stop=lem.remaining_below(1e-17))
inflation, rate = fit.params
print(f"{fit.status}\ninflation {inflation:.4f}, rate {rate:.4f}, log likelihood {fit.log_likelihood:.4f}")

# At the maximum the mean of the counts that are not zero is that of a Poisson cut off at zero, and the share of
# zeros is the data's own.
assert abs(rate / -np.expm1(-rate) - counts[counts > 0].mean()) < 1e-6
assert abs(inflation + (1 - inflation) * np.exp(-rate) - 182 / 240) < 1e-6

library = lem.fit(lem.Mixture(lem.ZeroInflated(lem.Poisson()), 1), counts[:, None])
print(library)
assert abs(library.log_likelihood - fit.log_likelihood) < 1e-8
assert abs(library.params.components.inflation[0] - inflation) < 1e-5
assert abs(library.params.components.family[0, 0] - rate) < 1e-5
