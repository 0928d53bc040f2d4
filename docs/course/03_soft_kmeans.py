r"""
Soft K-means
============

K-means is sure of everything. A point half way between two centres belongs to one of them, wholly, because it has to.
Soft K-means gives shares instead. One number, the stiffness, says how sure it is. This chapter turns that number from 0
to infinity: one cluster at one end, K-means at the other, and a sudden change between.

The formulas are in :doc:`the mathematics </mathematics>`, under "K-means"; here are their numbers.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, special

import latentem as lem

# %%
# Shares
# ------
#
# Old Faithful on one scale, as in chapter 1, and two centres. The share of a centre in a point is
# :math:`r_j \propto e^{-\beta |x - \mu_j|^2}`, and the shares of a point add up to one. :math:`\beta` is the
# **stiffness**.

faithful = lem.datasets.old_faithful()
x = (faithful - faithful.mean(axis=0)) / faithful.std(axis=0)
n, d = x.shape
begin = np.array([[-1.0, 0.5], [1.0, -0.5]])


def squared_distances(x, centres):
    """The squared distance of each point to each centre, shape (n, k)."""
    return ((x[:, None, :] - centres) ** 2).sum(axis=2)


def shares(x, centres, beta):
    """The share of each centre in each point, shape (n, k)."""
    return special.softmax(-beta * squared_distances(x, centres), axis=1)


point = x[[0]]
print(f"squared distances {squared_distances(point, begin)[0].round(4)}")
for beta in (0, 0.1, 1, 10, 100):
    print(f"stiffness {beta:5}: shares {shares(point, begin, beta)[0].round(6)}")

# %%
# Only the *difference* of the two squared distances counts, times :math:`\beta`. At stiffness 0 nothing counts, and
# every centre has the same share. At 100 the point belongs to one.
#
# The two halves
# --------------
#
# E half: shares. M half: each centre moves to the **weighted** mean, each point counting by its share. That is all.


def move(x, r):
    """The weighted means, shape (k, d)."""
    return (r.T @ x) / r.sum(axis=0)[:, None]


beta = 1.0
centres, path = begin, [begin]
for _ in range(20):
    centres = move(x, shares(x, centres, beta))
    path.append(centres)
print(f"after 1 step\n{path[1].round(4)}\nafter 20 steps\n{path[20].round(4)}")

# %%
# Soft K-means is a mixture of Gaussians in which all is held but the means: equal weights, and one round covariance of
# variance :math:`\sigma^2 = 1 / (2 \beta)`. In the library:


def soft(k, beta):
    """Soft K-means of this stiffness."""
    held = {"weights": lem.Fixed.uniform(), "covariances": lem.Fixed(1 / (2 * beta))}
    return lem.GaussianMixture(k, structure=lem.Tied(lem.Spherical()), **held)


def at(model, centres, beta):
    """Parameters with these centres."""
    return model.params([1 / len(centres)] * len(centres), centres, 1 / (2 * beta))


model = soft(2, beta)
trace = lem.record(model, x, start=at(model, begin, beta), steps=20)
print("half   A = Q + H     Q            H")
for frame in trace[1:8]:
    print(f"{frame.index} {frame.kind}   {frame.bound:.6f}  {frame.expected_log_joint:.6f}  {frame.entropy:.6f}")

# %%
# Which number falls now? In K-means it was J. Now it is J with its terms weighted by the shares, *less* a reward for
# being undecided: the entropy H over :math:`\beta`. The bound A is minus that sum, times :math:`\beta`, plus a
# constant. Both halves raise A. J alone may rise.

weighted_j = [
    (trace.responsibilities(frame.index) * squared_distances(x, frame.params.components.means)).sum()
    for frame in trace[1:]
]
free_energy = np.array(weighted_j) - trace.entropy[1:] / beta
constant = -n * np.log(2) - n * d / 2 * np.log(np.pi / beta)
print(f"weighted J {weighted_j[0]:.3f}, {weighted_j[1]:.3f}, {weighted_j[2]:.3f}, ..., {weighted_j[-1]:.3f}")
print(f"J - H / beta {free_energy[0]:.3f}, {free_energy[1]:.3f}, {free_energy[2]:.3f}, ..., {free_energy[-1]:.3f}")
print(f"A = constant - beta (J - H / beta): {constant - beta * free_energy[-1]:.6f} and {trace.bound[-1]:.6f}")

# %%
# The start, two half steps, and the end. A point between the centres has a colour between theirs.

strip = lem.plot.filmstrip(trace, [0, 1, 2, len(trace) - 1])

# %%
# The dial
# --------
#
# Now turn it. For each stiffness we start at the same two centres and run to the end. How far apart are they?

stiffnesses = np.geomspace(0.1, 20, 40)
apart = []
for beta in stiffnesses:
    model = soft(2, beta)
    fit = lem.fit(model, x, start=at(model, begin, beta))
    apart.append(np.linalg.norm(np.diff(fit.params.components.means, axis=0)))
hard = lem.KMeans(2)
kmeans = lem.fit(hard, x, start=hard.params(begin))
limit = np.linalg.norm(np.diff(kmeans.params.components.means, axis=0))

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.semilogx(stiffnesses, apart, ".-")
ax.axhline(limit, color="C3", linewidth=1, label="K-means")
ax.set(xlabel="stiffness", ylabel="distance of the two centres", title="One cluster, then suddenly two")
ax.legend()
print(
    f"stiffness {stiffnesses[0]:.2f}: {apart[0]:.6f} apart; {stiffnesses[-1]:.0f}: {apart[-1]:.4f}; K-means {limit:.4f}"
)

# %%
# The sudden change
# -----------------
#
# Below about 0.26 both centres end at the same place, the mean of the data. There is one cluster, whatever k we ask
# for. Why just there? Put both centres at the mean and move them apart a little, by u and -u. An M half makes of u
#
# .. math:: u \to \frac{1}{\sigma^2} S u = 2 \beta S u,
#
# to first order, with S the covariance of the data. So the longest axis of the data decides. If its variance
# :math:`\lambda` is below :math:`\sigma^2`, the centres fall back together; if it is above, they part.

covariance = np.cov(x.T, bias=True)
longest = np.linalg.eigvalsh(covariance)[-1]
critical = 1 / (2 * longest)
print(f"longest axis: variance {longest:.6f}, so they part at a stiffness of {critical:.6f}")
direction = np.linalg.eigh(covariance)[1][:, -1]
for beta in (0.8 * critical, 1.2 * critical):
    small = 1e-6 * np.array([direction, -direction])
    after = move(x, shares(x, x.mean(axis=0) + small, beta)) - x.mean(axis=0)
    print(f"stiffness {beta:.4f}: one step multiplies by {after[0] @ direction / 1e-6:.6f}")

# %%
# MacKay (2003, ch. 20) shows such *phase transitions*, of four centres. With his stiffness this one is at
# :math:`1 / \lambda`, twice ours. The next section says why.
#
# The factor two
# --------------
#
# Books agree on the algorithm and not on its letter. The same shares of the first point, written by three of them:

beta = 1.0
variance = 1 / (2 * beta)
own = squared_distances(point, begin)[0]
conventions = {
    "here: exp(-beta |x-m|^2), beta": (beta, np.exp(-beta * own)),
    "MacKay: exp(-beta |x-m|^2 / 2), beta": (1 / variance, np.exp(-own / 2 / variance)),
    "Bishop: exp(-|x-m|^2 / 2 eps), eps": (variance, np.exp(-own / (2 * variance))),
}
for name, (number, raw) in conventions.items():
    print(f"{name:38} = {number:3}: shares {(raw / raw.sum()).round(6)}")

# %%
# MacKay has a half in his *distance* (2003, ch. 20), so that his stiffness is the inverse variance; Bishop (2006,
# eq. 9.41) writes the variance itself. When a stiffness is taken from a book, ask whether the half is inside. The
# variance has no such trouble.
#
# The limit
# ---------
#
# At the other end of the dial, :math:`\beta \to \infty`. We take the shares at the end of each run. How many of the 272
# points still have a share above 0.001 elsewhere?

print("stiffness  undecided      H        weighted J")
limits = []
for beta in (0.5, 1, 3, 10, 100, 1000):
    model = soft(2, beta)
    fit = lem.fit(model, x, start=at(model, begin, beta))
    r = fit.predict_proba(x)
    j = (r * squared_distances(x, fit.params.components.means)).sum()
    entropy = special.entr(r).sum()
    limits.append((beta, j, entropy, fit.params.components.means))
    print(f"{beta:9} {int((r.min(axis=1) > 1e-3).sum()):10} {entropy:10.5f} {j:12.6f}")
print(f"K-means                          {kmeans.inertia:12.6f}")

# %%
# H goes to 0, the weighted J to that of K-means, and the centres to its centres. Soft K-means with a great stiffness
# *is* K-means, with its sudden choices and its bad ends. A small stiffness is more patient.
#
# Great numbers need care on the way. :math:`e^{-1000 \cdot 3}` is 0 for a computer, and 0/0 is no share. So one works
# with logarithms and subtracts the largest of each row first.

with np.errstate(invalid="ignore"):
    naive = np.exp(-1000 * own) / np.exp(-1000 * own).sum()
print(f"naive {naive}, with logarithms {shares(point, begin, 1000)[0]}")

# %%
# The recording as a page
# -----------------------
#
# The run at stiffness 1, half step by half step.

trace

# %%
# Exercises
# ---------
#
# **1.** For two centres, show that the share of the second is a *logistic* function of the place,
# :math:`1 / (1 + e^{-(a \cdot x + b)})`. What are a and b?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

beta = 1.5
a = 2 * beta * (begin[1] - begin[0])
b = beta * (begin[0] @ begin[0] - begin[1] @ begin[1])
print(f"a = {a}, b = {b}")
np.testing.assert_allclose(shares(x, begin, beta)[:, 1], special.expit(x @ a + b), rtol=1e-12)

# %%
# Expand the two squares: :math:`|x|^2` cancels. The border, where the share is 1/2, is a straight line: that of
# K-means, for every stiffness.
#
# .. raw:: html
#
#    </details>
#
# **2.** Ask for four centres, and turn the dial up slowly: start each run at the last end, with a little noise. How
# many *different* centres are there? (Rose, 1998, Proceedings of the IEEE 86, clusters by this: deterministic
# annealing.)
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

rng = np.random.default_rng(0)
slow, counts = np.tile(x.mean(axis=0), (4, 1)), []
for beta in (0.2, 0.5, 2.0, 6.0, 10.0):
    model = soft(4, beta)
    fit = lem.fit(model, x, start=at(model, slow + 1e-4 * rng.normal(size=(4, 2)), beta))
    slow = fit.params.components.means
    gaps = np.sqrt(squared_distances(slow, slow))
    counts.append(sum((gaps[i, :i] > 0.05).all() for i in range(4)))
    print(f"stiffness {beta:4}: {counts[-1]} different centres")
assert counts[0] == 1
assert counts[1] == 2
assert counts[-1] == 4
assert (np.diff(counts) >= 0).all()

# %%
# A cluster splits when the variance along its longest axis exceeds :math:`\sigma^2`, as the whole did.
#
# .. raw:: html
#
#    </details>
#
# **3.** Which stiffness do the data prefer? Do not hold the variance but learn it, and turn it into a stiffness. What
# is the variance, in terms of the weighted J?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

learner = lem.GaussianMixture(2, structure=lem.Tied(lem.Spherical()), weights=lem.Fixed.uniform())
learnt = lem.fit(learner, x)
variance = float(learnt.params.components.covariances)
r = learnt.predict_proba(x)
j = (r * squared_distances(x, learnt.params.components.means)).sum()
print(f"variance {variance:.6f}, stiffness {1 / (2 * variance):.4f}; J / (n d) = {j / (n * d):.6f}")
np.testing.assert_allclose(variance, j / (n * d), rtol=1e-6)
for other in (0.8 * variance, 1.25 * variance):
    assert lem.fit(soft(2, 1 / (2 * other)), x).log_likelihood < learnt.log_likelihood

# %%
# The mean squared distance a column. J alone would ask for no variance at all; the likelihood pays for a narrow
# Gaussian with its height. That is where probability comes in: the next chapter.
#
# .. raw:: html
#
#    </details>
#
# Checks
# ------
#
# The library against the loop above in plain numpy; the sudden change against bisection.

for frame in trace[1:]:
    expected = path[(frame.index + 1) // 2 if frame.kind == "M" else frame.index // 2]
    np.testing.assert_allclose(frame.params.components.means, expected, rtol=1e-9)
    if frame.kind == "E":
        np.testing.assert_allclose(trace.responsibilities(frame.index), shares(x, expected, 1.0), atol=1e-12)
assert (np.diff(free_energy) < 1e-9).all()
np.testing.assert_allclose(trace.bound[1:], constant - free_energy, rtol=1e-12)


def growth(beta):
    """The factor of a small difference along the longest axis, in one step; the step in plain numpy."""
    small = 1e-5 * np.array([direction, -direction])
    moved = move(x, shares(x, x.mean(axis=0) + small, beta))
    return (moved[0] - moved[1]) @ direction / 2e-5


np.testing.assert_allclose(optimize.brentq(lambda beta: growth(beta) - 1, 0.05, 2), critical, rtol=1e-6)
together = stiffnesses < 0.95 * critical
assert (np.array(apart)[together] < 1e-3).all()
assert (np.array(apart)[stiffnesses > 1.2 * critical] > 0.5).all()
assert len({tuple((raw / raw.sum()).round(12)) for _, raw in conventions.values()}) == 1

stiff, j, entropy, middles = limits[-1]
np.testing.assert_allclose(j, kmeans.inertia, rtol=1e-3)
np.testing.assert_allclose(middles, kmeans.params.components.means, atol=1e-3)
assert entropy < limits[0][2] / 100
assert np.isnan(naive).all()
