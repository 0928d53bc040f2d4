r"""
The bound
=========

EM does not climb the likelihood itself. It climbs something below it, the auxiliary lower bound :math:`A`. This chapter
looks at that bound alone: why it is below, by how much, and why the likelihood rises with it. At the end the same idea,
without any probability, finds the best place for a well.

The formulas are in :doc:`the mathematics </mathematics>`, under "The bound" and "Other auxiliary functions"; here are
their numbers.
"""

import runpy
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, special, stats

import latentem as lem

# %%
# One row and Jensen's inequality
# -------------------------------
#
# The velocities of 82 galaxies, in thousands of km/s, and a mixture of three Gaussians with parameters that we have
# guessed. For one galaxy there are three numbers :math:`a_j = w_j\, p(x \mid j)`, and its likelihood is their sum.

x = lem.datasets.galaxies() / 1000
weights, means, widths = np.array([0.2, 0.5, 0.3]), np.array([10.0, 20.0, 24.0]), np.array([2.0, 2.0, 3.0])
joint = weights * stats.norm(means, widths).pdf(x)  # shape (82, 3)
row = joint[40]
print(f"x = {x[40, 0]:.3f}: a = {np.round(row, 6)}, log of the sum {np.log(row.sum()):.6f}")

# %%
# Take any probabilities :math:`q_j` and write the sum as a mean, :math:`\sum_j q_j (a_j / q_j)`. The logarithm is
# concave, so **the log of a mean is at least the mean of the logs** (Jensen). The mean of the logs is our bound for
# this row. It is below for every q, and equal for one: where all :math:`a_j / q_j` are the same number.

for name, q in [("a third each", np.full(3, 1 / 3)), ("proportional to a", row / row.sum())]:
    print(f"{name:18} mean of the logs {q @ np.log(row / q):.6f}")

# %%
# Proportional to a: that is Bayes' rule. The best q is the posterior of the labels.
#
# Any q at all
# ------------
#
# The whole data now, and five choices of q. Two of them ignore the data. "Hard" puts everything on the likeliest
# component. "Stale" is the posterior of other parameters, as an earlier step would leave it. `lower_bound` gives the
# books of each: Q, the entropy H, their sum A, and the gap to the log likelihood.

model = lem.GaussianMixture(3)
params = model.params(weights, means[:, None], widths[:, None, None] ** 2)
earlier = model.params([1 / 3] * 3, [[9.0], [19.0], [29.0]], np.full((3, 1, 1), 16.0))
posterior = joint / joint.sum(axis=1, keepdims=True)
choices = {
    "a third each": np.full((82, 3), 1 / 3),
    "1/2, 1/2, 0": np.tile([0.5, 0.5, 0.0], (82, 1)),
    "hard": np.eye(3)[posterior.argmax(axis=1)],
    "stale": model.posterior(earlier, model.chunk(x)).weights,
    "posterior": posterior,
}
log_likelihood = np.log(joint.sum(axis=1)).sum()
print(f"log likelihood {log_likelihood:.4f}")
print(f"{'q':13} {'Q':>10} {'H':>9} {'A = Q + H':>11} {'KL':>9}")
books = {}
for name, q in choices.items():
    books[name] = lem.lower_bound(model, params, x, q)
    book = books[name]
    print(f"{name:13} {book.expected_log_joint:10.4f} {book.entropy:9.4f} {book.bound:11.4f} {book.gap:9.4f}")

# %%
# The gap is no accident: it is the Kullback-Leibler divergence from q to the posterior, summed over the rows. It is
# zero where q is the posterior, and nowhere else. So the E half of EM, which sets q to the posterior, closes the gap.
# Even a q that says nothing of the data gives a true bound; a poor one.

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for i, book in enumerate(books.values()):
    ax.plot([book.bound, log_likelihood], [i, i], color="0.8", linewidth=8, solid_capstyle="butt")
    ax.plot(book.bound, i, "o", color="C0")
    ax.annotate(f"KL {max(book.gap, 0):.1f}", (log_likelihood, i), (6, 0), textcoords="offset points", va="center")
ax.axvline(log_likelihood, color="C3", label="log likelihood")
ax.set(yticks=range(5), yticklabels=list(books), xlabel="nats", title="A for five choices of q; the gap is KL")
ax.margins(x=0.15)
_ = ax.legend(loc="lower left")

# %%
# The chain
# ---------
#
# Now the argument for EM, in one line. Let q be the posterior at the old parameters. Then
#
# .. math:: \ell(\theta_{new}) \ge A(\theta_{new}, q_{old}) \ge A(\theta_{old}, q_{old}) = \ell(\theta_{old}).
#
# The first step holds since A is a bound for *every* q. The second holds since the M half makes A as large as it can.
# The last holds since the bound touches where q was made. `record` keeps every half step of a run, so the three numbers
# are there to read:

