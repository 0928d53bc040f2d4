"""What a notebook shows of a fit, of a run under way, of its history, and of a model.

A model, a State and a History live in rooms that know nothing of reports. So this room gives them their pages: a class
that stands in `PAGES`, and all that derive from it, have `_repr_html_`, which is what a notebook asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from latentem.core import LatentModel
from latentem.report import html
from latentem.report.markup import html_parts
from latentem.report.summary import Summary
from latentem.report.words import counted, gain, number, rounding
from latentem.run import History, State

_STEPS = 8
"""How many steps a table has of the first, and how many of the last."""
_STARTS = 30
"""How many starts a table has, at most."""


def fit_page(fit: Any) -> str:
    """A fit: its summary, the bound as a line, and, folded, its steps and its starts."""
    parts = [*html_parts(Summary.of(fit)), _line(fit.history), _steps(fit.history)]
    if fit.starts:
        parts.append(_starts(fit.starts))
    return html.page(*parts)


def history_page(history: History) -> str:
    """A history: the bound as a line, and, folded, its steps."""
    if not len(history):
        return html.page(html.paragraph("a history of 0 steps", strong=True))
    last = history[-1]
    told = f"bound {number(last.bound)} = Q {number(last.expected_log_joint)} + H {number(last.entropy)}"
    title = f"a history of {counted(len(history), 'step')}, the last of them step {last.index}"
    return html.page(html.paragraph(title, strong=True), html.paragraph(told), _line(history), _steps(history))


def state_page(state: State[Any, Any]) -> str:
    """A State: where a run stands, its events, and, folded, its steps and its parameters."""
    step, status = state.step, state.status
    told = f"bound {number(step.bound)} = Q {number(step.expected_log_joint)} + H {number(step.entropy)}"
    title = f"a run at step {step.index}, after {step.passes} {'pass' if step.passes == 1 else 'passes'} over the data"
    events = [event.describe() for event in state.events]
    return html.page(
        html.paragraph(title, strong=True),
        html.paragraph("under way" if status is None else str(status)),
        html.paragraph(told),
        html.paragraph(
            f"estimated remaining gain: {f'{left} nats' if (left := _remaining(step)) else 'not known yet'}"
        ),
        *([html.paragraph("events:"), html.items(events)] if events else []),
        _line(state.history),
        _steps(state.history),
        html.folded("parameters", html.verbatim(repr(state.params))),
    )


def model_page(model: LatentModel[Any, Any, Any, Any]) -> str:
    """A model: as Python shows it, and, folded, its parts."""
    shown = [html.paragraph(repr(model), strong=True)]
    if parts := _parts(model):
        shown.append(html.folded("made of", html.table([["part", "value"], *parts])))
    return html.page(*shown)


PAGES: dict[type, Callable[[Any], str]] = {History: history_page, State: state_page, LatentModel: model_page}
"""The page of each class of the rooms below."""


def hand_out() -> None:
    """Give each class of `PAGES` its `_repr_html_`."""
    for kind, page in PAGES.items():
        setattr(kind, "_repr_html_", page)  # noqa: B010 - a plain assignment is no attribute that mypy knows


def _parts(model: Any) -> list[list[str]]:
    """The public fields of a model that is an attrs value, with what Python shows of them."""
    if not attrs.has(type(model)):
        return []
    public = [part.name for part in attrs.fields(type(model)) if not part.name.startswith("_")]
    return [[name, repr(getattr(model, name))] for name in public]


def _line(history: History) -> str:
    bounds = history.bound.tolist()
    title = f"bound from {number(bounds[0])} to {number(bounds[-1])} nats, step by step"
    return html.sparkline(bounds, title, rounding(history[-1]))


def _steps(history: History) -> str:
    rows = [["step", "kind", "bound", "M gain", "E gain", "remaining gain", "passes", "seconds"]]
    rows += [_row(step) for step in _ends(history)]
    more = len(history) - (len(rows) - 1)
    left = html.paragraph(f"({counted(more, 'step')} between them not shown)") if more else ""
    return html.folded(f"steps ({len(history)})", html.table(rows) + left)


def _ends(history: History) -> Sequence[Any]:
    return history if len(history) <= 2 * _STEPS else [*history[:_STEPS], *history[-_STEPS:]]


def _row(step: Any) -> list[str]:
    gains = ["" if math.isnan(value) else gain(value, step) for value in (step.m_gain, step.e_gain)]
    return [
        str(step.index),
        step.kind,
        number(step.bound),
        *gains,
        _remaining(step),
        str(step.passes),
        f"{step.seconds:.3g}",
    ]


def _remaining(step: Any) -> str:
    """The estimate of the remaining gain; empty while there is none."""
    return f"{step.remaining:.3g}" if math.isfinite(step.remaining) else ""


def _starts(reports: Sequence[Any]) -> str:
    rows = [["start", "from", "objective", "steps", "how it ended"]]
    for i, report in enumerate(reports[:_STARTS]):
        rows.append([str(i), report.name, number(report.objective), str(report.steps), str(report.status)])
    more = len(reports) - (len(rows) - 1)
    left = html.paragraph(f"({counted(more, 'start')} more not shown)") if more else ""
    return html.folded(f"starts ({len(reports)})", html.table(rows) + left)
