"""The ways to standard errors, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentem.uncertainty.bootstraps import Jackknife, Nonparametric, Parametric, Weighted
from latentem.uncertainty.observed import ObservedInformation
from latentem.uncertainty.subject import Method, Subject
from latentem.uncertainty.uncertainty import Uncertainty

METHODS: Mapping[str, Method] = {
    "information": ObservedInformation(),
    "weighted": Weighted(),
    "nonparametric": Nonparametric(),
    "parametric": Parametric(),
    "jackknife": Jackknife(),
}
"""The methods by their names."""


def uncertainty_of(subject: Subject, method: str, replications: int | None, rng: Any) -> Uncertainty:
    """Standard errors of what is asked about, by the method of a name.

    Raises:
        TypeError, ValueError: there is no such method, it is not for this subject, or the data are others.
        Degenerate: fewer than two replications can be used.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method was given as {method!r}: give one of {', '.join(map(repr, METHODS))}")
    METHODS[method].refuse(subject, replications)
    subject.refuse_other_data()
    return METHODS[method].apply(subject, replications, rng)
