"""Two Gaussians on the Old Faithful geyser: fit, read, predict."""

import numpy as np

import latentem as lem

x = lem.datasets.old_faithful()
fit = lem.fit(lem.GaussianMixture(2), x)
print(fit)

long = int(fit.params.components.means[:, 0].argmax())
print("after a four-minute eruption, the long kind has probability", fit.predict_proba([[4.0, 80.0]])[0, long])

assert fit.converged
assert not fit.events
assert abs(fit.log_likelihood - -1130.26396018) < 1e-7
assert np.bincount(fit.predict(x))[long] == 175
assert fit.bic < lem.fit(lem.GaussianMixture(1), x).bic
