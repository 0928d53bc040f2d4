"""What a page holds: a trace as a document of plain values, which its script reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from latentem.plot import palette
from latentem.report import counted
from latentem.teaching.page.captions import captions, heading
from latentem.teaching.page.spaces import MASSES, space
from latentem.teaching.page.splits import splits
from latentem.teaching.page.study import COLUMNS, Study
from latentem.teaching.page.tables import tables
from latentem.teaching.page.tangents import refuse_unknown, tangents

if TYPE_CHECKING:
    from latentem.teaching.trace import Trace

_BOOKS = {
    "l": "log_evidence",
    "A": "bound",
    "KL": "gap",
    "Q": "expected_log_joint",
    "H": "entropy",
    "prior": "log_prior",
    "objective": "objective",
    "gain": "gain",
    "J": "distortion",
}
"""Books as the page calls them, and as a frame does."""


def contents(
    trace: Trace, questions: Any = None, truth: Any = None, columns: Any = None, lines: Any = None
) -> dict[str, Any]:
    """The document of a page; the arguments, and the errors, are those of `Trace.page`."""
    if not len(trace):
        raise ValueError("the trace has no frames: give at least one half step, such as trace[:3]")
    asked = _questions(trace, questions)
    model = trace.model
    if truth is not None:
        model.check_params(truth)
    study = Study(trace, None if columns is None else _columns(trace, columns))
    if lines is not None:
        refuse_unknown(study, lines)
    seen = space(study, truth)
    along = tangents(study, lines)
    told_of = captions(study)
    reasons = sorted({why for _, why in told_of})
    return {
        "title": repr(model),
        "heading": heading(study),
        "notes": _notes(study, seen, along),
        "noun": model.noun,
        "exact": model.inference.exact,
        "hard": trace[-1].distortion is not None,
        "temperature": model.inference.temperature,
        "masses": MASSES,
        "colours": palette.COLOURS,
        "marks": palette.MARKERS,
        "halves": {"E": palette.E_HALF, "M": palette.M_HALF},
        "frames": [
            {
                "index": frame.index,
                "kind": frame.kind,
                "at": study.at(frame),
                "q": study.q_at(frame),
                "told": told,
                "why": reasons.index(why),
            }
            for frame, (told, why) in zip(trace, told_of, strict=True)
        ],
        "reasons": reasons,
        "books": _books(trace),
        "questions": asked,
        "parameters": tables(study),
        "space": seen,
        "tangents": along,
        "splits": [
            {**one, "books": [one_ and [_number(value) for value in one_] for one_ in one["books"]]}
            for one in splits(study)
        ],
    }


def _books(trace: Trace) -> dict[str, list[Any]]:
    """The columns of the books, without those that say nothing of their own."""
    found = {short: [_number(getattr(frame, name)) for frame in trace] for short, name in _BOOKS.items()}
    silent = {
        "prior": not any(found["prior"]),
        "objective": found["objective"] == found["A"],
        "J": not any(value is not None for value in found["J"]),
        "l": not any(value is not None for value in found["l"]),
    }
    silent["KL"] = silent["l"]
    return {short: column for short, column in found.items() if not silent.get(short, False)}


def _number(value: float | None) -> float | str | None:
    """A number as JSON can hold it: none for NaN, and words for what is infinite."""
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _questions(trace: Trace, given: Any) -> dict[str, str]:
    """Questions by the position of the frame that answers them.

    Raises:
        TypeError, ValueError: an index is that of no half step that could be hidden, or a question is no text.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"questions were given as {given!r}: give a dict such as {{2: 'Where will the mean go?'}}")
    places = {frame.index: i for i, frame in enumerate(trace)}
    first, last = trace[0].index, trace[-1].index
    for index, text in given.items():
        if isinstance(index, bool) or not isinstance(index, Integral) or not places.get(int(index)):
            raise ValueError(
                f"a question was given for half step {index!r}: give the half step that answers it, "
                + (f"{first + 1} to {last}" if last > first else "but this trace has none that could be hidden")
            )
        if not isinstance(text, str) or not text.strip():
            raise TypeError(f"the question before half step {index} was given as {text!r}: give some words")
    return {str(places[int(index)]): text for index, text in sorted(given.items())}


def _columns(trace: Trace, given: Any) -> tuple[int, ...]:
    """Numbers of columns given by name or number.

    Raises:
        TypeError, ValueError: a column is not there or is given twice, or there are too many or none.
        Unavailable: the data have no columns.
    """
    study = Study(trace)
    names = [study.name(i) for i in range(study.width)]
    asked: Sequence[Any] = [given] if isinstance(given, str | Integral) else list(given)
    found = []
    for column in asked:
        there = isinstance(column, Integral) and not isinstance(column, bool) and 0 <= int(column) < len(names)
        if not there and column not in names:
            listed = ", ".join(map(repr, names[:COLUMNS])) + (", ..." if len(names) > COLUMNS else "")
            raise ValueError(f"column {column!r} is not there: give names or numbers of the {len(names)}, {listed}")
        found.append(int(column) if there else names.index(column))
    if not found or len(set(found)) < len(found):
        raise ValueError(f"columns were given as {given!r}: give one or more, each once")
    if len(found) > COLUMNS:
        raise ValueError(f"{len(found)} columns were given: a page shows at most {COLUMNS}; choose among them")
    return tuple(found)


def _notes(study: Study, seen: dict[str, Any], along: dict[str, Any]) -> list[str]:
    """Sentences about what is not on the page."""
    notes = []
    if seen["kind"] == "none":
        notes.append(f"There is no picture of the data: {seen['why']}.")
    elif "points" in seen and len(study.kept) < len(study.x):
        which = "the first of them" if seen["kind"] == "strip" else "evenly spaced ones"
        notes.append(f"Of {len(study.x)} rows {len(study.kept)} are drawn, {which}; all numbers are those of all rows.")
    if seen["kind"] != "none" and study.columns is None and study.width > len(study.shown):
        notes.append(
            f"Of {study.width} columns the first {len(study.shown)} are shown; trace.page(columns=[...]) shows others."
        )
    if along.get("why"):
        notes.append(f"There is no tangent: {along['why']}.")
    elif along["left"]:
        notes.append(
            f"There {'is' if along['left'] == 1 else 'are'} {counted(along['left'], 'more line')} through the "
            "parameters; trace.page(lines=[...]) shows the tangent along others."
        )
    return notes
