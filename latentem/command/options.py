"""The words that the command line knows."""

from __future__ import annotations

import argparse
import csv
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, final

import latentem as lem
from latentem.command import choosing, demo, files, fitting, predicting, showing
from latentem.command.models import BY_NAME, MODELS, STRUCTURES
from latentem.data.readers.reader import optional

EXAMPLES = """\
examples:
  latentem demo
  latentem fit geyser.csv --components 2 --save geyser.lem
  latentem fit iris.csv --components 3 --columns petal_length,petal_width --out result
  latentem fit counts.tsv --components 2 --model poisson
  zcat big.csv.gz | latentem fit - --components 2 --id serial --json
  latentem select iris.csv --components 1-5 --structures full,tied --save best.lem
  latentem predict geyser.lem new.csv --id serial > labels.csv
  latentem show geyser.lem --html geyser.html --plot geyser.png
"""
CODES = "exit codes: 0 done, 2 wrong input, 3 not converged with --strict, 130 Ctrl-C, 141 nobody reads the output"
KINDS = ("csv", "tsv", "parquet", "npy", "h5", "zarr")


@final
class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"latentem: error: {message} (see {self.prog} --help)\n")


@final
class _Completion(argparse.Action):
    """Prints what a shell reads to complete the words of a command."""

    def __call__(self, whole: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        print(optional("shtab", "completion").complete(whole, values))
        whole.exit()


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run`, a function of the arguments that gives an exit code."""
    whole = _Parser(
        prog="latentem",
        description="Fit models with latent variables by EM with its books open.",
        epilog=f"{EXAMPLES}\n{CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"latentem {lem.__version__}")
    shells = ("bash", "zsh", "tcsh")
    what = "print what completes the words of a command, for a shell to read"
    whole.add_argument("--completion", choices=shells, action=_Completion, help=what)
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, what: str, run: Any) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    _fit(command("fit", "Fit a mixture to the columns of a file.", fitting.run))
    _predict(command("predict", "Label the rows of a file by a fit that was saved.", predicting.run))
    _select(command("select", "Fit mixtures of several sizes and structures, and rank them.", choosing.run))
    _show(command("show", "Show a fit that was saved.", showing.run))
    command("demo", "Watch EM at work on the Old Faithful geyser, step by step.", demo.run)
    return whole


def _fit(command: argparse.ArgumentParser) -> None:
    _table(command)
    add = command.add_argument
    add("--components", type=partial(_at_least, 1), required=True, metavar="K", help="how many components, or clusters")
    add("--model", choices=MODELS, default="gaussian", help="default: gaussian")
    add("--structure", choices=list(BY_NAME), help="covariances of the Gaussians; default: full")
    add("--categorical", type=_names, default=[], metavar="A,B", help="columns of categories, in words or numbers")
    add("--weights", metavar="A", help="the column that says how often each row counts")
    add("--out", type=Path, metavar="DIR", help=f"write {', '.join(files.FILES)} there")
    add("--html", type=Path, metavar="FILE.html", help="write a page")
    add("--plot", type=Path, metavar="FILE.png", help="write a picture: rows as the model draws them, and the bound")
    add("--strict", action="store_true", help="exit with the code 3 if the fit has not converged")
    _runs(command)


def _predict(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("fit", type=Path, metavar="FIT.lem", help="what fit --save has written")
    _table(command)
    add("--out", type=Path, metavar="FILE.csv", help="where to write; default: standard output")
    add("--json", action="store_true", help="one JSON object a row in place of CSV")


def _select(command: argparse.ArgumentParser) -> None:
    _table(command)
    add = command.add_argument
    add("--components", type=_span, required=True, metavar="K-L", help="how many components, from K to L")
    add("--model", choices=[name for name in MODELS if name != "kmeans"], default="gaussian", help="default: gaussian")
    add(
        "--structures",
        metavar="A,B",
        help=f"of {', '.join(BY_NAME)}; or all, for the fourteen; default: {', '.join(STRUCTURES)}",
    )
    add("--criterion", choices=["bic", "icl", "aic"], default="bic", help="what they are ranked by; default: bic")
    add("--categorical", type=_names, default=[], metavar="A,B", help="columns of categories, in words or numbers")
    add("--weights", metavar="A", help="the column that says how often each row counts")
    _runs(command)


def _show(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("fit", type=Path, metavar="FIT.lem", help="what fit --save has written")
    add("--html", type=Path, metavar="FILE.html", help="write a page")
    add("--plot", type=Path, metavar="FILE.png", help="write a picture: rows as the model draws them, and the bound")
    add("--json", action="store_true", help="print a JSON document in place of the summary")


def _table(command: argparse.ArgumentParser) -> None:
    """What says which table is meant, and how it is written."""
    add = command.add_argument
    add("file", metavar="FILE", help="rows in .csv, .tsv, .txt, .parquet, .npy, .h5 or .zarr; - for standard input")
    add("--columns", type=_names, metavar="A,B", help="names, or numbers from 1 where there are none; default: all")
    add("--id", type=_names, default=[], metavar="A,B", help="columns that are not fitted, but written beside labels")
    add("--kind", choices=KINDS, help="of a file whose name does not say it; of standard input: csv")
    add("--delimiter", metavar="C", help="between cells, \\t for a tab; default: a comma, or ; beside --decimal ,")
    add("--decimal", choices=[".", ","], help="the mark before decimals; default: a point")
    add("--encoding", metavar="NAME", help="such as cp1252; default: UTF-8")
    add("--header", action=argparse.BooleanOptionalAction, help="whether the first line holds names; default: look")


def _runs(command: argparse.ArgumentParser) -> None:
    """How a fit runs, and what becomes of it."""
    add, count = command.add_argument, partial(_at_least, 0)
    add("--starts", type=partial(_at_least, 1), default=10, metavar="N", help="random starts; default: 10")
    add("--seed", type=count, default=0, metavar="N", help="the same seed gives the same fit; default: 0")
    add("--max-steps", type=count, default=10_000, metavar="N", help="of one run; default: 10000")
    add("--save", type=Path, metavar="FIT.lem", help="keep the fit, for predict and show")
    add("--json", action="store_true", help="print a JSON document in place of the summary")
    add("--progress", action="store_true", help="show on the standard error how far the fit is")


def _at_least(least: int, text: str) -> int:
    with suppress(ValueError):
        if (value := int(text)) >= least:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} was given: give a whole number, at least {least}")


def _span(text: str) -> range:
    low, _, high = text.partition("-")
    with suppress(ValueError):
        if 1 <= int(low) <= int(high or low):
            return range(int(low), int(high or low) + 1)
    raise argparse.ArgumentTypeError(f"{text!r} was given: give two whole numbers, such as 1-5")


def _names(text: str) -> list[str]:
    cells = next(csv.reader(text.splitlines(), skipinitialspace=True), [])
    return [name.strip() for name in cells]
