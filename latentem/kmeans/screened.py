"""Rows and centres as single precision sees them, and how far that may be off; docs/kmeans.md has the proof."""

from __future__ import annotations

from typing import Self, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from latentem.arrays import Array
from latentem.compiled import running
from latentem.kmeans.sums import blocks, squared_lengths

Single = npt.NDArray[np.float32]

NEVER = np.float32(2.0**120)
"""Score of a centre where a row may not be: beyond any other, and finite."""
_FAR = 2.0**50
"""Lengths beyond this, in units of the longest row, are as good as this."""
LEAST = 2.0**-99
"""The most that underflow may add to a score."""
BLIND = 2.0**-8
"""Relative error from which the screening says nothing: at some 60,000 columns."""
_PLAIN = 400
"""Binary digits within which squares neither overflow nor vanish, and change with the unit in their exponent alone."""


@final
@frozen(eq=False)
class Screened:
    """Rows as the screening sees them: in single precision, about their mean, with a power of two as the unit.

    Attributes:
        rows: (x - centre) * unit, shape (n, d).
        squared: |x - centre|^2 * unit^2, shape (n,).
        centre: What they are about, shape (d,).
        unit: A power of two: the longest row has a length of about one.
        longest: That length.
    """

    rows: Single
    squared: Single
    centre: Array
    unit: float
    longest: float

    @classmethod
    def of(cls, x: Array, centre: Array, reach: float | None = None, squared: Array | None = None) -> Self:
        """Rows x, shape (n, d), about a centre, (d,).

        Args:
            x: The rows.
            centre: What they are about.
            reach: The largest |x - centre| of any column, if it is known.
            squared: |x - centre|^2, shape (n,), if it is known.
        """
        n, d = x.shape
        rows, lengths = np.empty((n, d), np.float32), np.empty(n, np.float32)
        if reach is None:
            reach = max(float(np.abs(x[part] - centre).max()) for part in blocks(n, d))
        unit = 2.0 ** -np.clip(np.frexp(reach)[1], -900, 900) if reach > 0 else 1.0
        if not 2.0**-_PLAIN < unit < 2.0**_PLAIN:
            squared = None
        if squared is not None and (loop := running("screen")) is not None:
            loop(x, centre, unit, rows)
            lengths = (squared * unit**2).astype(np.float32)
            return cls(rows, lengths, centre, float(unit), float(np.sqrt(lengths.max())))
        for part in blocks(n, d):
            y = x[part] - centre
            y *= unit
            rows[part] = y
            lengths[part] = squared_lengths(y) if squared is None else squared[part] * unit**2
        return cls(rows, lengths, centre, float(unit), float(np.sqrt(lengths.max())))


def scored(screened: Screened, centres: Array) -> tuple[Single, np.float32]:
    """For a compiled loop: coefficients of the scores of four centres or eight or ..., and the error of a score.

    The last may be of none that there is, far from all rows.
    """
    k, d = centres.shape
    coefficients = np.zeros((-(-k // 4) * 4, d + 1), np.float32)
    coefficients[:k], coefficients[k:, d] = coefficients_of(screened, centres), NEVER
    return coefficients, error_of(d)


def coefficients_of(screened: Screened, centres: Array) -> Single:
    """Those of a row and one in the scores of the centres, shape (k, d + 1)."""
    k, d = centres.shape
    with np.errstate(over="ignore"):  # lengths beyond the range are far
        about = (centres - screened.centre) * screened.unit
        squared = np.einsum("kd,kd->k", about, about)
    near = squared < _FAR * _FAR
    about[~near] = 0.0
    coefficients = np.empty((k, d + 1), np.float32)
    coefficients[:, :d] = -2 * about
    coefficients[:, d] = np.where(near, squared, _FAR * _FAR)
    return coefficients


def blind(columns: int) -> bool:
    """Whether so many columns are too many for the screening to say anything."""
    return bool(error_of(columns) > BLIND)


def error_of(columns: int, packing: int = 0) -> np.float32:
    """The error of a score, relative to 5 |x|^2 + 3 distance^2; `packing` roundings come from labels in last bits."""
    # Roundings to 24 bits: d + 2 of the product, 5 of its inputs, 5 of what follows, and those of the packing.
    # (eq: lloyd)
    return np.float32(1.02 * (columns + 12 + packing) * 2.0**-24)
