"""The protocol: read `model.py` and `learnable.py` first, then `chunk.py`, `block.py`, `expectation.py`, the rest."""

from latentem.core.additive import Additive, Numbers, Value, Vector, tree_sum
from latentem.core.block import Block, Identified, Path, find, get, put
from latentem.core.chunk import (
    Chunk,
    allowed_of,
    can_be_cut,
    for_loops,
    observations,
    place_of,
    row_count,
    rows_that_count,
    unit_lengths,
    unit_weight,
    unweighted,
)
from latentem.core.clustering import Clustering
from latentem.core.engine import Cache, Engine, Placed, chunks_done, watched_passes
from latentem.core.events import ColumnError, Degenerate, Event, RowError, Unavailable
from latentem.core.expectation import Expectation
from latentem.core.inference import Half, Inference
from latentem.core.learnable import Learnable, Whole
from latentem.core.model import LatentModel
from latentem.core.passes import InOrder, e_half, e_step, evidence_of, log_likelihood, objective, placed
from latentem.core.posterior import HasDraw, HasLabels, HasMode, HasPaths, HasPower, Hidden, Posterior

__all__ = [
    "Additive",
    "Block",
    "Cache",
    "Chunk",
    "Clustering",
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
    "Inference",
    "LatentModel",
    "Learnable",
    "Numbers",
    "Path",
    "Placed",
    "Posterior",
    "RowError",
    "Unavailable",
    "Value",
    "Vector",
    "Whole",
    "allowed_of",
    "can_be_cut",
    "chunks_done",
    "e_half",
    "e_step",
    "evidence_of",
    "find",
    "for_loops",
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
    "unit_lengths",
    "unit_weight",
    "unweighted",
    "watched_passes",
]
