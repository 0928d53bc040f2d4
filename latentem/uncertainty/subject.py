"""What is asked about, and ways to an answer."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, final

from attrs import frozen

from latentem.core import Engine, Event, Expectation, LatentModel, e_half, observations
from latentem.engine import Serial, Threads
from latentem.uncertainty.coordinates.chart import Free, free_numbers
from latentem.uncertainty.uncertainty import Uncertainty

Model = LatentModel[Any, Any, Any, Any]
_SHORT = 20_000
"""Rows up to which a pass is so short that threads would mostly wait for one another."""
_SAME = 1e-6
"""Relative difference of figures up to which data are the same, whoever has added them up."""


@final
@frozen(eq=False)
class Subject:
    """What is asked about.

    Attributes:
        model: The model.
        params: Its parameters at the fit.
        expectation: Of the data at them.
        events: Of the fit.
        chunks: The data.
        given: Who computes, where somebody has said it.
        level: The probability of the intervals.
    """

    model: Model
    params: Any
    expectation: Expectation[Any]
    events: tuple[Event, ...]
    chunks: Sequence[Any]
    given: Engine | None
    level: float

    @property
    def engine(self) -> Engine:
        """Who computes passes over the data."""
        return self.given or Threads()

    @property
    def sharing(self) -> Engine:
        """Who shares out replications: one after the other where passes are short, for threads would wait."""
        return self.given or (Threads() if self.expectation.observations > _SHORT else Serial())

    def refuse_other_data(self) -> None:
        """Refuse data that are not those of the fit: another number of rows, or another bound.

        Raises:
            ValueError: saying how they differ.
        """
        placed = self.engine.place(self.chunks)
        count, wanted = sum(placed.each(observations)), self.expectation.observations
        what_to_do = "give the data that were fitted, with their weights and known labels"
        if abs(count - wanted) > _SAME * wanted:
            raise ValueError(
                f"data that count as {count:g} rows were given, and the fit is of {wanted:g}: {what_to_do}"
            )
        if not self.model.inference.smooth:
            return
        bounds = [
            self.model.log_joint(self.params, pass_.statistics) + pass_.entropy
            for pass_ in (self.expectation, placed.total(e_half(self.model, self.params)))
        ]
        if abs(bounds[1] - bounds[0]) > _SAME * (wanted + abs(bounds[0])):
            raise ValueError(
                f"data of the bound {bounds[1]:.6f} were given, and the fit's is {bounds[0]:.6f}: {what_to_do}"
            )

    def free(self) -> Free:
        """The free numbers.

        Raises:
            ValueError: there are none.
        """
        free = free_numbers(self.model, self.params)
        if not free.numbers:
            raise ValueError(f"{self.model!r} has no free number at these parameters: there is nothing to be unsure of")
        return free


class Method(abc.ABC):
    """A way to standard errors. A frozen value."""

    __slots__ = ()

    @abc.abstractmethod
    def refuse(self, subject: Subject, replications: int | None) -> None:
        """Refuse what it cannot do, before any work.

        Raises:
            TypeError, ValueError: saying what was given and what to do.
        """

    @abc.abstractmethod
    def apply(self, subject: Subject, replications: int | None, rng: Any) -> Uncertainty:
        """The standard errors, of what was not refused."""


def refuse_replications(replications: int | None, method: str) -> None:
    """Refuse a number of replications for a method that draws none."""
    if replications is not None:
        raise ValueError(f'replications was given beside method="{method}", which draws none: leave it out')
