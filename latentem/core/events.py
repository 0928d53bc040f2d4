"""Events and errors: what can go wrong on finite data, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, final

from attrs import evolve, frozen

from latentem.core.additive import Value

Kind = Literal[
    "floor",
    "empty",
    "coincident",
    "reseeded",
    "lifted",
    "separated",
    "gap",
    "unidentified",
    "held",
    "unobserved",
    "boundary",
    "edge",
    "unconverged",
    "lost",
]


@final
@frozen
class Event:
    """Something that a reader of the result should know.

    Attributes:
        kind: "floor" (a covariance is held up by its floor), "empty" (a component has no rows),
            "coincident" (two components are the same), "reseeded" (an empty component was moved to
            a row), "lifted" (given parameters were raised to the floor), "separated" (a logit runs off to infinity),
            "gap" (the books of the model contradict one another), "unidentified" (the data do not determine all
            parameters), "held" (parameters are held at what a random start drew), "unobserved" (the rows of a
            component lack a column), "boundary" (a parameter is where the family ends in another one, and does not
            count); of standard errors "edge" (numbers at the edge of what they may be),
            "unconverged" (the parameters are no maximum), "lost" (replications that do not count).
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
        return self.done or self.kind in ("unidentified", "held", "unobserved", "boundary")

    @property
    def done(self) -> bool:
        """Whether it is something that was done on the way, and not a state of the parameters."""
        return self.kind in ("reseeded", "lifted")

    @property
    def subject(self) -> tuple[str, int | None, str | None]:
        """The subject of the event: two events with one subject are the same event, seen twice."""
        return self.kind, self.component, self.field

    def describe(self, columns: Sequence[str] | None = None) -> str:
        """A sentence, with the column by its name where names are given."""
        where = "" if self.step is None else f"step {self.step}: "
        if self.column is None:
            return f"{where}{self.message}; {self.remedy}"
        name = str(self.column) if not columns else repr(columns[self.column])
        most = "" if self.kind == "unobserved" else "most in "
        return f"{where}{self.message} ({most}column {name}); {self.remedy}"

    def __str__(self) -> str:
        return self.describe()


@frozen
class Refusal(Value, Exception):
    """An exception that is a value: whoever knows more of what was found, its name or its place, puts it in."""

    def put(self, **changed: Any) -> Self:
        """A copy with other attributes."""
        return evolve(self, **changed)


@final
@frozen
class Degenerate(Refusal):
    """Parameters that are no longer a density: the one exception a model may raise on finite input.

    Attributes:
        component: Number of the component, or None where it concerns no single one.
        field: Name of the block that has no maximiser, or "posterior".
        reason: What was found.
        remedy: What can be done about it.
        row: Number in its chunk of the row that shows it, if one does; "{row}" stands for it in the reason.
        place: Where that row is, in words, once somebody knows.
    """

    component: int | None
    field: str
    reason: str
    remedy: str = "use fewer components, a tied structure, or a prior"
    row: int | None = None
    place: str | None = None

    def __str__(self) -> str:
        of = "" if self.component is None else f" of component {self.component}"
        reason = self.reason.replace("{row}", self.place or f"row {self.row} of its chunk")
        return f"{self.field}{of}: {reason}; {self.remedy}"


@final
@frozen
class ColumnError(Refusal, ValueError):
    """A column of the data cannot be fitted.

    Attributes:
        column: Its number, from 0.
        reason: What is wrong with it, and what to do; "{row}" stands for a row that shows it.
        name: Of the column, if it has one.
        row: Number of that row, if there is one.
        place: Where it is, in words, once somebody knows.
    """

    column: int
    reason: str
    name: str | None = None
    row: int | None = None
    place: str | None = None

    def __str__(self) -> str:
        reason = self.reason.replace("{row}", self.place or f"row {self.row}")
        return f"column {self.column if self.name is None else repr(self.name)} {reason}"


@final
@frozen
class RowError(Refusal, ValueError):
    """A row of the data cannot be fitted.

    Attributes:
        row: Its number, from 0, over all chunks.
        reason: What is wrong with it, and what to do; "{column}" stands for the column.
        column: Number of the column, or None.
        place: Where the row is, in words; None: its number says it.
        name: Of the column, if it has one.
        part: Which part of the model says so, or None.
    """

    row: int
    reason: str
    column: int | None = None
    place: str | None = None
    name: str | None = None
    part: str | None = None

    def __str__(self) -> str:
        column = repr(self.name) if self.name is not None else str(self.column)
        within = "" if self.part is None else f"in {self.part}: "
        return f"{within}{self.place or f'row {self.row}'}, {self.reason.replace('{column}', column)}"


@final
class Unavailable(TypeError):
    """Something was asked of a model that this kind of model does not have."""
