"""The runner and its books. It sees models, never data arrays."""

from latentem.run.em import EM
from latentem.run.restarts import Start, StartReport, hits, run_all
from latentem.run.step import Ending, History, Result, State, Status, Step
from latentem.run.stop import (
    StopRule,
    assignments_unchanged,
    gain_below,
    movement_below,
    remaining_below,
    seconds,
)

__all__ = [
    "EM",
    "Ending",
    "History",
    "Result",
    "Start",
    "StartReport",
    "State",
    "Status",
    "Step",
    "StopRule",
    "assignments_unchanged",
    "gain_below",
    "hits",
    "movement_below",
    "remaining_below",
    "run_all",
    "seconds",
]
