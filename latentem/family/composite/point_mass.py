"""Densities without free parameters: all mass at a point, and the same density all over a box or beyond it."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, Labels, frozen_array, own
from latentem.core import Block, ColumnError
from latentem.family.base import Family, brief
from latentem.family.columns import constant, seen
from latentem.numerics.rng import generator


class Constant(Family[Array, Array]):
    """A density in which nothing is free. Its parameters are an array of shape (k, 0), which says how many it is.

    The statistics are the sums of weight times log density, shape (k,): all that `log_joint` asks.
    A value that is NaN is missing at random.
    """

    __slots__ = ()

    @abc.abstractmethod
    def logs(self, x: Array) -> Array:
        """Log density of each row in nats, (n, d) -> (n,)."""

    @abc.abstractmethod
    def bounds(self) -> Mapping[str, Array]:
        """Where its mass is: names to arrays of shape (d,)."""

    @final
    def params(self, k: int = 1) -> Array:
        """The parameters of k such components, in which there is no number."""
        return own(np.zeros((k, 0)))

    @property
    def takes_missing(self) -> bool:
        return True

    @final
    def log_density(self, params: Array, x: Array) -> Array:
        return np.repeat(self.logs(x)[:, None], len(params), axis=1)

    @final
    def statistics(self, x: Array, weights: Array) -> Array:
        return own((weights * np.where(weights > 0, self.logs(x)[:, None], 0.0)).sum(axis=0))

    @final
    def log_joint(self, params: Array, statistics: Array) -> float:
        return float(statistics.sum())

    def blocks(self) -> Sequence[Block[Array, Array]]:
        return ()

    def first(self, statistics: Array) -> Array:
        return self.params(len(statistics))

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        inside: npt.NDArray[np.bool_] = self.logs(x) > -np.inf
        return inside

    def check_params(self, params: Array, k: int) -> None:
        if not isinstance(params, np.ndarray) or params.shape != (k, 0):
            raise ValueError(
                f"{brief(params)} was given: parameters of {self!r} hold no numbers; give {self!r}.params({k})"
            )

    def coincident(self, params: Array) -> list[tuple[int, int]]:
        return list(itertools.combinations(range(len(params)), 2))

    def describe(self, params: Array) -> Mapping[str, Array]:
        return {name: np.tile(values, (len(params), 1)) for name, values in self.bounds().items()}


def _row(values: Any) -> Array:
    row = np.atleast_1d(frozen_array(values))
    if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
        raise ValueError(f"{values!r} was given: give a finite number, or one for each column, shape (d,)")
    return frozen_array(row)


@final
@frozen
class PointMass(Constant):
    """All mass at one row: log density 0 there, and minus infinity elsewhere.

    It is discrete. Beside discrete families it is one of them. Beside a continuous one it has its row to itself: the
    measure is length plus a point, under which the other component has no mass at that very point.

    Attributes:
        at: Where: one number for all columns, or one each, shape (d,).
    """

    at: Array = field(converter=_row, eq=EQUAL, hash=False)

    discrete: ClassVar[bool | None] = True

    @property
    def takes(self) -> str:  # type: ignore[override]  # it depends on the point
        """In words, what a row may be."""
        return f"the row {written(self.at)} alone"

    def __repr__(self) -> str:
        return f"PointMass({written(self.at)})"

    def logs(self, x: Array) -> Array:
        return np.where(at_row(x, self.at), 0.0, -np.inf)

    def bounds(self) -> Mapping[str, Array]:
        return {"at": self.at}

    def marginal(self, params: Array, columns: tuple[int, ...], d: int) -> tuple[PointMass, Array]:
        return PointMass(self.at if len(self.at) == 1 else self.at[list(columns)]), params

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        return np.tile(self.at, (len(labels), 1))


@frozen
class Box(Constant):
    """A density that is constant over a box. The box is given and not estimated: it has no free parameters.

    Attributes:
        low: Lower ends, one a column, shape (d,); a number is one column.
        high: Upper ends, likewise, above the lower ones. Both ends are inside.

    Raises:
        ValueError: the ends are of different shapes or not finite, or one is not above the other.
    """

    low: Array = field(converter=_row, eq=EQUAL, hash=False)
    high: Array = field(converter=_row, eq=EQUAL, hash=False)

    discrete: ClassVar[bool | None] = False

    def __attrs_post_init__(self) -> None:
        if self.low.shape != self.high.shape or not (self.low < self.high).all():
            raise ValueError(
                f"a box from {self.low} to {self.high} was given: give as many upper ends as lower, each above its own"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({written(self.low)}, {written(self.high)})"

    @abc.abstractmethod
    def inside(self, x: Array) -> npt.NDArray[np.bool_]:
        """Which values are where the density is, (n, d) -> (n, d)."""

    def logs(self, x: Array) -> Array:
        if x.shape[1] != len(self.low):
            raise ValueError(f"data with {x.shape[1]} columns were given: the box {self!r} has {len(self.low)}")
        missing = np.isnan(x)
        inside = (self.inside(x) | missing).all(axis=1)
        # Half of each, since a width may be beyond the floats where its ends are not.
        log_widths = np.log(self.high / 2 - self.low / 2) + np.log(2)
        return np.where(inside, -np.where(missing, 0.0, log_widths).sum(axis=1), -np.inf)

    def bounds(self) -> Mapping[str, Array]:
        return {"centre": self.low / 2 + self.high / 2, "half width": self.high / 2 - self.low / 2}

    def marginal(self, params: Array, columns: tuple[int, ...], d: int) -> tuple[Self, Array]:
        return type(self)(self.low[list(columns)], self.high[list(columns)]), params

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        return generator(rng).uniform(self.low, self.high, (len(labels), len(self.low)))


@final
@frozen(repr=False)
class Uniform(Box):
    """A constant density over a box, and zero outside of it.

    The box, `low` to `high`, is given, and is not estimated: it has no free parameters.
    """

    @property
    def takes(self) -> str:  # type: ignore[override]  # it depends on the box
        """In words, what a row may be."""
        return f"rows from {written(self.low)} to {written(self.high)}"

    def inside(self, x: Array) -> npt.NDArray[np.bool_]:
        return (x >= self.low) & (x <= self.high)


@final
@frozen(repr=False)
class Noise(Box):
    """The density of noise: one over the volume of a box, for rows outside of it too (Banfield and Raftery, 1993).

    A row of later data that is farther out than all that were fitted is then noise, and not the nearest component's.
    As a density it is proper over the box only, and draws are from there.
    """

    takes: ClassVar[str] = "any row"

    def inside(self, x: Array) -> npt.NDArray[np.bool_]:
        return np.ones(x.shape, dtype=bool)

    @classmethod
    def around(cls, low: Array, high: Array, volume: float | None = None) -> Self:
        """That of the region of some data, or of a box about its centre and of its proportions, of this volume.

        Args:
            low: Least values of the columns, shape (d,).
            high: Largest values, likewise.
            volume: In the product of the columns' units; None: that of the region.

        Raises:
            ColumnError: a column has no width.
        """
        if (still := constant(low, high)).any():
            column = int(still.argmax())
            what = f"is constant{seen(low[column], high[column])}, and the region of the noise has no volume"
            raise ColumnError(column, f"{what}: leave it out, or give noise=lem.Noise(low, high)")
        if volume is None:
            return cls(low, high)
        centre, half = low / 2 + high / 2, high / 2 - low / 2
        half = half * np.exp((np.log(volume) - (np.log(half) + np.log(2)).sum()) / len(half))
        return cls(centre - half, centre + half)


def at_row(x: Array, at: Array) -> npt.NDArray[np.bool_]:
    """Which rows are this one as far as is known of them, (n, d) and (d,) or (1,) -> (n,)."""
    if len(at) not in (1, x.shape[1]):
        raise ValueError(f"data with {x.shape[1]} columns were given: the point {written(at)} has {len(at)}")
    where: npt.NDArray[np.bool_] = ((x == at) | np.isnan(x)).all(axis=1)
    return where


def written(row: Array) -> str:
    """A row as one would write it."""
    return f"{row[0]:g}" if len(row) == 1 else f"[{', '.join(f'{value:g}' for value in row)}]"
