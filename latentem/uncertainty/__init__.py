"""Standard errors and intervals of what was estimated."""

from latentem.uncertainty.by_information import ByInformation
from latentem.uncertainty.by_replication import ByBootstrap, ByJackknife, ByReplication
from latentem.uncertainty.uncertainty import Estimate, Uncertainty

__all__ = [
    "ByBootstrap",
    "ByInformation",
    "ByJackknife",
    "ByReplication",
    "Estimate",
    "Uncertainty",
]
