"""Pieces of HTML that stand by themselves: no style sheet, no script, no colour but the reader's own.

Everything is drawn in `currentColor` on no background, so that it reads on a light page and on a dark one. What comes
from outside, such as the name of a column, is escaped.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Characters that no page may hold."""
_WIDE, _HIGH = 240, 40
"""The size of a sparkline, in pixels."""
_POINTS = 240
"""The most points of a sparkline: a screen shows no more."""
_LINE = "1px solid color-mix(in srgb, currentColor 30%, transparent)"
_CELL = "text-align:right;padding:0.15em 0.6em;border:none"


def escaped(text: str) -> str:
    """Text that a page shows as it is, in a tag or between tags."""
    printable = text.encode("utf-8", "replace").decode()  # half a pair of surrogates is no character
    return html.escape(_CONTROL.sub("\ufffd", printable))


def paragraph(text: str, strong: bool = False) -> str:
    """A line of text."""
    return f'<div style="font-weight:{"bold" if strong else "normal"}">{escaped(text)}</div>'


def verbatim(text: str) -> str:
    """Text in the lines and spaces that it has."""
    return f'<pre style="color:inherit;background:none;white-space:pre-wrap">{escaped(text)}</pre>'


def items(texts: Sequence[str]) -> str:
    """A list of sentences."""
    return f'<ul style="margin:0.2em 0">{"".join(f"<li>{escaped(text)}</li>" for text in texts)}</ul>'


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first of them a header; the first cell of each row is one, too."""
    head, *body = rows
    header = "".join(f'<th scope="col" style="{_CELL};border-bottom:{_LINE}">{escaped(cell)}</th>' for cell in head)
    lines = "".join(
        f'<tr><th scope="row" style="{_CELL}">{escaped(row[0])}</th>'
        + "".join(f'<td style="{_CELL}">{escaped(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in body
    )
    style = "border-collapse:collapse;color:inherit;background:none;margin:0.5em 0"
    return f'<table style="{style}"><thead><tr>{header}</tr></thead><tbody>{lines}</tbody></table>'


def folded(title: str, body: str) -> str:
    """Details that open at a click."""
    return f'<details style="margin:0.2em 0"><summary style="cursor:pointer">{escaped(title)}</summary>{body}</details>'


def page(*parts: str) -> str:
    """Parts one below the other, in the colour and on the background of the page around them."""
    style = "color:inherit;background:none;line-height:1.4;overflow-x:auto"
    return f'<div class="latentem" style="{style}">{"".join(parts)}</div>'


def sparkline(values: Sequence[float], title: str, rounding: float = 0.0) -> str:
    """A line through the finite values, one a step, in the order in which they are given; none through fewer than two.

    Args:
        values: What is drawn, from left to right.
        title: What it is, for those who hover over it and for those who cannot see it.
        rounding: Values that differ by no more than this are drawn as one, so that no noise looks like a fall.
    """
    known = [(i, value) for i, value in enumerate(values) if math.isfinite(value)]
    if len(known) < 2:
        return ""
    drawn = {round(j * (len(known) - 1) / (_POINTS - 1)) for j in range(_POINTS)}
    known = [known[j] for j in sorted(drawn)]
    low, high = min(value for _, value in known), max(value for _, value in known)
    first, last = known[0][0], known[-1][0]

    def place(i: int, value: float) -> str:
        # Halves, for the difference of two large numbers may have no float.
        up = (value / 2 - low / 2) / (high / 2 - low / 2) if high - low > rounding else 0.5
        return f"{2 + (_WIDE - 4) * (i - first) / (last - first):.1f},{_HIGH - 3 - (_HIGH - 6) * up:.1f}"

    points = " ".join(place(i, value) for i, value in known)
    told = escaped(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{told}" width="{_WIDE}" height="{_HIGH}" '
        f'viewBox="0 0 {_WIDE} {_HIGH}" style="display:block;background:none;margin:0.3em 0"><title>{told}</title>'
        f'<polyline fill="none" stroke="currentColor" stroke-width="1.5" points="{points}"/></svg>'
    )
