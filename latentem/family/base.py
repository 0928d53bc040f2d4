"""Families: p(x | z = k), shared by mixtures and whatever else has components."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, final

import numpy as np
import numpy.typing as npt

from latentem.arrays import Array, Labels
from latentem.core import ColumnError, Event, Hidden, Learnable, Path, RowError, Unavailable, Vector
from latentem.kernel.base import Kernel

if TYPE_CHECKING:
    from latentem.family.composite.on import Part

S = TypeVar("S", bound=Vector)
P = TypeVar("P")


class Family(Learnable[S, P]):
    """k densities of one kind. Immutable; holds no data and no parameters. The first of its blocks is the location.

    Class attributes that a family may say:
        discrete: Whether a row has a probability (True) or a density (False). Asked only where both may meet, as
            beside a point mass, for the two do not compare.
        takes: In words, what a value may be; for messages.
        codes: Whether a value may be the number of a category, which has no size.
    """

    __slots__ = ()

    discrete: ClassVar[bool | None] = None
    takes: ClassVar[str] = "what its support holds"
    codes: ClassVar[bool] = False

    @abc.abstractmethod
    def log_density(self, params: P, x: Array) -> Array:
        """log p(x_n | z = k, params) in nats, shape (n, k)."""

    @abc.abstractmethod
    def statistics(self, x: Array, weights: Array) -> S:
        """Sufficient statistics of rows x, (n, d), weighted by component, (n, k)."""

    @abc.abstractmethod
    def count(self, params: P) -> int:
        """The number of components k in the parameters."""

    @final
    def on(self, *columns: int | str) -> Part:
        """This family over some columns of the row, by name or numbered from 0; it does not see the others.

        Names are those of the table that is fitted; `fit` looks them up.

        Raises:
            ValueError: a column is neither a name nor a whole number of at least 0, or is given twice.
        """
        from latentem.family.composite.on import Part  # which is a family itself

        return Part(self, columns)

    @property
    def takes_missing(self) -> bool:
        """Whether a row may hold NaN, for a value that is missing at random."""
        return False

    def infer(self, params: P, x: Array) -> tuple[Array, Hidden | None]:
        """The log densities of `log_density`, and q(h | x_n, z = k) where a component has latents h of its own."""
        return self.log_density(params, x), None

    def kernel(self, params: P, log_weights: Array) -> Kernel | None:
        """These densities with finite log weights, (k,), arranged for fast passes; None if there is no such form."""
        return None

    def expected(self, x: Array, weights: Array, hidden: Any) -> S:
        """The expected statistics, where `infer` gave latents of the components' own: those are `hidden`."""
        return self.statistics(x, weights)

    def sharing(self, statistics: S, x: Array, weight: Array) -> S:
        """The statistics of a family that has only a share of the data, with what it must know of all of them.

        Responsibilities then sum to less than one, so that statistics do not say how wide all the data are; a floor
        is relative to that.

        Args:
            statistics: Of the share.
            x: All the rows, shape (n, d).
            weight: Their weights, shape (n,).
        """
        return statistics

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        """Which rows can occur at all, shape (n,): those that `check` does not refuse.

        Asked only where rows may come from elsewhere. Write it where they are many: this one asks row by row.
        """
        held = frozenset(block.path for block in self.blocks())
        if not len(x) or self._takes(x, held):
            return np.ones(len(x), dtype=bool)
        rows, which = np.unique(x, axis=0, return_inverse=True)
        return np.array([self._takes(row[None], held) for row in rows])[which.reshape(-1)]

    def cells(self, x: Array) -> npt.NDArray[np.bool_] | None:
        """Which values can occur in their columns, shape (n, d), where that is what decides; None elsewhere."""
        return None

    def atoms(self, x: Array) -> npt.NDArray[np.bool_]:
        """Which rows have a probability and not a density, shape (n,). A row that lacks all its values has one.

        Raises:
            Unavailable: the family does not say whether it is discrete.
        """
        if self.discrete is None:
            raise Unavailable(
                f"{type(self).__name__} does not say whether its rows have probabilities or densities, which do not "
                "compare with a point mass alike: define discrete = True or False in the class"
            )
        return atoms_if(self.discrete, x)

    def coordinates(self, x: Array) -> Array | None:
        """Coordinates of rows, shape (n, ...), in which alike rows are near one another; None: as they are.

        Starts measure distances in them, since on a skewed scale a few large values would decide. NaN says nothing.
        """
        return None

    @final
    def refuse_outside(self, chunks: Iterable[Array]) -> None:
        """Refuse rows that cannot occur.

        Raises:
            RowError: naming the row and the column, and what is allowed.
        """
        begin = 0
        for x in chunks:
            inside = self.support(x)
            if not inside.all():
                row = int(inside.argmin())
                cells = self.cells(x[row : row + 1])
                column = None if cells is None or cells.all() else int(cells[0].argmin())
                what = "" if column is None else f"column {{column}} is {x[row, column]:g}, and "
                raise RowError(
                    begin + row,
                    f"{shown(x[row])}, is outside the support of {type(self).__name__}: {what}it takes {self.takes}",
                    column,
                )
            begin += len(x)

    @final
    def _takes(self, x: Array, held: Set[Path]) -> bool:
        try:
            self.check([x], held)
        except ColumnError:  # a column that cannot be fitted can occur
            return True
        except ValueError:
            return False
        return True

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        """Refuse rows outside the support, or that cannot be fitted while only `held` blocks are held.

        Raises:
            ValueError: naming the row or the column.
        """

    def check_params(self, params: P, k: int) -> None:
        """Refuse parameters that do not belong to k components of this family.

        Raises:
            ValueError: saying what is wrong.
        """

    def coincident(self, params: P) -> list[tuple[int, int]]:
        """Pairs of components that are the same distribution."""
        return []

    def alike(self, params: P, statistics: S) -> list[tuple[int, int]]:
        """The same as far as these rows tell: where parameters mean something only beside the data."""
        return self.coincident(params)

    def sample(self, params: P, labels: Labels, rng: Any) -> Array:
        """One row for each label, shape (n, d)."""
        raise Unavailable(f"{type(self).__name__} has no sample: define it to draw from the family")

    def describe(self, params: P) -> Mapping[str, Array]:
        """The columns of a table of components: names to arrays of shape (k, d) or (k,).

        NaN where there is nothing to show. In a name, x0 is the first column: it is put in words where it has a name.
        """
        return {}


