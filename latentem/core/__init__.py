"""The protocol.

Read `model.py` first, then `chunk.py`, `block.py`, `expectation.py`, `passes.py`, `additive.py` and `engine.py`.
"""

from latentem.core.additive import Additive, Value, Vector, tree_sum
from latentem.core.block import Block, Identified, Path, find, get, put
from latentem.core.chunk import (
    Chunk,
    allowed_of,
    can_be_cut,
    observations,
    place_of,
    row_count,
    rows_that_count,
    unit_weight,
    unweighted,
)
from latentem.core.engine import Cache, Engine, Placed
from latentem.core.events import ColumnError, Degenerate, Event, RowError, Unavailable
from latentem.core.expectation import Expectation
from latentem.core.model import Half, LatentModel
from latentem.core.passes import InOrder, e_step, evidence_of, log_likelihood, objective, placed
from latentem.core.posterior import HasDraw, HasLabels, HasMode, HasPaths, HasPower, Hidden, Posterior

__all__ = [
    "Additive",
    "Block",
    "Cache",
    "Chunk",
    "ColumnError",
    "Degenerate",
    "Engine",
    "Event",
    "Expectation",
    "Half",
    "HasDraw",
    "HasLabels",
    "HasMode",
    "HasPaths",
    "HasPower",
    "Hidden",
    "Identified",
    "InOrder",
    "LatentModel",
    "Path",
    "Placed",
    "Posterior",
    "RowError",
    "Unavailable",
    "Value",
    "Vector",
    "allowed_of",
    "can_be_cut",
    "e_step",
    "evidence_of",
    "find",
    "get",
    "log_likelihood",
    "objective",
    "observations",
    "place_of",
    "placed",
    "put",
    "row_count",
    "rows_that_count",
    "tree_sum",
    "unit_weight",
    "unweighted",
]
