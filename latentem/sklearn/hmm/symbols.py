"""Chains whose states emit symbols, or counts of them."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from sklearn.utils import check_random_state

import latentem as lem
from latentem.arrays import Array
from latentem.family import ExponentialStatistics
from latentem.sklearn.hmm.base import Chain
from latentem.sklearn.hmm.checks import distributions, pseudo_counts

_EMITTED = {"e": ("emissionprob_", "emissions")}


class Symbols(Chain):
    """A chain whose emissions are probabilities of symbols.

    Attributes:
        emissionprob_: Probabilities of the symbols, shape (n_components, n_features).
    """

    letters: ClassVar[dict[str, tuple[str, str]]] = _EMITTED

    emissionprob_: Any

    def _begin(self, X: Array) -> None:
        if self._needs_init("e", "emissionprob_"):
            table = check_random_state(self.random_state).rand(self.n_components, self.n_features)
            self.emissionprob_ = table / table.sum(axis=1, keepdims=True)

    def _check(self) -> None:
        super()._check()
        table = np.atleast_2d(self.emissionprob_)
        if getattr(self, "n_features", None) is None:
            self.n_features = table.shape[1]
        self.emissionprob_ = distributions("emissionprob_", table, (self.n_components, self.n_features))

    def _probabilities(self) -> Array:
        table = np.asarray(self.emissionprob_, dtype=np.float64)
        return np.asarray(table / table.sum(axis=1, keepdims=True))


@final
class CategoricalHMM(Symbols):
    """A hidden Markov model over symbols: one column of whole numbers, 0 to n_features - 1.

    Args:
        n_components: Number of states.
        startprob_prior: Parameters of a Dirichlet prior, at least 1; where a probability is zero at the start there
            is none.
        transmat_prior: The same for each row of `transmat_`.
        emissionprob_prior: The same for each row of `emissionprob_`.
        n_features: Number of symbols; None: the largest in the data, plus one, which `fit` then writes here, as
            hmmlearn does.
        algorithm: "viterbi" or "map".
        random_state: An int, a RandomState, or None.
        n_iter: The most steps, 10.
        tol: Converged when a step gains less, in nats in all.
        verbose: Whether each step is printed.
        params: Which parameters are learnt: letters of "ste".
        init_params: Which are set at the start.
        implementation: As in `GaussianHMM`.
    """

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        *,
        emissionprob_prior: Any = 1.0,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.emissionprob_prior = emissionprob_prior
        self.n_features = n_features
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation

    def _table(self, X: Any, *, reset: bool, least: int = 1, **options: Any) -> Any:
        raw = np.asarray(X)
        table = super()._table(X, reset=reset, least=least, **options)
        if raw.dtype.kind not in "iub":
            raise ValueError("Symbols should be integers")
        if table.shape[1] != 1:
            raise ValueError(f"X has {table.shape[1]} columns: symbols are one column, shape (n, 1)")
        return table

    def _check_and_set_n_features(self, X: Array) -> None:
        if not (np.floor(X) == X).all() or (X.dtype.kind == "f" and not self._seen(X)):
            raise ValueError("Symbols should be integers")
        if X.min() < 0:
            raise ValueError("Symbols should be nonnegative")
        if self.n_features is None:
            self.n_features = int(X.max()) + 1
        elif X.max() >= self.n_features:
            raise ValueError(
                f"Largest symbol is {int(X.max())} but the model only emits symbols up to {self.n_features - 1}"
            )

    def _seen(self, X: Array) -> bool:
        """Whether these floats came from `_table`, which has seen that they were whole numbers."""
        return vars(self).get("n_features_in_") == 1

    def _family(self) -> lem.Categorical:
        return lem.Categorical(int(np.shape(self.emissionprob_)[1]))

    def _pseudo(self) -> ExponentialStatistics | None:
        table = self._probabilities()
        counts = pseudo_counts("emissionprob_prior", self.emissionprob_prior, table.shape, table > 0)
        return ExponentialStatistics(counts.sum(axis=1), counts) if counts.any() else None

    def _emissions(self) -> Any:
        return self._family().params(self._probabilities()[:, None])

    def _learn(self, emissions: Any) -> None:
        self.emissionprob_ = np.array(emissions[:, 0])

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> Any:
        """One sequence of whole numbers, shape (n_samples, 1), and its states, shape (n_samples,)."""
        x, states = super().sample(n_samples, random_state, currstate)
        return x.astype(np.int64), states


@final
class MultinomialHMM(Symbols):
    """A hidden Markov model over rows of counts, each of which has a number of trials.

    Args:
        n_components: Number of states.
        n_trials: What rows add up to: a number, or one a row; None: the sums of the rows, which `fit` then writes
            here, as hmmlearn does.
        startprob_prior: As in `CategoricalHMM`.
        transmat_prior: As in `CategoricalHMM`.
        algorithm: "viterbi" or "map".
        random_state: An int, a RandomState, or None.
        n_iter: The most steps, 10.
        tol: Converged when a step gains less, in nats in all.
        verbose: Whether each step is printed.
        params: Which parameters are learnt: letters of "ste".
        init_params: Which are set at the start.
        implementation: As in `GaussianHMM`.
    """

    def __init__(
        self,
        n_components: int = 1,
        n_trials: Any = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        self.n_components = n_components
        self.n_trials = n_trials
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation

    def _check_and_set_n_features(self, X: Array) -> None:
        super()._check_and_set_n_features(X)
        if (np.floor(X) != X).any() or X.min() < 0:
            raise ValueError("Symbol counts should be nonnegative integers")
        if self.n_trials is None:
            self.n_trials = X.sum(axis=1).astype(np.int64)
        elif np.ndim(self.n_trials) and np.shape(self.n_trials) != (len(X),):
            raise ValueError(f"n_trials has shape {np.shape(self.n_trials)}: give a number, or one for each row")
        elif not (X.sum(axis=1) == self.n_trials).all():
            raise ValueError("Total count for each sample should add up to the number of trials")

    def _check(self) -> None:
        super()._check()
        if self.n_trials is None:
            raise ValueError("n_trials must be set")

    def _family(self) -> lem.Multinomial:
        return lem.Multinomial()

    def _emissions(self) -> Any:
        return self._family().params(self._probabilities())

    def _learn(self, emissions: Any) -> None:
        self.emissionprob_ = np.array(emissions)

    def _drawn(self) -> lem.HiddenMarkov:
        trials = np.unique(self.n_trials)
        if len(trials) != 1:
            raise ValueError("For sampling, a single n_trials must be given")
        return lem.HiddenMarkov(lem.Multinomial(int(trials[0])), self.n_components)
