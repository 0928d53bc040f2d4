"""Models with latent variables, fitted by EM with its books open.

>>> import latentem as lem
>>> fit = lem.fit(lem.GaussianMixture(2), lem.datasets.old_faithful())
>>> round(fit.log_likelihood, 3)
-1130.264

Here is what one calls, and what one derives from for a model or a family of one's own. The values that come back,
parameters, statistics, the States of a run, are in the rooms: `lem.model.MixtureParams`, `lem.run.State`.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from latentem import (
    archive,
    core,
    data,
    datasets,
    engine,
    family,
    judging,
    model,
    posterior,
    report,
    run,
    selection,
    transform,
    variants,
)
from latentem.bound import lower_bound
from latentem.core import Additive, Block, Degenerate, Engine, Event, LatentModel, Unavailable, log_likelihood
from latentem.data import Rows, Sequences
from latentem.discriminant import Discriminant
from latentem.engine import Dask, Processes, Serial, Threads
from latentem.family import (
    ALL_STRUCTURES,
    Assorted,
    Bernoulli,
    Binomial,
    Categorical,
    Diagonal,
    Exponential,
    ExponentialFamily,
    Family,
    Floor,
    Full,
    Gamma,
    Gaussian,
    Geometric,
    InverseWishart,
    LinearRegression,
    LogisticRegression,
    LogNormal,
    MixtureOf,
    Multinomial,
    NegativeBinomial,
    Noise,
    Noisy,
    PointMass,
    Poisson,
    PoissonRegression,
    Product,
    SampleFamily,
    Spherical,
    Structure,
    Student,
    Tied,
    TiedWithin,
    Uniform,
    VonMisesFisher,
    Weibull,
    ZeroInflated,
    structure,
)
from latentem.fit import ConvergenceWarning, fit
from latentem.fitted import Fit
from latentem.kmeans import KMeans
from latentem.model import ConcomitantMixture, FactorAnalysis, HiddenMarkov, Mixture, PseudoCounts
from latentem.posterior import LabelPosterior
from latentem.recipes import GaussianMixture
from latentem.run import (
    EM,
    STOP,
    Anderson,
    Runner,
    Squarem,
    assignments_unchanged,
    gain_below,
    movement_below,
    remaining_below,
    seconds,
)
from latentem.saved import load
from latentem.selection import cross_validate, grid, select, test_components
from latentem.transform import Fixed, Frozen, Hard, Sampled, Tempered, WithPrior
from latentem.variants import Annealing, Incremental, Online, Stochastic
from latentem.versions import show_versions

if TYPE_CHECKING:
    from latentem import plot, teaching, testing, uncertainty
    from latentem.teaching import record

__version__ = "0.1.0"

# The table of contents, by what a name is for; docs/decisions/0029-what-is-at-the-top.md says what belongs here.

# To fit, and to judge a fit
__all__ = ["ConvergenceWarning", "Fit", "fit", "load", "log_likelihood", "lower_bound"]
# To choose among models
__all__ += ["cross_validate", "grid", "select", "test_components"]
# Models
__all__ += ["ConcomitantMixture", "Discriminant", "FactorAnalysis", "GaussianMixture", "HiddenMarkov", "KMeans"]
__all__ += ["Mixture"]
# Families, for the models that have components
__all__ += ["Bernoulli", "Binomial", "Categorical", "Exponential", "Gamma", "Gaussian", "Geometric", "LinearRegression"]
__all__ += ["LogNormal", "LogisticRegression", "Multinomial", "NegativeBinomial", "Poisson", "PoissonRegression"]
__all__ += ["Student", "VonMisesFisher", "Weibull"]
# Families made of families
__all__ += ["Assorted", "MixtureOf", "Noise", "Noisy", "PointMass", "Product", "Uniform", "ZeroInflated"]
# Structures of covariances
__all__ += ["ALL_STRUCTURES", "Diagonal", "Full", "Spherical", "Structure", "Tied", "TiedWithin", "structure"]
# Priors, and values that are held
__all__ += ["Fixed", "Floor", "InverseWishart", "PseudoCounts"]
# Models made from models
__all__ += ["Frozen", "Hard", "Sampled", "Tempered", "WithPrior"]
# Ways of running
__all__ += ["EM", "Anderson", "Annealing", "Incremental", "Online", "Runner", "Squarem", "Stochastic"]
# Where a run ends
__all__ += ["STOP", "assignments_unchanged", "gain_below", "movement_below", "remaining_below", "seconds"]
# Where passes over the data are computed
__all__ += ["Dask", "Engine", "Processes", "Serial", "Threads"]
# Data
__all__ += ["Rows", "Sequences"]
# For a model or a family of one's own
__all__ += ["Additive", "Block", "Degenerate", "Event", "ExponentialFamily", "Family", "LabelPosterior", "LatentModel"]
__all__ += ["SampleFamily", "Unavailable"]
# To look at EM half step by half step
__all__ += ["record"]
# To report a defect
__all__ += ["show_versions"]
# Rooms
__all__ += ["archive", "core", "data", "datasets", "engine", "family", "judging", "model", "plot", "posterior"]
__all__ += ["report", "run", "selection", "teaching", "testing", "transform", "uncertainty", "variants"]

logging.getLogger("latentem").addHandler(logging.NullHandler())  # nothing is told unless somebody asks


_LATER = {name: name for name in ("plot", "teaching", "testing", "uncertainty")} | {"record": "teaching"}
"""Names whose room is loaded when somebody asks for it: a fit does without, and need not wait for it."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        room = importlib.import_module(f"latentem.{_LATER[name]}")
        return room if name == _LATER[name] else getattr(room, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
