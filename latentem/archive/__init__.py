"""Values in files: a zip of arrays and one document, no pickle; written whole or not at all, and doubted when read."""

from latentem.archive.container import BadArchive, pack, unpack
from latentem.archive.reading import Reading
from latentem.archive.writing import Archived, Classes, Writing, name_of

__all__ = ["Archived", "BadArchive", "Classes", "Reading", "Writing", "name_of", "pack", "unpack"]
