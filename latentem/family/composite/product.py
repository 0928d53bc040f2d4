"""Products: columns of different kinds, independent given the component."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import Array, Labels
from latentem.core import Hidden, Path, Unavailable, Whole
from latentem.family.base import Family, brief
from latentem.family.composite.on import Part, drawn
from latentem.family.composite.parts import Parts, Together, within
from latentem.family.naming import Header, Named, bound, merged, wanted
from latentem.kernel import Kernel, SideBySide


def _parts(those: Iterable[Any]) -> tuple[Part, ...]:
    parts = tuple(those)
    if not parts:
        raise ValueError("Product was given no part: give families on their columns, such as Gaussian().on(0, 1)")
    for part in parts:
        if not isinstance(part, Part):
            # Which columns a bare family would see depends on the data: said here, it can be read.
            wanted = f"{part!r}.on(...)" if isinstance(part, Family) else "Gaussian().on(0, 1)"
            raise TypeError(f"Product was given {part!r}: say which columns it is on, as in {wanted}")
    taken: list[int | str] = [column for part in parts for column in (part.places or part.columns)]
    if twice := [column for column in taken if taken.count(column) > 1]:
        raise ValueError(f"column {twice[0]!r} is in two parts of a Product: give each column to one of them")
    return parts


@final
@frozen(init=False, repr=False)
class Product(Named, Family[Parts, Parts], Whole[Parts, Parts]):
    """Columns of different kinds, independent of one another given the component: p(row | z) = product over the parts.

    `Product(Gaussian().on("age", "income"), Categorical().on("region"))`, or by number
    `Product(Gaussian().on(0, 1), Categorical(3).on(2))`, is a mixture of mixed columns (Everitt, 1988), or, with
    parts of one column each, latent class and latent profile analysis. Columns in no part are ignored. A
    Product over some columns is itself a family: `Product(...).on(3, 4)` may be a part.

    Parameters and statistics are `Parts`, and part i's blocks are named after it: "components.0.means".

    Attributes:
        parts: Families on their columns.

    Raises:
        TypeError: something has no columns.
        ValueError: a column is in two parts.
    """

    parts: tuple[Part, ...] = field(converter=_parts)

    def __init__(self, *parts: Part) -> None:
        self.__attrs_init__(parts)  # attrs makes it

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.parts))})"

    def params(self, *parts: Any) -> Parts:
        """Parameters given by hand, one a part, as its family's `params` makes them; checked at once.

        Raises:
            ValueError: too few or too many, for different numbers of components, or not the family's own.
        """
        params = Parts(parts)
        if len(params) != len(self.parts):
            raise ValueError(f"parameters of {len(params)} parts were given: there are {len(self.parts)}")
        try:
            k = self.parts[0].count(params[0])
        except (AttributeError, TypeError):  # they are of another kind, as the check says in words
            k = 0
        self.check_params(params, k)
        return params

    def wanted(self) -> tuple[str, ...] | None:
        return merged(map(wanted, self.parts))

    def bound(self, header: Header) -> Product:
        parts = [bound(part, header) for part in self.parts]
        return self if all(map(operator.is_, parts, self.parts)) else Product(*parts)

    @cached_property
    def pieces(self) -> Mapping[int, Part]:
        return dict(enumerate(self.parts))

    def assemble(self, pieces: Mapping[int, Any]) -> Parts:
        return Parts(pieces.values())

    def log_density(self, params: Parts, x: Array) -> Array:
        return np.add.reduce(self._each(lambda part, own: part.log_density(own, x), params))  # (eq: products)

    def statistics(self, x: Array, weights: Array) -> Parts:
        return Parts(self._each(lambda part: part.statistics(x, weights)))

    def count(self, params: Parts) -> int:
        return self.parts[0].count(params[0])

    @property
    def takes_missing(self) -> bool:
        return any(part.takes_missing for part in self.parts)

    def infer(self, params: Parts, x: Array) -> tuple[Array, Hidden | None]:
        densities, hidden = zip(*self._each(lambda part, own: part.infer(own, x), params), strict=True)
        return np.add.reduce(densities), Together.of(hidden)

    def kernel(self, params: Parts, log_weights: Array) -> Kernel | None:
        def one(part: Part, own: Any) -> tuple[Kernel | None, Any]:
            weights = log_weights if part is self.parts[0] else np.zeros_like(log_weights)
            return part.family.kernel(own, weights), part._own

        return SideBySide.of(self._each(one, params), Parts)

    def expected(self, x: Array, weights: Array, hidden: Together) -> Parts:
        def one(part: Part, hidden: Hidden | None) -> Any:
            return part.statistics(x, weights) if hidden is None else part.expected(x, weights, hidden)

        return Parts(self._each(one, hidden.parts))

    def sharing(self, statistics: Parts, x: Array, weight: Array) -> Parts:
        return Parts(self._each(lambda part, its: part.sharing(its, x, weight), statistics))

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return np.all([part.support(x) for part in self.parts], axis=0)

    def atoms(self, x: Array) -> npt.NDArray[np.bool_]:
        return np.all([part.atoms(x) for part in self.parts], axis=0)

    def coordinates(self, x: Array) -> Array | None:
        each = [(part, part.coordinates(x)) for part in self.parts]
        if all(found is None for _, found in each):
            return None
        return np.hstack([x[:, part.numbers] if found is None else found for part, found in each])

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        for i, part in enumerate(self.parts):
            part.check(chunks, within(held, i))

    def check_params(self, params: Parts, k: int) -> None:
        if not isinstance(params, Parts) or len(params) != len(self.parts):
            raise ValueError(
                f"{brief(params)} was given: parameters of {self!r} are a Parts, with those of each of its "
                f"{len(self.parts)} parts"
            )
        for i, (part, own) in enumerate(zip(self.parts, params, strict=True)):
            try:
                part.check_params(own, k)
            except ValueError as error:
                raise ValueError(f"part {i}, {part!r}: {error}") from None

    def coincident(self, params: Parts) -> list[tuple[int, int]]:
        return common(self._each(lambda part, own: part.coincident(own), params))

    def alike(self, params: Parts, statistics: Parts) -> list[tuple[int, int]]:
        return common(self._each(lambda part, own, its: part.alike(own, its), params, statistics))

    def sample(self, params: Parts, labels: Labels, rng: Any) -> Array:
        return drawn(self.parts, params, labels, rng)

    def marginal(self, params: Parts, columns: tuple[int, ...], d: int) -> tuple[Family[Any, Any], Any]:
        found: list[tuple[Part, Any]] = []
        seen: set[int] = set()
        for part, own in zip(self.parts, params, strict=True):
            mine = tuple(i for i in columns if i in part.numbers)
            if mine == columns:
                return part.marginal(own, columns, d)
            if mine:
                family, its = part.marginal(own, mine, d)
                found.append((family.on(*map(columns.index, mine)), its))
                seen.update(mine)
        if loose := [i for i in columns if i not in seen]:
            raise Unavailable(f"{self!r} has no part that sees column {loose[0]}")
        return Product(*(part for part, _ in found)), Parts(own for _, own in found)

    def elliptical(self, params: Parts) -> tuple[Array, Array, Array]:
        """Normal where every part is; those of the parts' columns, one part after the other."""
        means, scales, dof = zip(*self._each(lambda part, own: part.elliptical(own), params), strict=True)
        if len(self.parts) > 1 and not np.isinf(dof).all():
            raise Unavailable(f"densities of {self!r} are not constant on ellipses")
        edges = np.cumsum([0, *(mean.shape[1] for mean in means)])
        scale = np.zeros((len(means[0]), edges[-1], edges[-1]))
        for begin, end, own in zip(edges, edges[1:], scales, strict=False):
            scale[:, begin:end, begin:end] = own
        return np.hstack(means), scale, dof[0]

    def describe(self, params: Parts) -> Mapping[str, Array]:
        return laid_over(self._each(lambda part, own: part.describe(own), params))


def common(each: Sequence[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """The pairs that are in all of some lists."""
    first, *rest = each
    return [pair for pair in first if all(pair in pairs for pairs in rest)]


def laid_over(shown: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """Descriptions as one: arrays of one name fill each other's gaps, which are NaN."""
    whole: dict[str, Array] = {}
    for name, values in (item for mapping in shown for item in mapping.items()):
        there = whole.get(name, values)
        if values.ndim == 2:
            there, values = _widened(there, values.shape[1]), _widened(values, there.shape[1])
        whole[name] = np.where(np.isnan(there), values, there)
    return whole


def _widened(values: Array, width: int) -> Array:
    return np.pad(values, ((0, 0), (0, max(width - values.shape[1], 0))), constant_values=np.nan)
