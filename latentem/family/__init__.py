"""Families: p(x | z = k), and nothing about z."""

from latentem.family.assorted import Assorted
from latentem.family.base import Family
from latentem.family.categorical import Categorical, Multinomial
from latentem.family.continuous import Exponential, LogNormal
from latentem.family.covariance import Diagonal, Spherical, Tied
from latentem.family.directional import VonMisesFisher, VonMisesFisherParams
from latentem.family.discrete import Bernoulli, Binomial, Geometric, Poisson
from latentem.family.exponential import ExponentialFamily, ExponentialStatistics
from latentem.family.full import Full
from latentem.family.gamma import Gamma, GammaParams
from latentem.family.gaussian import Gaussian
from latentem.family.gaussian_params import GaussianParams
from latentem.family.glm import CanonicalRegression, LogisticRegression, PoissonRegression
from latentem.family.inflated import ZeroInflated, ZeroInflatedParams
from latentem.family.kernel import FAINTEST, LOWEST, NEVER, NOTHING, Kernel
from latentem.family.moments import Moments
from latentem.family.negative_binomial import NegativeBinomial, NegativeBinomialParams
from latentem.family.part import Part
from latentem.family.parts import Parts
from latentem.family.point_mass import PointMass, Uniform
from latentem.family.predictor import Coefficients
from latentem.family.priors import CovariancePrior, Flat, Floor, InverseWishart
from latentem.family.product import Product
from latentem.family.products import LINE, Buffers
from latentem.family.regression import LinearRegression, LinearRegressionParams
from latentem.family.sample import SampleFamily, WeightedSample
from latentem.family.structure import Shape, Structure
from latentem.family.student import Student, StudentParams
from latentem.family.weibull import Weibull, WeibullParams

__all__ = [
    "FAINTEST",
    "LINE",
    "LOWEST",
    "NEVER",
    "NOTHING",
    "Assorted",
    "Bernoulli",
    "Binomial",
    "Buffers",
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
    "Full",
    "Gamma",
    "GammaParams",
    "Gaussian",
    "GaussianParams",
    "Geometric",
    "InverseWishart",
    "Kernel",
    "LinearRegression",
    "LinearRegressionParams",
    "LogNormal",
    "LogisticRegression",
    "Moments",
    "Multinomial",
    "NegativeBinomial",
    "NegativeBinomialParams",
    "Part",
    "Parts",
    "PointMass",
    "Poisson",
    "PoissonRegression",
    "Product",
    "SampleFamily",
    "Shape",
    "Spherical",
    "Structure",
    "Student",
    "StudentParams",
    "Tied",
    "Uniform",
    "VonMisesFisher",
    "VonMisesFisherParams",
    "Weibull",
    "WeibullParams",
    "WeightedSample",
    "ZeroInflated",
    "ZeroInflatedParams",
]
