"""Reports: a fit in words, tables and pages, and what there is to see while it runs."""

from latentem.report.displays import Display
from latentem.report.frame import frame, table_of
from latentem.report.journal import Journal, watched_by
from latentem.report.pages import fit_page, hand_out
from latentem.report.progress import Progress
from latentem.report.summary import Summary
from latentem.report.words import counted, gain, number, table

hand_out()

__all__ = [
    "Display",
    "Journal",
    "Progress",
    "Summary",
    "counted",
    "fit_page",
    "frame",
    "gain",
    "number",
    "table",
    "table_of",
    "watched_by",
]
