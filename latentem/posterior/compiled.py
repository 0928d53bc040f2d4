"""Sums over paths in compiled loops, by the scaled numbers of numpy and with the same proof that nothing was lost."""

from __future__ import annotations

import math

import numpy as np

from latentem.arrays import Array, Labels
from latentem.compiled import running
from latentem.posterior.joining import Sums, around, log_sum
from latentem.posterior.layout import pieces_of
from latentem.posterior.scaled import LEAST, agreeing, weights_of

LOOPS = ("blocks", "chains")
"""The names of the loops."""
_BLOCK = 512
"""Rows of a block of a chain that is cut: of one that has more than twice as many."""


def smooth(nodes: Array, coupling: Array, lengths: Labels, weight: Array) -> Sums | None:
    """Sums over all paths, by nodes whose largest of each row is zero, (k, n), and the weights of the chains, (s,).

    None where this thread runs in the loops of numpy, or where something may have been lost.
    """
    loop, k = running("chains"), len(nodes)
    if loop is None:
        return None
    sizes, number, count = pieces_of(lengths, np.where(lengths > 2 * _BLOCK, -(-lengths // _BLOCK), 1))
    begin = sizes.cumsum() - sizes
    transition = weights_of(coupling)
    before, came, after = np.zeros((len(sizes), k)), np.ones((len(sizes), k)), np.ones((len(sizes), k))
    follows = np.flatnonzero(number)
    if len(follows):
        cut = np.flatnonzero(count > 1)
        products = _products(nodes, transition, begin[cut], sizes[cut], number[cut] == 0)
        every_before, every_after = around(products, log_sum)
        place = np.searchsorted(cut, follows)
        logs, beyond = every_before[place], every_after[place - 1]
        before[follows] = np.exp(logs - log_sum(logs, 1)[:, None])
        after[follows - 1] = np.exp(beyond - (beyond + logs).max(axis=1, keepdims=True))
        came[follows] = before[follows] @ transition
    order = np.argsort(-sizes, kind="stable")
    marginals, pairs, edges = np.empty(nodes.shape), np.zeros((k, k)), np.empty(2)
    ends, heads = np.empty_like(before), np.empty_like(before)
    log_weight = loop(
        *(nodes, transition, np.ascontiguousarray(transition.T), begin[order], sizes[order]),
        *(before[order], came[order], after[order], np.repeat(weight, count[number == 0])[order]),
        *(marginals, pairs, ends, heads, edges),
    )
    # (eq: chain-scaling)
    if not (math.isfinite(log_weight) and edges[0] > LEAST and edges[1] < 1 / LEAST):
        return None
    ends[order], heads[order] = ends.copy(), heads.copy()
    beyond = after[follows - 1] / (after[follows - 1] * before[follows]).sum(axis=1, keepdims=True)
    if not (agreeing(ends[follows - 1], before[follows]) and agreeing(heads[follows], beyond)):
        return None
    return Sums(marginals, pairs, log_weight)


def _products(
    nodes: Array, transition: Array, begin: Labels, sizes: Labels, opens: np.typing.NDArray[np.bool_]
) -> Array:
    """Logs of the k x k products of the blocks of chains that were cut, shape (m, k, k)."""
    loop, k = running("blocks"), len(nodes)
    assert loop is not None
    logs, order = np.empty((len(sizes), k, k)), np.argsort(-sizes, kind="stable")
    loop(nodes, np.ascontiguousarray(transition.T), begin[order], sizes[order], opens[order], logs)
    found = np.empty_like(logs)
    found[order] = logs
    return found
