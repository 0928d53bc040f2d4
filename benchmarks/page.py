"""The page: sections, each with a table whose rows come as they are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import define, field, frozen

from benchmarks.measure import Machine, Ratio

HEAD = """# Benchmarks

Written by `python -m benchmarks` on {date}; machine: {machine}. With all cores: large products {products:.0f} GFLOP/s,
exponentials {exponentials:.2f} a nanosecond, memory {bytes:.1f} GB/s. Every comparison first asserts that both have the
same answer, and then times the two in turn in one process. A ratio is the rival's seconds over ours, above one where we
are faster: the median of the ratios of neighbouring runs, with the least and the largest.

![ratios and sweeps](benchmarks.png)
"""


@frozen
class Row:
    """A row of a table.

    Attributes:
        cells: Its cells, as they are printed.
        bar: The ratio that the picture shows, and its name there; None where it shows none.
        point: A point of a sweep for the picture: along what, at which value, how many nanoseconds a row.
    """

    cells: tuple[object, ...]
    bar: tuple[str, Ratio] | None = None
    point: tuple[str, int, float] | None = None

    def __str__(self) -> str:
        return f"| {' | '.join(map(str, self.cells))} |"


@frozen
class Section:
    """A heading, some words, and a table.

    Attributes:
        title: The heading.
        text: The words.
        header: The heads of the columns.
        rows: Measures the rows, all of them or, where it is asked to be quick, the first few.
    """

    title: str
    text: str
    header: tuple[str, ...]
    rows: Callable[[Machine, bool], Iterator[Row]]


@define
class Page:
    """What was measured so far.

    Attributes:
        machine: Where.
        date: When.
        tables: The rows of each section.
    """

    machine: Machine
    date: str
    tables: dict[Section, list[Row]] = field(factory=dict)

    def measure(self, section: Section, quick: bool) -> Iterator[Row]:
        """Measure a section; its rows are kept, and handed on as they come."""
        rows = self.tables.setdefault(section, [])
        for row in section.rows(self.machine, quick):
            rows.append(row)
            yield row

    def bars(self) -> list[tuple[str, Ratio, int]]:
        """What the picture shows as bars: names, ratios, and the number of the section."""
        tables = enumerate(self.tables.values())
        return [(*row.bar, number) for number, rows in tables for row in rows if row.bar is not None]

    def sweeps(self) -> dict[str, list[tuple[int, float]]]:
        """What the picture shows as curves."""
        points = [row.point for rows in self.tables.values() for row in rows if row.point is not None]
        return {
            along: [(at, ns) for of, at, ns in points if of == along] for along in dict.fromkeys(p[0] for p in points)
        }

    def __str__(self) -> str:
        m = self.machine
        rates = {"products": m.products / 1e9, "exponentials": m.exponentials / 1e9, "bytes": m.bytes / 1e9}
        parts = [HEAD.format(date=self.date, machine=m.name, **rates)]
        for section, rows in self.tables.items():
            table = [Row(section.header), Row(("---",) * len(section.header)), *rows]
            parts += [f"## {section.title}\n", f"{section.text.strip()}\n", "\n".join(map(str, table)) + "\n"]
        return "\n".join(parts)
