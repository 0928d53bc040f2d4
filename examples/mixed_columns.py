"""Latent classes, and columns of different kinds: binary ratings, and measurements beside a category."""

import numpy as np

import latentem as lem

# Seven pathologists said of 118 slides whether they saw carcinoma. Given what a slide is (its latent class), they
# are independent. Three classes: clear, carcinoma, and slides of which they disagree (Agresti, 2013, sec. 14.1; the
# R package poLCA finds log likelihoods of -317.2568 for two classes and -293.705 for three).
ratings = lem.datasets.carcinoma()
two, three = (lem.fit(lem.Mixture(lem.Bernoulli(), k), ratings, n_starts=20) for k in (2, 3))
print(three)
assert abs(two.log_likelihood - -317.2568) < 1e-4
assert abs(three.log_likelihood - -293.705) < 1e-3
assert (two.n_parameters, three.n_parameters) == (15, 23)
np.testing.assert_allclose(np.sort(three.params.weights), [0.1817, 0.3736, 0.4447], atol=1e-4)

# Irises: three measurements in cm, and of the fourth only whether a petal is narrow, wide or between.
iris = lem.datasets.iris()
width = np.digitize(iris[:, 3], [0.8, 1.75])
flowers = np.column_stack([iris[:, :3], width])
family = lem.Product(lem.Gaussian().on(0, 1, 2), lem.Categorical(3).on(3))
fit = lem.fit(lem.Mixture(family, 3), flowers, n_starts=20)
print(fit)

species = np.repeat([0, 1, 2], 50)
table = np.array([np.bincount(fit.predict(flowers)[species == s], minlength=3) for s in range(3)])
print("clusters of each species:", table.tolist())
assert fit.n_parameters == 2 + 3 * (3 + 6) + 3 * 2
assert sorted(table.argmax(axis=1)) == [0, 1, 2]
assert table.max(axis=1).sum() >= 140

# A part of the parameters is named after its part of the product, and can be held.
held = lem.fit(lem.Frozen(fit.model, {"components.0.means"}), flowers, start=fit.params)
assert np.array_equal(held.params.components[0].means, fit.params.components[0].means)
