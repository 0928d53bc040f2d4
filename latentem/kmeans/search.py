"""The nearest centre of each row: screened in single precision, decided in double where that cannot tell.

The answer is that of squared distances sum (x - centre)^2 in double, the lowest of those that tie, for any way of
cutting the rows. The error bound of the screening is proved in docs/kmeans.md.
"""

from __future__ import annotations

from typing import final

import numpy as np
import numpy.typing as npt

from latentem.arrays import Array, Labels
from latentem.kernel.products import multiplied
from latentem.kmeans.screened import BLIND, LEAST, NEVER, Screened, Single, coefficients_of, error_of
from latentem.kmeans.sums import squared_lengths

Mask = npt.NDArray[np.bool_]

_TABLE = 2**18
"""Numbers in a table of scores, (rows, k)."""
_LEAST_ROWS, _LARGEST = 2**9, 2**23
"""Rows in a table, if it does not become too large: products with fewer are slow."""
_ROWS = 2**15
"""Rows in a block of what comes after the scores."""
_PACKED = 64
"""Up to so many centres the table is (k, rows), and a score holds its label in its last bits."""
_AT_ONCE = 2**15
"""Numbers, (rows, k, d), up to which all centres are compared in double."""


@final
class Search:
    """The search for the nearest of some centres, over one chunk."""

    def __init__(self, screened: Screened, x: Array, allowed: Mask | None, centres: Array) -> None:
        k, d = centres.shape
        self._screened, self._x, self._allowed, self._centres = screened, x, allowed, centres
        self._coefficients = coefficients_of(screened, centres)
        self._factors = self._coefficients if k <= _PACKED else np.asfortranarray(self._coefficients)
        self._step = max(min(_LEAST_ROWS, _LARGEST // k), _TABLE // k, 16)
        most = min(self._step, len(x))
        self._room, self._turned_rows = np.empty(most * k, np.float32), np.empty(most * (d + 1), np.float32)

    def __call__(
        self, chosen: Labels | None, known: Labels | None = None, margins: bool = True
    ) -> tuple[Labels, Single]:
        """The nearest centres of some rows, and how much nearer they are, both of shape (m,).

        The margin is a lower bound on distance to the second centre minus distance to the nearest, in units of
        `Screened`; it is 0 where double precision had to decide.

        Args:
            chosen: The rows; None: all.
            known: A centre for each, shape (m,), that is likely to be the nearest: to see that it is takes half as
                long as to find it. None if there are none.
            margins: Whether the margins are asked for.
        """
        count = len(self._screened.rows) if chosen is None else len(chosen)
        margin = np.full(count, NEVER)
        if len(self._centres) == 1:
            return np.zeros(count, dtype=np.intp), margin
        labels = np.empty(count, dtype=np.intp) if known is None else known.copy()
        error = self.error(packed=known is None and self._few)
        close = []
        for start in range(0, count, _ROWS):
            part = slice(start, min(start + _ROWS, count))
            inside = part if chosen is None else chosen[part]
            left = self._screen(inside, labels[part], margin[part], known is None, margins, error)
            close.append(left + start)
        undecided = np.concatenate(close)
        if len(undecided):
            rows = undecided if chosen is None else chosen[undecided]
            if known is None:
                labels[undecided] = self.decided(rows)
            else:
                labels[undecided], margin[undecided] = self(rows, None, margins)
        return labels, margin

    def error(self, packed: bool) -> np.float32:
        """The error of a score, relative to 5 |x|^2 + 3 distance^2."""
        return error_of(self._centres.shape[1], self._label + 1 if packed else 0)

    @property
    def _few(self) -> bool:
        """Whether a table of scores is (k, rows), and a score is packed with its label."""
        return len(self._centres) <= _PACKED

    @property
    def _label(self) -> int:
        """The bits of a score that hold its label."""
        return (1 << (len(self._centres) - 1).bit_length()) - 1

    def _screen(
        self, inside: Labels | slice, labels: Labels, margin: Single, unknown: bool, margins: bool, error: np.float32
    ) -> Labels:
        """Fill in margins of some rows, and labels if they are unknown; those of the rows that are left to decide."""
        screened = self._screened
        if isinstance(inside, slice):
            rows, squared = screened.rows[inside], screened.squared[inside]
        else:
            rows, squared = screened.rows.take(inside, axis=0), screened.squared.take(inside)
        allowed = None if self._allowed is None else self._allowed[inside]
        low, second = np.empty(len(rows), np.float32), margin
        for start in range(0, len(rows), self._step):
            part = slice(start, min(start + self._step, len(rows)))
            mask = None if allowed is None else allowed[part]
            self._lowest(rows[part], mask, labels[part], unknown, low[part], second[part])
        # The squared distance of the nearest is at most `high`, that of the second at least `second`.
        high = low
        high *= 1 + 3 * error
        least = squared * (1 + 8 * error)
        least += np.float32(LEAST)
        high += least
        second *= 1 - 3 * error
        second += np.multiply(squared, 1 - 8 * error, out=least)
        gap = np.subtract(second, high, out=least)
        close = np.flatnonzero(gap <= high * error) if error <= BLIND else np.arange(len(rows))
        if margins:
            np.maximum(second, 0, out=second)
            np.sqrt(second, out=second)
            second += np.sqrt(high, out=high)
            np.divide(gap, second, out=margin)
            margin[close] = 0
        return close

    def _lowest(
        self, rows: Single, allowed: Mask | None, labels: Labels, unknown: bool, low: Single, second: Single
    ) -> None:
        """The score of the label of each row, and the lowest of the others; the label is the lowest if unknown."""
        n, k = len(rows), len(self._centres)
        flat, d = self._room[: n * k], rows.shape[1]
        turned = self._turned_rows[: n * (d + 1)].reshape(d + 1, n)
        turned[:d], turned[d] = rows.T, 1
        table = multiplied(self._factors, turned, out=flat.reshape(k, n) if self._few else flat.reshape(n, k).T)
        if allowed is not None:
            table[~allowed.T] = NEVER
        if self._few:
            if unknown:
                self._pack(table, low, labels)
            at = labels * n
            at += np.arange(n)
            flat.take(at, out=low, mode="clip")
            flat[at] = NEVER
            np.minimum.reduce(table, axis=0, out=second)
        else:  # each row of it has its numbers side by side, in which numpy finds the place sooner than the value
            if unknown:
                table.T.argmin(axis=1, out=labels)
            begin = np.arange(0, n * k, k)
            at = begin + labels
            flat.take(at, out=low, mode="clip")
            flat[at] = NEVER
            table.T.argmin(axis=1, out=at)
            at += begin
            flat.take(at, out=second, mode="clip")

    def _pack(self, table: Single, low: Single, labels: Labels) -> None:
        """Put the label of each score into its last bits, and find that of the lowest."""
        whole = table.view(np.int32)
        whole &= np.int32(~self._label)
        whole |= np.arange(len(table), dtype=np.int32)[:, None]
        np.minimum.reduce(table, axis=0, out=low)
        np.bitwise_and(low.view(np.int32), np.int32(self._label), out=labels, casting="unsafe")

    def decided(self, chosen: Labels) -> Labels:
        """The nearest centres of some rows in double, of all that the screening leaves possible."""
        k, error = len(self._centres), float(self.error(packed=False))
        if len(chosen) * self._centres.size <= _AT_ONCE:
            x = self._x.take(chosen, axis=0)
            distance = squared_lengths((x[:, None] - self._centres).reshape(-1, x.shape[1])).reshape(-1, k)
            if self._allowed is not None:
                distance = np.where(self._allowed[chosen], distance, np.inf)
            return distance.argmin(axis=1)
        labels = np.empty(len(chosen), dtype=np.intp)
        size = max(16, _TABLE // k)
        for start in range(0, len(chosen), size):
            rows = chosen[start : start + size]
            scores = np.dot(self._screened.rows[rows], self._coefficients[:, :-1].T) + self._coefficients[:, -1]
            if self._allowed is not None:
                scores[~self._allowed[rows]] = NEVER
            squared = self._screened.squared[rows].astype(np.float64)
            slack = 5 * error * squared + LEAST
            high = np.maximum(scores.min(axis=1) + squared, 0) * (1 + 3 * error) + slack
            limit = (high * (1 + error) + slack) / (1 - 4 * error) - squared
            limit += np.inf if error > BLIND else 1e-6 * np.abs(limit)
            possible = scores <= limit[:, None]
            row, centre = np.nonzero(possible)
            distance = squared_lengths(self._x.take(rows[row], axis=0) - self._centres.take(centre, axis=0))
            first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
            nearest = np.minimum.reduceat(distance, first)
            ties = np.flatnonzero(distance == nearest[row])
            lowest = np.unique(row[ties], return_index=True)[1]
            labels[start : start + size] = centre[ties[lowest]]
        return labels
