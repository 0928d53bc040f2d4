"""Models: a latent structure, most of them over a family."""

from latentem.model.components import ComponentModel
from latentem.model.concomitant import ConcomitantMixture, ConcomitantParams
from latentem.model.factor import FactorAnalysis
from latentem.model.factor_values import FactorParams, FactorStatistics
from latentem.model.hmm import HiddenMarkov, HiddenMarkovParams, HiddenMarkovStatistics
from latentem.model.mixture import Mixture, MixtureParams, MixtureStatistics
from latentem.model.simplex import PseudoCounts, Simplex, SimplexRows

__all__ = [
    "ComponentModel",
    "ConcomitantMixture",
    "ConcomitantParams",
    "FactorAnalysis",
    "FactorParams",
    "FactorStatistics",
    "HiddenMarkov",
    "HiddenMarkovParams",
    "HiddenMarkovStatistics",
    "Mixture",
    "MixtureParams",
    "MixtureStatistics",
    "PseudoCounts",
    "Simplex",
    "SimplexRows",
]
