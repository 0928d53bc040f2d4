"""`latentem show`: a fit that was saved, as text, a page, a picture or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import latentem as lem
from latentem.command import files
from latentem.data.readers.reader import optional
from latentem.plot import palette
from latentem.plot.menu import first, ringed
from latentem.plot.view import width
from latentem.report import fit_page

_DRAWN = 2000
"""Rows that are drawn from the model for a picture."""
_MANY = 30
"""So many columns a profile has at most."""


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
    """Write a picture: what the components look like, beside the bound of each step in nats."""
    figure = optional("matplotlib.figure", "plot").Figure(figsize=(11, 4.5), layout="constrained")
    draw = _shown(fit)
    *left, right = figure.subplots(1, 1 if draw is None else 2, squeeze=False)[0]
    for ax in (*left, right):
        ax.spines[["top", "right"]].set_visible(False)
        if draw is not None and ax is not right:
            draw(fit, ax)
    lem.plot.history(fit, ax=right)
    right.set_title(fit.status.ending.value)
    with files.beside(path) as made:
        figure.savefig(made, format=path.suffix[1:] or None)


def _shown(fit: lem.Fit[Any]) -> Callable[[lem.Fit[Any], Any], None] | None:
    """The picture of the components that says most, or None where there is none."""
    has = lem.plot.available(fit)
    if "components" in has and width(fit) == 1:
        return _column
    return next((draw for name, draw in (("ellipses", _plane), ("profile", _profile)) if name in has), None)


def _column(fit: lem.Fit[Any], ax: Any) -> None:
    lem.plot.components(fit, ax=ax)
    ax.set_title(f"each {fit.model.noun}")


def _plane(fit: lem.Fit[Any], ax: Any) -> None:
    pair = first(fit, 2, ringed) or (0, 1)
    rows = np.asarray(fit.sample(_DRAWN)[0])
    if "classification" in lem.plot.available(fit):
        lem.plot.classification(fit, rows, pair, ax=ax)
    else:
        ax.plot(*rows[:, pair].T, ".", markersize=3, color=palette.FAINT)
    lem.plot.ellipses(fit, pair, ax=ax)
    ax.set_title(f"{_DRAWN} rows drawn, ellipses of 50 and 95 %")


def _profile(fit: lem.Fit[Any], ax: Any) -> None:
    lem.plot.profile(fit, range(min(_MANY, width(fit))), ax=ax)
    ax.set_title(f"each {fit.model.noun}")
