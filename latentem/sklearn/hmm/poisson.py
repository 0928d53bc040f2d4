"""Chains whose states emit counts."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from sklearn.utils import check_random_state

import latentem as lem
from latentem.arrays import Array
from latentem.family import ExponentialStatistics
from latentem.sklearn.hmm.base import Chain
from latentem.sklearn.hmm.checks import spread


@final
class PoissonHMM(Chain):
    """A hidden Markov model over counts: independent Poisson columns.

    Args:
        n_components: Number of states.
        startprob_prior: As in `CategoricalHMM`.
        transmat_prior: As in `CategoricalHMM`.
        lambdas_prior: Counts added to those of each state, a number or (n_components, d).
        lambdas_weight: Rows added to those of each state, a number or (n_components,).
        algorithm: "viterbi" or "map".
        random_state: An int, a RandomState, or None.
        n_iter: The most steps, 10.
        tol: Converged when a step gains less, in nats in all.
        verbose: Whether each step is printed.
        params: Which parameters are learnt: letters of "stl".
        init_params: Which are set at the start.
        implementation: As in `GaussianHMM`.

    Attributes:
        lambdas_: Rates, shape (n_components, d).
    """

    letters: ClassVar[dict[str, tuple[str, str]]] = {"l": ("lambdas_", "emissions")}

    lambdas_: Any

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        lambdas_prior: Any = 0.0,
        lambdas_weight: Any = 0.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stl",
        init_params: str = "stl",
        implementation: str = "log",
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.lambdas_prior = lambdas_prior
        self.lambdas_weight = lambdas_weight
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation

    def _begin(self, X: Array) -> None:
        if self._needs_init("l", "lambdas_"):
            mean, variance = X.mean(), X.var()
            if not mean > 0 or not variance > 0:
                raise ValueError(f"X has mean {mean:g} and variance {variance:g}: both must be positive to start from")
            size = (self.n_components, self.n_features)
            rng = check_random_state(self.random_state)
            self.lambdas_ = rng.gamma(shape=mean**2 / variance, scale=variance / mean, size=size)

    def _check(self) -> None:
        super()._check()
        self.lambdas_ = np.atleast_2d(self.lambdas_)
        if "n_features" not in vars(self):
            self.n_features = self.lambdas_.shape[1]
        if self.lambdas_.shape != (self.n_components, self.n_features):
            raise ValueError("lambdas_ must have shape (n_components, n_features)")

    def _family(self) -> lem.Poisson:
        return lem.Poisson()

    def _pseudo(self) -> ExponentialStatistics | None:
        total = spread("lambdas_prior", self.lambdas_prior, np.shape(self.lambdas_))
        count = spread("lambdas_weight", self.lambdas_weight, (self.n_components,))
        if (total < 0).any() or (count < 0).any():
            raise ValueError("lambdas_prior and lambdas_weight must be at least 0")
        return ExponentialStatistics(count, total) if total.any() or count.any() else None

    def _emissions(self) -> Any:
        return self._family().params(np.asarray(self.lambdas_, dtype=np.float64))

    def _learn(self, emissions: Any) -> None:
        self.lambdas_ = np.array(emissions)

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> Any:
        """One sequence of whole numbers, shape (n_samples, d), and its states, shape (n_samples,)."""
        x, states = super().sample(n_samples, random_state, currstate)
        return x.astype(np.int64), states