def atoms_if(discrete: bool, x: Array) -> npt.NDArray[np.bool_]:
    """Which rows have a probability and not a density under one measure or the other, shape (n,)."""
    return np.ones(len(x), dtype=bool) if discrete else np.asarray(np.isnan(x).all(axis=1))


def refuse_shape(family: Any, method: str, given: Any, wanted: str) -> NoReturn:
    """Refuse what a method of a family gave.

    Raises:
        ValueError: naming the method, what it gave, and what is wanted.
    """
    what = f"an array of shape {np.shape(given)}" if isinstance(given, np.ndarray) else f"{given!r}"
    raise ValueError(f"{type(family).__name__}.{method} gave {what}: it must be {wanted}")


def refuse_other_params(family: Any, given: Any, kind: type, components: Callable[[Any], int], k: int) -> None:
    """Refuse what are no parameters of k components of a family.

    Args:
        family: The family.
        given: What was given for its parameters.
        kind: What they are.
        components: How many components they have.
        k: How many are wanted.

    Raises:
        ValueError: saying what was given and what is wanted.
    """
    if not isinstance(given, kind):
        raise ValueError(f"{brief(given)} was given: parameters of {family!r} are a {kind.__name__}")
    if components(given) != k:
        raise ValueError(f"parameters of {components(given)} components were given for {family!r}: the model has {k}")


def brief(value: Any) -> str:
    """A value in a message: an array by its shape, others by their type where they are long."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    written = repr(value)
    return written if len(written) <= 60 else f"a {type(value).__name__}"


def shown(row: Array) -> str:
    """A row in a message: a few of its values."""
    return np.array2string(row, threshold=8, edgeitems=3)


def numbered(name: str, values: Array) -> Mapping[str, Array]:
    """Figures that belong to no column of the data, for a table: (k,) as they are, each column of (k, p) by itself."""
    if values.ndim < 2 or values.shape[1] == 1:
        return {name: values.reshape(len(values))}
    return {f"{name} {i}": values[:, i] for i in range(values.shape[1])}


def refuse_other_columns(x: Array, d: int) -> None:
    """Refuse rows that do not have the d columns of the parameters: an array may not be stretched to fit.

    Raises:
        ValueError: they have another number of columns.
    """
    if x.shape[1] != d:
        raise ValueError(f"data with {x.shape[1]} columns were given: the parameters have {d}")


_UNSEEN = 1e-3
"""Share of a component's rows below which, if it is less than a row too, a column counts as observed in none."""


def unobserved(seen: Array, count: Array) -> list[Event]:
    """Events for components whose rows lack a column.

    Args:
        seen: Sum of the weights of the rows in which a column is observed, shape (k, d).
        count: Sum of the weights of all rows, shape (k,).
    """
    lacking = (seen <= _UNSEEN * count[:, None]) & (seen < 1) & (count[:, None] > 0)
    return [
        Event(
            "unobserved",
            f"the rows of component {j} lack a column, so that its parameters there come from the start",
            "leave the column out, or do not read them",
            j,
            f"column {column}",
            column,
        )
        for j, column in np.argwhere(lacking).tolist()
    ]
