"""Run the benchmarks and write docs/benchmarks.md and its picture: `python -m benchmarks [SECTION ...] [--quick]`."""

from __future__ import annotations

import argparse
import datetime
import os
from pathlib import Path

from benchmarks import correlated, costs, crawling, fits, kmeans, others, passes, small, sweeps
from benchmarks.measure import Machine
from benchmarks.page import Page
from benchmarks.picture import draw
from latentem.compiled.choice import VARIABLE

SECTIONS = {
    "small-steps": small.STEPS,
    "small-fits": small.FITS,
    "crawling": crawling.SECTION,
    "passes": passes.SECTION,
    "correlated": correlated.SECTION,
    "fits": fits.SECTION,
    "others": others.SECTION,
    "costs": costs.SECTION,
    "sweeps": sweeps.SECTION,
    "kmeans": kmeans.SECTION,
}
"""In the order of the page; K-means takes longest."""


def main() -> None:
    """Measure the sections asked for, print as it comes, and write it down where all were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"only these, printed: {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="the first sizes only, in about a minute")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where benchmarks.md is written")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    os.environ[VARIABLE] = "0"  # numpy's loops, where a column does not say otherwise
    page = Page(Machine.measured(), datetime.date.today().isoformat())
    for name in given.sections or SECTIONS:
        print(f"\n{SECTIONS[name].title}", flush=True)
        for row in page.measure(SECTIONS[name], given.quick):
            print(row, flush=True)
        if not given.sections:  # what is there is kept, should a later section not come to its end
            given.out.mkdir(exist_ok=True)
            (given.out / "benchmarks.md").write_text(str(page))
            draw(page, given.out / "benchmarks.png")


if __name__ == "__main__":
    main()
