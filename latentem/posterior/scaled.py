"""Sums over paths by numbers that are scaled step by step, and a proof that nothing was lost."""

from __future__ import annotations

import numpy as np

from latentem.arrays import Array
from latentem.buffers import Buffers
from latentem.posterior.joining import Sums, around, log_sum
from latentem.posterior.layout import Layout, Packing

_FAINTEST = -700.0
"""Logs below it count as those of zero: their exponentials would be subnormal, or take ten times as long."""
_NOTHING = float(np.exp(np.full(64, _FAINTEST)).max())
_EVERY = 4
"""Steps after which products of blocks are scaled, and what is next to nothing made nothing."""
NEXT_TO_NOTHING = 1e-150
"""Less than it beside one is nothing: a product of two above it is no subnormal number, which takes a hundredfold."""
_TINY = 1e-300
LEAST = 1e-50
"""The least sum of a step, and one over the largest weight of a future, by which nothing that counts was lost."""
_AGREEING, _FAINT = 1e-8, 1e-120
"""How far blocks and their products may be apart, relatively; and what is nothing."""


_buffers = Buffers()


def smooth(nodes: Array, coupling: Array, layout: Layout, weight: Array | None) -> Sums | None:
    """Sums over all paths, by nodes whose largest of each row is zero, shape (k, n), and the weights of the rows, (n,).

    None where a number that underflowed might have counted: docs/mathematics.md, "Chains".
    """
    # There, forward is alpha, backward is beta, onward b and at last v, and total c.
    packing, k = layout.packing, len(coupling)
    transition = weights_of(coupling)
    onward = _exponentials(packing.packed(nodes, _buffers.array("onward", 1, nodes.size)[0]))
    before, after = _around(onward, nodes, transition, layout)
    forward, total = _forwards(onward, before, transition, layout)
    ends = forward[layout.tails]
    after /= (after * ends).sum(axis=0)
    backward = _backwards(onward, after, transition, layout)
    heads = packing.steps(onward, k)[0][:, layout.heads]
    # (eq: chain-scaling)
    safe = total.min() > LEAST and backward.max() < 1 / LEAST
    if not (safe and agreeing(ends, before) and agreeing(transition @ heads, after)):
        return None
    q = np.multiply(forward, backward, out=backward)
    for run, past in zip(packing.runs(q, k), packing.runs(forward, k), strict=True):
        one = run.sum(axis=1, keepdims=True)  # but for rounding, by which pairs must not drift, either
        run /= one
        past /= one
    pairs = forward[layout.tails] * (1.0 if weight is None else weight[layout.firsts]) @ heads.T
    pairs += _pairs(packing.runs(forward, k), packing.runs(onward, k), weight, packing)
    logs = np.log(total)
    log_weight = float(logs.sum() if weight is None else logs @ packing.packed(weight))
    return Sums(packing.unpacked(q), pairs * transition, log_weight)


def _around(onward: Array, nodes: Array, transition: Array, layout: Layout) -> tuple[Array, Array]:
    """alpha before each block that follows another, and beta there up to a constant: shapes (k, blocks that follow)."""
    if layout.cut is None:
        return np.zeros((len(transition), 0)), np.zeros((len(transition), 0))
    if layout.cut is not layout.packing:
        onward = _exponentials(layout.cut.packed(nodes[:, layout.rows]))
    steps = layout.cut.steps(onward, len(transition))
    before, after = around(_products(steps, transition, layout), log_sum)
    before, after = before[layout.follows].T, after[layout.follows - 1].T
    before -= log_sum(before, 0)
    return np.exp(before), np.exp(after - (after + before).max(axis=0))


