"""The journal of a fit: lines to the logger "latentem", where somebody has asked for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Self, final

from latentem.core import Event
from latentem.run import Start, StartReport, State
from latentem.run.course import Watch

_LOG = logging.getLogger(__name__)


@final
class Journal:
    """Writes when a run begins and ends, and what happens on the way; it watches the States of a fit."""

    def __init__(self, starts: Sequence[Start]) -> None:
        self._starts = starts
        self._noted: dict[int, set[Any]] = {}
        self._ended: set[int] = set()

    @classmethod
    def kept(cls, starts: Sequence[Start]) -> Self | None:
        """A journal of these starts; None where nobody would read it."""
        return cls(starts) if _LOG.isEnabledFor(logging.INFO) else None

    def __call__(self, state: State[Any, Any], number: int) -> None:
        """Note a State of the run of this number."""
        if number not in self._noted:
            self._noted[number] = set()
            name, index = self._starts[number].name, state.step.index
            _LOG.info("%s begins (%s): objective %.9g nats", self._at(number, index), name, state.objective)
        for event in state.events:
            if self._is_new(event, number):
                _LOG.info("%s: %s", self._at(number, state.step.index), f"{event.message}; {event.remedy}")
        if state.status is not None:
            self._ended.add(number)
            place = self._at(number, state.step.index)
            _LOG.info("%s ends: %s; objective %.9g nats", place, state.status, state.objective)

    def close(self, reports: Sequence[StartReport]) -> None:
        """Note what became of the starts of whose end there is no line yet: the degenerate ones, and those left."""
        for number, report in enumerate(reports):
            if number not in self._ended:
                _LOG.info("%s ends: %s", self._at(number, report.steps), report.status)

    def _at(self, number: int, step: int) -> str:
        return f"start {number + 1} of {len(self._starts)}, step {step}"

    def _is_new(self, event: Event, number: int) -> bool:
        """Whether an event was not there before. What was done twice is two events."""
        known = self._noted[number]
        before, sign = len(known), (*event.subject, event.step)
        known.add(sign)
        return len(known) > before


def watched_by(*watches: Watch | None) -> Watch | None:
    """Those who look on, as one; None where nobody does."""
    those = [watch for watch in watches if watch is not None]

    def all_of_them(state: State[Any, Any], number: int) -> None:
        for watch in those:
            watch(state, number)

    return all_of_them if len(those) > 1 else next(iter(those), None)
