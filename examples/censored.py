"""Exponential times, some of them censored: all that is known of these is that they are longer.

A row is (time, whether it was observed): the event came then, or had not yet come. The latent variable is the true
time. An exponential time forgets how long it has lasted, so beyond the censoring it is exponential again: q is that
density, shifted, whose entropy is 1 - log rate. The maximum has a closed form, events / total time, which EM must find.

The data are the weeks in remission of 21 children with leukaemia under 6-mercaptopurine (Freireich and others, 1963).
"""

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy import stats

import latentem as lem
from latentem.arrays import Array
from latentem.testing import check_model


@frozen
class Remaining:
    """q: each censored time goes on for an exponential time of this rate; `censored` is 1 or 0, shape (n,)."""

    censored: Array
    rate: float

    def entropy(self) -> float:
        return float(self.censored.sum() * (1 - np.log(self.rate)))


@frozen
class CensoredExponential(lem.LatentModel[Array, Remaining, Array, float]):
    """The parameter is the rate; the statistics are the number of times and their expected sum."""

    def posterior(self, params: float, chunk: Array) -> Remaining:
        return Remaining(1 - chunk[:, 1], params)

    def statistics(self, chunk: Array, posterior: Remaining) -> Array:
        # (eq: censored-times)
        return np.array([len(chunk), chunk[:, 0].sum() + posterior.censored.sum() / posterior.rate])

    def log_joint(self, params: float, statistics: Array) -> float:
        return float(statistics @ [np.log(params), -params])

    def blocks(self) -> Sequence[lem.Block[Array, float]]:
        return [lem.Block((), lambda statistics, params: self.first(statistics), lambda params: 1)]

    def first(self, statistics: Array) -> float:
        return float(statistics[0] / statistics[1])  # (eq: censored-times)

    def log_evidence(self, params: float, chunk: Array) -> Array:
        return chunk[:, 1] * np.log(params) - params * chunk[:, 0]


def evidence(params: float, chunk: Array) -> Array:
    """The same from scipy: the density where the event was seen, the probability of a longer time where it was not."""
    law = stats.expon(scale=1 / params)
    return np.where(chunk[:, 1] == 1, law.logpdf(chunk[:, 0]), law.logsf(chunk[:, 0]))


seen = [6, 6, 6, 7, 10, 13, 16, 22, 23]
longer = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
x = np.array([*[(time, 1.0) for time in seen], *[(time, 0.0) for time in longer]])
model = CensoredExponential()
check_model(model, 0.1, x, evidence=evidence)

fit = lem.fit(model, x, start=0.1)
print(f"rate {fit.params:.6f} a week: {fit.status}")

# What EM leaves of an error in the mean is the share of the times that is missing (Dempster, Laird and Rubin, 1977).
means = [1 / state.params for state in lem.EM(max_steps=5).iterate(model, 0.1, x)]
rates = (np.array(means[1:]) - 359 / 9) / (np.array(means[:-1]) - 359 / 9)

assert fit.converged
assert abs(fit.params - 9 / 359) < 1e-7
assert abs(fit.log_likelihood - (9 * np.log(9 / 359) - 9)) < 1e-10
np.testing.assert_allclose(rates, 12 / 21, rtol=1e-10)
