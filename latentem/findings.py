"""Findings about the parameters in which a fit ends, beside those of the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from latentem.core import (
    Degenerate,
    Event,
    Expectation,
    LatentModel,
    Placed,
    Unavailable,
    e_step,
    log_likelihood,
    rows_that_count,
)
from latentem.report import counted
from latentem.run.audit import Books

Model = LatentModel[Any, Any, Any, Any]


def log_evidence(model: Model, params: Any, chunks: Any) -> float | None:
    """log p(data | params) in nats, or None where the model does not say it."""
    try:
        return log_likelihood(model, params, chunks)
    except Unavailable:
        return None


def contradiction(
    model: Model, params: Any, expectation: Expectation[Any], evidence: float | None, chunks: Placed[Any]
) -> Sequence[Event]:
    """Where q is exact the bound of its parameters is their log evidence; if not, the model contradicts itself."""
    if evidence is None or not model.exact or Books.of(model, params, expectation).touches(evidence):
        return ()
    try:  # some runners end with a q that is older than the parameters
        books = Books.of(model, params, e_step(model, params, chunks))
    except Degenerate:
        return ()
    if books.touches(evidence):
        return ()
    gap = books.expected_log_joint + books.entropy - evidence
    return [
        Event(
            "gap",
            f"Q + H is {abs(gap):.3g} nats {'above' if gap > 0 else 'below'} the log likelihood, though the posterior "
            "is said to be exact: posterior, log_joint or log_evidence is wrong, and so are AIC and BIC",
            "latentem.testing.check_model(model, params, data) says more",
        )
    ]


def unidentified(model: Model, params: Any, expectation: Expectation[Any], chunks: Placed[Any]) -> Iterator[Event]:
    """Events: numbers in the parameters that the data do not determine."""
    total = 0
    for block in model.blocks():
        free, size = block.free(expectation.statistics, params), block.size(params)
        total += free.numbers
        if free.numbers < size and free.reason:
            what = f"of the {size} numbers in {block.name} the data determine {free.numbers}: {free.reason}"
            yield Event("unidentified", what, "they do not count in AIC and BIC", field=str(block.path[-1]))
    # Where chunks are costly there are many rows, and to count them would be a pass more.
    rows = total if chunks.costly else sum(chunks.each(rows_that_count))
    if total > rows:
        what = f"{total} parameters were estimated from {counted(rows, 'row')}"
        yield Event("unidentified", what, "use fewer components or columns, a tied structure or a prior")


def drawn(model: Model) -> Iterator[Event]:
    """Events: fields that are held at a value which a random start has drawn."""
    for name in model.drawn():
        what = f"{name} is held at what the first random start drew"
        yield Event("held", what, "hold it at a value, Fixed(value), or give a start", field=name)