trace = lem.record(model, x, start=params, steps=5)
chain = []
print("step  l(new)       A(new, q old)  l(old)")
for before, after in pairwise(trace[1:]):
    if after.kind == "M":
        chain.append((after.log_evidence, after.bound, before.log_evidence))
        print("{:4}  {:.6f}  {:.6f}    {:.6f}".format(len(chain), *chain[-1]))

# %%
# What each half gained are the two differences, and the books of a run have both: the M half the second step of the
# chain, and the E half that follows the first.

for frame in trace[1:6]:
    print(f"{frame.kind} half: l = {frame.log_evidence:.4f}, A = {frame.bound:.4f}, KL = {max(frame.gap, 0):.4f}")

trace

# %%
# An M half moves the densities; an E half leaves them, and raises A alone.

axes = lem.plot.filmstrip(trace, frames=range(1, 5))

# %%
# The tangent picture
# -------------------
#
# Fix the old parameters and their q, and walk away from them along a line. At each point compute the log likelihood
# :math:`\ell`, and A with the q of the *old* parameters. Here one number changes, the mean of the second component.
# A is a parabola in it.

ax = lem.plot.tangent(trace, 1, "components.means[1, 0]")

# %%
# The two touch at the old parameters, with the same slope, since A is below on both sides. The M half goes to the top
# of A. The likelihood there is higher still.
#
# It is the same for every model and every line. Here are five models, and of each the line from the old parameters to
# the new ones, from half a step before to half a step beyond, with more than 200 points. `tangent` leaves out places
# where there are no parameters, such as a negative variance.

faithful = lem.datasets.old_faithful()
waiting, iris = faithful[:, 1:], lem.datasets.iris()
counts, often = np.arange(10.0)[:, None], np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
gaussians, poissons = lem.GaussianMixture(2), lem.Mixture(lem.Poisson(), 2)
students, chain_of_two = lem.Mixture(lem.Student(), 2), lem.HiddenMarkov(lem.Gaussian(), 2)
factor = lem.FactorAnalysis(1)
lines = {
    "Gaussian mixture": (
        gaussians,
        gaussians.params([0.5, 0.5], [[2.5, 60.0], [4.0, 75.0]], [np.diag([0.3, 60.0])] * 2),
        gaussians.chunk(faithful),
    ),
    "Poisson mixture": (poissons, poissons.params([0.5, 0.5], [[1.0], [3.0]]), poissons.chunk(counts, often)),
    "Student mixture": (
        students,
        students.params([0.5, 0.5], lem.Student().params([[60.0], [75.0]], np.full((2, 1, 1), 60.0), [5.0, 5.0])),
        students.chunk(waiting),
    ),
    "hidden Markov": (
        chain_of_two,
        chain_of_two.params(
            [0.5, 0.5],
            [[0.5, 0.5], [0.6, 0.4]],
            lem.Gaussian().params([[60.0], [75.0]], np.full((2, 1, 1), 100.0)),
        ),
        chain_of_two.chunk(waiting[:100]),
    ),
    "factor analysis": (
        factor,
        factor.params(iris.mean(axis=0), np.full((4, 1), 0.5), np.full(4, 0.3)),
        factor.chunk(iris),
    ),
}
tangents = {}
for name, (family, old, chunk) in lines.items():
    recorded = lem.record(family, chunk, start=old, steps=1)
    tangent = recorded.tangent(1, "next", points=241)
    tangents[name] = tangent
    gap = tangent.log_likelihood - tangent.bound
    print(f"{name:17} at the old: l - A = {tangent.touching:9.1e}; {len(gap)} points, least l - A {gap.min():9.1e}")

# %%
fig, axes = plt.subplots(1, 5, figsize=(12, 2.8), layout="constrained")
for ax, (name, tangent) in zip(axes, tangents.items(), strict=True):
    ax.plot(tangent.places, tangent.log_likelihood, label="log likelihood")
    ax.plot(tangent.places, tangent.bound, label="A, q of the old")
    ax.axvline(0, color="0.7", linewidth=0.8)
    ax.plot(1, np.interp(1, tangent.places, tangent.bound), "k^", markersize=5)
    ax.set(title=name, xticks=[0, 1], xticklabels=["old", "new"], ylim=(tangent.bound[0], None))
    ax.tick_params(labelleft=False)
_ = axes[0].legend(fontsize=7)

