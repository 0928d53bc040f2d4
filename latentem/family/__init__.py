"""Families: p(x | z = k), and nothing about z."""

from latentem.family.base import Family
from latentem.family.covariance import Diagonal, Full, Spherical, Tied
from latentem.family.exponential import ExponentialFamily, ExponentialStatistics, Poisson
from latentem.family.gaussian import Gaussian
from latentem.family.gaussian_params import GaussianParams
from latentem.family.moments import Moments
from latentem.family.priors import CovariancePrior, Flat, Floor, InverseWishart
from latentem.family.structure import Shape, Structure

__all__ = [
    "CovariancePrior",
    "Diagonal",
    "ExponentialFamily",
    "ExponentialStatistics",
    "Family",
    "Flat",
    "Floor",
    "Full",
    "Gaussian",
    "GaussianParams",
    "InverseWishart",
    "Moments",
    "Poisson",
    "Shape",
    "Spherical",
    "Structure",
    "Tied",
]
