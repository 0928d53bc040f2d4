"""The command line: `latentem fit`, `predict`, `select`, `show` and `demo`."""

from latentem.command.main import main

__all__ = ["main"]
