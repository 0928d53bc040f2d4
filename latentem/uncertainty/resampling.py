"""Other data, made from those of a fit: each replication is a pure function of the seed and of its number."""

from __future__ import annotations

import abc
from typing import Any, Self, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import Array, Labels, own
from latentem.core import Chunk, LatentModel, Unavailable, unit_weight

Model = LatentModel[Any, Any, Any, Any]


@final
@frozen(eq=False)
class Masses:
    """How much the units of each chunk count.

    Attributes:
        units: How many units each chunk has, shape (chunks,).
        weights: The sum of their weights, likewise.
        whole: Whether all weights are whole numbers, so that a unit of weight 2 can be taken for two.
    """

    units: Labels
    weights: Array
    whole: bool

    @classmethod
    def of(cls, answers: list[tuple[int, float, bool]]) -> Self:
        """From what `mass` has found of each chunk."""
        units, weights, whole = zip(*answers, strict=True)
        return cls(np.array(units), np.array(weights), all(whole))

    @property
    def count(self) -> int:
        """How many units there are, each as often as it weighs."""
        return round(float(self.weights.sum()))


def mass(chunk: Any) -> tuple[int, float, bool]:
    """How many units a chunk has, the sum of their weights, and whether all of them are whole."""
    weight = unit_weight(chunk)
    if weight is None:
        return len(chunk), float(len(chunk)), True
    return len(chunk), float(weight.sum()), bool((weight == np.round(weight)).all())


class Resampling(abc.ABC):
    """A way of making other data.

    Attributes:
        seed: What the draws depend on.
        masses: How much the chunks count.
    """

    __slots__ = ()

    seed: np.random.SeedSequence
    masses: Masses

    @abc.abstractmethod
    def chunk(self, number: int, i: int, chunk: Any) -> Any:
        """Chunk i of the replication of this number, made from the chunk of the data."""

    def weights(self, number: int, i: int, chunk: Any) -> Array | None:
        """The weights that the units of chunk i have in it, shape (units,); None where not only the weights differ."""
        return None

    def refuse(self, chunk: Any) -> None:
        """Refuse data, of which this is a chunk, that cannot be resampled so.

        Raises:
            Unavailable: the model or its chunks do not have what it takes.
            ValueError: weights are no counts.
        """
        if not isinstance(chunk, Chunk):
            raise Unavailable(
                f"chunks of type {type(chunk).__name__} take no weights, so that units cannot be drawn from them: "
                'derive the chunk from latentem.data.Units, or ask for method="information"'
            )

    def rng(self, number: int, i: int | None = None) -> np.random.Generator:
        """Random numbers of a replication: those of one chunk, or those that are drawn once for all of them."""
        key = (*self.seed.spawn_key, number, *(() if i is None else (i,)))
        return np.random.default_rng(np.random.SeedSequence(self.seed.entropy, spawn_key=key))


class Reweighting(Resampling):
    """Other weights of the same units."""

    __slots__ = ()

    def chunk(self, number: int, i: int, chunk: Any) -> Any:
        return evolve(chunk, weight=self.weights(number, i, chunk))

    @abc.abstractmethod
    def weights(self, number: int, i: int, chunk: Any) -> Array: ...


@final
@frozen(eq=False)
class DirichletWeights(Reweighting):
    """The Bayesian bootstrap (Rubin, 1981): Dirichlet weights, which sum to as much as the data count."""

    seed: np.random.SeedSequence
    masses: Masses

    def weights(self, number: int, i: int, chunk: Any) -> Array:
        # Shares of the chunks, then shares within each: together a Dirichlet, whatever the chunks are.
        weight = unit_weight(chunk)
        own_shares = self.rng(number, i).gamma(np.ones(len(chunk)) if weight is None else weight)
        total = own_shares.sum()
        if not total > 0:
            return own(own_shares)
        return own(own_shares * (self._share(number, i) / total))

    def _share(self, number: int, i: int) -> float:
        weights = self.masses.weights
        if len(weights) == 1:
            return float(weights[0])
        drawn = self.rng(number).gamma(weights)
        return float(weights.sum() * drawn[i] / drawn.sum())


