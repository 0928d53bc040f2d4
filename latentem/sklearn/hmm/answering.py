"""What chains answer about sequences, at the parameters that their attributes hold."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted, check_random_state

import latentem as lem
from latentem.answers import joint
from latentem.arrays import Array, Labels
from latentem.core import Degenerate
from latentem.model.hmm import HiddenMarkovParams
from latentem.numerics.arithmetic import own_arithmetic
from latentem.posterior import ChainPosterior
from latentem.sklearn.base import Estimator
from latentem.sklearn.hmm.checks import distributions, lengths_of, whole


class Answering(Estimator):
    """A hidden Markov model whose parameters are in attributes, however they came there."""

    letters: ClassVar[dict[str, tuple[str, str]]] = {}
    """Of what is emitted: for each letter of `params` the attribute, and the block of the model."""
    acceleration: ClassVar[lem.run.Acceleration | None] = None
    """How steps leap ahead; None: plain steps, as hmmlearn counts them."""
    fewest: ClassVar[int] = 1
    """The fewest rows that can be fitted."""

    n_components: int
    startprob_prior: Any
    transmat_prior: Any
    algorithm: str
    random_state: Any
    n_iter: int
    tol: float
    verbose: bool
    params: str
    init_params: str
    implementation: str
    startprob_: Any
    transmat_: Any
    n_features: Any

    # What a chain of some kind says.

    @abc.abstractmethod
    def _family(self) -> lem.Family[Any, Any]:
        """What a state emits, with its prior."""

    @abc.abstractmethod
    def _emissions(self) -> Any:
        """The family's parameters, from the attributes."""

    def _refuse(self) -> None:
        """Refuse parameters that mean nothing."""
        whole("n_components", self.n_components, 1)
        whole("n_iter", self.n_iter, 0)
        if self.algorithm not in ("viterbi", "map"):
            raise ValueError(f"Unknown decoder {self.algorithm!r}: give 'viterbi' or 'map'")
        if self.implementation not in ("log", "scaling"):
            raise ValueError(f"implementation was given as {self.implementation!r}: give 'log' or 'scaling'")
        for name in ("params", "init_params"):
            if other := set(getattr(self, name)) - {"s", "t", *self.letters}:
                raise ValueError(f"{name} holds {sorted(other)}: its letters are {''.join(('s', 't', *self.letters))}")

    def _check(self) -> None:
        """Refuse attributes that are no parameters of this model."""
        self._refuse()
        k = self.n_components
        self.startprob_ = distributions("startprob_", self.startprob_, (k,))
        self.transmat_ = distributions("transmat_", self.transmat_, (k, k))

    def _params(self) -> HiddenMarkovParams:
        start, steps = np.asarray(self.startprob_, float), np.asarray(self.transmat_, float)
        total = steps.sum(axis=1, keepdims=True)
        return lem.HiddenMarkov(self._family(), self.n_components).params(
            start / start.sum(), steps / np.where(total > 0, total, 1.0), self._emissions()
        )

    def _needed(self) -> list[str]:
        """The attributes in which parameters are."""
        return ["startprob_", "transmat_", *(name for name, _ in self.letters.values())]

    def _blocks(self) -> dict[str, str]:
        emitted = {letter: block for letter, (_, block) in self.letters.items()}
        return {"s": "initial", "t": "transitions", **emitted}

    def _free(self, params: HiddenMarkovParams, letters: set[str]) -> int:
        """How many free numbers the parameters of some letters have."""
        wanted = {block for letter, block in self._blocks().items() if letter in letters}
        blocks = lem.HiddenMarkov(self._family(), self.n_components).blocks()
        return sum(block.size(params) for block in blocks if block.name in wanted or block.name.split(".")[0] in wanted)

    def _sequences(self, X: Any, lengths: Any) -> tuple[lem.HiddenMarkov, HiddenMarkovParams, lem.Sequences]:
        check_is_fitted(self, self._needed())
        self._check()
        X = self._table(X, reset=False)
        lengths, _ = lengths_of(X, None, lengths)
        data = lem.Sequences(np.asarray(X, dtype=np.float64), lengths)
        return lem.HiddenMarkov(self._family(), self.n_components), self._params(), data

    @own_arithmetic
    def _posterior(self, X: Any, lengths: Any) -> tuple[float, ChainPosterior]:
        model, params, data = self._sequences(X, lengths)
        try:
            return float(model.log_evidence(params, data).sum()), model.posterior(params, data)
        except Degenerate as error:
            raise ValueError(str(error)) from error

    @own_arithmetic
    def score(self, X: Any, y: Any = None, *, lengths: Any = None) -> float:
        """The log probability of all sequences in nats, a total; y is as in `fit`, without known states."""
        if lengths is None and y is not None and np.shape(y) != (len(X),):
            lengths = y
        model, params, data = self._sequences(X, lengths)
        return float(model.log_evidence(params, data).sum())

    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, Array]:
        """The log probability of all sequences in nats, and the probabilities of the states of each row, (n, k)."""
        log_prob, posterior = self._posterior(X, lengths)
        return log_prob, np.array(posterior.marginals())

    def predict_proba(self, X: Any, lengths: Any = None) -> Array:
        """The probability of each state for each row, given its whole sequence, shape (n, k)."""
        return np.array(self._posterior(X, lengths)[1].marginals())

    def filter_proba(self, X: Any, lengths: Any = None) -> Array:
        """The probability of each state for each row, given its sequence up to that row alone, shape (n, k)."""
        return np.array(self._posterior(X, lengths)[1].filtered())

    def predict(self, X: Any, lengths: Any = None) -> Labels:
        """The state of each row, shape (n,), as `algorithm` finds it."""
        return self.decode(X, lengths)[1]

    def decode(self, X: Any, lengths: Any = None, algorithm: str | None = None) -> tuple[float, Labels]:
        """The states of each row, shape (n,), and log p(rows, these states) in nats, a total.

        Args:
            X: The rows.
            lengths: As in `fit`.
            algorithm: "viterbi", the most probable path, or "map", the most probable state of each row; None: that of
                the estimator.
        """
        algorithm = algorithm or self.algorithm
        if algorithm not in ("viterbi", "map"):
            raise ValueError(f"Unknown decoder {algorithm!r}: give 'viterbi' or 'map'")
        model, params, data = self._sequences(X, lengths)
        posterior = self._posterior(X, lengths)[1]
        states = posterior.labels() if algorithm == "viterbi" else posterior.marginals().argmax(axis=1)
        return float(own_arithmetic(joint)(model, params, [data], states).sum()), np.array(states)

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Any, Labels]:
        """One sequence and its states, shapes (n_samples, d) and (n_samples,).

        Args:
            n_samples: Its length.
            random_state: An int or RandomState; None: that of the estimator.
            currstate: The state of the first row; None draws it.
        """
        check_is_fitted(self, self._needed())
        self._check()
        params, rng = self._params(), check_random_state(self.random_state if random_state is None else random_state)
        if currstate is not None:
            start = np.eye(self.n_components)[currstate]
            params = HiddenMarkovParams(start, params.transitions, params.emissions)
        x, states = self._drawn().sample(params, n_samples, rng)
        return np.array(x), np.array(states)

    def _drawn(self) -> lem.HiddenMarkov:
        """The model to draw from."""
        return lem.HiddenMarkov(self._family(), self.n_components)

    def get_stationary_distribution(self) -> Array:
        """The distribution of states that a step leaves as it is, shape (k,); where there are several, one of them."""
        check_is_fitted(self, "transmat_")
        steps = distributions("transmat_", self.transmat_, 2 * (self.n_components,))
        rows = np.vstack([steps.T - np.eye(len(steps)), np.ones(len(steps))])
        found = np.linalg.lstsq(rows, np.append(np.zeros(len(steps)), 1.0), rcond=None)[0].clip(0)
        return np.asarray(found / found.sum())

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's criterion for these sequences, counting all parameters of the model: lower is better."""
        return -2 * self.score(X, lengths=lengths) + 2 * self._free(self._params(), set(self._blocks()))

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Schwarz's criterion for these sequences, counting all parameters of the model: lower is better."""
        free = self._free(self._params(), set(self._blocks()))
        return -2 * self.score(X, lengths=lengths) + free * float(np.log(len(X)))
