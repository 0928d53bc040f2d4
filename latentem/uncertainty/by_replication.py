"""Standard errors from replications: of a bootstrap, or of the jackknife."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, own
from latentem.uncertainty.coordinates.scales import Plain, Scale
from latentem.uncertainty.uncertainty import Function, Uncertainty, checked, named, normal_interval


@frozen(eq=False, repr=False)
class ByReplication(Uncertainty):
    """Numbers of the same fit to other data.

    Attributes:
        way: How the data came about, in words.
        tally: What became of the replications, in words.
        fitted: The parameters of the fit.
        params: Those of each replication that counts, its components those of the fit.
        values: The numbers in each, shape (b, m).
    """

    way: str
    tally: str
    fitted: Any
    params: tuple[Any, ...]
    values: Array

    @property
    def method(self) -> str:
        return self.way

    @property
    def notes(self) -> tuple[str, ...]:
        return (self.tally,)

    def of(self, function: Function) -> Self:
        names, estimates = named(function(self.fitted))
        values = own(np.array([named(function(params))[1] for params in self.params]))
        if not np.isfinite(values).all():
            raise ValueError("the function is not finite at some replication: it has no standard error")
        return self._of(names, estimates, values)

    def _of(self, names: tuple[str, ...], estimates: Array, values: Array) -> Self:
        """The same replications with other numbers."""
        return evolve(self, names=names, estimates=estimates, values=values)


@final
@frozen(eq=False, repr=False)
class ByBootstrap(ByReplication):
    """The spread of the replications: their covariance, and intervals between their percentiles."""

    @property
    def covariance(self) -> Array:
        apart = self.values - self.values.mean(axis=0)
        return own(apart.T @ apart / (len(apart) - 1))

    def interval(self, level: float | None = None) -> Array:
        level = checked(level, self.level)
        return own(np.quantile(self.values, [(1 - level) / 2, (1 + level) / 2], axis=0).T)


@final
@frozen(eq=False, repr=False)
class ByJackknife(ByReplication):
    """The spread of replications that differ by a unit, and intervals as of normal numbers.

    Attributes:
        times: How many units each replication stands for, shape (b,).
        scales: On which scale each number has its interval.
    """

    times: Array
    scales: tuple[Scale, ...]

    @property
    def covariance(self) -> Array:
        n = self.times.sum()
        apart = self.values - self.times @ self.values / n
        return own((n - 1) / n * (apart.T * self.times) @ apart)

    def interval(self, level: float | None = None) -> Array:
        return normal_interval(self.estimates, self.standard_errors, self.scales, checked(level, self.level))

    def _of(self, names: tuple[str, ...], estimates: Array, values: Array) -> Self:
        return evolve(self, names=names, estimates=estimates, values=values, scales=(Plain(),) * len(names))
