r"""
Beyond Gaussians, and beyond labels
===================================

Nothing in EM asks for a Gaussian, and nothing asks for a label. A model needs a posterior for what is hidden, and a
maximum that has a formula once the hidden is known. Here are coins, counts, a chain in time and a factor. At the end
you write a family of your own.

The formulas are in :doc:`the mathematics </mathematics>`, under "Sufficient statistics", "Chains" and "Factor
analysis".
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np
from attrs import frozen
from scipy import optimize, special, stats

import latentem as lem
from latentem.testing import check_model

# %%
# Three coins
# -----------
#
# A coin in your pocket decides which of two others you toss, three times. You report the three tosses, not the coin:
# HHH, TTT, HHH, TTT. The weights of the mixture are the coin in the pocket; a component is a coin. Start at .3 for
# the pocket and .3 and .6 for the two (Collins, 1997).

heads = np.array([[3.0], [0.0], [3.0], [0.0]])
coins = lem.Mixture(lem.Binomial(3), 2)
run = list(lem.EM(max_steps=4).iterate(coins, coins.params([0.3, 0.7], [[0.3], [0.6]]), heads))
table = []
print("step   pocket   first  second  P(first | HHH), P(first | TTT)")
for state in run:
    first = coins.posterior(state.params, coins.chunk(heads)).weights[:2, 0]
    table.append([state.params.weights[0], *state.params.components[:, 0], *first])
    print(f"{state.step.index:4}  {' '.join(f'{number:7.4f}' for number in table[-1])}")

# %%
# A coin with two tails, one with two heads, and a pocket that decides evenly: the reports are explained as well as can
# be, at :math:`\log \frac12` each. The E half is Bayes' rule with binomials in place of Gaussians; the M half counts
# expected heads. The probabilities 0 and 1 are at the edge of what is allowed, and no harm is done:
# :math:`0 \log 0 = 0`.
#
# Counts
# ------
#
# The death notices of chapter 7 once more: 1,096 days, up to nine a day. One Poisson fits badly, since the variance is
# 1.21 times the mean. Three ways out. A mixture of two Poissons says that there are two kinds of days, such as summer
# and winter. A negative binomial says that every day has a rate of its own, from a gamma law. Zero inflation says that
# on some days nobody counted.

counts, days = np.arange(10.0)[:, None], np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
families = {
    "one Poisson": lem.Mixture(lem.Poisson(), 1),
    "two Poissons": lem.Mixture(lem.Poisson(), 2),
    "negative binomial": lem.Mixture(lem.NegativeBinomial(), 1),
    "zero-inflated": lem.Mixture(lem.ZeroInflated(lem.Poisson()), 1),
}
fits = {name: lem.fit(model, counts, weights=days, n_starts=3) for name, model in families.items()}
print(f"{'':18} log likelihood  parameters        BIC")
for name, fit in fits.items():
    print(f"{name:18} {fit.log_likelihood:14.4f}  {fit.n_parameters:10}  {fit.bic:9.2f}")

# %%
# Two Poissons have the highest likelihood; the negative binomial has the best BIC, with one parameter less. The data
# do not say which story is true. Both end far from one Poisson.

values = counts[:, 0]
expected = {name: days.sum() * np.exp(fit.score_samples(counts)) for name, fit in fits.items()}
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.bar(values, days, color="0.85", label="days counted")
for name in ("one Poisson", "two Poissons", "negative binomial"):
    ax.plot(values, expected[name], "o-", markersize=4, label=name)
ax.set(xlabel="notices on a day", ylabel="days", xticks=values)
_ = ax.legend()

# %%
# A chain
# -------
#
# The waits at Old Faithful come one after the other. After a short wait there is nearly always a long one. A mixture
# cannot know that, since to it the rows are in no order. In a *hidden Markov model* the label of a wait depends on
# the label before. The posterior is over whole paths of labels: 2 to the 272nd of them.

waiting = lem.datasets.old_faithful()[:, 1:]
chain, mixture = lem.HiddenMarkov(lem.Gaussian(), 2), lem.GaussianMixture(2)
hmm, flat = lem.fit(chain, waiting, n_starts=2), lem.fit(mixture, waiting, n_starts=2)
short, long = hmm.params.emissions.means[:, 0].argsort()
print(f"BIC: mixture {flat.bic:.1f}, chain {hmm.bic:.1f}")
print("from short to short:", round(float(hmm.params.transitions[short, short]), 3))
print("from long to long:  ", round(float(hmm.params.transitions[long, long]), 3))

# %%
# EM needs two things of these paths only: how likely each label is at each time, and each pair of neighbours. Two
# passes along the chain give them, forward and backward. On the first ten waits we can afford to go through all 1,024
# paths, and to see that the sums agree.

ten = waiting[:10, 0]
spread = np.sqrt(hmm.params.emissions.dense()[:, 0, 0])
emitted = stats.norm.pdf(ten[:, None], hmm.params.emissions.means[:, 0], spread)
paths = np.array(list(itertools.product(range(2), repeat=10)))
joint = hmm.params.initial[paths[:, 0]] * emitted[np.arange(10), paths].prod(axis=1)
joint = joint * hmm.params.transitions[paths[:, :-1], paths[:, 1:]].prod(axis=1)
marginals = np.array([[joint[paths[:, t] == j].sum() for j in range(2)] for t in range(10)]) / joint.sum()
posterior = chain.posterior(hmm.params, chain.chunk(waiting[:10]))
print(f"log likelihood of ten waits: all paths {np.log(joint.sum()):.9f}, ", end="")
print(f"forward {lem.log_likelihood(chain, hmm.params, waiting[:10]):.9f}")

fig, axes = plt.subplots(2, 1, figsize=(8, 3.6), sharex=True, layout="constrained")
axes[0].plot(waiting[:60, 0], "o-", color="0.4", markersize=3, linewidth=0.8)
axes[0].set(ylabel="wait, minutes")
axes[1].plot(flat.predict_proba(waiting[:60])[:, flat.params.components.means[:, 0].argmin()], label="mixture")
axes[1].plot(hmm.predict_proba(waiting[:60])[:, short], label="chain")
axes[1].set(ylabel="P(short)", xlabel="eruption")
_ = axes[1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))

# %%
# The two agree where the wait is clear. Where it is not, the chain looks at the neighbours. The most probable path of
# all 272 waits, with a strip of its labels below:

ax = lem.plot.states(hmm, waiting)

# %%
# A factor
# --------
#
# Now what is hidden is no label but a number z, from a standard normal law. Each column is a mean, plus a loading
# times z, plus noise of its own. So the columns hang together through z alone: a plant is large or it is small. Take
# three columns of *Iris versicolor*: sepal width, petal length, petal width.

plants = lem.datasets.iris()[50:100, 1:]
factor = lem.fit(lem.FactorAnalysis(1, prior=None), plants, n_starts=2)
up = np.sign(factor.params.loadings.sum())  # z and -z are the same model: let a large plant have a large z
loadings = up * factor.params.loadings[:, 0]
print("loadings", loadings.round(4), " noise", factor.params.noise.round(5))

# %%
# With one factor and three columns there are as many parameters as variances and covariances, and Spearman (1904) has
# the answer by hand: :math:`l_1^2 = s_{12} s_{13} / s_{23}`, and so on. EM finds it without being told. The E half
# gives the mean and the variance of z for each plant, and H is the entropy of a normal law. The M half is a regression
# of the columns on z.

scores = up * factor.posterior(plants).means[:, 0]
fig, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
for j, (ax, name) in enumerate(zip(axes, ["sepal width", "petal length", "petal width"], strict=True)):
    ax.plot(scores, plants[:, j], "o", markersize=3, color="0.5")
    ax.plot([-2, 2], factor.params.mean[j] + loadings[j] * np.array([-2, 2]), color="C3")
    ax.set(xlabel="expected z", title=f"{name}, cm")

# %%
# A family of your own
# --------------------
#
# Someone brings an illness to town. Each case infects a Poisson number of others, :math:`\mu < 1` on average, and they
# infect others in turn, until it dies out. The number y of *further* cases has the law of Borel (1942),
#
# .. math:: p(y) = \frac{(\mu (y + 1))^y e^{-\mu (y + 1)}}{(y + 1)!}.
#
# The library does not have it. Collect what stands with y: :math:`p(y) = h(y) \exp(y (\log \mu - \mu) - \mu)`. That
# is an exponential family with T(y) = y. Four methods, eight lines, say so. The last is the M half: the :math:`\mu`
# under which y has a given mean. (The mean is :math:`\mu / (1 - \mu)`.)


@frozen
class Borel(lem.ExponentialFamily):
    """Further cases of an outbreak; the parameters are the cases that one case infects, shape (k, 1)."""

    def log_base(self, x):
        return np.where((x >= 0) & (x % 1 == 0), special.xlogy(x, x + 1) - special.gammaln(x + 2), -np.inf).sum(axis=1)

    def natural(self, params):
        return np.log(params) - params

    def log_partition(self, params):
        return params.sum(axis=1)

    def from_mean(self, mean):
        return mean / (1 + mean)


# %%
# Data: 600 outbreaks of two illnesses, played case by case, so that the formula is not in them.


def outbreak(rate, rng):
    """The further cases of one outbreak."""
    ill, further = 1, 0
    while ill:
        ill = rng.poisson(rate * ill)
        further += ill
    return further


rng = np.random.default_rng(5)
rates = np.repeat([0.2, 0.8], [350, 250])
sizes = np.array([[outbreak(rate, rng)] for rate in rates], dtype=float)
illnesses = lem.Mixture(Borel(), 2)


def evidence(params, chunk):
    """The same law, from scipy's Poisson: y + 1 cases, at the first of the times that they can end."""
    y = chunk.x
    return np.log(stats.poisson.pmf(y, params.components[:, 0] * (y + 1)) / (y + 1) @ params.weights)


