r"""
When it breaks
==============

EM promises that the likelihood never falls. It does not promise that there is a maximum, that the end is one, that the
end comes soon, or that component 1 is the same one tomorrow. Four ways to be disappointed, with real numbers, and what
to do about each.

The formulas are in :doc:`the mathematics </mathematics>`, under "The floor", "How far is the end" and "Acceleration".
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import latentem as lem

# %%
# A likelihood without a maximum
# ------------------------------
#
# Three rows, -1, 1 and 3. Two Gaussians of weight 1/2. The first has mean 0 and standard deviation 1; the second sits
# on the row 3. Now let the standard deviation of the second shrink.

x = np.array([[-1.0], [1.0], [3.0]])


def log_likelihood(mean, width):
    """That of the three rows, with the second component at this mean and of this width."""
    return np.log(stats.norm.pdf(x, 0, 1) / 2 + stats.norm.pdf(x, mean, width) / 2).sum()


for width in (1, 0.1, 0.01, 1e-4, 1e-8, 1e-100):
    print(f"width {width:6.0e}: log likelihood {log_likelihood(3, width):9.4f}")

# %%
# It never ends. The density of the row under its own component grows as 1 over the width, so each factor of ten adds
# :math:`\log 10 = 2.3026`. The first component looks after the other rows meanwhile. So the likelihood of a Gaussian
# mixture has no maximum: any row will do, in any data set. A mean *beside* the row does no harm.

log_widths = np.linspace(np.log(1e-6), np.log(3), 300)
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for mean in (3.0, 2.99, 2.9, 2.5):
    ax.plot(log_widths, [log_likelihood(mean, np.exp(s)) for s in log_widths], label=f"mean at {mean}")
ax.set(xlabel="log of the second width", ylabel="log likelihood", title="A row of one's own: no maximum", ylim=(-9, 9))
_ = ax.legend()

# %%
# What does EM do there? We start at a width of 0.01 and forbid nothing: `prior=None`.

free = lem.GaussianMixture(2, weights=lem.Fixed([0.5, 0.5]), prior=None)
start = free.params([0.5, 0.5], [[0.0], [3.0]], [[[1.0]], [[1e-4]]])
collapsed = lem.EM().run(free, start, x)
print(f"log likelihood {collapsed.bound:.9f}")
print(collapsed.status)

# %%
# One M half, and the variance of the second is zero to the last digit: the component has one row, whose distance to
# its own mean is 0. The run says so and ends at the last parameters that are a density.
#
# The cure is to change the *problem*, and to say so. By default every variance has a floor, 1e-8 of that of the data.
# The likelihood is bounded then, and a component at the floor is an event. Read it: the fit is a curiosity, not an
# answer. A common variance has no such maximum at all; an inverse Wishart prior makes narrow components unlikely.

floored = lem.fit(lem.GaussianMixture(2, weights=lem.Fixed([0.5, 0.5])), x, start=start)
tied_model = lem.GaussianMixture(2, weights=lem.Fixed([0.5, 0.5]), structure=lem.Tied(), prior=None)
tied = lem.fit(tied_model, x, start=tied_model.params([0.5, 0.5], [[0.0], [3.0]], [[1.0]]))
wishart = lem.InverseWishart([[0.5]], 3.0)
held = lem.fit(lem.GaussianMixture(2, weights=lem.Fixed([0.5, 0.5]), prior=wishart), x, start=start)
for name, fit in [("floor", floored), ("tied", tied), ("inverse Wishart", held)]:
    widths = np.sqrt(fit.params.components.dense()[:, 0, 0])
    print(f"{name:15} log likelihood {fit.log_likelihood:8.4f}, BIC {fit.bic:8.4f}, widths {widths.round(6)}")
print(floored.events[0])

# %%
# Mind the BIC: it prefers the curiosity by far. A criterion made for maxima cannot judge a fit that is near none.
#
# A point that EM cannot leave
# ----------------------------
#
# Hasselblad (1969) counted the death notices of women of 80 and over in *The Times*: how many on each of 1,096 days.
# Two Poissons fit them. We start with two that are the same, both at the mean.

counts, days = np.arange(10.0)[:, None], np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
poissons = lem.Mixture(lem.Poisson(), 2)
notices = poissons.chunk(counts, days)
mean = days @ counts[:, 0] / days.sum()
stuck = lem.EM().run(poissons, poissons.params([0.5, 0.5], [[mean], [mean]]), notices)
print(f"log likelihood {stuck.bound:.6f} after {stuck.step.index} step: {stuck.status}")
print(stuck.events[0].message)

# %%
# Each row says 1/2 to both, so both get the same mean again. The gradient is zero. It is no maximum but a *saddle*:
# part the two a little, and EM climbs. The event says it, since no stop rule can. How long does it take to get away?
# We part them by a hundredth, by a millionth, by 1e-10.

fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
escapes = {}
for apart in (1e-2, 1e-6, 1e-10):
    begin = poissons.params([0.5, 0.5], [[mean * (1 - apart)], [mean * (1 + apart)]])
    run = list(lem.EM(max_steps=160).iterate(poissons, begin, notices))
    rates = np.array([state.params.components[:, 0] for state in run])
    escapes[apart] = np.diff(rates, axis=1)[:, 0]
    ax.semilogy(escapes[apart], label=f"begun {apart:g} apart")
ax.set(xlabel="step", ylabel="difference of the two rates", title="Away from a saddle: a constant factor a step")
ax.legend()
growth = escapes[1e-10][11] / escapes[1e-10][10]
dispersion = days @ (counts[:, 0] - mean) ** 2 / days.sum() / mean
print(f"the difference grows by {growth:.6f} a step; variance over mean of the counts: {dispersion:.6f}")

# %%
# The factor is the variance of the counts over their mean (exercise 2). Counts that are less dispersed than a Poisson
# have a factor below 1: there the single Poisson is a local maximum. With several random starts the trap is rare.
# `fit` takes ten.
#
# Slow
# ----
#
# The same data, from the start (1/2; 1, 3). Many programs stop when a step gains little. Watch.

begin = poissons.params([0.5, 0.5], [[1.0], [3.0]])
hasty = lem.EM(stop=lem.gain_below(1e-6)).run(poissons, begin, notices)
steps = list(lem.EM().iterate(poissons, begin, notices))
plain = steps[-1]
for name, run in [("a step gains < 1e-6 a row", hasty), ("remaining gain < 1e-12 a row", plain)]:
    (one, two), share = run.params.components[:, 0], run.params.weights[0]
    print(f"{name:29} {run.step.passes:5} passes: weight {share:.4f}, rates {one:.4f} {two:.4f}, bound {run.bound:.6f}")

# %%
# The hasty one is a quarter off in the weight. A step that gains little is short; it is not near. Each step leaves the
# same share of the way, and here that share is close to one. It is the share of the information that is *missing*
# because nobody wrote down which Poisson a day belongs to (Dempster, Laird and Rubin, 1977).

shares = np.array([state.params.weights[0] for state in steps])
left = (shares[600] - 0.3598854) / (shares[599] - 0.3598854)
print(f"each step leaves {left:.4f} of the way: a digit takes {np.log(10) / -np.log(left):.0f} steps")

# %%
# If the way shrinks so regularly, one can see where it leads, and leap. Anderson's method does so with the statistics
# of the last passes, and takes a leap only if it does not lose (:doc:`/acceleration`). `fit` leaps by default.

runs = {
    "plain": plain,
    "Squarem": lem.EM(accelerate=lem.Squarem()).run(poissons, begin, notices),
    "Anderson": lem.EM(accelerate=lem.Anderson()).run(poissons, begin, notices),
}
top = -1989.945859883
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, run in runs.items():
    ax.loglog(run.history.passes, np.maximum(top - run.history.bound, 1e-9), label=name)
    print(f"{name:8} {run.step.passes:5} passes, bound {run.bound:.9f}, weight {run.params.weights[0]:.7f}")
ax.set(xlabel="passes over the data", ylabel="nats below the maximum", title="The same maximum, sooner")
_ = ax.legend()

# %%
# The plain run stops with 1e-12 nats a row to go, as it was told, and its weight is right to four digits only. The
# likelihood is flat here: that is the same fact as slowness, seen from above.
#
# Which one is component 0?
# -------------------------
#
# Two components can change places, and nothing else changes: k components have k! equal maxima. Which of them a run
# finds depends on its start. That does no harm until one *averages* over runs. Here are 12 samples of the waiting
# times at Old Faithful, drawn with replacement. Each is fitted from means that are two of its waits, drawn at random.

waiting = lem.datasets.old_faithful()[:, 1:]
gaussians = lem.GaussianMixture(2)
rng = np.random.default_rng(1)
found = []
for _ in range(12):
    rows = rng.choice(waiting, len(waiting))
    two = rng.choice(np.unique(rows), (2, 1), replace=False)
    sampled = lem.fit(gaussians, rows, start=gaussians.params([0.5, 0.5], two, np.full((2, 1, 1), rows.var())))
    found.append(sampled.params.components.means[:, 0])
found = np.array(found)
ordered = np.sort(found, axis=1)
print(f"as they come: means {found.mean(axis=0).round(2)}, spread {found.std(axis=0).round(2)}")
print(f"in order:     means {ordered.mean(axis=0).round(2)}, spread {ordered.std(axis=0).round(2)}")

fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True, layout="constrained")
for ax, means, title in zip(axes, (found, ordered), ("as they come", "in order of the mean"), strict=True):
    for j in range(2):
        ax.plot(means[:, j], "o", markersize=4, label=f"component {j}")
    ax.set(title=title, xlabel="sample", xticks=[0, 5, 11])
axes[0].set(ylabel="mean waiting time, minutes")
_ = axes[0].legend(fontsize=8)

# %%
# The average of components that have changed places is a mean of nothing. Put the components in an order first. One
# column is enough here; with many, match them to one fit by how the labels of the rows agree. The library never
# reorders components by itself.
#
# Exercises
# ---------
#
# **1.** Put the narrow component at 2.9, beside the row 3. Which width is best, and why is it finite?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

grid = np.geomspace(1e-3, 0.5, 1001)
best = grid[np.argmax([log_likelihood(2.9, width) for width in grid])]
print(f"the best width is {best:.4f}")
assert abs(best - 0.1) < 0.002

# %%
# .. raw:: html
#
#    </details>
#
# The density of a row at a distance of 0.1 is largest at a width of 0.1. Narrower, and the row falls out of it.
#
# **2.** Show that near the saddle one step of EM multiplies the difference of the two rates by variance over mean.
# Then find counts for which EM goes *back* to the single Poisson.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>
#
# With rates :math:`\lambda \pm \delta` and weights 1/2, Bayes' rule gives the second component
# :math:`r = \frac12 + \frac{\delta (x - \lambda)}{2 \lambda}` to first order. The mean under r is
# :math:`\lambda + \delta \operatorname{Var}(x) / \lambda`, if :math:`\lambda` is the mean of x.


def em_step(weight, one, two, values, often):
    """A step of EM for two Poissons, in plain numpy."""
    first, second = weight * stats.poisson.pmf(values, one), (1 - weight) * stats.poisson.pmf(values, two)
    r = first / (first + second)
    n = often @ r
    return n / often.sum(), (often * r) @ values / n, (often * (1 - r)) @ values / (often.sum() - n)


def parting(values, often):
    """By how much a step multiplies a small difference at the saddle."""
    m = often @ values / often.sum()
    _, one, two = em_step(0.5, m - 1e-5, m + 1e-5, values, often)
    return (two - one) / 2e-5


assert abs(parting(counts[:, 0], days) - dispersion) < 1e-8
dice = np.arange(1.0, 7)  # the eyes of a fair die, each once: mean 3.5, variance 35/12
assert abs(parting(dice, np.ones(6)) - 35 / 12 / 3.5) < 1e-8
print(f"death notices {parting(counts[:, 0], days):.6f}, a die {parting(dice, np.ones(6)):.6f}")

# %%
# .. raw:: html
#
#    </details>
#
# A die is less dispersed than a Poisson, so EM takes two Poissons back to one.
#
# **3.** 21 children; 9 of them fell ill again, 12 were still well when the study ended, 359 weeks in all. For
# exponential times, EM sets the mean to :math:`(359 + 12 m) / 21`. Take two steps from m = 10, and leap to where they
# lead (Aitken). How close is the leap?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

m0 = 10.0
m1 = (359 + 12 * m0) / 21
m2 = (359 + 12 * m1) / 21
share = (m2 - m1) / (m1 - m0)
leap = m1 + (m2 - m1) / (1 - share)
print(f"steps {m1:.4f}, {m2:.4f}; each leaves {share:.4f} = 12/21 of the way; the leap is to {leap:.6f}")
assert abs(leap - 359 / 9) < 1e-10

# %%
# .. raw:: html
#
#    </details>
#
# It is exact, since the map is a straight line. And the share that a step leaves is the share of the times that are
# missing, 12 of 21.
#
# Checks
# ------
#
# Against plain numpy, closed forms and printed values.

assert abs(collapsed.bound - log_likelihood(3, 0.01)) < 1e-12
assert abs(collapsed.bound - -1.23097587151041) < 1e-12
assert not collapsed.converged
assert "component 1" in str(collapsed.status)
assert abs(log_likelihood(3, 1e-9) - log_likelihood(3, 1e-8) - np.log(10)) < 1e-6
assert floored.events[0].kind == "floor"
assert floored.events[0].component == 1
np.testing.assert_allclose(floored.params.components.dense()[1], 1e-8 * x.var(), rtol=1e-9)
assert not tied.events
assert floored.bic < held.bic

assert stuck.events[0].kind == "coincident"
assert abs(stuck.bound - days @ stats.poisson(mean).logpmf(counts[:, 0])) < 1e-9
assert abs(growth - dispersion) < 1e-6

# The library's plain steps, number by number, and the known maximum.
numbers = (0.5, 1.0, 3.0)
for _ in range(300):
    numbers = em_step(*numbers, counts[:, 0], days)
assert abs(shares[300] - numbers[0]) < 1e-10
for run in runs.values():
    assert abs(run.bound - -1989.945859883) < 1e-8
np.testing.assert_allclose(runs["Anderson"].params.components[:, 0], [1.2560951, 2.6634044], atol=2e-6)
assert abs(runs["Anderson"].params.weights[0] - 0.3598854) < 1e-6
assert abs(hasty.params.weights[0] - 0.3598854) > 0.2 * 0.3598854
assert runs["Anderson"].step.passes < runs["Squarem"].step.passes < plain.step.passes / 10

assert ordered.std(axis=0).max() < 2 < 5 < found.std(axis=0).min()
swapped = poissons.params([0.5, 0.5], [[3.0], [1.0]])
other = lem.EM(max_steps=50).run(poissons, swapped, notices)
same = lem.EM(max_steps=50).run(poissons, begin, notices)
np.testing.assert_allclose(other.params.components[::-1], same.params.components, rtol=1e-12)
