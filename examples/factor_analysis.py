"""Probabilistic PCA and factor analysis of Fisher's iris measurements.

x = mean + loadings z + noise: with one noise variance for all columns the maximum is known in closed form (Tipping
and Bishop, 1999), and EM finds it. With one a column there is none. Here the likelihood rises for as long as the
noise of the petal length falls (a Heywood case), so it ends at a floor, and the fit says so.
"""

import numpy as np

import latentem as lem

x = lem.datasets.iris()
n, d = x.shape

pca = lem.fit(lem.FactorAnalysis(2, noise=lem.Spherical()), x)
print(pca)

values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
noise = values[:-2].mean()
covariance = vectors[:, -2:] * (values[-2:] - noise) @ vectors[:, -2:].T + noise * np.eye(d)
log_likelihood = -n / 2 * (d * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + d)
print(f"noise {float(pca.params.noise):.6f}, in closed form {noise:.6f}")

# The loadings are known up to a rotation; the canonical one puts them on the principal axes.
axes = pca.params.canonical().loadings
lengths = np.linalg.norm(axes, axis=0)

factor = lem.fit(lem.FactorAnalysis(1, prior=lem.Floor(0.01)), x)
(event,) = factor.events
print(event.describe(["sepal length", "sepal width", "petal length", "petal width"]))

# One factor reproduces the correlations of the petals with the rest, and leaves the width of the sepal alone.
unexplained = factor.params.noise / factor.params.variances()
print("noise as a share of each variance:", np.round(unexplained, 3))

np.testing.assert_allclose(pca.params.noise, noise, rtol=1e-6)
np.testing.assert_allclose(lengths**2, (values[-2:] - noise)[::-1], rtol=1e-4)
assert abs(pca.log_likelihood - log_likelihood) < 1e-8 * n
assert event.kind == "floor"
assert event.column == 2
np.testing.assert_allclose(factor.params.noise[2], 0.01 * x[:, 2].var(), rtol=1e-9)
assert unexplained.argmax() == 1