# %%
# The triangle is again where the M half goes. Read the picture once more as a recipe, with no word about
# probability in it. To climb a curve that is hard to climb, draw an easy curve that is below it and touches it where
# you stand. Climb the easy one. You cannot have lost.
#
# A model that is no density
# --------------------------
#
# Six villages want a well, with the least **sum of distances** to all. The sum of *squared* distances would be easy:
# its minimum is the mean. So put a parabola over each distance, which touches it at the distance d where the well is
# now. Sum over the villages, and there is a curve G that is above F and touches it. The lowest point of G is a
# *weighted* mean, with weights :math:`1/d` (Weiszfeld, 1937). To minimise F through :math:`G \ge F` is to maximise
# :math:`-F` through a lower bound. So EM's runner can do it, and keeps its books: d takes the place of q, and
# :math:`-d/2` that of the entropy. The model has the five methods of every other:
#
# .. literalinclude:: /../examples/geometric_median.py
#    :pyobject: GeometricMedian
#
# It has no `log_evidence`, for there is no density; that is how a model says so. A fit of it then has no log
# likelihood, no AIC and no BIC.

here = Path(globals().get("__file__", "chapter")).resolve().parent  # a page is made in the directory of its chapter
median = runpy.run_path(str(here.parents[1] / "examples" / "geometric_median.py"))
well, villages = median["GeometricMedian"](), median["towns"]


def total_distance(m):
    """F: the sum of distances to the villages."""
    return np.linalg.norm(villages - m, axis=1).sum()


start = np.array([6.0, 6.0])
run = list(lem.EM(stop=lem.remaining_below(1e-22)).iterate(well, start, villages))
print("step   m                        F = -A       M half      E half")
for state in run[:6]:
    print(
        f"{state.step.index:4}   {state.params[0]:.8f} {state.params[1]:.8f}   {-state.bound:.8f}   "
        f"{state.step.m_gain:9.2e}   {state.step.e_gain:9.2e}"
    )
print(f"{len(run) - 1:4}   {run[-1].params[0]:.8f} {run[-1].params[1]:.8f}   {-run[-1].bound:.8f}")

# %%
# **A village as the place to start** needs care. There d = 0, and no parabola touches a corner from above. The
# distance to that village then stays in G as it is. The M half weighs the pull of the others, the length of a sum of
# unit vectors, against the one village: a pull of at most 1 leaves the well where it is, and it is the answer (Vardi
# and Zhang, 2000). The example starts at the best village. F only falls, so it never meets another.

path = np.array([state.params for state in run])
east, north = np.meshgrid(np.linspace(-1, 10, 120), np.linspace(-1, 8, 100))
height = sum(np.hypot(east - a, north - b) for a, b in villages)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.contour(east, north, height, levels=18, cmap="Greys", linewidths=0.7)
left.plot(*villages.T, "s", color="C0", label="villages")
left.plot(*path.T, ".-", color="C3", label="the well, step by step")
left.set(title="The sum of distances", aspect="equal")
left.legend(fontsize=8)
distances = np.linalg.norm(villages - start, axis=1)
where = np.linspace(-0.25, 1.25, 100)
along = [start + t * (path[1] - start) for t in where]
above = [sum((np.linalg.norm(villages - m, axis=1) ** 2 / distances + distances) / 2) for m in along]
right.plot(where, [total_distance(m) for m in along], label="F")
right.plot(where, above, label="G, d of the old")
right.plot(1, np.interp(1, where, above), "kv", markersize=5)
right.set(title="The first step", xticks=[0, 1], xticklabels=["old", "new"])
_ = right.legend()

# %%
# Exercises
# ---------
#
# **1.** For the galaxy in row 40, let q be :math:`(1 - s)` times the posterior and s times "a third each". Show that
# the bound of this row falls all the way as s goes from 0 to 1.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

mixed = [(1 - s) * row / row.sum() + s / 3 for s in np.linspace(0, 1, 11)]
bounds = np.array([q @ np.log(row / q) for q in mixed])
print(np.round(bounds, 4))
assert abs(bounds[0] - np.log(row.sum())) < 1e-12
assert (np.diff(bounds) < 0).all()

# %%
# .. raw:: html
#
#    </details>
#
# The bound is concave in q, and its top is at s = 0: on the way from the top it can only fall.
#
# **2.** Let the M half be lazy: go only a tenth of the way to the new parameters. Does the log likelihood of the
# Poisson mixture still rise at each step? (Dempster, Laird and Rubin, 1977, call it generalised EM.)
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

lazy, heights = lines["Poisson mixture"][1], []
data = lines["Poisson mixture"][2]
for _ in range(50):
    heights.append(lem.log_likelihood(poissons, lazy, [data]))
    goal = poissons.m_step(poissons.expectation(lazy, data).statistics, lazy)
    lazy = lem.teaching.Line.towards(lazy, goal).make(0.1)
