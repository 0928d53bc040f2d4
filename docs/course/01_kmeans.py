r"""
K-means
=======

Put 272 points into two groups, so that the points of a group are close to one another. K-means does it by turns: put
each point to the nearest centre, then move each centre to the mean of its points. This chapter watches one number fall
while it does so, and asks why it ends, and where.

The formulas are in :doc:`the mathematics </mathematics>`, under "K-means"; here are their numbers. Nothing in this
chapter is a probability yet. But K-means has all the parts of EM, and they will keep their names.
"""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np

import latentem as lem

# %%
# The data
# --------
#
# Old Faithful is a geyser. For each of 272 eruptions we know how long it lasted, and how long one waited for the next.
# Waiting times run to 96 and durations to 5, so raw distances would see little but the waiting. We put both columns on
# one scale: mean 0, standard deviation 1.

faithful = lem.datasets.old_faithful()
x = (faithful - faithful.mean(axis=0)) / faithful.std(axis=0)
print(f"{len(x)} eruptions; the first, in minutes: {faithful[0]}, on one scale: {x[0].round(4)}")

# %%
# The distortion
# --------------
#
# Say where two centres are, and which point belongs to which. The **distortion** J is the sum of the squared distances
# of all points to their own centres. It is also called the inertia. We start with two poor centres, as Bishop (2006,
# fig. 9.1) does: top left and bottom right of the cloud.


def squared_distances(x, centres):
    """The squared distance of each point to each centre, shape (n, k)."""
    return ((x[:, None, :] - centres) ** 2).sum(axis=2)


def assign(x, centres):
    """The number of the nearest centre, for each point."""
    return squared_distances(x, centres).argmin(axis=1)


def move(x, labels, centres):
    """The mean of each group; a centre without points stays."""
    return np.array([x[labels == j].mean(axis=0) if (labels == j).any() else c for j, c in enumerate(centres)])


def distortion(x, centres, labels):
    """J: the sum of squared distances to the own centres."""
    return ((x - centres[labels]) ** 2).sum()


begin = np.array([[-1.5, 1.0], [1.5, -1.0]])
labels = assign(x, begin)
print(f"groups of {np.bincount(labels)}, J = {distortion(x, begin, labels):.4f}")

# %%
# The E half
# ----------
#
# **Keep the centres, choose the labels.** Each point adds one term to J, and no term cares for the other points. So
# each point may choose for itself, and the nearest centre is the best choice. Any other label costs more. For the first
# point:

print(f"squared distances of the first point: {squared_distances(x[:1], begin)[0].round(4)}; label {labels[0]}")

# %%
# The M half
# ----------
#
# **Keep the labels, choose the centres.** Now each group is by itself. The sum of squared distances to a point c is
# smallest where c is the mean; that is the reason for the word "means". J falls again:

centres = move(x, labels, begin)
print(f"J before {distortion(x, begin, labels):.4f}, after {distortion(x, centres, labels):.4f}")

# %%
# By turns
# --------
#
# E, M, E, M, ... until no label changes. Neither half can raise J.


def lloyd(x, centres):
    """J after each half step, and the last labels and centres (Lloyd, 1982)."""
    labels, heights = None, []
    while True:
        before, labels = labels, assign(x, centres)
        heights.append(distortion(x, centres, labels))
        if before is not None and (labels == before).all():
            return heights, labels, centres
        centres = move(x, labels, centres)
        heights.append(distortion(x, centres, labels))


by_hand, labels, centres = lloyd(x, begin)
for i, height in enumerate(by_hand):
    print(f"{'EM'[i % 2]}: J = {height:10.4f}")

# %%
# The last E half changed no label, so the next M half would move no centre: that is the end. Short eruptions are
# followed by short waits, long ones by long waits.
#
# The same with the library. `record` keeps every half step. Frame 0 is the start, which has no labels and so no J.

model = lem.KMeans(2)
trace = lem.record(model, x, start=model.params(begin))
for frame in trace[1:]:
    print(f"{frame.index} {frame.kind}: J = {frame.distortion:10.4f}")

# %%
# The same half steps as pictures. E changes colours, M moves the crosses.

strip = lem.plot.filmstrip(trace)

# %%
# And J. The steps become small soon; most is gained in the first three half steps.

ax = lem.plot.inertia(trace)

