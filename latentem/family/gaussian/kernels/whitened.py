"""Gaussians with full covariances in many columns: whitening and symmetric scatter, centred on each component."""

from __future__ import annotations

from functools import cached_property
from typing import Self, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, own
from latentem.compiled import in_loops
from latentem.data import Rows
from latentem.family.gaussian.kernels.centred import centred, few
from latentem.family.gaussian.kernels.compiled import CompiledPass
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.kernel import Buffers
from latentem.kernel.base import FEW, NARROWED, NEVER, Kernel

_NEGLIGIBLE = 70.0
"""Nats below a row's most probable component under which another has none of it: a share of less than 1e-30."""
_SMALL = 1e-24
"""Share of a component's largest weight under which a row is left out of its scatter."""
_MOST = 0.4
"""Share of densities that are needed from which all are computed: picking rows costs more than it saves."""
_NEAR = 1e2
"""Squared distance, in widths, up to which a component's moments are taken about its mean in the parameters."""
_COLUMNS = 64
"""Columns that are whitened at a time: narrower products are slower, and wider ones multiply by more zeros."""
_BLOCK = 2**18
"""Numbers in a block of rows, about: smaller ones would stay in cache, but threads wait longer between two calls."""


@final
class Scatter:
    """Moments under way, about origins that the first rows of each component choose; NaN before them."""

    __slots__ = ("count", "first", "origin", "rows", "second")

    def __init__(self, k: int, d: int) -> None:
        self.rows = 0
        self.origin = np.full((k, d), np.nan)
        self.count, self.first, self.second = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))


