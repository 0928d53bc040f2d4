"""Clusters of several components: those are merged whose labels are least sure of each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, final

import numpy as np
from attrs import evolve, frozen
from scipy.special import xlogy

from latentem.arrays import Array, Labels, own
from latentem.core import Unavailable
from latentem.report import number, table

Group = tuple[int, ...]
"""Numbers of the components that a cluster is made of."""
_FEWEST = 4
"""Components from which a kink can be told from a line."""


@final
@frozen
class Merge:
    """One merge of two clusters.

    Attributes:
        one: The components of the one cluster.
        other: Those of the other.
        clusters: How many there are after it, noise not counted.
        entropy: Of the labels of the rows after it, in nats.
        lost: By how much the merge lowered it.
        rows: How many rows were labelled as either of the two, by weight.
    """

    one: Group
    other: Group
    clusters: int
    entropy: float
    lost: float
    rows: float


@final
@frozen(eq=False, repr=False)
class Merged:
    """Clusters made of the components of a fit (Baudry et al., 2010). The density is that of the fit.

    Of all pairs of clusters those two are merged whose merge lowers the entropy of the labels most, again and again.
    Noise is no cluster: it is merged with none, and its label is the last.

    Attributes:
        fit: The fit.
        groups: The components of each cluster, ordered by the first of them.
        merges: All merges, from as many clusters as components down to one.
        whole: The entropy of the labels of the components, in nats, before any merge.
    """

    fit: Any
    groups: tuple[Group, ...]
    merges: tuple[Merge, ...]
    whole: float

    @classmethod
    def of(cls, fit: Any, n: int, shares: Array, weight: Array) -> Merged:
        """The components of a fit, merged to n clusters.

        Args:
            fit: The fit.
            n: How many clusters, noise not counted.
            shares: Responsibilities of the rows, shape (rows, k).
            weight: How much each counts, shape (rows,).
        """
        places = mergeable(fit, n)
        whole = entropy(shares, weight)
        merged = cls(fit, tuple((j,) for j in range(places)), tuple(merges(shares, weight, places, whole)), whole)
        return merged.to(n)

    def to(self, n: int) -> Merged:
        """These components, merged to another number of clusters.

        Raises:
            ValueError: there are fewer components than that.
        """
        places = len(self.merges) + 1
        refuse_number(n, places)
        groups: list[Group] = [(j,) for j in range(places)]
        for merge in self.merges[: places - n]:
            groups = joined(groups, merge.one, merge.other)
        return evolve(self, groups=tuple(groups))

    @property
    def n(self) -> int:
        """How many clusters there are, noise not counted."""
        return len(self.groups)

    @property
    def entropies(self) -> Array:
        """Entropy of the labels in nats where there are 1, 2, ... clusters, shape (k,)."""
        return own(np.array([*(merge.entropy for merge in reversed(self.merges)), self.whole]))

    @property
    def entropy(self) -> float:
        """Entropy of the labels of these clusters, in nats."""
        return float(self.entropies[self.n - 1])

    @property
    def icl(self) -> float:
        """BIC + 2 entropy of the labels of these clusters: lower is better (Biernacki et al., 2000)."""
        return self.fit.bic + 2 * self.entropy

    @property
    def elbow(self) -> int | None:
        """The number of clusters at the kink of the entropies over the rows merged so far; None below 4 components.

        Two lines that share a point are fitted on either side of each number of clusters; the best two have the kink.
        A merge of many rows may cost much entropy for that alone, which is why rows are what it is drawn over.
        """
        k = len(self.merges) + 1
        if k < _FEWEST:
            return None
        # From k clusters to one, in order of the merges.
        across = np.cumsum([0.0, *(merge.rows for merge in self.merges)])
        down = self.entropies[::-1]
        errors = [_misfit(across[: i + 1], down[: i + 1]) + _misfit(across[i:], down[i:]) for i in range(1, k - 1)]
        return k - 1 - int(np.argmin(errors))

    def predict_proba(self, data: Any) -> Array:
        """The posterior probability of each cluster for each row, shape (rows, n), and behind them that of noise."""
        shares = self.fit.predict_proba(data)
        behind = [(j,) for j in range(len(self.merges) + 1, shares.shape[1])]
        return own(np.column_stack([shares[:, group].sum(axis=1) for group in (*self.groups, *behind)]))

    def predict(self, data: Any) -> Labels:
        """The most probable cluster of each row, shape (rows,)."""
        labels: Labels = self.predict_proba(data).argmax(axis=1)
        return labels

    def __repr__(self) -> str:
        return f"<Merged: {self.n} clusters {list(map(list, self.groups))} of {self.fit.model!r}>"

    def __str__(self) -> str:
        lines = [["clusters", "entropy", "lost", "rows", "merged"], [str(len(self.merges) + 1), number(self.whole)]]
        for merge in self.merges:
            pair = f"{_written(merge.one)} and {_written(merge.other)}"
            lines.append([str(merge.clusters), number(merge.entropy), number(merge.lost), f"{merge.rows:g}", pair])
        cells = [line + [""] * (5 - len(line)) for line in lines]
        kink = "" if self.elbow is None else f"; the kink of the entropies is at {self.elbow}"
        return f"{self.n} clusters of {self.fit.model!r}{kink}\n\n{table(cells)}"


def mergeable(fit: Any, n: Any) -> int:
    """How many components of a fit may be merged, to n clusters.

    Raises:
        ValueError: they are fewer than that.
        Unavailable: labels are not uncertain, so that their entropy says nothing.
    """
    clusters = fit.model.clusters()
    if clusters is None or not fit.model.inference.exact:
        raise Unavailable(
            f"{fit.model!r} cannot be merged: that needs uncertain labels of components; fit it without Hard, Tempered "
            "or Sampled"
        )
    places = clusters.k - clusters.background
    refuse_number(n, places)
    return places


def merges(shares: Array, weight: Array, k: int, whole: float) -> list[Merge]:
    """All merges, the best first at each number of clusters, down to one.

    A cluster's share of a row is the sum of its components'; the entropy that a merge of i and j takes away is
    sum over rows of weight ((t_i + t_j) log(t_i + t_j) - t_i log t_i - t_j log t_j) (Baudry et al., 2010, section 3).

    Args:
        shares: Responsibilities, shape (rows, k), or more columns, which are noise.
        weight: How much each row counts, shape (rows,).
        k: How many components may be merged.
        whole: The entropy of all labels, in nats.
    """
    groups: list[Group] = [(j,) for j in range(k)]
    columns: dict[Group, Array] = {(j,): shares[:, j] for j in range(k)}
    gains = {(i, j): _gain(columns[i], columns[j], weight) for i, j in combinations(groups, 2)}
    found, left = [], whole
    while len(groups) > 1:
        one, other = max(gains, key=lambda pair: gains[pair])
        lost = gains[one, other]
        left = max(left - lost, 0.0)
        labels = np.argmax(np.stack([*(columns[group] for group in groups), *shares[:, k:].T]), axis=0)
        rows = weight[np.isin(labels, [groups.index(one), groups.index(other)])].sum()
        both = columns[one] + columns[other]
        groups = joined(groups, one, other)
        gains = {pair: gain for pair, gain in gains.items() if not {one, other} & set(pair)}
        del columns[one], columns[other]
        new = tuple(sorted(one + other))
        for group in groups:
            if group != new:
                gains[group, new] = _gain(columns[group], both, weight)
        columns[new] = both
        found.append(Merge(one, other, len(groups), float(left), float(lost), float(rows)))
    return found


def joined(groups: Sequence[Group], one: Group, other: Group) -> list[Group]:
    """The clusters after a merge of two of them, ordered by the first of their components."""
    return sorted([*(group for group in groups if group not in (one, other)), tuple(sorted(one + other))])


def entropy(shares: Array, weight: Array) -> float:
    """Entropy of the labels of some rows in nats, from their responsibilities, (rows, k); never minus zero."""
    return float(weight @ -xlogy(shares, shares).sum(axis=1)) + 0.0


def refuse_number(n: Any, most: int) -> None:
    """Refuse what is no number of clusters from 1 to `most`, with a ValueError."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= most:
        raise ValueError(f"n was given as {n!r}: give a number of clusters from 1 to {most}, that of the components")


def _gain(one: Array, other: Array, weight: Array) -> float:
    both = one + other
    # (eq: merging)
    return float(weight @ (xlogy(both, both) - xlogy(one, one) - xlogy(other, other)))


def _misfit(x: Array, y: Array) -> float:
    """Sum of squared distances of points from their own line."""
    design = np.column_stack([np.ones(len(x)), x - x.mean()])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(residual @ residual)


def _written(group: Group) -> str:
    return "+".join(map(str, group))
