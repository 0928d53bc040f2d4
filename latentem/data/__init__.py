"""Data as chunks, in memory or not: `source` is the door for what is in files, on a cluster, or larger than memory."""

from latentem.data.chunks import Chunks
from latentem.data.door import found_source, row_chunks, rows, sequence_chunks, sequences, source
from latentem.data.rows import Rows, checked, even_rows, split, weight_of
from latentem.data.sequences import Sequences, cut
from latentem.data.sources import Source
from latentem.data.values import columns_of

__all__ = [
    "Chunks",
    "Rows",
    "Sequences",
    "Source",
    "checked",
    "columns_of",
    "cut",
    "even_rows",
    "found_source",
    "row_chunks",
    "rows",
    "sequence_chunks",
    "sequences",
    "source",
    "split",
    "weight_of",
]
