"""`latentem show`: a fit that was saved, as text, a page, a picture or JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import latentem as lem
from latentem.command import files
from latentem.data.readers.reader import optional
from latentem.report import fit_page

_DRAWN = 2000
"""Rows that are drawn from the model for a picture."""


def run(arguments: argparse.Namespace) -> int:
    """Print the fit, and write the page and the picture that were asked for.

    A file may name no class that is not the library's: nothing is imported because it says so.
    """
    check(arguments.html, arguments.plot, arguments.fit)
    fit = lem.load(arguments.fit)
    try:
        write(fit, arguments.html, arguments.plot)
    finally:
        print(json.dumps(files.described(fit), indent=2, ensure_ascii=False) if arguments.json else fit)
    return 0


def write(fit: lem.Fit[Any], html: Path | None, plot: Path | None) -> None:
    """Write the page and the picture that were asked for, each whole or not at all."""
    if html is not None:
        with files.replaced(html) as file:
            file.write(_page(fit))
    if plot is not None:
        _plot(fit, plot)


def check(html: Path | None, plot: Path | None, source: Path) -> None:
    """Find out whether both could be written, before there is anything to lose.

    Raises:
        OSError: there is no place for a file.
        ImportError: matplotlib is missing; the message says how to install it.
        ValueError: the ending of a path is no kind of picture.
    """
    if html is not None:
        files.check_file(html, "--html", source)
    if plot is not None:
        files.check_file(plot, "--plot", source)
        known = optional("matplotlib.figure", "plot").Figure().canvas.get_supported_filetypes()
        if plot.suffix[1:].lower() not in known:
            raise ValueError(f"{plot} was given to --plot: give a file that ends in .{', .'.join(sorted(known))}")


def _page(fit: lem.Fit[Any]) -> str:
    """A page of HTML that needs nothing beside it."""
    head = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>latentem</title>\n'
    style = "<style>:root { color-scheme: light dark; font-family: sans-serif }</style>\n"
    return f"{head}{style}{fit_page(fit)}\n</html>\n"


def _plot(fit: lem.Fit[Any], path: Path) -> None:
    """Write a picture: rows that the model draws, by component, beside the bound of each step in nats."""
    figures = optional("matplotlib.figure", "plot")
    figure = figures.Figure(figsize=(10, 4.5), layout="constrained")
    rows, steps = figure.subplots(1, 2)
    x, labels = fit.sample(_DRAWN)
    x, labels = np.asarray(x), np.asarray(labels)
    names = fit.columns or [f"x{i}" for i in range(x.shape[1])]
    each = [x[labels == j] for j in range(int(labels.max()) + 1)] if labels.ndim == 1 else [x]
    if x.shape[1] == 1:
        rows.hist([part[:, 0] for part in each], bins=40, stacked=True)
        rows.set_ylabel("rows drawn")
    else:
        for j, part in enumerate(each):
            rows.plot(part[:, 0], part[:, 1], ".", markersize=3, label=f"{fit.model.noun} {j}")
        rows.set_ylabel(names[1])
        if 1 < len(each) <= 10:
            rows.legend()
    rows.set_xlabel(names[0])
    rows.set_title(f"{_DRAWN} rows drawn from the model")
    steps.plot([step.index for step in fit.history], fit.history.bound)
    steps.set_xlabel("step")
    steps.set_ylabel("bound A = Q + H, nats")
    steps.set_title(f"{fit.status.ending.value}".replace("_", " "))
    with files.beside(path) as made:
        figure.savefig(made, format=path.suffix[1:] or None)
