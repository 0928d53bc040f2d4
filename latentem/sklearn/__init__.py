"""Estimators with the names, parameters and attributes of scikit-learn's, over the models of this library.

>>> from latentem.sklearn import Estimator
"""

try:
    from sklearn.utils.validation import validate_data as _since  # noqa: F401 - only whether it is there
except ImportError as error:
    _HOW = "pip install 'scikit-learn>=1.6' (in a checkout of latentem, pip install '.[sklearn]')"
    raise ImportError(f"latentem.sklearn needs scikit-learn, 1.6 or later: {_HOW}") from error

from sklearn.cluster import kmeans_plusplus

from latentem.sklearn.base import Estimator
from latentem.sklearn.discriminant import Discriminant
from latentem.sklearn.factor import FactorAnalysis
from latentem.sklearn.hidden_markov import HiddenMarkov
from latentem.sklearn.kmeans import KMeans
from latentem.sklearn.latent import LatentEstimator
from latentem.sklearn.minibatch import MiniBatchKMeans
from latentem.sklearn.mixture import GaussianMixture

__all__ = [
    "Discriminant",
    "Estimator",
    "FactorAnalysis",
    "GaussianMixture",
    "HiddenMarkov",
    "KMeans",
    "LatentEstimator",
]
__all__ += ["MiniBatchKMeans", "kmeans_plusplus"]
