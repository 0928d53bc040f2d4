"""Sums and maxima over paths by the logs of their weights: slower than scaled numbers, and nothing underflows."""

from __future__ import annotations

import abc
from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array
from latentem.posterior.joining import Over, Sums, around, highest, log_sum
from latentem.posterior.layout import Layout

_SLAB = 2**18
"""Numbers in tables of pairs, (k, k, rows), that are in memory at a time."""
_SAFE = 1e-280
"""A sum of exponentials above it has lost nothing that underflowed beside it."""
_EVERY = 4
"""Steps after which products of blocks are balanced."""


class Ways(abc.ABC):
    """A step of a recursion along chains, in logs."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def over(self) -> Over:
        """What is taken of several ways."""

    @abc.abstractmethod
    def ahead(self, logs: Array) -> Array:
        """Over the states before, whose logs are given, (k, m): by the state that follows, (k, m)."""


@final
@frozen(eq=False)
class AllWays(Ways):
    """The sum over the ways.

    Attributes:
        coupling: Logs of the weights of a step, from the states of the rows to those of the columns.
    """

    coupling: Array

    @property
    def over(self) -> Over:
        return log_sum

    def ahead(self, logs: Array) -> Array:
        return _log_product(self.coupling.T, logs)

    def back(self, logs: Array) -> Array:
        """Over the states that follow, whose logs are given, (k, m): by the state before."""
        return _log_product(self.coupling, logs)


@final
@frozen(eq=False)
class BestWay(Ways):
    """The heaviest of the ways; the attribute is that of `AllWays`."""

    coupling: Array

    @property
    def over(self) -> Over:
        return highest

    def ahead(self, logs: Array) -> Array:
        best = logs[0] + self.coupling[0][:, None]
        other = np.empty_like(best)
        for each, onward in zip(logs[1:], self.coupling[1:], strict=True):
            np.maximum(best, np.add(each, onward[:, None], out=other), out=best)
        return best


def _log_product(log_matrix: Array, logs: Array) -> Array:
    """Log of the product of two matrices, (k, k) and (k, m), that are given by the logs of their entries."""
    top = logs.max(axis=0)
    top[top == -np.inf] = 0.0
    sums = np.exp(log_matrix) @ np.exp(logs - top)
    found: Array = np.log(sums) + top
    if not sums.min() > _SAFE:
        ways = (log_matrix > -np.inf).astype(float) @ (logs > -np.inf).astype(float)
        state, column = (~(sums > _SAFE) & (ways > 0)).nonzero()
        if len(state):
            found[state, column] = log_sum(log_matrix[state].T + logs[:, column], 0)
    return found


@final
@frozen(eq=False)
class Past:
    """Logs of the weights of the paths up to each row, or of the heaviest of them, packed as a layout says.

    Attributes:
        forward: By state, such that the total of each row is zero.
        total: The total that was taken off, one a row.
        after: From the end of each block that another follows, up to a constant, shape (k, such blocks).
    """

    forward: Array
    total: Array
    after: Array


def past(nodes: Array, ways: Ways, layout: Layout) -> Past:
    """Forwards over nodes, shape (k, n)."""
    packing, k = layout.packing, len(nodes)
    forward, total, after = packing.packed(nodes), np.empty(nodes.shape[1]), np.zeros((k, 0))
    here, totals = packing.steps(forward, k), packing.steps(total, 1)
    if layout.cut is not None:
        same = layout.cut is packing
        steps = here if same else layout.cut.steps(layout.cut.packed(nodes[:, layout.rows]), k)
        before, after = around(_products(steps, ways, layout), ways.over)
        before, after = before[layout.follows].T, after[layout.follows - 1].T
        before -= ways.over(before, 0)
        here[0][:, layout.heads] += ways.ahead(before)
    # (eq: forward-backward)
    previous = None
    for alpha, (scale,) in zip(here, totals, strict=True):
        if previous is not None:
            alpha += ways.ahead(previous[:, : alpha.shape[1]])
        scale[...] = ways.over(alpha, 0)
        alpha -= scale
        previous = alpha
    return Past(forward, total, after)


def smooth(nodes: Array, coupling: Array, layout: Layout, weight: Array | None) -> Sums:
    """Sums over all paths, by nodes, shape (k, n), and the weights of the rows, shape (n,)."""
    packing, ways = layout.packing, AllWays(coupling)
    so_far = past(nodes, ways, layout)
    backward, onward = map(packing.unpacked, _future(nodes, ways, layout, so_far))
    forward = packing.unpacked(so_far.forward)
    pairs = _pairs(forward, onward, coupling, layout, weight)
    forward += backward
    marginals = np.exp(forward)
    marginals /= marginals.sum(axis=0)
    total = so_far.total[packing.row]
    broken = ~(total > -np.inf)
    log_weight = float(total.sum() if weight is None else total @ weight)
    return Sums(marginals, pairs, log_weight, int(broken.argmax()) if broken.any() else None)


def _future(nodes: Array, ways: AllWays, layout: Layout, past: Past) -> tuple[Array, Array]:
    """Backwards: logs of beta and of v, packed, scaled as the sums of the past are."""
    packing, k = layout.packing, len(nodes)
    backward, onward = np.zeros(nodes.size), packing.packed(nodes)
    backward[layout.tails] = past.after - log_sum(past.forward[layout.tails] + past.after, 0)
    here, ahead, totals = packing.steps(backward, k), packing.steps(onward, k), packing.steps(past.total, 1)
    for t in range(len(here) - 1, -1, -1):
        ahead[t] += here[t] - totals[t]
        if t:
            here[t - 1][:, : ahead[t].shape[1]] = ways.back(ahead[t])
    return backward, onward


def _pairs(forward: Array, onward: Array, coupling: Array, layout: Layout, weight: Array | None) -> Array:
    """Weighted sum of q(z_t, z_t+1) over neighbours, (k, k), from logs of alpha and v, (k, n)."""
    k, n = forward.shape
    later = np.delete(np.arange(n), layout.begins)
    pairs = np.zeros((k, k))
    size = max(1, _SLAB // k**2)
    for begin in range(0, len(later), size):
        rows = later[begin : begin + size]
        joint = np.exp(forward[:, None, rows - 1] + coupling[:, :, None] + onward[:, rows])
        total = joint.sum(axis=(0, 1))  # one but for rounding of log potentials, which may be large
        joint *= (1.0 if weight is None else weight[rows]) / total
        pairs += joint.sum(axis=2)
    return pairs


def _products(steps: list[Array], ways: Ways, layout: Layout) -> Array:
    """Logs of the products of the blocks of chains that were cut, (m, k, k)."""
    assert layout.cut is not None
    k, m = len(steps[0]), len(layout.opens)
    start = ways.ahead(np.where(np.eye(k, dtype=bool), 0.0, -np.inf))  # by the state after one step from each
    product = np.where(layout.opens, 0.0, start[:, :, None]) + steps[0][:, None]  # (to, from, block)
    kept = np.empty((k, k, m))
    for t, node in enumerate(steps[1:], 1):
        width = node.shape[1]
        kept[:, :, width : product.shape[2]] = product[:, :, width:]
        before = product[:, :, :width].reshape(k, -1)
        product = ways.ahead(before).reshape(k, k, width)
        product += node[:, None]
        if t % _EVERY == 0:
            largest = product.max(axis=(0, 1))
            product -= np.where(largest > -np.inf, largest, 0.0)
    kept[:, :, : product.shape[2]] = product
    logs: Array = kept.T[layout.cut.rank]
    return logs
