"""Tangents of a page: along a few lines, from the parameters of each q."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from latentem.arrays import Array
from latentem.core import Unavailable
from latentem.teaching.lines import lines
from latentem.teaching.page.packing import levels
from latentem.teaching.page.study import Study
from latentem.uncertainty.named import find

_POINTS = 27
_LINES = 4
_MOST = 84
"""Curves on a page at most, unless lines are asked for by name: each is 220 bytes, and 40 ms of work on small data."""
_ROWS = 50_000_000
"""Rows that all curves together may look at, likewise."""
_CHAINED = 50
"""A row in a sequence takes as long as so many others."""
_LOGARITHMIC = ("covariances", "noise", "variance", "variances")
"""Fields that are measured in their logarithm."""


def tangents(study: Study, asked: Sequence[str] | None) -> dict[str, Any]:
    """Names of lines, and for each q the curves along them.

    Args:
        study: The trace.
        asked: Names of lines, as `Trace.tangent` takes them; None chooses a few.

    Returns:
        "lines", "left", how many more there are, and "curves": for each of the study's parameters that are of a q, a
        list with one curve a line, None where there is none; "why" where there are none at all.

    Raises:
        ValueError: a line was asked for that is not there.
    """
    trace = study.trace
    frames = {study.q_at(frame): i for i, frame in enumerate(trace) if frame.q_params is not None}
    there = ["next", *_found(study)]
    names = list(asked) if asked is not None else there[: _affordable(study, len(frames))]
    curves: dict[str, list[Any]] = {}
    try:
        for place, i in frames.items():
            curves[str(place)] = [_curve(study, i, name) for name in names]
    except Unavailable as error:
        return {"lines": [], "left": 0, "curves": {}, "why": str(error)}
    kept = [j for j in range(len(names)) if any(each[j] for each in curves.values())]
    return {
        "lines": [{"name": names[j], "words": _words(names[j])} for j in kept],
        "left": max(0, len(there) - len(names)),
        "curves": {place: [each[j] for j in kept] for place, each in curves.items()},
    }


def refuse_unknown(study: Study, asked: Any) -> None:
    """Refuse lines that are no names of numbers in the parameters.

    Raises:
        ValueError: saying which, and what there is.
    """
    if isinstance(asked, str) or not all(isinstance(name, str) for name in asked):
        raise TypeError(f"lines were given as {asked!r}: give a list of names, such as ['next', 'weights[0]']")
    for name in asked:
        if name != "next":
            find(study.trace.model, study.params[0], name.removeprefix("log "))


def _affordable(study: Study, count: int) -> int:
    each = study.rows * (_CHAINED if study.chained else 1)
    of_size, of_time = _MOST // max(1, count), _ROWS // max(1, count * 2 * _POINTS * each)
    return max(1 if of_time else 0, min(_LINES, of_size, of_time))


def _found(study: Study) -> list[str]:
    """Names of lines, from each block in turn; variances in their logarithm."""
    model, params = study.trace.model, study.params[0]
    by_block: dict[str, list[str]] = {}
    for name in lines(model, params):
        field = name.split("[")[0].split(".")[-1]
        number = find(model, params, name)
        if field not in _LOGARITHMIC:
            by_block.setdefault(field, []).append(name)
        elif number.value > 0 and (number.together != "matrix" or number.index[-1] == number.index[-2]):
            by_block.setdefault(field, []).append(f"log {name}")
    order = sorted(by_block, key=lambda field: not field.startswith("mean"))  # what moves on the page comes first
    turns = zip_longest(*(by_block[field] for field in order))
    return [name for name in chain.from_iterable(turns) if name is not None]


def _words(name: str) -> str:
    if name == "next":
        return "to the next parameters"
    logarithm = "log " if name.startswith("log ") else ""
    return logarithm + name.removeprefix("log ").split("components.")[-1].removeprefix("emissions.")


def _curve(study: Study, i: int, name: str) -> list[Any] | None:
    """Where the line begins, how high, and how far apart the two are there; then what is drawn.

    That is the two ends, measured from where the line begins, and the number of the place there; then the lowest
    height, measured likewise, and how far the highest is above it; at last all heights, as `levels`.
    """
    try:
        tangent = study.trace.tangent(i, name, points=_POINTS)
    except ValueError:  # nothing follows the last q, or a variance is 0 there
        return None
    both = np.concatenate([tangent.log_likelihood, tangent.bound])
    if len(tangent.places) < 3 or not np.isfinite(both).all():
        return None
    at = int(np.flatnonzero(tangent.places == tangent.here)[0])
    height, heights = tangent.log_likelihood[at], levels(both - tangent.log_likelihood[at])
    low, high = tangent.places[0] - tangent.here, tangent.places[-1] - tangent.here
    if not np.allclose(
        tangent.places - tangent.here, _even(low, high, at, len(tangent.places)), rtol=0, atol=1e-6 * (high - low)
    ):
        return None  # places without a density are left out at the ends alone
    ends = [_digits(low), _digits(high), at, _digits(heights["low"]), _digits(heights["span"])]
    return [_digits(tangent.here), round(float(height), 6), round(tangent.touching, 6), *ends, heights["data"]]


def _even(low: float, high: float, at: int, count: int) -> Array:
    """Places that are evenly spaced on either side of 0, the place numbered `at`."""
    return np.concatenate([np.linspace(low, 0.0, at, endpoint=False), np.linspace(0.0, high, count - at)])


def _digits(value: float) -> float:
    return float(f"{value:.8g}")
