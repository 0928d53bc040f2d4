"""`latentem predict`: labels, probabilities and log densities of rows, by a fit that was saved."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import latentem as lem
from latentem.command import files
from latentem.command.table import Given, given

Row = dict[str, Any]


def run(arguments: argparse.Namespace) -> int:
    """Write a line for each row: the columns of names, the label, the probabilities, and the log density in nats."""
    fit = lem.load(arguments.fit)
    if arguments.out is not None:
        files.check_file(arguments.out, "--out", Path(arguments.file))
    words = {name: known for name, known in zip(fit.columns or (), fit.categories or (), strict=False) if known}
    with given(arguments, fit.columns, words) as table:
        target = nullcontext(sys.stdout) if arguments.out is None else files.replaced(arguments.out)
        with target as file:
            writer = csv.writer(file, lineterminator="\n")
            for i, row in enumerate(labelled(fit, table)):
                if arguments.json:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    continue
                flat: Row = {}
                for name, value in row.items():
                    many = name == "probabilities"
                    flat |= {f"probability_{j}": share for j, share in enumerate(value)} if many else {name: value}
                if i == 0:
                    writer.writerow(flat)
                writer.writerow(flat.values())
    return 0


def labelled(fit: lem.Fit[Any], table: Given) -> Iterator[Row]:
    """What a fit says of each row, in order, some of them in memory at a time.

    Raises:
        ValueError: the units of the model are sequences, of which a file of rows says nothing.
    """
    for words, x in table.stretches():
        names = [dict(zip(table.ids, row, strict=True)) for row in words]
        columns: dict[str, list[Any]] = {"label": fit.predict(x).tolist()}
        columns["probabilities"] = fit.predict_proba(x).tolist()
        if fit.log_evidence is not None:
            columns["log_density"] = fit.score_samples(x).tolist()
            if len(columns["log_density"]) != len(names):  # it is of all rows together
                raise ValueError(
                    f"{fit.model!r} is of sequences: label them in Python, with lem.load(...).predict(...)"
                )
        for i, row in enumerate(names):
            yield row | {name: values[i] for name, values in columns.items()}
