"""The common part of all estimators: tables and weights in scikit-learn's words, and how a fit is run."""

from __future__ import annotations

import abc
import warnings
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_random_state, validate_data

import latentem as lem
from latentem.arrays import Array
from latentem.core import Degenerate
from latentem.fitted import Fit

FLOATS = (np.float64, np.float32)
"""Types that a table keeps; all others become the first. Whatever they are, a fit computes in float64."""


class Estimator(BaseEstimator, abc.ABC):
    """An estimator of scikit-learn's kind whose `fit` runs a model of this library.

    Attributes:
        fit_: The `Fit`, with its books, events and standard of convergence.
        n_features_in_: Number of columns of the table that was fitted.
        feature_names_in_: Their names, where it had names.

    Class attribute that an estimator may say:
        takes_missing: Whether NaN stands for a missing value.
    """

    takes_missing: ClassVar[bool] = False

    fit_: Fit[Any]
    n_features_in_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.takes_missing
        return tags

    def _table(self, X: Any, *, reset: bool, least: int = 1, **options: Any) -> Any:
        """A table of real numbers, shape (n, d), checked in scikit-learn's words; float32 is kept.

        Args:
            X: What was given.
            reset: Whether these are the columns to remember; else they must be those remembered.
            least: How many rows there must be.
            options: More of `validate_data`, such as `accept_sparse`.

        Raises:
            ValueError, TypeError: it is no such table.
        """
        finite = "allow-nan" if self.takes_missing else True
        return validate_data(
            self, X, reset=reset, dtype=list(FLOATS), ensure_all_finite=finite, ensure_min_samples=least, **options
        )

    def _weights(self, sample_weight: Any, X: Any) -> Array | None:
        """How much each row counts, shape (n,), checked; None where all count once."""
        if sample_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if (weight < 0).any():
            raise ValueError(f"Negative values in data passed to `sample_weight`: the least is {weight.min():g}.")
        if not weight.any():
            raise ValueError("Sample weights must hold a positive number: all of them are zero.")
        return np.asarray(weight)

    def _generator(self) -> np.random.RandomState:
        """The source of random numbers that `random_state` says: an int, a RandomState, or None for another each time.

        A RandomState is advanced, so that a second fit differs.
        """
        return check_random_state(self.random_state)

    def _fitted(self) -> Fit[Any]:
        """The fit.

        Raises:
            NotFittedError: there is none yet.
        """
        check_is_fitted(self)
        return self.fit_


def attempt(model: Any, data: Any, **options: Any) -> Fit[Any]:
    """`lem.fit`, of which the caller says whether it converged.

    Raises:
        Degenerate: the start was degenerate.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lem.ConvergenceWarning)
        return lem.fit(model, data, **options)


def run(model: Any, data: Any, **options: Any) -> Fit[Any]:
    """`attempt` with what is degenerate as a ValueError, as scikit-learn has it."""
    try:
        return attempt(model, data, **options)
    except Degenerate as error:
        raise ValueError(str(error)) from error


def warn_unless_converged(fit: Fit[Any], advice: str) -> None:
    """Say by scikit-learn's ConvergenceWarning that a run ended before it converged, how, and what to do."""
    if not fit.converged:
        warnings.warn(f"{advice} The run ended so: {fit.status}.", ConvergenceWarning, stacklevel=3)


def known_labels(y: Any, n: int, k: int) -> npt.NDArray[np.int64] | None:
    """Labels of some rows, shape (n,), with -1 for unknown; None where no -1 is among them.

    A y without -1 is what pipelines and searches hand to every step: like scikit-learn's own mixtures and clusterings,
    an estimator here does not look at it.

    Raises:
        ValueError: a label is no component's number, or there is not one for each row.
    """
    if y is None:
        return None
    labels = np.asarray(y)
    if labels.dtype.kind not in "if" or not (labels == -1).any():
        return None
    if labels.shape != (n,):
        raise ValueError(f"y has shape {labels.shape}: labels, with -1 for unknown, have shape ({n},).")
    whole = labels.astype(np.int64)
    if (whole != labels).any() or whole.min() < -1 or whole.max() >= k:
        raise ValueError(f"y holds labels other than -1 (unknown) and 0 to {k - 1}: they are numbers of components.")
    return whole
