"""Checks of what is given to a chain: lengths, probabilities, pseudo-counts, numbers."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from latentem.arrays import Array, Labels


def whole(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        ValueError: naming the parameter.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} was given as {value!r}: give a whole number, at least {least}")


def lengths_of(x: Any, y: Any, lengths: Any) -> tuple[Labels, Any]:
    """The lengths of the sequences, shape (s,), and what of y is about rows.

    A y that has not one entry a row is no y: hmmlearn has the lengths in its place, and scripts give them so.

    Raises:
        ValueError: they are no whole numbers of at least 1, or do not sum to the number of rows.
    """
    n = len(x)
    if y is not None and lengths is None and np.shape(y) != (n,):
        lengths, y = y, None
    if lengths is None:
        return np.array([n]), y
    found = np.atleast_1d(np.asarray(lengths))
    if found.ndim != 1 or found.dtype.kind not in "iu" or (found < 1).any():
        raise ValueError(f"lengths were given as {lengths!r}: give the number of rows of each sequence, at least 1")
    if found.sum() != n:
        raise ValueError(f"lengths array {lengths} doesn't sum to {n} samples")
    return found.astype(np.int64), y


def distributions(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """Probabilities along the last axis, of this shape.

    Raises:
        ValueError: another shape, or they are negative or do not sum to one.
    """
    table = np.asarray(given, dtype=np.float64)
    if table.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, but has {table.shape}")
    if not (table >= 0).all() or not np.allclose(table.sum(axis=-1), 1):
        raise ValueError(f"{name} must hold probabilities that sum to 1 (got sums of {table.sum(axis=-1)})")
    return table


def pseudo_counts(name: str, prior: Any, shape: tuple[int, ...], possible: Any = True) -> Array:
    """The counts that a Dirichlet prior adds: its parameters less one, and none where something is impossible.

    Raises:
        ValueError: they do not fit the shape, or one is below 1: then the density has no maximum among probabilities.
    """
    table = spread(name, prior, shape)
    if not (table >= 1).all():
        raise ValueError(f"{name} was given as {prior!r}: parameters of a Dirichlet prior below 1 are not supported")
    return np.where(possible, table - 1, 0.0)


def spread(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """What was given, in this shape; one number stands for all, and one a component for all of its.

    Raises:
        ValueError: it does not fit.
    """
    table = np.asarray(given, dtype=np.float64)
    if table.ndim and table.ndim < len(shape) and table.shape == shape[: table.ndim]:
        table = table.reshape(*table.shape, *(1,) * (len(shape) - table.ndim))
    try:
        table = np.broadcast_to(table, shape)
    except ValueError:
        raise ValueError(f"{name} has shape {table.shape}: give a number, or an array of shape {shape}") from None
    if not np.isfinite(table).all():
        raise ValueError(f"{name} holds NaN or infinity: every value must be finite")
    return np.array(table)
