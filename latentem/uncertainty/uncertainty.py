"""Standard errors and intervals of parameters, as values that print."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from attrs import frozen
from scipy.special import ndtri

from latentem.arrays import Array, own
from latentem.core import Event, Value
from latentem.report import counted, table
from latentem.report import html as pieces
from latentem.report.frame import table_of
from latentem.uncertainty.coordinates.scales import Scale

_SHOWN = 60
"""The most numbers that are printed."""
Function = Callable[[Any], Any]


@final
@frozen
class Estimate:
    """One number, and how sure it is.

    Attributes:
        name: Its dotted name.
        estimate: Its value at the fit.
        standard_error: Its standard error; NaN where none is known, and an event says why.
        low: The lower end of its interval.
        high: The upper end.
    """

    name: str
    estimate: float
    standard_error: float
    low: float
    high: float


@frozen(eq=False, repr=False)
class Uncertainty(Value):
    """Standard errors, intervals and the covariance of numbers, each by its name: `found["weights[0]"]`.

    Attributes:
        model: What was fitted, as Python shows it.
        observations: How much the data count.
        names: Of the numbers, such as "components.means[0, 1]".
        estimates: Their values at the fit, shape (m,).
        level: The probability of the intervals.
        events: What a reader should know.
    """

    model: str
    observations: float
    names: tuple[str, ...]
    estimates: Array
    level: float
    events: tuple[Event, ...]

    @property
    @abc.abstractmethod
    def method(self) -> str:
        """How it was found, in words."""

    @property
    @abc.abstractmethod
    def covariance(self) -> Array:
        """Covariance of the numbers, shape (m, m); NaN where it is not known."""

    @abc.abstractmethod
    def interval(self, level: float | None = None) -> Array:
        """The ends of an interval for each number, shape (m, 2); by default at `level`."""

    @abc.abstractmethod
    def of(self, function: Function) -> Uncertainty:
        """The uncertainty of a function of the parameters.

        Args:
            function: From parameters, a number, an array, or a mapping of names to numbers.
        """

    @property
    @abc.abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What the method has to say beside the table, in sentences."""

    @property
    def standard_errors(self) -> Array:
        """Standard error of each number, shape (m,)."""
        found: Array = np.sqrt(np.diagonal(self.covariance))
        return own(found)

    def rows(self) -> list[Estimate]:
        """The numbers one by one."""
        figures = zip(self.estimates, self.standard_errors, *self.interval().T, strict=True)
        return [Estimate(name, *map(float, mine)) for name, mine in zip(self.names, figures, strict=True)]

    def __getitem__(self, name: str) -> Estimate:
        found = [row for row in self.rows() if row.name == name or row.name.endswith(f".{name}")]
        if len(found) != 1:
            listed = ", ".join(self.names[:8]) + (" ..." if len(self.names) > 8 else "")
            raise KeyError(
                f"{name!r} is {'the end of several names' if found else 'no name'} here: give one of {listed}"
            )
        return found[0]

    def text(self) -> str:
        """Plain text, as `print` shows it."""
        return "\n".join([self.headline, "", table(self._cells()), "", *self.notes, *self._told()])

    def html(self) -> str:
        """HTML without style sheets, scripts or colours of its own."""
        told = [event.describe() for event in self.events]
        return pieces.page(
            pieces.paragraph(self.headline, strong=True),
            pieces.table(self._cells()),
            *map(pieces.paragraph, self.notes),
            *([pieces.paragraph("events:"), pieces.items(told)] if told else [pieces.paragraph("events: none")]),
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as lists, strings and numbers, which JSON can write; what is not known is None."""
        return {
            "model": self.model,
            "observations": self.observations,
            "method": self.method,
            "level": self.level,
            **{name: [_or_none(v) for v in values] for name, values in self._columns().items()},
            "covariance": [[_or_none(v) for v in row] for row in self.covariance.tolist()],
            "notes": list(self.notes),
            "events": [event.describe() for event in self.events],
        }

    def to_frame(self, library: str | None = None) -> Any:
        """One row a number, as a table of pandas, polars or pyarrow, by its name; None: of the first that is there.

        Raises:
            ImportError: it, or every one of them, is not installed; the message says how to install it.
        """
        return table_of(self._columns(), library)

    @property
    def headline(self) -> str:
        """What it is of, and how it was found."""
        return f"{self.model} on {counted(self.observations, 'observation')}: {self.method}"

    def _columns(self) -> dict[str, list[Any]]:
        rows = self.rows()
        return {
            "number": [row.name for row in rows],
            "estimate": [row.estimate for row in rows],
            "standard error": [row.standard_error for row in rows],
            "low": [row.low for row in rows],
            "high": [row.high for row in rows],
        }

    def _cells(self) -> list[list[str]]:
        rows = self.rows()
        cells = [["number", "estimate", "standard error", f"{100 * self.level:g}% interval", ""]]
        for row in rows[:_SHOWN]:
            figures = (row.estimate, row.standard_error, row.low, row.high)
            cells.append([row.name, *("-" if np.isnan(figure) else f"{figure:.5g}" for figure in figures)])
        return cells

    def _told(self) -> list[str]:
        left = len(self.names) - _SHOWN
        more = [f"({left} more numbers not shown)"] if left > 0 else []
        return [*more, *(["events:", *(f"- {event}" for event in self.events)] if self.events else ["events: none"])]

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def checked(level: float | None, default: float) -> float:
    """The probability of an interval.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if level is None:
        return default
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ValueError(f"level was given as {level!r}: give a probability between 0 and 1, such as 0.95")
    return float(level)


def named(given: Any) -> tuple[tuple[str, ...], Array]:
    """Names and values of what a function of the parameters gave.

    Raises:
        TypeError: they are no numbers.
    """
    parts = given.items() if isinstance(given, Mapping) else [("value", given)]
    names: list[str] = []
    values: list[float] = []
    for name, part in parts:
        array = np.asarray(part)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"the function gave {given!r}: it must give a number, an array, or a mapping to such")
        for index in np.ndindex(array.shape):
            names.append(f"{name}[{', '.join(map(str, index))}]" if index else str(name))
            values.append(float(array[index]))
    return tuple(names), own(np.array(values))


def normal_interval(estimates: Array, errors: Array, scales: Sequence[Scale], level: float) -> Array:
    """Normal intervals of numbers, (m,) -> (m, 2), on their scales, so that both ends are allowed."""
    reach = float(ndtri((1 + level) / 2))
    ends = np.empty((len(estimates), 2))
    for row, value, error, scale in zip(ends, estimates, errors, scales, strict=True):
        middle, half = scale.forward(value), reach * error * scale.slope(value)
        row[:] = scale.back(middle - half), scale.back(middle + half)
    return own(ends)


def _or_none(value: float | str) -> float | str | None:
    return None if value != value else value
