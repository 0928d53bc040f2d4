"""Engines: who computes on the chunks. A model and a runner never know which."""

from latentem.engine.local import Serial, Threads

__all__ = ["Serial", "Threads"]
