"""Engines: who computes on the chunks. A model and a runner never know which."""

from latentem.engine.dask import Dask
from latentem.engine.found import installed, named
from latentem.engine.local import Serial, Threads
from latentem.engine.processes import Processes

__all__ = ["Dask", "Processes", "Serial", "Threads", "installed", "named"]
