"""Data as chunks."""

from latentem.data.rows import Rows, columns_of, rows, split, weight_of

__all__ = ["Rows", "columns_of", "rows", "split", "weight_of"]
