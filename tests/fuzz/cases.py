"""Random fits: a model, data of any size, units and nastiness, and options, as one value that can be printed."""

from __future__ import annotations

import numpy as np
from attrs import field, frozen
from hypothesis import strategies as st

import latentem as lem

SIZES = st.sampled_from([1, 2, 3, 5, 8, 13, 30, 60, 120])
STRUCTURES = [
    lem.Full(),
    lem.Diagonal(),
    lem.Spherical(),
    *map(lem.Tied, (lem.Full(), lem.Diagonal(), lem.Spherical())),
]
RULES = [
    lem.gain_below(1e-6),
    lem.movement_below(1e-9),
    lem.remaining_below(1e-4) | lem.assignments_unchanged(),
    lem.remaining_below(1e-6) & lem.gain_below(1e-6),
]
RUNNERS = [
    lem.Incremental(max_steps=30),
    lem.Online(passes=2, wait=5),
    lem.Annealing(betas=(0.2, 0.6, 1.0), em=lem.EM(max_steps=40), stage=lem.EM(max_steps=20)),
    lem.Stochastic(steps=30, burn_in=10),
]


@frozen
class Case:
    """A fit to try.

    Attributes:
        model: What is fitted.
        core: The same without transformers.
        data: A table, or a list of them for sequences.
        options: Of `fit`, but those that leave the result as it is.
        engine: Another engine, which must give the same bits, or None.
        interrupted: The step after which a fit with a checkpoint is stopped and taken up again, or None.
    """

    model: lem.LatentModel
    core: lem.LatentModel
    data: object = field(repr=lambda data: repr(data)[:400])
    options: dict = field(repr=lambda options: repr(options)[:600])
    engine: object = None
    interrupted: int | None = None

    @property
    def sequences(self):
        return isinstance(self.core, lem.HiddenMarkov)

    @property
    def tables(self):
        return self.data if self.sequences else [self.data]


