"""Chains whose states emit from Gaussians."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from sklearn.cluster import KMeans

import latentem as lem
from latentem.arrays import Array
from latentem.family import Moments
from latentem.sklearn.hmm.base import Chain
from latentem.sklearn.hmm.checks import spread
from latentem.sklearn.hmm.priors import Counted, imagined, scatters, weights_of

STRUCTURES: dict[str, lem.Structure] = {
    "full": lem.Full(),
    "tied": lem.Tied(),
    "diag": lem.Diagonal(),
    "spherical": lem.Spherical(),
}


def filled(x: Array) -> Array:
    """The rows with the means of columns in missing cells: for starts alone."""
    missing = np.isnan(x)
    return np.where(missing, np.nanmean(x, axis=0), x) if missing.any() else x


def spread_of(x: Array, least: float) -> Array:
    """The covariance of all rows, with `least` added to the variances, shape (d, d)."""
    return np.asarray(np.atleast_2d(np.cov(filled(x).T)) + least * np.eye(x.shape[1]))


@final
class GaussianHMM(Chain):
    """A hidden Markov model with Gaussian emissions; NaN stands for a missing value.

    Args:
        n_components: Number of states.
        covariance_type: "spherical", "diag", "full" or "tied" (one for all states).
        min_covar: Added to the variances to start from, as in hmmlearn. It is no floor of the fit: there
            `covars_prior` keeps variances off zero, and a floor of 1e-8 of the data's own.
        startprob_prior: Parameters of a Dirichlet prior, at least 1; where a probability is zero at the start there
            is none.
        transmat_prior: The same for each row of `transmat_`.
        means_prior: Where means are expected, a number or (n_components, d).
        means_weight: How many rows that is worth, a number or (n_components,).
        covars_prior: Scatter added to that of each covariance: a number (times the identity), or in the shape of the
            covariances.
        covars_weight: As in hmmlearn: max(covars_weight - 1, 0) is added to the count that divides a diagonal or
            spherical scatter, max(covars_weight - d, 0) to the others.
        algorithm: "viterbi" or "map".
        random_state: An int, a RandomState, or None.
        n_iter: The most steps, 10.
        tol: Converged when a step gains less, in nats in all.
        verbose: Whether each step is printed.
        params: Which parameters are learnt: letters of "stmc".
        init_params: Which are set at the start.
        implementation: "log" or "scaling". The recursions choose by themselves, sequence by sequence, what is fast
            and loses nothing: the answers are the same.

    Attributes:
        means_: Shape (n_components, d).
        covars_: As matrices, shape (n_components, d, d); to be set in the shape of the `covariance_type`.
    """

    letters: ClassVar[dict[str, tuple[str, str]]] = {
        "m": ("means_", "emissions.means"),
        "c": ("covars_", "emissions.covariances"),
    }
    takes_missing: ClassVar[bool] = True

    means_: Any
    _covars_: Array

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "diag",
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        means_prior: Any = 0,
        means_weight: Any = 0,
        covars_prior: Any = 1e-2,
        covars_weight: float = 1,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation

    @property
    def covars_(self) -> Array:
        """The covariances as matrices, shape (n_components, d, d)."""
        if "_covars_" not in vars(self):
            raise AttributeError("covars_ are not set: fit the model, or set them")
        return np.array(self._emissions().dense())

    @covars_.setter
    def covars_(self, covars: Any) -> None:
        given, k = np.array(covars, dtype=np.float64), self.n_components
        kind = self._structure_name()
        if kind == "spherical":
            if given.size and len(given) == k:
                given = given.reshape(k, -1)
                given = given[:, 0] if (given == given[:, :1]).all() else given
            if given.shape != (k,):
                raise ValueError("'spherical' covars have length n_components, one variance each")
        elif given.ndim != {"tied": 2, "diag": 2, "full": 3}[kind] or (kind != "tied" and len(given) != k):
            raise ValueError(f"{kind!r} covars have shape {given.shape}: it does not fit {k} states")
        if kind in ("tied", "full"):
            matrices = given.reshape(-1, *given.shape[-2:])
            even = given.shape[-1] == given.shape[-2] and np.allclose(matrices, matrices.swapaxes(1, 2))
            if not even or (np.linalg.eigvalsh(matrices) <= 0).any():
                raise ValueError(f"{kind!r} covars must be symmetric, positive-definite")
            given = 0.5 * (given + given.swapaxes(-1, -2))
        elif (given <= 0).any():
            raise ValueError(f"{kind!r} covars must be positive")
        self._covars_ = given

    def _structure_name(self) -> str:
        if self.covariance_type not in STRUCTURES:
            raise ValueError(f"covariance_type must be one of {sorted(STRUCTURES)}, not {self.covariance_type!r}")
        return self.covariance_type

    def _refuse(self) -> None:
        super()._refuse()
        self._structure_name()

    def _begin(self, X: Array) -> None:
        if self._needs_init("m", "means_"):
            found = KMeans(n_clusters=self.n_components, random_state=self.random_state, n_init=10).fit(filled(X))
            self.means_ = np.array(found.cluster_centers_, dtype=np.float64)
        if self._needs_init("c", "covars_"):
            all_rows, k = spread_of(X, self.min_covar), self.n_components
            one = {"spherical": all_rows.mean(), "diag": np.diag(all_rows)}.get(self._structure_name(), all_rows)
            shape = STRUCTURES[self._structure_name()].shape(k, X.shape[1])
            self.covars_ = np.broadcast_to(one, shape)

    def _check(self) -> None:
        super()._check()
        self.means_ = np.asarray(self.means_)
        if self.means_.ndim != 2 or len(self.means_) != self.n_components:
            raise ValueError(f"means_ must have shape (n_components, n_features), but has {self.means_.shape}")
        self.n_features = self.means_.shape[1]

    def _family(self) -> lem.Gaussian:
        structure, k, d = STRUCTURES[self._structure_name()], self.n_components, np.shape(self.means_)[1]
        weight = weights_of("means_weight", self.means_weight, (k,))
        least = 1 if self.covariance_type in ("diag", "spherical") else d
        # The rows at `means_prior` count in the means alone: this takes them out of the covariances' count.
        count = max(float(self.covars_weight) - least, 0.0) - (weight.sum() if structure.tied else weight)
        return lem.Gaussian(structure, Counted(count))

    def _pseudo(self) -> Moments | None:
        structure, (k, d) = STRUCTURES[self._structure_name()], np.shape(self.means_)
        weight = weights_of("means_weight", self.means_weight, (k,))
        shape = structure.shape(k, d)
        square = structure.each == lem.Full()
        scatter = scatters("covars_prior", self.covars_prior, shape, square)
        if self.covariance_type == "spherical":
            scatter = d * scatter  # one of each column
        mean = spread("means_prior", self.means_prior, (k, d))
        if not weight.any() and not scatter.any():
            return None
        return imagined(structure, mean, weight, structure.spread(scatter))

    def _emissions(self) -> Any:
        structure = STRUCTURES[self._structure_name()]
        return lem.Gaussian(structure).params(np.asarray(self.means_, dtype=np.float64), self._covars_)

    def _learn(self, emissions: Any) -> None:
        self.means_ = np.array(emissions.means)
        self._covars_ = np.array(emissions.covariances)