# %%
# Why it ends
# -----------
#
# There are :math:`2^{272}` ways to label the points: many, but not infinitely many. After an M half, J depends on the
# labels alone. Each round that changes anything makes J smaller, so no labelling can come twice. Hence it ends. (Ties
# could go to and fro for ever; the lowest number wins them.)
#
# That argument gives no good count of rounds. Here it took four of them, and one to see that nothing changes.
#
# **It ends where no half can gain. That need not be the best labelling.** Which brings us to starts.
#
# Restarts
# --------
#
# Fisher's 150 irises have four measurements and three species. We take three of the flowers as centres and run to the
# end; then three others; 200 times.

iris = lem.datasets.iris()
rng = np.random.default_rng(0)
drawn = [rng.choice(150, 3, replace=False) for _ in range(200)]
ends = [lloyd(iris, iris[rows]) for rows in drawn]
last = np.array([heights[-1] for heights, _, _ in ends])
values, times = np.unique(last.round(4), return_counts=True)
for value, count in zip(values, times, strict=True):
    print(f"J = {value:8.4f}: {count:3} times")

# %%
# Six different ends. Two are good and nearly equal, 78.85; they differ in one flower. The others are bad, above 142.
# One start in five ends there. A bad end looks like this: *setosa*, far from the rest, has two centres, and the other
# two species share one.

bad = ends[int(np.flatnonzero(last.round(4) == values[times[2:].argmax() + 2])[0])]
good = ends[int(last.argmin())]
for name, (heights, owners, _) in [("good", good), ("bad", bad)]:
    print(f"{name}: J = {heights[-1]:.4f}, groups of {np.sort(np.bincount(owners))}")

fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, (heights, owners, middles) in zip(axes, [good, bad], strict=True):
    for j in range(3):
        ax.plot(*iris[owners == j][:, [2, 3]].T, ".", color=f"C{j}")
        ax.plot(*middles[j, [2, 3]], "P", color=f"C{j}", markersize=12, markeredgecolor="k")
    ax.set(title=f"J = {heights[-1]:.3f}", xlabel="petal length (cm)")
axes[0].set_ylabel("petal width (cm)")
for ax in axes:
    ax.grid(alpha=0.3)

# %%
# One of the two centres on the left would help more on the right. It cannot get there: each half step looks only at
# its own group.
#
# The remedy is old: start several times, keep the lowest J. `fit` starts ten times, with centres drawn far from one
# another (k-means++; the mathematics, "Starts"). The picture shows where each of them ended.

fit = lem.fit(lem.KMeans(3), iris)
print(fit)
ax = lem.plot.starts(fit)

# %%
# 78.8514 is what R prints, too, for `kmeans(iris[, 1:4], 3, nstart = 10)`.
#
# An empty cluster
# ----------------
#
# Put one centre so far off that no point is nearest to it. Its group is empty, and the mean of nothing is 0/0.

far = np.array([[-1.5, 1.0], [30.0, 30.0]])
print(f"groups of {np.bincount(assign(x, far), minlength=2)}")
stuck, _, _ = lloyd(x, far)
print(f"the centre stays where it is: J ends at {stuck[-1]:.4f}")

# %%
# Our loop left the centre where it was, so one cluster is all there is, and J ends at 544: the sum of squares about the
# common mean, that is 272 rows times two columns of variance 1. A centre without points is free: it may go where it
# helps most. The library moves it to the point that is farthest from its own centre, and says so.

reseeded = lem.fit(model, x, start=model.params(far))
print(f"J = {reseeded.inertia:.4f}")
print(reseeded.events[0].message)

# %%
# Number 264 is the 265th eruption: the library counts from 0. J of the whole is what the good start gave.
#
# The recording as a page
# -----------------------
#
# All half steps of the first run, to look at one by one.

trace

# %%
# Exercises
# ---------
#
# **1.** Show that J can be written without centres: the squared distances of all pairs within a group, divided by the
# size of the group, each pair once (Hastie, Tibshirani and Friedman, 2009, eq. 14.31). Check it at the end of the run
# above.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

pairs = 0.0
for j in range(2):
    group = x[labels == j]
    pairs += squared_distances(group, group).sum() / 2 / len(group)
print(f"from pairs {pairs:.9f}, from centres {by_hand[-1]:.9f}")
np.testing.assert_allclose(pairs, by_hand[-1], rtol=1e-12)

# %%
# For each group :math:`\sum_{i,l} |x_i - x_l|^2 = 2 n \sum_i |x_i - \bar x|^2`: expand about the mean; the cross terms
# cancel.
#
# .. raw:: html
#
#    </details>
#
# **2.** In one dimension the groups of the best labelling are intervals. So with 82 galaxies and three clusters there
# are only :math:`\binom{81}{2} = 3240` labellings to try. Try them. Then draw three galaxies as centres and run to the
# end, 400 times: how often is the best found? Now draw as k-means++ does, the next centre with probability proportional
# to the squared distance to the nearest one so far.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

