"""Discriminant analysis: a mixture whose components are classes with names, known of the rows that are fitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from functools import cached_property
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import plain_int
from latentem.core import Path
from latentem.data import Source
from latentem.data.frames import series_values
from latentem.data.tables import Tables
from latentem.family import Assorted, CovariancePrior, Family, Floor, Full, Gaussian, MixtureOf, Structure
from latentem.family.columns import natural_number
from latentem.model import Mixture, MixtureParams
from latentem.transform import Fixed, Frozen
from latentem.transform.transformed import Model, SamePosterior

_SHOWN = 8
"""The most classes that a message lists."""


def _classes(those: Any) -> tuple[Any, ...]:
    if isinstance(those, str | bytes) or not isinstance(those, Iterable):
        raise TypeError(f"classes were given as {those!r}: give their names, such as ('setosa', 'virginica')")
    return tuple(_plain(name) for name in (sorted(those) if isinstance(those, Set) else those))


def _plain(value: Any) -> Any:
    """A value of numpy as one of Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _numbers(value: Any) -> Any:
    return tuple(map(plain_int, value)) if isinstance(value, list | tuple | np.ndarray) else plain_int(value)


@final
@frozen(repr=False)
class Discriminant(SamePosterior[MixtureParams]):
    """Discriminant analysis: each class is a Gaussian, or a mixture of them, and is known of the rows that are fitted.

    `lem.fit(lem.Discriminant(("b", "g"), lem.structure("VEV")), x, allowed=names)` is eigenvalue decomposition
    discriminant analysis (Bensmail and Celeux, 1996): with `Tied()` linear, with `Full()` quadratic. With members it is
    mixture discriminant analysis (Hastie and Tibshirani, 1996). Rows whose class is not known, None, NaN, "" or -1 in
    `allowed`, are taken in as in any mixture.

    The log likelihood is that of rows and known classes together; `predict` gives names, `predict_proba` columns in
    their order.

    Attributes:
        classes: Their names, words or whole numbers, in their order.
        structure: Of the covariances of all members of all classes; or a `Family` that the members are of.
        members: How many components each class has: one number, or one a class.
        weights: `Fixed(value)` or `Fixed.uniform()` to hold the shares of the classes; None estimates them.
        prior: Of the covariances, as `GaussianMixture` has it; it is left alone beside a `Family`.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind, or classes of different numbers of members are to have
            covariances that have something in common.
    """

    classes: tuple[Any, ...] = field(converter=_classes)
    structure: Structure | Family[Any, Any] = field(factory=Full)
    members: int | tuple[int, ...] = field(default=1, converter=_numbers)
    weights: Fixed | None = field(default=None)
    prior: CovariancePrior | None = field(factory=Floor)

    @classes.validator
    def _some_classes(self, attribute: Any, value: tuple[Any, ...]) -> None:
        words = all(isinstance(name, str) for name in value)
        numbers = all(isinstance(name, int) and not isinstance(name, bool) for name in value)
        if len(value) < 2 or len(set(value)) < len(value) or not (words or numbers) or "" in value:
            raise ValueError(
                f"classes were given as {value}: give two or more different names, all words or all whole numbers"
            )

    @structure.validator
    def _a_structure(self, attribute: Any, value: Any) -> None:
        if not isinstance(value, Structure | Family):
            raise TypeError(f"structure was given as {value!r}: give a structure, such as Full(), or a Family")

    @members.validator
    def _some_members(self, attribute: Any, value: Any) -> None:
        each = value if isinstance(value, tuple) else (value,)
        if not all(map(natural_number, each)) or (isinstance(value, tuple) and len(value) != len(self.classes)):
            raise ValueError(
                f"members were given as {value!r}: give a whole number, at least 1, or one for each of the "
                f"{len(self.classes)} classes"
            )
        if isinstance(value, tuple) and isinstance(self.structure, Structure) and not self.structure.separate:
            raise ValueError(
                f"members were given as {value}, and the structure as {self.structure!r}, which classes share: "
                "give one number of members for all, or Full(), Diagonal() or Spherical()"
            )

    @weights.validator
    def _held(self, attribute: Any, value: Any) -> None:
        if value is not None and not isinstance(value, Fixed):
            raise TypeError(f"weights were given as {value!r}: to hold them at a value, give Fixed(value)")

    def __attrs_post_init__(self) -> None:
        self.inner.blocks()

    def __repr__(self) -> str:
        shown = [repr(list(self.classes))] + ([] if self.structure == Full() else [repr(self.structure)])
        shown += [] if self.members == 1 else [f"members={self.members}"]
        shown += [] if self.weights is None else [f"weights={self.weights}"]
        shown += [] if self.prior == Floor() else [f"prior={self.prior}"]
        return f"Discriminant({', '.join(shown)})"

    @cached_property
    def inner(self) -> Model:
        one = self.structure if isinstance(self.structure, Family) else Gaussian(self.structure, self.prior)
        family: Family[Any, Any]
        if isinstance(self.members, tuple):
            family = Assorted(*(MixtureOf(one, m) if m > 1 else one for m in self.members))
        else:
            family = MixtureOf(one, self.members) if self.members > 1 else one
        mixture = Mixture(family, len(self.classes))
        return mixture if self.weights is None else Frozen(mixture, {"weights": self.weights})

    def params(self, weights: Any, components: Any) -> MixtureParams:
        """Parameters given by hand, checked at once.

        Args:
            weights: Shares of the classes, shape (k,).
            components: As the family's `params` makes them, those of `MixtureOf` where classes have members.

        Raises:
            ValueError: weights off the simplex, or components that are not this family's.
        """
        params = MixtureParams(weights, components)
        self.check_params(params)
        return params

    @property
    def noun(self) -> str:
        return "class"

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Any:
        return self.inner.chunk(data, weights, self._coded(allowed))

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Any]:
        if isinstance(data, list | tuple) and isinstance(allowed, list | tuple) and any(map(_is_column, allowed)):
            return self.inner.chunks(data, weights, [self._coded(each) for each in allowed])
        if isinstance(data, Source):
            self._refuse_other_numbers(data)
            return self.inner.chunks(data, weights, allowed)
        return self.inner.chunks(data, weights, self._coded(allowed))

    def check(self, chunks: Sequence[Any], held: Set[Path] = frozenset()) -> None:
        self.inner.check(chunks, held)
        known: npt.NDArray[np.bool_] = np.zeros(len(self.classes), dtype=bool)
        for chunk in chunks:
            if chunk.allowed is not None:
                sure = (chunk.allowed.sum(axis=1) == 1) & (chunk.row_weight > 0)
                known |= chunk.allowed[sure].any(axis=0)
            if known.all():
                return
        if not known.any():
            raise ValueError("no class of any row was given: give allowed=, the name of the class of each row")
        raise ValueError(
            f"no row is known to be of class {self.classes[int(known.argmin())]!r}: give some, or leave it out"
        )

    def _refuse_other_numbers(self, data: Source) -> None:
        """Refuse labels of a source, which are counted from 0, beside classes that are other numbers."""
        k, labelled = len(self.classes), isinstance(data, Tables) and data.allowed is not None
        if labelled and isinstance(self.classes[0], int) and self.classes != tuple(range(k)):
            raise ValueError(
                f"the classes are {self.classes}, and the labels of {data!r} count from 0: name the classes "
                f"range({k}), or by words"
            )

    def _coded(self, allowed: Any) -> Any:
        """Names of classes as their numbers, -1 where none is known; a table of what is possible as it is."""
        if allowed is None or np.ndim(allowed) == 2:
            return allowed
        numbers = {name: j for j, name in enumerate(self.classes)}
        found = np.empty(len(allowed), dtype=np.int64)
        for row, name in enumerate(map(_plain, series_values(allowed))):
            found[row] = numbers.get(name, -1) if isinstance(name, str | int | float) else -1
            if found[row] == -1 and not _unknown(name):
                few = ", ".join(map(repr, self.classes[:_SHOWN])) + ", ..." * (len(self.classes) > _SHOWN)
                raise ValueError(
                    f"row {row} is of class {name!r}: the classes are {few}; what is not known is None, NaN, '' or -1"
                )
        return found


def _is_column(values: Any) -> bool:
    return np.ndim(values) > 0


def _unknown(name: Any) -> bool:
    """Whether it says that a class is not known: None, NaN, "" or -1, or what a table has for a missing value."""
    if name is None or (isinstance(name, str) and name == "") or (isinstance(name, int | float) and name == -1):
        return True
    try:
        return bool(name != name)  # NaN
    except TypeError:  # pandas.NA is neither
        return True
