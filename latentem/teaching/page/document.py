"""A page as one HTML document, and as a frame in a notebook."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from latentem.report.html import escaped

_FRAME_HEIGHT = 1000
"""Of the frame in a notebook, in pixels; it scrolls."""
_BEGIN = """
render({
  model: new Map([["trace", JSON.parse(document.getElementById("trace").textContent)], ["alone", true]]),
  el: document.getElementById("page"),
});
"""


def document(contents: dict[str, Any]) -> str:
    """The page of a trace: its data, its style and its script in one text, which asks for nothing else.

    The policy in its head lets no other script and no other style run, and lets nothing be fetched.
    """
    style, script = _part("page.css"), _part("page.js") + _BEGIN
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escaped(contents['title'][:200])}: EM, half step by half step</title>\n<style>{style}</style>\n"
        '</head>\n<body>\n<main id="page"><noscript>This page needs JavaScript.</noscript></main>\n'
        f'<script type="application/json" id="trace">{as_json(contents)}</script>\n'
        f'<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def writable(path: str | PathLike[str]) -> Path:
    """Where a page can be written.

    Raises:
        TypeError, OSError: it cannot be written there.
    """
    if not isinstance(path, str | PathLike):
        raise TypeError(f"path was given as {path!r}: give the name of a file, or None for the text of the page")
    target, given = Path(path), f"path was given as {str(path)!r}"
    remedy = "give a file in a folder that is there and may be written to, such as 'trace.html'"
    if target.is_dir():
        raise IsADirectoryError(f"{given}, which is a folder: {remedy}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{given}, and there is no folder {str(target.parent)!r}: {remedy}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise PermissionError(f"{given}, where you may not write: {remedy}")
    return target


def frame(page: str) -> str:
    """A page inside another one, shut off from it."""
    style = f"width:100%;height:{_FRAME_HEIGHT}px;border:0"
    return (
        f'<iframe title="EM, half step by half step" sandbox="allow-scripts" style="{style}" '
        f'srcdoc="{escaped(page)}"></iframe>'
    )


def as_json(contents: dict[str, Any]) -> str:
    """JSON that ends no script element and begins no comment, whatever texts it holds."""
    text = json.dumps(contents, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _part(name: str) -> str:
    """A file of this room without its indentation, which is a tenth of a page."""
    text = files("latentem.teaching.page").joinpath(name).read_text(encoding="utf-8")
    return "\n".join(line.lstrip() for line in text.splitlines())


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