check_model(illnesses, illnesses.params([0.5, 0.5], np.array([[0.3], [0.6]])), sizes[::10], evidence=evidence)
fit = lem.fit(illnesses, sizes, n_starts=3)
print(fit)

# %%
# `check_model` is silent: the formula, the M half and the count of parameters are right, in any chunks, under hard
# labels and under a prior. Weights of rows, known labels, restarts, acceleration and the report came with it.
#
# Exercises
# ---------
#
# **1.** Toss the three coins with *hard* labels: each report belongs to the likelier coin. Do it with `lem.Hard` and in
# plain numpy from .3, .3, .6, for the reports 3, 0, 2, 1, 3 heads. Where does it end?
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

tosses = np.array([3, 0, 2, 1, 3.0])
hard = lem.EM().run(lem.Hard(coins), coins.params([0.3, 0.7], [[0.3], [0.6]]), tosses[:, None])
pocket, first, second = 0.3, 0.3, 0.6
for _ in range(10):
    likelier = pocket * stats.binom.pmf(tosses, 3, first) > (1 - pocket) * stats.binom.pmf(tosses, 3, second)
    pocket, first, second = likelier.mean(), tosses[likelier].mean() / 3, tosses[~likelier].mean() / 3
print(f"pocket {pocket:.4f}, coins {first:.4f} {second:.4f}; {hard.status}")
np.testing.assert_allclose(hard.params.components[:, 0], [first, second], atol=1e-12)
np.testing.assert_allclose(hard.params.weights[0], pocket, atol=1e-12)

