"""Data as chunks."""

from latentem.data.rows import Rows, checked, columns_of, rows, split, weight_of

__all__ = ["Rows", "checked", "columns_of", "rows", "split", "weight_of"]