@final
@frozen(eq=False)
class WhitenedKernel(Kernel):
    """Gaussian densities from whitened rows, at any width and distance.

    |W (x - mean)|^2 is a sum over columns, and W is lower triangular: a few columns need a small part of the
    product, and bound the density from above. Where that is negligible beside another component's, it ends there.

    Attributes:
        params: The means and covariances: full ones, one a component.
        log_weights: Shape (k,).
        whiteners: Shape (k, d, d), lower triangular.
        constants: Log weights and normalising constants, shape (k,).
    """

    params: GaussianParams
    log_weights: Array
    whiteners: Array
    constants: Array

    @classmethod
    def of(cls, params: GaussianParams, log_weights: Array) -> Self:
        """Of these densities, with these log weights, shape (k,)."""
        whiteners, _ = params.factors
        return cls(params, log_weights, whiteners, own(log_weights - 0.5 * params.log_partitions))

    @cached_property
    def _compiled(self) -> CompiledPass:
        return CompiledPass(self.params, self.constants)

    def whole(self, chunk: Rows) -> tuple[Array, Moments, float] | None:
        found = self._compiled(chunk) if in_loops() else None
        if found is None and few(self.params, chunk):
            return centred(self.params, self.log_weights, chunk)
        return found

    @property
    def rows(self) -> int:
        return max(500, min(4000, _BLOCK // self.params.means.shape[1]))

    @cached_property
    def share(self) -> float:
        """Of the densities, how many the bound at another component's mean does not rule out."""
        k, d = self.params.means.shape
        out = np.empty((k, k))
        self._bound(self.params.means, out, Buffers())
        likely = out > self.constants - _NEGLIGIBLE - 0.5 * (d - _quarter(d))
        return float(k + np.count_nonzero(likely & ~np.eye(k, dtype=bool))) / k**2

    @cached_property
    def _turned(self) -> Array:
        return np.ascontiguousarray(self.whiteners.transpose(0, 2, 1))

    def sums(self) -> Scatter:
        return Scatter(*self.params.means.shape)

    def sound(self, low: Array, high: Array) -> bool:
        return not (np.isnan(low) | np.isnan(high)).any()

    def read(self, x: Array, buffers: Buffers) -> None:
        return None

    def log_joint(self, x: Array, read: None, buffers: Buffers, negligible: bool = False) -> Array:
        out = buffers.array("density", len(self.params.means), len(x))
        if not negligible or self.share > _MOST:
            for j in range(len(out)):
                out[j] = self._log_joint(j, x, buffers)
            return out
        self._bound(x, out, buffers)
        nearest = np.ascontiguousarray(out.T).argmax(axis=1)
        reached = np.empty(len(x))
        for j in range(len(out)):
            rows = np.flatnonzero(nearest == j)
            reached[rows] = out[j][rows] = self._log_joint(j, x[rows], buffers)
        reached -= _NEGLIGIBLE
        for j in range(len(out)):
            there = out[j] > reached
            out[j][~there] = NEVER
            rows = np.flatnonzero(there & (nearest != j))
            out[j][rows] = self._log_joint(j, x[rows], buffers)
        return out

    def _bound(self, x: Array, out: Array, buffers: Buffers) -> None:
        """Fill in an upper bound of the log joint: only the squares of the first columns, of all components at once."""
        k, few = len(self.params.means), _quarter(x.shape[1])
        whitened = buffers.array("whitened", k * few, len(x))
        centre = self.params.means[:, :few].mean(axis=0)
        # (eq: whitening-bound)
        heads = self.whiteners[:, :few, :few]
        np.dot(heads.reshape(k * few, few), (x[:, :few] - centre).T, out=whitened)
        whitened -= np.einsum("kij,kj->ki", heads, self.params.means[:, :few] - centre).reshape(-1, 1)
        whitened *= whitened
        np.sum(whitened.reshape(k, few, len(x)), axis=1, out=out)
        out *= -0.5
        out += self.constants[:, None]

    def _log_joint(self, j: int, x: Array, buffers: Buffers) -> Array:
        """Log weight plus log density of rows in one component; columns of W y need those of y up to them."""
        n, d = x.shape
        y = np.subtract(x, self.params.means[j], out=buffers.array("centred", n, d))
        z = buffers.array("whitened", n, d)
        for begin in range(0, d, _COLUMNS):
            end = min(begin + _COLUMNS, d)
            np.matmul(y[:, :end], self._turned[j, :end, begin:end], out=z[:, begin:end])
        return self.constants[j] - 0.5 * np.einsum("nd,nd->n", z, z)

    def add(self, x: Array, read: None, counts: Array, weight: Array | None, sums: Scatter, buffers: Buffers) -> None:
        sums.rows += len(x)
        for j, each in enumerate(counts):
            largest = each.max()
            if not largest > 0:
                continue
            rows = np.flatnonzero(each > _SMALL * largest)
            some, count = (x, each) if 4 * len(rows) > 3 * len(x) else (x[rows], each[rows])
            if np.isnan(sums.origin[j, 0]):
                sums.origin[j] = self._origin(j, some, count)
            y = np.subtract(some, sums.origin[j], out=buffers.array("centred", *some.shape))
            sums.count[j] += count.sum()
            sums.first[j] += np.dot(count, y)
            y *= np.sqrt(count)[:, None]
            sums.second[j] += np.dot(y.T, y)

    def _origin(self, j: int, x: Array, count: Array) -> Array:
        """The component's mean, so that chunks agree on it; where that is far from its rows, theirs."""
        apart = np.dot(count, x) / count.sum() - self.params.means[j]
        near = self.params.structure.each.whiten(self.whiteners[j], apart[None])
        return self.params.means[j] if (near * near).sum() <= _NEAR else self.params.means[j] + apart

    def counts(self, sums: Scatter) -> Array:
        return sums.count.copy()

    def statistics(self, sums: Scatter) -> Moments | None:
        origin = np.where(np.isnan(sums.origin), self.params.means, sums.origin)
        each, count = self.params.structure.each, own(sums.count.copy())
        moments = Moments(each, own(origin), count, own(sums.first), own(sums.second))
        return moments if moments.keep(NARROWED, self.params.distinct, sums.rows <= FEW) else None


def whitened_cost(params: GaussianParams, share: float) -> float:
    """About how many nanoseconds a row takes where so many densities are needed, as measured; docs/kernels.md."""
    k, d = params.means.shape
    return k * (60 + d * d * (0.016 + (0.1 + 9 / d) * share))


def _quarter(d: int) -> int:
    return -(-d // 4)
