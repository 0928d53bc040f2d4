"""Loops compiled by numba, where the extra `fast` is installed: which there are, and whether a fit runs in them.

A loop is a function in `loops.py` and a line with its types in `LOOPS` there. A model names it in `LatentModel.loops`;
its E-step asks `running(name)` for it, and computes by numpy where that is None. All else is done by `fit`.
"""

from latentem.compiled.choice import VARIABLE, Loops, chosen, found_numba, in_loops, in_numpy, running

__all__ = ["VARIABLE", "Loops", "chosen", "found_numba", "in_loops", "in_numpy", "running"]
