"""Data as chunks: `source` is the door for what is in files, on a cluster, or larger than memory."""

from latentem.data.chunks import Chunks
from latentem.data.frames import columns_of
from latentem.data.rows import Rows, Sequences
from latentem.data.source import chunk_of, chunks_of, found_source, source
from latentem.data.tables import Source
from latentem.data.units import Units, even_rows, split, weight_of

__all__ = [
    "Chunks",
    "Rows",
    "Sequences",
    "Source",
    "Units",
    "chunk_of",
    "chunks_of",
    "columns_of",
    "even_rows",
    "found_source",
    "source",
    "split",
    "weight_of",
]
