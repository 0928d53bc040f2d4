"""A contender: one of the models among which one selects, with its fit or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, final

from attrs import field, frozen

from latentem.core import Event, LatentModel, Unavailable
from latentem.fitted import Fit
from latentem.run import Ending

Model = LatentModel[Any, Any, Any, Any]
Criterion = Literal["aic", "bic", "icl"]
CRITERIA: Mapping[str, str] = {"aic": "AIC", "bic": "BIC", "icl": "ICL"}
"""What candidates are ranked by, lower is better, and how it is written."""
UNREACHED = "not reached: interrupted by Ctrl-C"
"""The reason why a candidate has no fit that came after a Ctrl-C."""
SOUND = (Ending.CONVERGED, Ending.MAX_STEPS, Ending.STOPPED)
"""Endings at which a fit can be judged: at most too low in likelihood, and so no better than it seems."""


@final
@frozen(eq=False)
class Contender:
    """One model, and what became of it. A figure that there is not is None.

    Attributes:
        name: What it is called.
        model: The model.
        fit: Its fit, or None where it could not be fitted or was not reached.
        reason: Why there is no fit; else empty.
    """

    name: str
    model: Model
    fit: Fit[Any] | None = field(default=None, repr=False)
    reason: str = field(default="")

    @property
    def k(self) -> int | None:
        """How many components the model has, if its units carry labels."""
        clusters = clusters_of(self.model)
        return None if clusters is None else clusters.k

    @property
    def log_likelihood(self) -> float | None:
        """In nats."""
        return None if self.fit is None else self.fit.log_evidence

    @property
    def n_parameters(self) -> int | None:
        """Free numbers that were estimated."""
        return None if self.fit is None else self.fit.n_parameters

    @property
    def aic(self) -> float | None:
        """Akaike's criterion."""
        return self.figure("aic")

    @property
    def bic(self) -> float | None:
        """Schwarz's criterion."""
        return self.figure("bic")

    @property
    def icl(self) -> float | None:
        """The integrated completed likelihood."""
        return self.figure("icl")

    @property
    def normalised_entropy(self) -> float | None:
        """How unclear the labels are, from 0 to 1."""
        return self.figure("normalised_entropy")

    @property
    def events(self) -> tuple[Event, ...]:
        """What a reader of the fit should know."""
        return () if self.fit is None else self.fit.events

    @property
    def clean(self) -> bool:
        """Whether the fit can be judged: nothing in it is degenerate, and it was not broken off."""
        fit = self.fit
        return fit is not None and fit.status.ending in SOUND and all(event.clean for event in fit.events)

    @property
    def status(self) -> str:
        """How the fit ended, and what is degenerate about it, in few words; or why there is none."""
        if self.fit is None:
            return self.reason
        kinds = dict.fromkeys(event.kind for event in self.events if not event.done)
        return "; ".join([self.fit.status.ending.value, *kinds])

    def figure(self, name: str) -> float | None:
        """A figure of the fit by its name, such as "bic"; None where there is none."""
        if self.fit is None or any(event.kind == "gap" for event in self.fit.events):
            return None
        try:
            return float(getattr(self.fit, name))
        except Unavailable:
            return None


def clusters_of(model: Model) -> Any:
    """How labels become statistics, or None where the latents are no labels."""
    try:
        return model.clusters()
    except Unavailable:
        return None
