"""`latentem fit`: a mixture of the columns of a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import latentem as lem
from latentem.command import files, showing
from latentem.command.models import fitted, model
from latentem.command.table import given

NOT_CONVERGED = 3
"""The exit code of a fit that has not converged, where that was asked for."""


def run(arguments: argparse.Namespace) -> int:
    """Fit, write what was asked for, and print the summary, also if writing fails."""
    if not arguments.categorical:
        model(arguments.model, arguments.components, arguments.structure)  # wrong words are refused before the work
    if arguments.out is not None:
        files.check_directory(arguments.out, Path(arguments.file))
    if arguments.save is not None:
        files.check_file(arguments.save, "--save", Path(arguments.file))
    showing.check(arguments.html, arguments.plot, Path(arguments.file))
    with given(arguments, categorical=arguments.categorical) as table:
        if arguments.id and arguments.out is not None:
            next(table.stretches())  # a column that is not there is refused before the work
        x, weights = table.loaded()
        made = model(arguments.model, arguments.components, arguments.structure, x, arguments.categorical)
        fit = fitted(made, (x, weights), arguments)
        try:
            if arguments.save is not None:
                fit.save(arguments.save)
            if arguments.out is not None:
                files.write_fit(fit, table, arguments.out)
            showing.write(fit, arguments.html, arguments.plot)
        finally:
            print(json.dumps(files.described(fit), indent=2, ensure_ascii=False) if arguments.json else fit)
    if arguments.out is not None and not arguments.json:
        print(f"written to {arguments.out}: {', '.join(files.FILES)}")
    if fit.status.ending is lem.run.Ending.INTERRUPTED:
        return 130
    return NOT_CONVERGED if arguments.strict and not fit.converged else 0
