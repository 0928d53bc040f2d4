"""Latent scales of rows: gamma distributions, one a row and component."""

from __future__ import annotations

from functools import cached_property
from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, matrix, own, vector
from latentem.core import Value
from latentem.numerics.log_gamma import LOG_2PI, less_log, log_less_digamma, stirling


@final
@frozen
class GammaScales(Value):
    """q(u | x_n, z = k) = Gamma(shape_k, rate_nk). It obeys `Hidden`.

    Attributes:
        shape: Shape (k,), above 0.
        rate: Shape (n, k), above 0.
    """

    shape: Array = vector("(k,)")
    rate: Array = matrix("(n, k)")

    def means(self) -> Array:
        """E[u], shape (n, k)."""
        return self.shape / self.rate

    @cached_property
    def _log_less_digamma(self) -> Array:
        return own(log_less_digamma(self.shape)[0])

    def excesses(self) -> Array:
        """E[u - 1 - log u], shape (n, k): at least 0, and all its digits where u is nearly 1."""
        mean = self.means()
        apart = np.maximum((self.shape - self.rate) / self.rate, -0.5)
        of_mean = np.where(mean < 0.5, mean - 1 - np.log(mean), less_log(apart))
        return of_mean + self._log_less_digamma

    def entropies(self) -> Array:
        a = self.shape
        return 0.5 * (np.log(a) + LOG_2PI) + stirling(a) + (a - 1) * self._log_less_digamma - np.log(self.rate)
