"""The command line: `latentem fit`, `select` and `demo`."""

from latentem.command.main import main

__all__ = ["main"]
