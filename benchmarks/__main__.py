"""Run the benchmarks and write docs/benchmarks.md and its picture: `python -m benchmarks [--quick] [--out docs]`."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from benchmarks import fits, kmeans, memory, others, passes
from benchmarks.measure import Machine
from benchmarks.picture import draw
from benchmarks.report import Report


def main() -> None:
    """Measure everything, print as it comes, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first sizes only, in about a minute")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where benchmarks.md is written")
    given = parser.parse_args()
    few = slice(0, 2 if given.quick else None)
    machine = Machine.measured()
    report = Report(machine, datetime.date.today().isoformat())
    for one in passes.passes(machine, passes.SIZES[few]):
        report.add_pass(one)
    for race in fits.races(dict(list(fits.PROBLEMS.items())[few])):
        report.add_race(race)
    for what, whom, ratio in others.rivals():
        report.add_rival(what, whom, ratio)
    report.memory = memory.in_memory()
    sweeps = {along: passes.sweep(along) for along in ("n", "d", "k")}
    given.out.mkdir(exist_ok=True)
    for one_clustering in kmeans.clusterings(kmeans.SIZES[few]):
        report.add_clustering(one_clustering)
        (given.out / "benchmarks.md").write_text(report.text(sweeps))  # the largest take long: what is there is kept
        draw(report, sweeps, given.out / "benchmarks.png")
    print(f"written: {given.out / 'benchmarks.md'} and benchmarks.png")


if __name__ == "__main__":
    main()
