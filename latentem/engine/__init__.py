"""Engines: who computes on the chunks. A model and a runner never know which."""

from latentem.engine.dask import Dask
from latentem.engine.found import installed, named
from latentem.engine.local import Serial, Threads

__all__ = ["Dask", "Serial", "Threads", "installed", "named"]
