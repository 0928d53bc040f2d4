"""Standard errors from the curvature of the log likelihood: the method."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import own
from latentem.core import Event, Unavailable
from latentem.numerics.differences import jacobian
from latentem.uncertainty.by_information import ByInformation, undetermined
from latentem.uncertainty.coordinates.chart import Free, listed
from latentem.uncertainty.information import Resolved, information, resolved
from latentem.uncertainty.named import value_in
from latentem.uncertainty.subject import Method, Subject, refuse_replications

_SHARE = 1e-5
"""Share of the information that must be left in a direction for the data to say anything of it."""
_UNSOLVED = 1e-2
"""Nats that a maximum may still be off, by its slope and its curvature; a standard error is half a nat."""
_NO_MAXIMUM = {"floor", "empty", "coincident", "separated"}
"""Kinds of events with which parameters are no maximum inside their space."""


@final
@frozen
class ObservedInformation(Method):
    """The curvature of the log likelihood at its maximum."""

    def refuse(self, subject: Subject, replications: int | None) -> None:
        refuse_replications(replications, "information")
        model, inference = subject.model, subject.model.inference
        if not (inference.exact and inference.smooth):
            raise Unavailable(
                f"{model!r} has no smooth and exact posterior, and so no observed information: "
                'use method="weighted", or fit the model without Hard, Tempered or Sampled'
            )
        for event in subject.events:
            if event.kind in _NO_MAXIMUM:
                raise ValueError(
                    f"the fit is no maximum inside its parameters ({event}), so that its information says nothing: "
                    'mend the fit, or use method="weighted"'
                )

    def apply(self, subject: Subject, replications: int | None, rng: Any) -> ByInformation:
        model, free = subject.model, subject.free()
        placed = subject.engine.place(subject.chunks)
        found = information(model, free, subject.expectation.statistics, placed)
        solved = resolved(found.complete, found.lost)
        if len(solved.missing) and solved.missing[-1] > 1 + max(_SHARE, 10 * found.asymmetry):
            raise ValueError(
                "the parameters are a saddle of the likelihood and no maximum: in one direction it bends upwards; fit "
                "again, from a start that is a little off"
            )
        return _by_information(subject, found.free, solved, found.score, found.asymmetry)


def _by_information(subject: Subject, free: Free, solved: Resolved, score: Any, asymmetry: float) -> ByInformation:
    spread, loose = solved.covariance(max(_SHARE, 10 * asymmetry))
    slopes = jacobian(lambda u: np.array([value_in(free.chart.at(u), one) for one in free.numbers]), free.chart.size)
    names = tuple(one.name for one in free.numbers)
    events = list(free.events)
    if (left := float(score @ spread @ score / 2)) > _UNSOLVED:
        events.append(
            Event(
                "unconverged",
                f"the fit has not converged: the objective is {left:.2g} nats below its maximum, so that standard "
                "errors are those of another place",
                "fit on, from start=fit.params, with a stop rule that asks for more",
            )
        )
    if (unknown := undetermined(slopes, loose)).any():
        which = [name for name, one in zip(names, unknown, strict=True) if one]
        events.append(
            Event(
                "unidentified",
                f"the data do not determine {listed(which)}, which have no standard error",
                "ask for functions of the parameters that they do determine, by of(...)",
            )
        )
    return ByInformation(
        model=repr(subject.model),
        observations=subject.expectation.observations,
        names=names,
        estimates=own(np.array([one.value for one in free.numbers])),
        level=subject.level,
        events=tuple(events),
        chart=free.chart,
        spread=own(spread),
        loose=own(np.ascontiguousarray(loose)),
        slopes=own(slopes),
        scales=free.scales,
        missing=own(solved.missing),
        asymmetry=asymmetry,
    )
