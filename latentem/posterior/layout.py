"""Rows of chains laid out so that many stretches of them take a step together."""

from __future__ import annotations

from itertools import pairwise
from typing import Self, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from latentem.arrays import Array, Labels
from latentem.core import Cache

_STEP = 8_000.0
"""Nanoseconds that a step takes whatever its size: docs/kernels.md."""
_LEVEL = 80_000.0
"""Nanoseconds that a level of the tree of blocks takes whatever its size."""
_SHORTEST = 8
"""Rows of a block, at least."""


@final
@frozen(eq=False)
class Packing:
    """Stretches of rows side by side: the t-th rows of all of them make a step, those of the longest first.

    Numbers of the rows, one for each of k states, are packed into one vector: step after step, and within a step an
    array (k, width), so that what is done to a step runs along contiguous memory.

    Attributes:
        rank: The place of each stretch in a step, shape (m,).
        width: How many stretches have a row at each step; never more than at the step before.
        edge: How many rows the steps before each have, and the number of all rows at last.
        place: Where each state of each row is packed, shape (k, n), rows in the order of the stretches.
        row: The place of each row where there is one number a row, shape (n,).
    """

    rank: Labels
    width: Labels
    edge: Labels
    place: Labels
    row: Labels

    @classmethod
    def of(cls, lengths: Labels, k: int) -> Self:
        """Of stretches with these lengths, shape (m,), given one below the other."""
        rank = np.empty_like(lengths)
        rank[np.argsort(-lengths, kind="stable")] = np.arange(len(lengths))
        width = len(lengths) - np.searchsorted(np.sort(lengths), np.arange(lengths.max()), side="right")
        edge = np.concatenate([[0], width.cumsum()])
        time = np.arange(edge[-1]) - np.repeat(lengths.cumsum() - lengths, lengths)
        within = np.repeat(rank, lengths)
        before = edge[time]
        place = k * before + within + np.arange(k)[:, None] * width[time]
        return cls(rank, width, edge, place, before + within)

    def packed(self, numbers: Array, out: Array | None = None) -> Array:
        """Numbers by state and row, (k, n), or by row, (n,), as one vector."""
        flat = np.empty(numbers.size) if out is None else out
        flat[self.place if numbers.ndim == 2 else self.row] = numbers
        return flat

    def unpacked(self, flat: Array) -> Array:
        """Packed numbers by state and row, (k, n), in the order of the stretches."""
        return flat.take(self.place)

    def steps(self, flat: Array, k: int) -> list[Array]:
        """Each step of a packed vector: a view of shape (k, width)."""
        return [step for run in self.runs(flat, k) for step in run]

    def runs(self, flat: Array, k: int) -> list[Array]:
        """The steps of a packed vector, those of equal width in a row together: views of shape (steps, k, width)."""
        changes = [0, *(np.flatnonzero(np.diff(self.width)) + 1).tolist(), len(self.width)]
        edge = self.edge[changes].tolist()
        return [
            flat[k * begin : k * end].reshape(until - since, k, -1)
            for (since, until), (begin, end) in zip(pairwise(changes), pairwise(edge), strict=True)
        ]


@final
@frozen(eq=False)
class Layout:
    """Chains for recursions along them: whole, or the long ones in blocks, all of which take a step together.

    A block is a stretch of one chain. What comes before it and after it is found from the blocks' k x k products.

    Attributes:
        lengths: How many rows each chain has, shape (s,).
        packing: The blocks side by side; a chain that is not cut is one.
        cut: The blocks of the chains that were cut, side by side; None where none was.
        rows: Their rows, or all.
        opens: Which of these blocks begin their chain, in the order of the first step of `cut`, shape (m,).
        follows: The numbers of those which do not, in the order of the rows.
        firsts: The first rows of these, as given.
        heads: The places of these in the first step of `packing`.
        tails: Where the last row of the block before each of them is packed, shape (k, blocks that follow).
    """

    lengths: Labels
    packing: Packing
    cut: Packing | None
    rows: Labels | slice
    opens: npt.NDArray[np.bool_]
    follows: Labels
    firsts: Labels
    heads: Labels
    tails: Labels

    @classmethod
    def of(cls, lengths: Labels, k: int, longest: int | None = None) -> Self:
        """Of chains with these lengths, in blocks of at most `longest` rows, or of as many as promise to be fastest."""
        pieces = -(-lengths // (_longest(lengths, k) if longest is None else longest))
        blocks, number, count = pieces_of(lengths, pieces)
        packing = Packing.of(blocks, k)
        cut = np.flatnonzero(count > 1)
        follows = np.flatnonzero(number[cut] > 0)
        last = blocks.cumsum() - 1
        every = len(cut) == len(blocks)
        beside = packing if every else Packing.of(blocks[cut], k) if len(cut) else None
        opens = np.empty(len(cut), dtype=np.bool_)
        if beside is not None:
            opens[beside.rank] = number[cut] == 0
        return cls(
            lengths,
            packing,
            beside,
            slice(None) if every else np.flatnonzero(np.repeat(count > 1, blocks)),
            opens,
            follows,
            (last + 1 - blocks)[cut[follows]],
            packing.rank[cut[follows]],
            packing.place[:, last[cut[follows - 1]]],
        )

    @property
    def k(self) -> int:
        """How many states there are."""
        return len(self.packing.place)

    @property
    def begins(self) -> Labels:
        """The first row of each chain, shape (s,)."""
        return self.lengths.cumsum() - self.lengths


def pieces_of(lengths: Labels, pieces: Labels) -> tuple[Labels, Labels, Labels]:
    """Chains in pieces: the rows of each piece, its number in its chain, and how many its chain has."""
    number = np.arange(pieces.sum()) - np.repeat(pieces.cumsum() - pieces, pieces)
    rows, count = np.repeat(lengths, pieces), np.repeat(pieces, pieces)
    return (number + 1) * rows // count - number * rows // count, number, count


def laid_out(lengths: Labels, k: int, cache: Cache | None) -> Layout:
    """The layout of a chunk's chains: made once, where the chunk has a cache."""
    layout: Layout | None = None if cache is None else cache.get("layout")
    if layout is None or layout.k != k:  # the chunk may have served another model
        layout = Layout.of(lengths, k)
        if cache is not None:
            cache["layout"] = layout
    return layout


def _longest(lengths: Labels, k: int) -> int:
    """How many rows a block should have at most: so many that steps, products of blocks and their tree take least."""
    whole = int(lengths.max())
    choices = [whole, *(2**i for i in range(whole.bit_length()) if _SHORTEST <= 2**i < whole)]
    return min(choices, key=lambda longest: _nanoseconds(lengths, k, longest))


def _nanoseconds(lengths: Labels, k: int, longest: int) -> float:
    cut = lengths[lengths > longest]
    if not len(cut):
        return _STEP * longest
    blocks = float((-(-cut // longest)).sum())
    return (
        1.5 * _STEP * longest
        + float(cut.sum()) * k**2 * (1 + k / 30)
        + 12.0 * k**3 * blocks
        + _LEVEL * (1 + np.log2(blocks))
    )
