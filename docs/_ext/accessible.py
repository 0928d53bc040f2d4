"""What the theme and the gallery leave out for those who read by keyboard or screen reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

GALLERY_LINK = re.compile(r'<a class="reference internal" href="([^"]+)">(<span class="doc">([^<]+)</span>)</a>')


def mended(text: str) -> str:
    """A page whose headings have a level, whose wide blocks can be scrolled by keys, and whose landmarks have names."""
    text = text.replace('class="caption" role="heading">', 'class="caption" role="heading" aria-level="2">')
    text = text.replace("<pre>", '<pre tabindex="0">')
    text = text.replace('<div class="math notranslate', '<div tabindex="0" class="math notranslate')
    text = text.replace('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="All pages">')
    text = text.replace('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer')
    text = text.replace('<th class="head"><p></p></th>', '<td class="head"></td>')
    return GALLERY_LINK.sub(r'<a class="reference internal" href="\1" aria-label="\3">\2</a>', text)


def finished(app: Sphinx, error: Exception | None) -> None:
    """Mends all pages once they are written; a page that was mended before stays as it is."""
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            before = path.read_text(encoding="utf-8")
            if (after := mended(before)) != before:
                path.write_text(after, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Looks at the pages once they are all written."""
    app.connect("build-finished", finished)
    return {"parallel_read_safe": True}
