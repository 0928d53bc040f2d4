"""Sums and maxima over the paths of chains, many chains side by side.

The weight of a path is exp(sum of nodes[t, z_t] + sum of coupling[z_t, z_t+1]). All chains take their t-th step
together, as one small product of matrices: rows are packed by time, the longest chain first, so that those which
have ended are the last ones of a step. The formulas are in docs/mathematics.md, "Chains".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from latentem.arrays import Array, Labels

_MIXING = -230.0
"""A coupling above it (1e-100) lets scaled recursions lose nothing that could come back: docs/mathematics.md."""
_SLAB = 2**12
"""Rows whose tables of pairs, (rows, k, k), are in memory at a time."""


@final
@frozen(eq=False)
class Packing:
    """Rows of chains, packed by time.

    Attributes:
        index: For each packed row, its place among the rows as given, shape (n,).
        chain: For each packed row, the number of its chain, shape (n,).
        steps: The packed rows of each time step.
        before: For each packed row after the first step, its chain's row one step earlier.
    """

    index: Labels
    chain: Labels
    steps: Sequence[slice]
    before: Labels

    @classmethod
    def of(cls, lengths: Labels) -> Self:
        """Of chains with these lengths, shape (s,), given one below the other."""
        longest_first = np.argsort(-lengths, kind="stable")
        alive = len(lengths) - np.searchsorted(np.sort(lengths), np.arange(lengths.max()), side="right")
        edges = np.concatenate([[0], alive.cumsum()])
        time = np.repeat(np.arange(len(alive)), alive)
        rank = np.arange(edges[-1]) - edges[time]
        chain = longest_first[rank]
        steps = [slice(begin, end) for begin, end in pairwise(edges.tolist())]
        later = slice(steps[0].stop, None)
        starts = lengths.cumsum() - lengths
        return cls(starts[chain] + time, chain, steps, edges[time[later] - 1] + rank[later])

    @property
    def first(self) -> slice:
        """The packed rows of the first step, one a chain."""
        return self.steps[0]

    @property
    def later(self) -> slice:
        """The packed rows of all other steps."""
        return slice(self.steps[0].stop, None)

    def ahead(self, step: slice, before: slice) -> slice:
        """Of the rows one step before, those whose chains go on."""
        return slice(before.start, before.start + step.stop - step.start)

    def unpacked(self, packed: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Packed rows in the order in which they were given."""
        rows = np.empty_like(packed)
        rows[self.index] = packed
        return rows


@final
@frozen(eq=False)
class Smoothed:
    """Sums over all paths, packed: q(z_t+1 | z_t) = exp(coupling) x onward of t + 1 / backward of t.

    Attributes:
        marginals: q(z_t), shape (n, k).
        pairs: Weighted sum of q(z_t, z_t+1) over neighbours, shape (k, k).
        log_backward: Log of the future's weight given z_t, shape (n, k), on a scale that is the row's own.
        log_onward: Log of the weight of the row and its future given z_t, on the scale of the row before.
        impossible: A row, as given, that ends every path of its chain, or None.
    """

    marginals: Array
    pairs: Array
    log_backward: Array
    log_onward: Array
    impossible: int | None


