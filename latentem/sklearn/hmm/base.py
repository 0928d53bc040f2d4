"""The common part of chains: where one begins, and how it is fitted."""

from __future__ import annotations

import abc
import logging
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_random_state

import latentem as lem
from latentem.arrays import Array
from latentem.fitted import Fit
from latentem.model.hmm import HiddenMarkovStatistics
from latentem.sklearn.base import known_labels, run, warn_unless_converged
from latentem.sklearn.hmm.answering import Answering
from latentem.sklearn.hmm.checks import lengths_of, pseudo_counts
from latentem.sklearn.hmm.monitor import ConvergenceMonitor, Own, watched

_log = logging.getLogger(__name__)


class Chain(Answering):
    """A hidden Markov model over sequences that are given one below the other, with their lengths.

    Attributes are where parameters are kept: they may be set by hand, and answers are those of what they hold. How to
    go about `params`, `init_params`, priors, `tol` and `n_iter` stands in docs/hmmlearn.md.

    Attributes:
        startprob_: Probabilities of the first state, shape (n_components,).
        transmat_: Probabilities of the next state, shape (n_components, n_components), a row for each present one.
        monitor_: The log probabilities of the last run.
        fit_: The `Fit` of this library.
    """

    @abc.abstractmethod
    def _learn(self, emissions: Any) -> None:
        """The attributes, from the family's parameters."""

    @abc.abstractmethod
    def _begin(self, X: Array) -> None:
        """Set those attributes of the emissions that are to be, to start from."""

    def _pseudo(self) -> Any:
        """Statistics of imagined rows, which are the prior of the emissions; None if there is none."""
        return None

    # A fit.

    @property
    def monitor_(self) -> ConvergenceMonitor:
        made: ConvergenceMonitor | None = vars(self).get("_monitor")
        if made is None:
            made = Own(self.tol, self.n_iter, self.verbose)
            self.monitor_ = made
        return made

    @monitor_.setter
    def monitor_(self, monitor: ConvergenceMonitor) -> None:
        self._monitor = monitor

    def fit(self, X: Any, y: Any = None, *, lengths: Any = None, sequence_weight: Any = None) -> Self:
        """Fit the model, from where `init_params` says.

        Args:
            X: The rows of all sequences, shape (n, d).
            y: Known states of some rows, shape (n,), with -1 for the others; without a -1 it is not looked at. A y
                with another number of entries is taken for `lengths`, which hmmlearn has in its place.
            lengths: How many rows each sequence has; they sum to n. None: all rows are one sequence.
            sequence_weight: How much each sequence counts, shape (s,): 2 is two such sequences, 0 is absence. None:
                each counts once. The rows of a sequence have no weights of their own.

        Raises:
            ValueError: the data, a weight, a parameter or an attribute cannot be used, or no path explains the data.
        """
        self._refuse()
        X = self._table(X, reset=True, least=self.fewest)
        lengths, y = lengths_of(X, y, lengths)
        self._init(X, lengths)
        self._check()
        known = known_labels(y, len(X), self.n_components)
        allowed = None if known is None else (known[:, None] == -1) | (known[:, None] == np.arange(self.n_components))
        data = lem.Sequences(np.asarray(X, dtype=np.float64), lengths, sequence_weight, allowed)
        model, start = self._model(data.x), self._params()
        if self.n_iter == 0:
            self.fit_ = Fit.of(model, start, data)
            return self
        monitor = self.monitor_
        if isinstance(monitor, Own):  # as the parameters are now; another's is left as it was given
            monitor.tol, monitor.n_iter, monitor.verbose = self.tol, self.n_iter, self.verbose
        monitor._reset()
        options: dict[str, Any] = {"stop": watched(monitor), "max_steps": self.n_iter, "accelerate": self.acceleration}
        self.fit_ = run(model, data, start=start, **options)
        if "s" in self.params:  # what is held is left as it was given, to the bit
            self.startprob_ = np.array(self.fit_.params.initial)
        if "t" in self.params:
            self.transmat_ = np.array(self.fit_.params.transitions)
        if set(self.letters) & set(self.params):
            self._learn(self.fit_.params.emissions)
        if self.n_iter > 1:
            warn_unless_converged(self.fit_, "Raise n_iter, or start elsewhere.")
        return self

    def _init(self, X: Array, lengths: Any = None) -> None:
        """Where a fit starts: the attributes that `init_params` names, or that are not set."""
        self._check_and_set_n_features(X)
        rng = check_random_state(self.random_state)
        even = np.full(self.n_components, 1 / self.n_components)
        if self._needs_init("s", "startprob_"):
            self.startprob_ = rng.dirichlet(even)
        if self._needs_init("t", "transmat_"):
            self.transmat_ = rng.dirichlet(even, size=self.n_components)
        self._begin(X)
        free = self._free(self._params(), set(self.params))
        if X.size < free:
            _log.warning("%d free parameters and %d values in the data make a degenerate solution.", free, X.size)

    def _needs_init(self, letter: str, name: str) -> bool:
        there = getattr(self, name, None) is not None
        if letter not in self.init_params:
            return not there
        if there:
            _log.warning("%s is set, and will be overwritten, for init_params contains %r.", name, letter)
        return True

    def _check_and_set_n_features(self, X: Array) -> None:
        if "n_features" not in vars(self):
            self.n_features = X.shape[1]
        if self.n_features != X.shape[1]:
            raise ValueError(f"Unexpected number of dimensions, got {X.shape[1]} but expected {self.n_features}")

    def _model(self, x: Array) -> Any:
        """The model with its priors, and with what `params` leaves out held."""
        model: Any = lem.HiddenMarkov(self._family(), self.n_components)
        k, start, steps = self.n_components, np.asarray(self.startprob_), np.asarray(self.transmat_)
        initial = pseudo_counts("startprob_prior", self.startprob_prior, (k,), start > 0)
        transitions = pseudo_counts("transmat_prior", self.transmat_prior, (k, k), steps > 0)
        emissions = self._pseudo()
        if initial.any() or transitions.any() or emissions is not None:
            if emissions is None:
                emissions = model.family.statistics(x[:1], np.zeros((1, k)))
            model = lem.WithPrior(model, HiddenMarkovStatistics(initial, transitions, emissions))
        held = self._held()
        return lem.Frozen(model, held) if held else model

    def _held(self) -> set[str]:
        """Names of the blocks that are not learnt."""
        return {block for letter, block in self._blocks().items() if letter not in self.params}
