"""A real browser, or the reason why there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


def pytest_collection_modifyitems(items):
    """Every test of this folder is one of the site."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.site)


@pytest.fixture(scope="session")
def browser():
    """The Chromium of the system; none is downloaded."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not there: make site-test installs it")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe():
    """The script of axe-core, which judges whether a page is accessible."""
    if not AXE.exists():
        pytest.skip("axe-core is not there: npm ci, or make site-test")
    return AXE.read_text(encoding="utf-8")


class Opened:
    """A page in the browser, and whatever it asked for or complained about."""

    def __init__(self, browser, address, ready, **options):
        self.asked, self.complaints = [], []
        options.setdefault("viewport", {"width": 1280, "height": 900})
        self.page = browser.new_page(**options)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector(ready)

    def text(self, selector):
        """The text of an element, with the minus signs of Python."""
        return self.page.locator(selector).inner_text().replace("\u2212", "-")

    def rows(self, selector):
        """The cells of a table, row by row."""
        script = "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
        found = self.page.locator(selector).evaluate(script)
        return [[cell.replace("\u2212", "-") for cell in row] for row in found]

    def frame(self):
        """The number of the half step that is shown."""
        return int(self.text(".where").split()[0])


@pytest.fixture
def visit(browser, tmp_path):
    """Opens the text of a page, and at last checks that it asked for nothing and logged nothing."""
    pages = []

    def opened(text, after="", ready=".parameters table", **options):
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(text, encoding="utf-8")
        pages.append(Opened(browser, path.as_uri() + after, ready, **options))
        return pages[-1]

    yield opened
    for one in pages:
        assert one.complaints == []
        assert [url for url in one.asked if not url.startswith(("file:", "data:"))] == []
        assert len([url for url in one.asked if url.startswith("file:")]) == 1
        one.page.close()
