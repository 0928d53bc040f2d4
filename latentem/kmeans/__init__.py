"""Lloyd's E-step: `search` finds the nearest centres, `sums` adds up their rows, `lloyd` remembers both."""

from latentem.kmeans.centres import separate
from latentem.kmeans.evidence import log_evidence
from latentem.kmeans.lloyd import nearest, recalled
from latentem.kmeans.sums import Addends, squared_distances

__all__ = ["Addends", "log_evidence", "nearest", "recalled", "separate", "squared_distances"]
