"""Old Faithful with a fifth of its cells gone: what is missing is inferred, and nothing is filled in beforehand."""

import numpy as np

import latentem as lem

whole = lem.datasets.old_faithful()
x = whole.copy()
x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
print(np.isnan(x).sum(), "of", x.size, "cells are missing;", np.isnan(x).all(axis=1).sum(), "rows have none left")

fit = lem.fit(lem.GaussianMixture(2), x)
print(fit)

long = int(fit.params.components.means[:, 0].argmax())
only_wait, only_duration, nothing = fit.predict_proba([[np.nan, 80.0], [4.0, np.nan], [np.nan, np.nan]])[:, long]
print("a wait of 80 minutes is of the long kind with probability", only_wait)
print("an eruption of four minutes,", only_duration, "and of nothing known,", nothing)

# Filling in the mean of a column beforehand pulls both kinds towards one another, and shrinks them; EM does neither.
complete = lem.fit(lem.GaussianMixture(2), whole)
filled = lem.fit(lem.GaussianMixture(2), np.where(np.isnan(x), np.nanmean(x, axis=0), x))


def off(other: lem.Fit) -> float:
    """Largest difference of a mean to those of the complete data, in standard deviations of the whole."""
    means = [np.sort(each.params.components.means, axis=0) for each in (other, complete)]
    return float(np.abs((means[0] - means[1]) / whole.std(axis=0)).max())


print("off by", off(fit), "standard deviations; after filling in, by", off(filled))

assert fit.converged
assert not fit.events
assert abs(nothing - fit.params.weights[long]) < 1e-12
assert off(fit) < 0.1 < off(filled)
