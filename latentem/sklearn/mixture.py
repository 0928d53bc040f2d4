"""Mixtures of Gaussians as scikit-learn has them, and more."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self, final

import numpy as np
from attrs import evolve
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

import latentem as lem
from latentem.answers import Answers
from latentem.arrays import Array
from latentem.core import Degenerate
from latentem.family import AbsoluteFloor, CovariancePrior
from latentem.fitted import Fit
from latentem.model import MixtureParams
from latentem.numerics.arithmetic import own_arithmetic
from latentem.run import Ending
from latentem.sklearn.base import attempt, known_labels, warn_unless_converged
from latentem.sklearn.density import At, Density
from latentem.sklearn.given import covariances_of, means_given, precisions_given, precisions_of, roots_of, weights_given
from latentem.sklearn.starts import covering, nearest, responsibilities, scaled
from latentem.sklearn.stopping import settled, spoken
from latentem.start.seeding import statistics_of

STRUCTURES: dict[str, lem.Structure] = {
    "full": lem.Full(),
    "tied": lem.Tied(),
    "diag": lem.Diagonal(),
    "spherical": lem.Spherical(),
}
_COLLAPSED = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
    "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or scale "
    "the input data."
)
_NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, or "
    "check for degenerate data."
)


@final
class GaussianMixture(Density):
    """A mixture of Gaussians, with scikit-learn's parameters and attributes; rows may lack values (NaN).

    Parameters:
        n_components: Number of components.
        covariance_type: "full", "tied", "diag", "spherical", or a `lem.Structure`.
        tol: A run has converged when its last step gained less than `tol` nats a row, as in scikit-learn, and no more
            than that is estimated to remain, which scikit-learn does not ask: a run that creeps goes on. 0: until
            nothing moves but by rounding. The default is 1e-6, where scikit-learn's is 1e-3.
        reg_covar: None, the default: no variance in any direction falls below 1e-8 of that of the data, whatever their
            units. A number above 0: none falls below it, in squared data units, and columns may be constant
            (scikit-learn adds it to every variance instead, and so biases those that need no help). 0: plain maximum
            likelihood. Or a prior of this library, such as `lem.InverseWishart(scale, dof)`.
        max_iter: The most steps of a run, 1000; scikit-learn's default is 100.
        n_init: Runs, each to its end; the best is kept. One with a component at its floor, empty or doubled comes
            behind all others.
        init_params: "kmeans", "k-means++", "random" or "random_from_data". All but "random" look at the standardised
            columns, and give each row to the nearest centre.
        weights_init: Weights to start from, shape (k,), by themselves or with the others.
        means_init: Means to start from, shape (k, d); what else is not given is then that of the rows nearest to them.
        precisions_init: Inverse covariances to start from, in the shape of `precisions_`.
        random_state: An int, a RandomState, or None.
        warm_start: Whether the next `fit` goes on from where this one ended; `n_init` then counts for the first.
        verbose: 1 prints how runs go on, 2 with time and gain.
        verbose_interval: Every how many steps.
        fixed: What is held, by name: {"means": lem.Fixed(values, components=[0]), "weights": lem.Fixed.uniform()};
            None holds nothing.

    Attributes:
        weights_: Shape (k,).
        means_: Shape (k, d).
        covariances_: (k, d, d) full, (d, d) tied, (k, d) diagonal, (k,) spherical.
        precisions_: Their inverses, in their shape.
        precisions_cholesky_: Roots U of these, U U' = precision, in their shape.
        converged_: Whether the best run converged.
        n_iter_: Its steps.
        lower_bound_: log p(data) at the parameters, in nats a row.
        lower_bounds_: The same after each step, shape (n_iter_,).
        fit_: The `Fit` of this library.
    """

    takes_missing: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES)), lem.Structure],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), CovariancePrior, None],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "random", "random_from_data", "k-means++"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "fixed": [dict, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str | lem.Structure = "full",
        tol: float = 1e-6,
        reg_covar: float | CovariancePrior | None = None,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        fixed: dict[str, lem.Fixed] | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.fixed = fixed

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Args:
            X: Rows, shape (n, d); NaN where a value is missing.
            y: Known components of some rows, shape (n,), with -1 for the others. Without a -1 it is not looked at.
            sample_weight: How much each row counts, shape (n,).

        Raises:
            ValueError: the data or a parameter cannot be used, or all runs were degenerate from the start.
        """
        self._validate_params()
        X = self._table(X, reset=True, least=2)
        weight = self._weights(sample_weight, X)
        n = len(X) if weight is None else int(np.count_nonzero(weight))
        if n < self.n_components:
            found = f"n_components = {self.n_components}, n_samples = {n}"
            raise ValueError(f"Expected n_samples >= n_components but got {found}")
        model, known, rng = self._model(), known_labels(y, len(X), self.n_components), self._generator()
        going_on = self.warm_start and "converged_" in vars(self)
        best, why = None, None
        for number in range(1 if going_on else self.n_init):
            start = self._at().params if going_on else self._start(model, X, weight, known, rng)
            say = spoken(int(self.verbose), self.verbose_interval, number)
            options: dict[str, Any] = {"stop": settled(self.tol), "max_steps": self.max_iter, "callback": say}
            try:
                fit = attempt(model, X, weights=weight, allowed=known, start=start, **options)
            except Degenerate as error:
                why = why or error
                continue
            best = fit if best is None or _rank(fit) > _rank(best) else best
        if best is None:
            raise ValueError(f"{_COLLAPSED} {why}") from why
        given = going_on or all(each is not None for each in (self.weights_init, self.means_init, self.precisions_init))
        if best.status.ending is Ending.DEGENERATE and len(best.history) == 1 and not given:
            raise ValueError(f"{_COLLAPSED} {best.status}")
        if self.max_iter > 0:
            warn_unless_converged(best, _NOT_CONVERGED)
        self._keep(best, X.dtype)
        return self

    def _model(self) -> Any:
        given = self.covariance_type
        structure = STRUCTURES[given] if isinstance(given, str) else given
        prior: Any = self.reg_covar
        if prior is None:
            prior = lem.Floor()
        elif not isinstance(prior, CovariancePrior):
            prior = AbsoluteFloor(float(prior)) if prior > 0 else None
        held: dict[str, Any] = self.fixed or {}
        if not held.keys() <= {"weights", "means", "covariances"}:
            raise ValueError(f"fixed names {sorted(held)}: what can be held are 'weights', 'means' and 'covariances'.")
        return lem.GaussianMixture(self.n_components, structure, prior=prior, **held)

    @own_arithmetic
    def _start(self, model: Any, x: Array, weight: Any, known: Any, rng: np.random.RandomState) -> MixtureParams:
        """The parameters of one start: what is given, and the rest from responsibilities."""
        k, d, structure = self.n_components, x.shape[1], model.structure
        weights = weights_given(self.weights_init, k)
        means = means_given(self.means_init, k, d)
        precisions = precisions_given(self.precisions_init, k, d, self.covariance_type, structure)
        covariances = None if precisions is None else covariances_of(precisions, structure)
        if weights is None or means is None or covariances is None:
            y = scaled(x, weight)
            if means is None:
                shares = responsibilities(self.init_params, y, weight, k, rng, known)
            else:
                both = scaled(np.vstack([x, means]), np.append(np.ones(len(x)), np.zeros(k)))
                shares = covering(np.eye(k)[nearest(both[: len(x)], both[len(x) :])], weight)
            made = model.first(statistics_of(model.clusters(), model.chunks(x, weight, known), shares))
            weights = made.weights if weights is None else weights
            means = made.components.means if means is None else means
            covariances = made.components.covariances if covariances is None else covariances
        return MixtureParams(weights, lem.Gaussian(structure).params(means, covariances))

    def _keep(self, fit: Fit[Any], dtype: Any) -> None:
        """The attributes of a fit, in the type of the data."""
        names = vars(self).get("feature_names_in_")
        self.fit_ = fit if names is None else evolve(fit, columns=tuple(names))
        normal = fit.params.components
        precisions, roots = roots_of(normal)
        learnt = {
            "weights_": fit.params.weights,
            "means_": normal.means,
            "covariances_": normal.covariances,
            "precisions_": precisions,
            "precisions_cholesky_": roots,
        }
        self._learnt = {name: np.array(value, dtype=dtype) for name, value in learnt.items()}
        for name, value in self._learnt.items():
            setattr(self, name, value)
        per_row = fit.history.bound / fit.observations
        self.converged_, self.n_iter_ = fit.converged, len(fit.history) - 1
        self.lower_bound_, self.lower_bounds_ = float(per_row[-1]), per_row[1:].tolist()

    def _at(self) -> Answers[Any]:
        learnt = vars(self).get("_learnt", {})
        if learnt and all(getattr(self, name) is value for name, value in learnt.items()):
            return self._fitted()
        check_is_fitted(self)
        model = self._model()
        structure, covariances = model.structure, getattr(self, "covariances_", None)
        same = covariances is None or covariances is learnt.get("covariances_")
        if same and (roots := getattr(self, "precisions_cholesky_", None)) is not learnt.get("precisions_cholesky_"):
            covariances = covariances_of(precisions_of(np.asarray(roots, float), structure), structure)
        bare = lem.GaussianMixture(self.n_components, structure, prior=None)
        weights = weights_given(self.weights_, self.n_components)
        return At(bare, bare.params(weights, np.asarray(self.means_, float), np.asarray(covariances, float)))


def _rank(fit: Fit[Any]) -> tuple[bool, bool, float]:
    sound = fit.status.ending not in (Ending.DEGENERATE, Ending.OBJECTIVE_FELL)
    return sound, all(event.clean for event in fit.events), fit.objective
