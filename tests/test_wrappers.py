"""What is made of models or families asks them for everything that their protocol lets them say."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from subjects import FAITHFUL

import latentem as lem
from latentem.core import Learnable, Whole
from latentem.transform import Transformed

X = FAITHFUL[:40].copy()
GAPS = X.copy()
GAPS[::5, 0] = np.nan
GAPS[1] = 0
COVARIANCES = np.tile(np.diag([1.0, 30.0]), (2, 1, 1))
GAUSSIAN = lem.Gaussian()
NORMAL = GAUSSIAN.params([[2.0, 55.0], [4.5, 80.0]], COVARIANCES)
ALONE = [GAUSSIAN.params(mean[None], COVARIANCES[:1]) for mean in NORMAL.means]
POINT = lem.PointMass(0)
INNER = lem.Mixture(GAUSSIAN, 2)
MIXED = INNER.params([0.4, 0.6], NORMAL)

FAMILIES = [
    (GAUSSIAN.on(0, 1), NORMAL, GAPS),
    (lem.Product(GAUSSIAN.on(0, 1)), lem.family.Parts([NORMAL]), GAPS),
    (lem.Assorted(GAUSSIAN, GAUSSIAN, POINT), lem.family.Parts([*ALONE, POINT.params()]), GAPS),
    (lem.ZeroInflated(GAUSSIAN), lem.family.ZeroInflatedParams(np.array([0.1, 0.2]), NORMAL), GAPS),
    (lem.MixtureOf(GAUSSIAN, 1), lem.family.MixtureOfParams(np.ones((2, 1)), NORMAL), GAPS),
    (lem.Noisy(GAUSSIAN, lem.Noise([0, 0], [9, 99])), lem.family.NoisyParams(NORMAL), GAPS),
    (lem.LogNormal(), GAUSSIAN.params(np.log(NORMAL.means), COVARIANCES / 100), X),
]
STRUCTURES = [
    (INNER, MIXED),
    (lem.ConcomitantMixture(GAUSSIAN, 2, ()), lem.model.ConcomitantParams(np.zeros((2, 1)), NORMAL)),
    (lem.HiddenMarkov(GAUSSIAN, 2), lem.model.HiddenMarkovParams(np.ones(2) / 2, np.ones((2, 2)) / 2, NORMAL)),
]
TRANSFORMERS = [
    (lem.Frozen(INNER, {"weights"}), lem.Mixture),
    (lem.WithPrior(INNER, 0.1 * INNER.expectation(MIXED, X).statistics), lem.Mixture),
    (lem.Hard(INNER), lem.Mixture),
    (lem.Tempered(INNER, 0.5), lem.Mixture),
    (lem.Sampled(INNER), lem.Mixture),
    (lem.GaussianMixture(2), lem.Mixture),
    (lem.Discriminant(("a", "b")), lem.Mixture),
    (lem.KMeans(2), lem.Hard),
]

OTHER_Q = "it has another q"
ITS_OWN = "it has its own, and asks for that of what it wraps where it needs to at most"
REFUSED = "only a family's own check asks, of itself"
SLOW = "its densities have no fast form"
UNCOMPILED = "no loop is compiled for its rows"
REASONS = {
    **{
        (cls, name): OTHER_Q
        for cls in (lem.Hard, lem.Tempered, lem.Sampled)
        for name in ("labels", "expectation", "loops", "abreast")
    },
    **{(cls, name): "its blocks are others" for cls in (lem.Frozen, lem.WithPrior) for name in ("m_step", "abreast")},
    (lem.KMeans, "abreast"): OTHER_Q,
    **{
        (lem.KMeans, name): ITS_OWN
        for name in (
            *("expectation", "labels", "chunks", "noun", "describe", "check", "diagnose"),
            *("clusters", "repair", "figures", "loops"),
        )
    },
    (lem.KMeans, "log_evidence"): ITS_OWN,
    **{(cls, "cells"): REFUSED for cls in (lem.family.Part, lem.Product, lem.Assorted, lem.ZeroInflated)},
    **{(cls, "kernel"): SLOW for cls in (lem.family.Part, lem.Product, lem.Assorted, lem.ZeroInflated, lem.LogNormal)},
    **{(cls, "count"): "its own parameters tell" for cls in (lem.Assorted, lem.MixtureOf, lem.ZeroInflated)},
    **{(cls, "kernel"): SLOW for cls in (lem.MixtureOf, lem.Noisy)},
    **{
        (cls, "loops"): UNCOMPILED
        for cls in (
            *(lem.family.Part, lem.Product, lem.Assorted, lem.ZeroInflated, lem.MixtureOf, lem.Noisy, lem.LogNormal),
        )
    },
    (lem.GaussianMixture, "settled"): "what it takes from data is the region of its own noise",
    **{(lem.Discriminant, name): ITS_OWN for name in ("classes", "noun")},
    **{(cls, "elliptical"): "its densities are of another shape" for cls in (lem.MixtureOf, lem.ZeroInflated)},
    (lem.LogNormal, "elliptical"): "its densities are of another shape",
    **{(cls, "ellipsoidal"): "its densities are of another shape" for cls in (lem.MixtureOf, lem.ZeroInflated)},
    (lem.Assorted, "ellipsoidal"): "its densities are of several shapes",
    **{(cls, "ellipsoidal"): "a start sees all columns, and a part some" for cls in (lem.family.Part, lem.Product)},
    (lem.Assorted, "alike"): "statistics of two families cannot be joined, as parameters can",
    **{
        (lem.LogNormal, name): ITS_OWN
        for name in ("atoms", "cells", "coordinates", "describe", "ellipsoidal", "support")
    },
    (lem.LogNormal, "alike"): "what are the same distribution are so whatever the data",
    **{(lem.LogNormal, name): "it takes no missing values" for name in ("takes_missing", "expected")},
}


def optional(protocol):
    """What a protocol lets its implementations say: its public methods and properties with a default."""
    for name, member in inspect.getmembers(protocol):
        asked = member.fget if isinstance(member, property) else member
        needed = getattr(asked, "__isabstractmethod__", False) or getattr(asked, "__final__", False)
        if inspect.isfunction(asked) and not name.startswith("_") and not needed:
            yield name


def asks(monkeypatch, wrapper, inner, name, context):
    """Whether a wrapper asks what it wraps when it is asked itself."""
    real, asked = getattr(inner, name), []

    def spy(self, *arguments, **named):
        asked.append(name)
        return real.fget(self) if isinstance(real, property) else real(self, *arguments, **named)

    monkeypatch.setattr(inner, name, property(spy) if isinstance(real, property) else spy)
    if not isinstance(real, property):
        names = inspect.signature(real).parameters
        with contextlib.suppress(lem.Unavailable):
            answer = getattr(wrapper, name)(**{each: context[each] for each in names if each in context})
            _ = list(answer) if inspect.isgenerator(answer) else answer
    else:
        getattr(wrapper, name)
    return bool(asked)


def of_family(wrapper, params, x):
    k = wrapper.count(params)
    weights = np.full((len(x), k), 1 / k)
    return {
        "params": params,
        "x": x,
        "weights": weights,
        "weight": np.ones(len(x)),
        "statistics": wrapper.statistics(x, weights),
        "ahead": wrapper.statistics(x, weights),
        "hidden": wrapper.infer(params, x)[1],
        "labels": np.zeros(len(x), dtype=int),
        "rng": np.random.default_rng(0),
        "chunks": [x],
        "held": frozenset(),
        "k": k,
        "log_weights": np.log(weights[0]),
        "columns": (0,),
        "d": 2,
    }


def of_model(model, params):
    classes = getattr(model, "classes", None)
    chunk = model.chunk(X, allowed=None if classes is None else np.array(classes)[np.arange(len(X)) % 2])
    return {
        "params": params,
        "chunk": chunk,
        "data": X,
        "weightings": np.ones((1, len(chunk))),
        "statistics": model.statistics(chunk, model.posterior(params, chunk)),
        "ahead": model.statistics(chunk, model.posterior(params, chunk)),
        "chunks": [chunk],
        "held": frozenset(),
        "cache": {},
        "seed": 0,
        "reference": params,
        "before": params,
        "model": model,
        "size": 3,
        "rows": 1e9,
        "rng": np.random.default_rng(0),
    }


CASES = [
    *((wrapper, lem.Gaussian, lem.Family, of_family(wrapper, *given)) for wrapper, *given in FAMILIES),
    *((model, lem.Gaussian, Learnable, of_model(model, params)) for model, params in STRUCTURES),
    *((model, inner, lem.LatentModel, of_model(model, MIXED)) for model, inner in TRANSFORMERS[:-1]),
    (lem.KMeans(2), lem.Hard, lem.LatentModel, of_model(lem.KMeans(2), lem.KMeans(2).params(NORMAL.means))),
]


@pytest.mark.parametrize(
    ("wrapper", "inner", "name", "context"),
    [
        pytest.param(wrapper, inner, name, context, id=f"{type(wrapper).__name__}-{name}")
        for wrapper, inner, protocol, context in CASES
        for name in optional(protocol)
    ],
)
def test_a_wrapper_asks_what_it_wraps(monkeypatch, wrapper, inner, name, context):
    """Each method that a protocol lets what is wrapped say is asked of it, or stands in the list with its reason."""
    assert (type(wrapper), name) in REASONS or asks(monkeypatch, wrapper, inner, name, context)


def test_every_wrapper_is_among_the_cases():
    """A final class that is learnt part by part, or made from a model, is asked above."""
    names = [
        module.name
        for module in pkgutil.walk_packages(lem.__path__, "latentem.")
        if "__main__" not in module.name and module.name != "latentem.compiled.loops"  # which needs numba
    ]
    members = [member for name in names for _, member in inspect.getmembers(importlib.import_module(name))]
    classes = {cls for cls in members if inspect.isclass(cls) and issubclass(cls, Whole | Transformed)}
    assert {cls for cls in classes if getattr(cls, "__final__", False)} == {type(wrapper) for wrapper, *_ in CASES}
