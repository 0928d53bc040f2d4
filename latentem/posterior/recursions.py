"""Sums and maxima over the paths of chains: what posteriors over paths ask for.

The weight of a path is exp(sum of nodes[z_t, t] + sum of coupling[z_t, z_t+1]). States come first: nodes have the
shape (k, n), for all chains one after the other. They are `lowered` but for `log_weights`, since nothing else depends
on what the states of a row share. The formulas are in docs/mathematics.md, "Chains".
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from latentem.arrays import Array, Labels
from latentem.posterior import compiled, in_logs, scaled
from latentem.posterior.in_logs import AllWays, BestWay
from latentem.posterior.layout import Layout

_LOWEST = -1e300
"""Stands for the log of zero where it is multiplied by zero."""
_SLAB = 2**18
"""Numbers in tables of pairs, (k, k, rows), that are in memory at a time."""


@final
@frozen(eq=False)
class Smoothed:
    """Sums over all paths.

    Attributes:
        marginals: q(z_t), shape (k, n).
        pairs: Weighted sum of q(z_t, z_t+1) over neighbours, shape (k, k).
        entropy: Weighted sum of the entropies of the chains, in nats.
        impossible: The first row that ends every path of its chain, or None.
    """

    marginals: Array
    pairs: Array
    entropy: float
    impossible: int | None


def smooth(nodes: Array, coupling: Array, layout: Layout, multiplicity: Array) -> Smoothed:
    """Forwards and backwards over nodes that are `lowered`, with the weights of the chains, shape (s,).

    By scaled numbers where these lose nothing, in compiled loops or numpy; else in log space (Rabiner, 1989).
    """
    weight = None if (multiplicity == 1).all() else np.repeat(multiplicity, layout.lengths)
    with np.errstate(all="ignore"):
        sums = compiled.smooth(nodes, coupling, layout.lengths, multiplicity)
        sums = sums or scaled.smooth(nodes, coupling, layout, weight) or in_logs.smooth(nodes, coupling, layout, weight)
    if sums.impossible is not None:
        return Smoothed(sums.marginals, sums.pairs, np.nan, sums.impossible)
    # (eq: chain-entropy)
    q = sums.marginals if weight is None else sums.marginals * weight
    entropy = sums.log_weight - _expected(q, nodes) - _expected(sums.pairs, coupling)
    return Smoothed(sums.marginals, sums.pairs, entropy, None)


def _expected(shares: Array, logs: Array) -> float:
    """Sum of the products, of which zero times minus infinity is zero."""
    finite = logs if logs.min() > -np.inf else np.maximum(logs, _LOWEST)
    return float(np.dot(shares.reshape(-1), finite.reshape(-1)))


def lowered(nodes: Array, out: Array | None = None) -> Array:
    """Nodes less the largest of each row, shape (k, n): what is small keeps its digits, and what is shared cancels."""
    return np.subtract(nodes, _largest(nodes), out=out, order="C")


def _largest(nodes: Array) -> Array:
    return np.maximum(nodes.max(axis=0), np.finfo(float).min)


def log_weights(nodes: Array, coupling: Array, layout: Layout) -> Array:
    """Log of the weight of all paths of each chain, shape (s,), in log space; minus infinity where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        past = in_logs.past(lowered(nodes), AllWays(coupling), layout)
        total = past.total[layout.packing.row] + _largest(nodes)
    found: Array = np.add.reduceat(np.nan_to_num(total, nan=-np.inf, neginf=-np.inf), layout.begins)
    if len(found) > 1 and layout.cut is not None:
        # Blocks are joined as if all were one chain, and one without a path spoils others: each is asked alone.
        for i in np.flatnonzero(found == -np.inf):
            rows = slice(layout.begins[i], layout.begins[i] + layout.lengths[i])
            found[i] = log_weights(nodes[:, rows], coupling, Layout.of(layout.lengths[i : i + 1], len(nodes)))[0]
    return found


def filtered(nodes: Array, coupling: Array, layout: Layout) -> Array:
    """q(z_t | rows up to t), shape (k, n): the forward recursion by itself, in log space."""
    with np.errstate(divide="ignore", invalid="ignore"):
        past = in_logs.past(nodes, AllWays(coupling), layout)
        return np.exp(layout.packing.unpacked(past.forward))


def best_paths(nodes: Array, coupling: Array, layout: Layout) -> Labels:
    """The states of the heaviest path of each chain, shape (n,) (Viterbi, 1967); of those that tie, the lowest one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        past = in_logs.past(nodes, BestWay(coupling), layout)
    score = layout.packing.unpacked(past.forward)
    k, n = score.shape
    came_from = np.empty((k, n), dtype=np.min_scalar_type(k))  # by the state that follows
    for begin in range(0, n - 1, size := max(1, _SLAB // k)):
        rows = slice(begin, min(begin + size, n - 1))
        came_from[:, rows] = _best_before(score[:, rows], coupling)
    ends = layout.lengths.cumsum() - 1
    came_from[:, ends] = score[:, ends].argmax(axis=0)
    return _followed_back(came_from)


def _best_before(score: Array, coupling: Array) -> npt.NDArray[Any]:
    """The state that best comes before each state of the next row, the lowest of those that tie, shape (k, rows)."""
    best = score[0] + coupling[0][:, None]
    state = np.zeros(best.shape, dtype=np.min_scalar_type(len(score)))
    for i in range(1, len(score)):
        other = score[i] + coupling[i][:, None]
        np.copyto(state, i, where=other > best)
        np.maximum(best, other, out=best)
    return state


def drawn_paths(nodes: Array, coupling: Array, layout: Layout, uniform: Array) -> Labels:
    """The states of one path of each chain, shape (n,), drawn from q with the help of uniform numbers, shape (n,).

    Backwards, each state given the one that follows it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        past = in_logs.past(nodes, AllWays(coupling), layout)
        forward = layout.packing.unpacked(past.forward)
        k, n = forward.shape
        came_from = np.empty((k, n), dtype=np.min_scalar_type(k))
        for begin in range(0, n, size := max(1, _SLAB // k**2)):
            rows = slice(begin, begin + size)
            log_odds = forward[:, None, rows] + coupling[:, :, None]
            odds = np.exp(log_odds - log_odds.max(axis=0))
            came_from[:, rows] = chosen(odds, uniform[rows])
        ends = layout.lengths.cumsum() - 1
        came_from[:, ends] = chosen(np.exp(forward[:, ends]), uniform[ends])
    return _followed_back(came_from)


def chosen(odds: Array, uniform: Array) -> Labels:
    """One state by odds along the first axis, (k, ..., n), drawn with the help of uniform numbers, (n,), below 1."""
    cumulative = odds.cumsum(axis=0)
    below: Labels = (cumulative[:-1] <= uniform * cumulative[-1]).sum(axis=0)
    return below


def _followed_back(came_from: npt.NDArray[Any]) -> Labels:
    """The path that ends in any state after the last row, by the state before each: (k, n) -> (n,)."""
    k, n = came_from.shape
    states, state = np.empty(n, dtype=np.int64), 0
    before = np.ascontiguousarray(came_from.T).reshape(-1).data  # one by one it is read faster than an array
    for t in range(n - 1, -1, -1):
        states[t] = state = before[t * k + state]
    return states
