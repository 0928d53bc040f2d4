"""The check that who reads the site asks no network for anything: no script, style, font or picture from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ASKED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\s(?:src|data)=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))[^>]*?\shref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?((?:https?:)?//[^"'\s)]+)|url\(["']?((?:https?:)?//[^"'\s)]+)"""
)


def asked(text: str) -> list[str]:
    """The addresses that a page or a style sheet makes a browser ask by itself; a link that one may follow is none."""
    return [next(filter(None, found.groups())) for found in ASKED.finditer(text)]


def checked(app: Sphinx, error: Exception | None) -> None:
    """Refuses a site of which a file asks a network."""
    if error is None and app.builder.format == "html":
        files = [path for kind in ("*.html", "*.css") for path in Path(app.outdir).rglob(kind)]
        found = {path.name: urls for path in files if (urls := asked(path.read_text(encoding="utf-8")))}
        if found:
            from sphinx.errors import ExtensionError  # here, so that `asked` can be had without Sphinx

            raise ExtensionError(f"a reader of the site would need a network: {found}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Looks at the files once they are all written."""
    app.connect("build-finished", checked)
    return {"parallel_read_safe": True}
