"""Zero inflation: a family, and beside it a mass at one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from attrs import evolve, field, frozen
from scipy.special import xlog1py, xlogy

from latentem.arrays import EQUAL, Array, Labels, own, part, vector
from latentem.core import Additive, Block, Hidden, Learnable, Path, Value, Whole
from latentem.family.base import Family, Mask, atoms_if
from latentem.family.composite.parts import infer_at, sharing_at, statistics_at, within
from latentem.family.composite.point_mass import PointMass, at_row, written
from latentem.numerics.rng import generator
from latentem.numerics.shares import share

_SAME = 1e-4
"""Difference of inflations, relative or as a share of the rows, up to which they are one."""


@final
@frozen
class ZeroInflatedParams(Value):
    """Shares of structural zeros, and the parameters of the family.

    Attributes:
        inflation: Probability that a unit of a component is a structural zero, shape (k,).
        family: The family's parameters.

    Raises:
        ValueError: a probability is not between 0 and 1.
    """

    inflation: Array = vector("(k,)")
    family: Any = part()

    def __attrs_post_init__(self) -> None:
        if not ((self.inflation >= 0) & (self.inflation <= 1)).all():
            raise ValueError(f"inflation was given as {self.inflation}: give probabilities, shape (k,)")


@final
@frozen
class ZeroInflatedStatistics(Additive):
    """Expected numbers of both kinds, and the family's statistics of the second.

    Attributes:
        structural: Of structural zeros, shape (k,).
        drawn: Of rows that the family has drawn, shape (k,).
        family: The family's statistics of these.
    """

    structural: Array = vector("(k,)")
    drawn: Array = vector("(k,)")
    family: Any = part()

    @property
    def inflation(self) -> Array:
        """The expected numbers of both kinds, shape (2, k)."""
        return np.stack([self.structural, self.drawn])


@final
@frozen
class Inflation(Learnable[Array, Array]):
    """Probabilities, shape (k,), from expected numbers of both kinds, shape (2, k)."""

    def log_joint(self, params: Array, statistics: Array) -> float:
        structural, drawn = statistics
        return float((xlogy(structural, params) + xlog1py(drawn, -params)).sum())

    def blocks(self) -> Sequence[Block[Array, Array]]:
        return [self._block()]

    def first(self, statistics: Array) -> Array:
        """Of a component that has no rows, the share in all of them."""
        structural, drawn = statistics
        return own(share(structural, drawn, share(structural.sum(), drawn.sum(), 0.5)))

    def _block(self, held: tuple[int, ...] = ()) -> Block[Array, Array]:
        def maximize(statistics: Array, params: Array) -> Array:
            new = share(statistics[0], statistics[1], params)
            new[list(held)] = params[list(held)]
            return new

        return Block((), maximize, lambda params: len(params) - len(held), lambda more: self._block((*held, *more)))


@final
@frozen
class Origin(Value):
    """q(s, h | z): whether a row is structural, and what the family hides of it where it is not.

    Attributes:
        log_structural: log q(s = 1 | z) in nats, shape (n, k).
        log_drawn: log q(s = 0 | z) in nats, shape (n, k).
        inner: q(h | s = 0, z), or None.
    """

    log_structural: Array = field()
    log_drawn: Array = field()
    inner: Hidden | None = None

    def entropies(self) -> Array:
        entropies = _entropy(self.log_structural) + _entropy(self.log_drawn)
        return entropies if self.inner is None else entropies + np.exp(self.log_drawn) * self.inner.entropies()


def _entropy(log_probability: Array) -> Array:
    """-p log p, with 0 log 0 = 0."""
    return -np.exp(log_probability) * np.where(log_probability > -np.inf, log_probability, 0.0)


def _point(at: Any) -> Array:
    return PointMass(at).at


@final
@frozen(repr=False)
class ZeroInflated(
    Family[ZeroInflatedStatistics, ZeroInflatedParams], Whole[ZeroInflatedStatistics, ZeroInflatedParams]
):
    """A family with more zeros: p(x | z) = inflation_z [x = at] + (1 - inflation_z) f(x | z) (Lambert, 1992).

    Whether a zero is structural is latent. Zeros that the family does not allow (LogNormal, Gamma) are all
    structural, and so are all under a continuous family: then it is a hurdle model (Mullahy, 1986). A density at
    `at` is no probability, and what came of comparing the two would depend on the units.

    A mixture of rows that are all of this family has only the sum of weight times inflation from the data: how
    it is shared out is not identified (several columns in a `Product`, or a sequence, tell more). There
    `Assorted(PointMass(0), family, ...)` says the same with as many parameters as there are.

    Attributes:
        family: What is inflated.
        at: The row that is: one number for all columns, or one each, shape (d,).
        continuous: Whether the family has no mass at any single row; None: as it says itself (`Family.discrete`).
    """

    kind: ClassVar[type] = ZeroInflatedParams

    family: Family[Any, Any] = field()
    at: Array = field(default=0.0, converter=_point, eq=EQUAL, hash=False)
    continuous: bool | None = None

    @family.validator
    def _a_family(self, attribute: Any, value: Any) -> None:
        if not isinstance(value, Family):
            raise TypeError(f"ZeroInflated was given {value!r}: give a Family, such as Poisson()")

    def __repr__(self) -> str:
        at = "" if not self.at.any() and len(self.at) == 1 else f", at={written(self.at)}"
        return f"ZeroInflated({self.family!r}{at}{', continuous=True' if self.continuous else ''})"

    def params(self, inflation: Any, family: Any) -> ZeroInflatedParams:
        """Parameters given by hand, checked at once.

        Args:
            inflation: Probabilities, shape (k,).
            family: As the family's `params` makes them.

        Raises:
            ValueError: no probabilities, or not the family's parameters of as many components.
        """
        params = ZeroInflatedParams(inflation, family)
        self.check_params(params, len(params.inflation))
        return params

    @cached_property
    def pieces(self) -> Mapping[str, Learnable[Any, Any]]:
        return {"family": self.family, "inflation": Inflation()}

    def assemble(self, pieces: Mapping[str, Any]) -> ZeroInflatedParams:
        return ZeroInflatedParams(**pieces)

    def log_density(self, params: ZeroInflatedParams, x: Array) -> Array:
        return self.infer(params, x)[0]

    def infer(self, params: ZeroInflatedParams, x: Array) -> tuple[Array, Hidden | None]:
        log_structural, log_unstructural = self._logs(params, x)
        drawn, inner = infer_at(self.family, params.family, x, self._seen(x))
        # (eq: structural-zeros)
        log_drawn = log_unstructural + drawn
        log_mass = np.logaddexp(log_structural, log_drawn)
        possible = log_mass > -np.inf
        shift = np.where(possible, log_mass, 0.0)
        # Where neither is possible, drawn: q must be a distribution there too.
        log_drawn = np.where(possible, log_drawn - shift, 0.0)
        return log_mass, Origin(own(log_structural - shift), own(log_drawn), inner)

    def expected(self, x: Array, weights: Array, hidden: Origin) -> ZeroInflatedStatistics:
        structural, drawn = weights * np.exp(hidden.log_structural), weights * np.exp(hidden.log_drawn)
        return self._gathered(x, weights, structural, drawn, hidden.inner)

    def statistics(self, x: Array, weights: Array) -> ZeroInflatedStatistics:
        """With half of the zeros structural, where the family allows any: something to start from."""
        share = np.where(at_row(x, self.at), np.where(self._seen(x), 0.5, 1.0), 0.0)[:, None]
        return self._gathered(x, weights, weights * share, weights * (1 - share), None)

    @property
    def takes_missing(self) -> bool:
        return self.family.takes_missing

    def sharing(self, statistics: ZeroInflatedStatistics, x: Array, weight: Array) -> ZeroInflatedStatistics:
        return evolve(statistics, family=sharing_at(self.family, statistics.family, x, weight, self._seen(x)))

    def support(self, x: Array) -> Mask:
        return at_row(x, self.at) | self.family.support(x)

    def atoms(self, x: Array) -> Mask:
        return at_row(x, self.at) | self._atoms(x)

    def coordinates(self, x: Array) -> Array | None:
        found = self.family.coordinates(x)
        return None if found is None else np.where(self._seen(x)[:, None], found, np.nan)

    def _atoms(self, x: Array) -> Mask:
        """Which rows have a probability under the family."""
        return self.family.atoms(x) if self.continuous is None else atoms_if(not self.continuous, x)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        seen = [self._seen(x) for x in chunks]
        others = np.concatenate([x[rows] for x, rows in zip(chunks, seen, strict=True)])
        if not len(others):
            raise ValueError(f"every row is {self.at}, and {self.family!r} has nothing to be fitted to: leave it out")
        # A sound row in the place of each zero that the family does not see keeps the numbers of the rows.
        sound = others[int(self.family.support(others).argmax())]
        shown = [np.where(rows[:, None], x, sound) for x, rows in zip(chunks, seen, strict=True)]
        self.family.check(shown, within(held, "family"))

    def check_params(self, params: ZeroInflatedParams, k: int) -> None:
        super().check_params(params, k)
        self.family.check_params(params.family, k)

    def coincident(self, params: ZeroInflatedParams) -> list[tuple[int, int]]:
        pairs, inflation = self.family.coincident(params.family), params.inflation
        return [(i, j) for i, j in pairs if abs(inflation[i] - inflation[j]) <= _SAME * max(inflation[[i, j]])]

    def alike(self, params: ZeroInflatedParams, statistics: ZeroInflatedStatistics) -> list[tuple[int, int]]:
        near = self.family.alike(params.family, statistics.family)
        return [(i, j) for i, j in near if abs(params.inflation[i] - params.inflation[j]) <= _SAME]

    def sample(self, params: ZeroInflatedParams, labels: Labels, rng: Any) -> Array:
        rng = generator(rng)
        x = np.array(self.family.sample(params.family, labels, rng))
        x[rng.random(len(x)) < params.inflation[labels]] = self.at
        return own(x)

    def marginal(
        self, params: ZeroInflatedParams, columns: tuple[int, ...], d: int
    ) -> tuple[ZeroInflated, ZeroInflatedParams]:
        family, own = self.family.marginal(params.family, columns, d)
        at = self.at if len(self.at) == 1 else self.at[list(columns)]
        return ZeroInflated(family, at, self.continuous), evolve(params, family=own)

    def describe(self, params: ZeroInflatedParams) -> Mapping[str, Array]:
        return {"inflation": params.inflation, **self.family.describe(params.family)}

    def _logs(self, params: ZeroInflatedParams, x: Array) -> tuple[Array, Array]:
        """log inflation where a row may be structural, (n, k), and log(1 - inflation), (k,)."""
        with np.errstate(divide="ignore"):
            log_inflation, rest = np.log(params.inflation), np.log1p(-params.inflation)
        return np.where(at_row(x, self.at)[:, None], log_inflation, -np.inf), rest

    def _seen(self, x: Array) -> Mask:
        """Which rows the family may have drawn: all but those at `at` to which it gives no probability."""
        there = at_row(x, self.at)
        if not there.any():
            return ~there
        seen = ~there
        seen[there] = self._atoms(x[there]) & self.family.support(np.where(np.isnan(x[there]), self.at, x[there]))
        return seen

    def _gathered(
        self, x: Array, weights: Array, structural: Array, drawn: Array, inner: Any
    ) -> ZeroInflatedStatistics:
        family = statistics_at(self.family, x, drawn, inner, self._seen(x), weights.sum(axis=1))
        return ZeroInflatedStatistics(own(structural.sum(axis=0)), own(drawn.sum(axis=0)), family)