def smooth(nodes: Array, coupling: Array, packing: Packing, weight: Array) -> Smoothed:
    """Forwards and backwards over packed nodes, shape (n, k), with the weights of the rows, (n,), for the pairs.

    Scaled where every coupling lets the states mix, in log space where one does not (Rabiner, 1989, section V.A).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        # (eq: chain-scaling)
        return (_scaled if coupling.min() > _MIXING else _in_logs)(nodes, coupling, packing, weight)


def _scaled(nodes: Array, coupling: Array, packing: Packing, weight: Array) -> Smoothed:
    # In docs/mathematics.md, "Chains", forward is alpha, backward is beta, onward b and at last v, and total c.
    transition = np.exp(coupling)
    back = np.ascontiguousarray(transition.T)
    onward = np.exp(nodes - nodes.max(axis=1, keepdims=True))  # what a row is divided by cancels in q
    forward, backward = np.empty_like(nodes), np.ones_like(nodes)
    total = np.empty((len(nodes), 1))
    # (eq: forward-backward)
    forward[packing.first] = onward[packing.first]
    _normalise(forward[packing.first], total[packing.first])
    for before, step in pairwise(packing.steps):
        here = forward[step]
        np.matmul(forward[packing.ahead(step, before)], transition, out=here)
        np.multiply(here, onward[step], out=here)
        _normalise(here, total[step])
    onward /= total
    for before, step in pairwise(reversed(packing.steps)):
        here = onward[before]
        np.multiply(here, backward[before], out=here)
        np.matmul(here, back, out=backward[packing.ahead(before, step)])
    later = packing.later
    pairs = transition * ((forward[packing.before] * weight[later, None]).T @ onward[later])
    marginals = forward * backward
    _normalise(marginals, np.empty((len(marginals), 1)))
    return Smoothed(marginals, pairs, np.log(backward), np.log(onward), _impossible(~(total[:, 0] > 0), packing))


def _normalise(rows: Array, total: Array) -> None:
    np.add.reduce(rows, axis=1, keepdims=True, out=total)
    np.divide(rows, total, out=rows)


def _in_logs(nodes: Array, coupling: Array, packing: Packing, weight: Array) -> Smoothed:
    nodes = nodes - np.maximum(nodes.max(axis=1, keepdims=True), np.finfo(float).min)  # what is small keeps its digits
    forward, total = _forward(nodes, coupling, packing)
    onward, backward = nodes - total[:, None], np.zeros_like(nodes)
    for before, step in pairwise(reversed(packing.steps)):
        onward[before] += backward[before]
        backward[packing.ahead(before, step)] = _log_sum(coupling + onward[before, None], 2)
    pairs = np.zeros_like(coupling)
    past, now, counts = forward[packing.before], onward[packing.later], weight[packing.later]
    for begin in range(0, len(now), _SLAB):
        part = slice(begin, begin + _SLAB)
        joint = np.exp(past[part, :, None] + coupling + now[part, None])
        joint /= joint.sum(axis=(1, 2), keepdims=True)  # one but for rounding of log potentials, which may be large
        pairs += np.einsum("n,nij->ij", counts[part], joint)
    marginals = np.exp(forward + backward)
    _normalise(marginals, np.empty((len(marginals), 1)))
    return Smoothed(marginals, pairs, backward, onward, _impossible(~(total > -np.inf), packing))


def _forward(nodes: Array, coupling: Array, packing: Packing) -> tuple[Array, Array]:
    """Log q(z_t | rows up to t), shape (n, k), and the log of the sum that it was divided by, (n,)."""
    forward, total = nodes.copy(), np.empty(len(nodes))
    total[packing.first] = _log_sum(forward[packing.first], 1)
    forward[packing.first] -= total[packing.first, None]
    for before, step in pairwise(packing.steps):
        forward[step] += _log_sum(forward[packing.ahead(step, before), :, None] + coupling, 1)
        total[step] = _log_sum(forward[step], 1)
        forward[step] -= total[step, None]
    return forward, total


def _log_sum(logs: Array, axis: int) -> Array:
    highest = logs.max(axis=axis, keepdims=True)
    highest[highest == -np.inf] = 0.0
    sums: Array = np.log(np.exp(logs - highest).sum(axis=axis)) + highest.squeeze(axis)
    return sums


def _impossible(broken: npt.NDArray[np.bool_], packing: Packing) -> int | None:
    return int(packing.index[int(broken.argmax())]) if broken.any() else None


def log_weights(nodes: Array, coupling: Array, packing: Packing) -> Array:
    """Log of the weight of all paths of each chain, shape (s,), in log space; minus infinity where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.nan_to_num(_forward(nodes, coupling, packing)[1], nan=-np.inf, neginf=-np.inf)
        begins = packing.unpacked(packing.chain).searchsorted(np.arange(packing.first.stop))
        return np.add.reduceat(packing.unpacked(total), begins)


def filtered(nodes: Array, coupling: Array, packing: Packing) -> Array:
    """q(z_t | rows up to t), packed, shape (n, k): the forward recursion by itself, in log space."""
    with np.errstate(divide="ignore", invalid="ignore"):
        forward: Array = np.exp(_forward(nodes, coupling, packing)[0])
    return forward


def best_paths(nodes: Array, coupling: Array, packing: Packing) -> Labels:
    """The states of the heaviest path of each chain, packed (Viterbi, 1967); of those that tie, the lowest one."""
    score = nodes.copy()
    came_from = np.empty(nodes.shape, dtype=np.int64)
    for before, step in pairwise(packing.steps):
        candidates = score[packing.ahead(step, before), :, None] + coupling
        candidates.argmax(axis=1, out=came_from[step])
        score[step] += candidates.max(axis=1)
        score[step] -= score[step].max(axis=1, keepdims=True)
    states: Labels = score.argmax(axis=1)  # right for the last row of each chain; the others follow
    for before, step in pairwise(reversed(packing.steps)):
        going_on = packing.ahead(before, step)
        states[going_on] = came_from[np.arange(before.start, before.stop), states[before]]
    return states


def drawn_paths(smoothed: Smoothed, coupling: Array, packing: Packing, uniform: Array) -> Labels:
    """The states of one path of each chain, packed, drawn from q with the help of uniform numbers, shape (n,)."""
    states = np.empty(len(uniform), dtype=np.int64)
    states[packing.first] = chosen(smoothed.marginals[packing.first], uniform[packing.first])
    for before, step in pairwise(packing.steps):
        log_odds = coupling[states[packing.ahead(step, before)]] + smoothed.log_onward[step]
        states[step] = chosen(np.exp(log_odds - log_odds.max(axis=1, keepdims=True)), uniform[step])
    return states


def chosen(odds: Array, uniform: Array) -> Labels:
    """One column of each row of odds, (n, k), drawn with the help of uniform numbers, (n,), from below 1."""
    cumulative = odds.cumsum(axis=1)
    below: Labels = (cumulative[:, :-1] <= uniform[:, None] * cumulative[:, -1:]).sum(axis=1)
    return below
