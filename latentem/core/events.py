"""What can go wrong on finite data, said by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, final

from attrs import frozen

Kind = Literal["floor", "empty", "coincident", "reseeded", "lifted", "separated", "gap"]


@final
@frozen
class Event:
    """Something that a reader of the result should know.

    Attributes:
        kind: "floor" (a covariance is held up by its floor), "empty" (a component has no units),
            "coincident" (two components are the same), "reseeded" (an empty component was moved to
            a row), "lifted" (given parameters were raised to the floor), "separated" (a logit runs off to infinity),
            "gap" (the books of the model contradict one another).
        message: What was seen, in words.
        remedy: What can be done about it.
        component: Number of the component, or None where it concerns them all.
        field: Last part of the name of the block that it concerns.
        column: Number of the data column that it concerns most, where there is one.
        step: Index of the step since which it has held; filled in by the runner.
    """

    kind: Kind
    message: str
    remedy: str
    component: int | None = None
    field: str | None = None
    column: int | None = None
    step: int | None = None

    @property
    def clean(self) -> bool:
        """Whether a fit with this event is still as good as one without it."""
        return self.kind in ("reseeded", "lifted")

    @property
    def subject(self) -> tuple[str, int | None, str | None]:
        """What the event is about: two events with one subject are the same event, seen twice."""
        return self.kind, self.component, self.field

    def describe(self, columns: Sequence[str] | None = None) -> str:
        """A sentence, with the column by its name where names are given."""
        where = "" if self.step is None else f"step {self.step}: "
        if self.column is None:
            return f"{where}{self.message}; {self.remedy}"
        name = str(self.column) if not columns else repr(columns[self.column])
        return f"{where}{self.message} (most in column {name}); {self.remedy}"

    def __str__(self) -> str:
        return self.describe()


@final
@frozen
class Degenerate(Exception):
    """Parameters that are no longer a density: the one exception a model may raise on finite input.

    Attributes:
        component: Number of the component, or None where it concerns no single one.
        field: Name of the block that has no maximiser, or "posterior".
        reason: What was found.
        remedy: What can be done about it.
    """

    component: int | None
    field: str
    reason: str
    remedy: str = "use fewer components, a tied structure, or a prior"

    def __reduce__(self) -> tuple[Any, ...]:
        return Degenerate, (self.component, self.field, self.reason, self.remedy)  # it comes home from other processes

    def __str__(self) -> str:
        of = "" if self.component is None else f" of component {self.component}"
        return f"{self.field}{of}: {self.reason}; {self.remedy}"


@final
class ColumnError(ValueError):
    """A column of the data cannot be fitted.

    Attributes:
        column: Its number, from 0.
        reason: What is wrong with it, and what to do.
    """

    def __init__(self, column: int, reason: str, name: str | None = None) -> None:
        super().__init__(column, reason, name)
        self.column, self.reason, self.name = column, reason, name

    def __str__(self) -> str:
        return f"column {self.column if self.name is None else repr(self.name)} {self.reason}"


@final
class Unavailable(TypeError):
    """Something was asked of a model that this kind of model does not have."""
