"""What was measured, as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from benchmarks.page import Page


def draw(page: Page, path: Path) -> None:
    """Ratios with their spread, on a log axis, and the sweeps."""
    bars, sweeps = page.bars(), page.sweeps()
    height = 0.2 * len(bars)
    figure = plt.figure(figsize=(11, 3.4 + height), layout="constrained")
    grid = figure.add_gridspec(2, max(len(sweeps), 1), height_ratios=[height, 2.6])
    axes = figure.add_subplot(grid[0, :])
    for place, (_, ratio, section) in enumerate(bars):
        axes.barh(place, ratio.median - 1, left=1, color=f"C{section}", alpha=0.7)
        axes.plot([ratio.low, ratio.high], [place, place], color="black", linewidth=1)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars], fontsize=7)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xlabel("seconds of the rival over ours (line: least to largest of the runs)")
    for column, (along, found) in enumerate(sweeps.items()):
        below = figure.add_subplot(grid[1, column])
        below.loglog(*zip(*found, strict=True), marker="o")
        below.set_xlabel({"n": "rows", "d": "columns", "k": "components"}[along])
        below.set_ylabel("ns a row of a pass")
        below.grid(alpha=0.3)
        below.minorticks_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)
