"""A fitted model, and what can be asked of it."""

from __future__ import annotations

import os
from typing import Any, final

import numpy as np
from attrs import field, frozen

from latentem import saved
from latentem.answers import P, each
from latentem.core import Event, Expectation, InOrder, LatentModel, Unavailable, tree_sum
from latentem.findings import contradiction, log_evidence
from latentem.judged import Judged
from latentem.numerics.arithmetic import own_arithmetic
from latentem.report import Summary, fit_page, frame
from latentem.run import Ending, History, StartReport, Status
from latentem.run.audit import Pass
from latentem.run.ledger import Ledger, Turn
from latentem.tables import Categories, admitted


@final
@frozen(repr=False)
class Fit(Judged[P]):
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
        start: The parameters at which the best run began; None in a file of before there was this field.
        columns: Names of the data columns, where the data had names.
        categories: Of each of them what it held, in the order of its codes, where it held text; None where none did.
        loops: What compiled the loops that its passes ran in, such as "numba 0.68.1"; None where numpy computed.
    """

    model: LatentModel[Any, Any, Any, P]
    params: P
    expectation: Expectation[Any]
    history: History
    status: Status
    events: tuple[Event, ...]
    starts: tuple[StartReport, ...]
    log_evidence: float | None
    start: P | None = field(default=None)
    columns: tuple[str, ...] | None = field(default=None)
    categories: Categories | None = field(default=None)
    loops: str | None = field(default=None)

    @classmethod
    @own_arithmetic
    def of(
        cls, model: LatentModel[Any, Any, Any, P], params: P, data: Any, *, weights: Any = None, allowed: Any = None
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
        given = admitted(model, data, weights, allowed)
        chunks = given.model.chunks(given.data, given.weights, given.allowed)
        model = given.model.settled(InOrder(chunks))
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
            start=params,
            columns=given.columns,
            categories=given.categories,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, whole or not at all; `lem.load(path)` gives it back to the last bit.

        The file has the model, the parameters, the statistics, the history and all else that is in a fit. The data are
        not, but where a family keeps the rows as its statistics. Equal fits are equal bytes.

        Raises:
            TypeError: the model or its parameters hold what no file can, such as a function; the message names it.
            OSError: it cannot be written; a file that was there is there still.
        """
        saved.save(self, path)

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
        return 2 * self.n_parameters - 2 * self._exact_log_likelihood("aic")  # (eq: criteria)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, n_parameters log n - 2 log likelihood: lower is better (mclust's is its negative)."""
        # (eq: criteria)
        return self.n_parameters * float(np.log(self.observations)) - 2 * self._exact_log_likelihood("bic")

    @property
    def icl(self) -> float:
        """The integrated completed likelihood, BIC + 2 H with H the entropy of the labels: lower is better.

        It asks that the labels be clear, too (docs/mathematics.md, "Criteria").

        Raises:
            Unavailable: the model has no BIC, or its latents are no labels.
        """
        return self.bic + 2 * self._label_entropy("icl")  # (eq: icl)

    @property
    def normalised_entropy(self) -> float:
        """The entropy of the labels over its largest value, n log k: 0 where labels are certain, 1 where all are alike.

        Raises:
            Unavailable: the posterior is not exact, or the latents are no labels.
        """
        entropy, clusters = self._label_entropy("normalised_entropy"), self.model.clusters()
        assert clusters is not None
        return entropy / (self.observations * float(np.log(clusters.k))) if clusters.k > 1 else 0.0

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

    def summary(self) -> Summary:
        """What the fit came to, as a value that prints, and that is HTML, Markdown, LaTeX or a dict when asked."""
        return Summary.of(self)

    def to_frame(self, library: str | None = None) -> Any:
        """The parameters as a table, one row a component: of pandas, polars or pyarrow, by its name.

        None takes the first of them that is in use already, else the first that is installed.

        Raises:
            ImportError: it, or every one of them, is not installed; the message says how to install it.
            Unavailable: the model describes no components.
        """
        return frame(self.summary(), library)

    def _repr_html_(self) -> str:
        return fit_page(self)

    def __repr__(self) -> str:
        return f"<Fit of {self.model!r}: {self.status}>"

    def __str__(self) -> str:
        return Summary.of(self).text()

    def _label_entropy(self, what: str) -> float:
        """H of the labels in nats, without that of what else is hidden."""
        self._refuse_inexact(what)
        if self.model.clusters() is None:
            raise Unavailable(
                f"{type(self.model).__name__} has no {what}: its latents are no labels of components, or it does not "
                "say so in clusters()"
            )
        return self.expectation.entropy - self.expectation.hidden

    def _exact_log_likelihood(self, what: str) -> float:
        self._refuse_inexact(what)
        return self.log_likelihood

    def _refuse_inexact(self, what: str) -> None:
        if not self.model.inference.exact:
            raise Unavailable(
                f"{type(self.model).__name__} has no {what}: it needs an exact posterior, and this model's is not; "
                "fit the model without Hard, Tempered or Sampled"
            )
