"""Figures and aligned cells in words, as all reports show them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentem.run import Step


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned text: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)


def counted(count: float, noun: str) -> str:
    """A count with its noun, in the singular or the plural."""
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """A log likelihood or a criterion, to six decimals."""
    return f"{value:.6f}" if np.isfinite(value) else str(value)


def rounding(step: Step) -> float:
    """What rounding makes of a difference of bounds, in nats: a few last digits of Q and H."""
    return float(16 * np.finfo(float).eps * (abs(step.expected_log_joint) + abs(step.entropy)))


def gain(value: float, step: Step) -> str:
    """The gain of a half step, to three digits; one that is rounding of its books is shown as 0."""
    return "0" if abs(value) <= rounding(step) else f"{value:#.3g}"
