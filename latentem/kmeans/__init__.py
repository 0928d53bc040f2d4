"""K-means: `model` is what EM sees, `search` finds the nearest centres, `sums` adds up rows, `lloyd` remembers both.

`points` is what the model asks of rows; `sparse` has rows of a `compressed` table, and is imported by who has one.
"""

from latentem.kmeans.evidence import log_evidence, separate
from latentem.kmeans.lloyd import nearest, recalled
from latentem.kmeans.model import KMeans
from latentem.kmeans.sums import Addends, squared_distances

__all__ = ["Addends", "KMeans", "log_evidence", "nearest", "recalled", "separate", "squared_distances"]
