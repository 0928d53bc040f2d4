"""The loops that numba compiles, all in this one file: what numba keeps on disk is renewed when the file changes.

A loop takes read-only arrays, adds to others, and says by a NaN that numpy must look at the chunk. It goes through
the rows in blocks of 256, turned so that each column of a block lies in one piece: the innermost loops run along the
rows of a block, whose number the compiler knows, and become vector instructions. Components are outside of them.

Fused multiplication and addition ("contract") is allowed everywhere, another order of summation ("reassoc") only in
functions that sum one block. NaN and infinity are never assumed away. Rows of a table are taken by index: unpacked,
`a, b = table`, they have an unknown stride for all that the compiler knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from latentem.arrays import Array, Labels
from latentem.compiled.choice import kept_on_disk

Single = npt.NDArray[np.float32]
NARROW = 16
"""Below so many columns their squares are added one by one."""
ROWS = 256
"""Rows in a block: a power of two, so that vectors of any length divide it."""
_ORDERED = frozenset({"contract"})
_SUMMED = frozenset({"contract", "reassoc", "nsz"})


def _loop(fastmath: frozenset[str] = _ORDERED) -> Callable[[Callable[..., Any]], Any]:
    """Have numba compile a function when it is first called, and keep the result on disk where it can be written."""

    def decorated(function: Callable[..., Any]) -> Any:
        options = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
        try:
            return njit(cache=kept_on_disk(), **options)(function)
        except RuntimeError:  # there is no place that can be written
            return njit(**options)(function)

    return decorated


@intrinsic
def _bits_of(typing, value):  # type: ignore[no-untyped-def]
    """The bits of a float as an integer."""
    return types.int64(types.float64), lambda context, builder, signature, arguments: builder.bitcast(
        arguments[0], context.get_value_type(types.int64)
    )


@intrinsic
def _of_bits(typing, bits):  # type: ignore[no-untyped-def]
    """The float that has these bits."""
    return types.float64(types.int64), lambda context, builder, signature, arguments: builder.bitcast(
        arguments[0], context.get_value_type(types.float64)
    )


# Exponentials and logarithms: numba calls those of the C library, a number at a time. The coefficients are those of
# polynomials through Chebyshev points, which tests/test_compiled.py compares with 50 digits.
_NEVER = -5e299
"""Log joints below it stand for the log of zero, or for a density that no float holds."""
_SHIFT = 1.5 * 2.0**52
"""Added to a small number it leaves the nearest whole one in the last bits."""
_SHIFT_BITS = int(np.float64(_SHIFT).view(np.int64))
_ROOT_HALF = int(np.float64(np.sqrt(0.5)).view(np.int64))
_PER_LN2 = 1.4426950408889634
_LN2 = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
"""The logarithm of 2 as a sum: the first has so few digits that its product with an exponent is exact."""
_LN2_HIGH, _LN2_LOW = _LN2


@_loop()
def exp(x: float) -> float:
    """The exponential within 1.2 units in the last place, for x up to 700; zero below -700, and NaN of NaN."""
    shifted = x * _PER_LN2 + _SHIFT
    n = shifted - _SHIFT
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 2.510038549551032e-08
    p = p * r + 2.7620088445409746e-07
    p = p * r + 2.7557268459997064e-06
    p = p * r + 2.4801521295954376e-05
    p = p * r + 0.00019841269863053618
    p = p * r + 0.0013888888917213717
    p = p * r + 0.008333333333330062
    p = p * r + 0.04166666666662413
    p = p * r + 0.16666666666666669
    p = p * r + 0.5
    power = _of_bits((_bits_of(shifted) + 1023) << 52)
    return 0.0 if x < -700.0 else (1.0 + (r + (r * r) * p)) * power


@_loop()
def log(x: float) -> float:
    """The natural logarithm within one unit in the last place, of normal numbers above zero; NaN of NaN."""
    bits = _bits_of(x)
    exponent = (bits - _ROOT_HALF) >> 52
    n = _of_bits(exponent + _SHIFT_BITS) - _SHIFT
    f = _of_bits(bits - (exponent << 52)) - 1.0 + (x - x)  # a NaN's bits are those of a number
    s = f / (2.0 + f)
    z = s * s
    p = 0.14617807153417325
    p = p * z + 0.15331611722055008
    p = p * z + 0.1818289243253687
    p = p * z + 0.22222211089379496
    p = p * z + 0.28571428626253836
    p = p * z + 0.3999999999989889
    p = p * z + 0.666666666666667
    half = 0.5 * f * f
    return n * _LN2_HIGH - ((half - (s * (half + z * p) + n * _LN2_LOW)) - f)


# A block of rows.


@_loop()
def _turn(x: Array, begin: int, y: Array) -> int:
    """Fill in the columns of a block, (d or more, 256); past the last row that row is repeated. How many there are."""
    n, d = x.shape
    count = min(ROWS, n - begin)
    for r in range(count):
        for i in range(d):
            y[i, r] = x[begin + r, i]
    for i in range(d):
        for r in range(count, ROWS):
            y[i, r] = y[i, count - 1]
    return count


@_loop()
def _weigh(weight: Array, begin: int, count: int, out: Array) -> None:
    """Fill in the weights of the rows of a block: one each where none are given, and zero for those repeated."""
    for r in range(ROWS):
        out[r] = 0.0
    for r in range(count):
        out[r] = weight[begin + r] if len(weight) else 1.0


@_loop()
def _fill(value: float, out: Array) -> None:
    for r in range(ROWS):
        out[r] = value


# Posteriors: log joints of a block, (k, 256), become counts.


@_loop()
def _highest(table: Array, out: Array) -> None:
    """The largest of each column."""
    _fill(-np.inf, out)
    for j in range(len(table)):
        row = table[j]
        for r in range(ROWS):
            out[r] = max(row[r], out[r])


@_loop()
def _to_log(constant: float, distance: Array, highest: Array) -> None:
    """From squared distances to log joints of one component, in place, and the highest so far."""
    for r in range(ROWS):
        value = constant - 0.5 * distance[r]
        distance[r] = value
        highest[r] = max(value, highest[r])


@_loop()
def _refuse_never(highest: Array) -> None:
    """NaN where even the highest log joint stands for the log of zero."""
    for r in range(ROWS):
        value = highest[r]
        highest[r] = value if value > _NEVER else np.nan


@_loop()
def _add_shares(log_joint: Array, highest: Array, shares: Array, total: Array, product: Array) -> None:
    """Exponentials of what is left of log joints, their sums over the components, and those of their products."""
    for r in range(ROWS):
        value = log_joint[r] - highest[r]
        share = exp(value)
        shares[r] = share
        total[r] += share
        product[r] += share * value


@_loop(_SUMMED)
def _entropy(total: Array, product: Array, weight: Array, scale: Array) -> float:
    """The entropy of the labels in nats, and what the shares must be multiplied by to be counts."""
    entropy = 0.0
    for r in range(ROWS):
        scale[r] = weight[r] / total[r]
        # (eq: two-products)
        entropy += weight[r] * (log(total[r]) - product[r] / total[r])
    return entropy


@_loop(_SUMMED)
def _to_counts(scale: Array, counts: Array) -> float:
    """From shares to counts, in place; their sum."""
    total = 0.0
    for r in range(ROWS):
        count = counts[r] * scale[r]
        counts[r] = count
        total += count
    return total


@njit(inline="always")  # called, its arrays might overlap for all that the compiler knows
def _posterior(
    log_joint: Array, highest: Array, weight: Array, counts: Array, count: Array, rows: tuple[Array, Array, Array]
) -> float:
    """Fill in the counts of a block, (k, 256), and add their sums to `count`, (k,); the entropy of the labels in nats.

    What must hold of the rows, (256,), of the last three: nothing.
    """
    totals, products, scale = rows
    _fill(0.0, totals)
    _fill(0.0, products)
    _refuse_never(highest)
    for j in range(len(counts)):
        _add_shares(log_joint[j], highest, counts[j], totals, products)
    entropy = _entropy(totals, products, weight, scale)
    for j in range(len(counts)):
        count[j] += _to_counts(scale, counts[j])
    return entropy


# Diagonal covariances.


@_loop()
def _squares(y: Array, mean: Array, scale: Array, out: Array) -> None:
    """The squares of the first four columns, less the means and scaled: a sum begins, and need not be zero before."""
    a, b, c, d = y[0], y[1], y[2], y[3]
    for r in range(ROWS):
        s, t = (a[r] - mean[0]) * scale[0], (b[r] - mean[1]) * scale[1]
        u, v = (c[r] - mean[2]) * scale[2], (d[r] - mean[3]) * scale[3]
        out[r] = (s * s + t * t) + (u * u + v * v)


@_loop()
def _add_squares(y: Array, i: int, mean: Array, scale: Array, out: Array) -> None:
    """Add the squares of four columns, less the means and scaled."""
    a, b, c, d = y[i], y[i + 1], y[i + 2], y[i + 3]
    ma, mb, mc, md = mean[i], mean[i + 1], mean[i + 2], mean[i + 3]
    sa, sb, sc, sd = scale[i], scale[i + 1], scale[i + 2], scale[i + 3]
    for r in range(ROWS):
        s, t = (a[r] - ma) * sa, (b[r] - mb) * sb
        u, v = (c[r] - mc) * sc, (d[r] - md) * sd
        out[r] += (s * s + t * t) + (u * u + v * v)


@_loop(_SUMMED)
def _add_moments(y: Array, i: int, mean: Array, counts: Array, first: Array, second: Array) -> None:
    """Add the moments of four columns about the means."""
    a, b, c, d = y[i], y[i + 1], y[i + 2], y[i + 3]
    s = t = u = v = ss = tt = uu = vv = 0.0
    for r in range(ROWS):
        ya, yb, yc, yd = a[r] - mean[i], b[r] - mean[i + 1], c[r] - mean[i + 2], d[r] - mean[i + 3]
        wa, wb, wc, wd = counts[r] * ya, counts[r] * yb, counts[r] * yc, counts[r] * yd
        s += wa
        t += wb
        u += wc
        v += wd
        ss += wa * ya
        tt += wb * yb
        uu += wc * yc
        vv += wd * yd
    first[i] += s
    first[i + 1] += t
    first[i + 2] += u
    first[i + 3] += v
    second[i] += ss
    second[i + 1] += tt
    second[i + 2] += uu
    second[i + 3] += vv


@_loop()
def diagonal(
    x: Array, weight: Array, means: Array, scales: Array, constants: Array, count: Array, first: Array, second: Array
) -> float:
    """The E-step of a mixture of Gaussians with diagonal covariances on rows, (n, d).

    Args:
        x: The rows, shape (n, d).
        weight: How much each counts, shape (n,); of length 0 where each counts once.
        means: Shape (k, e), with zeros in the columns from d to e, a multiple of 4.
        scales: One over the standard deviations, likewise.
        constants: Log weights and normalising constants, shape (k,).
        count: The counts of the components are added to it, shape (k,).
        first: So are their moments about the means, shape (k, e).
        second: And the squares, shape (k, e).

    Returns:
        The entropy of the labels in nats; NaN where the posterior of some row is not defined.
    """
    k, wide = means.shape
    y, counts, log_joint = np.zeros((wide, ROWS)), np.empty((k, ROWS)), np.empty((k, ROWS))
    room = np.empty((5, ROWS))
    highest, weights, totals, products, scale = room[0], room[1], room[2], room[3], room[4]
    entropy = 0.0
    for begin in range(0, len(x), ROWS):
        _weigh(weight, begin, _turn(x, begin, y), weights)
        _fill(-np.inf, highest)
        for j in range(k):
            _squares(y, means[j], scales[j], log_joint[j])
            for i in range(4, wide, 4):
                _add_squares(y, i, means[j], scales[j], log_joint[j])
            _to_log(constants[j], log_joint[j], highest)
        entropy += _posterior(log_joint, highest, weights, counts, count, (totals, products, scale))
        for j in range(k):
            for i in range(0, wide, 4):
                _add_moments(y, i, means[j], counts[j], first[j], second[j])
    return entropy


# Full covariances.


@_loop()
def _subtract(y: Array, mean: Array, out: Array) -> None:
    """The columns of a block less the means."""
    for i in range(len(y)):
        a, b = y[i], out[i]
        for r in range(ROWS):
            b[r] = a[r] - mean[i]


@_loop()
def _add_whitened(y: Array, b: int, row: Array, following: Array, s: Array, t: Array) -> None:
    """Add the products of four columns with two rows of a matrix."""
    c, d, e, f = y[b], y[b + 1], y[b + 2], y[b + 3]
    for r in range(ROWS):
        s[r] += (row[b] * c[r] + row[b + 1] * d[r]) + (row[b + 2] * e[r] + row[b + 3] * f[r])
        t[r] += (following[b] * c[r] + following[b + 1] * d[r]) + (following[b + 2] * e[r] + following[b + 3] * f[r])


@_loop()
def _add_whitened_squares(y: Array, b: int, row: Array, following: Array, s: Array, t: Array, out: Array) -> None:
    """Add the squares of those sums, of which these four columns are the last."""
    c, d, e, f = y[b], y[b + 1], y[b + 2], y[b + 3]
    for r in range(ROWS):
        u = s[r] + ((row[b] * c[r] + row[b + 1] * d[r]) + (row[b + 2] * e[r] + row[b + 3] * f[r]))
        v = (following[b] * c[r] + following[b + 1] * d[r]) + (following[b + 2] * e[r] + following[b + 3] * f[r])
        v += t[r]
        out[r] += u * u + v * v


@_loop(_SUMMED)
def _add_first(y: Array, a: int, counts: Array, first: Array) -> None:
    """Add the first moments of two columns."""
    p, q = y[a], y[a + 1]
    s = t = 0.0
    for r in range(ROWS):
        s += counts[r] * p[r]
        t += counts[r] * q[r]
    first[a] += s
    first[a + 1] += t


@_loop(_SUMMED)
def _add_scatter(y: Array, a: int, b: int, counts: Array, second: Array) -> None:
    """Add the products of two columns with four."""
    p, q = y[a], y[a + 1]
    c, d, e, f = y[b], y[b + 1], y[b + 2], y[b + 3]
    pc = pd = pe = pf = qc = qd = qe = qf = 0.0
    for r in range(ROWS):
        v, w = counts[r] * p[r], counts[r] * q[r]
        pc += v * c[r]
        pd += v * d[r]
        pe += v * e[r]
        pf += v * f[r]
        qc += w * c[r]
        qd += w * d[r]
        qe += w * e[r]
        qf += w * f[r]
    second[a, b] += pc
    second[a, b + 1] += pd
    second[a, b + 2] += pe
    second[a, b + 3] += pf
    second[a + 1, b] += qc
    second[a + 1, b + 1] += qd
    second[a + 1, b + 2] += qe
    second[a + 1, b + 3] += qf


@_loop()
def full(
    x: Array, weight: Array, means: Array, whiteners: Array, constants: Array, count: Array, first: Array, second: Array
) -> float:
    """The E-step of a mixture of Gaussians with full covariances; the arguments are those of `diagonal`, but for two.

    Args:
        x: The rows.
        weight: How much each counts.
        means: Those of the components.
        whiteners: Lower triangular W with W' W = the inverse covariance, shape (k, e, e).
        constants: Log weights and normalising constants.
        count: The counts of the components are added to it.
        first: So are their moments about the means.
        second: And the products of columns, shape (k, e, e).
    """
    d, (k, wide) = x.shape[1], means.shape
    y, apart = np.zeros((wide, ROWS)), np.empty((wide, ROWS))
    counts, log_joint, s, t = np.empty((k, ROWS)), np.empty((k, ROWS)), np.empty(ROWS), np.empty(ROWS)
    room = np.empty((5, ROWS))
    highest, weights, totals, products, scale = room[0], room[1], room[2], room[3], room[4]
    entropy = 0.0
    for begin in range(0, len(x), ROWS):
        _weigh(weight, begin, _turn(x, begin, y), weights)
        _fill(-np.inf, highest)
        for j in range(k):
            _subtract(y, means[j], apart)
            _fill(0.0, log_joint[j])
            for a in range(0, d, 2):
                row, following, last = whiteners[j, a], whiteners[j, a + 1], a // 4 * 4
                _fill(0.0, s)
                _fill(0.0, t)
                for b in range(0, last, 4):
                    _add_whitened(apart, b, row, following, s, t)
                _add_whitened_squares(apart, last, row, following, s, t, log_joint[j])
            _to_log(constants[j], log_joint[j], highest)
        entropy += _posterior(log_joint, highest, weights, counts, count, (totals, products, scale))
        for j in range(k):
            _subtract(y, means[j], apart)
            for a in range(0, d, 2):
                _add_first(apart, a, counts[j], first[j])
                for b in range(0, a + 2, 4):
                    _add_scatter(apart, a, b, counts[j], second[j])
    for j in range(k):
        for a in range(wide):
            for b in range(a):
                second[j, b, a] = second[j, a, b]
    return entropy


# Full covariances as two matrix products, by the BLAS of scipy.


@_loop()
def _features(y: Array, origin: Array, out: Array) -> None:
    """Fill in one, the columns less the origin and, where there is room, products of any two, diagonal by diagonal."""
    d = len(y)
    _fill(1.0, out[0])
    _subtract(y, origin, out[1:])
    at = 1 + d
    for lag in range(d if len(out) > at else 0):
        for i in range(1, 1 + d - lag):
            a, b, c = out[i], out[i + lag], out[at]
            for r in range(ROWS):
                c[r] = a[r] * b[r]
            at += 1


@_loop()
def products(x: Array, weight: Array, origin: Array, natural: Array, count: Array, sums: Array) -> float:
    """The E-step of a mixture whose log joints are linear in one, the columns of a row and, or not, their products.

    Args:
        x: The rows, shape (n, d).
        weight: How much each counts, shape (n,); of length 0 where each counts once.
        origin: What the features are about, shape (d,).
        natural: Coefficients of these features, shape (k, p); see `latentem.family.gaussian.kernels.feature_form`.
        count: The counts of the components are added to it, shape (k,).
        sums: The features times counts are added to it, shape (p, k).

    Returns:
        The entropy of the labels in nats; NaN where the posterior of some row is not defined.
    """
    k, p = natural.shape
    y, features, added = np.empty((x.shape[1], ROWS)), np.empty((p, ROWS)), np.empty((p, k))
    counts, log_joint = np.empty((k, ROWS)), np.empty((k, ROWS))
    room = np.empty((5, ROWS))
    highest, weights, totals, totalled, scale = room[0], room[1], room[2], room[3], room[4]
    entropy = 0.0
    for begin in range(0, len(x), ROWS):
        _weigh(weight, begin, _turn(x, begin, y), weights)
        _features(y, origin, features)
        np.dot(natural, features, log_joint)
        _highest(log_joint, highest)
        entropy += _posterior(log_joint, highest, weights, counts, count, (totals, totalled, scale))
        np.dot(features, counts.T, added)
        sums += added
    return entropy


# Chains: stretches of rows side by side, a lane each, so that a step of all of them is one vector for each state.

LANES = 32
"""Stretches that take their steps together: enough for vectors, and so few that a step stays in the nearest cache."""
_TURNED = 16
"""Steps of a stretch that are read in one piece."""
_SCALED = 4
"""Steps after which products of blocks are scaled."""
_NEXT_TO_NOTHING = 1e-150
"""Less than it beside one is nothing: a product of two above it is no subnormal number, which takes a hundredfold."""


@_loop()
def _to_lanes(rows: Array, begin: Array, size: Array, at: int, since: int, until: int, lanes: Array) -> None:
    """Fill in steps from `since` to `until` of up to 32 stretches, the first of them number `at`; zero behind an end.

    From (k, n) to (steps, k, 32).
    """
    count = min(LANES, len(begin) - at)
    lanes[: until - since] = 0.0
    for first in range(since, until, _TURNED):
        for j in range(len(rows)):
            for m in range(count):
                for t in range(first, min(first + _TURNED, until, size[at + m])):
                    lanes[t - since, j, m] = rows[j, begin[at + m] + t]


@_loop()
def _from_lanes(lanes: Array, begin: Array, size: Array, at: int, rows: Array) -> None:
    """The way back, for all steps of these stretches."""
    for first in range(0, size[at], _TURNED):
        for j in range(len(rows)):
            for m in range(min(LANES, len(begin) - at)):
                for t in range(first, min(first + _TURNED, size[at + m])):
                    rows[j, begin[at + m] + t] = lanes[t, j, m]


@_loop()
def _exponentials(table: Array) -> None:
    """In place, of (k, 32)."""
    for j in range(len(table)):
        for m in range(LANES):
            table[j, m] = exp(table[j, m])


@_loop()
def _mixed(matrix: Array, table: Array, out: Array) -> None:
    """The product of a matrix, (k, k), with (k, 32)."""
    k, rest = len(table), len(table) % 4
    for j in range(k):
        for m in range(LANES):
            out[j, m] = 0.0
        for i in range(rest):
            a = matrix[j, i]
            for m in range(LANES):
                out[j, m] += a * table[i, m]
        for i in range(rest, k, 4):
            a, b, c, d = matrix[j, i], matrix[j, i + 1], matrix[j, i + 2], matrix[j, i + 3]
            for m in range(LANES):
                out[j, m] += (a * table[i, m] + b * table[i + 1, m]) + (c * table[i + 2, m] + d * table[i + 3, m])


@_loop()
def _weighed(node: Array, table: Array, total: Array) -> None:
    """Multiply weights of states by those of a row, in place; and their sums over the states."""
    for m in range(LANES):
        total[m] = 0.0
    for j in range(len(table)):
        for m in range(LANES):
            value = table[j, m] * node[j, m]
            table[j, m] = value
            total[m] += value


@_loop()
def _divided(total: Array, inverse: Array, table: Array) -> None:
    """Divide by the sums, in place; what is next to nothing becomes nothing."""
    for m in range(LANES):
        inverse[m] = 1.0 / total[m]
    for j in range(len(table)):
        for m in range(LANES):
            table[j, m] = max(table[j, m] * inverse[m] - _NEXT_TO_NOTHING, 0.0)


@_loop()
def _met(node: Array, beta: Array, alpha: Array, v: Array, one: Array, most: Array) -> None:
    """Fill in v; and alpha becomes q: what is before a row meets what is behind it. The largest beta so far is kept."""
    for m in range(LANES):
        one[m] = 0.0
    for j in range(len(alpha)):
        for m in range(LANES):
            behind = max(beta[j, m] - _NEXT_TO_NOTHING, 0.0)
            share = alpha[j, m] * behind
            v[j, m] = node[j, m] * behind
            alpha[j, m] = share
            one[m] += share
            most[m] = max(behind, most[m])
    for m in range(LANES):
        one[m] = 1.0 / one[m]
    for j in range(len(alpha)):
        for m in range(LANES):
            alpha[j, m] *= one[m]


@_loop()
def _add_pairs(alpha: Array, v: Array, both: Array) -> None:
    for i in range(len(alpha)):
        for j in range(len(v)):
            for m in range(LANES):
                both[i, j, m] += alpha[i, m] * v[j, m]


@_loop()
def _add_logs(total: Array, logs: Array, least: Array) -> None:
    for m in range(LANES):
        logs[m] += log(total[m])
        least[m] = min(total[m], least[m])


@_loop()
def blocks(nodes: Array, turned: Array, begin: Array, size: Array, opens: Array, logs: Array) -> float:
    """The products of blocks of chains.

    Args:
        nodes: Log weights of the states of each row, the largest of a row zero, shape (k, n).
        turned: Weights of a step, to the states of the rows from those of the columns, shape (k, k).
        begin: The first row of each block, shape (m,), the longest block first.
        size: How many it has.
        opens: Which blocks begin their chain.
        logs: The logs of the products are put there, shape (m, k, k), from the states of the rows.

    Returns:
        Zero.
    """
    k = len(nodes)
    product, other, lanes = np.empty((k, k, LANES)), np.empty((k, k, LANES)), np.empty((_TURNED, k, LANES))
    scale, total, inverse = np.empty((k, LANES)), np.empty(LANES), np.empty(LANES)
    for at in range(0, len(begin), LANES):
        count = min(LANES, len(begin) - at)
        scale[:] = 0.0
        for t in range(size[at]):
            if t % _TURNED == 0:
                _to_lanes(nodes, begin, size, at, t, min(t + _TURNED, size[at]), lanes)
            node = lanes[t % _TURNED]
            _exponentials(node)
            for i in range(k):
                if t == 0:
                    for j in range(k):
                        for m in range(LANES):
                            other[i, j, m] = 1.0 if m < count and opens[at + m] else turned[j, i]
                else:
                    _mixed(turned, product[i], other[i])
                _weighed(node, other[i], total)
                if t % _SCALED == _SCALED - 1:
                    for m in range(LANES):
                        total[m] = max(total[m], 1e-300)
                    _divided(total, inverse, other[i])
                    for m in range(LANES):
                        scale[i, m] += log(total[m])
            product, other = other, product
            for m in range(count):
                if size[at + m] == t + 1:
                    for i in range(k):
                        for j in range(k):
                            value = product[i, j, m]
                            logs[at + m, i, j] = np.log(value) + scale[i, m] if value > 0.0 else -np.inf
    return 0.0


@_loop()
def chains(
    nodes: Array,
    matrix: Array,
    turned: Array,
    begin: Array,
    size: Array,
    before: Array,
    came: Array,
    after: Array,
    weight: Array,
    marginals: Array,
    pairs: Array,
    ends: Array,
    heads: Array,
    edges: Array,
) -> float:
    """Sums over the paths of stretches of chains, whole ones or blocks; docs/mathematics.md, "Chains".

    Args:
        nodes: Log weights of the states of each row, the largest of a row zero, shape (k, n).
        matrix: Weights of a step, from the states of the rows to those of the columns, shape (k, k).
        turned: The same, turned.
        begin: The first row of each stretch, shape (m,), the longest stretch first.
        size: How many it has.
        before: alpha of the row before each stretch, shape (m, k); zeros where a chain begins.
        came: Weights of the states of its first row before that is looked at, shape (m, k); ones where a chain begins.
        after: beta of its last row, up to a constant, shape (m, k); ones where a chain ends.
        weight: How much each stretch counts, shape (m,).
        marginals: q is put there, shape (k, n).
        pairs: The weighted sums over neighbours are added to it, shape (k, k).
        ends: alpha of the last row of each stretch is put there, shape (m, k).
        heads: And what beta of the row before it must be.
        edges: And the least sum of a row, and the largest beta, shape (2,).

    Returns:
        The weighted log weight of all paths; NaN or the edges tell where the sums are not to be trusted.
    """
    k, longest = len(nodes), size[0]
    node, alpha, total = np.empty((longest, k, LANES)), np.empty((longest, k, LANES)), np.empty((longest, LANES))
    beta, v, past, both = np.empty((k, LANES)), np.empty((k, LANES)), np.empty((k, LANES)), np.empty((k, k, LANES))
    inverse, logs, least, most = np.empty(LANES), np.empty(LANES), np.full(LANES, np.inf), np.zeros(LANES)
    log_weight = 0.0
    for at in range(0, len(begin), LANES):
        count, steps = min(LANES, len(begin) - at), size[at]
        _to_lanes(nodes, begin, size, at, 0, steps, node)
        alpha[0] = 1.0
        past[:] = 0.0
        for m in range(count):
            for j in range(k):
                alpha[0, j, m] = came[at + m, j]
                past[j, m] = before[at + m, j]
        # (eq: forward-backward)
        logs[:] = 0.0
        running = count
        for t in range(steps):
            _exponentials(node[t])
            if t > 0:
                _mixed(turned, alpha[t - 1], alpha[t])
            _weighed(node[t], alpha[t], total[t])
            while running > 0 and size[at + running - 1] <= t:
                running -= 1
            for m in range(running, LANES):
                total[t, m] = 1.0
            _divided(total[t], inverse, alpha[t])
            for j in range(k):
                for m in range(LANES):
                    node[t, j, m] *= inverse[m]
            _add_logs(total[t], logs, least)
        for m in range(count):
            log_weight += weight[at + m] * logs[m]
            for j in range(k):
                ends[at + m, j] = alpha[size[at + m] - 1, j, m]
        beta[:] = 0.0
        both[:] = 0.0
        running = 0
        for t in range(steps - 1, -1, -1):
            if t < steps - 1:
                _mixed(matrix, v, beta)
            while running < count and size[at + running] > t:
                one = 0.0
                for j in range(k):
                    one += after[at + running, j] * alpha[t, j, running]
                for j in range(k):
                    beta[j, running] = after[at + running, j] / one
                running += 1
            _met(node[t], beta, alpha[t], v, inverse, most)
            _add_pairs(alpha[t - 1] if t > 0 else past, v, both)
        _mixed(matrix, v, beta)
        for m in range(count):
            for j in range(k):
                heads[at + m, j] = beta[j, m]
        for i in range(k):
            for j in range(k):
                for m in range(count):
                    pairs[i, j] += weight[at + m] * both[i, j, m] * matrix[i, j]
        _from_lanes(alpha, begin, size, at, marginals)
    edges[0], edges[1] = least.min(), most.max()
    return log_weight


# Lloyd's K-means: rows in single precision, sums in whole numbers.


@_loop()
def _asked(asked: Labels, keys: Labels, margins: Single, threshold: Single, out: Labels) -> int:
    """Put the rows whose margin is not above the threshold of their key first; how many there are."""
    found = 0
    if len(asked):
        for row in asked:
            out[found] = row
            found += margins[row] <= threshold[keys[row]]
    else:
        for row in range(len(keys)):
            out[found] = row
            found += margins[row] <= threshold[keys[row]]
    return found


@_loop()
def _gather(x: Single, squared: Single, rows: Labels, y: Single, length: Single) -> None:
    """Fill in the columns of some rows, (d or more, 256), four rows at a time, for a column is far from the next."""
    for r in range(ROWS):
        length[r] = squared[rows[r]]
    for r in range(0, ROWS, 4):
        a, b, c, e = x[rows[r]], x[rows[r + 1]], x[rows[r + 2]], x[rows[r + 3]]
        for i in range(x.shape[1]):
            y[i, r], y[i, r + 1], y[i, r + 2], y[i, r + 3] = a[i], b[i], c[i], e[i]


@_loop()
def _two_lowest(table: Single, j: int, lowest: Single, second: Single, label: Single) -> None:
    """The lowest two of the scores so far, and the label of the lowest, of four more centres: the first that ties."""
    a, b, c, e = table[j], table[j + 1], table[j + 2], table[j + 3]
    zero, one, two, three = np.float32(j), np.float32(j + 1), np.float32(j + 2), np.float32(j + 3)
    for r in range(ROWS):
        left, right, before = min(a[r], b[r]), min(c[r], e[r]), lowest[r]
        low = min(left, right)
        others = min(min(max(a[r], b[r]), max(c[r], e[r])), max(left, right))
        second[r] = min(min(second[r], others), max(before, low))
        at = (three if e[r] < c[r] else two) if right < left else (one if b[r] < a[r] else zero)
        label[r] = at if low < before else label[r]
        lowest[r] = min(before, low)


@_loop()
def _margins(lowest: Single, second: Single, squared: Single, error: float, least: float, out: Single) -> None:
    """By how much the nearest centre is nearer than any other, at least; -1 where these scores cannot tell."""
    one, three, eight, zero = np.float32(1), np.float32(3), np.float32(8), np.float32(0)
    above, below = one + three * error, one - three * error
    longer, shorter = one + eight * error, one - eight * error
    for r in range(ROWS):
        high = lowest[r] * above + (squared[r] * longer + least)
        low = second[r] * below + squared[r] * shorter
        gap = low - high
        margin = gap / (np.sqrt(max(low, zero)) + np.sqrt(max(high, zero)))
        out[r] = margin if gap > high * error else -one


@_loop(frozenset())
def _squared_distance(x: Array, centre: Array, squares: Array) -> float:
    """The squared distance of a row to a centre to the same bit as `latentem.kmeans.sums.squared_lengths` has it."""
    width = len(x)
    for i in range(width):
        squares[i] = (x[i] - centre[i]) ** 2
    while width >= NARROW:
        half, odd = width // 2, width % 2
        last = squares[width - 1]
        for i in range(half):
            squares[i] += squares[half + i]
        if odd:
            squares[0] += last
        width = half
    total = squares[0]
    for i in range(1, width):
        total += squares[i]
    return total


@_loop(frozenset())
def lengths(x: Array, centre: Array, out: Array) -> None:
    """Fill in the squared distance of each row, (n, d), to one centre, (d,)."""
    squares = np.empty(len(centre))
    for r in range(len(x)):
        out[r] = _squared_distance(x[r], centre, squares)


@_loop()
def screen(x: Array, centre: Array, unit: float, out: Single) -> None:
    """Fill in the rows, (n, d), about a centre and times a power of two, in single precision."""
    for r in range(len(x)):
        row, rounded = x[r], out[r]
        for i in range(len(centre)):
            rounded[i] = np.float32((row[i] - centre[i]) * unit)


@_loop()
def _decided(
    scores: Single, squared: float, error: float, least: float, x: Array, centres: Array, squares: Array
) -> int:
    """The nearest centre of a row in double, of all that its scores, (k,), leave possible: the first that ties."""
    slack = 5.0 * error * squared + least
    high = max(float(scores.min()) + squared, 0.0) * (1.0 + 3.0 * error) + slack
    limit = (high * (1.0 + error) + slack) / (1.0 - 4.0 * error) - squared
    limit += 1e-6 * abs(limit)
    label, nearest = 0, np.inf
    for j in range(len(centres)):
        if scores[j] <= limit:
            distance = _squared_distance(x, centres[j], squares)
            if distance < nearest:
                label, nearest = j, distance
    return label


@_loop()
def lloyd(
    x: Array,
    rows: Single,
    squared: Single,
    centres: Array,
    coefficients: Single,
    error: float,
    least: float,
    asked: Labels,
    threshold: Single,
    epoch: int,
    bits: int,
    keys: Labels,
    margins: Single,
    moved: Labels,
    between: Labels,
) -> int:
    """Put the rows that may have another nearest centre than they had to the nearest.

    Args:
        x: The rows, shape (n, d).
        rows: As they are screened, in single precision.
        squared: Their squared lengths, shape (n,).
        centres: Shape (k, d).
        coefficients: Of their scores, shape (k or up to three more, d + 1): a multiple of 4.
        error: How far a score may be off, relative to 5 |x|^2 + 3 distance^2.
        least: What underflow may add to a score.
        asked: The rows that may be looked at; of length 0: all.
        threshold: The margin up to which a row of each key is.
        epoch: The number of these centres.
        bits: Of a key that hold such a number; those above hold the label.
        keys: Shape (n,); changed.
        margins: Shape (n,); changed.
        moved: Shape (n,); filled in: the rows that have another label than before.
        between: Shape (n, 2); filled in: that label, and the one now.

    Returns:
        How many rows have another label.
    """
    k, d = len(coefficients), rows.shape[1]
    y, table = np.ones((d + 1, ROWS), np.float32), np.empty((k, ROWS), np.float32)
    room, inside = np.zeros((5, ROWS), np.float32), np.empty(ROWS, np.int64)
    lowest, second, label, length = room[0], room[1], room[2], room[3]
    margin = room[4]
    scores, squares, doubtful = np.empty(k, np.float32), np.empty(d), np.empty(len(asked) or len(keys), np.int64)
    found, gone = _asked(asked, keys, margins, threshold, doubtful), 0
    for begin in range(0, found, ROWS):
        count = min(ROWS, found - begin)
        for r in range(ROWS):
            inside[r] = doubtful[begin + min(r, count - 1)]
            lowest[r] = second[r] = np.float32(np.inf)
        _gather(rows, squared, inside, y, length)
        np.dot(coefficients, y, table)
        for j in range(0, k, 4):
            _two_lowest(table, j, lowest, second, label)
        _margins(lowest, second, length, error, least, margin)
        for r in range(count):
            row, after = inside[r], np.int64(label[r])
            if margin[r] >= np.float32(0):
                margins[row] = margin[r]
            else:
                margins[row] = np.float32(0)
                for j in range(k):
                    scores[j] = table[j, r]
                after = _decided(scores, float(length[r]), float(error), float(least), x[row], centres, squares)
            before = keys[row] >> bits
            keys[row] = (after << bits) + epoch
            moved[gone], between[gone, 0], between[gone, 1] = row, before, after
            gone += before != after
    return gone


@_loop(_SUMMED)
def _distance(a: Array, b: Array) -> float:
    total = 0.0
    for i in range(len(a)):
        total += (a[i] - b[i]) * (a[i] - b[i])
    return np.sqrt(total)


@_loop()
def displaced(epochs: Array, centres: Array, origin: Array, unit: float, longest: float, out: Single) -> None:
    """By how much the margins of rows may have shrunk since each of some epochs; see `latentem.kmeans.lloyd`.

    Args:
        epochs: The centres then, shape (e, k, d).
        centres: Those now, shape (k, d).
        origin: What the rows are about, shape (d,).
        unit: Margins are in units of one over it.
        longest: The length of the longest row, in such units.
        out: Shape (k, e or more); filled in, and infinite where there is no such epoch.
    """
    k, d = centres.shape
    away, moved = 0.0, np.empty(k)
    for j in range(k):
        away = max(away, _distance(centres[j], origin))
    slack = 16 * (d + 4) * 2.0**-53 * (longest + away * unit)
    for j in range(k):
        for e in range(len(epochs), out.shape[1]):
            out[j, e] = np.inf
    for e in range(len(epochs)):
        first = second = 0.0
        for j in range(k):
            moved[j] = _distance(epochs[e, j], centres[j])
            first, second = max(first, moved[j]), max(second, min(first, moved[j]))
        for j in range(k):
            others = second if moved[j] == first else first
            out[j, e] = (moved[j] + others) * (unit * (1 + 2.0**-18)) + slack


@_loop()
def addends(
    x: Array,
    weight: Array,
    origin: Array,
    squared: Array,
    scale: Array,
    lower: float,
    rows: Labels,
    labels: Labels,
    factors: Array,
    total: Array,
) -> None:
    """Add the two whole numbers of each addend of some rows to the sums of clusters; see `latentem.kmeans.sums`.

    Args:
        x: The rows, shape (n, d).
        weight: How much each counts, shape (n,); of length 0 where each counts once.
        origin: What the sums of x are about, shape (d,).
        squared: Another addend of each row, shape (n,); the last is its weight.
        scale: What makes the addends whole numbers, shape (d + 2,).
        lower: What makes whole numbers of what is left of them.
        rows: Which rows are added, shape (m,); of length 0: all.
        labels: The clusters that each is added to, shape (m, c).
        factors: How many times, shape (c,).
        total: The sums, shape (k, 2 (d + 2)); changed.
    """
    d, wide = len(origin), len(scale)
    addend, high, low = np.empty(wide), np.empty(wide), np.empty(wide)
    for r in range(len(labels)):
        row = rows[r] if len(rows) else r
        heavy = weight[row] if len(weight) else 1.0
        for i in range(d):
            addend[i] = (x[row, i] - origin[i]) * heavy
        addend[d], addend[d + 1] = squared[row], heavy
        for i in range(wide):
            scaled = addend[i] * scale[i]
            high[i] = (scaled + _SHIFT) - _SHIFT
            low[i] = ((scaled - high[i]) * lower + _SHIFT) - _SHIFT
        for c in range(len(factors)):
            sums, factor = total[labels[r, c]], factors[c]
            for i in range(wide):
                sums[i] += factor * high[i]
                sums[wide + i] += factor * low[i]


_ROWS, _TABLE = types.Array(types.float64, 1, "C", readonly=True), types.Array(types.float64, 2, "C", readonly=True)
_TABLES, _OUT = types.Array(types.float64, 3, "C", readonly=True), types.Array(types.float64, 1, "C")
_TABLE_OUT, _TABLES_OUT = types.Array(types.float64, 2, "C"), types.Array(types.float64, 3, "C")
_COUNTS = types.Array(types.int64, 1, "C", readonly=True)
_FLAGS = types.Array(types.boolean, 1, "C", readonly=True)
_SINGLE, _SINGLES = (types.Array(types.float32, i, "C", readonly=True) for i in (1, 2))
_LABELS, _LABELLED = (types.Array(types.int64, i, "C", readonly=True) for i in (1, 2))
_LABELS_OUT = types.Array(types.int64, 1, "C")

LOOPS = {
    "diagonal": (
        diagonal,
        types.float64(_TABLE, _ROWS, _TABLE, _TABLE, _ROWS, _OUT, _TABLE_OUT, _TABLE_OUT),
    ),
    "full": (
        full,
        types.float64(_TABLE, _ROWS, _TABLE, _TABLES, _ROWS, _OUT, _TABLE_OUT, _TABLES_OUT),
    ),
    "products": (
        products,
        types.float64(_TABLE, _ROWS, _ROWS, _TABLE, _OUT, _TABLE_OUT),
    ),
    "blocks": (
        blocks,
        types.float64(_TABLE, _TABLE, _COUNTS, _COUNTS, _FLAGS, _TABLES_OUT),
    ),
    "chains": (
        chains,
        types.float64(
            *(_TABLE, _TABLE, _TABLE, _COUNTS, _COUNTS, _TABLE, _TABLE, _TABLE, _ROWS),
            *(_TABLE_OUT, _TABLE_OUT, _TABLE_OUT, _TABLE_OUT, _OUT),
        ),
    ),
    "lloyd": (
        lloyd,
        types.int64(
            *(_TABLE, _SINGLES, _SINGLE, _TABLE, _SINGLES, types.float32, types.float32, _LABELS, _SINGLE),
            *(types.int64, types.int64, _LABELS_OUT, types.Array(types.float32, 1, "C"), _LABELS_OUT),
            types.Array(types.int64, 2, "C"),
        ),
    ),
    "lengths": (lengths, types.none(_TABLE, _ROWS, _OUT)),
    "screen": (screen, types.none(_TABLE, _ROWS, types.float64, types.Array(types.float32, 2, "C"))),
    "displaced": (
        displaced,
        types.none(_TABLES, _TABLE, _ROWS, types.float64, types.float64, types.Array(types.float32, 2, "C")),
    ),
    "addends": (
        addends,
        types.none(_TABLE, _ROWS, _ROWS, _ROWS, _ROWS, types.float64, _LABELS, _LABELLED, _ROWS, _TABLE_OUT),
    ),
}
"""Loops that are called from outside, by name, each with the types of its arguments and of its answer."""
