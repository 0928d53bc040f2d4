"""Selection: which of several models the data ask for."""

from latentem.selection.bootstrap import ComponentTest, test_components
from latentem.selection.contender import Contender
from latentem.selection.cross_validation import CrossValidation, cross_validate
from latentem.selection.fitting import select
from latentem.selection.grid import grid
from latentem.selection.selection import Selection

__all__ = ["ComponentTest", "Contender", "CrossValidation", "Selection", "cross_validate", "grid", "select"]
__all__ += ["test_components"]
