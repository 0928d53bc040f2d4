"""Data as chunks."""

from latentem.data.rows import Rows, checked, rows, split, weight_of
from latentem.data.sequences import Sequences, cut, sequences
from latentem.data.values import columns_of

__all__ = ["Rows", "Sequences", "checked", "columns_of", "cut", "rows", "sequences", "split", "weight_of"]
