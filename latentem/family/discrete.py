"""Counts, and successes: Poisson, Geometric, Bernoulli and Binomial columns."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence, Set
from typing import Any, ClassVar, final

import numpy as np
from attrs import evolve, field, frozen
from scipy.special import betaln

from latentem.arrays import Array, Labels, frozen_array, own
from latentem.core import Event, Path
from latentem.family.base import Mask, refuse_other_columns
from latentem.family.by_component import unobserved
from latentem.family.columns import ColumnFamily, one_each, one_or_each, whole, whole_numbers
from latentem.family.counts import SMALL, log_factorial, log_poisson, poisson, refuse_large
from latentem.family.exponential import ExponentialStatistics
from latentem.numerics.rng import generator
from latentem.numerics.shares import held_back, share


class CountColumns(ColumnFamily):
    """Independent columns of counts."""

    __slots__ = ()

    takes: ClassVar[str] = "counts: whole numbers of at least 0"
    discrete: ClassVar[bool | None] = True

    def cells(self, x: Array) -> Mask:
        return whole(x)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        super().check(chunks, held)
        refuse_large(chunks)


@final
@frozen
class Poisson(CountColumns):
    """Counts: independent Poisson columns. The parameters are the rates, shape (k, d)."""

    parameter: ClassVar[str] = "rate"
    parameters: ClassVar[str] = "rates"
    rule: ClassVar[str] = "finite rates of at least 0"

    def params(self, rates: Any) -> Array:
        """Rates given by hand, checked at once.

        Raises:
            ValueError: not of shape (k, d), or a rate is negative or not finite.
        """
        return self.checked(rates)

    def sound(self, values: Array) -> Any:
        return np.isfinite(values) & (values >= 0)

    def log_base(self, x: Array) -> Array:
        inside = whole(x)
        if inside.all():
            return -log_factorial(x).sum(axis=1)  # (eq: poisson)
        return np.where(inside, -log_factorial(np.where(inside, x, 0)), -np.inf).sum(axis=1)

    def natural(self, params: Array) -> Array:
        return np.log(params)

    def log_partition(self, params: Array) -> Array:
        return params.sum(axis=1)  # (eq: poisson)

    def from_mean(self, mean: Array) -> Array:
        return mean

    def mean(self, params: Array) -> Array:
        return params

    def sharp(self, low: Array, high: Array) -> bool:
        return bool(high.max() <= SMALL)

    def log_density(self, params: Array, x: Array) -> Array:
        if self.sharp(x, x):
            return super().log_density(params, x)
        refuse_other_columns(x, params.shape[1])
        inside = whole(x)
        density = np.zeros((len(x), len(params)))
        for column, rates in zip(np.where(inside, x, 0.0).T, params.T, strict=True):
            density += log_poisson(column[:, None], rates)
        return np.where(inside.all(axis=1, keepdims=True), density, -np.inf)

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        rng = generator(rng)
        return own(poisson(rng, params[labels]))


@final
@frozen
class Geometric(CountColumns):
    """Failures before the first success, 0, 1, 2, ...: p(x) = p (1 - p)^x in each of d independent columns.

    The parameters are the probabilities of success p, shape (k, d), above 0.
    """

    parameter: ClassVar[str] = "probability"
    parameters: ClassVar[str] = "probabilities"
    rule: ClassVar[str] = "probabilities above 0 and at most 1"

    def params(self, probabilities: Any) -> Array:
        """Probabilities of success given by hand, checked at once.

        Raises:
            ValueError: not of shape (k, d), or outside (0, 1].
        """
        return self.checked(probabilities)

    def sound(self, values: Array) -> Any:
        return (values > 0) & (values <= 1)

    def natural(self, params: Array) -> Array:
        return np.log1p(-params)

    def log_partition(self, params: Array) -> Array:
        return -np.log(params).sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        return share(np.ones_like(mean), mean, 0.5)  # (eq: geometric-exponential)

    def mean(self, params: Array) -> Array:
        return (1 - params) / params

    def coordinates(self, x: Array) -> Array:
        return np.log1p(x)

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        return frozen_array(generator(rng).geometric(params[labels]) - 1)


class Successes(ColumnFamily):
    """Independent columns of successes and failures; the parameters are probabilities of success, shape (k, d).

    T holds both, so probabilities of exactly 0 and 1 are as good as others.
    """

    __slots__ = ()

    parameter: ClassVar[str] = "probability"
    parameters: ClassVar[str] = "probabilities"
    rule: ClassVar[str] = "probabilities between 0 and 1"
    discrete: ClassVar[bool | None] = True

    @abc.abstractmethod
    def trials_of(self, d: int) -> Labels:
        """Successes and failures together, one number a column, shape (d,)."""

    def params(self, probabilities: Any) -> Array:
        """Probabilities of success given by hand, checked at once.

        Raises:
            ValueError: not of shape (k, d), or outside [0, 1].
        """
        return self.checked(probabilities)

    def sound(self, values: Array) -> Any:
        return (values >= 0) & (values <= 1)

    def diagnose(self, params: Array, statistics: ExponentialStatistics) -> Sequence[Event]:
        successes, failures = np.hsplit(statistics.total, 2)
        return unobserved((successes + failures) / self.trials_of(params.shape[1]), statistics.count)

    def attainable(
        self, statistics: ExponentialStatistics, params: Array, ahead: ExponentialStatistics
    ) -> ExponentialStatistics:
        counts, there = (np.stack(np.hsplit(each.total, 2), axis=2) for each in (statistics, ahead))
        moved = held_back(counts, np.stack([params, 1 - params], axis=2), there)
        if moved is counts:
            return statistics
        return evolve(statistics, total=own(np.hstack([moved[..., 0], moved[..., 1]])))

    def T(self, x: Array) -> Array:  # noqa: N802 - the protocol's name
        missing = np.isnan(x)
        return np.hstack([np.where(missing, 0.0, x), np.where(missing, 0.0, self.trials_of(x.shape[1]) - x)])

    def natural(self, params: Array) -> Array:
        return np.hstack([np.log(params), np.log1p(-params)])

    def log_partition(self, params: Array) -> Array:
        return np.zeros(len(params))

    def from_mean(self, mean: Array) -> Array:
        successes, failures = np.hsplit(mean, 2)
        return share(successes, failures, 0.5)  # (eq: successes)

    def mean(self, params: Array) -> Array:
        trials = self.trials_of(params.shape[1])
        return np.hstack([trials * params, trials * (1 - params)])

    def free(self, params: Array) -> int:
        return params.shape[1]

    def sample(self, params: Array, labels: Labels, rng: Any) -> Array:
        return frozen_array(generator(rng).binomial(self.trials_of(params.shape[1]), params[labels]))


@final
@frozen
class Bernoulli(Successes):
    """Columns of 0 and 1, independent given the component; NaN is a value missing at random.

    The parameters are the probabilities of a 1, shape (k, d). A mixture of these is latent class analysis.
    """

    takes: ClassVar[str] = "0 or 1, or NaN for a missing value; where yours are 1 and 2, subtract 1"
    codes: ClassVar[int] = 2

    @property
    def takes_missing(self) -> bool:
        return True

    def trials_of(self, d: int) -> Labels:
        return np.ones(d, dtype=np.int64)

    def cells(self, x: Array) -> Mask:
        return (x == 0) | (x == 1) | np.isnan(x)


@final
@frozen
class Binomial(Successes):
    """Successes out of a known number of trials, in independent columns.

    The parameters are the probabilities of success, shape (k, d).

    Attributes:
        trials: How many trials a value is out of: one number, or a tuple, one a column.
    """

    takes: ClassVar[str] = "whole numbers from 0 to the trials of the column"

    trials: int | tuple[int, ...] = field(converter=whole_numbers, validator=one_or_each)

    def trials_of(self, d: int) -> Labels:
        return one_each(self.trials, d, "trials")

    def marginal(self, params: Array, columns: tuple[int, ...], d: int) -> tuple[Binomial, Array]:
        return Binomial(self.trials_of(d)[list(columns)]), params[:, columns]

    def cells(self, x: Array) -> Mask:
        return whole(x) & (x <= self.trials_of(x.shape[1]))

    def log_base(self, x: Array) -> Array:
        trials, inside = self.trials_of(x.shape[1]), self.cells(x)
        x = np.where(inside, x, 0.0)
        choices = -np.log1p(trials) - betaln(trials - x + 1, x + 1)
        return np.where(inside, choices, -np.inf).sum(axis=1)
