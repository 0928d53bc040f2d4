"""How sure a fit is of its labels, and how well its components are told apart."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, Labels, own
from latentem.judging.overlap import overlap
from latentem.report import table
from latentem.report.components import called

_SURE = 0.9
"""The probability of its label from which a row is sure of it."""


@final
@frozen(eq=False, repr=False)
class Diagnostics:
    """How sure a fit is of its labels, component by component, and how much components overlap.

    Attributes:
        noun: What a component is called.
        names: Of the components: numbers, classes, noise.
        rows: Sum of the responsibilities, by weight, shape (k,).
        labelled: How many rows are labelled so, by weight, shape (k,).
        certainty: Mean probability of its label over the rows labelled so, shape (k,); NaN where there is none.
        doubtful: How many of them have a label of probability below 0.9, by weight, shape (k,).
        effective: On how many rows each rests, (sum r)^2 / sum r^2 of the responsibilities r, shape (k,): the
            effective size of a weighted sample (Kish, 1965). It is above the expected rows where many have a small
            share; where it is hardly above the number of columns, the component hangs on a few.
        overlap: Bhattacharyya's coefficients, shape (k, k): 1 where two are the same density, 0 where they are apart.
    """

    noun: str
    names: tuple[str, ...]
    rows: Array = field()
    labelled: Array = field()
    certainty: Array = field()
    doubtful: Array = field()
    effective: Array = field()
    overlap: Array = field()

    @classmethod
    def of(cls, fit: Any, shares: Array, weight: Array, rng: Any) -> Diagnostics:
        """Of a fit.

        Args:
            fit: The fit.
            shares: Responsibilities of the rows, shape (n, k).
            weight: How much each counts, shape (n,).
            rng: For draws, where the overlap needs them.

        Raises:
            Unavailable: the model does not say what its components look like, or cannot draw from them.
        """
        _, family, params = fit.model.as_mixture(fit.params, fit.expectation.statistics)
        k = shares.shape[1]
        labels, sure = shares.argmax(axis=1), shares.max(axis=1)
        rows, labelled = weight @ shares, _counts(labels, weight, k)
        squares = weight @ shares**2
        with np.errstate(invalid="ignore"):  # of no row nothing is known
            certainty = _counts(labels, weight * sure, k) / labelled
            effective = np.where(squares > 0, rows**2 / squares, 0.0)
        return cls(
            noun=fit.model.noun,
            names=called(fit.model, k),
            rows=own(rows),
            labelled=own(labelled),
            certainty=own(certainty),
            doubtful=own(_counts(labels, weight * (sure < _SURE), k)),
            effective=own(effective),
            overlap=overlap(family, params, rng),
        )

    @property
    def distances(self) -> Array:
        """Bhattacharyya's distances, minus the logarithm of the overlap, shape (k, k); infinite where there is none."""
        with np.errstate(divide="ignore"):
            return own(-np.log(self.overlap) + 0.0)

    def __repr__(self) -> str:
        return f"<Diagnostics of {len(self.names)} components>"

    def __str__(self) -> str:
        lines = [[self.noun, "expected rows", "effective", "labelled", "mean certainty", f"below {_SURE:g}"]]
        for j, name in enumerate(self.names):
            certainty = "" if np.isnan(self.certainty[j]) else f"{self.certainty[j]:.4f}"
            numbers = [f"{values[j]:.5g}" for values in (self.rows, self.effective, self.labelled)]
            lines.append([name, *numbers, certainty, f"{self.doubtful[j]:g}"])
        crossed = [["overlap", *self.names]]
        crossed += [
            [name, *(f"{value:.4f}" for value in row)] for name, row in zip(self.names, self.overlap, strict=True)
        ]
        return f"{table(lines)}\n\n{table(crossed)}"


def _counts(labels: Labels, weight: Array, k: int) -> Array:
    """The sum of the weights of the rows of each label, shape (k,)."""
    return np.bincount(labels, weight, k).astype(np.float64)
