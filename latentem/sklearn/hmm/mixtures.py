"""Chains whose states emit from mixtures of Gaussians."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

import latentem as lem
from latentem.arrays import Array
from latentem.family.composite.mixture_of import MixtureOfStatistics
from latentem.sklearn.hmm.base import Chain
from latentem.sklearn.hmm.checks import distributions, pseudo_counts, spread, whole
from latentem.sklearn.hmm.gaussian import STRUCTURES, filled, spread_of
from latentem.sklearn.hmm.priors import Counted, imagined, scatters, weights_of


@final
class GMMHMM(Chain):
    """A hidden Markov model whose states emit from mixtures of Gaussians; NaN stands for a missing value.

    Args:
        n_components: Number of states.
        n_mix: Number of Gaussians in each.
        min_covar: Added to the variances to start from.
        startprob_prior: As in `GaussianHMM`.
        transmat_prior: As in `GaussianHMM`.
        weights_prior: Parameters of a Dirichlet prior on the weights of each state, at least 1.
        means_prior: Where means are expected, a number or (n_components, n_mix, d).
        means_weight: How many rows that is worth, a number or (n_components, n_mix).
        covars_prior: As in hmmlearn: "diag" and "spherical", the shape alpha of an inverse gamma; "full" and "tied",
            the scale of an inverse Wishart. None: no prior.
        covars_weight: The scale beta of that inverse gamma, or the degrees of freedom. None: no prior.
        algorithm: "viterbi" or "map".
        covariance_type: "spherical", "diag", "full" or "tied" (one for the Gaussians of a state).
        random_state: An int, a RandomState, or None.
        n_iter: The most steps, 10.
        tol: Converged when a step gains less, in nats in all.
        verbose: Whether each step is printed.
        params: Which parameters are learnt: letters of "stmcw".
        init_params: Which are set at the start.
        implementation: As in `GaussianHMM`.

    Attributes:
        weights_: Shape (n_components, n_mix).
        means_: Shape (n_components, n_mix, d).
        covars_: (n_components, n_mix, d, d) full, (n_components, d, d) tied, (n_components, n_mix, d) diagonal,
            (n_components, n_mix) spherical.
    """

    letters: ClassVar[dict[str, tuple[str, str]]] = {
        "m": ("means_", "emissions.members.means"),
        "c": ("covars_", "emissions.members.covariances"),
        "w": ("weights_", "emissions.shares"),
    }
    takes_missing: ClassVar[bool] = True

    weights_: Any
    means_: Any
    covars_: Any

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        weights_prior: Any = 1.0,
        means_prior: Any = 0.0,
        means_weight: Any = 0.0,
        covars_prior: Any = None,
        covars_weight: Any = None,
        algorithm: str = "viterbi",
        covariance_type: str = "diag",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmcw",
        init_params: str = "stmcw",
        implementation: str = "log",
    ) -> None:
        self.n_components = n_components
        self.n_mix = n_mix
        self.min_covar = min_covar
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.weights_prior = weights_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight
        self.algorithm = algorithm
        self.covariance_type = covariance_type
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation

    def _refuse(self) -> None:
        super()._refuse()
        whole("n_mix", self.n_mix, 1)
        if self.covariance_type not in STRUCTURES:
            raise ValueError(f"covariance_type must be one of {sorted(STRUCTURES)}, not {self.covariance_type!r}")

    def _begin(self, X: Array) -> None:
        k, m, d = self.n_components, self.n_mix, X.shape[1]
        if self._needs_init("w", "weights_"):
            self.weights_ = np.full((k, m), 1 / m)
        if self._needs_init("m", "means_"):
            self.means_ = self._centres(filled(X))
        if self._needs_init("c", "covars_"):
            all_rows = spread_of(X, self.min_covar)
            one = {"spherical": all_rows.mean(), "diag": np.diag(all_rows)}.get(self.covariance_type, all_rows)
            self.covars_ = np.array(np.broadcast_to(one, self._shape(d)))

    def _centres(self, x: Array) -> Array:
        """Centres of clusters within the clusters of all rows; where one has too few, some of all rows."""
        options: dict[str, Any] = {"random_state": self.random_state, "n_init": 10}
        labels = KMeans(n_clusters=self.n_components, **options).fit_predict(x)
        centres, rng = [], check_random_state(self.random_state)
        for j in range(self.n_components):
            rows = x[labels == j]
            if len(rows) >= self.n_mix:
                centres.append(KMeans(n_clusters=self.n_mix, **options).fit(rows).cluster_centers_)
            else:
                centres.append(x[rng.choice(len(x), self.n_mix, replace=len(x) < self.n_mix)])
        return np.array(centres, dtype=np.float64)

    def _shape(self, d: int) -> tuple[int, ...]:
        k, m = self.n_components, self.n_mix
        return {"spherical": (k, m), "tied": (k, d, d), "diag": (k, m, d), "full": (k, m, d, d)}[self.covariance_type]

    def _check(self) -> None:
        super()._check()
        k, m = self.n_components, self.n_mix
        self.weights_ = distributions("weights_", self.weights_, (k, m))
        self.means_ = np.array(self.means_)
        if self.means_.ndim != 3 or self.means_.shape[:2] != (k, m):
            shape = self.means_.shape
            raise ValueError(f"means_ must have shape (n_components, n_mix, n_features), actual shape: {shape}")
        self.n_features = d = self.means_.shape[2]
        self.covars_ = np.array(self.covars_)
        if self.covars_.shape != self._shape(d):
            raise ValueError(
                f"{self.covariance_type!r} mixture covars must have shape {self._shape(d)}, "
                f"actual shape: {self.covars_.shape}"
            )

    @property
    def _structure(self) -> lem.Structure:
        """The structure over all k m Gaussians."""
        return lem.TiedWithin(self.n_mix) if self.covariance_type == "tied" else STRUCTURES[self.covariance_type]

    def _priors(self) -> tuple[Array, Array, Array]:
        """Weights of the means, (k, m), and for each Gaussian the count, (k, m), and scatter that covariances add."""
        k, m, d = np.shape(self.means_)
        weight = weights_of("means_weight", self.means_weight, (k, m))
        prior, given, kind = self.covars_prior, self.covars_weight, self.covariance_type
        if kind in ("full", "tied"):
            scatter = scatters("covars_prior", 0.0 if prior is None else prior, self._shape(d), square=True)
            if kind == "full":
                count = np.zeros((k, m)) if given is None else spread("covars_weight", given, (k, m)) + d + 2
                return weight, count - weight, scatter
            # What a state's covariance adds is shared out over its Gaussians.
            count = np.zeros(k) if given is None else spread("covars_weight", given, (k,)) + m + d + 1
            return weight, count[:, None] / m - weight, np.repeat(scatter[:, None] / m, m, axis=1)
        scatter = 2 * scatters("covars_weight", 0.0 if given is None else given, self._shape(d), square=False)
        if prior is None:
            return weight, -weight, scatter
        alpha = spread("covars_prior", prior, (k, m))
        each = 1 if kind == "diag" else d
        return weight, 1 + 2 * (alpha + 1) / each - weight, scatter

    def _family(self) -> lem.MixtureOf:
        _, count, _ = self._priors()
        return lem.MixtureOf(lem.Gaussian(self._structure, Counted(count.ravel())), self.n_mix)

    def _pseudo(self) -> MixtureOfStatistics | None:
        k, m, d = np.shape(self.means_)
        weight, _, scatter = self._priors()
        shares = pseudo_counts("weights_prior", self.weights_prior, (k, m), np.asarray(self.weights_) > 0)
        mean = spread("means_prior", self.means_prior, (k, m, d)).reshape(k * m, d)
        if not (weight.any() or scatter.any() or shares.any()):
            return None
        flat = scatter.reshape(k * m, *scatter.shape[2:])
        return MixtureOfStatistics(shares, imagined(self._structure, mean, weight.ravel(), flat))

    def _emissions(self) -> Any:
        k, m, d = np.shape(self.means_)
        covars = np.asarray(self.covars_, dtype=np.float64)
        if self.covariance_type == "tied":
            covars = np.repeat(covars[:, None], m, axis=1)
        means = np.asarray(self.means_, dtype=np.float64).reshape(k * m, d)
        members = lem.Gaussian(self._structure).params(means, covars.reshape(k * m, *covars.shape[2:]))
        weights = np.asarray(self.weights_, dtype=np.float64)
        return self._family().params(weights / weights.sum(axis=1, keepdims=True), members)

    def _learn(self, emissions: Any) -> None:
        k, m, d = np.shape(self.means_)
        if "w" in self.params:
            self.weights_ = np.array(emissions.shares)
        self.means_ = np.array(emissions.members.means).reshape(k, m, d)
        covars = emissions.members.covariances
        covars = covars.reshape(k, m, *covars.shape[1:])
        self.covars_ = np.array(covars[:, 0] if self.covariance_type == "tied" else covars)
