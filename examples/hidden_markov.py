"""A hidden Markov model of Old Faithful: its waiting times, in the order of the table, are a series.

A mixture takes each wait for itself. But a short one is hardly ever followed by another: what the geyser did last
says what it will do next, and a chain of two states knows that. Shuffled, the same waits say nothing of the kind.
"""

import numpy as np
from scipy import stats

import latentem as lem
from latentem.arrays import Array

waiting = lem.datasets.old_faithful()[:, 1:]
chain = lem.HiddenMarkov(lem.Gaussian(), 2)
fit = lem.fit(chain, waiting)
print(fit)

mixture = lem.fit(lem.GaussianMixture(2), waiting)
shuffled = lem.fit(chain, np.random.default_rng(0).permutation(waiting))
print(f"log likelihood {fit.log_likelihood:.3f}, shuffled {shuffled.log_likelihood:.3f}", end="")
print(f", of the mixture {mixture.log_likelihood:.3f}")
print(f"BIC {fit.bic:.1f}, of the mixture {mixture.bic:.1f}")

short, long = fit.params.emissions.means[:, 0].argsort()
(states,) = fit.decode(waiting)
print("the first waits:", "".join("s" if state == short else "L" for state in states[:40]))
print("after a short wait, another one has probability", round(float(fit.params.transitions[short, short]), 4))


def densities(x: Array) -> Array:
    """Of each wait in each state, from scipy, shape (n, 2)."""
    spread = np.sqrt(fit.params.emissions.covariances[:, 0, 0])
    return stats.norm(fit.params.emissions.means[:, 0], spread).pdf(x)


# The forward recursion, scaled, and that of Viterbi, over the densities of scipy.
ahead, log_likelihood, best = fit.params.initial, 0.0, np.zeros(2)
with np.errstate(divide="ignore"):
    steps, best = np.log(fit.params.transitions), np.log(fit.params.initial)
for t, density in enumerate(densities(waiting)):
    ahead = (ahead if t == 0 else ahead @ fit.params.transitions) * density
    log_likelihood += float(np.log(ahead.sum()))
    ahead = ahead / ahead.sum()
    best = (best if t == 0 else (best[:, None] + steps).max(axis=0)) + np.log(density)
path = np.log(densities(waiting)[np.arange(len(states)), states]).sum() + steps[states[:-1], states[1:]].sum()

assert fit.converged
assert abs(fit.log_likelihood - log_likelihood) < 1e-9
assert abs(path + np.log(fit.params.initial[states[0]]) - best.max()) < 1e-9
assert fit.log_likelihood > mixture.log_likelihood + 10
assert fit.bic < mixture.bic
assert shuffled.bic > mixture.bic
assert fit.params.transitions[short, short] < 0.2
