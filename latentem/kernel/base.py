"""Densities arranged for fast passes: two matrix products over blocks of rows; docs/kernels.md."""

from __future__ import annotations

import abc
from typing import Any, final

import numpy as np
from attrs import define

from latentem.arrays import Array
from latentem.buffers import Buffers
from latentem.data import Rows
from latentem.kernel.products import accumulated, multiplied

UNIT = float(np.finfo(float).eps) / 2
"""The unit roundoff u of float64."""
NEVER = -1e300
"""Stands for the log of zero: zero times infinity would be NaN."""
FAINTEST = -700.0
"""Log joints below it are raised to it: their exponentials would be subnormal, or take ten times as long."""
LOWEST = float(np.exp(-100.0))
"""The least sum of a row's exponentials beside which the exponential of `FAINTEST` is nothing."""
NOTHING = float(np.exp(np.full(64, FAINTEST)).max())
"""The exponential of `FAINTEST`. It is taken off again, so a share is zero or has all its digits."""
NARROWED = 1e-3
"""Share of a column's variance that must be left after a step; where less is, moments about a common origin cancel."""
FEW = 1000
"""Rows of a chunk up to which that share must be left in every direction, for so few may be all of the data: then a
component may have hardly more rows than columns."""
_NUMBERS = 2**20
"""Numbers in what is computed of a block, about. Smaller blocks would stay in cache, but threads wait for the
interpreter between two calls, some 40 microseconds on a virtual machine: longer than they would compute."""
_FEWEST, _MANY, _MOST = 64, 4000, 2**17
"""Rows in a block: at least; at least where that makes no more than twice the numbers; and at most."""


@final
@define(eq=False)
class Sums:
    """Sums of a kernel over the blocks of a chunk.

    Attributes:
        products: (1, features) times weights, shape (p, k).
        beside: What the statistics need of the rows whatever their component.
        rows: How many they were.
    """

    products: Array
    beside: Any
    rows: int = 0


class Kernel(abc.ABC):
    """k weighted densities at some parameters, arranged for speed. It is made once a pass.

    A block of rows goes through `read`; `log_joint` and `add` are given what it returned, in the same thread and with
    the same buffers, before the next block is read.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def rows(self) -> int:
        """How many rows a block should have, 64 at least: few enough for memory, and many enough for threads."""

    @property
    def bounded(self) -> bool:
        """Whether no log joint is above zero, the largest possible having been taken off."""
        return False

    @property
    def otherwise(self) -> Kernel | None:
        """The kernel for rows that this one is not sound for; None if they must be computed without one."""
        return None

    def whole(self, chunk: Rows) -> tuple[Array, Any, float] | None:
        """The E-step on a chunk in one go, where that is quicker than block by block: as `fused` has it; else None."""
        return None

    @abc.abstractmethod
    def sums(self) -> Any:
        """Nothing added up yet."""

    def about(self, centre: Array) -> Kernel:
        """This kernel for rows that are around there, (d,). Rows and weights alone then decide every sum."""
        return self

    @abc.abstractmethod
    def sound(self, low: Array, high: Array) -> bool:
        """Whether rounding stays below the tolerance for all rows between these bounds, (d,); not if they are NaN."""

    @abc.abstractmethod
    def read(self, x: Array, buffers: Buffers) -> Any:
        """Figures of a block of rows, (n, d), that all components need; they may be in the buffers."""

    def confirms(self, read: Any, low: Array, high: Array) -> bool:
        """Whether it is sound for a block, by what was read of it, where bounds of the columns do not settle that."""
        return True

    @abc.abstractmethod
    def log_joint(self, x: Array, read: Any, buffers: Buffers, negligible: bool = False) -> Array:
        """Log weight plus log density of rows x, (n, d) -> (k, n), in nats, in a buffer that may be written to.

        A term that the components of a row share may be left out. So may, as `NEVER`, what is negligible beside
        another component of the row: only where all depends on the shares of this row alone, and none is ruled out.
        """

    @abc.abstractmethod
    def add(self, x: Array, read: Any, counts: Array, weight: Array | None, sums: Any, buffers: Buffers) -> None:
        """Add the statistics of a block of rows.

        Args:
            x: The rows, shape (n, d).
            read: What `read` computed of them.
            counts: Weight of each row in each component, shape (k, n).
            weight: Their sums over the components, shape (n,); None where all are one.
            sums: What is added to.
            buffers: Those they were read into.
        """

    @abc.abstractmethod
    def counts(self, sums: Any) -> Array:
        """Sum of the weights of each component, shape (k,)."""

    @abc.abstractmethod
    def statistics(self, sums: Any) -> Any:
        """The sums as the family's statistics; None if they lack digits for parameters as narrow as will follow."""


class FeatureKernel(Kernel):
    """Densities that are linear in features of a row: log p = natural . (1, features), but for what components share.

    The E-step is one matrix product, natural @ features, and the statistics are another, features @ counts'.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def natural(self) -> Array:
        """Natural parameters, shape (k, p), all finite; the first is the constant, the log weight in it."""

    @abc.abstractmethod
    def features(self, x: Array, out: Array) -> None:
        """Fill in the features beside the one that is one, of rows x: (n, d) -> (p - 1, n)."""

    def holds(self, features: Array, low: Array, high: Array) -> bool:
        """Whether it is sound for rows between these bounds by features that were filled in."""
        return True

    def confirms(self, read: Array, low: Array, high: Array) -> bool:
        return self.holds(read[1:], low, high)

    @property
    def more(self) -> bool:
        """Whether the statistics need more than features and counts: then `beside` adds it."""
        return False

    def beside(self, x: Array, features: Array, weight: Array | None, sums: Sums) -> None:
        """Add what the statistics need of the rows whatever their component; features are as `features` filled in."""

    @property
    def rows(self) -> int:
        k, p = self.natural.shape
        rows = _NUMBERS // (p + 2 * k)  # the features, log joints and counts of a row
        return max(_FEWEST, min(max(rows, min(2 * rows, _MANY)), _MOST))

    def sums(self) -> Sums:
        return Sums(np.zeros(self.natural.T.shape), 0.0)

    def read(self, x: Array, buffers: Buffers) -> Array:
        features = buffers.array("features", self.natural.shape[1], len(x))
        features[0] = 1.0
        self.features(x, features[1:])
        return features

    def log_joint(self, x: Array, read: Array, buffers: Buffers, negligible: bool = False) -> Array:
        natural = self.natural
        return multiplied(natural, read, out=buffers.array("density", len(natural), len(x)))

    def add(self, x: Array, read: Array, counts: Array, weight: Array | None, sums: Sums, buffers: Buffers) -> None:
        sums.products += accumulated(read, counts, buffers)
        sums.rows += len(x)
        if self.more:
            self.beside(x, read[1:], weight, sums)

    def counts(self, sums: Sums) -> Array:
        return sums.products[0].copy()
