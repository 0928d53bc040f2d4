"""The blocks of chains joined: from their products, the weights of all that is before and after each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array

Over = Callable[[Array, int], Array]
"""What is taken of the logs of weights of several ways, along an axis: the log of their sum, or their maximum."""
_TABLE = 2**18
"""Numbers in a table of ways, (blocks, k, k, k), at a time."""


@final
@frozen(eq=False)
class Sums:
    """Sums over all paths of chains.

    Attributes:
        marginals: q(z_t), shape (k, n).
        pairs: Weighted sum of q(z_t, z_t+1) over neighbours, shape (k, k).
        log_weight: Weighted sum of the logs of the weights of all paths of each chain.
        impossible: The first row that ends every path of its chain, or None.
    """

    marginals: Array
    pairs: Array
    log_weight: float
    impossible: int | None = None


def log_sum(logs: Array, axis: int) -> Array:
    """Log of the sum of exponentials, which must not be plus infinity."""
    highest = logs.max(axis=axis, keepdims=True)
    highest[highest == -np.inf] = 0.0
    shifted = logs - highest
    np.exp(shifted, out=shifted)
    sums: Array = np.log(shifted.sum(axis=axis))
    sums += highest.squeeze(axis)
    return sums


def highest(logs: Array, axis: int) -> Array:
    """The largest of the logs."""
    found: Array = logs.max(axis=axis)
    return found


def around(products: Array, over: Over) -> tuple[Array, Array]:
    """Logs of the weights of all ways to the state before each block, and from the state at its end on.

    Neighbours are multiplied up a tree; down again it takes the vectors that stand before and after each of its nodes.

    Args:
        products: Logs of the weights of all ways through each block, shape (m, k, k), from the state before it to
            the state at its end. A block that begins a chain has the same numbers in each row, and so lets nothing
            through: all blocks are one chain.
        over: Sums over the ways, or the heaviest of them.

    Returns:
        Two arrays (m, k), each row up to a constant of its own.
    """
    # (eq: chain-blocks)
    levels = [products]
    while len(levels[-1]) > 1:
        below = levels[-1]
        odd = len(below) % 2
        joined = _multiplied(below[: len(below) - odd : 2], below[1::2], over)
        levels.append(np.concatenate([joined, below[-1:]]) if odd else joined)
    before = after = np.zeros((1, products.shape[1]))
    for level in reversed(levels[:-1]):
        pairs = len(level) // 2
        left, right = level[: 2 * pairs : 2], level[1::2]
        above_before, above_after = before, after
        before, after = np.empty((2, len(level), products.shape[1]))
        before[::2] = above_before
        before[1::2] = _balanced(over(above_before[:pairs, :, None] + left, 1))
        after[-1] = above_after[-1]
        after[1::2] = above_after[:pairs]
        after[: 2 * pairs : 2] = _balanced(over(right + above_after[:pairs, None], 2))
    return before, after


def _multiplied(left: Array, right: Array, over: Over) -> Array:
    pairs, k, _ = left.shape
    product = np.empty_like(left)
    size = max(1, _TABLE // k**3)
    for begin in range(0, pairs, size):
        part = slice(begin, begin + size)
        product[part] = over(left[part, :, :, None] + right[part, None], 2)
    return _balanced(product, (1, 2))


def _balanced(logs: Array, axis: Any = 1) -> Array:
    """The logs less their largest, so that what is small beside it keeps its digits."""
    largest = logs.max(axis=axis, keepdims=True)
    largest[largest == -np.inf] = 0.0
    logs -= largest
    return logs
