"""Components of one family, and one of noise behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from latentem.arrays import Array, Labels, own, part, vector
from latentem.core import Additive, Hidden, Path, Value, Whole
from latentem.family.base import Family, brief
from latentem.family.composite.parts import within
from latentem.family.composite.point_mass import Constant
from latentem.family.naming import Header, Named, bound, wanted
from latentem.numerics.rng import generator


@final
@frozen
class NoisyParams(Value):
    """Parameters of the components that are no noise; that of noise has none.

    Attributes:
        family: The family's parameters of k - 1 components.
    """

    family: Any = part()


@final
@frozen
class NoisyStatistics(Additive):
    """Statistics of the components that are no noise, and of noise.

    Attributes:
        family: The family's statistics of k - 1 components.
        noise: Sum of weight times log density of noise, shape (1,).
    """

    family: Any = part()
    noise: Array = vector("(1,)")


@final
@frozen
class Clear(Value):
    """q(h | z) where noise is the last component: it hides nothing.

    Attributes:
        family: That of the others.
    """

    family: Hidden

    def entropies(self) -> Array:
        entropies = self.family.entropies()
        return np.hstack([entropies, np.zeros((len(entropies), 1))])


def _a_family(instance: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, Family) or value.background:
        raise TypeError(f"Noisy was given {value!r}: give the Family of the other components, such as Gaussian()")


def _a_noise(instance: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, Constant) and value is not None:
        raise TypeError(f"noise was given as {value!r}: give Noise(low, high) or Uniform(low, high)")


@final
@frozen(repr=False)
class Noisy(Named, Family[NoisyStatistics, NoisyParams], Whole[NoisyStatistics, NoisyParams]):
    """Components of a family, and a last one of noise for outlying rows (Banfield and Raftery, 1993).

    `Mixture(Noisy(Student(), Noise(low, high)), 4)` has three components of Student's t and noise. What ties the
    family's components ties them as it does without noise, of which it knows nothing. A start draws places for the
    others alone, and noise has a share of every row.

    Attributes:
        family: What the others are.
        noise: `Noise(low, high)`, `Uniform(low, high)`, or None where a recipe will take it from the data.

    Raises:
        TypeError: they are no such families.
    """

    kind: ClassVar[type] = NoisyParams
    background: ClassVar[int] = 1

    family: Family[Any, Any] = field(validator=_a_family)
    noise: Constant | None = field(default=None, validator=_a_noise)

    def __repr__(self) -> str:
        return f"Noisy({self.family!r}, {self.noise!r})"

    def params(self, family: Any) -> NoisyParams:
        """Parameters given by hand, those of the family as its `params` makes them; checked at once.

        Raises:
            ValueError: they are not the family's own.
        """
        params = NoisyParams(family)
        self.check_params(params, self.count(params))
        return params

    def wanted(self) -> tuple[str, ...] | None:
        return wanted(self.family)

    def bound(self, header: Header) -> Noisy:
        return evolve(self, family=bound(self.family, header))

    @cached_property
    def pieces(self) -> Mapping[str, Family[Any, Any]]:
        return {"family": self.family}

    def assemble(self, pieces: Mapping[str, Any]) -> NoisyParams:
        return NoisyParams(**pieces)

    def log_joint(self, params: NoisyParams, statistics: NoisyStatistics) -> float:
        return super().log_joint(params, statistics) + float(statistics.noise[0])  # (eq: noise)

    def log_density(self, params: NoisyParams, x: Array) -> Array:
        return self.infer(params, x)[0]

    def infer(self, params: NoisyParams, x: Array) -> tuple[Array, Hidden | None]:
        density, hidden = self.family.infer(params.family, x)
        noise = self._noise.log_density(self._noise.params(), x)
        return np.hstack([density, noise]), None if hidden is None else Clear(hidden)

    def statistics(self, x: Array, weights: Array) -> NoisyStatistics:
        return self._gathered(x, weights, self.family.statistics(x, np.ascontiguousarray(weights[:, :-1])))

    def expected(self, x: Array, weights: Array, hidden: Clear) -> NoisyStatistics:
        its = np.ascontiguousarray(weights[:, :-1])
        return self._gathered(x, weights, self.family.expected(x, its, hidden.family))

    def _gathered(self, x: Array, weights: Array, found: Any) -> NoisyStatistics:
        noise = self._noise.statistics(x, weights[:, -1:])
        return NoisyStatistics(self.family.sharing(found, x, weights.sum(axis=1)), noise)

    def sharing(self, statistics: NoisyStatistics, x: Array, weight: Array) -> NoisyStatistics:
        return evolve(statistics, family=self.family.sharing(statistics.family, x, weight))

    def count(self, params: NoisyParams) -> int:
        return self.family.count(params.family) + 1

    @property
    def takes_missing(self) -> bool:
        return self.family.takes_missing

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return self.family.support(x)

    def cells(self, x: Array) -> npt.NDArray[np.bool_] | None:
        return self.family.cells(x)

    def atoms(self, x: Array) -> npt.NDArray[np.bool_]:
        return self.family.atoms(x)

    @property
    def ellipsoidal(self) -> bool:
        return self.family.ellipsoidal

    def coordinates(self, x: Array) -> Array | None:
        return self.family.coordinates(x)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        self.family.check(chunks, within(held, "family"))

    def check_params(self, params: NoisyParams, k: int) -> None:
        super().check_params(params, k)
        try:
            self.family.check_params(params.family, k - 1)
        except ValueError as error:
            raise ValueError(f"{brief(params.family)}, of the components beside noise: {error}") from None

    def coincident(self, params: NoisyParams) -> list[tuple[int, int]]:
        return self.family.coincident(params.family)

    def alike(self, params: NoisyParams, statistics: NoisyStatistics) -> list[tuple[int, int]]:
        return self.family.alike(params.family, statistics.family)

    def sample(self, params: NoisyParams, labels: Labels, rng: Any) -> Array:
        rng, noise = generator(rng), labels == self.count(params) - 1
        some = self._noise.sample(self._noise.params(), np.zeros(int(noise.sum()), dtype=np.int64), rng)
        x = np.empty((len(labels), some.shape[1]))
        x[noise] = some
        x[~noise] = self.family.sample(params.family, labels[~noise], rng)
        return own(x)

    def marginal(self, params: NoisyParams, columns: tuple[int, ...], d: int) -> tuple[Noisy, NoisyParams]:
        family, its = self.family.marginal(params.family, columns, d)
        noise: Any = self._noise.marginal(self._noise.params(), columns, d)[0]
        return Noisy(family, noise), NoisyParams(its)

    def elliptical(self, params: NoisyParams) -> tuple[Array, Array, Array]:
        means, scales, dof = (_with_none(values) for values in self.family.elliptical(params.family))
        return means, scales, dof

    def describe(self, params: NoisyParams) -> Mapping[str, Array]:
        return {name: _with_none(values) for name, values in self.family.describe(params.family).items()}

    @property
    def _noise(self) -> Constant:
        if self.noise is None:
            raise ValueError(
                "the noise takes its region from data, and has not seen them: lem.fit and lem.Fit.of show it them; "
                "elsewhere give the region, noise=lem.Noise(low, high)"
            )
        return self.noise


def _with_none(values: Array) -> Array:
    """Figures of components, and behind them those of noise, of which there are none."""
    return np.concatenate([values, np.full((1, *values.shape[1:]), np.nan)])
