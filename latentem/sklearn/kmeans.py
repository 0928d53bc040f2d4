"""K-means as scikit-learn has it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from attrs import evolve
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

import latentem as lem
from latentem.answers import Answers
from latentem.arrays import Array
from latentem.fitted import Fit
from latentem.run import Ending, State, Status, StopRule
from latentem.sklearn.base import Estimator, known_labels, run, warn_unless_converged
from latentem.sklearn.density import At
from latentem.sklearn.sparse import data_of, mean_variance
from latentem.sklearn.starts import centres, of_known

_STRICT = "no assignment changed (strict convergence)"


def _shifted(tolerance: float) -> StopRule:
    """Converged where no assignment changed, or the squared shift of all centres together is within a tolerance."""
    before: list[Array] = []

    def decide(state: State[Any, Any]) -> Status | None:
        means = state.params.components.means
        shift = float(((means - before.pop()) ** 2).sum()) if before else np.inf
        before.append(means)
        if state.step.movement == 0:
            return Status(Ending.CONVERGED, _STRICT)
        if shift <= tolerance:
            return Status(Ending.CONVERGED, f"center shift {shift:g} within tolerance {tolerance:g}")
        return None

    return StopRule(f"shift_within({tolerance:g})", decide)


def _spoken(model: Any) -> Callable[[State[Any, Any]], None]:
    def say(state: State[Any, Any]) -> None:
        inertia = model.inertia(state.params, state.expectation.statistics)
        print("Initialization complete" if state.step.index == 0 else "", end="\n" if state.step.index == 0 else "")
        print(f"Iteration {state.step.index}, inertia {inertia}.")
        if state.status is not None:
            print(f"Ended at iteration {state.step.index}: {state.status.sentence}.")

    return say


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Estimator):
    """K-means, with scikit-learn's parameters and attributes; ties and sums are exact, so that order does not matter.

    Parameters:
        n_clusters: Number of clusters.
        init: "k-means++", "random" (rows at random), centres of shape (k, d), or a function of
            (X, n_clusters, random_state=...) that gives them.
        n_init: Runs, of which the one with the least inertia is kept; "auto" is 1 for "k-means++" and for centres, else
            10.
        max_iter: The most iterations of a run.
        tol: A run ends when all centres together have moved by no more than this, squared and relative to the mean
            variance of the columns, or when no assignment changes; with 0, when no assignment changes.
        verbose: Whether to print how runs go on.
        random_state: An int, a RandomState, or None.
        copy_x: True or False: the data are never written to, nor copied for that.
        algorithm: "lloyd" or "elkan": two words for the same iteration. It is computed here by a search of its own,
            which, as Elkan's does, passes over centres that bounds rule out; the result is the same to the bit.

    Attributes:
        cluster_centers_: Shape (k, d).
        labels_: Of the rows, shape (n,).
        inertia_: Sum of squared distances to the centres, each times its weight.
        n_iter_: Iterations of the best run.
        fit_: The `Fit` of this library.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "copy_x": ["boolean"],
        "algorithm": [StrOptions({"lloyd", "elkan"})],
    }

    _random_starts: ClassVar[int] = 10

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: Any = None,
        copy_x: bool = True,
        algorithm: str = "lloyd",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.n_clusters

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the clusters.

        Args:
            X: Rows, shape (n, d), perhaps sparse (CSR), which stay so.
            y: Known clusters of some rows, shape (n,), with -1 for the others. Without a -1 it is not looked at.
            sample_weight: How much each row counts, shape (n,).

        Raises:
            ValueError: the data or a parameter cannot be used.
        """
        self._validate_params()
        X = self._rows(X, reset=True)
        n = X.shape[0]
        if n < self.n_clusters:
            raise ValueError(f"n_samples={n} should be >= n_clusters={self.n_clusters}.")
        weight, rng = self._weights(sample_weight, X), self._generator()
        known, model = known_labels(y, n, self.n_clusters), lem.KMeans(self.n_clusters)
        self._n_init = self._starts()
        if self.algorithm == "elkan" and self.n_clusters == 1:
            told = "algorithm='elkan' doesn't make sense for a single cluster. Using 'lloyd' instead."
            warnings.warn(told, RuntimeWarning, stacklevel=2)
        spread = mean_variance(X)
        data, beside = data_of(X, weight, known, self.n_clusters)
        fits = []
        for _ in range(self._n_init):
            options: dict[str, Any] = {"stop": _shifted(self.tol * spread), "accelerate": None}
            options["start"] = model.params(self._centres(X, weight, known, rng), spread or 1.0)
            options["callback"] = _spoken(model) if self.verbose else None
            fits.append(run(model, data, max_steps=self.max_iter, **beside, **options))
        best = min(fits, key=lambda fit: fit.inertia)
        self._keep(best, X)
        warn_unless_converged(best, "K-means did not converge: increase max_iter or tol.")
        return self

    def _rows(self, X: Any, reset: bool) -> Any:
        """The table, checked; a sparse one in CSR form."""
        return self._table(X, reset=reset, accept_sparse="csr")

    def _starts(self) -> int:
        if isinstance(self.init, str) or callable(self.init):
            usual = 1 if isinstance(self.init, str) and self.init == "k-means++" else self._random_starts
            return usual if self.n_init == "auto" else int(self.n_init)
        if self.n_init not in ("auto", 1):
            name = f"{type(self).__name__} instead of n_init={self.n_init}"
            told = f"Explicit initial center position passed: performing only one init in {name}."
            warnings.warn(told, RuntimeWarning, stacklevel=3)
        return 1

    def _centres(self, X: Any, weight: Any, known: Any, rng: np.random.RandomState) -> Array:
        """Centres to start from, shape (k, d)."""
        if isinstance(self.init, str):
            return centres(str(self.init), X, weight, self.n_clusters, rng, of_known(X, weight, known))
        given = self.init(X, self.n_clusters, random_state=rng) if callable(self.init) else self.init
        middle = np.array(given, dtype=np.float64)
        shape = f"The shape of the initial centers {middle.shape} does not match the number of"
        if len(middle) != self.n_clusters:
            raise ValueError(f"{shape} clusters {self.n_clusters}.")
        if middle.ndim != 2 or middle.shape[1] != X.shape[1]:
            raise ValueError(f"{shape} features of the data {X.shape[1]}.")
        return middle

    def _keep(self, fit: Fit[Any], X: Any) -> None:
        names = vars(self).get("feature_names_in_")
        self.fit_ = fit if names is None else evolve(fit, columns=tuple(names))
        self.cluster_centers_ = np.array(fit.params.components.means, dtype=X.dtype)
        self._learnt = self.cluster_centers_
        self.labels_ = fit.predict(data_of(X)[0]).astype(np.int32)
        self.inertia_ = fit.inertia
        strict = fit.status.sentence == _STRICT
        self.n_iter_ = min(len(fit.history) - (not strict), self.max_iter)
        if (distinct := len(np.unique(self.labels_))) < self.n_clusters:
            told = f"Number of distinct clusters ({distinct}) found smaller than n_clusters ({self.n_clusters})."
            warnings.warn(f"{told} Possibly due to duplicate points in X.", ConvergenceWarning, stacklevel=3)

    def _at(self) -> Answers[Any]:
        check_is_fitted(self)
        if self.cluster_centers_ is vars(self).get("_learnt"):
            return self.fit_
        model = lem.KMeans(len(self.cluster_centers_))
        return At(model, model.params(np.asarray(self.cluster_centers_, dtype=np.float64)))

    def predict(self, X: Any) -> npt.NDArray[np.int32]:
        """The nearest cluster of each row, shape (n,)."""
        at = self._at()
        labels: npt.NDArray[np.int32] = at.predict(data_of(self._rows(X, reset=False))[0]).astype(np.int32)
        return labels

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> npt.NDArray[np.int32]:
        """Fit, and the cluster of each row, shape (n,)."""
        return self.fit(X, y, sample_weight=sample_weight).labels_

    def transform(self, X: Any) -> Array:
        """The distance of each row to each centre, shape (n, k)."""
        check_is_fitted(self)
        distances: Array = euclidean_distances(self._rows(X, reset=False), self.cluster_centers_)
        return distances

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Array:
        """Fit, and the distance of each row to each centre, shape (n, k)."""
        return self.fit(X, y, sample_weight=sample_weight).transform(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the sum of squared distances to the nearest centres, each times its weight; `y` is not looked at."""
        at = self._at()
        X = self._rows(X, reset=False)
        weight = self._weights(sample_weight, X)
        data, beside = data_of(X, weight)
        return -lem.Fit.of(at.model, at.params, data, **beside).inertia
