"""Model-based hierarchical agglomeration (Banfield and Raftery, 1993; Fraley, 1998) of small groups of rows."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from latentem.arrays import Array, Labels

ROWS = 512
"""Rows that are agglomerated, at most: their number does not tell in the time of a fit."""
GROUPS = 32
"""Groups to begin with, or two for each that is wanted, if those are more."""
WIDEST, MOST = ROWS // GROUPS, ROWS // 8
"""Columns, and groups that are wanted, at most: with more, groups have too few rows for a covariance."""
_ROUNDS = 3
"""Rounds of K-means that settle them."""
_RANK = 1e-9
"""Singular values below this, beside the largest, are of columns that follow from the others."""

_SAME = 1e-12
"""Squared distance, where columns have variance 1, within which rows are the same but for rounding."""


def agglomerated(x: Array, weight: Array, k: int, rng: np.random.Generator) -> Labels:
    """Labels of rows from 0 without gaps, (n,): small groups merged until there are k; fewer if few rows are distinct.

    Args:
        x: The rows, about their mean, shape (n, d).
        weight: How much each row counts, shape (n,), more than 0.
        k: How many groups are wanted.
        rng: What the groups to begin with depend on, beside the rows.
    """
    count = weight * (len(x) / weight.sum())
    x = _sphered(x, count)
    labels = _small_groups(x, count, max(GROUPS, 2 * k), rng)
    hierarchy = Hierarchy(x, count, labels)
    while len(hierarchy) > k:
        hierarchy.merge()
    return hierarchy.names[labels]


def _sphered(x: Array, count: Array) -> Array:
    """Coordinates of rows, (n, rank), whose covariance is the unit matrix: so no unit or turn of the axes matters."""
    x = x - count @ x / len(x)
    _, sizes, axes = np.linalg.svd(np.sqrt(count)[:, None] * x, full_matrices=False)
    seen = sizes > _RANK * sizes.max(initial=0)
    return np.asarray(x @ (axes[seen].T * (np.sqrt(len(x)) / sizes[seen])))


def _small_groups(x: Array, count: Array, groups: int, rng: np.random.Generator) -> Labels:
    """Labels of rows from 0 without gaps, shape (n,), by k-means++ and a few rounds of K-means."""
    centres: list[Array] = []
    nearest, chance = np.full(len(x), np.inf), count
    while len(centres) < groups and chance.any():  # until then some row stands on no centre
        reach = chance.cumsum()
        centre = x[np.searchsorted(reach, rng.random() * reach[-1], side="right")]
        nearest = np.minimum(nearest, ((x - centre) ** 2).sum(axis=1))
        centres.append(centre)
        chance = np.where(nearest > _SAME, count * nearest, 0.0)
    middle = np.array(centres)
    for _ in range(_ROUNDS):
        total, first = _sums(x, count, _closest(x, middle), len(middle))
        middle = first[total > 0] / total[total > 0, None]
    return np.unique(_closest(x, middle), return_inverse=True)[1].reshape(-1)


def _closest(x: Array, middle: Array) -> Labels:
    # |a - b|^2 is least where |b|^2 / 2 - a b is
    return np.asarray((0.5 * (middle * middle).sum(axis=1) - x @ middle.T).argmin(axis=1))


def _sums(x: Array, count: Array, labels: Labels, groups: int) -> tuple[Array, Array]:
    """The counts of groups and the sums of their rows, shapes (m,) and (m, d)."""
    member = np.eye(groups)[labels] * count[:, None]
    return member.sum(axis=0), member.T @ x


@final
class Hierarchy:
    """Groups, told by counts, means and scatters, of which the two that fit together best are merged.

    The criterion is the classification log likelihood of Gaussians with a mean and a covariance each. A group also has
    the scatter of one row of all data, which is the unit matrix: without it one of few rows has no volume.
    """

    def __init__(self, x: Array, count: Array, labels: Labels) -> None:
        m, d = int(labels.max()) + 1, x.shape[1]
        self._count, first = _sums(x, count, labels, m)
        self._mean = first / self._count[:, None]
        apart = x - self._mean[labels]
        products = (count[:, None, None] * apart[:, :, None] * apart[:, None, :]).reshape(len(x), -1)
        self._scatter = _sums(products, np.ones(len(x)), labels, m)[1].reshape(m, d, d)
        self._cost = _cost(self._count, self._scatter)
        self._loss = np.full((m, m), np.inf)
        self._names, self._live = np.arange(m), np.arange(m)
        self._compare(*np.triu_indices(m, 1))

    def __len__(self) -> int:
        return len(self._live)

    @property
    def names(self) -> Labels:
        """The group that each of the first ones is in now, numbered from 0 without gaps, shape (m,)."""
        return np.searchsorted(self._live, self._names)

    def merge(self) -> None:
        """Put the two groups together whose merger loses least."""
        one, other = divmod(int(self._loss.argmin()), len(self._loss))
        self._cost[one] += self._loss[one, other] + self._cost[other]
        self._count[one], self._mean[one], self._scatter[one] = self._merged(one, other)
        self._names[self._names == other] = one
        self._live = self._live[self._live != other]
        self._loss[other] = self._loss[:, other] = np.inf
        rest = self._live[self._live != one]
        self._compare(np.minimum(one, rest), np.maximum(one, rest))

    def _compare(self, one: Labels, other: Labels) -> None:
        """Set what mergers of pairs lose."""
        count, _, scatter = self._merged(one, other)
        self._loss[one, other] = _cost(count, scatter) - self._cost[one] - self._cost[other]

    def _merged(self, one: Any, other: Any) -> tuple[Array, Array, Array]:
        """Counts, means and scatters of pairs taken together."""
        count = self._count[one] + self._count[other]
        share = self._count[other] / count
        apart = self._mean[other] - self._mean[one]
        between = (self._count[one] * share)[..., None, None] * apart[..., :, None] * apart[..., None, :]
        return (
            count,
            self._mean[one] + share[..., None] * apart,
            self._scatter[one] + self._scatter[other] + between,
        )


def _cost(count: Array, scatter: Array) -> Array:
    """Twice the classification log likelihood that groups lack, up to a constant."""
    d = scatter.shape[-1]
    pooled = (scatter + np.eye(d)) / (count + 1)[..., None, None]
    return np.asarray(count * np.linalg.slogdet(pooled)[1])
