"""Counts of any size: log probabilities term by term where products would cancel, draws, and how large they may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.special import gammaln

from latentem.arrays import Array
from latentem.core import RowError
from latentem.family.base import first_wrong
from latentem.family.columns import whole
from latentem.numerics.log_gamma import LOG_2PI, less_log_ratio, stirling
from latentem.numerics.rng import generator

MOST = 1e12
"""The largest count that is taken: at that, sums of log probabilities still have three digits after the point."""
SMALL = 1e5
"""Counts up to which natural parameters times T have the digits, and are quicker."""
_LOG_FACTORIALS = gammaln(np.arange(4096.0) + 1)
_DRAWN = 1e15
"""Means up to which numpy draws Poisson counts; above, a normal one has all the digits that a float has."""


def counted(x: Array) -> Any:
    """Which values are counts that can be told from their neighbours and scored, boolean of the same shape."""
    return whole(x) & (x <= MOST)


def log_factorial(x: Array) -> Array:
    """log x! of counts, from a table where all of them are small: gammaln takes fifteen times as long."""
    if x.max(initial=0.0) < len(_LOG_FACTORIALS):
        return _LOG_FACTORIALS[x.astype(np.intp)]
    return np.asarray(gammaln(x + 1))


def refuse_large(chunks: Iterable[Array]) -> None:
    """Refuse counts whose log probabilities would be rounding, with a RowError."""
    if (found := first_wrong(chunks, lambda x: x > MOST)) is not None:
        row, x, column = found
        raise RowError(
            row,
            f"column {{column}} is {x[column]:g}: counts of up to {MOST:g} are taken, for log probabilities of larger "
            "ones are nothing but rounding; fit Gamma or LogNormal to values as large as these",
            column,
        )


def log_poisson(x: Array, mean: Array) -> Array:
    """log p of Poisson counts in nats, broadcast, by Loader's (2000) form, in which no large terms cancel.

    -x (r - 1 - log r) - log(2 pi x) / 2 less what Stirling's formula leaves of log x!, with r = mean / x.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        positive = np.where(x > 0, x, 1.0)
        apart = less_log_ratio(np.where(mean > 0, mean, positive), positive)
        deviance = positive * np.where(np.isfinite(apart), apart, np.inf)
        density = -deviance - 0.5 * (LOG_2PI + np.log(positive)) - stirling(positive)
        return np.where(x > 0, np.where(mean > 0, density, -np.inf), -mean)


def poisson(rng: Any, mean: Array) -> Array:
    """Poisson counts as floats, also where a mean is beyond the whole numbers that numpy draws."""
    rng, large = generator(rng), mean > _DRAWN
    drawn = rng.poisson(np.where(large, 0.0, mean)).astype(np.float64)
    if large.any():
        drawn[large] = np.rint(mean[large] + np.sqrt(mean[large]) * rng.standard_normal(int(large.sum())))
    return drawn
