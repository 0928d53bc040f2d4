"""Mini-batch K-means as scikit-learn has it, by online EM."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self, final

import numpy as np
import numpy.typing as npt
from attrs import evolve
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

import latentem as lem
from latentem.answers import Answers
from latentem.arrays import Array, own
from latentem.sklearn.base import known_labels
from latentem.sklearn.density import At
from latentem.sklearn.kmeans import KMeans
from latentem.sklearn.sparse import data_of, dense, mean_variance
from latentem.variants.online import OnlineState

_ONLINE = lem.Online(exponent=1.0, delay=0.0, wait=0.0)
"""A step of 1 / t at batch t: a centre is then the mean of all rows that it has had (Sculley, 2010)."""


@final
class _Watch:
    """Whether mini-batches have ceased to gain.

    Attributes:
        average: Mean squared distance of a row, later batches with more weight; None before the second batch.
    """

    def __init__(self, tolerance: float, patience: int | None, share: float) -> None:
        self._tolerance, self._patience, self._share = tolerance, patience, share
        self._least, self._idle, self.average = np.inf, 0, None

    average: float | None

    def over(self, inertia: float, shift: float, first: bool) -> str | None:
        """Why to end after a batch, by the mean squared distance of its rows and the squared shift of all centres."""
        if first:  # its distances are those of the start
            return None
        self.average = inertia if self.average is None else self.average + self._share * (inertia - self.average)
        self._idle = 0 if self.average < self._least else self._idle + 1
        self._least = min(self._least, self.average)
        if self._tolerance > 0 and shift <= self._tolerance:
            return "small centers change"
        idle = self._patience is not None and self._idle >= self._patience
        return "lack of improvement in inertia" if idle else None


@final
class MiniBatchKMeans(KMeans):
    """K-means by an M-step after each of many small random batches; `partial_fit` follows a stream.

    Parameters:
        n_clusters, init, verbose, random_state: As for `KMeans`.
        max_iter: The most rows that are drawn, in sizes of the whole data.
        batch_size: Rows in a batch, drawn with replacement, the more likely the more they weigh.
        compute_labels: Whether to have labels, inertia and `fit_` of all rows in the end.
        tol: A run ends when all centres together have moved in a batch by no more than this, squared and relative to
            the mean variance of the columns; 0 for never.
        max_no_improvement: A run ends after so many batches in which the smoothed inertia has not fallen; None: never.
        init_size: Rows among which a start is drawn, and on which starts are compared; None: three batches, or
            three for each cluster where these are fewer than the clusters.
        n_init: Starts, of which the best goes on; "auto" is 1 for "k-means++" and for centres, else 3.
        reassignment_ratio: A cluster with fewer rows than this share of the largest begins anew at a row.

    Attributes:
        cluster_centers_: Shape (k, d).
        labels_: Of the rows, shape (n,); of the last batch after `partial_fit`.
        inertia_: Sum of squared distances to the centres, each times its weight.
        n_iter_: How often as many rows as the data have were drawn.
        n_steps_: Batches.
        fit_: The `Fit` of this library at these centres.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **{name: rule for name, rule in KMeans._parameter_constraints.items() if name not in ("algorithm", "copy_x")},
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "compute_labels": ["boolean"],
        "max_no_improvement": [Interval(Integral, 0, None, closed="left"), None],
        "init_size": [Interval(Integral, 1, None, closed="left"), None],
        "reassignment_ratio": [Interval(Real, 0, None, closed="left")],
    }
    _random_starts: ClassVar[int] = 3

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        max_iter: int = 100,
        batch_size: int = 1024,
        verbose: int = 0,
        compute_labels: bool = True,
        random_state: Any = None,
        tol: float = 0.0,
        max_no_improvement: int | None = 10,
        init_size: int | None = None,
        n_init: int | str = "auto",
        reassignment_ratio: float = 0.01,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.verbose = verbose
        self.compute_labels = compute_labels
        self.random_state = random_state
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.init_size = init_size
        self.n_init = n_init
        self.reassignment_ratio = reassignment_ratio

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
        n, size = X.shape[0], min(self.batch_size, X.shape[0])
        weight, self._rng = self._weights(sample_weight, X), self._generator()
        known, spread = known_labels(y, n, self.n_clusters), mean_variance(X)
        self._begin(X, weight, known)
        watch = _Watch(self.tol * spread, self.max_no_improvement, min(2 * size / (n + 1), 1.0))
        reach = np.cumsum(np.ones(n) if weight is None else weight)
        steps = max(self.max_iter * n // size, 1)
        for self.n_steps_ in range(1, steps + 1):
            rows = reach.searchsorted(self._rng.random_sample(size) * reach[-1], side="right")
            inertia, shift = self._step(X[rows], None, None if known is None else known[rows])
            if self.verbose:
                print(f"Batch {self.n_steps_} of at most {steps}: mean squared distance {inertia:g}.")
            if reason := watch.over(inertia, shift, self.n_steps_ == 1):
                if self.verbose:
                    print(f"Converged ({reason}) at step {self.n_steps_}/{steps}.")
                break
        self.n_iter_ = int(np.ceil(self.n_steps_ * size / n))
        self._close(X, weight, known)
        if not self.compute_labels:
            self.inertia_ = (watch.average or inertia) * float(n if weight is None else weight.sum())
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn one batch, and keep nothing of it but its sums; the first one is also where centres begin.

        Args:
            X: Rows, shape (n, d), perhaps sparse (CSR).
            y: Known clusters of some rows, as for `fit`.
            sample_weight: How much each row counts, shape (n,).

        Raises:
            ValueError: the data or a parameter cannot be used.
        """
        begun = "_online" in vars(self)
        if not begun:
            self._validate_params()
        X = self._rows(X, reset=not begun)
        weight, known = self._weights(sample_weight, X), known_labels(y, X.shape[0], self.n_clusters)
        if not begun:
            self._rng, self.n_steps_ = self._generator(), 0
            self._begin(X, weight, known)
        self._step(X, weight, known)
        self.n_steps_ += 1
        self._close(X, weight, known)
        return self

    def _begin(self, X: Any, weight: Array | None, known: Any) -> None:
        """Centres to begin at: of several starts, each among a few rows, the best on others."""
        n, k = X.shape[0], self.n_clusters
        if n < k:
            raise ValueError(f"n_samples={n} should be >= n_clusters={k}.")
        size = self.init_size or 3 * min(self.batch_size, n)
        if size < k:
            if self.init_size:
                told = f"init_size={size} should be larger than n_clusters={k}"
                warnings.warn(f"{told}. Setting it to min(3*n_clusters, n_samples)", RuntimeWarning, stacklevel=3)
            size = 3 * k
        self._init_size, self._n_init = min(size, n), self._starts()
        self._model, self._since = lem.KMeans(k), 0
        started: list[tuple[float, Any]] = []
        unit, judged = mean_variance(X) or 1.0, self._few(n)
        for _ in range(self._n_init):
            rows = self._few(n)
            heavy, labels = (None if each is None else each[rows] for each in (weight, known))
            if heavy is not None and np.count_nonzero(heavy) < k:  # too few of these rows count
                rows, heavy, labels = np.arange(n), weight, known
            params = self._model.params(self._centres(X[rows], heavy, labels, self._rng), unit)
            found = self._model.expectation(params, self._chunk(X[judged]))
            started.append((self._model.inertia(params, found.statistics), params))
        self._online = _ONLINE.begin(self._model, min(started, key=lambda each: each[0])[1])

    def _chunk(self, X: Any, weight: Array | None = None, known: Any = None) -> Any:
        data, beside = data_of(X, weight, known, self.n_clusters)
        return self._model.chunk(data, **beside)

    def _few(self, n: int) -> npt.NDArray[np.intp]:
        """Numbers of rows among which a start is drawn, of n."""
        return np.arange(n) if self._init_size == n else self._rng.randint(0, n, self._init_size)

    def _step(self, X: Any, weight: Array | None, known: Any) -> tuple[float, float]:
        """One batch: the mean squared distance of its rows to the centres before, and how far these moved, squared."""
        before = self._online
        after = _ONLINE.update(self._model, before, self._chunk(X, weight, known))
        new = after.expectation if before.discounted is None else after.expectation - before.expectation
        inertia = self._model.inertia(before.params, new.statistics) / max(new.observations, 1e-300)
        self._since += X.shape[0]
        counts = after.expectation.statistics.weights
        if not counts.all() or self._since >= 10 * self.n_clusters:
            self._since = 0
            after = self._moved(after, counts, X)
        self._online = after
        moved = after.params.components.means - before.params.components.means
        return inertia, float((moved * moved).sum())

    def _moved(self, state: OnlineState, counts: Array, rows: Any) -> OnlineState:
        """The state with its small clusters at random rows, as if they had as many rows as the least of the others."""
        small = counts < self.reassignment_ratio * counts.max()
        small[np.argsort(counts)[rows.shape[0] // 2 :]] = False  # half of the rows at most become centres
        if state.discounted is None or not small.any():
            return state
        chosen = dense(rows[self._rng.choice(rows.shape[0], int(small.sum()), replace=False)])
        statistics, params = state.discounted.statistics, state.params
        moments, least = statistics.components, statistics.weights[~small].min()

        def put(values: Array, new: Any) -> Array:
            changed = values.copy()
            changed[small] = new
            return own(changed)

        count, origin = put(statistics.weights, least), put(moments.origin, chosen)
        nothing = put(moments.first, 0.0), put(moments.second, 0.0)
        moments = evolve(moments, origin=origin, count=count, first=nothing[0], second=nothing[1])
        means = put(params.components.means, chosen)
        return evolve(
            state,
            params=evolve(params, components=evolve(params.components, means=means)),
            discounted=evolve(state.discounted, statistics=evolve(statistics, weights=count, components=moments)),
        )

    def _close(self, X: Any, weight: Array | None, known: Any) -> None:
        """Set the attributes."""
        self.cluster_centers_ = np.array(self._online.params.components.means, dtype=X.dtype)
        if self.compute_labels:
            data, beside = data_of(X, weight, known, self.n_clusters)
            self.fit_ = lem.Fit.of(self._model, self._online.params, data, **beside)
            self.labels_ = self.fit_.predict(data_of(X)[0]).astype(np.int32)
            self.inertia_ = self.fit_.inertia

    def _at(self) -> Answers[Any]:
        check_is_fitted(self, "cluster_centers_")
        model = lem.KMeans(len(self.cluster_centers_))
        return At(model, model.params(np.asarray(self.cluster_centers_, dtype=np.float64)))
