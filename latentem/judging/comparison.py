"""Two fits of the same rows beside each other."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from attrs import field, frozen
from scipy.special import chdtrc

from latentem.arrays import Array, Labels, own
from latentem.core import Unavailable
from latentem.report import counted, number, table

_SHOWN = 10
"""The most rows that the words list."""
_ROUNDING = 1e-9


@final
@frozen(eq=False, repr=False)
class Comparison:
    """What two fits make of the same rows.

    Attributes:
        models: Both models, as Python shows them.
        log_likelihoods: Of these rows under either, in nats.
        n_parameters: Free numbers of either.
        likelihood_ratio: Twice what the one with more free numbers is ahead, in nats; None where it is not ahead, or
            the numbers are the same: then the smaller is not nested in it, or it has not reached its maximum.
        degrees: How many free numbers it has more; None likewise.
        p_value: Of the ratio, by the chi-squared law of Wilks (1938); None also where the two have not as many
            components each, for which the law does not hold (McLachlan, 1987).
        agreement: The adjusted Rand index of the labels: 1 where the clusters are the same, about 0 by chance.
        counts: How many rows, by weight, have label i here and j there, shape (k, other k).
        changed: Numbers of the rows whose label is another one there, under the best match of labels to labels.
    """

    models: tuple[str, str]
    log_likelihoods: tuple[float, float]
    n_parameters: tuple[int, int]
    likelihood_ratio: float | None
    degrees: int | None
    p_value: float | None
    agreement: float
    counts: Array = field()
    changed: Labels = field()

    @classmethod
    def of(
        cls,
        fits: tuple[Any, Any],
        logs: tuple[float, float],
        labels: tuple[Labels, Labels],
        weights: tuple[Array, Array],
    ) -> Comparison:
        """Compare two fits, given of either what it says of the same data.

        Args:
            fits: The two.
            logs: Log likelihoods of the data, in nats.
            labels: Of the rows, shape (n,).
            weights: How much the rows count, shape (n,).

        Raises:
            ValueError: the fits see other rows in the data, or other weights.
        """
        if len(labels[0]) != len(labels[1]) or not np.array_equal(*weights):
            found = f"{len(labels[0])} labels of one fit and {len(labels[1])} of the other"
            raise ValueError(f"{found}, or other weights, were found: compare fits to which the rows are the same")
        numbers = fits[0].n_parameters, fits[1].n_parameters
        sizes = tuple(comparable(fit) for fit in fits)
        large = int(numbers[1] > numbers[0])
        degrees, ahead = numbers[large] - numbers[1 - large], 2 * (logs[large] - logs[1 - large])
        nested = degrees > 0 and ahead >= -_ROUNDING * (abs(logs[large]) + 1)
        counts = np.zeros(sizes)
        np.add.at(counts, labels, weights[0])
        return cls(
            models=(repr(fits[0].model), repr(fits[1].model)),
            log_likelihoods=logs,
            n_parameters=numbers,
            likelihood_ratio=max(ahead, 0.0) if nested else None,
            degrees=degrees if nested else None,
            p_value=float(chdtrc(degrees, max(ahead, 0.0))) if nested and sizes[0] == sizes[1] else None,
            agreement=adjusted_rand(counts),
            counts=own(counts),
            changed=np.flatnonzero(_matched(counts)[labels[0]] != labels[1]),
        )

    def __repr__(self) -> str:
        return f"<Comparison of {self.models[0]} and {self.models[1]}: adjusted Rand index {self.agreement:.4g}>"

    def __str__(self) -> str:
        lines = [["", "one", "other"]]
        lines.append(["log likelihood", *map(number, self.log_likelihoods)])
        lines.append(["free parameters", *map(str, self.n_parameters)])
        names = [f"one    {self.models[0]}", f"other  {self.models[1]}"]
        crossed = [["label, in the other:", *map(str, range(self.counts.shape[1]))]]
        crossed += [[str(i), *(f"{count:g}" for count in row)] for i, row in enumerate(self.counts)]
        few = ", ".join(map(str, self.changed[:_SHOWN])) + ", ..." * (len(self.changed) > _SHOWN)
        changed = f"{counted(len(self.changed), 'row')} with another label" + (f": {few}" if few else "")
        agreement = f"adjusted Rand index {self.agreement:.4g}; {changed}"
        return "\n".join([*names, "", table(lines), self.nesting, "", table(crossed), agreement])

    @property
    def nesting(self) -> str:
        """What can be said of the likelihood ratio, and how it is known, in a sentence."""
        if self.n_parameters[0] == self.n_parameters[1]:
            return "no likelihood ratio: the models have as many free numbers"
        if self.likelihood_ratio is None or self.degrees is None:
            return (
                "no likelihood ratio: the model with more free numbers is not ahead, so the other is not nested in it, "
                "or it is not at its maximum"
            )
        ratio = f"likelihood ratio {self.likelihood_ratio:.6g} for {counted(self.degrees, 'free number')} more"
        if self.p_value is None:
            return f"{ratio}; no p-value, since the models have not as many components each (McLachlan, 1987)"
        return f"{ratio}, p = {self.p_value:.3g} if the smaller model is nested in the larger, which fits cannot tell"


def adjusted_rand(counts: Array) -> float:
    """The adjusted Rand index of two labellings (Hubert and Arabie, 1985, equation 5).

    Pairs of rows that both put together, less what is expected by chance, over the most that there could be. 1 where
    both have every row in one cluster, or each in its own. n rows are n (n - 1) / 2 pairs; weights that are no whole
    numbers of rows are shares of many, and make n^2 / 2.

    Args:
        counts: How many rows, by weight, have label i in one and j in the other, shape (k, other k).
    """
    itself = float((counts == np.rint(counts)).all())  # whether a row makes no pair with itself

    def pairs(numbers: Array) -> float:
        return float((numbers * (numbers - itself)).sum() / 2)

    # (eq: adjusted-rand)
    together, one, other = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    every = pairs(counts.sum(keepdims=True))
    chance = one * other / every if every else 0.0
    most = (one + other) / 2
    return 1.0 if most == chance else (together - chance) / (most - chance)


def comparable(fit: Any) -> int:
    """How many labels a fit that can be compared has.

    Raises:
        Unavailable: it has none, or certain ones, for which its likelihood is no maximum.
    """
    clusters = fit.model.clusters()
    if clusters is None:
        raise Unavailable(f"{fit.model!r} has no labels to compare")
    if not fit.model.inference.exact:
        raise Unavailable(f"{fit.model!r} cannot be compared: fit it without Hard, Tempered or Sampled")
    return int(clusters.k)


def _matched(counts: Array) -> Labels:
    """For each label of the one the label of the other that is the same cluster, so that the most rows agree.

    A label without a partner is matched to none, -1.
    """
    from scipy.optimize import linear_sum_assignment  # not needed until somebody compares

    match = np.full(len(counts), -1)
    ours, theirs = linear_sum_assignment(counts, maximize=True)
    match[ours] = theirs
    return match
