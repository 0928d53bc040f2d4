"""A selection: what became of the candidates, ranked by a criterion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, final

from attrs import evolve, field, frozen

from latentem.fitted import Fit
from latentem.report import counted, html, number, table, table_of
from latentem.run import Ending
from latentem.run.ranking import SAME_MODE
from latentem.selection.contender import CRITERIA, UNREACHED, Contender

_FIRST = 3
"""So many of the best are printed."""


def criterion_of(given: Any) -> str:
    """The name of a criterion.

    Raises:
        ValueError: there is no such criterion.
    """
    if given not in CRITERIA:
        raise ValueError(f"criterion was given as {given!r}: give one of {', '.join(map(repr, CRITERIA))}")
    name: str = given
    return name


@final
@frozen(eq=False, repr=False)
class Selection(Sequence[Contender]):
    """Candidates with their fits: `best` is the best of them, and `print` shows the three best.

    As a sequence it has the candidates in the order in which they were given; `selection["VEV,3"]` is that of the name.

    Attributes:
        candidates: All of them.
        criterion: What they are ranked by: "bic", "icl" or "aic", lower is better.
    """

    candidates: tuple[Contender, ...]
    criterion: str = field(default="bic", converter=criterion_of)

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Iterator[Contender]:
        return iter(self.candidates)

    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, str):
            return self.candidates[which]
        found = next((candidate for candidate in self.candidates if candidate.name == which), None)
        if found is None:
            names = ", ".join(repr(candidate.name) for candidate in self.candidates[:8])
            more = ", ..." if len(self) > 8 else ""
            raise KeyError(f"{which!r} is none of the candidates: {names}{more}")
        return found

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C came before all were fitted."""
        return any(
            one.reason == UNREACHED or (one.fit is not None and one.fit.status.ending is Ending.INTERRUPTED)
            for one in self.candidates
        )

    def by(self, criterion: str) -> Selection:
        """The same fits, ranked by another criterion."""
        return evolve(self, criterion=criterion)

    @cached_property
    def ranked(self) -> tuple[Contender, ...]:
        """Clean fits from the best to the worst; then those that are not clean, likewise; then what has no figure.

        Of those whose figures differ by rounding alone the first that was given comes first.
        """
        groups: tuple[list[Contender], list[Contender], list[Contender]] = ([], [], [])
        for candidate in self.candidates:
            known = self._value(candidate) is not None
            groups[0 if known and candidate.clean else 1 if known else 2].append(candidate)
        return (*self._in_order(groups[0]), *self._in_order(groups[1]), *groups[2])

    @property
    def best_candidate(self) -> Contender:
        """The first of the clean ones.

        Raises:
            ValueError: no candidate has a clean fit with such a figure.
        """
        first = self.ranked[0]
        if self._value(first) is None or not first.clean:
            raise ValueError(
                f"no candidate has a clean fit with {CRITERIA[self.criterion]}; {first.name!r}: {first.status}. Look "
                "at table(), and give smaller models, tied structures or a prior"
            )
        return first

    @property
    def best(self) -> Fit[Any]:
        """The fit of the best candidate; `ValueError` where none is clean."""
        fit = self.best_candidate.fit
        assert fit is not None
        return fit

    def differences(self) -> dict[str, float | None]:
        """How far each candidate's criterion is above that of the best, from the best to the worst; None: not known."""
        least = self._value(self.ranked[0])
        known = {candidate.name: self._value(candidate) for candidate in self.ranked}
        return {name: None if value is None or least is None else value - least for name, value in known.items()}

    def table(self) -> str:
        """All candidates from the best to the worst, as plain text."""
        return table(self.rows())

    def to_frame(self, library: str | None = None) -> Any:
        """All candidates from the best to the worst as a table of pandas, polars or pyarrow, by its name.

        None takes the first of them that is in use already, else the first that is installed.

        Raises:
            ImportError: it, or every one of them, is not installed; the message says how to install it.
        """
        ranked, differences = self.ranked, self.differences()
        columns: dict[str, list[Any]] = {
            name: [getattr(candidate, name) for candidate in ranked]
            for name in ("name", "k", "log_likelihood", "n_parameters", *CRITERIA, "normalised_entropy")
        }
        columns["difference"] = [differences[candidate.name] for candidate in ranked]
        columns["clean"] = [candidate.clean for candidate in ranked]
        columns["status"] = [candidate.status for candidate in ranked]
        columns["events"] = [" | ".join(map(str, candidate.events)) for candidate in ranked]
        return table_of(columns, library)

    def rows(self, most: int | None = None) -> list[list[str]]:
        """The cells of the table, the header first, of all candidates or of the best ones."""
        head = ["", "k", "log likelihood", "parameters", *CRITERIA.values(), "entropy", "difference", "status"]
        differences, rows = self.differences(), [head]
        for candidate in self.ranked[:most]:
            figures = [getattr(candidate, name) for name in CRITERIA]
            cells = [candidate.k, _told(candidate.log_likelihood), candidate.n_parameters, *map(_told, figures)]
            entropy, difference = candidate.normalised_entropy, differences[candidate.name]
            cells += [_told(entropy, ".4f"), _told(difference, ".4f"), candidate.status]
            rows.append([candidate.name, *("" if cell is None else str(cell) for cell in cells)])
        return rows

    @property
    def headline(self) -> str:
        """What was selected from, and by what."""
        fit = next((candidate.fit for candidate in self.candidates if candidate.fit is not None), None)
        on = "" if fit is None else f" on {counted(fit.observations, 'observation')}"
        return f"{counted(len(self), 'candidate')}{on}, by {CRITERIA[self.criterion]} (lower is better)"

    @property
    def outcome(self) -> str:
        """How many fits are clean, how many are not, and how many there are none of."""
        clean = sum(candidate.clean for candidate in self.candidates)
        fitted = sum(candidate.fit is not None for candidate in self.candidates)
        told = [f"{clean} clean"]
        if fitted > clean:
            told.append(f"{fitted - clean} degenerate or broken off, which cannot win")
        if len(self) > fitted:
            told.append(f"{len(self) - fitted} without a fit")
        return f"{', '.join(told)}; all of them: table()"

    def __repr__(self) -> str:
        return f"<Selection from {self.headline}>"

    def __str__(self) -> str:
        return "\n".join([self.headline, "", table(self.rows(_FIRST)), "", self.outcome])

    def _repr_html_(self) -> str:
        all_of_them = html.folded(f"all candidates ({len(self)})", html.table(self.rows()))
        head, rows = html.paragraph(self.headline, strong=True), html.table(self.rows(_FIRST))
        return html.page(head, rows, html.paragraph(self.outcome.partition(";")[0]), all_of_them)

    def _value(self, candidate: Contender) -> float | None:
        return candidate.figure(self.criterion)

    def _in_order(self, candidates: list[Contender]) -> list[Contender]:
        left, order = [(value, one) for one in candidates if (value := self._value(one)) is not None], []
        while left:
            least = min(value for value, _ in left)
            number = next(i for i, (value, one) in enumerate(left) if value <= least + _rounding(one))
            order.append(left.pop(number)[1])
        return order


def _rounding(candidate: Contender) -> float:
    """Within how much of each other two figures are the same."""
    return 0.0 if candidate.fit is None else 2 * SAME_MODE * candidate.fit.observations


def _told(value: float | None, digits: str | None = None) -> str:
    if value is None:
        return ""
    return number(value) if digits is None else format(value, digits)
