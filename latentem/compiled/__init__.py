"""Loops compiled by numba, where the extra `fast` is installed: which there are, and whether a fit runs in them."""

from latentem.compiled.choice import VARIABLE, Loops, chosen, found_numba, running

__all__ = ["VARIABLE", "Loops", "chosen", "found_numba", "running"]
