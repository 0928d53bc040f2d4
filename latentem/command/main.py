"""From the words on a command line to an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import latentem as lem
from latentem.command.options import parser

WRONG = 2
"""The exit code of words, files or data that cannot be used."""
INTERRUPTED = 130
UNREAD = 141
"""Those of a shell for a program that Ctrl-C ended, and for one whose output nobody reads on."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; docs/command-line.md has a list of them."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the sign ± gets a question mark
    code = _answer(argv)
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would fail once more as it exits
        if isinstance(error, BrokenPipeError):
            return UNREAD
        return code or _fail(f"the standard output cannot be written: {error.strerror}")
    return code


def _answer(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
        code: int = arguments.run(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return UNREAD
    except OSError as error:
        parts = (error.filename, error.strerror)
        return _fail(": ".join(str(part) for part in parts if part) or str(error))
    except (ValueError, TypeError, ImportError, lem.Degenerate, lem.Unavailable) as error:
        return _fail(str(error))
    return code


def _fail(message: str, code: int = WRONG) -> int:
    print("latentem: error:", " ".join(message.split()), file=sys.stderr)
    return code
