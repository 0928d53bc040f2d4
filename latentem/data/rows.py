"""The chunks of this library: rows of a table, and whole sequences of rows."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from latentem.arrays import Array, Labels, column_bounds, extents, own, rounded_mean
from latentem.data.units import Units, allowed_field, rows_field, weight_field


@final
@frozen
class Rows(Units):
    """A chunk of independent units, one a row.

    Attributes:
        x: The values, shape (n, d); NaN where one is missing and the model takes that.
        weight: How much each unit counts, shape (n,), at least 0; None counts each once.
        allowed: Which components a unit may belong to, boolean of shape (n, k); None allows all.

    A chunk has a length and can be cut with a slice, like a list.

    Raises:
        ValueError: shapes disagree, a weight is negative or not finite, or a unit is allowed nowhere.
    """

    noun: ClassVar[str] = "row"
    whole: ClassVar[bool] = False
    remedy: ClassVar[str] = "leave out rows with missing values, or fill them in, before fitting"

    x: Array = rows_field()
    weight: Array | None = weight_field()
    allowed: npt.NDArray[np.bool_] | None = allowed_field()

    def __attrs_post_init__(self) -> None:
        self.check()

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        low, high = column_bounds(self.x)
        return own(low), own(high)

    @cached_property
    def columns(self) -> Array:
        """The values column by column, shape (d, n): for what goes along columns, pass after pass."""
        return own(np.ascontiguousarray(self.x.T))

    @cached_property
    def centre(self) -> Array:
        """About where the rows are, shape (d,): what sums over them may be taken about."""
        return own(rounded_mean(self.x))

    @cached_property
    def scatter(self) -> tuple[float, Array, Array, Array]:
        """Sum of the weights, a rounded mean of the rows, (d,), and moments about it: first, (d,), and second, (d, d).

        For models whose statistics are linear in x and x x': a pass need not look at the rows again.
        """
        count, weight = self.observations, self.row_weight
        near = self.x[int(weight.argmax())]  # a row that counts: about it the sum of a large offset loses no digits
        mean = near + weight @ (self.x - near) / (count or 1.0)
        y = self.x - mean  # beside a large offset the mean is rounded: what is left of it counts
        first = weight @ y
        y *= np.sqrt(weight)[:, None]  # in both factors alike, so that the product is symmetric to the bit
        return count, own(mean), own(first), own(y.T @ y)


@final
@frozen
class Sequences(Units):
    """A chunk of independent sequences, one below the other; each row is a time step.

    Attributes:
        x: The rows of all sequences, shape (n, d); NaN where a value is missing and the model takes that.
        lengths: How many rows each sequence has, shape (s,); they sum to n.
        weight: How much each sequence counts, shape (s,), at least 0; None counts each once.
        allowed: Which components a row may belong to, boolean of shape (n, k); None allows all.

    A chunk has as many units as sequences, and can be cut with a slice, like a list.

    Raises:
        ValueError: shapes disagree, or a weight is negative or not finite.
    """

    noun: ClassVar[str] = "sequence"
    remedy: ClassVar[str] = "fill it in, or part the sequence there"

    x: Array = rows_field()
    lengths: Labels = extents()
    weight: Array | None = weight_field()
    allowed: npt.NDArray[np.bool_] | None = allowed_field()

    def __attrs_post_init__(self) -> None:
        self.check()

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        return own(self.x.min(axis=0)), own(self.x.max(axis=0))

    @cached_property
    def centre(self) -> Array:
        """About where the rows are, shape (d,): what sums over them may be taken about."""
        return own(rounded_mean(self.x))

    @property
    def begins(self) -> Labels:
        """The number of the first row of each sequence, shape (s,)."""
        return self.lengths.cumsum() - self.lengths
