"""A fit in words and a table."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Self, final

from attrs import asdict, field, frozen

from latentem.core import Event
from latentem.report import markup
from latentem.report.components import Parameter, called, grid, parameters
from latentem.report.words import counted, number, table
from latentem.run import Ending, Status, hits
from latentem.run.audit import Books


@final
@frozen
class Summary:
    """What a fit came to, without the fit: it prints as `print(fit)` does, and as HTML, Markdown, LaTeX or a dict.

    Attributes:
        model: The model, as Python shows it.
        observations: How much the data count.
        columns: Names of the data columns, or None.
        categories: Of each of them what it held, in the order of its codes, where it held text; None where none did.
        status: Why the run ended.
        steps: How many it took.
        noun: What a component is called.
        names: What each component is called: its class, "noise", or its number.
        parameters: What the model describes of its components.
        params: The parameters as Python shows them, where the model describes none; else empty.
        bound: Q + H in nats.
        expected_log_joint: Q in nats.
        entropy: H in nats.
        log_likelihood: In nats, or None where the model does not say it.
        tight: Whether bound and log likelihood are one number, to rounding.
        n_parameters: Free numbers that were estimated.
        aic: Akaike's criterion, or None where it is not known.
        bic: Schwarz's criterion, or None where it is not known.
        figures: What the model reports of its own, such as inertia, by name.
        starts: How many starts there were.
        ended: How many of them were run to the end.
        reached: How many of those ended at this maximum.
        events: What a reader should know.
        loops: What compiled the loops that its passes ran in; None where numpy computed.
    """

    model: str
    observations: float
    columns: tuple[str, ...] | None
    categories: tuple[tuple[str, ...] | None, ...] | None
    status: Status
    steps: int
    noun: str
    names: tuple[str, ...]
    parameters: tuple[Parameter, ...] = field(repr=False)
    params: str = field(repr=False)
    bound: float
    expected_log_joint: float
    entropy: float
    log_likelihood: float | None
    tight: bool
    n_parameters: int
    aic: float | None
    bic: float | None
    figures: tuple[tuple[str, float], ...]
    starts: int
    ended: int
    reached: int
    events: tuple[Event, ...]
    loops: str | None = None

    @classmethod
    def of(cls, fit: Any) -> Self:
        """The summary of a `Fit`."""
        described = fit.model.describe(fit.params, fit.expectation.statistics)
        shown = parameters(described)
        step, known = fit.history[-1], fit.log_evidence
        judged = fit.model.inference.exact and known is not None and all(event.kind != "gap" for event in fit.events)
        reached, ended = hits(fit.starts, fit.objective, fit.observations)
        return cls(
            model=repr(fit.model),
            observations=fit.observations,
            columns=fit.columns,
            categories=fit.categories,
            status=fit.status,
            steps=step.index,
            noun=fit.model.noun,
            names=called(fit.model, len(shown[0].values)) if shown else (),
            parameters=shown,
            params="" if described else repr(fit.params),
            bound=step.bound,
            expected_log_joint=step.expected_log_joint,
            entropy=step.entropy,
            log_likelihood=known,
            tight=known is not None and Books.of(fit.model, fit.params, fit.expectation).touches(known),
            n_parameters=fit.n_parameters,
            aic=fit.aic if judged else None,
            bic=fit.bic if judged else None,
            figures=tuple(fit.model.figures(fit.params, fit.expectation.statistics).items()),
            starts=len(fit.starts),
            ended=ended,
            reached=reached,
            events=fit.events,
            loops=fit.loops,
        )

    def text(self) -> str:
        """Plain text, as `print(fit)` shows it."""
        shown, more = self.cells
        left_out = f"\n({more} more columns not shown)" if more else ""
        return "\n".join(
            [
                self.headline,
                self.outcome,
                *([f"what to try: {self.status.advice}"] if self.status.advice else []),
                "",
                table(shown) + left_out if shown else self.params,
                "",
                *self.lines,
                *(["events:", *(f"- {told}" for told in self.told)] if self.events else []),
                *(["events: none"] if self.status.converged and not self.events else []),
            ]
        )

    def html(self) -> str:
        """HTML without style sheets, scripts or colours of its own: for a page of any theme."""
        return markup.html(self)

    def markdown(self) -> str:
        """Markdown with a table, as GitHub and notebooks read it."""
        return markup.markdown(self)

    def latex(self) -> str:
        """LaTeX with a `tabular`, which needs no package."""
        return markup.latex(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as lists, strings and numbers, which JSON can write; NaN and what is not known is None.

        The parameters are under their labels, one value a component. An infinite figure stays `inf`.
        """
        known = asdict(self, filter=lambda attribute, value: attribute.name not in ("status", "parameters", "events"))
        nan = [name for name, value in known.items() if isinstance(value, float) and math.isnan(value)]
        labels = unique_labels(self)
        return {
            **known,
            **dict.fromkeys(nan),
            "names": list(self.names),
            "columns": None if self.columns is None else list(self.columns),
            "categories": None if self.categories is None else [words and list(words) for words in self.categories],
            "status": {
                "ending": self.status.ending.value,
                "sentence": self.status.sentence,
                "converged": self.status.converged,
                "advice": self.status.advice,
            },
            "parameters": {
                label: list(parameter.values) for label, parameter in zip(labels, self.parameters, strict=True)
            },
            "figures": dict(self.figures),
            "events": [asdict(event) for event in self.events],
        }

    @property
    def headline(self) -> str:
        """What was fitted, and to how much."""
        return f"{self.model} on {counted(self.observations, 'observation')}"

    @property
    def outcome(self) -> str:
        """How the run ended, and after how many steps."""
        given = self.status.ending is Ending.GIVEN
        return str(self.status) if given else f"{self.status} ({counted(self.steps, 'step')})"

    @property
    def cells(self) -> tuple[list[list[str]], int]:
        """The cells of the table of components, none where there is none, and how many data columns it leaves out."""
        return (
            grid(self.parameters, self.columns, self.noun, self.categories, self.names) if self.parameters else ([], 0)
        )

    @property
    def lines(self) -> list[str]:
        """The figures in words: likelihood and books, criteria, starts."""
        books = f"Q {number(self.expected_log_joint)} + H {number(self.entropy)}"
        count = counted(self.n_parameters, "free parameter")
        if self.log_likelihood is not None and self.tight:
            likelihood = f"log likelihood {number(self.log_likelihood)} = {books}"
        else:
            likelihood = f"bound {number(self.bound)} = {books}"
            if self.log_likelihood is not None:
                likelihood += f", log likelihood {number(self.log_likelihood)}"
        if self.aic is not None and self.bic is not None:
            count += f", AIC {number(self.aic)}, BIC {number(self.bic)} (lower is better)"
        for name, figure in self.figures:
            count += f", {name} {number(figure)}"
        loops = [] if self.loops is None else [f"passes in compiled loops ({self.loops})"]
        if self.starts <= 1:
            return [likelihood, count, *loops]
        best = "ended at this maximum" if self.reached > 1 else "ended at this maximum, the best"
        ends = f"; of the {self.ended} that were run to the end, {self.reached} {best}" if self.ended else ""
        return [likelihood, count, f"{self.starts} starts{ends}", *loops]

    @property
    def told(self) -> list[str]:
        """The events in words."""
        return [event.describe(self.columns) for event in self.events]

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def unique_labels(summary: Summary) -> list[str]:
    """A label for each parameter, no two the same: where columns of the data share a name, their numbers are added."""
    named = [parameter.label(summary.columns, summary.categories) for parameter in summary.parameters]
    often, labels = Counter(named), dict[str, None]()
    for name, parameter in zip(named, summary.parameters, strict=True):
        label = name if often[name] == 1 or parameter.column is None else f"{name} (column {parameter.column})"
        while label in labels:
            label += "'"
        labels[label] = None
    return list(labels)
