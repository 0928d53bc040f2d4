"""Families: p(x | z = k), shared by mixtures and whatever else has components."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, final

import numpy as np
import numpy.typing as npt

from latentem.arrays import Array, Labels
from latentem.core import ColumnError, Hidden, Learnable, Path, RowError, Unavailable, Vector
from latentem.family.by_component import length
from latentem.kernel.base import Kernel

if TYPE_CHECKING:
    from latentem.family.composite.on import Part

Mask = npt.NDArray[np.bool_]

S = TypeVar("S", bound=Vector)
P = TypeVar("P")


class Family(Learnable[S, P]):
    """k densities of one kind. Immutable; holds no data and no parameters. The first of its blocks is the location.

    Class attributes that a family may say:
        discrete: Whether a row has a probability (True) or a density (False). Asked only where both may meet, as
            beside a point mass, for the two do not compare.
        takes: In words, what a value may be; for messages.
        kind: The class of its parameters.
        background: How many of the components, the last ones, are noise, which lies nowhere.
        codes: How many categories a column of text may hold, which `fit` codes 0, 1, ...; 0 where values are numbers.
    """

    __slots__ = ()

    discrete: ClassVar[bool | None] = None
    takes: ClassVar[str] = "what its support holds"
    kind: ClassVar[type] = object
    background: ClassVar[int] = 0
    codes: ClassVar[int] = 0

    @abc.abstractmethod
    def log_density(self, params: P, x: Array) -> Array:
        """log p(x_n | z = k, params) in nats, shape (n, k)."""

    @abc.abstractmethod
    def statistics(self, x: Array, weights: Array) -> S:
        """Sufficient statistics of rows x, (n, d), weighted by component, (n, k)."""

    def count(self, params: P) -> int:
        """The number of components k in the parameters: here the length of the first of their arrays."""
        return length(params)

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

    @property
    def ellipsoidal(self) -> bool:
        """Whether densities are constant on ellipsoids, in `coordinates`, so that starts may merge rows by scatter."""
        return False

    def infer(self, params: P, x: Array) -> tuple[Array, Hidden | None]:
        """The log densities of `log_density`, and q(h | x_n, z = k) where a component has latents h of its own."""
        return self.log_density(params, x), None

    def kernel(self, params: P, log_weights: Array) -> Kernel | None:
        """These densities with finite log weights, (k,), arranged for fast passes; None if there is no such form."""
        return None

    @property
    def loops(self) -> tuple[str, ...]:
        """Names of the compiled loops in which its kernel computes where they are there."""
        return ()

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

    def support(self, x: Array) -> Mask:
        """Which rows can occur at all, shape (n,): those that `check` does not refuse.

        Asked only where rows may come from elsewhere. Write it where they are many: this one asks row by row.
        """
        held = frozenset(block.path for block in self.blocks())
        if not len(x) or self._takes(x, held):
            return np.ones(len(x), dtype=bool)
        rows, which = np.unique(x, axis=0, return_inverse=True)
        return np.array([self._takes(row[None], held) for row in rows])[which.reshape(-1)]

    def cells(self, x: Array) -> Mask | None:
        """Which values can occur in their columns, shape (n, d), where that is what decides; None elsewhere."""
        return None

    def atoms(self, x: Array) -> Mask:
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
        if (found := first_wrong(chunks, lambda x: ~self.support(x))) is not None:
            row, x, _ = found
            cells = self.cells(x[None])
            column = None if cells is None or cells.all() else int(cells[0].argmin())
            what = "" if column is None else f"column {{column}} is {x[column]:g}, and "
            kind = type(self).__name__
            raise RowError(row, f"{shown(x)}, is outside the support of {kind}: {what}it takes {self.takes}", column)

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
            ValueError: saying what was given and what is wanted.
        """
        refuse_other_params(self, params, self.kind, self.count, k)

    def coincident(self, params: P) -> list[tuple[int, int]]:
        """Pairs of components that are the same distribution."""
        return []

    def alike(self, params: P, statistics: S) -> list[tuple[int, int]]:
        """Pairs that are the same as far as these rows tell: where parameters mean something only beside the data."""
        return self.coincident(params)

    def sample(self, params: P, labels: Labels, rng: Any) -> Array:
        """One row for each label, shape (n, d)."""
        raise Unavailable(f"{type(self).__name__} has no sample: define it to draw from the family")

    def marginal(self, params: P, columns: tuple[int, ...], d: int) -> tuple[Family[Any, Any], Any]:
        """p(x at these columns | z): a family over them alone, in their order, and its parameters.

        Args:
            params: The parameters.
            columns: Numbers of the columns.
            d: How many columns a row has.

        Raises:
            Unavailable: the family does not say it, and these are not all columns.
        """
        if columns == tuple(range(d)):
            return self, params
        what = f"{type(self).__name__} has no marginal of columns {list(columns)} of {d}"
        raise Unavailable(f"{what}: define marginal in the class, or fit these columns alone")

    def elliptical(self, params: P) -> tuple[Array, Array, Array]:
        """Centres (k, d), scale matrices (k, d, d) and degrees of freedom (k,) of t densities; infinite is normal.

        NaN for a component that is none of them.

        Raises:
            Unavailable: no component is.
        """
        raise Unavailable(f"densities of {type(self).__name__} are not constant on ellipses")

    def describe(self, params: P) -> Mapping[str, Array]:
        """The columns of a table of components: names to arrays of shape (k, d) or (k,).

        NaN where there is nothing to show. In a name, x0 is the first column: it is put in words where it has a name.
        """
        return {}


def atoms_if(discrete: bool, x: Array) -> Mask:
    """Which rows have a probability and not a density under one measure or the other, shape (n,)."""
    return np.ones(len(x), dtype=bool) if discrete else np.asarray(np.isnan(x).all(axis=1))


def refuse_shape(family: Any, method: str, given: Any, wanted: str) -> NoReturn:
    """Refuse what a method of a family gave, with a ValueError that says what is wanted."""
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


def first_wrong(chunks: Iterable[Array], wrong: Callable[[Array], Mask]) -> tuple[int, Array, int] | None:
    """The first row of some chunks in which something is wrong: its number over all, itself, and the first such column.

    Args:
        chunks: The rows.
        wrong: Whether rows (n, d) are, shape (n,), or which of their values, shape (n, d).
    """
    begin = 0
    for x in chunks:
        found = wrong(x).reshape(len(x), -1)
        if found.any():
            row, column = (int(i[0]) for i in np.nonzero(found))
            return begin + row, x[row], column
        begin += len(x)
    return None


def numbered(name: str, values: Array) -> Mapping[str, Array]:
    """Figures that belong to no column of the data, for a table: (k,) as they are, each column of (k, p) by itself."""
    if values.ndim < 2 or values.shape[1] == 1:
        return {name: values.reshape(len(values))}
    return {f"{name} {i}": values[:, i] for i in range(values.shape[1])}


def refuse_other_columns(x: Array, d: int) -> None:
    """Refuse rows that do not have the d columns of the parameters: an array may not be stretched to fit."""
    if x.shape[1] != d:
        raise ValueError(f"data with {x.shape[1]} columns were given: the parameters have {d}")
