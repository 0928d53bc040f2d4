"""A trace as its page sees it: each parameter value once, with its E-step, and the rows that are drawn."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np
from attrs import define, frozen

from latentem.answers import marginals
from latentem.arrays import Array, Labels
from latentem.core import Chunk, Expectation, Unavailable, e_step
from latentem.core.chunk import row_count

if TYPE_CHECKING:
    from latentem.teaching.trace import Frame, Trace

DRAWN = 2000
"""So many rows are drawn at most: more would be a blot, and a large page."""
COLUMNS = 8
"""So many columns are on a page at most."""


@final
@frozen(eq=False)
class Shape:
    """Components in some of the columns.

    Attributes:
        centres: Shape (k, c); NaN where a component has none.
        scales: Their scale matrices, shape (k, c, c), or None where densities are not constant on ellipses.
        dof: Degrees of freedom of their t densities, shape (k,); infinite is normal.
    """

    centres: Array
    scales: Array | None
    dof: Array


@final
@define(eq=False, slots=False)
class Study:
    """What several panels of a page ask of a trace.

    Attributes:
        trace: The trace.
        columns: Numbers of the columns that are shown, in order; None for the first few.
    """

    trace: Trace
    columns: tuple[int, ...] | None = None

    @cached_property
    def params(self) -> list[Any]:
        """The parameters of the frames and of their q, each once, in the order of the run."""
        found: list[Any] = []
        for frame in self.trace:
            for params in (frame.q_params, frame.params):
                if params is not None and self._place(found, params) is None:
                    found.append(params)
        return found

    def at(self, frame: Frame) -> int:
        """Where the parameters of a frame are in `params`."""
        place = self._place(self.params, frame.params)
        assert place is not None
        return place

    def q_at(self, frame: Frame) -> int | None:
        """Where those are that q of a frame is the posterior at; None at the start."""
        return None if frame.q_params is None else self._place(self.params, frame.q_params)

    @staticmethod
    def _place(found: list[Any], params: Any) -> int | None:
        return next((i for i, one in enumerate(found) if one is params), None)

    @cached_property
    def expectations(self) -> list[Expectation[Any]]:
        """The E-step at each of `params`."""
        placed = self.trace._placed()
        return [e_step(self.trace.model, params, placed) for params in self.params]

    def statistics_at(self, params: Any) -> Any:
        """The expected statistics at other parameters."""
        return e_step(self.trace.model, params, self.trace._placed()).statistics

    @cached_property
    def x(self) -> Array:
        """All rows, shape (n, d).

        Raises:
            Unavailable: the chunks have no rows of numbers.
        """
        tables = [_rows(chunk) for chunk in self.trace.chunks]
        return np.concatenate(tables)

    @property
    def width(self) -> int:
        """How many columns a row has."""
        return int(self.x.shape[1])

    @cached_property
    def shown(self) -> tuple[int, ...]:
        """Numbers of the columns that are shown."""
        return self.columns if self.columns is not None else tuple(range(min(self.width, COLUMNS)))

    def name(self, column: int) -> str:
        """The name of a column, x0, x1, ... where it has none."""
        return self.trace.columns[column] if self.trace.columns else f"x{column}"

    @cached_property
    def lengths(self) -> Labels | None:
        """How many rows each unit has, shape (units,); None where each row is one."""
        return np.concatenate([chunk.lengths for chunk in self.trace.chunks]) if self.chained else None

    @property
    def chained(self) -> bool:
        """Whether the rows are those of sequences."""
        return all(isinstance(chunk, Chunk) and chunk.lengths is not None for chunk in self.trace.chunks)

    @cached_property
    def kept(self) -> Labels:
        """Numbers of the rows that are drawn: all, or evenly spaced ones; of sequences the first ones."""
        n = len(self.x)
        if n <= DRAWN or self.lengths is not None:
            return np.arange(min(n, DRAWN))
        return np.linspace(0, n - 1, DRAWN).round().astype(np.int64)

    @cached_property
    def responsibilities(self) -> Array:
        """q of each of `params` for the rows that are drawn, shape (settings, rows, k).

        Raises:
            Unavailable: the latents are no labels of rows.
        """
        model, chunks = self.trace.model, self.trace.chunks
        found = [
            np.concatenate([marginals(model, params, chunk) for chunk in chunks])[self.kept] for params in self.params
        ]
        return np.stack(found)

    @property
    def rows(self) -> int:
        """How many rows there are, or units where there are no rows."""
        return sum(map(row_count, self.trace.chunks))

    @cached_property
    def shapes(self) -> list[Shape] | None:
        """Components at each of `params` in the columns that are shown, or None where the model does not say."""
        try:
            return [self.shape(params, e.statistics) for params, e in zip(self.params, self.expectations, strict=True)]
        except Unavailable:
            return None

    def shape(self, params: Any, statistics: Any) -> Shape:
        """Components in the columns that are shown.

        Raises:
            Unavailable: the model does not say it.
        """
        described = self.trace.model.describe(params, statistics)
        if "loading" in described:
            raise Unavailable("its rows are those of a table of factors")
        if "centre" in described:  # of a cluster, which has no width
            centres = np.asarray(described["centre"])[:, self.shown]
            return Shape(centres, None, np.full(len(centres), np.inf))
        _, family, own = self.trace.model.as_mixture(params, statistics)
        try:
            seen, its = family.marginal(own, self.shown, self.width)
            return Shape(*seen.elliptical(its))
        except Unavailable:
            middles = ("mean", "direction", *(("rate",) if family.discrete else ()))  # 1 / rate is a mean elsewhere
            found = [described[name] for name in middles if np.shape(described.get(name, ()))[1:] == (self.width,)]
            if not found:
                raise
            return Shape(np.asarray(found[0])[:, self.shown], None, np.full(len(found[0]), np.inf))


def _rows(chunk: Any) -> Array:
    x = chunk.x if isinstance(chunk, Chunk) else chunk
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.dtype.kind not in "fiub":
        raise Unavailable("its data are no rows of numbers")
    return x.astype(np.float64, copy=False)