@st.composite
def cases(draw):
    """A whole case."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d, k = draw(SIZES), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    kind = draw(
        st.sampled_from(["gaussian", "gaussian", "kmeans", "mixture", "mixture", "mixture", "hmm", "factor", "gate"])
    )
    if kind in ("gaussian", "kmeans", "factor"):
        x = draw(tables(rng, n, d, k))
        core = draw(plain(kind, k, d, x, rng))
    else:
        family, x = draw(families(rng, n, d, k))
        k = len(family.families) if isinstance(family, lem.Assorted) else k
        prior = draw(st.sampled_from([None, None, lem.PseudoCounts(0.5)]))
        columns = draw(st.lists(st.integers(0, x.shape[1] - 1), max_size=2, unique=True))
        core = {
            "mixture": lambda: lem.Mixture(family, k, prior),
            "hmm": lambda: lem.HiddenMarkov(family, k, prior),
            "gate": lambda: lem.ConcomitantMixture(family, k, columns),
        }[kind]()
    if draw(st.integers(0, 9)) == 0:
        x = np.where(rng.random(x.shape) < draw(st.sampled_from([0.02, 0.3, 0.7])), np.nan, x)
    model = draw(transformed(core))
    sequences = kind == "hmm"
    cuts = (
        np.sort(rng.choice(np.arange(1, n), size=min(n - 1, draw(st.integers(0, 4))), replace=False)) if n > 1 else []
    )
    data = np.split(x, cuts) if sequences else draw(typed(x))
    options = draw(ways(rng, k, n, len(data), [len(part) for part in data] if sequences else None))
    engine = draw(st.sampled_from([None, None, None, lem.Serial(), lem.Threads(3)]))
    return Case(model, core, data, options, engine, draw(st.sampled_from([None, None, None, 2, 7])))


@st.composite
def plain(draw, kind, k, d, x, rng):
    """A Gaussian mixture with anything held, K-means, or a factor analysis."""
    if kind == "kmeans":
        return lem.KMeans(k)
    prior = draw(covariance_priors(d, rng))
    if kind == "factor":
        noise = draw(st.sampled_from([lem.Diagonal(), lem.Spherical()]))
        if isinstance(prior, lem.InverseWishart) and np.ndim(prior.scale) == 2:
            prior = lem.InverseWishart(np.diag(prior.scale), prior.dof)
        return lem.FactorAnalysis(draw(st.integers(1, 3)), noise=noise, prior=prior)
    held, structure = {}, draw(st.sampled_from(STRUCTURES))
    if draw(st.integers(0, 5)) == 0:
        held["weights"] = draw(st.sampled_from([lem.Fixed.uniform(), lem.Fixed(rng.dirichlet(np.ones(k)))]))
    if draw(st.integers(0, 9)) == 0 and not np.isnan(x).any():
        held["means"] = lem.Fixed(x[rng.integers(0, len(x), k)])
    if draw(st.booleans()):
        return lem.GaussianMixture(k, structure=structure, prior=prior, **held)
    return lem.GaussianMixture(k, structure=structure, prior=(lem.PseudoCounts(1.0), lem.Floor(1e-6)), **held)


@st.composite
def covariance_priors(draw, d, rng):
    which = draw(st.integers(0, 4))
    if which < 2:
        return lem.Floor(draw(st.sampled_from([1e-8, 1e-12, 1e-3, 0.5])))
    if which == 2:
        return None
    root = rng.normal(size=(d, d))
    scale = [10.0 ** rng.uniform(-6, 3), np.exp(rng.normal(size=d)), root @ root.T + 0.1 * np.eye(d)][
        draw(st.integers(0, 2))
    ]
    return lem.InverseWishart(scale, draw(st.sampled_from([0.0, 0.5, 20.0, -0.9])))


@st.composite
def transformed(draw, model):
    names = [block.name for block in model.blocks()]
    how = draw(st.integers(0, 15))
    if how == 0:
        return lem.Hard(model)
    if how == 1:
        return lem.Tempered(model, draw(st.sampled_from([1e-3, 0.3, 1.0, 4.0, 1e3])))
    if how == 2:
        return lem.Sampled(model, draw(st.integers(0, 9)))
    if how <= 4 and names:
        return lem.Frozen(model, set(draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))))
    return model


@st.composite
def ways(draw, rng, k, n, units, lengths):
    """Weights, labels, a start, and how to run."""
    weights = {
        0: lambda: rng.integers(0, 3, units),
        1: lambda: rng.random(units),
        2: lambda: rng.random(units) * 10.0 ** rng.uniform(-90, 90),
        3: lambda: rng.random(units).astype(np.float32),
    }.get(draw(st.integers(0, 11)), lambda: None)()
    allowed = {
        0: lambda: rng.integers(-1, k, n),
        1: lambda: (rng.random((n, k)) < 0.7) | (np.arange(k) == rng.integers(0, k, (n, 1))),
    }.get(draw(st.integers(0, 9)), lambda: None)()
    start = {
        0: lambda: rng.integers(0, k, n),
        1: lambda: rng.dirichlet(np.full(k, 0.5), n),
        2: lambda: rng.dirichlet(np.ones(k), n).astype(np.float32),
    }.get(draw(st.integers(0, 9)), lambda: None)()
    if allowed is not None and lengths is not None:
        allowed = np.split(allowed, np.cumsum(lengths)[:-1])
    options = {"weights": weights, "allowed": allowed, "start": start, "rng": draw(st.integers(0, 99))}
    options["n_starts"] = draw(st.sampled_from([1, 1, 2, 4]))
    if draw(st.integers(0, 5)) == 0:
        return {**options, "runner": draw(st.sampled_from(RUNNERS))}
    options["max_steps"] = draw(st.sampled_from([0, 1, 5, 40, 200]))
    if draw(st.integers(0, 3)) == 0:
        options["accelerate"] = draw(st.sampled_from([None, lem.Squarem(), lem.Anderson(after=0)]))
    if draw(st.integers(0, 3)) == 0:
        options["stop"] = draw(st.sampled_from(RULES))
    return options


@st.composite
def typed(draw, x):
    """The table as other dtypes and layouts hold it, where they hold it."""
    how = draw(st.integers(0, 11))
    if how == 0:
        return np.asfortranarray(x)
    if how == 1 and (np.abs(x[np.isfinite(x)]) < 1e30).all():
        with np.errstate(all="ignore"):
            return x.astype(np.float32)
    if how == 2 and np.isfinite(x).all() and (x == np.round(x)).all() and (np.abs(x) < 2**53).all():
        return x.astype(np.int64)
    if how == 3:
        return x.tolist()
    return x


@st.composite
def tables(draw, rng, n, d, k):
    """Real columns: clusters, ties, outliers, copies, constants; far from zero, in any units."""
    labels = rng.integers(0, k, n)
    x = rng.normal(size=(n, d)) + draw(st.sampled_from([0.0, 5.0, 1000.0])) * rng.normal(size=(k, d))[labels]
    shape = draw(
        st.sampled_from(
            [
                "plain",
                "plain",
                "plain",
                "heavy",
                "ties",
                "grid",
                "copies",
                "constant",
                "linear",
                "outlier",
                "same",
                "zeros",
            ]
        )
    )
    if shape == "heavy":
        x = rng.standard_cauchy(size=(n, d))
    elif shape == "ties":
        x = x[rng.integers(0, 1 + n // 4, n)]
    elif shape == "grid":
        x = np.round(x)
    elif shape == "copies":
        x = np.repeat(x[:, :1], d, axis=1)
    elif shape == "constant":
        x[:, rng.integers(d)] = rng.choice([0.0, 1.0, -3.7, 1e8])
    elif shape == "linear" and d > 1:
        x[:, -1] = x[:, :-1] @ rng.normal(size=d - 1)
    elif shape == "outlier":
        x[rng.integers(n)] *= 10.0 ** rng.uniform(2, 60)
    elif shape == "same":
        x = np.repeat(x[:1], n, axis=0)
    elif shape == "zeros":
        x = np.where(rng.random((n, d)) < 0.8, 0.0, x)
    units = draw(st.sampled_from(["one", "one", "one", "all", "each", "far", "far off", "subnormal"]))
    if units == "all":
        x = x * 10.0 ** rng.uniform(-150, 150)
    elif units == "each":
        x = x * 10.0 ** rng.uniform(-60, 60, d)
    elif units == "far":
        x = x + 10.0 ** rng.uniform(0, 12)
    elif units == "far off":
        x = x + 10.0 ** rng.uniform(12, 18)
    elif units == "subnormal":
        x = x * 10.0 ** rng.uniform(-320, -290)
    return x


@st.composite
def positive(draw, rng, n, d, k):
    x = draw(tables(rng, n, d, k))
    x = np.exp(np.clip(x, -300, 300)) if draw(st.booleans()) else np.abs(x)
    return np.where(x > 0, x, 1e-3)


@st.composite
def counts(draw, rng, n, d, k):
    x = rng.poisson((10.0 ** rng.uniform(-1, 1.5, (k, d)))[rng.integers(0, k, n)]).astype(float)
    shape = draw(st.sampled_from(["plain", "plain", "zeros", "none", "same", "large", "huge", "one"]))
    if shape == "zeros":
        x = np.where(rng.random((n, d)) < 0.7, 0.0, x)
    elif shape == "none":
        x[:, rng.integers(d)] = 0
    elif shape == "same":
        x[:, rng.integers(d)] = 3
    elif shape == "large":
        x = x * 10.0 ** rng.integers(1, 9)
    elif shape == "huge":
        x = np.round(x * 10.0 ** rng.uniform(9, 300))
    elif shape == "one":
        x[:] = 0
        x[rng.integers(n)] = 1
    return x


@st.composite
def directions(draw, rng, n, d, k):
    d = max(d, 2)
    x = rng.normal(size=(k, d))[rng.integers(0, k, n)] + 10.0 ** draw(st.integers(-8, 1)) * rng.normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@st.composite
def responses(draw, rng, n, d, k, kind):
    """Covariates, and what they say of a response."""
    x = draw(tables(rng, n, d, k))[:, : d - 1]
    with np.errstate(all="ignore"):
        size = np.abs(x).max(axis=0) if d > 1 else np.ones(0)
        scaled = np.where(size > 0, x / np.where(size > 0, size, 1), 0.0)
    lines = rng.normal(size=(k, d))[rng.integers(0, k, n)]
    eta = lines[:, 0] + (scaled * lines[:, 1:]).sum(axis=1)
    if kind == "linear":
        y = (eta + draw(st.sampled_from([0.0, 0.1, 1.0])) * rng.normal(size=n)) * 10.0 ** draw(
            st.sampled_from([0, 0, -20, 30])
        )
    elif kind == "counts":
        y = rng.poisson(np.exp(np.clip(eta, -5, 5)))
    else:
        y = rng.binomial(kind, 1 / (1 + np.exp(-np.clip(3 * eta, -30, 30))))
    return np.column_stack([x, y]).astype(float)


SIMPLE = [
    "gaussian",
    "student",
    "lognormal",
    "gamma",
    "exponential",
    "weibull",
    "directions",
    "poisson",
    "negative_binomial",
    "geometric",
    "binomial",
    "bernoulli",
    "categorical",
    "multinomial",
    "linear",
    "poisson_regression",
    "logistic",
]


@st.composite
def families(draw, rng, n, d, k, inner=False):
    """A family and rows for it."""
    name = draw(st.sampled_from([*SIMPLE, *([] if inner else ["product", "part", "inflated", "assorted"] * 2)]))
    structure, prior = draw(st.sampled_from(STRUCTURES)), draw(covariance_priors(d, rng))
    if name == "gaussian":
        return lem.Gaussian(structure, prior), draw(tables(rng, n, d, k))
    if name == "student":
        return lem.Student(structure, prior), draw(tables(rng, n, d, k))
    if name == "lognormal":
        return lem.LogNormal(structure, prior), draw(positive(rng, n, d, k))
    if name in ("gamma", "exponential", "weibull"):
        made = {"gamma": lem.Gamma, "exponential": lem.Exponential, "weibull": lem.Weibull}[name]()
        return made, draw(positive(rng, n, d, k))
    if name == "directions":
        return lem.VonMisesFisher(), draw(directions(rng, n, d, k))
    if name in ("poisson", "negative_binomial", "geometric", "multinomial"):
        made = {
            "poisson": lem.Poisson,
            "negative_binomial": lem.NegativeBinomial,
            "geometric": lem.Geometric,
            "multinomial": lem.Multinomial,
        }[name]()
        return made, draw(counts(rng, n, max(d, 2) if name == "multinomial" else d, k))
    if name == "binomial":
        trials = draw(st.sampled_from([1, 3, 20, 10**6]))
        return lem.Binomial(trials), np.minimum(draw(counts(rng, n, d, k)), trials)
    if name == "bernoulli":
        return lem.Bernoulli(), (rng.random((n, d)) < rng.random((k, d))[rng.integers(0, k, n)]).astype(float)
    if name == "categorical":
        levels = draw(st.integers(1, 5))
        return lem.Categorical(levels), rng.integers(0, levels, (n, d)).astype(float)
    if name == "linear":
        return lem.LinearRegression(draw(covariance_priors(1, rng))), draw(responses(rng, n, d, k, "linear"))
    if name == "poisson_regression":
        return lem.PoissonRegression(), draw(responses(rng, n, d, k, "counts"))
    if name == "logistic":
        trials = draw(st.sampled_from([1, 1, 5]))
        return lem.LogisticRegression(trials), draw(responses(rng, n, d, k, trials))
    return draw(composites(rng, n, d, k, name))


@st.composite
def composites(draw, rng, n, d, k, name):
    """A family of families."""
    if name == "product":
        parts, columns = [], []
        for _ in range(draw(st.integers(1, 3))):
            family, x = draw(families(rng, n, draw(st.integers(1, 2)), k, inner=True))
            begin = sum(each.shape[1] for each in columns)
            parts.append(family.on(*range(begin, begin + x.shape[1])))
            columns.append(x)
        return lem.Product(*parts), np.hstack(columns)
    if name == "part":
        family, x = draw(families(rng, n, d, k, inner=True))
        return family.on(*range(1, x.shape[1] + 1)), np.hstack([rng.normal(size=(n, 1)), x])
    if name == "inflated":
        family, x = draw(families(rng, n, min(d, 2), k, inner=True))
        if isinstance(family, lem.VonMisesFisher):
            return family, x
        return lem.ZeroInflated(family), np.where(rng.random((n, 1)) < 0.4, 0.0, x)
    first = draw(st.sampled_from(["zero and counts", "zero and positive", "box", "gaussians"]))
    if first == "zero and counts":
        x = draw(counts(rng, n, d, k))
        others = [lem.Poisson(), lem.Geometric(), lem.NegativeBinomial()]
    elif first == "zero and positive":
        x = np.where(rng.random((n, 1)) < 0.3, 0.0, draw(positive(rng, n, d, k)))
        others = [lem.LogNormal(), lem.Gamma(), lem.Weibull()]
    else:
        x = draw(tables(rng, n, d, k))
        others = [lem.Gaussian(draw(st.sampled_from(STRUCTURES))), lem.Student()]
    box = first == "box" and (x.min(axis=0) < x.max(axis=0)).all() and np.isfinite(x.max(axis=0) - x.min(axis=0)).all()
    one = lem.Uniform(x.min(axis=0), x.max(axis=0)) if box else lem.PointMass(0) if "zero" in first else others[0]
    return lem.Assorted(one, *(draw(st.sampled_from(others)) for _ in range(k - 1))), x
