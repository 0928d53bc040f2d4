"""What is asked of a fit behind it: which components are one cluster, how it differs from another, how sure it is."""

from latentem.judging.comparison import Comparison, adjusted_rand, comparable
from latentem.judging.diagnostics import Diagnostics
from latentem.judging.merging import Merge, Merged, mergeable
from latentem.judging.overlap import overlap

__all__ = ["Comparison", "Diagnostics", "Merge", "Merged", "adjusted_rand", "comparable", "mergeable", "overlap"]
