"""Factor analysis as scikit-learn has it."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self, final

import numpy as np
from attrs import evolve
from scipy.linalg import svd
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted

import latentem as lem
from latentem.answers import Answers
from latentem.arrays import Array
from latentem.fitted import Fit
from latentem.model import FactorParams
from latentem.sklearn.base import Estimator, run, warn_unless_converged
from latentem.sklearn.density import At
from latentem.sklearn.rotation import rotated
from latentem.sklearn.starts import distinct
from latentem.sklearn.stopping import settled

_RANK = 1e-7
"""Ratio to the largest singular value below which one is rounding: the rows have no such direction."""
_LEAST = 0.01
"""Share of a principal component's variance that the loadings of a start have at least: EM cannot leave zero."""


@final
class FactorAnalysis(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Factor analysis, with scikit-learn's parameters and attributes; rows may have weights.

    Parameters:
        n_components: Number of factors; None, or the number of columns, is the same density as one factor fewer, and
            the last row of `components_` is then zero before a rotation; so it
            is where the rows span fewer directions. With 0 the columns are independent.
        tol: The run has converged when its last step gained less than `tol` nats in all, as in scikit-learn, and no
            more than that is estimated to remain; 0: when nothing moves but by rounding.
        copy: True or False: the data are never written to.
        max_iter: The most steps.
        noise_variance_init: Noise to start from, shape (d,); None: what the principal components of the standardised
            columns leave.
        svd_method: How the start finds principal components: "lapack", or "randomized", which is quicker where there
            are many columns and few factors. The run that follows is exact in either case.
        iterated_power: Power iterations of "randomized".
        rotation: None for canonical factors, "varimax" or "quartimax".
        random_state: For "randomized": an int, a RandomState, or None.

    Attributes:
        components_: Loadings, shape (m, d).
        noise_variance_: Shape (d,).
        mean_: Shape (d,).
        loglike_: log p(data) in nats after each step.
        n_iter_: Number of steps.
        fit_: The `Fit` of this library; its loadings are not rotated.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 0, None, closed="left"), None],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "copy": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "noise_variance_init": ["array-like", None],
        "svd_method": [StrOptions({"randomized", "lapack"})],
        "iterated_power": [Interval(Integral, 0, None, closed="left")],
        "rotation": [StrOptions({"varimax", "quartimax"}), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        tol: float = 1e-2,
        copy: bool = True,
        max_iter: int = 1000,
        noise_variance_init: Any = None,
        svd_method: str = "randomized",
        iterated_power: int = 3,
        rotation: str | None = None,
        random_state: Any = 0,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.copy = copy
        self.max_iter = max_iter
        self.noise_variance_init = noise_variance_init
        self.svd_method = svd_method
        self.iterated_power = iterated_power
        self.rotation = rotation
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to rows, shape (n, d), each of which counts as `sample_weight` says; `y` is not looked at.

        Raises:
            ValueError: the data or a parameter cannot be used.
        """
        self._validate_params()
        X = self._table(X, reset=True, least=2)
        weight, d = self._weights(sample_weight, X), X.shape[1]
        wanted = d if self.n_components is None else int(self.n_components)
        if wanted > d:
            raise ValueError(f"n_components={wanted} should be at most the number of features, {d}.")
        # What is fitted are the different rows, so that weights and repeated rows give the same bits.
        rows, count = distinct(np.asarray(X, np.float64), weight)
        start = self._start(rows, count / count.sum(), min(wanted, d - 1))
        m = start.loadings.shape[1]
        options: dict[str, Any] = {"stop": settled(self.tol, per_row=False), "max_steps": self.max_iter}
        if m:
            fit = run(lem.FactorAnalysis(m), rows, weights=count, start=start, **options)
            loadings, noise = fit.params.canonical().loadings, fit.params.noise
            mean = fit.params.mean
        else:
            model = lem.GaussianMixture(1, lem.Diagonal())
            fit = run(model, rows, weights=count, n_starts=1, **options)
            normal = fit.params.components
            mean, noise, loadings = normal.means[0], normal.covariances[0], np.empty((d, 0))
        warn_unless_converged(
            fit, "FactorAnalysis did not converge. You might want to increase the number of iterations."
        )
        components = np.vstack([loadings.T, np.zeros((wanted - m, d))])
        if self.rotation is not None and wanted:
            components = rotated(components.T, self.rotation).T
        self._keep(fit, mean, components, noise, X.dtype)
        return self

    def _start(self, x: Array, share: Array, m: int) -> FactorParams:
        """Principal components of columns in units of their noise, or standardised: m of them, or as many as there are.

        Raises:
            ValueError: `noise_variance_init` has another shape, or is not positive.
        """
        d, near = x.shape[1], x[int(share.argmax())]
        y = x - near
        middle = share @ y
        y -= middle
        given = self.noise_variance_init
        if given is None:
            unit = np.sqrt(share @ (y * y))
        else:
            noise = np.array(given, dtype=np.float64)
            if noise.shape != (d,):
                found = f"{noise.shape[0] if noise.ndim else 0} != {d}"
                raise ValueError(f"noise_variance_init dimension does not with number of features : {found}")
            if not (noise > 0).all():
                raise ValueError(f"noise_variance_init must be positive: it is {noise}.")
            unit = np.sqrt(noise)
        y *= np.sqrt(share)[:, None] / np.where(unit > 0, unit, np.inf)
        size, axes = self._principal(y, m)
        rank = int((size > _RANK * size.max(initial=0.0)).sum())
        variance, axes = size[:rank] ** 2, axes[:rank]
        left = max(float((y * y).sum() - variance.sum()) / (d - rank), 1e-6) if given is None else 1.0
        loadings = np.sqrt(np.maximum(variance - left, _LEAST * variance))[:, None] * axes * unit
        return FactorParams(near + middle, loadings.T, np.maximum(left * unit**2, np.finfo(float).tiny))

    def _principal(self, y: Array, m: int) -> tuple[Array, Array]:
        """The m largest singular values of y, or as many as there are, and their axes, (m, d)."""
        if not m:
            return np.empty(0), np.empty((0, y.shape[1]))
        if self.svd_method == "lapack":
            _, size, axes = svd(y, full_matrices=False)
            return size[:m], axes[:m]
        power, rng = int(self.iterated_power), self._generator()
        result: Any = randomized_svd(y, m, n_iter=power, random_state=rng)
        return result[1], result[2]

    def _keep(self, fit: Fit[Any], mean: Array, components: Array, noise: Array, dtype: Any) -> None:
        names = vars(self).get("feature_names_in_")
        self.fit_ = fit if names is None else evolve(fit, columns=tuple(names))
        learnt = {"mean_": mean, "components_": components, "noise_variance_": noise}
        self._learnt = {name: np.array(value, dtype=dtype) for name, value in learnt.items()}
        for name, value in self._learnt.items():
            setattr(self, name, value)
        self.loglike_ = (fit.history[1:] if len(fit.history) > 1 else fit.history).bound.tolist()
        self.n_iter_ = len(fit.history) - 1

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _at(self) -> Answers[Any]:
        """The fit, or the normal distribution of the attributes where some were set by hand."""
        check_is_fitted(self)
        if all(getattr(self, name) is value for name, value in vars(self).get("_learnt", {"fit_": None}).items()):
            return self.fit_
        model = lem.GaussianMixture(1, prior=None)
        mean = np.asarray(self.mean_, dtype=np.float64)[None]
        return At(model, model.params([1.0], mean, self.get_covariance().astype(np.float64)[None]))

    def transform(self, X: Any) -> Array:
        """The expected factors of each row, given the row, shape (n, m)."""
        check_is_fitted(self)
        X = self._table(X, reset=False)
        loadings = np.asarray(self.components_, dtype=np.float64)
        scaled = loadings / np.asarray(self.noise_variance_, dtype=np.float64)
        precision = np.eye(len(loadings)) + scaled @ loadings.T
        answer = np.linalg.solve(precision, scaled @ (X - self.mean_).T.astype(np.float64)).T
        return np.asarray(answer, dtype=X.dtype)

    def get_covariance(self) -> Array:
        """The covariance of the columns, shape (d, d): components' components + noise."""
        check_is_fitted(self)
        loadings = self.components_
        return np.asarray(loadings.T @ loadings + np.diag(self.noise_variance_))

    def get_precision(self) -> Array:
        """Its inverse, shape (d, d)."""
        return np.asarray(np.linalg.inv(self.get_covariance()))

    def score_samples(self, X: Any) -> Array:
        """The log density of each row in nats, shape (n,)."""
        at = self._at()
        X = self._table(X, reset=False)
        return np.asarray(at.score_samples(X), dtype=X.dtype)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean log density in nats a row; `y` is not looked at."""
        return float(np.mean(self.score_samples(X)))
