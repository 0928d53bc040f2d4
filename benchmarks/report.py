"""What was measured, as a page."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from benchmarks.fits import Race
from benchmarks.kmeans import Clustering
from benchmarks.measure import Machine, Ratio
from benchmarks.passes import Pass

HEAD = """# Benchmarks

Written by `python -m benchmarks` on {date}; machine: {machine}. With all cores: large products {products:.0f} GFLOP/s,
exponentials {exponentials:.2f} a nanosecond, memory {bytes:.1f} GB/s. Every comparison first asserts that both have the
same answer, and then times the two in turn in one process. A ratio is the rival's seconds over ours, above one where we
are faster: the median of the ratios of neighbouring runs, with the least and the largest.

![ratios and sweeps](benchmarks.png)
"""
PASS = """## A pass of a Gaussian mixture, against scikit-learn

E-step, entropy, books, audit and M-step of ours, with threads, as `fit` has them, and with forked processes; E and M
step of theirs. Two threads, two processes: ours with one over ours with two. Roofline: the products, exponentials and
bytes that a pass needs, at the rates above, over the shorter of our times.
"""
SWEEPS = """## Sweeps

Nanoseconds a row of a pass of ours: 4 columns, 5 components, 50,000 rows where nothing else is said.
"""
PASSES = (
    "rows x columns, k|covariances|scikit-learn, ms|threads, ms|ratio|processes, ms|ratio"
    "|two threads|two processes|roofline"
)
RACES = "problem|plain passes|ours|scikit-learn, s|ours, s|ratio|plain over accelerated|to our own stop|ten starts, s"
CLUSTERINGS = "rows x columns, k|clusters|type|steps|scikit-learn, ms|threads, ms|ratio|processes, ms|ratio"
RIVALS = "what|against|theirs, ms|ours, ms|ratio"


@define
class Report:
    """Rows of the tables, printed as they come.

    Attributes:
        machine: Where it was measured.
        date: When.
        passes: Of mixtures.
        races: Whole fits.
        clusterings: K-means.
        rivals: Other models: what, whom, ratio.
        memory: Peak bytes above the data.
    """

    machine: Machine
    date: str
    passes: list[Pass] = field(factory=list)
    races: list[Race] = field(factory=list)
    clusterings: list[Clustering] = field(factory=list)
    rivals: list[tuple[str, str, Ratio]] = field(factory=list)
    memory: float = float("nan")

    def add_pass(self, one: Pass) -> None:
        """Take in a pass."""
        self.passes.append(one)
        print(_pass(one), flush=True)

    def add_race(self, race: Race) -> None:
        """Take in a race."""
        self.races.append(race)
        print(_race(race), flush=True)

    def add_clustering(self, one: Clustering) -> None:
        """Take in a clustering."""
        self.clusterings.append(one)
        print(_clustering(one), flush=True)

    def add_rival(self, what: str, whom: str, ratio: Ratio) -> None:
        """Take in another model."""
        self.rivals.append((what, whom, ratio))
        print(_row(what, whom, ratio), flush=True)

    def text(self, sweeps: dict[str, list[tuple[int, float]]]) -> str:
        """The page."""
        m = self.machine
        rates = {"products": m.products / 1e9, "exponentials": m.exponentials / 1e9, "bytes": m.bytes / 1e9}
        parts = [
            HEAD.format(date=self.date, machine=m.name, **rates),
            PASS,
            _table(PASSES, map(_pass, self.passes)),
            "## A fit from the same start, to the same log likelihood, against scikit-learn\n",
            _table(RACES, map(_race, self.races)),
            "## K-means from the same centres until no assignment changes, against scikit-learn's Lloyd\n",
            "Left out where a cluster becomes empty: each moves it in its own way.\n",
            _table(CLUSTERINGS, map(_clustering, self.clusterings)),
            "## Other models\n",
            _table(RIVALS, (_row(*rival) for rival in self.rivals)),
            f"## Memory\n\nPeak above the data, 1,000,000 x 8, k = 20, two threads: {self.memory / 2**20:.0f} MB.\n",
            SWEEPS,
            *(_table(f"{along}|ns a row", (f"{at:,}|{ns:.1f}" for at, ns in found)) for along, found in sweeps.items()),
        ]
        return "\n".join(parts)


def _table(header: str, rows: Any) -> str:
    lines = [header, "|".join(["---"] * (header.count("|") + 1)), *rows]
    return "\n".join(f"| {line.replace('|', ' | ')} |" for line in lines) + "\n"


def _size(n: int, d: int, k: int) -> str:
    return f"{n:,} x {d}, {k}"


def _pass(one: Pass) -> str:
    n, d, k, apart = one.size
    kind = f"{one.kind}{', apart' if apart > 1 else ''}"
    share = "" if one.roofline != one.roofline else f"{one.roofline:.2f}"
    times = (
        f"{1e3 * one.ratio.rival:.1f}|{1e3 * one.ratio.ours:.1f}|{one.ratio}|{1e3 * one.forked.ours:.1f}|{one.forked}"
    )
    return f"{_size(n, d, k)}|{kind}|{times}|{one.threads}|{one.processes}|{share}"


def _race(race: Race) -> str:
    r = race.ratio
    end = f"{race.rested[0]} passes, {race.rested[1]:.2f} s"
    times = f"{r.rival:.2f}|{r.ours:.3f}|{r}|{race.acceleration}|{end}|{race.ten:.2f}"
    return f"{race.name}|{race.plain}|{race.passes}|{times}"


def _clustering(one: Clustering) -> str:
    r = one.ratio
    kind = f"{'apart' if one.apart else 'overlapping'}|{'single' if one.single else 'double'}"
    forked = f"{1e3 * one.forked.ours:.0f}|{one.forked}"
    return f"{_size(*one.size)}|{kind}|{one.steps}|{1e3 * r.rival:.0f}|{1e3 * r.ours:.0f}|{r}|{forked}"


def _row(what: str, whom: str, ratio: Ratio) -> str:
    return f"{what}|{whom}|{1e3 * ratio.rival:.0f}|{1e3 * ratio.ours:.0f}|{ratio}"
