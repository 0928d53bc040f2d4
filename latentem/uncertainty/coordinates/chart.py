"""Free coordinates of parameters: as many as there are free numbers, and any value of theirs is allowed near zero."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import Any, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, own
from latentem.core import Degenerate, Event, LatentModel, get, put
from latentem.core.block import Path
from latentem.uncertainty.coordinates.scales import Logarithm, Logit, Plain, Scale
from latentem.uncertainty.coordinates.strands import Entry, Index, Softmax, Strand, Symmetric
from latentem.uncertainty.named import Number, numbers

Model = LatentModel[Any, Any, Any, Any]
_LISTED = 8
_NUDGE = 1e-3
"""Relative change by which a number is asked whether it may move."""


@final
@frozen(eq=False)
class Chart:
    """Parameters around some others, by coordinates that are zero there.

    Attributes:
        params: The parameters at zero.
        strands: What the coordinates move, part by part.
        units: The length of each coordinate's unit, shape (size,).
    """

    params: Any
    strands: tuple[Strand, ...]
    units: Array

    @property
    def size(self) -> int:
        """How many coordinates there are."""
        return sum(strand.size for strand in self.strands)

    def at(self, u: Array) -> Any:
        """The parameters at coordinates u, shape (size,).

        Raises:
            ValueError: there are none.
        """
        params, u = self.params, u * self.units
        begin = 0
        for path, strands in groupby(self.strands, attrgetter("path")):
            field = get(self.params, path)
            array = np.array(field, dtype=np.float64)
            moved = False
            for strand in strands:
                mine = u[begin : begin + strand.size]
                begin += strand.size
                if mine.any():
                    strand.move(array, mine)
                    moved = True
            if moved:
                params = put(params, path, own(array) if isinstance(field, np.ndarray) else float(array))
        return params

    def scaled(self, units: Array) -> Chart:
        """The chart with other units, shape (size,)."""
        return evolve(self, units=own(units))


@final
@frozen(eq=False)
class Free:
    """The free numbers of parameters, and coordinates for them.

    Attributes:
        numbers: All numbers that may move.
        scales: The scale of each.
        chart: Their coordinates.
        events: Numbers at the edge of what they may be, which do not move.
    """

    numbers: tuple[Number, ...]
    scales: tuple[Scale, ...]
    chart: Chart
    events: tuple[Event, ...]

    def without(self, coordinates: Collection[int]) -> Free:
        """The free numbers when those that these coordinates move stay as they are, as numbers at an edge."""
        strands: list[Strand] = []
        edges: set[tuple[Path, Index]] = set()
        begin = 0
        for strand in self.chart.strands:
            mine = frozenset(at - begin for at in coordinates if begin <= at < begin + strand.size)
            stay, left = strand.without(mine)
            edges |= {(strand.path, index) for index in stay}
            strands += [] if left is None else [left]
            begin += strand.size
        inside = [(one, scale) for one, scale in self.both if (one.path, one.index) not in edges]
        names = [one.name for one, _ in self.both if (one.path, one.index) in edges]
        events = (*self.events, edge(names)) if names else self.events
        return made_free(self.chart.params, inside, strands, events)

    @property
    def both(self) -> list[tuple[Number, Scale]]:
        """The numbers, each with its scale."""
        return list(zip(self.numbers, self.scales, strict=True))


def made_free(
    params: Any, found: Sequence[tuple[Number, Scale]], strands: Sequence[Strand], events: tuple[Event, ...]
) -> Free:
    """The value, with coordinates in their own units."""
    units = own(np.ones(sum(strand.size for strand in strands)))
    chart = Chart(params, tuple(strands), units)
    return Free(tuple(one for one, _ in found), tuple(scale for _, scale in found), chart, events)


def free_numbers(model: Model, params: Any) -> Free:
    """What is free in parameters: what an M-step sets, is not held, and is not at the edge of what is allowed."""
    paths = [block.path for block in model.blocks()]
    there = [one for one in numbers(model, params) if any(one.path[: len(path)] == path for path in paths)]
    kept: list[tuple[Number, Scale]] = []
    strands: list[Strand] = []
    edges: list[str] = []
    for _, group in groupby(there, lambda one: (one.path, _row(one))):
        together = [one for one in group if _is_free(model, params, one)]
        found, strand, at_edge = _strands(model, params, together)
        kept += found
        strands += strand
        edges += at_edge
    return made_free(params, kept, strands, (edge(edges),) if edges else ())


def _row(number: Number) -> Any:
    """What of its field moves together with a number: its row of shares, its matrix, or itself."""
    return number.index[: -{"shares": 1, "matrix": 2}[number.together]] if number.together else number.index


Found = tuple[list[tuple[Number, Scale]], list[Strand], list[str]]


def _strands(model: Model, params: Any, together: list[Number]) -> Found:
    if not together:
        return [], [], []
    one = together[0]
    if one.together == "matrix":
        matrix = np.asarray(get(params, one.path))[one.index[:-2]]
        strand = Symmetric(one.path, one.index[:-2], own(np.linalg.cholesky(matrix)))
        diagonal: Scale = Logarithm()
        return [(each, diagonal if each.index[-2] == each.index[-1] else Plain()) for each in together], [strand], []
    if one.together == "shares":
        inside = [each for each in together if each.value > 0]
        edges = [each.name for each in together if not each.value > 0]
        if len(inside) < 2:
            return [], [], edges
        rising = sorted(inside, key=attrgetter("value"))
        shares = Softmax(one.path, one.index[:-1], tuple(each.index[-1] for each in rising))
        return [(each, Logit()) for each in inside], [shares], edges
    scale = _scale(model, one)
    if scale is None:
        return [], [], [one.name]
    return [(one, scale)], [Entry(one.path, one.index, scale)], []


def _is_free(model: Model, params: Any, number: Number) -> bool:
    """Whether a number is not held: a change of it is left as it is."""
    value = number.value
    for there in _near(number):
        with suppress(ValueError, ArithmeticError, Degenerate):
            held = evolve(number, params=model.held(number.changed(there), params))
            return abs(held.value - value) > 0.1 * abs(there - value)
    return True  # it may not move alone, as an entry of a unit vector


def _near(number: Number) -> Iterator[float]:
    value = number.value
    step = _NUDGE * (min(value, 1 - value) if number.together == "shares" and 0 < value < 1 else abs(value) or 1.0)
    yield from (value + step, value - step)


def _scale(model: Model, number: Number) -> Scale | None:
    """The scale of a number, told by which values the model allows; None at the edge of these."""
    value = number.value
    if not np.isfinite(value):
        return None
    if not any(_allows(model, number, there) for there in _near(number)):
        return Plain()  # it may not move alone
    if value < 0 or _allows(model, number, -max(value, _NUDGE)):
        return Plain()
    if value == 0:
        return None
    if value <= 1 and not _allows(model, number, 1 + max(1 - value, _NUDGE)):
        return Logit() if value < 1 else None
    return Logarithm()


def _allows(model: Model, number: Number, value: float) -> bool:
    try:
        model.check_params(number.changed(value))
    except (ValueError, TypeError, ArithmeticError, Degenerate):
        return False
    return True


def edge(names: Sequence[str]) -> Event:
    """The event that numbers are at the edge of what they may be."""
    one = len(names) == 1
    return Event(
        "edge",
        f"{listed(names)} {'is' if one else 'are'} at the edge of what is allowed, or not determined by the data: "
        f"no standard error is known, and those of the others take {'it' if one else 'them'} for known",
        "use a bootstrap, or a prior that keeps parameters off their edges",
    )


def listed(names: Sequence[str]) -> str:
    """Some names in a sentence: the first of them, and how many more there are."""
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
