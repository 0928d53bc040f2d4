"""Components of different kinds: each has a family of its own."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import Array, Labels, own, part, vector
from latentem.core import Additive, Block, Degenerate, Event, Hidden, Path, RowError, Unavailable, Whole
from latentem.core.learnable import Found
from latentem.family.base import Family, Mask, first_wrong, shown
from latentem.family.by_component import stacked
from latentem.family.composite.parts import Parts, infer_at, sharing_at, statistics_at, within
from latentem.family.composite.product import laid_over
from latentem.family.naming import Header, Named, bound, merged, wanted
from latentem.numerics.rng import generator


@final
@frozen
class AssortedStatistics(Additive):
    """Statistics of each component, of its own family.

    Attributes:
        count: Sum of weights of rows that it could have drawn, shape (k,).
        outside: Sum of weights of rows that it could not, shape (k,).
        families: Statistics of the former, one a component.
    """

    count: Array = vector("(k,)")
    outside: Array = vector("(k,)")
    families: Parts = part()

    def __getitem__(self, j: int) -> Any:
        return self.families[j]


@final
@frozen
class Beside:
    """q(h | z) of components of different kinds; None where one hides nothing."""

    components: tuple[Hidden | None, ...]

    def entropies(self) -> Array:
        each = [None if one is None else one.entropies() for one in self.components]
        nothing = np.zeros_like(next(column for column in each if column is not None))
        return np.hstack([nothing if column is None else column for column in each])


def _families(those: Iterable[Any]) -> tuple[Family[Any, Any], ...]:
    families = tuple(those)
    if not families or not all(isinstance(family, Family) for family in families):
        raise TypeError(f"Assorted was given {families!r}: give a Family for each component, such as Poisson()")
    return families


@final
@frozen(init=False, repr=False)
class Assorted(Named, Family[AssortedStatistics, Parts], Whole[AssortedStatistics, Parts]):
    """Components of different kinds: component j is of the j-th family.

    `Mixture(Assorted(PointMass(0), Poisson(), Poisson()), 3)` has a component of zeros alone;
    `Assorted(Uniform(low, high), Gaussian(), Gaussian())` one of noise (Banfield and Raftery, 1993). A row has
    to be in the support of one of them only. Parameters are `Parts`, and component j's blocks are named
    after it: "components.1.means"; they are held whole.

    Attributes:
        families: One a component.

    Raises:
        TypeError: something is no family.
    """

    kind: ClassVar[type] = Parts

    families: tuple[Family[Any, Any], ...] = field(converter=_families)

    def __init__(self, *families: Family[Any, Any]) -> None:
        self.__attrs_init__(families)  # attrs makes it

    def __repr__(self) -> str:
        return f"Assorted({', '.join(map(repr, self.families))})"

    def params(self, *components: Any) -> Parts:
        """Parameters given by hand, one component each, as its family's `params` makes them; checked at once.

        Raises:
            ValueError: too few or too many, or not the family's own.
        """
        params = Parts(components)
        self.check_params(params, len(params))
        return params

    def wanted(self) -> tuple[str, ...] | None:
        return merged(map(wanted, self.families))

    def bound(self, header: Header) -> Assorted:
        families = [bound(family, header) for family in self.families]
        return self if all(map(operator.is_, families, self.families)) else Assorted(*families)

    @cached_property
    def pieces(self) -> Mapping[int, Family[Any, Any]]:
        return dict(enumerate(self.families))

    def assemble(self, pieces: Mapping[int, Any]) -> Parts:
        return Parts(pieces.values())

    def seen(self, name: Any, statistics: AssortedStatistics) -> bool:
        return bool(statistics.count[name] != 0)

    def told(self, name: Any, found: Found) -> Found:
        """A finding of the family of one component, which takes itself for component 0."""
        told = evolve(super().told(name, found), component=name)
        if isinstance(told, Event):
            return evolve(told, message=told.message.replace("component 0", f"component {name}"))
        return told

    def block(self, name: Any, block: Block[Any, Any]) -> Block[Any, Any]:
        return evolve(super().block(name, block), holding=None)

    def log_density(self, params: Parts, x: Array) -> Array:
        return self.infer(params, x)[0]

    def statistics(self, x: Array, weights: Array) -> AssortedStatistics:
        return self._gathered(x, weights, [None] * len(self.families))

    def log_joint(self, params: Parts, statistics: AssortedStatistics) -> float:
        # A row that a component could not have drawn has density zero there.
        # (eq: assorted)
        return super().log_joint(params, statistics) if not (statistics.outside > 0).any() else -np.inf

    def first(self, statistics: AssortedStatistics) -> Parts:
        if (statistics.count == 0).any():
            j = int(np.argmin(statistics.count))
            raise Degenerate(j, str(j), f"no row that {self.families[j]!r} allows was given to it", "give it some")
        return super().first(statistics)

    def count(self, params: Parts) -> int:
        return len(params)

    @property
    def takes_missing(self) -> bool:
        return all(family.takes_missing for family in self.families)

    def infer(self, params: Parts, x: Array) -> tuple[Array, Hidden | None]:
        each = self._each(lambda family, own, rows: infer_at(family, own, x, rows), params, self._supports(x))
        densities, hidden = zip(*each, strict=True)
        return np.hstack(densities), None if all(one is None for one in hidden) else Beside(hidden)

    def expected(self, x: Array, weights: Array, hidden: Beside) -> AssortedStatistics:
        return self._gathered(x, weights, hidden.components)

    def sharing(self, statistics: AssortedStatistics, x: Array, weight: Array) -> AssortedStatistics:
        def one(family: Family[Any, Any], its: Any, rows: Mask) -> Any:
            return sharing_at(family, its, x, weight, rows)

        return evolve(statistics, families=Parts(self._each(one, statistics.families, self._supports(x))))

    def support(self, x: Array) -> Mask:
        return np.any([family.support(x) for family in self.families], axis=0)

    def atoms(self, x: Array) -> Mask:
        atoms: Mask = np.any(self._atoms(x), axis=0)
        return atoms

    def coordinates(self, x: Array) -> Array | None:
        each = (family.coordinates(x) for family in self.families)
        return next((found for found in each if found is not None), None)

    def _atoms(self, x: Array) -> list[Mask]:
        """Which rows each component could have drawn with a probability of their own."""
        said = {family.discrete for family in self.families}
        if said in ({True}, {False}):  # all alike: nothing is to be told apart
            return [np.zeros(len(x), dtype=bool) for _ in self.families]
        return [family.support(x) & family.atoms(x) for family in self.families]

    def _supports(self, x: Array) -> list[Mask]:
        """Which rows each component could have drawn.

        Where some of them have a probability there and others a density, these have none of the row: a density and a
        probability do not compare, and what came of it would depend on the units.
        """
        atoms = self._atoms(x)
        taken = np.any(atoms, axis=0)
        return [family.support(x) & (own | ~taken) for family, own in zip(self.families, atoms, strict=True)]

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        if (found := first_wrong(chunks, lambda x: ~np.any(self._supports(x), axis=0))) is not None:
            row, x, _ = found
            takes = "; ".join(f"{type(family).__name__} takes {family.takes}" for family in self.families)
            raise RowError(row, f"{shown(x)}, is outside the support of every family of {self!r}: {takes}")
        supports = [self._supports(x) for x in chunks]
        for j, (family, support) in enumerate(zip(self.families, zip(*supports, strict=True), strict=True)):
            seen = [x[rows] for x, rows in zip(chunks, support, strict=True) if rows.any()]
            if not seen:
                raise ValueError(f"no row is in the support of {family!r}, component {j}: leave it out")
            family.check(seen, within(held, j))

    def check_params(self, params: Parts, k: int) -> None:
        self._refuse_other(k)
        super().check_params(params, k)
        for j, (family, own_params) in enumerate(zip(self.families, params, strict=True)):
            try:
                family.check_params(own_params, 1)
            except ValueError as error:
                raise ValueError(f"component {j}, {family!r}, which is one: {error}") from None

    def coincident(self, params: Parts) -> list[tuple[int, int]]:
        pairs = []
        for i, family in enumerate(self.families):
            for j in range(i + 1, len(self.families)):
                # What has no component axis, a tied covariance of one component, cannot be joined.
                with suppress(ValueError):
                    if self.families[j] == family and family.coincident(stacked([params[i], params[j]])):
                        pairs.append((i, j))
        return pairs

    def sample(self, params: Parts, labels: Labels, rng: Any) -> Array:
        rng, counts = generator(rng), np.bincount(labels, minlength=len(self.families))
        draws = self._each(lambda family, own, n: family.sample(own, np.zeros(n, dtype=np.int64), rng), params, counts)
        x = np.empty((len(labels), max(draw.shape[1] for draw in draws)))
        for j, draw in enumerate(draws):
            x[labels == j] = draw
        return own(x)

    def marginal(self, params: Parts, columns: tuple[int, ...], d: int) -> tuple[Assorted, Parts]:
        each = [family.marginal(its, columns, d) for family, its in zip(self.families, params, strict=True)]
        return Assorted(*(family for family, _ in each)), Parts(its for _, its in each)

    def elliptical(self, params: Parts) -> tuple[Array, Array, Array]:
        each: list[Any] = []
        for family, its in zip(self.families, params, strict=True):
            try:
                each.append(family.elliptical(its))
            except Unavailable:
                each.append(None)
        known = next((values for values in each if values is not None), None)
        if known is None:
            return super().elliptical(params)
        none = [np.full_like(value, np.nan) for value in known]
        means, scales, dof = (np.concatenate(parts) for parts in zip(*(values or none for values in each), strict=True))
        return means, scales, dof

    def describe(self, params: Parts) -> Mapping[str, Array]:
        def one(j: int, name: str, values: Array) -> Array:
            whole = np.full((len(params), *values.shape[1:]), np.nan)
            whole[j] = values[0]
            return whole

        shown = self._each(lambda family, own: family.describe(own), params)
        return laid_over({name: one(j, name, v) for name, v in mapping.items()} for j, mapping in enumerate(shown))

    def _gathered(self, x: Array, weights: Array, hidden: Sequence[Any]) -> AssortedStatistics:
        self._refuse_other(weights.shape[1])
        supports = np.stack(self._supports(x), axis=1)
        total = weights.sum(axis=1)
        families = [
            statistics_at(family, x, weights[:, [j]], hidden[j], supports[:, j], total)
            for j, family in enumerate(self.families)
        ]
        count, outside = np.where(supports, weights, 0.0).sum(axis=0), np.where(supports, 0.0, weights).sum(axis=0)
        return AssortedStatistics(own(count), own(outside), Parts(families))

    def _refuse_other(self, k: int) -> None:
        if k != len(self.families):
            raise ValueError(f"{self!r} has {len(self.families)} components, and {k} were asked for: give it its own k")
