"""Transformers: they take a model and return a model, and compose."""

from latentem.transform.assignment import Hard, Sampled, Tempered
from latentem.transform.frozen import Fixed, Frozen
from latentem.transform.prior import WithPrior
from latentem.transform.transformed import SamePosterior, Transformed, innermost, layers

__all__ = [
    "Fixed",
    "Frozen",
    "Hard",
    "SamePosterior",
    "Sampled",
    "Tempered",
    "Transformed",
    "WithPrior",
    "innermost",
    "layers",
]