# %%
# .. raw:: html
#
#    </details>
#
# The labels do not change after a few steps, so nothing else does: hard EM ends after finitely many steps.
#
# **2.** When is a hidden Markov model a mixture? Choose its transitions so that its likelihood is that of the mixture
# fitted above.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>

share = flat.params.weights
memoryless = chain.params(share, [share, share], flat.params.components)
print(f"{lem.log_likelihood(chain, memoryless, waiting):.9f} and {flat.log_likelihood:.9f}")
assert abs(lem.log_likelihood(chain, memoryless, waiting) - flat.log_likelihood) < 1e-9

# %%
# .. raw:: html
#
#    </details>
#
# When all rows of the transitions are equal: then the label before does not matter. The mixture has its place inside
# the chain, so a chain that starts there can only do better.
#
# **3.** The heights of waves have the law of Rayleigh, :math:`p(x) = x / s^2 \exp(-x^2 / 2 s^2)`. Write it as a family,
# check it, and fit two kinds of sea to 500 waves.
#
# .. raw:: html
#
#    <details><summary>Solution</summary>


@frozen
class Rayleigh(lem.ExponentialFamily):
    """Heights of waves; the parameters are the scales s, shape (k, 1)."""

    def T(self, x):  # noqa: N802 - the name that the field gives it
        return x**2

    def log_base(self, x):
        return np.where(x > 0, np.log(np.where(x > 0, x, 1)), -np.inf).sum(axis=1)

    def natural(self, params):
        return -1 / (2 * params**2)

    def log_partition(self, params):
        return 2 * np.log(params).sum(axis=1)

    def from_mean(self, mean):
        return np.sqrt(mean / 2)


