"""The code of docs/tutorial.md, to the letter: a mixture of Maxwell speeds, from its density to a checked fit."""

import numpy as np
from attrs import frozen
from scipy import optimize, stats

import latentem as lem
from latentem.arrays import Array, Labels
from latentem.testing import BrokenContract, check_model


@frozen
class Maxwell(lem.ExponentialFamily):
    """Speeds; the parameters are the scales a, shape (k, 1)."""

    def T(self, x: Array) -> Array:  # noqa: N802 - the name that the field gives it
        return x**2

    def log_base(self, x: Array) -> Array:
        possible = x > 0
        each = np.log(2 / np.pi) / 2 + 2 * np.log(np.where(possible, x, 1))
        return np.where(possible, each, -np.inf).sum(axis=1)

    def natural(self, params: Array) -> Array:
        return -1 / (2 * params**2)

    def log_partition(self, params: Array) -> Array:
        return 3 * np.log(params).sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        return np.sqrt(mean / 3)

    def sample(self, params: Array, labels: Labels, rng: np.random.Generator) -> Array:
        return params[labels] * np.sqrt(rng.chisquare(3, (len(labels), 1)))


boltzmann, dalton = 1.380649e-23, 1.66053907e-27
masses = np.array([[4.0026], [39.948]])
gas = lem.Mixture(Maxwell(), 2)
truth = gas.params([0.6, 0.4], np.sqrt(boltzmann * 300 / (masses * dalton)))
speeds, kinds = gas.sample(truth, 4000, np.random.default_rng(0))


def evidence(params: lem.model.MixtureParams, chunk: lem.Rows) -> Array:
    return np.log(stats.maxwell(scale=params.components[:, 0]).pdf(chunk.x) @ params.weights)


start = gas.params([0.5, 0.5], np.array([[300.0], [600.0]]))
check_model(gas, start, speeds[:200], evidence=evidence)


class Flat(Maxwell):
    """The same, with a slip."""

    def from_mean(self, mean: Array) -> Array:
        return np.sqrt(mean / 2)


try:
    check_model(lem.Mixture(Flat(), 2), start, speeds[:200], evidence=evidence)
except BrokenContract as error:
    broken = sorted({failure.clause for failure in error.failures})
print("broken:", ", ".join(broken))

fit = lem.fit(gas, speeds)
print(fit)

order = fit.params.components[:, 0].argsort()[::-1]
found = boltzmann * 300 / fit.params.components[order, 0] ** 2 / dalton
print("weights", np.round(fit.params.weights[order], 2), "masses", np.round(found, 1))

argon = fit.predict_proba([[200.0], [500.0], [1000.0]])[:, order[1]]
print("argon at 200, 500, 1000 m/s:", np.round(argon, 2))

held = lem.fit(lem.Frozen(gas, {"components"}), speeds, start=truth)
values, counts = np.unique(speeds.round(-1).clip(10), return_counts=True)
binned = lem.fit(gas, values[:, None], weights=counts)
hard = lem.fit(lem.Hard(gas), speeds)


def minus_log_likelihood(free: Array) -> float:
    weight = 1 / (1 + np.exp(-free[0]))
    densities = stats.maxwell(scale=np.exp(free[1:])).pdf(speeds)
    return -float(np.log(densities @ [weight, 1 - weight]).sum())


best = optimize.minimize(minus_log_likelihood, [0.0, np.log(700.0), np.log(300.0)], method="Nelder-Mead", tol=1e-9)

assert fit.converged
assert abs(fit.log_likelihood + best.fun) < 1e-6
np.testing.assert_allclose(fit.params.components[order, 0], np.exp(best.x[1:]), rtol=1e-4)
np.testing.assert_allclose(np.sort(binned.params.components, axis=0)[::-1], fit.params.components[order], rtol=0.01)
assert held.n_parameters == 1
assert fit.n_parameters == 3
assert hard.bound < fit.bound

gained = fit.log_likelihood - lem.log_likelihood(gas, truth, gas.chunks(speeds))
assert 0 < 2 * gained < stats.chi2(fit.n_parameters).ppf(0.999)
np.testing.assert_allclose(found, masses[:, 0], rtol=0.1)
np.testing.assert_allclose(held.params.weights, [0.6, 0.4], atol=0.05)
