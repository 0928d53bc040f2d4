"""Models: a latent structure over a family."""

from latentem.model.mixture import Mixture, MixtureParams, MixtureStatistics
from latentem.model.simplex import PseudoCounts

__all__ = ["Mixture", "MixtureParams", "MixtureStatistics", "PseudoCounts"]
