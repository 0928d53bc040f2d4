"""A chain over any family of this library, as an estimator."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from sklearn.utils.validation import check_random_state

import latentem as lem
from latentem.arrays import Array
from latentem.family.base import brief
from latentem.sklearn.hmm.base import Chain
from latentem.sklearn.starts import responsibilities, scaled
from latentem.start.seeding import statistics_of


@final
class HiddenMarkov(Chain):
    """A hidden Markov model whose states emit from any family: `HiddenMarkov(3, family=lem.Student())`.

    It has the methods of `latentem.sklearn.hmm`, and the attributes `startprob_` and `transmat_`. It starts from the
    clusters of K-means among the rows, in the family's own coordinates. `n_iter` and `tol` are such that it
    converges, and slow steps are accelerated.

    Args:
        n_components: Number of states.
        family: What a state emits; None: `lem.Gaussian()`.
        startprob_prior: Parameters of a Dirichlet prior, at least 1; where a probability is zero at the start there
            is none.
        transmat_prior: The same for each row of `transmat_`.
        algorithm: "viterbi" or "map".
        random_state: An int, a RandomState, or None.
        n_iter: The most steps, 1000.
        tol: Converged when a step gains less, in nats in all; 1e-6.
        verbose: Whether each step is printed.
        params: Which parameters are learnt: letters of "ste", for the first state, the transitions, the emissions.
        init_params: Which are set at the start.
        implementation: As in `hmm.GaussianHMM`.

    Attributes:
        emissions_: The parameters of the family, as its `params` makes them.
    """

    letters: ClassVar[dict[str, tuple[str, str]]] = {"e": ("emissions_", "emissions")}

    acceleration: ClassVar[lem.run.Acceleration | None] = lem.Anderson()
    fewest: ClassVar[int] = 2

    emissions_: Any

    def __init__(
        self,
        n_components: int = 1,
        family: lem.Family[Any, Any] | None = None,
        *,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 1000,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        self.n_components = n_components
        self.family = family
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

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]  # it is the family that says it
        """Whether NaN stands for a missing value."""
        return self.family is None or self.family.takes_missing

    def _refuse(self) -> None:
        super()._refuse()
        if self.family is not None and not isinstance(self.family, lem.Family):
            raise TypeError(f"family was given as {brief(self.family)}: give a Family, such as lem.Poisson(), or None")

    def _check_and_set_n_features(self, X: Array) -> None:
        """Nothing is kept: a fit anew may have other columns."""

    def _begin(self, X: Array) -> None:
        if self._needs_init("e", "emissions_"):
            x = np.asarray(X, dtype=np.float64)
            if len(x) < self.n_components:
                raise ValueError(f"n_samples={len(x)} should be >= n_components={self.n_components}.")
            seen = self._family().coordinates(x)
            seen = scaled((x if seen is None else seen).reshape(len(x), -1), None)
            rng = check_random_state(self.random_state)
            shares = responsibilities("kmeans", seen, None, self.n_components, rng)
            model = lem.HiddenMarkov(self._family(), self.n_components)
            data = lem.Sequences(x, np.array([len(x)]))
            self.emissions_ = model.first(statistics_of(model.clusters(), model.chunks(data), shares)).emissions

    def _blocks(self) -> dict[str, str]:
        return {"s": "initial", "t": "transitions", "e": "emissions"}

    def _held(self) -> set[str]:
        names = [block.name for block in lem.HiddenMarkov(self._family(), self.n_components).blocks()]
        emitted = {name for name in names if name.split(".")[0] == "emissions"}
        left = super()._held()
        return left - {"emissions"} | (emitted if "emissions" in left else set())

    def _family(self) -> lem.Family[Any, Any]:
        return lem.Gaussian() if self.family is None else self.family

    def _emissions(self) -> Any:
        return self.emissions_

    def _learn(self, emissions: Any) -> None:
        self.emissions_ = emissions
