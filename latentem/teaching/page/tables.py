"""Parameters as tables of cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentem.core import Expectation
from latentem.report.components import grid, parameters
from latentem.teaching.page.study import Study
from latentem.uncertainty.named import numbers

_OF_Q = ("expected rows", "rows")
_NUMBERS = 40
"""So many numbers of parameters that the model does not describe are shown."""


def tables(study: Study) -> list[list[list[str]]]:
    """Tables of the study's parameters, one each; what is q's, such as the expected rows, is left out."""
    return [_table(study, *pair) for pair in zip(study.params, study.expectations, strict=True)]


def _table(study: Study, params: Any, expectation: Expectation[Any]) -> list[list[str]]:
    model = study.trace.model
    described = [one for one in parameters(model.describe(params, expectation.statistics)) if one.name not in _OF_Q]
    if described:
        return grid(described, study.trace.columns, model.noun)[0]
    rows = [[number.name or "value", f"{number.value:.6g}"] for number in numbers(model, params)]
    if not rows and isinstance(params, int | np.floating | np.integer):
        rows = [["value", f"{float(params):.6g}"]]
    more = len(rows) - _NUMBERS
    left = [[f"({more} more)", ""]] if more > 0 else []
    return [["parameter", "value"], *rows[:_NUMBERS], *left]
