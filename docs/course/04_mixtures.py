r"""
Mixtures
========

Where do clusters come from? A mixture answers with a story: first a label is drawn, then a point of that label. The
label is not written down. This chapter makes 500 points by that story, and looks at them three times: with the labels,
without them, and with the probabilities of the labels.

The formulas are in :doc:`the mathematics </mathematics>`, under "Mixtures" and "The Gaussian family".
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from scipy import stats

import latentem as lem
from latentem.plot import palette

# %%
# The story
# ---------
#
# Three Gaussians with weights 0.5, 0.3 and 0.2. For each of 500 points, draw a label with these probabilities, then the
# point from the Gaussian of that label.

rng = np.random.default_rng(6)
n, k = 500, 3
weights = np.array([0.5, 0.3, 0.2])
means = np.array([[2.0, 3.5], [5.0, 5.0], [7.5, 4.0]])
covariances = np.array([[[1.0, 0.6], [0.6, 1.0]], [[1.6, -1.0], [-1.0, 1.2]], [[0.6, 0.4], [0.4, 1.4]]])
labels = rng.choice(k, size=n, p=weights)
x = np.array([rng.multivariate_normal(means[z], covariances[z]) for z in labels])
print(f"the first five labels {labels[:5]}, points\n{x[:5].round(3)}")

# %%
# The pairs (label, point) are the **complete data**. What one gets in life are the points: the **incomplete data**. The
# label of a point is *latent*: it is there, and one does not see it.
#
# Three looks
# -----------
#
# Left, coloured by the true label. Middle, what we are given. Right, coloured by how probable each label is, given the
# point and the true parameters: three numbers that add up to one, mixed as three paints (after Bishop, 2006, fig. 9.5).

joint = np.stack(
    [weights[j] * stats.multivariate_normal(means[j], covariances[j]).pdf(x) for j in range(k)], axis=1
)  # shape (500, 3)
responsibilities = joint / joint.sum(axis=1, keepdims=True)
paints = np.array([to_rgb(palette.colour(j)) for j in range(k)])

fig, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained", sharex=True, sharey=True)
pictures = [("by truth", paints[labels]), ("by nobody", "0.35"), ("by responsibility", responsibilities @ paints)]
for ax, (title, colour) in zip(axes, pictures, strict=True):
    ax.scatter(*x.T, c=colour, s=10)
    ax.set(title=title, aspect="equal")

# %%
# Bayes' rule
# -----------
#
# The third picture needs, for each point, :math:`w_j p(x \mid j)`: the chance of the label, times the density of the
# point under it. Divided by their sum they are the **responsibilities**. Here is the point that is least certain:

doubtful = int(responsibilities.max(axis=1).argmin())
print(f"point {doubtful} at {x[doubtful].round(3)}; its label is {labels[doubtful]}")
print(f"w p(x | j)        {joint[doubtful].round(6)}, sum {joint[doubtful].sum():.6f}")
print(f"responsibilities  {responsibilities[doubtful].round(6)}")

# %%
# Most points are not like that. If one bets on the likeliest label each time, how often is one right? The
# responsibilities know even that: their largest entries add up to the number of hits to expect.

hits = int((responsibilities.argmax(axis=1) == labels).sum())
expected_hits = responsibilities.max(axis=1).sum()
sure = int((responsibilities.max(axis=1) > 0.99).sum())
print(f"{sure} of {n} are more than 99 % sure; expected hits {expected_hits:.1f}, hits {hits}")

# %%
# The library has the same numbers from the parameters. `Fit.of` makes a fit of parameters that are given, without a
# step. In its picture the points that are less certain are larger.

model = lem.GaussianMixture(k)
truth = model.params(weights, means, covariances)
given_truth = lem.Fit.of(model, truth, x)
print(given_truth.predict_proba(x)[doubtful].round(6))
ax = lem.plot.classification(given_truth, x)

# %%
# The labels known
# ----------------
#
# Were the labels known, there would be nothing to it. The log of the complete-data likelihood is a sum over labels, and
# each Gaussian sees its own points alone. The maximum is what one would do without being asked: **count**, take
# **means**, take **covariances** (divided by the count, not by the count less one).

counts = np.bincount(labels)
own = [x[labels == j] for j in range(k)]
label_weights = counts / n
label_means = np.array([part.mean(axis=0) for part in own])
label_covariances = np.array([np.cov(part.T, bias=True) for part in own])
for j in range(k):
    error = np.sqrt(np.diag(label_covariances[j]) / counts[j])
    mean = f"{label_means[j].round(3)} +- {error.round(3)}"
    print(f"label {j}: {counts[j]} points, weight {label_weights[j]:.3f}, mean {mean}")

# %%
# Behind +- are standard errors. The true means are (2, 3.5), (5, 5) and (7.5, 4): of the six numbers five are within
# one standard error. About two in three should be.
#
# In the library, labels that are known are given as `allowed`. One M half is all.

known = lem.fit(model, x, allowed=labels)
print(known)

# %%
# H is zero: nothing is left to be undecided about. Q is the complete-data log likelihood: what is observed here is the
# points *and* the labels.
#
# The density of a mixture
# ------------------------
#
# Without the labels a point has the density :math:`\sum_j w_j p(x \mid j)`: the three hills added up. Left, the
# ellipses that hold 50 and 95 % of each hill. Right, the smallest regions that hold 25, 50, 75 and 95 % of the sum: no
# ellipses.

fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharex=True, sharey=True)
lem.plot.classification(given_truth, x, ax=axes[0])
lem.plot.ellipses(given_truth, ax=axes[0])
ax = lem.plot.density(given_truth, x, ax=axes[1])

# %%
# The **log likelihood** of parameters is the sum of the logs of that density over the points. It needs no labels.
# Compare the true parameters with those from the known labels:

log_likelihood = np.log(joint.sum(axis=1)).sum()
print(f"true parameters       {log_likelihood:.4f}")
print(f"with the labels known {lem.log_likelihood(model, known.params, x):.4f}")

# %%
# The log stands *outside* the sum over j. With the labels known it stood inside, and the parameters came apart, one
# Gaussian at a time. Now every parameter meets every other inside the log, and no formula gives the maximum (Bishop,
# 2006, sec. 9.2.2). That is the whole difficulty.
#
# A ring
# ------
#
# With the labels one has the parameters, by counting. With the parameters one has the labels, by Bayes, as far as they
# can be had. We have neither. EM goes round this ring: guess parameters, take responsibilities, take counts, means and
# covariances *weighted by them*, and so on. One turn from the truth, by the formulas above:

expected = responsibilities.sum(axis=0)
weighted_means = responsibilities.T @ x / expected[:, None]
print(f"counts expected {expected.round(2)}, true counts {counts}")
print(f"weighted means\n{weighted_means.round(3)}")

# %%
# The next chapter goes round until nothing moves.
#
# Some labels known
# -----------------
#
# Between all and nothing: let someone label 30 of the points. A label of -1 is unknown. The three components then have
# the names that we gave them; without any label, :math:`3! = 6` orders of the components have the same likelihood, and
# nothing tells them apart.

given = np.full(n, -1)
given[:30] = labels[:30]
some = lem.fit(model, x, allowed=given)
none = lem.fit(model, x)
for name, fit in [("no label", none), ("30 labels", some), ("all labels", known)]:
    print(f"{name:10} first column of the means {fit.params.components.means[:, 0].round(3)}")

# %%
# Fisher's irises
# ---------------
#
# Real data with labels known: Fisher (1936) had 50 flowers of each species. He gave means, and the sums of squares and
# products within two of the species, added up: twice 50 times our covariances.

iris = lem.datasets.iris()[:100]
species = np.repeat([0, 1], 50)
flowers = lem.fit(lem.GaussianMixture(2), iris, allowed=species)
within = 50 * flowers.params.components.covariances.sum(axis=0)
print(f"means\n{flowers.params.components.means}")
print(f"sums of squares and products within species\n{within.round(4)}")

# %%
# They are the numbers of his tables II and III.
#
# Exercises
# ---------
#
# **1.** The covariance of all points, whatever their labels, has two parts: the covariances within the groups, and that
# of their means. Write it down with the estimates of the known labels. Is it exact?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

center = label_weights @ label_means
inside = np.tensordot(label_weights, label_covariances, axes=1)
between = (label_weights * (label_means - center).T) @ (label_means - center)
print(f"within\n{inside.round(3)}\nbetween\n{between.round(3)}")
np.testing.assert_allclose(inside + between, np.cov(x.T, bias=True), rtol=1e-12)
np.testing.assert_allclose(center, x.mean(axis=0), rtol=1e-12)

# %%
# Exact, for any labels. K-means makes the trace of the first part small, and so that of the second large.
#
# .. raw:: html
#
#    </details>
#
# **2.** How much does a label tell? Show that the complete-data log likelihood is the log likelihood plus the sum of
# the log responsibilities of the true labels.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

complete = np.log(joint[np.arange(n), labels]).sum()
told = np.log(responsibilities[np.arange(n), labels]).sum()
print(f"complete {complete:.4f} = incomplete {log_likelihood:.4f} + labels {told:.4f}")
np.testing.assert_allclose(complete, log_likelihood + told, rtol=1e-12)

# %%
# :math:`p(x, z) = p(x)\, p(z \mid x)`. The last sum is never positive, for no label has a probability above one.
#
# .. raw:: html
#
#    </details>
#
# **3.** Use the known labels of all three species of iris, with one covariance for all of them
# (`structure=lem.Tied()`), and then let Bayes' rule label the flowers. How many does it get wrong? (This is linear
# discriminant analysis.)
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

everything, three = lem.datasets.iris(), np.repeat([0, 1, 2], 50)
linear = lem.fit(lem.GaussianMixture(3, structure=lem.Tied()), everything, allowed=three)
wrong = np.flatnonzero(linear.predict(everything) != three)
print(f"wrong: flowers {wrong + 1} of 150")
centres = np.array([everything[three == j].mean(axis=0) for j in range(3)])
shared = sum(np.cov(everything[three == j].T, bias=True) for j in range(3)) / 3
slopes = np.linalg.solve(shared, centres.T)  # log densities differ by x' S^-1 m - m' S^-1 m / 2
scores = everything @ slopes - np.einsum("jd,dj->j", centres, slopes) / 2
assert (wrong == np.flatnonzero(scores.argmax(axis=1) != three)).all()
assert len(wrong) == 3

# %%
# Three of 150, all at the border of *versicolor* and *virginica*.
#
# .. raw:: html
#
#    </details>
#
# Checks
# ------
#
# The library against numpy and scipy, and against Fisher's print.

chunk = model.chunk(x)
np.testing.assert_allclose(given_truth.predict_proba(x), responsibilities, atol=1e-12)
np.testing.assert_allclose(lem.log_likelihood(model, truth, x), log_likelihood, rtol=1e-12)
np.testing.assert_allclose(known.params.weights, label_weights, rtol=1e-12)
np.testing.assert_allclose(known.params.components.means, label_means, rtol=1e-10)
np.testing.assert_allclose(known.params.components.covariances, label_covariances, rtol=1e-9)
assert abs(known.history[-1].entropy) < 1e-12
heights = [stats.multivariate_normal(label_means[j], label_covariances[j]).logpdf(own[j]).sum() for j in range(k)]
at_labels = counts @ np.log(label_weights) + sum(heights)
np.testing.assert_allclose(known.history[-1].expected_log_joint, at_labels, rtol=1e-10)
turned = model.m_step(model.expectation(truth, chunk).statistics, truth)
np.testing.assert_allclose(turned.weights, expected / n, rtol=1e-10)
np.testing.assert_allclose(turned.components.means, weighted_means, rtol=1e-10)
largest = responsibilities.max(axis=1)
assert abs(hits - expected_hits) < 3 * np.sqrt((largest * (1 - largest)).sum())
errors = np.sqrt(np.diagonal(label_covariances, axis1=1, axis2=2) / counts[:, None])
assert (np.abs(label_means - means) < errors).sum() == 5
assert none.log_likelihood > lem.log_likelihood(model, known.params, x)
assert (np.argsort(some.params.components.means[:, 0]) == [0, 1, 2]).all()
swapped = model.params(weights[[2, 0, 1]], means[[2, 0, 1]], covariances[[2, 0, 1]])
np.testing.assert_allclose(lem.log_likelihood(model, swapped, x), log_likelihood, rtol=1e-12)

table_iii = [
    [19.1434, 9.0356, 9.7634, 3.2394],
    [9.0356, 11.8658, 4.6232, 2.4746],
    [9.7634, 4.6232, 12.2978, 3.8794],
    [3.2394, 2.4746, 3.8794, 2.4604],
]
np.testing.assert_allclose(within, table_iii, atol=5e-5)  # Fisher (1936), Annals of Eugenics 7
table_ii = [[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326]]
np.testing.assert_allclose(flowers.params.components.means, table_ii, atol=5e-4)
