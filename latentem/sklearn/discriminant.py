"""Discriminant analysis as a classifier."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self, final

import numpy as np
import numpy.typing as npt
from attrs import evolve
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

import latentem as lem
from latentem.arrays import Array
from latentem.sklearn.base import FLOATS, Estimator, run, warn_unless_converged


@final
class Discriminant(ClassifierMixin, Estimator):
    """`lem.Discriminant` as a classifier: each class is a Gaussian, or a mixture of them.

    `GridSearchCV(Discriminant(), {"structure": list(lem.ALL_STRUCTURES.values())})` chooses a structure.

    Parameters:
        structure: Of the covariances, such as `lem.structure("VEV")`; or a `lem.Family`; None: `lem.Full()`.
        members: How many components each class has, or a tuple with one number a class in the order of `classes_`.
        priors: Shares of the classes in that order, shape (k,); None: those of the rows.
        stop: When a run ends, a stop rule such as `lem.gain_below(1e-6)`; None: `lem.remaining_below()`.
        max_iter: The most steps of a run.

    Attributes:
        classes_: The classes, sorted, shape (k,).
        converged_: Whether the run converged.
        n_iter_: Its steps.
        fit_: The `Fit`; its classes are numbers.
    """

    takes_missing: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "structure": [lem.Structure, lem.Family, None],
        "members": [Interval(Integral, 1, None, closed="left"), tuple],
        "priors": ["array-like", None],
        "stop": [callable, None],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
    }

    classes_: npt.NDArray[Any]

    def __init__(
        self,
        structure: Any = None,
        *,
        members: Any = 1,
        priors: Any = None,
        stop: Any = None,
        max_iter: int = 10_000,
    ) -> None:
        self.structure = structure
        self.members = members
        self.priors = priors
        self.stop = stop
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit a density to the rows of each class.

        Args:
            X: Rows, shape (n, d); NaN where a value is missing.
            y: Their classes, shape (n,).
            sample_weight: How much each row counts, shape (n,).

        Raises:
            ValueError: the data or a parameter cannot be used.
        """
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=list(FLOATS), ensure_all_finite="allow-nan", ensure_min_samples=2)
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        weight = self._weights(sample_weight, X)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y holds one class: a classifier is fitted to two classes, or more.")
        shares = None if self.priors is None else lem.Fixed(np.asarray(self.priors, dtype=np.float64))
        structure = lem.Full() if self.structure is None else self.structure
        model = lem.Discriminant(range(len(self.classes_)), structure, self.members, weights=shares)
        # With all classes known every random start is the same one.
        given = {"allowed": codes, "n_starts": 1, "stop": self.stop, "max_steps": self.max_iter}
        fit = run(model, X, weights=weight, **given)
        warn_unless_converged(fit, "The model did not converge.")
        names = vars(self).get("feature_names_in_")
        self.fit_ = fit if names is None else evolve(fit, columns=tuple(names))
        self.converged_, self.n_iter_ = fit.converged, len(fit.history) - 1
        return self

    def predict(self, X: Any) -> Any:
        """The most probable class of each row, shape (n,)."""
        fit = self._fitted()
        return self.classes_[fit.labels(self._table(X, reset=False))]

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class for each row, shape (n, k), in the order of `classes_`."""
        fit = self._fitted()
        return fit.predict_proba(self._table(X, reset=False))

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`, minus infinity where that is zero."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))
