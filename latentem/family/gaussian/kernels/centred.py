"""Gaussian E-steps of few rows: each component about its own mean, so that no digit is lost at any width or offset."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentem.arrays import Array, made
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.kernel import Buffers
from latentem.kernel.base import NEVER
from latentem.kernel.passes import shifted

_NUMBERS = 3 * 2**14
"""Numbers in the centred rows, rows times columns times components, up to which this form is the quickest."""
_LEAST = float(np.finfo(float).tiny / np.finfo(float).eps)
"""The smallest sum of weights: below, a ratio of sums has no digits."""
_buffers = Buffers()


def few(params: GaussianParams, chunk: Any) -> bool:
    """Whether the rows are so few that calls, and not numbers, take the time."""
    return params.means.size * len(chunk.x) <= _NUMBERS


def centred(params: GaussianParams, log_weights: Array, chunk: Any) -> tuple[Array, Moments, float] | None:
    """The E-step of a mixture of these densities in one go.

    Rows are whitened about the means, and their moments are taken about the means to come, which are those of the
    rows under the posterior: neither cancels, wherever the data are.

    Args:
        params: The means and covariances.
        log_weights: Finite, shape (k,).
        chunk: The rows, of the kind `Rows`.

    Returns:
        Counts, shape (k,), moments, and the entropy of the labels in nats; None where a row has no posterior by these
        figures, as where it lacks a value.
    """
    form, (whiteners, _), means = params.form, params.factors, params.means
    y = _about(means, chunk.columns)
    with np.errstate(over="ignore", invalid="ignore"):
        log_joint = form.squared_lengths(whiteners, y)
        log_joint *= -0.5
        log_joint += (log_weights - 0.5 * params.log_partitions)[:, None]  # (eq: gaussian-density)
        if chunk.allowed is not None:
            np.copyto(log_joint, NEVER, where=~chunk.allowed.T)
        found = shifted(log_joint, chunk.weight, _buffers)
    if found is None:
        return None
    counts, entropy = found
    count = np.add.reduce(counts, axis=1)
    live = count > _LEAST
    if not live.all():  # nothing is known of a component without rows
        count, counts = np.where(live, count, 0.0), counts * live[:, None]
    # (eq: gaussian-mean)
    means = means + np.matvec(y, counts) / np.where(live, count, 1.0)[:, None]
    y = _about(means, chunk.columns)  # and not about the old ones, from which they may be many widths away
    second = form.scatters(y, counts)
    if params.structure.tied:
        second = np.add.reduce(second, axis=0, keepdims=True)
    moments = made(Moments, form, means, count, np.matvec(y, counts), second, None, None)
    return count, moments, entropy


def _about(means: Array, columns: Array) -> Array:
    """Columns, (d, n), about means, (k, d): shape (k, d, n), in a buffer."""
    (k, d), n = means.shape, columns.shape[1]
    out = _buffers.array("centred", k * d, n).reshape(k, d, n)
    return np.subtract(columns, means[:, :, None], out=out)
