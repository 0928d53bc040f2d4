"""Coordinates of a part of one field of the parameters. At zero of them the field is as it was."""

from __future__ import annotations

import abc
from typing import Any, Self, final

import numpy as np
from attrs import evolve, frozen
from scipy.special import softmax

from latentem.arrays import Array
from latentem.core.block import Path
from latentem.uncertainty.coordinates.scales import Scale

Index = tuple[int, ...]


class Strand(abc.ABC):
    """Some coordinates, and the numbers of one field that they move."""

    __slots__ = ()

    path: Path
    index: Index

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many coordinates it has."""

    @abc.abstractmethod
    def move(self, field: Array, u: Array) -> None:
        """Move numbers of a copy of the field to coordinates u, (size,): a change in place."""

    @abc.abstractmethod
    def without(self, coordinates: frozenset[int]) -> tuple[tuple[Index, ...], Self | None]:
        """Where the numbers are that stay when these coordinates do, and what is left of the strand, if anything."""


@final
@frozen
class Entry(Strand):
    """One number, on its scale.

    Attributes:
        path: Where the field is.
        index: Where in the field the number is.
        scale: The scale.
    """

    path: Path
    index: Index
    scale: Scale

    @property
    def size(self) -> int:
        return 1

    def move(self, field: Array, u: Array) -> None:
        field[self.index] = self.scale.back(self.scale.forward(field[self.index]) + u[0])

    def without(self, coordinates: frozenset[int]) -> tuple[tuple[Index, ...], Self | None]:
        return ((self.index,), None) if coordinates else ((), self)


@final
@frozen
class Softmax(Strand):
    """Softmax that together keep their sum: the logarithms of all but the largest over the largest.

    Attributes:
        path: Where the field is.
        index: Where in the field the row of shares is.
        free: Which of them move, the largest last.
    """

    path: Path
    index: Index
    free: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.free) - 1

    def move(self, field: Array, u: Array) -> None:
        row, free = field[self.index], list(self.free)
        row[free] = row[free].sum() * softmax(np.log(row[free]) + np.append(u, 0.0))

    def without(self, coordinates: frozenset[int]) -> tuple[tuple[Index, ...], Self | None]:
        left = tuple(at for j, at in enumerate(self.free) if j not in coordinates)
        stay = [at for at in self.free if at not in left or len(left) == 1]
        return tuple((*self.index, at) for at in stay), evolve(self, free=left) if len(left) > 1 else None


@final
@frozen
class Symmetric(Strand):
    """A positive definite matrix L (I + E) L' with its Cholesky factor L: E is symmetric, and its entries are free.

    Attributes:
        path: Where the field is.
        index: Where in the field the matrix is.
        factor: L, shape (d, d).
    """

    path: Path
    index: Index
    factor: Any

    @property
    def size(self) -> int:
        d = len(self.factor)
        return d * (d + 1) // 2

    def move(self, field: Array, u: Array) -> None:
        change = np.zeros(self.factor.shape)
        change[np.tril_indices(len(self.factor))] = u
        lower = self.factor @ change @ self.factor.T
        field[self.index] += (lower + lower.T) / 2

    def without(self, coordinates: frozenset[int]) -> tuple[tuple[Index, ...], Self | None]:
        return (), self  # an edge of a matrix is no number of it: no coordinate stays alone
