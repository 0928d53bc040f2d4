"""Categories: Categorical columns, and Multinomial rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any, ClassVar, final

import numpy as np
from attrs import evolve, field, frozen
from attrs.validators import optional
from scipy.special import gammaln

from latentem.arrays import Array, Labels, frozen_array, frozen_shares, own
from latentem.core import Event, Path, Unavailable
from latentem.family.base import Family, Mask, refuse_other_columns
from latentem.family.by_component import unobserved
from latentem.family.columns import ColumnFamily, natural_number, one_each, one_or_each, whole, whole_numbers
from latentem.family.counts import SMALL, log_poisson, refuse_large
from latentem.family.exponential import ExponentialFamily, ExponentialStatistics
from latentem.family.naming import Header, Named, refuse_text
from latentem.numerics.rng import generator
from latentem.numerics.shares import held_back, shares

_ROUNDING = 1e-9
"""How far from 1 a sum of probabilities may be."""
_MANY = 2**16
"""Levels of a column of numbers from which on these are hardly categories."""


@final
@frozen
class Categorical(Named, ExponentialFamily):
    """Columns of categories 0, 1, ..., levels - 1, independent given the component; NaN is missing at random.

    The parameters are probabilities, shape (k, d, largest number of levels), zero beyond a column's own
    levels. A mixture of these is latent class analysis.

    Attributes:
        levels: How many categories there are: one number, or a tuple, one a column. None: as many as the data have,
            which `fit` puts in.
    """

    levels: int | tuple[int, ...] | None = field(default=None, converter=whole_numbers, validator=optional(one_or_each))

    discrete: ClassVar[bool | None] = True
    codes: ClassVar[int] = _MANY

    def wanted(self) -> tuple[str, ...] | None:
        return None

    def bound(self, header: Header) -> Categorical:
        d = len(header.categories)
        if self.levels is None:
            found = [self._found(header, i) for i in range(d)]
            return Categorical(found[0] if len(set(found)) == 1 else tuple(found))
        for i, levels in enumerate(one_each(self.levels, d, "levels").tolist()):
            refuse_text(repr(self), header.of([i]), levels)
        return self

    def _found(self, header: Header, i: int) -> int:
        """How many levels a column has."""
        if (known := header.categories[i]) is not None:
            return max(1, len(known))
        largest = header.largest(i)
        if largest is None or largest >= _MANY:
            what = "is read from elsewhere" if largest is None else f"goes up to {largest:g}"
            raise ValueError(
                f"{header.word(i)} {what}, and Categorical() was to find its levels: give them, Categorical(levels)"
            )
        return int(max(largest, 0)) + 1  # what is below 0, or between whole numbers, is refused by its row

    @property
    def _known(self) -> int | tuple[int, ...]:
        if self.levels is None:
            raise ValueError("Categorical() finds its levels in fit: by itself it needs them, Categorical(levels)")
        return self.levels

    @property
    def takes(self) -> str:  # type: ignore[override]  # it depends on the levels
        """In words, what a value may be."""
        each = f"0 to {self._known - 1}" if isinstance(self._known, int) else "0 to one less than the column's levels"
        return f"levels counted from 0, {each}, or NaN for a missing value; where yours begin with 1, subtract 1"

    def params(self, probabilities: Any) -> Array:
        """Probabilities given by hand, checked at once.

        Raises:
            ValueError: wrong shape, not summing to one over the levels, or not zero beyond them.
        """
        array = frozen_shares(probabilities)
        if self.levels is None and array.ndim == 3 and 0 not in array.shape:
            return Categorical(array.shape[2]).params(array)
        if array.ndim != 3 or 0 in array.shape or array.shape[2] != np.max(self._known):
            raise ValueError(
                f"probabilities have shape {array.shape}: give (k, d, {np.max(self._known)}), the last axis for levels"
            )
        beyond = ~self._slots(array.shape[1])
        if not (
            (array >= 0).all() and (np.abs(array.sum(axis=2) - 1) <= _ROUNDING).all() and not array[:, beyond].any()
        ):
            raise ValueError(
                f"probabilities were given as {array}: they must be at least 0, sum to 1 over the levels of a column, "
                "and be 0 beyond them"
            )
        return array

    @property
    def takes_missing(self) -> bool:
        return True

    def diagnose(self, params: Array, statistics: ExponentialStatistics) -> Sequence[Event]:
        slots = self._slots(params.shape[1])
        return unobserved(_by_column(statistics.total, slots).sum(axis=2), statistics.count)

    def attainable(
        self, statistics: ExponentialStatistics, params: Array, ahead: ExponentialStatistics
    ) -> ExponentialStatistics:
        slots = self._slots(params.shape[1])
        counts = _by_column(statistics.total, slots)
        moved = held_back(counts, params, _by_column(ahead.total, slots))
        return statistics if moved is counts else evolve(statistics, total=own(moved[:, slots]))

    def T(self, x: Array) -> Array:  # noqa: N802 - the protocol's name
        hot: Mask = x[:, :, None] == np.arange(np.max(self._known))
        return hot[:, self._slots(x.shape[1])].astype(np.float64)

    def cells(self, x: Array) -> Mask:
        return (whole(x) & (x < one_each(self._known, x.shape[1], "levels"))) | np.isnan(x)

    def natural(self, params: Array) -> Array:
        return np.log(self.mean(params))

    def log_partition(self, params: Array) -> Array:
        return np.zeros(len(params))

    def from_mean(self, mean: Array) -> Array:
        slots = self._slots(len(self._known) if isinstance(self._known, tuple) else mean.shape[1] // self._known)
        return shares(_by_column(mean, slots), slots / slots.sum(axis=1, keepdims=True))  # (eq: categories)

    def mean(self, params: Array) -> Array:
        return params[:, self._slots(params.shape[1])]

    def free(self, params: Array) -> int:
        d = params.shape[1]
        return int(one_each(self._known, d, "levels").sum()) - d

    def check_params(self, params: Array, k: int) -> None:
        if len(self.params(params)) != k:
            raise ValueError(f"probabilities of {len(params)} components were given: the model has {k}")

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        levels = one_each(self._known, params.shape[1], "levels")
        steps = params.cumsum(axis=2)[labels]
        x = (generator(rng).random((*steps.shape[:2], 1)) * steps[:, :, -1:] >= steps).sum(axis=2)
        return frozen_array(np.minimum(x, levels - 1))

    def marginal(self, params: Array, columns: tuple[int, ...], d: int) -> tuple[Categorical, Array]:
        levels = one_each(self._known, d, "levels")[list(columns)]
        return Categorical(levels), params[:, columns, : levels.max()]

    def describe(self, params: Array) -> Mapping[str, Array]:
        return {f"P(x{i} = {level})": params[:, i, level] for i, level in np.argwhere(self._slots(params.shape[1]))}

    def _slots(self, d: int) -> Mask:
        """Which levels a column has, boolean of shape (d, largest number of levels)."""
        return _slots(self._known, d)


@final
@frozen
class Multinomial(ColumnFamily):
    """Rows of counts over d outcomes. The parameters are the probabilities of the outcomes, shape (k, d).

    Attributes:
        total: What every row adds up to; None lets each row have its own, given which it is distributed.
    """

    total: int | None = field(default=None)

    parameter: ClassVar[str] = "probability"
    parameters: ClassVar[str] = "probabilities"
    rule: ClassVar[str] = "probabilities of at least 0 that sum to 1 in each row"
    takes: ClassVar[str] = "counts, whole numbers of at least 0, that add up to its total where it has one"
    discrete: ClassVar[bool | None] = True

    @total.validator
    def _positive(self, attribute: Any, value: Any) -> None:
        if value is not None and not natural_number(value):
            raise ValueError(f"total was given as {value!r}: give a whole number, at least 1, or None")

    def params(self, probabilities: Any) -> Array:
        """Probabilities given by hand, checked at once.

        Raises:
            ValueError: not of shape (k, d), negative, or not summing to one over the outcomes.
        """
        return self.checked(frozen_shares(probabilities))

    def sound(self, values: Array) -> Any:
        return (values >= 0) & (np.abs(values.sum(axis=1, keepdims=True) - 1) <= _ROUNDING)

    def log_base(self, x: Array) -> Array:
        totals = x.sum(axis=1)
        whole_rows = whole(x).all(axis=1)
        inside = whole_rows if self.total is None else whole_rows & (totals == self.total)
        x, totals = np.where(whole(x), x, 0.0), np.where(inside, totals, 0.0)
        return np.where(inside, gammaln(totals + 1) - gammaln(x + 1).sum(axis=1), -np.inf)  # (eq: categories)

    def cells(self, x: Array) -> Mask:
        return whole(x)

    def sharp(self, low: Array, high: Array) -> bool:
        return bool(high.max() <= SMALL)

    def log_density(self, params: Array, x: Array) -> Array:
        if self.sharp(x, x):
            return super().log_density(params, x)
        refuse_other_columns(x, params.shape[1])
        inside = self.support(x)
        counts = np.where(inside[:, None], x, 0.0)
        totals = counts.sum(axis=1)
        # Poisson counts given their sum, in which no large terms cancel.
        density = np.zeros((len(x), len(params)))
        for column, probabilities in zip(counts.T, params.T, strict=True):
            density += log_poisson(column[:, None], totals[:, None] * probabilities)
        return np.where(inside[:, None], density - log_poisson(totals, totals)[:, None], -np.inf)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        if chunks[0].shape[1] < 2:
            raise ValueError(
                "Multinomial was given one column: give one for each outcome, at least two; for a column of symbols "
                "use Categorical(levels)"
            )
        super().check(chunks, held)
        refuse_large([x.sum(axis=1, keepdims=True) for x in chunks])

    def marginal(self, params: Array, columns: tuple[int, ...], d: int) -> tuple[Family[Any, Any], Array]:
        return Family.marginal(self, params, columns, d)  # outcomes share their total

    def natural(self, params: Array) -> Array:
        return np.log(params)

    def log_partition(self, params: Array) -> Array:
        return np.zeros(len(params))

    def from_mean(self, mean: Array) -> Array:
        return shares(mean, 1 / mean.shape[1])

    def attainable(
        self, statistics: ExponentialStatistics, params: Array, ahead: ExponentialStatistics
    ) -> ExponentialStatistics:
        moved = held_back(statistics.total, params, ahead.total)
        return statistics if moved is statistics.total else evolve(statistics, total=own(moved))

    def mean(self, params: Array) -> Array:
        return (self.total or 1) * params

    def free(self, params: Array) -> int:
        return params.shape[1] - 1

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        if self.total is None:
            raise Unavailable(
                "Multinomial() does not know what rows add up to: give it a total, Multinomial(total=...)"
            )
        probabilities = params / params.sum(axis=1, keepdims=True)
        return frozen_array(generator(rng).multinomial(self.total, probabilities[labels]))


def _by_column(totals: Array, slots: Mask) -> Array:
    """Totals of T, (k, p), by column and level, shape (k, *slots.shape)."""
    table = np.zeros((len(totals), *slots.shape))
    table[:, slots] = totals
    return table


@lru_cache(64)  # each step asks for them many times
def _slots(known: int | tuple[int, ...], d: int) -> Mask:
    levels = one_each(known, d, "levels")
    slots: Mask = np.arange(levels.max()) < levels[:, None]
    slots.flags.writeable = False
    return slots
