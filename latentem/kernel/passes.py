"""The E-step of a mixture in one go: from rows to statistics and entropy, block by block, and no (n, k) table."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from latentem.arrays import Array, column_bounds, own
from latentem.buffers import LINE, Buffers
from latentem.data import Rows
from latentem.kernel.base import FAINTEST, LOWEST, NEVER, NOTHING, Kernel

_buffers = Buffers()


def fused(kernel: Kernel, chunk: Rows) -> tuple[Array, Any, float, list[Rows]]:
    """The E-step of a mixture on a chunk of rows, where the kernel is sound.

    Returns:
        The counts, shape (k,), the family's statistics, and the entropy of the labels in nats, of the rows for which
        the kernel is sound; and the other rows, in stretches: they need another kernel, or none.
    """
    whole = kernel.whole(chunk)
    if whole is not None:
        return *whole, []
    kernel = kernel.about(chunk.centre)
    sums, entropy = kernel.sums(), 0.0
    left: list[slice] = []
    n = len(chunk.x)
    sound = kernel.sound(*chunk.bounds)
    for part in blocks(n, kernel.rows):
        of_block = _block(kernel, chunk, part, sound, sums)
        if of_block is not None:
            entropy += of_block
        elif left and left[-1].stop == part.start:
            left[-1] = slice(left[-1].start, part.stop)
        else:
            left.append(part)
    statistics = kernel.statistics(sums)
    if statistics is None:  # no sum of this chunk has its digits: all rows are left, and the answer is that of none
        sums, entropy, left = kernel.sums(), 0.0, [slice(0, n)]
        statistics = kernel.statistics(sums)
    others = [chunk] if left == [slice(0, n)] else [chunk[part] for part in left]
    return kernel.counts(sums), statistics, entropy, others


def _block(kernel: Kernel, chunk: Rows, part: slice, sound: bool, sums: Any) -> float | None:
    """Add some rows to the sums; the entropy of their posterior, or None where the kernel is not for them."""
    x, weight = chunk.x[part], None if chunk.weight is None else chunk.weight[part]
    bounds = chunk.bounds if sound else column_bounds(x)
    if not (sound or kernel.sound(*bounds)):
        return None
    read, found = kernel.read(x, _buffers), None
    if not kernel.confirms(read, *bounds):
        return None
    free = chunk.allowed is None or chunk.allowed[part].all()
    # Shifted, the share of the only component that a row may have is one to the bit.
    for shares in (unshifted, shifted) if kernel.bounded and free else (shifted,):
        log_joint = kernel.log_joint(x, read, _buffers, negligible=chunk.allowed is None)
        if chunk.allowed is not None:
            np.copyto(log_joint, NEVER, where=~chunk.allowed[part].T)
        found = shares(log_joint, weight, _buffers)
        if found is not None:
            break
    if found is None:
        return None
    counts, entropy = found
    kernel.add(x, read, counts, weight, sums, _buffers)
    return entropy


def densities(
    kernel: Kernel | None, x: Array, centre: Array, bounds: tuple[Array, Array]
) -> tuple[Kernel, Array] | None:
    """Log densities of rows, (n, d) -> (n, k), in nats, but for a term that the components of a row share.

    They lie component by component.

    Returns:
        The first of the kernel and those that are next to it that is sound for all the rows, which are about `centre`
        and between the bounds, (d,); and what it finds. None where none is.
    """
    while kernel is not None:
        there = kernel.about(centre)
        found = _densities(there, x, bounds) if there.sound(*bounds) else None
        if found is not None:
            return there, found
        kernel = kernel.otherwise
    return None


def _densities(kernel: Kernel, x: Array, bounds: tuple[Array, Array]) -> Array | None:
    found = []
    for part in blocks(len(x), kernel.rows):
        block = x[part]
        read = kernel.read(block, _buffers)
        if not kernel.confirms(read, *bounds):
            return None
        found.append(kernel.log_joint(block, read, _buffers).copy())
    return (np.concatenate(found, axis=1) if len(found) > 1 else found[0]).T


def weighted_statistics(kernel: Kernel, x: Array, counts: Array) -> Any:
    """The family's statistics of rows, (n, d), with weights by component, (n, k); None where digits would be lost."""
    sums = kernel.sums()
    for part in blocks(len(x), kernel.rows):
        read = kernel.read(x[part], _buffers)
        by_component = np.ascontiguousarray(counts[part].T)
        kernel.add(x[part], read, by_component, by_component.sum(axis=0), sums, _buffers)
    return kernel.statistics(sums)


def blocks(n: int, most: int) -> list[slice]:
    """Stretches of n rows, of about equal lengths, at most so long but for the few that fill a line of the cache."""
    count = -(-n // most)
    if count == 1:
        return [slice(0, n)]
    edges = [*(n * i // count // LINE * LINE for i in range(count)), n]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def shifted(log_joint: Array, weight: Array | None, buffers: Buffers) -> tuple[Array, float] | None:
    """Posterior counts of rows, shape (k, n), and the entropy of the posterior; None where it is not defined.

    Args:
        log_joint: Log weight plus log density, shape (k, n); it is overwritten.
        weight: How often each row counts, shape (n,); None once.
        buffers: Where the counts are put.
    """
    highest = np.maximum.reduce(log_joint)
    if not (np.minimum.reduce(highest) > NEVER / 2 and np.maximum.reduce(highest) < np.inf):
        return None
    log_joint -= highest
    return unshifted(log_joint, weight, buffers)


def unshifted(log_joint: Array, weight: Array | None, buffers: Buffers) -> tuple[Array, float] | None:
    """Counts and entropy, if no log joint is above zero; None where all of a row are so low that digits are lost.

    The arguments are those of `shifted`.
    """
    k, n = log_joint.shape
    counts, (total, logs) = buffers.array("counts", k, n), buffers.array("rows", 2, n)
    faint = np.minimum.reduce(log_joint, axis=None) < FAINTEST
    if faint:
        np.maximum(log_joint, FAINTEST, out=log_joint)
    np.exp(log_joint, out=counts)
    if faint:
        counts -= NOTHING
    np.dot(_ones(k), counts, out=total)
    if not np.minimum.reduce(total) > LOWEST:
        return None
    np.log(total, out=logs)
    log_total = float(np.add.reduce(logs) if weight is None else np.dot(logs, weight))
    np.divide(1.0 if weight is None else weight, total, out=total)
    np.multiply(counts, total, out=counts)
    # "Two products" in docs/mathematics.md:
    # (eq: two-products)
    # H = - sum of r log r, with log r = log joint - log total, and r summing to one over the components
    return counts, log_total - float(np.dot(counts.reshape(-1), log_joint.reshape(-1)))


@cache
def _ones(k: int) -> Array:
    return own(np.ones(k))
