"""Best covariances that share their shape, or their volume: what the structures of Celeux and Govaert have in common.

Covariances come by columns, (k, d), or as matrices, (k, d, d), as in `Form`. Shares are the counts of the components
over their sum. All that is minimised is the sum of share (log det covariance + tr(own / covariance)).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latentem.arrays import Array
from latentem.core import Degenerate
from latentem.family.gaussian.covariance.form import Form

_ROUNDS = 200
_SETTLED = 1e-15
_SHORT = 1e-6
"""A change of log volumes so short that a Newton's step is exact to rounding."""
_FARTHEST = 10.0
"""By which the log of a volume may change in one step."""


def equal_shape(form: Form, own: Array, count: Array, current: Array, floor: Array) -> Array:
    """The best covariances volume_k C, with one C for all, none of them below the floor; own has the form `form`.

    With C at its best for given volumes, what is left is convex in their logarithms: log det of the sum of
    share_k own_k / volume_k, plus d times the sum of share_k log volume_k.
    """
    share = count / count.sum()
    volume = _log_volumes(form, current)
    sized = form.columns(own).sum(axis=-1) > 0
    live = (share > 0) & sized
    try:
        volume[live] = _best_log_volumes(form, own[live], share[live] / share[live].sum(), volume[live])
        common = _pooled(own, np.where(live, share, 0.0), volume)
        if not live.all():
            whitener, _ = _factor(form, common)
            with np.errstate(divide="ignore"):  # beside it, for components that have no part in it
                volume[~live] = np.log(_traces(_relative(own[~live], whitener), own) / own.shape[1])
        best = np.multiply.outer(np.exp(volume), common) if common.ndim == 1 else np.exp(volume)[:, None, None] * common
    except (np.linalg.LinAlgError, Degenerate):  # all of them are singular in one direction, and so is their sum
        best = own
    if np.array_equal(form.raised(best, floor), best):
        return best
    return _above(form, own, share, _log_volumes(form, current), floor)


def _log_volumes(form: Form, covariances: Array) -> Array:
    """The log of the geometric mean of the variances in all directions, shape (k,)."""
    if covariances.ndim == 2:
        return np.log(covariances).mean(axis=1)
    return np.linalg.slogdet(covariances)[1] / covariances.shape[1]


def _pooled(own: Array, share: Array, log_volume: Array) -> Array:
    scale = np.where(share > 0, share * np.exp(-np.where(share > 0, log_volume, 0.0)), 0.0)
    return np.asarray(np.dot(scale, own.reshape(len(own), -1)).reshape(own.shape[1:]))


def _factor(form: Form, common: Array) -> tuple[Array, float]:
    """The whitener of a common covariance, and its log determinant; Degenerate where it is singular."""
    whiteners, log_det = form.factor(common[None], len(common))
    return whiteners[0], float(log_det[0])


def _relative(own: Array, whitener: Array) -> Array:
    """Each covariance as seen where the common one is the identity, its numbers in a row, (k, d) or (k, d d)."""
    if own.ndim == 2:
        return own * (whitener * whitener)
    return np.asarray((whitener @ own @ whitener.T).reshape(len(own), -1))


def _traces(relative: Array, own: Array) -> Array:
    d = own.shape[1]
    return np.asarray(np.add.reduce(relative if own.ndim == 2 else relative[:, :: d + 1], axis=1))


