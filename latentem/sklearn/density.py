"""Estimators of a density: what can be asked of a fitted one about rows."""

from __future__ import annotations

import abc
from typing import Any, Self, final

import numpy as np
from attrs import frozen
from sklearn.base import DensityMixin

from latentem.answers import Answers
from latentem.arrays import Array, Labels
from latentem.sklearn.base import Estimator


@final
@frozen
class At(Answers[Any]):
    """A model at parameters that may be given by hand."""

    model: Any
    params: Any
    columns: tuple[str, ...] | None = None
    categories: Any = None


class Density(DensityMixin, Estimator):
    """An estimator that says how probable rows are, and from which component they come.

    Answers are those of the attributes as they are: where some were set by hand, of these.
    """

    @abc.abstractmethod
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to rows."""

    def _at(self) -> Answers[Any]:
        """The model at its parameters.

        Raises:
            NotFittedError: there are none yet.
        """
        return self._fitted()

    def _ask(self, X: Any, what: str) -> Any:
        at = self._at()
        X = self._table(X, reset=False)
        return X, getattr(at, what)(X)

    def predict(self, X: Any) -> Labels:
        """The most probable component of each row, shape (n,)."""
        labels: Labels = self._ask(X, "predict")[1]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """The probability of each component for each row, shape (n, k)."""
        X, answer = self._ask(X, "predict_proba")
        return np.asarray(answer, dtype=X.dtype)

    def score_samples(self, X: Any) -> Array:
        """The log density of each row in nats, shape (n,)."""
        X, answer = self._ask(X, "score_samples")
        return np.asarray(answer, dtype=X.dtype)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean log density in nats a row; `y` is not looked at."""
        return float(np.mean(self._ask(X, "score_samples")[1]))

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Labels:
        """Fit, and the most probable component of each row, shape (n,)."""
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    def sample(self, n_samples: int = 1) -> tuple[Array, Labels]:
        """Draw rows and their components, shapes (n_samples, d) and (n_samples,), in random order.

        Raises:
            ValueError: fewer than one are asked for.
        """
        at = self._at()
        if n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        x, labels = at.sample(n_samples, self._generator())
        return x, labels

    def _n_parameters(self) -> int:
        """Free numbers in the parameters that were estimated."""
        return self._fitted().n_parameters

    def bic(self, X: Any) -> float:
        """Schwarz's criterion for these rows, which may be new: lower is better."""
        X, scores = self._ask(X, "score_samples")
        return float(-2 * scores.sum() + self._n_parameters() * np.log(len(X)))

    def aic(self, X: Any) -> float:
        """Akaike's criterion for these rows, which may be new: lower is better."""
        return float(-2 * self._ask(X, "score_samples")[1].sum() + 2 * self._n_parameters())
