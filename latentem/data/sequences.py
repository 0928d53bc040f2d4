"""Whole sequences of rows as a chunk."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from latentem.arrays import Array, Labels, extents
from latentem.data.units import Units, allowed_field, rows_field, weight_field


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

    @property
    def begins(self) -> Labels:
        """The number of the first row of each sequence, shape (s,)."""
        return self.lengths.cumsum() - self.lengths
