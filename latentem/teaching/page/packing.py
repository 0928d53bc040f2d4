"""Arrays as short text: base64 of small numbers, with what makes them large again."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from latentem.arrays import Array

_TOP = 65_534
"""The largest level of 16 bits; one more stands for what is missing."""


def fine(values: Any) -> dict[str, Any]:
    """Numbers in 32 bits: seven digits, and NaN."""
    given = np.asarray(values, dtype=np.float64)
    return _as_text("f4", given.astype("<f4"))


def levels(values: Any, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """Numbers between two ends as 65,535 levels, NaN as one more: for what is drawn, and not read.

    What lies outside is put at the end. The ends are those of the values unless they are given.
    """
    given = np.asarray(values, dtype=np.float64)
    there = given[np.isfinite(given)]
    low = low if low is not None else float(there.min()) if there.size else 0.0
    high = high if high is not None else float(there.max()) if there.size else 1.0
    span = high - low if high > low else 1.0
    level = np.where(np.isnan(given), _TOP + 1.0, np.rint(np.clip((given - low) / span, 0, 1) * _TOP))
    return {**_as_text("u2", level.astype("<u2")), "low": low, "span": span}


def shares(values: Array) -> dict[str, Any]:
    """Probabilities in steps of 1/255: for colours."""
    return _as_text("u1", np.rint(np.asarray(values) * 255).astype("u1"))


def _as_text(kind: str, values: Any) -> dict[str, Any]:
    return {"kind": kind, "shape": list(values.shape), "data": base64.b64encode(values.tobytes()).decode("ascii")}