speeds = np.sort(lem.datasets.galaxies()) / 1000


def spread(part):
    """The sum of squares about the mean."""
    return ((part - part.mean()) ** 2).sum()


def plus_plus(x, k):
    """Rows as centres, each far from those before it (Arthur and Vassilvitskii, 2007)."""
    centres = x[rng.integers(len(x))][None]
    while len(centres) < k:
        costs = squared_distances(x, centres).min(axis=1)
        centres = np.vstack([centres, x[rng.choice(len(x), p=costs / costs.sum())]])
    return centres


cuts = list(combinations(range(1, 82), 2))
costs = [sum(spread(part) for part in np.split(speeds, cut)) for cut in cuts]
best = int(np.argmin(costs))
groups = np.split(speeds, cuts[best])
print(f"{len(cuts)} labellings; the best has J = {costs[best]:.6f}, groups of {[len(part) for part in groups]}")
found = {}
for name, draw in [("drawn evenly", lambda: speeds[rng.choice(82, 3, replace=False)]), ("k-means++", None)]:
    heights = [lloyd(speeds, draw() if draw else plus_plus(speeds, 3))[0][-1] for _ in range(400)]
    found[name] = np.mean(np.array(heights) < costs[best] + 1e-9)
    print(f"{name}: found by {100 * found[name]:.1f} % of the starts")
assert len(cuts) == 3240
assert 0.1 < found["k-means++"] < 0.2
assert found["drawn evenly"] < 0.03
here = lem.KMeans(3)
stays = lem.fit(here, speeds, start=here.params([part.mean(axis=0) for part in groups]))
np.testing.assert_allclose(stays.inertia, costs[best], rtol=1e-12)

# %%
# A cluster of 5 galaxies of 82 is rarely hit by chance. k-means++ looks for what is far. In two dimensions and more
# there is no list of intervals to check against; one draws more starts, and never knows.
#
# .. raw:: html
#
#    </details>
#
# **3.** Run K-means on Old Faithful in minutes, not on one scale. How many eruptions change their group? Which column
# decides?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

raw = lem.fit(lem.KMeans(2), faithful)
raw_labels = raw.predict(faithful)
same = (raw_labels == labels).mean()
moved = round(272 * min(same, 1 - same))
share = faithful.var(axis=0) / faithful.var(axis=0).sum()
print(f"{moved} of 272 change; the waiting time has {100 * share[1]:.1f} % of the sum of squares")
assert moved == 4
assert share[1] > 0.99
by_waiting = [sum(spread(part) for part in np.split(np.sort(faithful[:, 1]), [cut])) for cut in range(1, 272)]
shortest = np.bincount(raw_labels).min()
assert shortest == int(np.argmin(by_waiting)) + 1

# %%
# K-means has no opinion on units: you have one, by your choice of scale. In minutes it cuts by the waiting time alone.
#
# .. raw:: html
#
#    </details>
#
# Checks
# ------
#
# The library against our own loop; both against what others print.

np.testing.assert_allclose(trace.distortion[1:], by_hand, rtol=1e-12)
assert (np.diff(by_hand) <= 0).all()
np.testing.assert_allclose(trace[-1].params.components.means, centres, rtol=1e-12)
for frame in trace[1:]:  # the books: the fall of J over twice the held variance is the gain
    fall = (by_hand[frame.index - 2] if frame.index > 1 else np.nan) - frame.distortion
    assert frame.index == 1 or abs(frame.gain - fall / 2) < 1e-9

assert f"{fit.inertia:.5f}" == "78.85144"  # R 4, kmeans(iris[, 1:4], 3)
np.testing.assert_allclose(fit.inertia, last.min(), rtol=1e-12)
assert {50, 38, 62} == set(np.bincount(fit.predict(iris)).tolist())
near = ends[int(np.flatnonzero(last.round(4) == values[1])[0])]
assert np.sort(np.bincount(near[1])).tolist() == [39, 50, 61]
assert min(value for value in values if value > 79) > 142

np.testing.assert_allclose(stuck[-1], 544, rtol=1e-12)
np.testing.assert_allclose(reseeded.inertia, by_hand[-1], rtol=1e-12)
farthest = squared_distances(x, x.mean(axis=0, keepdims=True)).argmax()
assert f"row {farthest}" in reseeded.events[0].message
