"""Log densities of every family and the log evidence of every model, in sixty digits, by textbook formulas."""

from __future__ import annotations

from functools import singledispatch

import mpmath as mp
import numpy as np

import latentem as lem

MINUS = mp.mpf("-inf")
LARGEST_CONCENTRATION = 1e8
"""A direction is a float, whose length is off 1 by 1e-16: beyond this that shows in a density."""


def log_evidence(model, params, data):
    """log p of each row, or of each sequence in a list, as floats; None where there is nothing to compare with."""
    with mp.workdps(60):
        if isinstance(model, lem.KMeans | lem.GaussianMixture):
            while not isinstance(model, lem.Mixture):
                model = model.inner
        if isinstance(model, lem.FactorAnalysis):
            found = factor_analysis(params, data)
        elif isinstance(model, lem.HiddenMarkov):
            found = [forward(model, params, table) for table in data]
        else:
            found = list(mixture(model, params, data))
        return None if any(value is None for value in found) else np.array([float(value) for value in found])


def mixture(model, params, x):
    gated = isinstance(model, lem.ConcomitantMixture)
    table = log_densities(model.family, params.components, x)
    for row, densities in zip(x, table, strict=True):
        if any(value is None for value in densities):
            yield None
            return
        if gated:
            scores = [
                number(c[0]) + mp.fsum(number(b) * number(row[i]) for b, i in zip(c[1:], model.columns, strict=True))
                for c in params.gate
            ]
            total = log_sum(scores)
            weights = [score - total for score in scores]
        else:
            weights = [log(w) for w in params.weights]
        yield log_sum([a + b for a, b in zip(weights, densities, strict=True)])


def forward(model, params, table):
    """Baum's forward recursion, on logarithms."""
    emissions = log_densities(model.family, params.emissions, table)
    if any(value is None for row in emissions for value in row):
        return None
    here = [log(p) + e for p, e in zip(params.initial, emissions[0], strict=True)]
    for row in emissions[1:]:
        ahead = [log_sum([here[i] + log(params.transitions[i, j]) for i in range(model.k)]) for j in range(model.k)]
        here = [a + e for a, e in zip(ahead, row, strict=True)]
    return log_sum(here)


def factor_analysis(params, x):
    d, m = params.loadings.shape
    noise = np.broadcast_to(params.noise, (d,))
    loadings = [[number(value) for value in row] for row in params.loadings]
    covariance = [
        [
            mp.fsum(loadings[i][f] * loadings[j][f] for f in range(m)) + (number(noise[i]) if i == j else 0)
            for j in range(d)
        ]
        for i in range(d)
    ]
    return normal(params.mean, covariance, x)


@singledispatch
def log_densities(family, params, x):
    """log p(row | component) as a list of rows, each a list of k numbers; None where there is no reference."""
    raise NotImplementedError(type(family))


def number(value):
    return mp.mpf(float(value))


def log(value):
    value = mp.mpf(value) if isinstance(value, mp.mpf) else number(value)
    return mp.log(value) if value > 0 else MINUS


def times_log(count, value):
    """count log value, with 0 log 0 = 0."""
    return mp.mpf(0) if count == 0 else count * log(value)


def log_sum(values):
    highest = max(values)
    if highest == MINUS:
        return MINUS
    near = [value - highest for value in values if value - highest > -10_000]  # the exponential of 1e300 takes hours
    return highest + mp.log(mp.fsum(map(mp.exp, near)))


def factor(covariance):
    """Standard deviations, and the Cholesky factor of the correlations."""
    d = len(covariance)
    widths = [mp.sqrt(covariance[i][i]) for i in range(d)]
    root = [[mp.mpf(0)] * d for _ in range(d)]
    for i in range(d):
        for j in range(i + 1):
            rest = covariance[i][j] / (widths[i] * widths[j]) - mp.fsum(root[i][c] * root[j][c] for c in range(j))
            root[i][j] = mp.sqrt(rest) if i == j else rest / root[j][j]
    return widths, root


def distances(mean, covariance, x):
    """Squared length of each whitened row and log determinant, of the columns that are there."""
    known = {}
    for row in x:
        there = tuple(np.flatnonzero(~np.isnan(row)).tolist())
        if there not in known:
            known[there] = factor([[mp.mpf(covariance[i][j]) for j in there] for i in there])
        widths, root = known[there]
        white = []
        for a, i in enumerate(there):
            left = (number(row[i]) - number(mean[i])) / widths[a] - mp.fsum(root[a][c] * white[c] for c in range(a))
            white.append(left / root[a][a])
        log_det = 2 * mp.fsum(mp.log(widths[a] * root[a][a]) for a in range(len(there)))
        yield len(there), mp.fsum(z * z for z in white), log_det


def normal(mean, covariance, x):
    return [-(d * mp.log(2 * mp.pi) + log_det + length) / 2 for d, length, log_det in distances(mean, covariance, x)]