def rayleigh(params, chunk):
    """The log evidence from scipy."""
    return np.log(stats.rayleigh.pdf(chunk.x, scale=params.components[:, 0]) @ params.weights)


waves = stats.rayleigh.rvs(scale=np.repeat([0.5, 3.0], [200, 300]), random_state=3)[:, None]
seas = lem.Mixture(Rayleigh(), 2)
check_model(seas, seas.params([0.5, 0.5], np.array([[1.0], [2.0]])), waves[::10], evidence=rayleigh)
sea = lem.fit(seas, waves, n_starts=3)
print(np.sort(sea.params.components[:, 0]))
np.testing.assert_allclose(np.sort(sea.params.components[:, 0]), [0.5, 3.0], rtol=0.1)

# %%
# .. raw:: html
#
#    </details>
#
# Checks
# ------

np.testing.assert_allclose(
    table[:3],
    [[0.3, 0.3, 0.6, 0.0508, 0.6967], [0.3738, 0.068, 0.7578, 0.0004, 0.9714], [0.4859, 0.0004, 0.9722, 0, 1]],
    atol=6e-5,
)
assert abs(run[-1].bound - 4 * np.log(1 / 2)) < 1e-9

mean = days @ values / days.sum()
assert abs(fits["one Poisson"].log_likelihood - days @ stats.poisson.logpmf(values, mean)) < 1e-9
assert abs(fits["two Poissons"].log_likelihood - -1989.945859883) < 1e-7
negative = optimize.minimize_scalar(
    lambda r: -days @ stats.nbinom.logpmf(values, r, r / (r + mean)), bounds=(1, 100), options={"xatol": 1e-8}
)
assert abs(fits["negative binomial"].log_likelihood + negative.fun) < 1e-7
assert fits["negative binomial"].bic < fits["two Poissons"].bic < fits["one Poisson"].bic
np.testing.assert_allclose(expected["one Poisson"], days.sum() * stats.poisson.pmf(values, mean), rtol=1e-9)

assert abs(np.log(joint.sum()) - lem.log_likelihood(chain, hmm.params, waiting[:10])) < 1e-9
np.testing.assert_allclose(posterior.marginals(), marginals, atol=1e-10)
assert hmm.bic < flat.bic

s = np.cov(plants.T, bias=True)
spearman = np.sqrt([s[0, 1] * s[0, 2] / s[1, 2], s[0, 1] * s[1, 2] / s[0, 2], s[0, 2] * s[1, 2] / s[0, 1]])
np.testing.assert_allclose(loadings, spearman, rtol=1e-4)
assert abs(factor.log_likelihood + 25 * (3 * np.log(2 * np.pi) + np.linalg.slogdet(s)[1] + 3)) < 1e-7


def minus_log_likelihood(free):
    """Of the outbreaks, from scipy's Poisson: log odds of the first illness, and log odds of both rates."""
    weight, *rates = special.expit(free)
    law = stats.poisson.pmf(sizes, np.array(rates) * (sizes + 1)) / (sizes + 1)
    return -np.log(law @ [weight, 1 - weight]).sum()


peer = optimize.minimize(minus_log_likelihood, [0.0, -1.0, 1.0], method="Nelder-Mead", tol=1e-9)
assert fit.converged
assert abs(fit.log_likelihood + peer.fun) < 1e-6
np.testing.assert_allclose(np.sort(fit.params.components[:, 0]), [0.2, 0.8], atol=0.1)
