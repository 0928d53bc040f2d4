"""Pictures of fits and recordings with matplotlib (extra `plot`), which is loaded when one is drawn.

Each function draws on the Axes that it is given, or on a new one, and returns it. None shows it, and none changes the
settings of matplotlib.
"""

from latentem.plot.certainty import responsibilities, uncertainty
from latentem.plot.choice import criteria
from latentem.plot.course import history, starts
from latentem.plot.lines import components
from latentem.plot.matrix import pairs
from latentem.plot.menu import available
from latentem.plot.paths import states
from latentem.plot.plane import classification, density, ellipses
from latentem.plot.profiles import loadings, profile
from latentem.plot.residuals import qq
from latentem.plot.traces import filmstrip, inertia, tangent

# What there is
__all__ = ["available"]
# Components, and the rows that they explain
__all__ += ["classification", "components", "density", "ellipses", "loadings", "pairs", "profile", "states"]
# How the data depart from the fit
__all__ += ["qq"]
# How sure the labels are
__all__ += ["responsibilities", "uncertainty"]
# How the fit came about
__all__ += ["history", "starts"]
# What a recording shows
__all__ += ["filmstrip", "inertia", "tangent"]
# What a selection shows
__all__ += ["criteria"]