print(f"{heights[0]:.3f}, {heights[1]:.3f}, {heights[2]:.3f}, ..., {heights[-1]:.3f}")
assert (np.diff(heights) > 0).all()

# %%
# .. raw:: html
#
#    </details>
#
# Yes: for the chain, A need only rise; it need not be at its top.
#
# **3.** Logistic regression has no latent variable, but its log likelihood has a parabola below it: its second
# derivative is never below :math:`-X^\top X / 4` (Böhning and Lindsay, 1988). Tell *versicolor* from *virginica* among
# the irises by petal length and sepal width with it, in plain numpy. No step may lose, and the end must be scipy's.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

design = np.column_stack([np.ones(100), stats.zscore(iris[50:, [1, 2]])])
virginica = np.repeat([0.0, 1.0], 50)


def log_odds_fit(b):
    """The log likelihood of logistic regression."""
    return virginica @ design @ b - np.logaddexp(0, design @ b).sum()


slopes, climbed = np.zeros(3), []
quarter = design.T @ design / 4
for _ in range(20_000):
    climbed.append(log_odds_fit(slopes))
    step = np.linalg.solve(quarter, design.T @ (virginica - special.expit(design @ slopes)))
    slopes = slopes + step
    if np.abs(step).max() < 1e-13:
        break
for away in np.random.default_rng(0).normal(size=(200, 3)):  # the parabola that touches at the origin is below
    parabola = log_odds_fit(np.zeros(3)) + away @ design.T @ (virginica - 1 / 2) - away @ quarter @ away / 2
    assert parabola <= log_odds_fit(away)
peer = optimize.root(lambda b: design.T @ (virginica - special.expit(design @ b)), np.zeros(3), tol=1e-13)
print(f"{len(climbed)} steps, slopes {np.round(slopes, 6)}")
assert np.diff(climbed).min() > -1e-11
np.testing.assert_allclose(slopes, peer.x, atol=1e-8)

# %%
# .. raw:: html
#
#    </details>
#
# Checks
# ------
#
# All of the above against plain numpy and scipy.

for name, q in choices.items():
    with np.errstate(divide="ignore"):
        terms = special.xlogy(q, q) - special.xlogy(q, posterior)
    assert abs(books[name].gap - terms.sum()) < 1e-9, name
    assert abs(books[name].entropy + special.xlogy(q, q).sum()) < 1e-9, name
    assert abs(books[name].log_evidence - log_likelihood) < 1e-9, name
assert abs(books["posterior"].gap) < 1e-9
assert all(book.gap > 1 for name, book in books.items() if name != "posterior")

for top, middle, bottom in chain:
    assert top >= middle >= bottom
for name, tangent in tangents.items():
    assert abs(tangent.touching) < 1e-9, name
    assert len(tangent.places) >= 200, name
    assert (tangent.log_likelihood >= tangent.bound - 1e-9).all(), name

# The line of the Poisson mixture once more, in plain numpy.
tangent = tangents["Poisson mixture"]


def joint_of(weight, rates):
    """w_j p(x | j) of each count, shape (10, 2)."""
    return np.array([weight, 1 - weight]) * stats.poisson.pmf(counts, rates)


old_joint = joint_of(0.5, [1.0, 3.0])
r = old_joint / old_joint.sum(axis=1, keepdims=True) * often[:, None]
new_weight, new_rates = r[:, 0].sum() / often.sum(), (counts * r).sum(axis=0) / r.sum(axis=0)
entropy = -(r * np.log(r / often[:, None])).sum()
for t, curve, below in zip(tangent.places, tangent.log_likelihood, tangent.bound, strict=True):
    at = joint_of(0.5 + t * (new_weight - 0.5), np.array([1.0, 3.0]) + t * (new_rates - [1.0, 3.0]))
    assert abs(curve - often @ np.log(at.sum(axis=1))) < 1e-9
    assert abs(below - (r * np.log(at)).sum() - entropy) < 1e-9

apart = [np.linalg.norm(villages - state.params, axis=1).sum() for state in run]
np.testing.assert_allclose([-state.bound for state in run], apart, rtol=1e-12)
assert all(state.step.m_gain > -1e-12 and state.step.e_gain > -1e-12 for state in run[1:])


def pull(m):
    """The sum of the unit vectors from m to the villages: zero at the best place."""
    return ((villages - m) / np.linalg.norm(villages - m, axis=1, keepdims=True)).sum(axis=0)


best = optimize.root(pull, villages.mean(axis=0), tol=1e-14)
np.testing.assert_allclose(run[-1].params, best.x, atol=1e-8)
