"""Hidden Markov models with the names, parameters and attributes of hmmlearn's.

>>> from latentem.sklearn import hmm
>>> hmm.GaussianHMM(n_components=2, covariance_type="full")
GaussianHMM(covariance_type='full', n_components=2)

In a script the import changes, from `hmmlearn.hmm` to `latentem.sklearn.hmm`, and no more. docs/hmmlearn.md says what
differs.
"""

from latentem.sklearn.hmm.base import Chain
from latentem.sklearn.hmm.gaussian import GaussianHMM
from latentem.sklearn.hmm.mixtures import GMMHMM
from latentem.sklearn.hmm.monitor import ConvergenceMonitor
from latentem.sklearn.hmm.poisson import PoissonHMM
from latentem.sklearn.hmm.symbols import CategoricalHMM, MultinomialHMM

__all__ = [
    "GMMHMM",
    "CategoricalHMM",
    "Chain",
    "ConvergenceMonitor",
    "GaussianHMM",
    "MultinomialHMM",
    "PoissonHMM",
]
