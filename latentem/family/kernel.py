"""Densities arranged for fast passes: two matrix products over rows that stay in cache; docs/kernels.md."""

from __future__ import annotations

import abc
import threading
from typing import Any, final

import numpy as np

from latentem.arrays import Array

UNIT = float(np.finfo(float).eps) / 2
"""The unit roundoff u of float64."""
NEVER = -1e300
"""Stands for the log of zero where infinity would make a NaN of zero times it."""
FAINTEST = -600.0
"""The least log share of a component in a row: exponentials of less take ten times as long, or are subnormal."""
NONE = float(np.exp(FAINTEST + 10))
"""Share of a chunk's weight below which a component has none of it: no row gave it more than the least."""
NARROWED = 1e-3
"""By how much a variance may shrink in a step before the moments of the chunk are summed about its own means."""
_CACHED = 150_000
"""Numbers in the features of a block of rows: they are read three times, and should stay in cache."""
_UNPACKED = 1_000_000
"""Multiplications in a product up to which OpenBLAS does not pack its factors first, which costs more than they do."""
_FEWEST, _MOST = 256, 16_000
"""Rows in a block: with fewer the calls cost more than the work, with more nothing is gained."""


@final
class Buffers(threading.local):
    """Arrays that a thread uses again for every block of rows: making them anew costs more than filling them."""

    def __init__(self) -> None:
        self._flat: dict[str, Array] = {}

    def array(self, name: str, rows: int, columns: int) -> Array:
        """An array of this shape; what it holds is arbitrary."""
        flat = self._flat.get(name)
        if flat is None or len(flat) < rows * columns:
            flat = self._flat[name] = np.empty(rows * columns)
        return flat[: rows * columns].reshape(rows, columns)


@final
class Sums:
    """What a kernel adds up over the blocks of a chunk.

    Attributes:
        products: Features times weights, shape (p, k).
        beside: What the kernel needs of the rows whatever their component.
    """

    __slots__ = ("beside", "products")

    def __init__(self, products: Array, beside: Any) -> None:
        self.products, self.beside = products, beside

    def settled(self) -> Array:
        """The products, shape (p, k), zero where a component has none of the weight."""
        count = self.products[0]
        return np.where(count > NONE * count.sum(), self.products, 0.0)


class Kernel(abc.ABC):
    """k weighted densities at some parameters, arranged for speed. It is made once a pass.

    A block of rows goes through `read`, and then `log_joint` or `add` or both, in one thread and with the same buffers.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def rows(self) -> int:
        """How many rows a block should have, so that all that is computed of it stays in cache."""

    @property
    def otherwise(self) -> Kernel | None:
        """The kernel for rows that this one is not sound for; None if they must be computed without one."""
        return None

    @abc.abstractmethod
    def sums(self) -> Any:
        """Nothing added up yet."""

    @abc.abstractmethod
    def sound(self, low: Array, high: Array) -> bool:
        """Whether rounding stays below the tolerance for all rows between these bounds, (d,); not if they are NaN."""

    @abc.abstractmethod
    def read(self, x: Array, buffers: Buffers) -> None:
        """Take in a block of rows, (n, d): what is computed of them whatever their components."""

    @abc.abstractmethod
    def log_joint(self, x: Array, buffers: Buffers) -> Array:
        """Log weight plus log density of rows x, (n, d) -> (k, n), in nats, in a buffer that may be written to.

        A term that the components of a row share may be left out.
        """

    @abc.abstractmethod
    def add(self, x: Array, counts: Array, weight: Array | None, sums: Any, buffers: Buffers) -> None:
        """Add the statistics of the rows that were read last.

        Args:
            x: The rows, shape (n, d).
            counts: Weight of each row in each component, shape (k, n).
            weight: Their sums over the components, shape (n,); None where all are one.
            sums: What is added to.
            buffers: Those they were read into.
        """

    def resolved(self, sums: Any) -> bool:
        """Whether the sums have digits enough for parameters as narrow as those that follow from them."""
        return True

    @abc.abstractmethod
    def counts(self, sums: Any) -> Array:
        """Sum of the weights of each component, shape (k,)."""

    @abc.abstractmethod
    def statistics(self, sums: Any) -> Any:
        """The sums as the family's statistics."""


class FeatureKernel(Kernel):
    """Densities that are linear in features of a row: log p = natural . features, but for what the components share.

    The first feature is one. The E-step is natural @ features, the statistics are features @ counts'.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def natural(self) -> Array:
        """Natural parameters, shape (k, p), all finite; the first is the constant, the log weight in it."""

    @abc.abstractmethod
    def features(self, x: Array, out: Array) -> None:
        """Fill in the features of rows x, (n, d) -> (p, n)."""

    @property
    def rows(self) -> int:
        return block_rows(*self.natural.shape)

    def sums(self) -> Sums:
        return Sums(np.zeros(self.natural.T.shape), 0.0)

    def read(self, x: Array, buffers: Buffers) -> None:
        self.features(x, buffers.array("features", self.natural.shape[1], len(x)))

    def log_joint(self, x: Array, buffers: Buffers) -> Array:
        k, p = self.natural.shape
        features = buffers.array("features", p, len(x))
        return np.dot(self.natural, features, out=buffers.array("density", k, len(x)))

    def add(self, x: Array, counts: Array, weight: Array | None, sums: Sums, buffers: Buffers) -> None:
        features = buffers.array("features", self.natural.shape[1], len(x))
        sums.products += np.dot(features, counts.T)

    def counts(self, sums: Sums) -> Array:
        return sums.settled()[0]


def block_rows(k: int, numbers: int) -> int:
    """How many rows to take at a time where each has so many numbers, and k products of them; docs/kernels.md."""
    rows = min(max(_UNPACKED / (k * numbers), _CACHED / numbers, _FEWEST), _MOST)
    return 16 * int(rows // 16) - 8  # no power of two: rows of such a length would share their places in the cache
