"""Missing cells of normal rows: what is known of them, given the observed ones."""

from __future__ import annotations

import abc
from itertools import pairwise
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from latentem.arrays import EQUAL, Array, array, matrix, own
from latentem.core import Degenerate, Value

if TYPE_CHECKING:
    from latentem.family.gaussian.covariance.form import Form

_LOG_2PI = float(np.log(2 * np.pi))

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


def _frozen(values: Any) -> Any:
    kept = np.array(values) if np.asarray(values).flags.writeable else np.asarray(values)
    kept.flags.writeable = False
    return kept


def _sealed() -> Any:
    """A field that holds an array of booleans or whole numbers."""
    return field(converter=_frozen, eq=EQUAL, hash=False)


class Completion(Value):
    """q(missing cells | observed cells, z = k) of each row: a normal distribution. It obeys `Hidden`."""

    __slots__ = ()

    @abc.abstractmethod
    def filled(self, x: Array, component: int) -> Array:
        """The rows, (n, d), with the expectations under one component in their missing cells."""

    @abc.abstractmethod
    def added(self, weight: Array, component: int, shape: Form) -> Array:
        """Sum of weight, (n,), times the covariance of the missing cells, as a second moment of that shape."""

    @abc.abstractmethod
    def entropies(self) -> Array:
        """Entropy of each in nats, shape (n, k)."""


@final
@frozen
class IndependentCells(Completion):
    """Missing cells that are independent of all others, as where columns do not correlate.

    Attributes:
        missing: Which cells are missing, boolean of shape (n, d).
        means: Expectations of the columns, shape (k, d).
        variances: Their variances, shape (k, d).
    """

    missing: Mask = _sealed()
    means: Array = matrix("(k, d)")
    variances: Array = matrix("(k, d)")

    def filled(self, x: Array, component: int) -> Array:
        return np.where(self.missing, self.means[component], x)

    def added(self, weight: Array, component: int, shape: Form) -> Array:
        return shape.of_columns((weight @ self.missing) * self.variances[component])

    def entropies(self) -> Array:
        return 0.5 * (self.missing @ (_LOG_2PI + 1 + np.log(self.variances)).T)


@final
@frozen
class MissingBlock(Value):
    """Rows that miss equally many cells, m of d, in p patterns.

    Attributes:
        rows: Which they are, shape (r,), pattern by pattern.
        pattern: Of each of them, shape (r,).
        columns: The missing columns of each pattern, shape (p, m).
        means: Expectations of the missing cells, shape (k, r, m).
        roots: Lower triangular roots of their covariances, shape (k, p, m, m), or (1, p, m, m) where they are tied.
    """

    rows: Indices = _sealed()
    pattern: Indices = _sealed()
    columns: Indices = _sealed()
    means: Array = array()
    roots: Array = array()

    def entropies(self) -> Array:
        """Of each row and component, shape (r, k) or (r, 1)."""
        log_roots = np.log(np.diagonal(self.roots, axis1=2, axis2=3)).sum(axis=2)
        return (self.columns.shape[1] * (_LOG_2PI + 1) / 2 + log_roots).T[self.pattern]

    def scatter(self, weight: Array, component: int, d: int) -> Array:
        """Sum of weight, (r,), times the covariance, as a matrix over all columns, (d, d)."""
        roots = self.roots[min(component, len(self.roots) - 1)]
        total = np.bincount(self.pattern, weight, len(self.columns))
        covariances = total[:, None, None] * (roots @ roots.transpose(0, 2, 1))
        cells = self.columns[:, :, None] * d + self.columns[:, None, :]
        return np.asarray(np.bincount(cells.ravel(), covariances.ravel(), d * d).reshape(d, d), dtype=np.float64)


@final
@frozen
class CorrelatedCells(Completion):
    """Missing cells that correlate with the observed ones and with one another.

    Attributes:
        shape: How many rows, components and columns there are, (n, k, d).
        blocks: The rows that miss a cell, each in one block; at most d blocks.
    """

    shape: tuple[int, int, int]
    blocks: tuple[MissingBlock, ...]

    def filled(self, x: Array, component: int) -> Array:
        rows = x.copy()
        for block in self.blocks:
            rows[block.rows[:, None], block.columns[block.pattern]] = block.means[component]
        return rows

    def added(self, weight: Array, component: int, shape: Form) -> Array:
        d = self.shape[2]
        total = np.zeros((d, d))
        for block in self.blocks:
            total += block.scatter(weight[block.rows], component, d)
        return (total + total.T) / 2  # sums in another order leave it not quite symmetric

    def entropies(self) -> Array:
        entropies = np.zeros(self.shape[:2])
        for block in self.blocks:
            entropies[block.rows] = block.entropies()
        return entropies


def uncorrelated(x: Array, missing: Mask, means: Array, variances: Array) -> tuple[Array, IndependentCells]:
    """Log density of the observed cells of each row in nats, (n, k), and q of the missing ones.

    Columns are independent, with means and variances of shape (k, d).
    """
    log_density = -0.5 * (~missing @ (_LOG_2PI + np.log(variances)).T)
    for j, width in enumerate(np.sqrt(variances)):
        z = np.where(missing, 0.0, (x - means[j]) / width)
        log_density[:, j] -= 0.5 * np.einsum("nd,nd->n", z, z)
    return log_density, IndependentCells(missing, means, variances)


