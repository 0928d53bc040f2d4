"""Parameters that users give or read in scikit-learn's terms: weights, means, precisions and their roots."""

from __future__ import annotations

from typing import Any

import numpy as np

import latentem as lem
from latentem.arrays import Array
from latentem.family import GaussianParams


def _table(value: Any, name: str, shape: tuple[int, ...]) -> Array:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"The parameter '{name}' holds NaN or infinity: every value must be finite")
    return array


def weights_given(value: Any, k: int) -> Array | None:
    """Weights of k components, shape (k,), in double precision; None where none are given."""
    if value is None:
        return None
    weights = _table(value, "weights", (k,))
    if (weights < 0).any() or (weights > 1).any():
        found = f"max value {weights.max():.5f}, min value {weights.min():.5f}"
        raise ValueError(f"The parameter 'weights' should be in the range [0, 1], but got {found}")
    if not np.isclose(weights.sum(), 1.0, rtol=0, atol=1e-6):
        raise ValueError(f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}")
    return np.asarray(weights / weights.sum())


def means_given(value: Any, k: int, d: int) -> Array | None:
    """Means of k components, shape (k, d); None where none are given."""
    return None if value is None else _table(value, "means", (k, d))


def precisions_given(value: Any, k: int, d: int, kind: Any, structure: lem.Structure) -> Array | None:
    """Inverse covariances as the structure stores them; None where none are given.

    Args:
        value: What was given.
        k: Number of components.
        d: Number of columns.
        kind: The word for the structure, for messages.
        structure: What it means.

    Raises:
        ValueError: another shape, or not positive definite.
    """
    if value is None:
        return None
    name = f"{kind} precision"
    precisions = _table(value, name, structure.shape(k, d))
    if structure.each != lem.Full():
        if not (precisions > 0).all():
            raise ValueError(f"'{name}' should be positive")
        return precisions
    each = structure.spread(precisions)
    even = np.allclose(each, each.swapaxes(-1, -2))
    if not even or not (np.linalg.eigvalsh(each) > 0).all():
        raise ValueError(f"'{name}' should be symmetric, positive-definite")
    return 0.5 * (precisions + precisions.swapaxes(-1, -2))


def covariances_of(precisions: Array, structure: lem.Structure) -> Array:
    """The covariances of precisions as a structure stores them."""
    if structure.each != lem.Full():
        return np.asarray(1 / precisions)
    inverse = np.linalg.inv(precisions)
    return np.asarray(0.5 * (inverse + inverse.swapaxes(-1, -2)))


def roots_of(params: GaussianParams) -> tuple[Array, Array]:
    """Precisions and their roots U, U U' = precision, U an upper triangle; as the structure stores them."""
    m, stored = len(params.distinct), params.structure.stored
    whiteners = params.factors[0][:m]
    roots = whiteners.swapaxes(1, 2) if params.form == lem.Full() else whiteners
    return stored(params.precisions[:m]), stored(roots)


def precisions_of(roots: Array, structure: lem.Structure) -> Array:
    """The precisions that have these roots."""
    return np.asarray(roots @ roots.swapaxes(-1, -2) if structure.each == lem.Full() else roots * roots)