def _best_log_volumes(form: Form, own: Array, share: Array, start: Array) -> Array:
    """Newton's steps, halved until they gain; to add a number to all volumes changes nothing, and is held back."""
    from scipy.linalg.lapack import dposv  # a large module, which nothing needs before a fit

    d, held = own.shape[1], own.shape[1] * np.outer(share, share)

    def look(volume: Array) -> tuple[Array, float]:
        """The whitener of what is pooled with these volumes, and the loss."""
        whitener, log_det = _factor(form, _pooled(own, share, volume))
        return whitener, log_det + d * float(share @ volume)

    volume, (whitener, value) = start, look(start)
    for _ in range(_ROUNDS):
        parts = (share * np.exp(-volume))[:, None] * _relative(own, whitener)
        traces = _traces(parts, own)
        # (eq: volumes)
        slope, curvature = share * d - traces, held - parts @ parts.T
        curvature.reshape(-1)[:: len(own) + 1] += traces
        _, step, failed = dposv(curvature, slope)
        if failed:
            step = np.linalg.lstsq(curvature, slope)[0]
        longest = float(np.abs(step).max())
        if longest < _SHORT and slope @ step <= 2 * _SETTLED * d:  # what it gains is below rounding, and it is the last
            return volume - step
        size = min(1.0, _FARTHEST / longest)
        while (there := look(volume - size * step))[1] > value and size * longest > _SETTLED:
            size /= 2
        if not there[1] < value:
            return volume
        volume, (whitener, value) = volume - size * step, there
    return volume


def _above(form: Form, own: Array, share: Array, start: Array, floor: Array) -> Array:
    """The same where the floor is felt. The smallest is C, raised to the floor; no other volume is below its own.

    So volume_k = exp(r_k) with r_k >= 0, and with C at its best for given r the slope is that of r alone.
    """
    from scipy.optimize import minimize  # a large module, which nothing needs before a fit

    d = own.shape[1]

    def common(r: Array) -> Array:
        return form.raised(_pooled(own, share, r)[None], floor)[0]

    def loss(r: Array) -> tuple[float, Array]:
        whitener, log_det = _factor(form, common(r))
        traces = share * np.exp(-r) * _traces(_relative(own, whitener), own)
        return log_det + float(traces.sum()) + d * float(share @ r), share * d - traces

    begin = start - start.min()
    options: Any = {"maxiter": 1000, "ftol": 1e-16, "gtol": 1e-12}
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(own), options=options)
    r = found.x if found.fun <= loss(begin)[0] else begin
    scale = np.exp(r)
    at = common(r)
    return np.asarray(scale[:, None] * at if at.ndim == 1 else scale[:, None, None] * at)


def equal_volume(own: Array, count: Array, floor: Array) -> Array:
    """The best variances of columns, (k, d), whose product is the same for all components, none below the floor, (d,).

    Without a floor they are own variances, scaled to the volume: the mean of the geometric means of own ones.
    """
    share, d = count / count.sum(), own.shape[1]
    with np.errstate(divide="ignore"):
        size = np.exp(np.log(own).mean(axis=1))
    volume = float(share @ size)
    if (size > 0).all():
        best = own * (volume / size)[:, None]
        if (best >= floor).all():
            return best
    elif not floor.any():  # a component has no width in some column, and all are as narrow
        return np.where((size > 0)[:, None], own, 0.0)
    return _volume_above(np.maximum(own, 1e-200 * floor), share, np.broadcast_to(floor, (d,)))


def _volume_above(own: Array, share: Array, floor: Array) -> Array:
    """The same where the floor is felt: each component max(floor, own times a factor), the factor from the volume.

    The log of the sum of share / factor is convex in the log volume and falls; at the best volume it is zero.
    """
    (k, d), lowest = own.shape, np.log(floor)
    leaves = np.sort(lowest - np.log(own), axis=1)  # log factors at which a column leaves its floor
    later = np.hstack([leaves[:, 1:], np.full((k, 1), np.inf)])
    sums, free = np.cumsum(leaves, axis=1), np.arange(1, d + 1)
    spare, log_factors = 0.0, leaves[:, 0]  # the log volume, less that of the floor
    for _ in range(_ROUNDS):
        # The sum of the logs of a component is piecewise linear in its factor: so many columns are free.
        reached = (spare + sums) / free
        pieces = (reached <= later).argmax(axis=1)
        log_factors = np.maximum(reached[np.arange(k), pieces], leaves[:, 0])
        parts = share * np.exp(-log_factors)
        total = float(parts.sum())
        step = np.log(total) * total / float(parts @ (1 / free[pieces]))
        if not step > _SETTLED * max(1.0, spare):  # Newton's steps come from below, and never pass the end
            break
        spare += step
    return np.maximum(floor, own * np.exp(log_factors)[:, None])
