"""EM half step by half step: recordings, and lines through the space of parameters."""

from latentem.teaching.lines import Line, Tangent, lines
from latentem.teaching.recording import record
from latentem.teaching.trace import Frame, Trace

__all__ = ["Frame", "Line", "Tangent", "Trace", "lines", "record"]
