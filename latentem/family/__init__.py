"""Families: p(x | z = k), and nothing about z."""

from latentem.family.base import Family
from latentem.family.categorical import Categorical, Multinomial
from latentem.family.composite.assorted import Assorted
from latentem.family.composite.inflated import ZeroInflated, ZeroInflatedParams
from latentem.family.composite.mixture_of import MixtureOf, MixtureOfParams
from latentem.family.composite.noisy import Noisy, NoisyParams
from latentem.family.composite.on import Part
from latentem.family.composite.parts import Parts
from latentem.family.composite.point_mass import Box, Noise, PointMass, Uniform
from latentem.family.composite.product import Product
from latentem.family.directional import VonMisesFisher, VonMisesFisherParams
from latentem.family.discrete import Bernoulli, Binomial, Geometric, Poisson
from latentem.family.exponential import ExponentialFamily, ExponentialStatistics
from latentem.family.gaussian.covariance.celeux_govaert import (
    ALL_STRUCTURES,
    EEV,
    EVE,
    EVI,
    EVV,
    VEE,
    VEI,
    VEV,
    VVE,
    structure,
)
from latentem.family.gaussian.covariance.diagonal import Diagonal
from latentem.family.gaussian.covariance.form import Form
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.spherical import Spherical
from latentem.family.gaussian.covariance.structure import Structure
from latentem.family.gaussian.covariance.tied import Tied
from latentem.family.gaussian.covariance.within import TiedWithin
from latentem.family.gaussian.family import Gaussian
from latentem.family.gaussian.lognormal import LogNormal
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.family.gaussian.prior import AbsoluteFloor, CovariancePrior, Flat, Floor, InverseWishart
from latentem.family.gaussian.student import Student, StudentParams
from latentem.family.negative_binomial import NegativeBinomial, NegativeBinomialParams
from latentem.family.positive import Exponential, Gamma, GammaParams
from latentem.family.regression.canonical import CanonicalRegression, LogisticRegression, PoissonRegression
from latentem.family.regression.linear import LinearRegression, LinearRegressionParams
from latentem.family.regression.predictor import Coefficients
from latentem.family.sample import SampleFamily, WeightedSample
from latentem.family.weibull import Weibull, WeibullParams

__all__ = [
    "ALL_STRUCTURES",
    "EEV",
    "EVE",
    "EVI",
    "EVV",
    "VEE",
    "VEI",
    "VEV",
    "VVE",
    "AbsoluteFloor",
    "Assorted",
    "Bernoulli",
    "Binomial",
    "Box",
    "CanonicalRegression",
    "Categorical",
    "Coefficients",
    "CovariancePrior",
    "Diagonal",
    "Exponential",
    "ExponentialFamily",
    "ExponentialStatistics",
    "Family",
    "Flat",
    "Floor",
    "Form",
    "Full",
    "Gamma",
    "GammaParams",
    "Gaussian",
    "GaussianParams",
    "Geometric",
    "InverseWishart",
    "LinearRegression",
    "LinearRegressionParams",
    "LogNormal",
    "LogisticRegression",
    "MixtureOf",
    "MixtureOfParams",
    "Moments",
    "Multinomial",
    "NegativeBinomial",
    "NegativeBinomialParams",
    "Noise",
    "Noisy",
    "NoisyParams",
    "Part",
    "Parts",
    "PointMass",
    "Poisson",
    "PoissonRegression",
    "Product",
    "SampleFamily",
    "Spherical",
    "Structure",
    "Student",
    "StudentParams",
    "Tied",
    "TiedWithin",
    "Uniform",
    "VonMisesFisher",
    "VonMisesFisherParams",
    "Weibull",
    "WeibullParams",
    "WeightedSample",
    "ZeroInflated",
    "ZeroInflatedParams",
    "structure",
]
