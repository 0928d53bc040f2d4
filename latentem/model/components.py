"""Models over a family: units, or time steps, that each belong to one of k components."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, ClassVar, TypeVar, cast

import numpy as np

from latentem.arrays import Array, Labels
from latentem.core import (
    Clustering,
    ColumnError,
    Degenerate,
    Event,
    Hidden,
    LatentModel,
    Path,
    RowError,
    Whole,
    place_of,
)
from latentem.data import Rows, Units, chunk_of, chunks_of
from latentem.data.values import refuse_absent_columns, refuse_extreme_weights
from latentem.family import Family
from latentem.family.base import refuse_shape, shown
from latentem.family.columns import natural_number
from latentem.kernel import NEVER, Kernel

_EMPTY = 1e-10
_CHUNK = 2**15
"""Numbers in the tables of a chunk, (rows, k) and (rows, d): so few that they stay in cache."""

X = TypeVar("X")
R = TypeVar("R", bound=Any)
S = TypeVar("S", bound=Any)
P = TypeVar("P", bound=Any)


Kernels = dict[int, tuple[Family[Any, Any], Kernel | None]]
"""Kernels by `id(family)`. The family is kept too: were it freed, another could be given its id."""


def kernel_at(kernels: Kernels, family: Family[Any, Any], params: Any, log_weights: Array) -> Kernel | None:
    """The kernel of a family at its parameters: made at the first chunk of a pass, and kept beside the parameters."""
    made = kernels.get(id(family))
    if made is None:
        made = kernels[id(family)] = family, family.kernel(params, np.maximum(log_weights, NEVER))
    return made[1]


def number_of(things: str) -> Callable[[Any, Any, Any], None]:
    """A validator for how many components there are, or factors."""

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if not natural_number(value):
            raise ValueError(f"{attribute.name} was given as {value!r}: give a whole number of {things}, at least 1")

    return check


def a_family(instance: Any, attribute: Any, value: Any) -> None:
    """A validator for what the components are."""
    if not isinstance(value, Family):
        raise TypeError(f"family was given as {value!r}: give a Family, such as Gaussian() or Poisson()")


class ComponentModel(LatentModel[X, R, S, P], Whole[S, P]):
    """A latent structure over k components of one family.

    It says how labels come about; the family, one of its pieces, says what a row looks like, given its label.
    Chunks keep the protocol `Chunk` of the core.

    Class attributes that a model may say:
        part: The name of the family among the pieces, which is its field in parameters and statistics.
        kind: The kind of its chunks, such as `Rows` or `Sequences`.
    """

    __slots__ = ()

    part: ClassVar[str] = "components"
    kind: ClassVar[type[Units]] = Rows

    @property
    @abc.abstractmethod
    def family(self) -> Family[Any, Any]:
        """The family of the components."""

    @property
    @abc.abstractmethod
    def k(self) -> int:
        """How many there are."""

    @abc.abstractmethod
    def units(self, statistics: S) -> Array:
        """Expected number of rows in each component, shape (k,)."""

    @abc.abstractmethod
    def gathered(self, chunk: X, responsibilities: Array, weight: Array | None = None) -> S:
        """Statistics of rows with these responsibilities, (n, k), independent of one another: how a start is made.

        Args:
            chunk: The rows.
            responsibilities: Of each row, shape (n, k).
            weight: How much each row counts, shape (n,), instead of the chunk's own weights.
        """

    @property
    def background(self) -> int:
        """How many of the components, the last ones, are noise."""
        return self.family.background

    @property
    def ellipsoidal(self) -> bool:
        """Whether a component is told by its mean and its scatter."""
        return self.family.ellipsoidal

    @property
    def hard(self) -> bool:
        return False

    def clustered(self, chunk: X, labels: Labels) -> S:
        """Statistics of rows in given components, (n,)."""
        return self.gathered(chunk, np.eye(self.k)[labels])

    def evened(self, chunk: Any) -> S:
        """Statistics of rows that all components share alike."""
        return self.gathered(chunk, np.full((len(chunk.x), self.k), 1 / self.k))

    def clusters(self) -> Clustering:
        return self

    @property
    def location(self) -> Path:
        """Path of the block that says where the components are."""
        blocks = self.family.blocks()
        return (self.part, *blocks[0].path) if blocks else (self.part,)

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> X:
        return cast(X, chunk_of(self.kind, data, weights, allowed, self.k, self.family.takes_missing))

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[X]:
        made = chunks_of(self.kind, data, weights, allowed, self._rows, self.k, self.family.takes_missing)
        return cast(Sequence[X], made)

    def _rows(self, n: int, d: int) -> int:
        """How many of n rows with d columns a chunk has."""
        return max(256, _CHUNK // max(self.k, d))

    def _as_chunk(self, data: Any) -> X:
        return cast(X, data) if isinstance(data, self.kind) else self.chunk(data)

    def coordinates(self, x: Array) -> Array | None:
        """Coordinates of rows in which starts measure distances; None: as they are."""
        return self.family.coordinates(x)

    def infer(self, params: P, chunk: Any) -> tuple[Array, Hidden | None]:
        """Masked log densities of the rows, shape (n, k), and what else is latent in a component."""
        density, hidden = self.family.infer(self._own(params), chunk.x)
        return self.masked(density, chunk), hidden

    def masked(self, density: Array, chunk: Any) -> Array:
        """Log densities of the rows, shape (n, k), minus infinity where a row may not be.

        Raises:
            ValueError: the family gave another shape.
        """
        if np.shape(density) != (len(chunk.x), self.k):
            wanted = f"of shape ({len(chunk.x)}, {self.k}), a row for each row of x and a column for each component"
            refuse_shape(self.family, "log_density", density, wanted)
        return density if chunk.allowed is None else np.where(chunk.allowed, density, -np.inf)  # (eq: allowed)

    def refuse_unsound(self, log_joint: Array, chunk: Any) -> None:
        """Refuse log densities, shape (n, k), that leave a row without a posterior.

        Raises:
            Degenerate: one is not a number or infinite, or all of one row are minus infinity.
        """
        highest = log_joint.max(axis=1)
        if not (highest < np.inf).all():
            row = int(np.argmin(highest < np.inf))
            component = int(np.argmin(log_joint[row] < np.inf))
            reason = f"its log at {{row}}, {shown(chunk.x[row])}, is {log_joint[row, component]}"
            raise Degenerate(component, "density", reason, row=row)
        impossible = highest == -np.inf
        if impossible.any():
            row = int(impossible.argmax())
            raise Degenerate(
                None,
                "posterior",
                f"the density of {{row}}, {shown(chunk.x[row])}, is zero under every component that it may belong to",
                "start from wider components, or look at that row",
                row=row,
            )

    def emitted(self, chunk: Any, weights: Array, hidden: Hidden | None) -> Any:
        """The family's statistics of the rows under weights, shape (n, k)."""
        if hidden is None:
            return self.family.statistics(chunk.x, weights)
        return self.family.expected(chunk.x, weights, hidden)

    def diagnose(self, params: P, statistics: S) -> Sequence[Event]:
        units = self.units(statistics)
        some = len(units) - self.background  # that no row is noise is as sound as that some are
        few = units[:some] <= _EMPTY * units.sum()
        events = [
            Event(
                "empty",
                f"{self.noun} {j} has no rows",
                "use fewer components or another start; where weights are learnt, PseudoCounts keeps it alive",
                j,
            )
            for j in (np.flatnonzero(few).tolist() if few.any() else ())
        ]
        for i, j in self.family.alike(self._own(params), self._own(statistics)):
            if self.alike(params, i, j):
                events.append(
                    Event(
                        "coincident",
                        f"components {i} and {j} are the same distribution, and EM cannot part them",
                        "start from components that differ, or use fewer",
                        j,
                    )
                )
        return [*events, *super().diagnose(params, statistics)]

    def describe(self, params: P, statistics: S) -> Mapping[str, Array]:
        return {"expected rows": self.units(statistics), **self.family.describe(self._own(params))}

    def as_mixture(self, params: P, statistics: S) -> tuple[Array, Family[Any, Any], Any]:
        units = self.units(statistics)
        return units / units.sum(), self.family, self._own(params)

    def check(self, chunks: Sequence[Any], held: Set[Path] = frozenset()) -> None:
        n = 0
        for chunk in chunks:  # no further than need be: chunks may come from a file
            n += int(np.count_nonzero(chunk.row_weight))
            if n >= self.k:
                break
        if n < self.k:
            raise ValueError(
                f"{n} rows were given for {self.k} components: give at least {self.k} that count, or lower k"
            )
        refuse_extreme_weights(chunks)
        if self.family.takes_missing:
            refuse_absent_columns(chunks)
        within = frozenset(path[1:] for path in held if path[:1] == (self.part,))
        try:
            self.family.check((chunk.x for chunk in chunks), within)
        except (RowError, ColumnError) as error:
            if error.row is None:
                raise
            raise error.put(place=place_of(error.row, chunks)) from None

    def check_params(self, params: P) -> None:
        self.family.check_params(self._own(params), self.k)

    def alike(self, params: P, i: int, j: int) -> bool:
        """Whether nothing else tells two components of the same density apart, either."""
        return True

    def _own(self, value: Any) -> Any:
        return getattr(value, self.part)
