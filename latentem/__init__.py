"""Models with latent variables, fitted by EM with its books open.

>>> import latentem as lem
>>> fit = lem.fit(lem.GaussianMixture(2), lem.datasets.old_faithful())
>>> round(fit.log_likelihood, 3)
-1130.264
"""

from latentem import datasets, testing, transform
from latentem.bound import LowerBound, lower_bound
from latentem.core import (
    Additive,
    Block,
    Degenerate,
    Event,
    Expectation,
    LatentModel,
    Posterior,
    Unavailable,
    e_step,
    log_likelihood,
    objective,
)
from latentem.data import Rows
from latentem.family import (
    Diagonal,
    ExponentialFamily,
    Family,
    Floor,
    Full,
    Gaussian,
    GaussianParams,
    InverseWishart,
    Poisson,
    Spherical,
    Tied,
)
from latentem.fit import ConvergenceWarning, Fit, fit
from latentem.model import Mixture, MixtureParams, MixtureStatistics, PseudoCounts
from latentem.posterior import LabelPosterior
from latentem.recipes import GaussianMixture, KMeans
from latentem.reseed import reseed_empty
from latentem.run import (
    EM,
    Ending,
    History,
    Result,
    State,
    Status,
    Step,
    StopRule,
    assignments_unchanged,
    gain_below,
    movement_below,
    remaining_below,
    seconds,
)
from latentem.transform import Fixed, Frozen, Hard, Sampled, Tempered, WithPrior

__version__ = "0.1.0"

__all__ = [
    "EM",
    "Additive",
    "Block",
    "ConvergenceWarning",
    "Degenerate",
    "Diagonal",
    "Ending",
    "Event",
    "Expectation",
    "ExponentialFamily",
    "Family",
    "Fit",
    "Fixed",
    "Floor",
    "Frozen",
    "Full",
    "Gaussian",
    "GaussianMixture",
    "GaussianParams",
    "Hard",
    "History",
    "InverseWishart",
    "KMeans",
    "LabelPosterior",
    "LatentModel",
    "LowerBound",
    "Mixture",
    "MixtureParams",
    "MixtureStatistics",
    "Poisson",
    "Posterior",
    "PseudoCounts",
    "Result",
    "Rows",
    "Sampled",
    "Spherical",
    "State",
    "Status",
    "Step",
    "StopRule",
    "Tempered",
    "Tied",
    "Unavailable",
    "WithPrior",
    "assignments_unchanged",
    "datasets",
    "e_step",
    "fit",
    "gain_below",
    "log_likelihood",
    "lower_bound",
    "movement_below",
    "objective",
    "remaining_below",
    "reseed_empty",
    "seconds",
    "testing",
    "transform",
]
