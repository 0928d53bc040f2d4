"""The runners and their books. They see models, never data arrays."""

from latentem.run.acceleration import Acceleration
from latentem.run.anderson import Anderson, Squarem
from latentem.run.course import STOP
from latentem.run.em import EM
from latentem.run.memory import Memory
from latentem.run.ranking import StartReport, hits
from latentem.run.restarts import Start, run_all
from latentem.run.runner import Runner
from latentem.run.step import Ending, History, State, Status, Step
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
    "STOP",
    "Acceleration",
    "Anderson",
    "Ending",
    "History",
    "Memory",
    "Runner",
    "Squarem",
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