def _forwards(onward: Array, before: Array, transition: Array, layout: Layout) -> tuple[Array, Array]:
    """Forwards: alpha and c, packed; `onward` is divided by c."""
    packing, k = layout.packing, len(transition)
    turned = np.ascontiguousarray(transition.T)
    forward, total = _buffers.array("forward", 1, onward.size)[0], np.empty(onward.size // k)
    here = packing.steps(forward, k)
    here[0][...] = 1.0
    here[0][:, layout.heads] = turned @ before
    inverse, previous = np.empty(len(here[0].T)), None
    # (eq: forward-backward)
    for t, (alpha, b, (c,)) in enumerate(zip(here, packing.steps(onward, k), packing.steps(total, 1), strict=True)):
        if previous is not None:
            width = len(c)
            np.matmul(turned, previous if width == len(inverse) else previous[:, :width], out=alpha)
            inverse = inverse[:width]
        np.multiply(alpha, b, out=alpha)
        np.add.reduce(alpha, axis=0, out=c)
        np.reciprocal(c, out=inverse)
        np.multiply(alpha, inverse, out=alpha)
        np.multiply(b, inverse, out=b)
        if t % _EVERY == 0:
            _without_dust(alpha)
        previous = alpha
    return forward, total


def _backwards(onward: Array, after: Array, transition: Array, layout: Layout) -> Array:
    """Backwards: beta, packed; `onward` is multiplied by it."""
    packing, k = layout.packing, len(transition)
    backward = _buffers.array("backward", 1, onward.size)[0]
    ahead, here = packing.steps(onward, k), packing.steps(backward, k)
    for beta, width in zip(here, [*packing.width[1:].tolist(), 0], strict=True):
        if width < beta.shape[1]:
            beta[:, width:] = 1.0
    backward[layout.tails] = after
    # (eq: forward-backward)
    for t in range(len(here) - 1, 0, -1):
        v, beta = ahead[t], here[t - 1]
        np.multiply(v, here[t], out=v)
        np.matmul(transition, v, out=beta if v.shape == beta.shape else beta[:, : v.shape[1]])
        if t % _EVERY == 0:
            _without_dust(beta)
    np.multiply(ahead[0], here[0], out=ahead[0])
    return backward


def _pairs(forward: list[Array], onward: list[Array], weight: Array | None, packing: Packing) -> Array:
    """Sum over the steps of alpha v', of the runs of a packing, but for blocks that follow another."""
    if weight is not None:
        weights = packing.runs(packing.packed(weight), 1)
        onward = [run * each for run, each in zip(onward, weights, strict=True)]
    pairs: Array = np.zeros((forward[0].shape[1],) * 2)
    last = forward[0][:0]
    for alpha, v in zip(forward, onward, strict=True):
        for past, now in ((last, v[: len(last)]), (alpha[:-1], v[1:])):
            pairs += np.matmul(past[:, :, : v.shape[2]], now.transpose(0, 2, 1)).sum(axis=0)
        last = alpha[-1:]
    return pairs


def weights_of(coupling: Array) -> Array:
    """Weights of a step, of which what is next to nothing is nothing."""
    weights = np.exp(coupling)
    return np.where(weights < NEXT_TO_NOTHING, 0.0, weights)


def _without_dust(weights: Array) -> None:
    """Make nothing of what is next to it, in place: elsewhere the difference is none."""
    np.subtract(weights, NEXT_TO_NOTHING, out=weights)
    np.maximum(weights, 0.0, out=weights)


def _exponentials(logs: Array) -> Array:
    """In place."""
    faint = not logs.min() >= _FAINTEST
    if faint:
        np.maximum(logs, _FAINTEST, out=logs)
    np.exp(logs, out=logs)
    if faint:
        logs -= _NOTHING
    return logs


def agreeing(one: Array, other: Array) -> bool:
    """Whether what blocks have got and what they arrive at is the same but for rounding."""
    return bool((np.abs(one - other) <= _AGREEING * one + _FAINT).all())


def _products(steps: list[Array], transition: Array, layout: Layout) -> Array:
    """Logs of the k x k products of the blocks of chains that were cut, (m, k, k)."""
    assert layout.cut is not None
    turned = np.ascontiguousarray(transition.T)
    k, m = len(turned), len(layout.opens)
    # (to, from, block): the steps multiply from the left
    product = np.where(layout.opens, 1.0, turned[:, :, None]) * steps[0][:, None]
    spare = np.empty(product.size)
    scale = np.zeros((k, m))
    logs = np.empty((m, k, k))

    def keep(since: int) -> None:
        logs[since : product.shape[2]] = (np.log(product[:, :, since:]) + scale[:, since : product.shape[2]]).T

    for t, node in enumerate(steps[1:], 1):
        width = node.shape[1]
        if width < product.shape[2]:
            keep(width)
            product = np.ascontiguousarray(product[:, :, :width])
        out = spare[: product.size].reshape(product.shape)
        np.matmul(turned, product.reshape(k, -1), out=out.reshape(k, -1))
        np.multiply(out, node[:, None], out=out)
        product, spare = out, product.reshape(-1)
        if t % _EVERY == 0:
            total = np.maximum(product.sum(axis=0), _TINY)
            product /= total
            _without_dust(product)
            scale[:, :width] += np.log(total)
    keep(0)
    return logs[layout.cut.rank]