def transposed(columns):
    return [list(row) for row in zip(*columns, strict=True)]


@log_densities.register
def _(family: lem.Gaussian, params, x):
    return transposed([normal(m, c, x) for m, c in zip(params.means, matrices(params), strict=True)])


@log_densities.register
def _(family: lem.LogNormal, params, x):
    with np.errstate(divide="ignore"):
        logs = np.log(x)
    jacobian = [mp.fsum(log(value) for value in row) for row in x]
    plain = transposed([normal(m, c, logs) for m, c in zip(params.means, matrices(params), strict=True)])
    return [[value - less for value in row] for row, less in zip(plain, jacobian, strict=True)]


@log_densities.register
def _(family: lem.Student, params, x):
    columns = []
    for mean, covariance, dof in zip(params.means, matrices(params), params.dof, strict=True):
        nu, column = number(dof), []
        for d, length, log_det in distances(mean, covariance, x):
            constant = mp.loggamma((nu + d) / 2) - mp.loggamma(nu / 2) - mp.mpf(d) / 2 * mp.log(nu * mp.pi)
            column.append(constant - log_det / 2 - (nu + d) / 2 * mp.log1p(length / nu))
        columns.append(column)
    return transposed(columns)


def matrices(params):
    return [[[number(value) for value in row] for row in each] for each in params.dense()]


def independent(of_value, x, *params):
    """Columns independent given the component: of_value(x, *parameters of the column), summed; NaN says nothing."""
    return [
        [
            mp.fsum(of_value(value, *(p[j, c] for p in params)) for c, value in enumerate(row) if not np.isnan(value))
            for j in range(len(params[0]))
        ]
        for row in x
    ]


@log_densities.register
def _(family: lem.Exponential, params, x):
    return independent(lambda v, rate: log(rate) - number(rate) * number(v), x, params)


@log_densities.register
def _(family: lem.Gamma, params, x):
    def density(v, mean, shape):
        a, v = number(shape), number(v)
        return a * mp.log(a / number(mean)) - mp.loggamma(a) + (a - 1) * mp.log(v) - a * v / number(mean)

    return independent(density, x, params.means, params.shapes)


@log_densities.register
def _(family: lem.Weibull, params, x):
    def density(v, shape, scale):
        a, z = number(shape), number(v) / number(scale)
        return mp.log(a / number(scale)) + (a - 1) * mp.log(z) - z**a

    return independent(density, x, params.shapes, params.scales)


@log_densities.register
def _(family: lem.VonMisesFisher, params, x):
    def density(row, direction, kappa):
        if kappa > LARGEST_CONCENTRATION:
            return None
        d, kappa = len(row), number(kappa)
        if kappa == 0:
            return mp.loggamma(mp.mpf(d) / 2) - mp.log(2) - mp.mpf(d) / 2 * mp.log(mp.pi)
        order = mp.mpf(d) / 2 - 1
        along = mp.fsum(number(a) * number(b) for a, b in zip(row, direction, strict=True))
        constant = order * mp.log(kappa) - (order + 1) * mp.log(2 * mp.pi) - mp.log(mp.besseli(order, kappa))
        return constant + kappa * along

    pairs = list(zip(params.directions, params.concentrations, strict=True))
    return [[density(row, direction, kappa) for direction, kappa in pairs] for row in x]


@log_densities.register
def _(family: lem.Poisson, params, x):
    return independent(poisson, x, params)


def poisson(v, rate):
    return times_log(number(v), rate) - number(rate) - mp.loggamma(number(v) + 1)


@log_densities.register
def _(family: lem.Geometric, params, x):
    return independent(lambda v, p: log(p) + times_log(number(v), 1 - number(p)), x, params)


@log_densities.register
def _(family: lem.NegativeBinomial, params, x):
    def mass(v, mean, dispersion):
        if dispersion == 0 or mean == 0:
            return poisson(v, mean)
        v, m, size = number(v), number(mean), 1 / number(dispersion)
        chosen = mp.loggamma(v + size) - mp.loggamma(size) - mp.loggamma(v + 1)
        return chosen + v * mp.log(m / (m + size)) - size * mp.log1p(m / size)

    return independent(mass, x, params.means, params.dispersions)


@log_densities.register
def _(family: lem.Binomial, params, x):
    trials = np.broadcast_to(family.trials, x.shape[1])
    return [
        [
            mp.fsum(binomial(v, t, number(q)) for v, t, q in zip(row, trials, p, strict=True) if not np.isnan(v))
            for p in params
        ]
        for row in x
    ]


def binomial(v, trials, p):
    v, t = number(v), number(trials)
    chosen = mp.loggamma(t + 1) - mp.loggamma(v + 1) - mp.loggamma(t - v + 1)
    return chosen + times_log(v, p) + times_log(t - v, 1 - p)


@log_densities.register
def _(family: lem.Bernoulli, params, x):
    return independent(lambda v, p: binomial(v, 1, number(p)), x, params)