def correlated(x: Array, missing: Mask, means: Array, covariances: Array) -> tuple[Array, CorrelatedCells]:
    """Log density of the observed cells in nats, (n, k), and q of the missing ones, where columns correlate.

    With means (k, d) and covariances (k, d, d), or (1, d, d) where they are tied.
    """
    n, (k, d) = len(x), means.shape
    patterns, of_row = _patterns(missing)
    absent = patterns.sum(axis=1)
    log_density, blocks = np.empty((n, k)), []
    for m in np.unique(absent).tolist():
        which = np.flatnonzero(absent == m)
        rows = np.flatnonzero(absent[of_row] == m)
        rows = rows[np.argsort(of_row[rows], kind="stable")]  # pattern by pattern, so that each is one product
        pattern = np.searchsorted(which, of_row[rows])
        columns = np.argsort(patterns[which], axis=1, kind="stable")  # the observed ones first
        log_density[rows], expected, roots = _conditional(x[rows], pattern, columns, d - m, means, covariances)
        if m:
            blocks.append(MissingBlock(rows, pattern, columns[:, d - m :], own(expected), roots))
    return log_density, CorrelatedCells((n, k, d), tuple(blocks))


def _conditional(
    x: Array, pattern: Indices, columns: Indices, o: int, means: Array, covariances: Array
) -> tuple[Array, Array, Array]:
    """Of rows whose patterns, in ascending order, observe the first o of their columns, shape (p, d).

    One Cholesky factor of the covariance of the columns in that order has all of it: its leading block whitens
    the observed cells, and the rest is the regression of the missing cells on them and the root of what it
    leaves (Little and Rubin, 2019, ch. 11). No covariance is taken from another, so no digits cancel.

    Returns:
        Log densities of the observed cells, (r, k), expectations of the missing ones, (k, r, m), and roots of
        their covariances, (k, p, m, m), or (1, p, m, m).
    """
    # A solver pivots, so the columns must be of one size; powers of two change no bit of the factor.
    size = np.exp2(np.floor(np.log2(np.diagonal(covariances, axis1=1, axis2=2)) / 2))
    scaled = covariances / (size[:, :, None] * size[:, None, :])
    roots = _cholesky(scaled[:, columns[:, :, None], columns[:, None, :]])
    whiteners = np.tril(np.linalg.solve(roots[..., :o, :o], np.eye(o))).swapaxes(2, 3) / size[:, columns[:, :o], None]
    roots *= size[:, columns][..., None]
    leading, regression = roots[..., :o, :o], roots[..., o:, :o].swapaxes(2, 3)
    order = columns[pattern]
    # (eq: missing-cells)
    z = np.take_along_axis(x, order[:, :o], axis=1) - means[:, order[:, :o]]
    expected = means[:, order[:, o:]]
    edges = np.searchsorted(pattern, np.arange(len(columns) + 1)).tolist()
    for p, (begin, end) in enumerate(pairwise(edges)):
        z[:, begin:end] = z[:, begin:end] @ whiteners[:, p]
        expected[:, begin:end] += z[:, begin:end] @ regression[:, p]
    log_det = 2 * np.log(np.diagonal(leading, axis1=2, axis2=3)).sum(axis=2)
    log_density = -0.5 * (o * _LOG_2PI + log_det.T[pattern] + np.einsum("kro,kro->rk", z, z))
    return log_density, expected, own(roots[..., o:, o:].copy())


def available(x: Array, missing: Mask, weights: Array) -> IndependentCells:
    """The missing cells as starts take them, before there are parameters: with the moments of the observed ones.

    Each component's own where it has observed a column; where it has not, those of all rows; where no row has,
    zero and one.
    """
    present = ~missing
    # Moments about the column's mean, so that an offset costs the variances no digits.
    middle = np.where(present, x, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    y = np.where(missing, 0.0, x - middle)
    sums = [weights.T @ values for values in (present.astype(float), y, y * y)]
    pooled = _mean_and_variance([each.sum(axis=0, keepdims=True) for each in sums], (np.zeros(1), np.ones(1)))
    means, variances = _mean_and_variance(sums, pooled)
    return IndependentCells(missing, own(middle + means), own(np.where(variances > 0, variances, pooled[1])))


def _mean_and_variance(sums: list[Array], otherwise: tuple[Array, Array]) -> tuple[Array, Array]:
    """From the sums of weight times 1, y and y^2; something else where the first is zero."""
    count, first, second = sums
    known = count > np.finfo(float).tiny / np.finfo(float).eps
    count = np.where(known, count, 1.0)
    mean = first / count
    variance = np.maximum(second / count - mean**2, 0.0)
    return np.where(known, mean, otherwise[0]), np.where(known, variance, otherwise[1])


def _patterns(missing: Mask) -> tuple[Mask, Indices]:
    """The distinct rows of a mask, (p, d), and which of them each row is, (n,)."""
    packed = np.ascontiguousarray(np.packbits(missing, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, of_row = np.unique(keys, return_index=True, return_inverse=True)
    return missing[first], of_row.astype(np.int64, copy=False)


def _cholesky(covariances: Array) -> Array:
    try:
        return np.linalg.cholesky(covariances).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        for component, each in enumerate(covariances):
            try:
                np.linalg.cholesky(each)
            except np.linalg.LinAlgError:
                raise Degenerate(component, "covariances", "not positive definite") from None
        raise
