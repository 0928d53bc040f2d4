"""The protocol: read `model.py` and `learnable.py` first, then `block.py`, `expectation.py`, `passes.py`, the rest."""

from latentem.core.additive import Additive, Numbers, Value, Vector, tree_sum
from latentem.core.block import Block, Identified, Path, find, get, put
from latentem.core.clustering import Clustering
from latentem.core.engine import Cache, Engine, Placed
from latentem.core.events import ColumnError, Degenerate, Event, RowError, Unavailable
from latentem.core.expectation import Expectation
from latentem.core.learnable import Learnable, Whole
from latentem.core.model import Half, LatentModel, observations
from latentem.core.passes import InOrder, e_half, e_step, evidence_of, log_likelihood, objective, placed
from latentem.core.posterior import HasDraw, HasLabels, HasMode, HasPaths, HasPower, Hidden, Posterior

__all__ = [
    "Additive",
    "Block",
    "Cache",
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
    "e_half",
    "e_step",
    "evidence_of",
    "find",
    "get",
    "log_likelihood",
    "objective",
    "observations",
    "placed",
    "put",
    "tree_sum",
]