@log_densities.register
def _(family: lem.Categorical, params, x):
    return [[mp.fsum(log(p[c, int(v)]) for c, v in enumerate(row) if not np.isnan(v)) for p in params] for row in x]


@log_densities.register
def _(family: lem.Multinomial, params, x):
    def mass(row, p):
        total = mp.fsum(number(value) for value in p)
        chosen = mp.loggamma(mp.fsum(number(v) for v in row) + 1) - mp.fsum(mp.loggamma(number(v) + 1) for v in row)
        return chosen + mp.fsum(times_log(number(v), number(q) / total) for v, q in zip(row, p, strict=True))

    return [[mass(row, p) for p in params] for row in x]


def predicted(row, coefficients):
    covariates = zip(row[:-1], coefficients[1:], strict=True)
    return number(coefficients[0]) + mp.fsum(number(v) * number(b) for v, b in covariates)


@log_densities.register
def _(family: lem.LinearRegression, params, x):
    def density(row, coefficients, variance):
        variance = number(variance)
        return -(mp.log(2 * mp.pi * variance) + (number(row[-1]) - predicted(row, coefficients)) ** 2 / variance) / 2

    lines = list(zip(params.coefficients, params.variances, strict=True))
    return [[density(row, *line) for line in lines] for row in x]


@log_densities.register
def _(family: lem.PoissonRegression, params, x):
    def mass(row, coefficients):
        eta, v = predicted(row, coefficients), number(row[-1])
        return v * eta - mp.exp(eta) - mp.loggamma(v + 1)

    return [[mass(row, c) for c in params.coefficients] for row in x]


@log_densities.register
def _(family: lem.LogisticRegression, params, x):
    def mass(row, coefficients):
        eta, v, t = predicted(row, coefficients), number(row[-1]), number(family.trials)
        chosen = mp.loggamma(t + 1) - mp.loggamma(v + 1) - mp.loggamma(t - v + 1)
        return chosen - v * mp.log1p(mp.exp(-eta)) - (t - v) * mp.log1p(mp.exp(eta))

    return [[mass(row, c) for c in params.coefficients] for row in x]


@log_densities.register
def _(family: lem.PointMass, params, x):
    return [[mp.mpf(0) if at_point(row, family.at) else MINUS] * len(params) for row in x]


def at_point(row, at):
    """Whether a row is the point, as far as is known of it."""
    return bool((np.isnan(row) | (row == np.broadcast_to(at, row.shape))).all())


@log_densities.register
def _(family: lem.Uniform, params, x):
    def density(row):
        there = ~np.isnan(row)
        inside = (row[there] >= family.low[there]) & (row[there] <= family.high[there])
        sides = [number(high) - number(low) for low, high in zip(family.low[there], family.high[there], strict=True)]
        return -mp.fsum(mp.log(side) for side in sides) if inside.all() else MINUS

    return [[density(row)] * len(params) for row in x]


@log_densities.register
def _(family: lem.ZeroInflated, params, x):
    table, rows = inside(family.family, params.family, x), []
    continuous = family.family.discrete is False if family.continuous is None else family.continuous
    for row, densities in zip(x, table, strict=True):
        here = []
        for share, density in zip(params.inflation, densities, strict=True):
            rest = MINUS if density is MINUS or density is None else log(1 - number(share)) + density
            if at_point(row, family.at) and continuous and not np.isnan(row).all():
                rest = MINUS  # a density does not compare with a mass
            here.append(None if density is None else log_sum([log(share) if at_point(row, family.at) else MINUS, rest]))
        rows.append(here)
    return rows


def inside(family, params, x):
    """The same for rows some of which may lie outside of the support."""
    possible = family.support(x)
    known = iter(log_densities(family, params, x[possible]))
    return [next(known) if there else [MINUS] * family.count(params) for there in possible]


@log_densities.register
def _(family: lem.Assorted, params, x):
    columns = [[row[0] for row in inside(each, own, x)] for each, own in zip(family.families, params, strict=True)]
    masses = [isinstance(each, lem.PointMass) or each.discrete is True for each in family.families]
    rows = transposed(columns)
    if all(masses) or not any(masses):
        return rows
    for row, values in zip(x, rows, strict=True):
        if not np.isnan(row).all() and any(value != MINUS for value, mass in zip(values, masses, strict=True) if mass):
            values[:] = [value if mass else MINUS for value, mass in zip(values, masses, strict=True)]
    return rows


@log_densities.register
def _(family: lem.Product, params, x):
    parts = [log_densities(part, own, x) for part, own in zip(family.parts, params, strict=True)]
    return [
        [None if None in values else mp.fsum(values) for values in zip(*rows, strict=True)]
        for rows in zip(*parts, strict=True)
    ]


@log_densities.register
def _(family: lem.family.Part, params, x):
    return log_densities(family.family, params, x[:, list(family.columns)])
