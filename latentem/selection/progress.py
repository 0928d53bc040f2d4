"""Progress of a selection: one display for all candidates, which says which of them is under way."""

from __future__ import annotations

from typing import Self, final

from latentem.report import Display
from latentem.report.displays import display
from latentem.report.reading import PassUnderWay, Reading


@final
class Candidates(Display):
    """A display that many fits use, one after the other; as a context manager it ends with the last of them."""

    def __init__(self, on: Display | None = None) -> None:
        self._display = display() if on is None else on
        self.pause, self.slower = self._display.pause, self._display.slower
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._display.close()

    def begin(self, title: str) -> None:
        if not self._begun:  # a display of a notebook makes its place here: there is to be one
            self._begun = True
            self._display.begin(title)

    def show(self, reading: Reading, outcome: str | None) -> None:
        self._display.show(reading, outcome)

    def show_pass(self, title: str, under_way: PassUnderWay, reading: Reading | None) -> None:
        self._display.show_pass(title, under_way, reading)

    def close(self) -> None:
        """One fit has ended; others are to come."""
