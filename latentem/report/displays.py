"""Where progress is shown: lines on a stream, a few lines of a terminal, an output of a notebook.

The last two come from rich, where it is installed. No thread draws: an engine may fork, and a lock that another thread
holds would stay locked in the child.
"""

from __future__ import annotations

import abc
import sys
from importlib import import_module
from typing import Any, final

from latentem.report.reading import PassUnderWay, Reading

_BAR = 24
"""Signs of a bar."""


class Display(abc.ABC):
    """A place where readings are shown.

    Attributes:
        pause: Seconds between the first two readings, at least.
        slower: By which factor each pause is longer than the last.
    """

    pause: float = 0.25
    slower: float = 1.0

    @abc.abstractmethod
    def begin(self, title: str) -> None:
        """Say that work begins; the first State may be long in coming."""

    @abc.abstractmethod
    def show(self, reading: Reading, outcome: str | None) -> None:
        """Show how far the work has come, or at its end also what it came to."""

    def say(self, title: str, what: str) -> None:  # noqa: B027 - optional
        """Say what is done before the first State."""

    def show_pass(self, title: str, under_way: PassUnderWay, reading: Reading | None) -> None:  # noqa: B027 - optional
        """Show how far one long pass has come; the reading is that of the last State, None before the first."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Leave the place as it is."""


@final
class Lines(Display):
    """A line now and then, ever more seldom: for logs, and for terminals without rich."""

    pause, slower = 1.0, 1.5

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def begin(self, title: str) -> None:
        print(f"{title}: begins", file=self._stream, flush=True)

    def say(self, title: str, what: str) -> None:
        print(f"{title}: {what}", file=self._stream, flush=True)

    def show(self, reading: Reading, outcome: str | None) -> None:
        told = f"{reading.title}: {reading.place}, {reading.books}; {reading.times}"
        print(
            told if outcome is None else f"{reading.title}: {outcome}; {reading.books}; {reading.times}",
            file=self._stream,
            flush=True,
        )

    def show_pass(self, title: str, under_way: PassUnderWay, reading: Reading | None) -> None:
        print(f"{title}: {under_way.books}", file=self._stream, flush=True)


@final
class Terminal(Display):
    """A few lines at the foot of a terminal, which are drawn anew."""

    def __init__(self, console: Any) -> None:
        # What a callback prints goes above these lines, unless standard output goes to a file.
        both = sys.stdout is not None and sys.stdout.isatty()
        self._live = import_module("rich.live").Live(console=console, auto_refresh=False, redirect_stdout=both)
        self._live.start()

    def begin(self, title: str) -> None:
        self._live.update(_heading(title), refresh=True)

    def say(self, title: str, what: str) -> None:
        self._live.update(_with_words(title, what), refresh=True)

    def show(self, reading: Reading, outcome: str | None) -> None:
        self._live.update(_drawn(reading, outcome), refresh=True)

    def show_pass(self, title: str, under_way: PassUnderWay, reading: Reading | None) -> None:
        self._live.update(_with_pass(title, under_way, reading), refresh=True)

    def close(self) -> None:
        self._live.stop()


@final
class Notebook(Display):
    """An output of a cell, which is drawn anew."""

    def __init__(self) -> None:
        self._handle: Any = None

    def begin(self, title: str) -> None:
        self._handle = import_module("IPython.display").display(_heading(title), display_id=True)

    def say(self, title: str, what: str) -> None:
        self._handle.update(_with_words(title, what))

    def show(self, reading: Reading, outcome: str | None) -> None:
        self._handle.update(_drawn(reading, outcome))

    def show_pass(self, title: str, under_way: PassUnderWay, reading: Reading | None) -> None:
        self._handle.update(_with_pass(title, under_way, reading))


def display() -> Display:
    """The best that there is: of rich in a notebook or a terminal, else lines on the standard error stream."""
    try:
        console = import_module("rich.console").Console(stderr=True)
    except ImportError:
        return Lines(sys.stderr)
    if console.is_jupyter:
        return Notebook()
    return Terminal(console) if console.is_terminal else Lines(sys.stderr)


def _heading(title: str) -> Any:
    # As Text, or rich would read signs in the name of a model as its own.
    drawn = import_module("rich.table").Table.grid(padding=(0, 1))
    drawn.add_row(import_module("rich.text").Text(title, style="bold"))
    return drawn


def _with_words(title: str, what: str) -> Any:
    drawn = _heading(title)
    drawn.add_row(import_module("rich.text").Text(what))
    return drawn


def _drawn(reading: Reading, outcome: str | None) -> Any:
    text, drawn = import_module("rich.text").Text, _heading(reading.title)
    drawn.add_row(_bar(reading, text) if outcome is None else text(f"{outcome}; {reading.times}"))
    drawn.add_row(text(reading.books))
    return drawn


def _with_pass(title: str, under_way: PassUnderWay, reading: Reading | None) -> Any:
    drawn = _heading(title) if reading is None else _drawn(reading, None)
    drawn.add_row(_row(_share(under_way.share), import_module("rich.text").Text(under_way.books)))
    return drawn


def _bar(reading: Reading, text: Any) -> Any:
    if reading.share is None:
        return text(f"{reading.place}, {reading.times}")
    return _row(text(reading.place), _share(reading.share), text(reading.times))


def _share(share: float) -> Any:
    return import_module("rich.progress_bar").ProgressBar(total=1.0, completed=share, width=_BAR)


def _row(*cells: Any) -> Any:
    row = import_module("rich.table").Table.grid(padding=(0, 1))
    row.add_row(*cells)
    return row
