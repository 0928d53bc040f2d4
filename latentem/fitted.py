"""A fitted model, and what can be asked of it."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, final

import numpy as np
from attrs import field, frozen

from latentem import summary
from latentem.answers import each, joint, marginals, paths
from latentem.arrays import Array, Labels
from latentem.core import (
    Event,
    Expectation,
    InOrder,
    LatentModel,
    Unavailable,
    evidence_of,
    log_likelihood,
    observations,
    tree_sum,
    unweighted,
)
from latentem.data import Source, columns_of, found_source
from latentem.findings import contradiction, log_evidence
from latentem.numerics.arithmetic import own_arithmetic
from latentem.numerics.rng import generator
from latentem.run import (
    Ending,
    History,
    StartReport,
    Status,
)
from latentem.run.audit import Pass
from latentem.run.ledger import Ledger, Turn

Model = LatentModel[Any, Any, Any, Any]
if TYPE_CHECKING:  # `Fit` alone is a fit of any parameters
    from typing_extensions import TypeVar

    P = TypeVar("P", default=Any)
else:
    from typing import TypeVar

    P = TypeVar("P")
T = TypeVar("T")


@final
@frozen(repr=False)
class Fit(Generic[P]):
    """A fitted model: every figure in it is that of its parameters.

    Attributes:
        model: What was fitted.
        params: The parameters; components are never reordered.
        expectation: Statistics, entropy and weight of the data at them.
        history: The steps of the best run; `history.bound` and the other columns are arrays.
        status: Why the best run ended.
        events: What is degenerate about the parameters, or was done on the way; empty is good.
        starts: What became of each start.
        log_evidence: log p(data | params) in nats, or None where the model does not say it.
        columns: Names of the data columns, where the data had names.
    """

    model: LatentModel[Any, Any, Any, P]
    params: P
    expectation: Expectation[Any]
    history: History
    status: Status
    events: tuple[Event, ...]
    starts: tuple[StartReport, ...]
    log_evidence: float | None
    columns: tuple[str, ...] | None = field(default=None)

    @classmethod
    @own_arithmetic
    def of(
        cls,
        model: LatentModel[Any, Any, Any, P],
        params: P,
        data: Any,
        *,
        weights: Any = None,
        allowed: Any = None,
    ) -> Fit[P]:
        """A fit of parameters given by hand, without a step: to score, predict, draw and print.

        Args:
            model: The model.
            params: Its parameters, as the model's `params` makes them; they are left as they are.
            data: As for `fit`.
            weights: As for `fit`.
            allowed: As for `fit`.

        Raises:
            TypeError, ValueError: the data or the parameters cannot be used.
            Degenerate: some row is impossible under these parameters.
        """
        if (source := found_source(data, weights, allowed)) is not None:
            data, weights, allowed = source, None, None
        chunks = model.chunks(data, weights, allowed)
        model.check_params(params)
        expectation = tree_sum(each(model.expectation, params, chunks))
        state = Ledger(model, passes=1).record(Turn("start", Pass.of(model, params, expectation)))
        evidence = log_evidence(model, params, InOrder(chunks))
        gap = contradiction(model, params, expectation, evidence, InOrder(chunks))
        status = Status(Ending.GIVEN, "the parameters were given, and no step was taken")
        return cls(
            model=model,
            params=params,
            expectation=expectation,
            history=state.history,
            status=status,
            events=(*state.events, *gap),
            starts=(),
            log_evidence=evidence,
            columns=columns_of(data),
        )

    @property
    def converged(self) -> bool:
        return self.status.converged

    @property
    def bound(self) -> float:
        """The auxiliary lower bound A = Q + H at the parameters, in nats."""
        return self.history[-1].bound

    @property
    def objective(self) -> float:
        """The objective that both half steps raised, in nats: Q + temperature x H + log prior."""
        return self.history[-1].objective

    @property
    def log_likelihood(self) -> float:
        """The log evidence of the data at the parameters, log p(data | params), in nats.

        Raises:
            Unavailable: the model has no `log_evidence`.
        """
        if self.log_evidence is None:
            raise Unavailable(f"{self.model!r} has no log_evidence, and so no log likelihood: see `bound`")
        return self.log_evidence

    @property
    def observations(self) -> float:
        """How much the data count: the number of rows, or the sum of their weights."""
        return self.expectation.observations

    @property
    def n_parameters(self) -> int:
        """Free numbers in the parameters that were estimated here.

        What is held does not count, also where it was estimated elsewhere: for a criterion in which it should, add
        `block.size(fit.params)` of each held block of the model inside. Nor does what the data do not determine: a
        transition that is zero stays zero, a covariate given twice has one slope (`fit.events` says which).
        """
        statistics = self.expectation.statistics
        return sum(block.free(statistics, self.params).numbers for block in self.model.blocks())

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 n_parameters - 2 log likelihood: lower is better."""
        return 2 * self.n_parameters - 2 * self._exact_log_likelihood("aic")

    @property
    def bic(self) -> float:
        """Schwarz's criterion, n_parameters log n - 2 log likelihood: lower is better (mclust's is its negative)."""
        return self.n_parameters * float(np.log(self.observations)) - 2 * self._exact_log_likelihood("bic")

    @property
    def inertia(self) -> float:
        """Sum of squared distances to the assigned centres, for K-means.

        Raises:
            Unavailable: the model is another.
        """
        figures = self.model.figures(self.params, self.expectation.statistics)
        if "inertia" not in figures:
            raise Unavailable(f"{type(self.model).__name__} has no inertia: it is a figure of KMeans")
        return figures["inertia"]

    @own_arithmetic
    def posterior(self, data: Any) -> Any:
        """q(z) for these data, as one value."""
        return self.model.posterior(self.params, self.model.chunk(self._bare(data)))

    def predict(self, data: Any) -> Labels:
        """The most probable component of each row, shape (n,).

        Of sequences: for each row the state that the most probable path (Viterbi) has there, which need not be the
        most probable state of the row; that is `predict_proba(data).argmax(axis=1)`.
        """
        labels: Labels = np.concatenate(each(self.model.labels, self.params, self.model.chunks(self._bare(data))))
        return labels

    def decode(self, data: Any) -> list[Labels]:
        """The most probable path of states through each sequence (Viterbi), one vector of shape (t,) for each.

        Raises:
            Unavailable: the data are no sequences to this model; `predict` has the most probable label of each row.
        """
        return list(
            chain.from_iterable(each(partial(paths, self.model), self.params, self.model.chunks(self._bare(data))))
        )

    def predict_proba(self, data: Any) -> Array:
        """The posterior probability of each component for each row, shape (n, k).

        Of sequences: of each state at each row, given all rows of its sequence (smoothing).
        """
        return np.concatenate(each(partial(marginals, self.model), self.params, self.model.chunks(self._bare(data))))

    def score_samples(self, data: Any) -> Array:
        """log p(unit | params) of each unit in nats, shape (units,).

        A unit is a row; where the data are sequences it is a sequence.
        """
        return np.concatenate(each(partial(evidence_of, self.model), self.params, self.model.chunks(self._bare(data))))

    def log_joint(self, data: Any, labels: Any = None) -> Array:
        """log p(unit, labels | params) of each unit in nats, shape (units,).

        Args:
            data: As for `predict`.
            labels: A label for each row, shape (n,); for sequences one below the other, or a list with a vector for
                each. None: those that `predict` gives, so for sequences the most probable paths.

        Raises:
            ValueError: there is not one label for each row, or a label is no component's number.
            Unavailable: the latents are no labels, or the model has no `log_evidence`.
        """
        chunks = self.model.chunks(self._bare(data))
        return joint(self.model, self.params, chunks, self.predict(data) if labels is None else labels)

    @own_arithmetic
    def score(self, data: Any) -> float:
        """Mean log p(data | params) in nats a row, of sequences too; what has a weight counts as often as it weighs."""
        chunks = self.model.chunks(self._checked(data))
        return log_likelihood(self.model, self.params, chunks) / sum(observations(chunk) for chunk in chunks)

    @own_arithmetic
    def sample(self, size: int, rng: Any = 0) -> tuple[Any, Any]:
        """Draw rows and their components, shapes (size, d) and (size,)."""
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"size was given as {size!r}: give a whole number of rows, at least 1")
        return self.model.sample(self.params, int(size), generator(rng))

    def __repr__(self) -> str:
        return f"<Fit of {self.model!r}: {self.status}>"

    def __str__(self) -> str:
        return summary.text(self)

    def _bare(self, data: Any) -> Any:
        """The data without weights: what a row weighs changes nothing about the row."""
        data = self._checked(data)
        if isinstance(data, Source):
            return data.bare()
        return type(data)(map(unweighted, data)) if isinstance(data, list | tuple) else unweighted(data)

    def _checked(self, data: Any) -> Any:
        data = found_source(data) or data
        given = columns_of(data)
        if given is not None and self.columns is not None and given != self.columns:
            raise ValueError(
                f"columns {list(given)} were given: the model was fitted to {list(self.columns)}, in this order"
            )
        return data

    def _exact_log_likelihood(self, what: str) -> float:
        if not self.model.inference.exact:
            raise Unavailable(
                f"{type(self.model).__name__} has no {what}: it needs an exact posterior, and this model's is not; "
                "fit the model without Hard, Tempered or Sampled"
            )
        return self.log_likelihood
