"""What is asked of a fit beyond its figures: standard errors, clusters of components, comparisons, diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentem.answers import Answers, P
from latentem.core import Engine, Event, Expectation, log_likelihood
from latentem.engine.blas import one_thread
from latentem.judging import Comparison, Diagnostics, Merged, comparable, mergeable
from latentem.numerics.arithmetic import own_arithmetic
from latentem.tables import admitted

if TYPE_CHECKING:
    from latentem.uncertainty import Uncertainty


class Judged(Answers[P]):
    """A fitted model that can be judged: each answer takes the data again, which a fit does not keep."""

    __slots__ = ()

    expectation: Expectation[Any]
    events: tuple[Event, ...]

    @own_arithmetic
    def uncertainty(
        self,
        data: Any,
        method: str = "information",
        *,
        level: float = 0.95,
        replications: int | None = None,
        weights: Any = None,
        allowed: Any = None,
        engine: Engine | None = None,
        rng: Any = 0,
    ) -> Uncertainty:
        """Standard errors, intervals and the covariance of all free numbers in the parameters.

        Args:
            data: What was fitted.
            method: "information", the curvature of the log likelihood; or the same fit to other data: "weighted" (rows
                that weigh as a Dirichlet has it), "nonparametric" (units drawn with replacement), "parametric" (units
                drawn from the fit), or "jackknife" (each unit left out in turn).
            level: The probability of the intervals.
            replications: How many other data there are, at least 2; None: 1000. The other two methods have none.
            weights: As for `fit`.
            allowed: As for `fit`.
            engine: As for `fit`; `Processes()` where replications are short.
            rng: As for `fit`; replication i depends on it and on i alone.

        Raises:
            TypeError, ValueError: an option or the data cannot be used, the data are others than those of the fit, or
                the method is not for this model or this fit; what is told at once has cost one pass at most.
            Degenerate: fewer than two replications can be used.
        """
        from latentem.uncertainty.methods import uncertainty_of  # a room of its own, which a fit does without
        from latentem.uncertainty.subject import Subject
        from latentem.uncertainty.uncertainty import checked

        level = checked(level, 0.95)
        if engine is not None and not isinstance(engine, Engine):
            raise TypeError(f"engine was given as {engine!r}: give an engine, such as Threads(2), or None")
        given = admitted(self.model, data, weights, allowed)
        chunks = given.model.chunks(given.data, given.weights, given.allowed)
        subject = Subject(self.model, self.params, self.expectation, self.events, chunks, engine, level)
        with one_thread():
            return uncertainty_of(subject, method, replications, rng)

    @own_arithmetic
    def merged(self, n: int, data: Any, *, weights: Any = None) -> Merged:
        """Clusters made of several components each, n of them (Baudry et al., 2010); the density stays as it is.

        The value labels rows, and has the entropy of the labels at each merge down to one cluster, from which an elbow
        may say how many there are. Responsibilities of all rows are in memory meanwhile.

        Args:
            n: How many clusters; noise is none of them, and stays.
            data: As for `fit`, best what was fitted.
            weights: As for `fit`.

        Raises:
            ValueError: n is no number of clusters from 1 to that of the components.
            Unavailable: labels are certain, or there are none.
        """
        mergeable(self, n)
        return Merged.of(self, n, self.predict_proba(data), self._weight(data, weights))

    @own_arithmetic
    def compare(self, other: Judged[Any], data: Any, *, weights: Any = None) -> Comparison:
        """This fit and another beside each other: likelihood ratio, agreement of labels, and rows whose label differs.

        Args:
            other: The other.
            data: As for `fit`, best what both were fitted to.
            weights: As for `fit`.

        Raises:
            TypeError: the other is no fit.
            ValueError: the data are not for both.
            Unavailable: one has no labels, or certain ones.
        """
        if not isinstance(other, Judged):
            raise TypeError(f"other was given as {other!r}: give a Fit")
        both: tuple[Judged[Any], Judged[Any]] = self, other
        for fit in both:
            comparable(fit)
        one, two = (log_likelihood(fit.model, fit.params, fit._weighted(data, weights)) for fit in both)
        labels = self.labels(data), other.labels(data)
        return Comparison.of(both, (one, two), labels, (self._weight(data, weights), other._weight(data, weights)))

    @own_arithmetic
    def diagnostics(self, data: Any, *, weights: Any = None, rng: Any = 0) -> Diagnostics:
        """How sure the labels are, on how many rows each component rests, and how much components overlap.

        Args:
            data: As for `fit`, best what was fitted.
            weights: As for `fit`.
            rng: For draws, from which overlaps of what is no Gaussian are computed.

        Raises:
            Unavailable: there are no labels, or the model does not say what its components look like.
        """
        return Diagnostics.of(self, self.predict_proba(data), self._weight(data, weights), rng)
