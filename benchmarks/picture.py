"""What was measured, as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from benchmarks.measure import Ratio
from benchmarks.report import Report


def draw(report: Report, sweeps: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Ratios with their spread, on a log axis, and the sweeps."""
    bars: list[tuple[str, Ratio, str]] = []
    for one in report.passes:
        n, d, k, apart = one.size
        name = f"mixture {one.kind}{' apart' if apart > 1 else ''} {n:,} x {d}, {k}"
        bars.append((name, one.ratio, "C0"))
    bars += [(f"fit, {race.name}", race.ratio, "C1") for race in report.races]
    for each in report.clusterings:
        n, d, k = each.size
        name = f"K-means {'apart' if each.apart else 'overlap'}{' single' if each.single else ''} {n:,} x {d}, {k}"
        bars.append((name, each.ratio, "C2"))
    bars += [(f"{whom}: {what}", ratio, "C3") for what, whom, ratio in report.rivals]
    figure = plt.figure(figsize=(11, 3.4 + 0.2 * len(bars)), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=[0.2 * len(bars), 2.6])
    axes = figure.add_subplot(grid[0, :])
    for place, (_, ratio, colour) in enumerate(bars):
        axes.barh(place, ratio.median - 1, left=1, color=colour, alpha=0.7)
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