@final
@frozen(eq=False)
class WithReplacement(Reweighting):
    """The bootstrap of Efron (1979): as many units as there are, drawn with replacement."""

    seed: np.random.SeedSequence
    masses: Masses

    def weights(self, number: int, i: int, chunk: Any) -> Array:
        weight, weights = unit_weight(chunk), self.masses.weights
        count = self.masses.count
        if len(weights) > 1:
            count = int(self.rng(number).multinomial(count, weights / weights.sum())[i])
        shares = np.full(len(chunk), 1 / len(chunk)) if weight is None else weight / (weight.sum() or 1.0)
        drawn = self.rng(number, i).multinomial(count, shares) if count else np.zeros(len(chunk))
        return own(drawn.astype(np.float64))

    def refuse(self, chunk: Any) -> None:
        super().refuse(chunk)
        refuse_fractions(self.masses, "drawn with replacement")


@final
@frozen(eq=False)
class LeftOut(Reweighting):
    """The jackknife (Quenouille, 1956; Tukey, 1958): all units but one, which is that of the replication's number.

    Attributes:
        seed: Not used.
        masses: How much the chunks count.
        begins: The number of the first unit of each chunk.
    """

    seed: np.random.SeedSequence
    masses: Masses
    begins: tuple[int, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "begins", tuple(int(b) for b in np.cumsum(self.masses.units) - self.masses.units))

    def weights(self, number: int, i: int, chunk: Any) -> Array:
        at = number - self.begins[i]
        weight = unit_weight(chunk)
        left = np.ones(len(chunk)) if weight is None else weight.copy()
        if 0 <= at < len(chunk):
            left[at] = max(left[at] - 1, 0.0)
        return own(left)

    def refuse(self, chunk: Any) -> None:
        super().refuse(chunk)
        refuse_fractions(self.masses, "left out one at a time")


def refuse_fractions(masses: Masses, done: str) -> None:
    """Refuse weights that are no counts.

    Raises:
        ValueError: some are not.
    """
    if not masses.whole:
        raise ValueError(f'weights that are no whole numbers were given: units cannot be {done}; use method="weighted"')


@final
@frozen(eq=False)
class Drawn(Resampling):
    """The parametric bootstrap (Efron, 1979): units that the model draws at the parameters of the fit.

    As many as there are, as long as they are, and with the same cells missing.

    Attributes:
        seed: What the draws depend on.
        masses: How much the chunks count.
        model: The model.
        params: Its parameters.
    """

    seed: np.random.SeedSequence
    masses: Masses
    model: Model
    params: Any

    def chunk(self, number: int, i: int, chunk: Any) -> Any:
        rng = self.rng(number, i)
        if not isinstance(chunk, Chunk):
            return self.model.chunk(self.model.sample(self.params, len(chunk), rng)[0])
        weight = unit_weight(chunk)
        times = np.ones(len(chunk), dtype=np.int64) if weight is None else weight.astype(np.int64)
        if chunk.lengths is None:
            missing = np.isnan(np.repeat(chunk.x, times, axis=0))
            x = self.model.sample(self.params, int(times.sum()), rng)[0]
            return _changed(chunk, x=_lacking(x, missing), weight=None)
        units = np.split(chunk.x, np.cumsum(chunk.lengths)[:-1])
        units = [unit for unit, count in zip(units, times.tolist(), strict=True) for _ in range(count)]
        x = np.concatenate([self.model.sample(self.params, len(unit), rng)[0] for unit in units])
        missing = np.isnan(np.concatenate(units))
        return _changed(chunk, x=_lacking(x, missing), lengths=np.array(list(map(len, units))), weight=None)

    def refuse(self, chunk: Any) -> None:
        row = np.shape(self.model.sample(self.params, 1, self.rng(0))[0])
        refuse_fractions(self.masses, "drawn from the fit as often as they weigh")
        if not isinstance(chunk, Chunk):
            return
        if chunk.allowed is not None:
            raise ValueError(
                'known labels were given, and units that are drawn have others: use method="weighted", or "information"'
            )
        if row[1:] != chunk.x.shape[1:]:
            raise Unavailable(
                f"{self.model!r} draws rows of shape {row[1:]}, and those of the data are {chunk.x.shape[1:]}"
            )


def _changed(chunk: Any, **fields: Any) -> Any:
    return evolve(chunk, **fields)


def _lacking(x: Any, missing: Any) -> Array:
    """Rows that were drawn, without the cells that are missing."""
    drawn = np.array(x, dtype=np.float64)
    drawn[missing] = np.nan
    return own(drawn)
