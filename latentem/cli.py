"""The command line: `latentem fit` and `latentem demo`."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import textwrap
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, final

import latentem as lem
from latentem import output, report
from latentem.data.readers.reader import Table
from latentem.data.readers.text import read_table

STRUCTURES = {
    "full": lem.Full(),
    "diagonal": lem.Diagonal(),
    "spherical": lem.Spherical(),
    "tied": lem.Tied(),
    "tied-diagonal": lem.Tied(lem.Diagonal()),
    "tied-spherical": lem.Tied(lem.Spherical()),
}
EXAMPLES = """\
examples:
  latentem demo
  latentem fit geyser.csv --components 2
  latentem fit iris.csv --components 3 --columns petal_length,petal_width --out result
  latentem fit counts.tsv --components 2 --model poisson --delimiter '\\t'
"""
CLOSING = (
    "Each M half step moves the parameters and adds its M gain to the bound A, each E half step moves the "
    "posterior of the hidden labels and adds its E gain, and as neither can lose, A = Q + H (the expected "
    "complete-data log likelihood plus the entropy of that posterior, in nats) climbs to a maximum of the "
    "log likelihood."
)


@final
class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"latentem: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 after an error, 130 after Ctrl-C, 141 if nobody reads on."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the sign ± gets a question mark
    code = _answer(argv)
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would fail once more as it exits
        if isinstance(error, BrokenPipeError):
            return 141
        return code or _fail(f"the standard output cannot be written: {error.strerror}")
    return code


def _answer(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        return 141
    except OSError as error:
        return _fail(": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error))
    except (ValueError, lem.Degenerate) as error:
        return _fail(str(error))
    return code


def _fail(message: str, code: int = 2) -> int:
    print("latentem: error:", " ".join(message.split()), file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="latentem",
        description="Fit models with latent variables by EM with its books open.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"latentem {lem.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    what = "Watch EM at work on the Old Faithful geyser, step by step."
    demo = commands.add_parser("demo", help=what, description=what, allow_abbrev=False)
    demo.set_defaults(run=_demo)
    what = "Fit a mixture to the columns of a CSV file."
    fit = commands.add_parser("fit", help=what, description=what, allow_abbrev=False)
    fit.set_defaults(run=_fit)
    fit.add_argument("file", metavar="FILE.csv", help="one observation a line; UTF-8")
    add, count = fit.add_argument, partial(_at_least, 0)
    add(
        "--components",
        type=partial(_at_least, 1),
        required=True,
        metavar="K",
        help="number of components, or of clusters",
    )
    add("--model", choices=["gaussian", "kmeans", "poisson"], default="gaussian", help="default: gaussian")
    add("--structure", choices=list(STRUCTURES), help="covariances of the Gaussians; default: full")
    add("--columns", metavar="A,B", help="names, or numbers from 1 where there is no header; default: all")
    add("--out", type=Path, metavar="DIR", help=f"write {', '.join(output.FILES)} there")
    add("--starts", type=partial(_at_least, 1), default=10, metavar="N", help="random starts; default: 10")
    add("--seed", type=count, default=0, metavar="N", help="the same seed gives the same fit; default: 0")
    add("--max-steps", type=count, default=10_000, metavar="N", help="of one run; default: 10000")
    add("--delimiter", default=",", metavar="C", help="between cells, \\t for a tab; default: a comma")
    add("--header", action=argparse.BooleanOptionalAction, help="whether the first line holds names; default: look")
    return parser


def _at_least(least: int, text: str) -> int:
    with suppress(ValueError):
        if (value := int(text)) >= least:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} was given: give a whole number, at least {least}")


def _fit(arguments: argparse.Namespace) -> int:
    model = _model(arguments)
    columns = arguments.columns
    if columns is not None:
        columns = [name.strip() for name in next(csv.reader(columns.splitlines(), skipinitialspace=True), [])]
    if arguments.out is not None:
        output.check_directory(arguments.out, Path(arguments.file))
    data = read_table(arguments.file, columns, arguments.delimiter.replace("\\t", "\t"), arguments.header)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", lem.ConvergenceWarning)
        fit = lem.fit(model, data, n_starts=arguments.starts, rng=arguments.seed, max_steps=arguments.max_steps)
    for warning in caught:
        print("latentem: warning:", " ".join(str(warning.message).split()), file=sys.stderr)
    try:
        if arguments.out is not None:
            output.write_fit(fit, data, arguments.out)
    finally:
        print(fit)
    if arguments.out is not None:
        print(f"written to {arguments.out}: {', '.join(output.FILES)}")
    return 130 if fit.status.ending is lem.run.Ending.INTERRUPTED else 0


def _model(arguments: argparse.Namespace) -> lem.LatentModel[Any, Any, Any, Any]:
    k = arguments.components
    if arguments.model == "gaussian":
        return lem.GaussianMixture(k, structure=STRUCTURES[arguments.structure or "full"])
    if arguments.structure is not None:
        raise ValueError(f"--structure was given with --model {arguments.model}: it is for --model gaussian")
    return lem.KMeans(k) if arguments.model == "kmeans" else lem.Mixture(lem.Poisson(), k)


def _demo(arguments: argparse.Namespace) -> int:
    data = Table(lem.datasets.old_faithful(), ("eruption", "waiting"))
    print("272 eruptions of the Old Faithful geyser: how long each lasted, and the waiting time to the next,")
    print("in minutes. Two Gaussians, from a crude start: waiting up to 80 minutes, and longer.\n")
    fit = lem.fit(lem.GaussianMixture(2), data, start=(data.values[:, 1] > 80).astype(int))
    rows = [["step", "M gain", "E gain", "Q", "H", "A = Q + H"]]
    for step in fit.history:
        gains = [report.gain(gain, step) if step.index else "" for gain in (step.m_gain, step.e_gain)]
        books = [report.number(value) for value in (step.expected_log_joint, step.entropy, step.bound)]
        rows.append([f"{step.index:4}", *gains, *books])
    print(report.table(rows), fit, textwrap.fill(CLOSING, 98), sep="\n\n")
    return 0
