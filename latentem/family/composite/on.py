"""A family over some columns of a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from operator import itemgetter
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from latentem.arrays import Array, Labels, own
from latentem.core import ColumnError, Event, Hidden, Path, RowError, Unavailable, Whole
from latentem.core.learnable import Found, Name
from latentem.family.base import Family
from latentem.family.naming import Columns, Header, Named, bound, columns_given, placed
from latentem.kernel import Kernel, SideBySide
from latentem.numerics.rng import generator

_COLUMN = re.compile(r"\bx(\d+)\b")
"""How a name in a description speaks of a column."""


def _some_columns(given: Iterable[Any]) -> Columns:
    columns = columns_given(given)
    if not columns:
        raise ValueError(
            "columns were given as (): give different whole numbers, counted from 0, or names; at least one"
        )
    return columns


def _a_family(instance: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, Family):
        raise TypeError(f"{value!r} was given as a family: give a Family, such as Gaussian() or Poisson()")


@final
@frozen(repr=False)
class Part(Named, Family[Any, Any], Whole[Any, Any]):
    """A family over some columns of the row: what `family.on(*columns)` gives. Parameters and blocks are the family's.

    Attributes:
        family: It sees these columns alone, in this order.
        columns: Their numbers in the row, from 0, or their names, all of them.
        places: The numbers of columns that were given by name: `fit` puts them in, for its table.
    """

    family: Family[Any, Any] = field(validator=_a_family)
    columns: Columns = field(converter=_some_columns)
    places: tuple[int, ...] | None = field(default=None)

    def __repr__(self) -> str:
        return f"{self.family!r}.on({', '.join(map(repr, self.columns))})"

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the columns in the row.

        Raises:
            ValueError: they have names, and no table has said where these are.
        """
        return placed(self.columns, self.places)

    def wanted(self) -> tuple[str, ...] | None:
        names = tuple(column for column in self.columns if isinstance(column, str))
        return names or None

    def bound(self, header: Header) -> Part:
        places = header.places(self.columns, self.places)
        numbers = self.columns if places is None else places
        family = bound(self.family, header.of(numbers))
        return self if (family is self.family and places == self.places) else Part(family, self.columns, places)

    @cached_property
    def pieces(self) -> Mapping[tuple[()], Family[Any, Any]]:
        return {(): self.family}

    def assemble(self, pieces: Mapping[tuple[()], Any]) -> Any:
        return pieces[()]

    def told(self, name: Name, found: Found) -> Found:
        """A finding of the family, with the row's own number of the column that it concerns."""
        if not isinstance(found, Event) or found.column is None:
            return found
        return evolve(found, column=self.numbers[found.column])

    def log_density(self, params: Any, x: Array) -> Array:
        return self.family.log_density(params, self._present(x))

    def statistics(self, x: Array, weights: Array) -> Any:
        return self.family.statistics(self._own(x), weights)

    def count(self, params: Any) -> int:
        return self.family.count(params)

    @property
    def takes_missing(self) -> bool:
        return self.family.takes_missing

    def infer(self, params: Any, x: Array) -> tuple[Array, Hidden | None]:
        return self.family.infer(params, self._present(x))

    def kernel(self, params: Any, log_weights: Array) -> Kernel | None:
        return SideBySide.of([(self.family.kernel(params, log_weights), self._own)], itemgetter(0))

    def expected(self, x: Array, weights: Array, hidden: Any) -> Any:
        return self.family.expected(self._own(x), weights, hidden)

    def sharing(self, statistics: Any, x: Array, weight: Array) -> Any:
        return self.family.sharing(statistics, self._own(x), weight)

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return self.family.support(self._own(x))

    def atoms(self, x: Array) -> npt.NDArray[np.bool_]:
        return self.family.atoms(self._own(x))

    def coordinates(self, x: Array) -> Array | None:
        return self.family.coordinates(self._own(x))

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        seen, begin = [], 0
        for x in chunks:
            seen.append(self._present(x, begin))
            begin += len(x)
        try:
            self.family.check(seen, held)
        except ColumnError as error:
            raise error.put(column=self.numbers[error.column]) from None
        except RowError as error:
            column = None if error.column is None else self.numbers[error.column]
            raise error.put(column=column, part=repr(self)) from None
        except ValueError as error:
            raise ValueError(f"in {self!r}: {error}") from None

    def check_params(self, params: Any, k: int) -> None:
        self.family.check_params(params, k)

    def alike(self, params: Any, statistics: Any) -> list[tuple[int, int]]:
        return self.family.alike(params, statistics)

    def coincident(self, params: Any) -> list[tuple[int, int]]:
        return self.family.coincident(params)

    def sample(self, params: Any, labels: Labels, rng: Any) -> Array:
        return drawn([self], [params], labels, rng)

    def marginal(self, params: Any, columns: tuple[int, ...], d: int) -> tuple[Family[Any, Any], Any]:
        if loose := sorted(set(columns) - set(self.numbers)):
            raise Unavailable(f"{self!r} does not see column {loose[0]}: choose among {list(self.numbers)}")
        return self.family.marginal(params, tuple(map(self.numbers.index, columns)), len(self.numbers))

    def elliptical(self, params: Any) -> tuple[Array, Array, Array]:
        """Those of its own columns."""
        return self.family.elliptical(params)

    def describe(self, params: Any) -> Mapping[str, Array]:
        shown = {}
        for name, values in self.family.describe(params).items():
            if values.ndim == 2 and values.shape[1] == len(self.numbers):
                shown[name] = np.full((len(values), max(self.numbers) + 1), np.nan)
                shown[name][:, self.numbers] = values
            elif values.ndim == 2:
                shown |= {self._renamed(f"{name} {i}"): values[:, i] for i in range(values.shape[1])}
            else:
                shown[self._renamed(name)] = values
        return shown

    def _renamed(self, name: str) -> str:
        """A name with the row's own numbers of the columns that it speaks of, or of all if it speaks of none."""
        if _COLUMN.search(name):
            return _COLUMN.sub(lambda found: f"x{self.numbers[int(found[1])]}", name)
        return f"{name} of {', '.join(f'x{i}' for i in self.numbers)}"

    def _own(self, x: Array) -> Array:
        """The columns, without a copy where they stand side by side."""
        begin, end = self.numbers[0], self.numbers[0] + len(self.numbers)
        if x.shape[1] <= max(self.numbers):
            raise ValueError(f"{self!r} needs column {max(self.numbers)}: the data have {x.shape[1]} columns")
        return x[:, begin:end] if self.numbers == tuple(range(begin, end)) else x[:, self.numbers]

    def _present(self, x: Array, begin: int = 0) -> Array:
        """The columns, none of which may lack a value if the family does not take that: another part's may.

        As many rows as `begin` says are before these.
        """
        mine = self._own(x)
        if not self.family.takes_missing and (missing := np.isnan(mine)).any():
            row, column = (int(i[0]) for i in np.nonzero(missing))
            raise ColumnError(
                self.numbers[column],
                f"holds NaN (first in {{row}}), and {self.family!r} takes no missing values: fill them in, or use a "
                "family that takes them",
                row=begin + row,
            )
        return mine


def drawn(parts: Sequence[Part], params: Iterable[Any], labels: Labels, rng: Any) -> Array:
    """Rows of which each part draws its own columns; Unavailable where a column before the last is in no part."""
    columns = [column for part in parts for column in part.numbers]
    if loose := sorted(set(range(max(columns))) - set(columns)):
        raise Unavailable(f"column {loose[0]} is in no part, so it cannot be drawn: sample the parts' families alone")
    rng, x = generator(rng), np.empty((len(labels), len(columns)))
    for part, own_params in zip(parts, params, strict=True):
        x[:, part.numbers] = part.family.sample(own_params, labels, rng)
    return own(x)
