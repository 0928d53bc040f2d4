"""A summary in the three languages in which results are handed on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from latentem.report import html as pieces

if TYPE_CHECKING:
    from latentem.report.summary import Summary

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")
"""What Markdown, its tables, and the formulas of a notebook would read as a sign of their own."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "[": "{[}",  # after a line's end it would be the argument of that end
    "]": "{]}",
    "*": "{*}",  # there it would be a part of the end
    "-": "{-}",  # two in a row would be a dash
    "`": "{`}",  # and these another kind of quote
}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that are not set."""
_NEGATIVE = re.compile(r"(?<![^\s(])-(?=\d)")


def html(summary: Summary) -> str:
    """The summary as HTML."""
    return pieces.page(*html_parts(summary))


def html_parts(summary: Summary) -> list[str]:
    """What is in the HTML of a summary, from top to bottom."""
    shown, more = summary.cells
    advice = [pieces.paragraph(f"what to try: {summary.status.advice}")] if summary.status.advice else []
    return [
        pieces.paragraph(summary.headline, strong=True),
        pieces.paragraph(summary.outcome),
        *advice,
        pieces.table(shown) if shown else pieces.verbatim(summary.params),
        *([pieces.paragraph(f"({more} more columns not shown)")] if more else []),
        *map(pieces.paragraph, summary.lines),
        *([pieces.paragraph("events:"), pieces.items(summary.told)] if summary.told else []),
        *([pieces.paragraph("events: none")] if summary.status.converged and not summary.told else []),
    ]


def markdown(summary: Summary) -> str:
    """The summary as Markdown."""
    shown, more = summary.cells
    blocks = [f"**{_marked(summary.headline)}**", _marked(summary.outcome)]
    if summary.status.advice:
        blocks.append(_marked(f"what to try: {summary.status.advice}"))
    if shown:
        rule = ["---", *["---:"] * (len(shown[0]) - 1)]
        rows = [map(_marked, shown[0]), rule, *(map(_marked, row) for row in shown[1:])]
        blocks.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    else:
        blocks.append("\n".join(f"    {line}" for line in summary.params.splitlines()))
    if more:
        blocks.append(f"({more} more columns not shown)")
    blocks.append("\n".join(f"- {_marked(line)}" for line in summary.lines))
    if summary.told:
        blocks += ["events:", "\n".join(f"- {_marked(told)}" for told in summary.told)]
    elif summary.status.converged:
        blocks.append("events: none")
    return "\n\n".join(blocks) + "\n"


def latex(summary: Summary) -> str:
    """The summary as LaTeX."""
    shown, more = summary.cells
    blocks = [rf"\textbf{{{_set(summary.headline)}}}", _set(summary.outcome)]
    if summary.status.advice:
        blocks.append(_set(f"what to try: {summary.status.advice}"))
    if shown:
        rows = [" & ".join(map(_set, row)) + r" \\" for row in shown]
        aligned = f"l{'r' * (len(shown[0]) - 1)}"
        body = [rf"\begin{{tabular}}{{{aligned}}}", r"\hline", rows[0], r"\hline", *rows[1:], r"\hline"]
        blocks.append("\n".join([*body, r"\end{tabular}"]))
    else:
        blocks.append("\\\\\n".join(rf"\texttt{{{_set(line)}}}" for line in summary.params.splitlines()))
    if more:
        blocks.append(f"({more} more columns not shown)")
    blocks += map(_set, summary.lines)
    if summary.told:
        listed = "\n".join(rf"\item {_set(told)}" for told in summary.told)
        blocks += ["events:", f"\\begin{{itemize}}\n{listed}\n\\end{{itemize}}"]
    elif summary.status.converged:
        blocks.append("events: none")
    return "\n\n".join(blocks) + "\n"


def _marked(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _set(text: str) -> str:
    """Text that LaTeX sets as it is, on one line; a number below zero has a minus, and not a hyphen."""
    parts = _NEGATIVE.split(" ".join(_CONTROL.sub("?", text).split()))
    signs = "$-$".join("".join(_LATEX.get(sign, sign) for sign in part) for part in parts)
    return re.sub("'(?=')", "'{}", signs)  # two in a row would be one sign
