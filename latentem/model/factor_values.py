"""Parameters and statistics of factor analysis."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from attrs import evolve, frozen

from latentem.arrays import Array, array, matrix, own, vector
from latentem.core import Additive, Degenerate, Value
from latentem.data import Rows
from latentem.family import Form, Full
from latentem.family.gaussian.moments import Moments
from latentem.posterior.normal import NormalPosterior

LOST = 1e-12
"""Of the variance of a column: noise below it has lost its digits."""
_SEEN = 1e-10
"""Relative error of a moment from which its rows are looked at one by one."""


@final
@frozen
class FactorParams(Value):
    """Mean, loadings and noise variances of x = mean + loadings z + noise, z ~ N(0, I).

    Attributes:
        mean: Shape (d,).
        loadings: Shape (d, m). They are known up to a rotation: compare `covariance()`, or `canonical()`.
        noise: Variances, shape (d,) for diagonal noise, () for spherical.

    Raises:
        ValueError: shapes disagree, or a value is not finite.
    """

    mean: Array = vector("(d,)")
    loadings: Array = matrix("(d, m)")
    noise: Array = array()

    def __attrs_post_init__(self) -> None:
        d = len(self.mean)
        if len(self.loadings) != d or self.noise.shape not in ((), (d,)):
            given = f"loadings of shape {self.loadings.shape} and noise of shape {self.noise.shape} were given"
            raise ValueError(f"{given}: a mean of shape {(d,)} needs ({d}, m), and ({d},) or ()")
        for name in ("mean", "loadings", "noise"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} holds NaN or infinity: every value must be finite")

    @property
    def free_loadings(self) -> int:
        """Free numbers in the loadings: rotations, m (m - 1) / 2 numbers, make no difference."""
        d, m = self.loadings.shape
        return d * m - m * (m - 1) // 2

    @cached_property
    def regression(self) -> Array:
        """The mean beside the loadings, shape (d, 1 + m): E[x | z] is its product with (1, z)."""
        return own(np.column_stack([self.mean, self.loadings]))

    @cached_property
    def whitener(self) -> Array:
        """Inverse standard deviations of the noise, shape (d,) or (); Degenerate if a variance is not positive."""
        if not (self.noise > 0).all():
            raise Degenerate(None, "noise", f"its smallest variance is {self.noise.min():.3g}", "use a prior")
        return 1 / np.sqrt(self.noise)

    @cached_property
    def whitened(self) -> Array:
        """Loadings in units of the noise, shape (d, m)."""
        return own((self.whitener * self.loadings.T).T)

    @property
    def log_det_noise(self) -> float:
        """log det of the covariance of the noise, (d, d)."""
        return -2 * float(np.broadcast_to(np.log(self.whitener), self.mean.shape).sum())

    @cached_property
    def gain(self) -> tuple[Array, Array]:
        """The two parts of q: E[z | x] = (x - mean) @ gain, shape (d, m), and a root of its covariance, (m, m)."""
        eye = np.eye(self.loadings.shape[1])
        # (eq: factor-posterior)
        q, r = np.linalg.qr(np.concatenate([self.whitened, eye]))  # r'r = I + L' Psi^-1 L, and nothing was squared
        root = np.linalg.solve(r, eye)
        return own((root @ q[: len(self.mean)].T * self.whitener).T), own(root)

    @cached_property
    def axes(self) -> tuple[Array, Array, Array]:
        """Singular value decomposition u, s, v' of the whitened loadings: (d, m), (m,), (m, m)."""
        u, s, v = np.linalg.svd(self.whitened, full_matrices=False)
        return own(u), own(s), own(v)

    def covariance(self) -> Array:
        """The covariance of x that the parameters imply, loadings loadings' + noise, shape (d, d)."""
        return self.loadings @ self.loadings.T + np.eye(len(self.mean)) * self.noise

    def variances(self) -> Array:
        """The diagonal of the covariance, shape (d,), without the matrix."""
        return (self.loadings**2).sum(axis=1) + self.noise

    def canonical(self) -> FactorParams:
        """Equal in distribution, the loadings rotated: L' Psi^-1 L diagonal and falling (Lawley and Maxwell, 1971).

        For spherical noise these are the principal axes. Whitened, the loadings of a factor sum to at least zero.
        """
        signs = np.where(self.axes[0].sum(axis=0) < 0, -1.0, 1.0)
        return evolve(self, loadings=self.loadings @ self.axes[2].T * signs)


