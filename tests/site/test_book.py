"""The book in a real browser: whether everyone can use its first page, its mathematics and the course."""

from __future__ import annotations

from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "build" / "site"
CHAPTERS = sorted(path.stem for path in (Path(__file__).parents[2] / "docs" / "course").glob("0*.py"))
PAGES = ["index", "mathematics", "gallery/course/index", *(f"gallery/course/{name}" for name in CHAPTERS)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_book_is_accessible_and_asks_no_network(browser, axe, scheme):
    """axe-core finds no violation on the first page, the mathematics and each chapter, and no request leaves them."""
    if not (BOOK / "index.html").exists():
        pytest.skip("there is no build/site: make site")
    context = browser.new_context(color_scheme=scheme)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    for name in PAGES:
        page.goto((BOOK / f"{name}.html").as_uri())
        page.evaluate(axe)
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [(one["id"], len(one["nodes"])) for one in found] == [], name
    assert not [url for url in asked if not url.startswith(("file:", "data:", "about:"))]
    context.close()