@final
@frozen
class FactorStatistics(Additive):
    """Second moments of h = (1, z), and of what a regression on h leaves of x.

    Attributes:
        shape: The structure of the noise.
        origin: The regression, a mean and loadings, that residuals r = x - origin h are about; shape (d, 1 + m).
        gram: Sum of weight E[h h'], shape (1 + m, 1 + m); its corner is the sum of weights.
        cross: Sum of weight E[r h'], shape (d, 1 + m).
        second: Sum of weight E[r r'], in that structure's own shape: (d,) or ().
        rows: The moments of x themselves, whatever q is; None where there are more columns than rows.

    The chunk chooses the origin: its own regression. So neither offsets nor noise that is small beside the
    loadings cost digits: docs/mathematics.md. A sum keeps the origin of the operand with the larger |count|.
    """

    shape: Form
    origin: Array = matrix("(d, 1 + m)")
    gram: Array = matrix("(1 + m, 1 + m)")
    cross: Array = matrix("(d, 1 + m)")
    second: Array = array()
    rows: Moments | None = None

    @classmethod
    def of(cls, x: Array, posterior: NormalPosterior, shape: Form) -> Self:
        """Of rows x, shape (n, d), under q."""
        weight, z, root = posterior.multiplicity, posterior.means, posterior.root
        (n, m), d, count = z.shape, x.shape[1], float(weight.sum())
        if count <= np.finfo(float).tiny / np.finfo(float).eps:  # below, a ratio of sums has no digits
            edge = np.zeros((d, m + 1))
            return cls(shape, edge, np.zeros((m + 1, m + 1)), edge, np.zeros(shape.one(d)))
        near, middle = x[int(weight.argmax())], weight @ z / count
        y, u = x - near, weight[:, None] * (z - middle)
        spread = u.T @ (z - middle) + count * posterior.covariance
        slopes = np.linalg.lstsq(spread, u.T @ y, rcond=None)[0].T
        origin = np.column_stack([near + (weight @ y / count - slopes @ middle), slopes])

        h = np.column_stack([np.ones(n), z])
        weighted = weight[:, None] * h
        r = x - origin[:, 0] - z @ slopes.T
        gram, cross, blur = weighted.T @ h, r.T @ weighted, slopes @ root
        gram[1:, 1:] += count * posterior.covariance
        cross[:, 1:] -= count * blur @ root.T
        second = shape.scatter(r, weight) + count * _pair(shape, blur, blur)
        return cls(shape, own(origin), own(gram), own(cross), second)

    @classmethod
    def of_scatter(
        cls, count: float, mean: Array, first: Array, scatter: Array, params: FactorParams, shape: Form
    ) -> Self | None:
        """Of rows of which only these are known, under the posterior: what `of` gives, in less than a pass over them.

        With q's means z = G'(x - mu) all is linear in the scatter S about the rows' mean. None where rounding could be
        seen: the error of a' S b is at most about (d + 8) roundings of |a|'s |b|'s, with s the roots of S's diagonal.

        Args:
            count: Sum of the weights.
            mean: Weighted mean of the rows, rounded, shape (d,).
            first: Sum of weight (x - mean), shape (d,).
            scatter: Sum of weight (x - mean)(x - mean)', shape (d, d).
            params: What the posterior is at.
            shape: The structure of the noise.
        """
        d, m = params.loadings.shape
        if count <= np.finfo(float).tiny / np.finfo(float).eps or not np.isfinite(scatter).all():
            return None
        gain, root = params.gain
        blurred = count * root @ root.T
        left = first / count
        scatter = scatter - count * np.multiply.outer(left, left)
        # (eq: factor-scatter)
        middle, across = ((mean - params.mean) + left) @ gain, scatter @ gain
        spread = gain.T @ across + blurred
        slopes = np.linalg.lstsq(spread, across.T, rcond=None)[0].T
        # residuals are (I - slopes G')(x - mean), but for q's own spread, which is in `spread`
        second = np.diagonal(scatter) + ((slopes @ spread - 2 * across) * slopes).sum(axis=1)
        wide = np.sqrt(np.diagonal(scatter))
        along = np.abs(gain.T) @ wide
        roundings = 0.5 * np.finfo(float).eps * (d + 8)
        lost = roundings * np.concatenate([(wide + np.abs(slopes) @ along) ** 2, along**2])
        if not (lost <= _SEEN * np.concatenate([second, np.diagonal(spread)])).all():
            return None
        gram = np.empty((1 + m, 1 + m))
        gram[0, 0], gram[0, 1:], gram[1:, 0] = count, count * middle, count * middle
        gram[1:, 1:] = 0.5 * (spread + spread.T) + count * np.multiply.outer(middle, middle)
        cross = np.zeros((d, 1 + m))
        cross[:, 1:] = across - slopes @ spread
        level = mean + (left - slopes @ middle)
        rest = (mean - level) + (left - slopes @ middle)  # what rounding has left of the level
        cross += np.multiply.outer(rest, gram[0])
        origin = np.column_stack([level, slopes])
        return cls(shape, own(origin), own(gram), own(cross), np.asarray(shape.kept(second + count * rest**2)))

    @classmethod
    def of_chunk(cls, chunk: Rows, params: FactorParams, shape: Form) -> Self | None:
        """Of a chunk of at least as many rows as columns; None where its rows must be asked, one by one."""
        statistics = cls.of_scatter(*chunk.scatter, params, shape)
        return None if statistics is None else statistics.beside(chunk)

    def beside(self, chunk: Rows) -> Self:
        """These statistics with the moments of the chunk's rows beside them."""
        count, mean, first, second = chunk.scatter
        return evolve(self, rows=Moments(Full(), mean[None], np.array([count]), first[None], second[None]))

    @property
    def count(self) -> float:
        """Sum of weights."""
        return float(self.gram[0, 0])

    def about(self, origin: Array) -> Self:
        """These statistics about another regression, shape (d, 1 + m)."""
        # With D = old - new, r' = r + D h: exact, and a sum of squares where the old one is the data's own.
        shift = self.origin - origin
        # (eq: moved-regression)
        cross = self.cross + shift @ self.gram
        second = self.second + _pair(self.shape, self.cross + cross, shift)
        return evolve(self, origin=origin, cross=cross, second=second)

    def middle(self) -> Array:
        """Mean of x, shape (d,)."""
        return self.origin[:, 0] + (self.origin[:, 1:] @ self.gram[1:, 0] + self.cross[:, 0]) / self.count

    def variances(self) -> Array:
        """Variances of the columns of x, (d,), or their mean for spherical noise, any q; one in place of zero."""
        still = np.zeros_like(self.origin)
        still[:, 0] = self.middle()
        variances = self.shape.variances(self.about(still).second, self.count, len(still))
        return np.where(variances > 0, variances, 1.0)

    def combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        origin = other.origin if abs(other.count) > abs(self.count) else self.origin
        a, b = self.about(origin), other.about(origin)
        gram, cross, second = combine(a.gram, b.gram), combine(a.cross, b.cross), combine(a.second, b.second)
        rows = None if self.rows is None or other.rows is None else combine(self.rows, other.rows)
        return evolve(a, gram=gram, cross=cross, second=second, rows=rows)

    def __rmul__(self, factor: float) -> Self:
        rows = None if self.rows is None else factor * self.rows
        return evolve(self, gram=factor * self.gram, cross=factor * self.cross, second=factor * self.second, rows=rows)

    def at(self, params: FactorParams, pseudo: tuple[Array, float]) -> Self:
        """Statistics of as many rows whose M-step is at some parameters: those that the model expects there.

        Args:
            params: The parameters.
            pseudo: What a prior adds to the second moments of the noise, and to their number.
        """
        d, m = params.loadings.shape
        more, units = pseudo
        second = (self.count + units) * self.shape.of_columns(np.broadcast_to(params.noise, (d,))) - more
        gram, cross = self.count * np.eye(m + 1), np.zeros((d, m + 1))
        return evolve(self, origin=params.regression, gram=own(gram), cross=own(cross), second=own(np.asarray(second)))


def _pair(shape: Form, a: Array, b: Array) -> Array:
    """A b' of two matrices (d, p), in the structure's shape: its diagonal, (d,), or its trace, ()."""
    return shape.product(a.T, b.T).sum(axis=0)


def mean_of(statistics: FactorStatistics, params: FactorParams) -> Array:
    """The best mean with the loadings as they are, shape (d,)."""
    left = statistics.about(params.regression).cross[:, 0]
    return params.mean + left / statistics.count if statistics.count > 0 else params.mean  # (eq: factor-m-step)


def loadings_of(statistics: FactorStatistics, params: FactorParams) -> Array:
    """The best loadings with the mean as it is, shape (d, m)."""
    left = statistics.about(params.regression).cross[:, 1:]
    return params.loadings + solved(statistics.gram[1:, 1:], left)  # (eq: factor-m-step)


def solved(gram: Array, cross: Array) -> Array:
    """Cross gram^-1, in the directions in which gram is not zero."""
    return np.linalg.lstsq(gram, cross.T, rcond=None)[0].T.astype(np.float64, copy=False)
