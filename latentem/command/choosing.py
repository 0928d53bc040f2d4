"""`latentem select`: mixtures of several sizes and structures, ranked by BIC."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import latentem as lem
from latentem import report
from latentem.command import files
from latentem.command.models import STRUCTURES, fitted, model
from latentem.command.table import given


def run(arguments: argparse.Namespace) -> int:
    """Fit each candidate, print them from the best BIC to the worst, and save the best."""
    structures = _structures(arguments)
    if arguments.save is not None:
        files.check_file(arguments.save, "--save", Path(arguments.file))
    with given(arguments, categorical=arguments.categorical) as table:
        data = table.loaded()
        tried = list(_candidates(arguments, structures, data))
    tried.sort(key=lambda one: math.inf if one[1] is None else one[1].bic)
    best = tried[0][1]
    if best is None:
        raise ValueError(f"none of the {len(tried)} candidates could be fitted; the first: {tried[0][2]}")
    if arguments.save is not None:
        best.save(arguments.save)
    if arguments.json:
        print(json.dumps([_described(*one) for one in tried], indent=2, ensure_ascii=False))
        return 0
    rows = [["model", "BIC", "AIC", "log likelihood", "parameters", "ended"]]
    for made, fit, reason in tried:
        figures = [""] * 4
        if fit is not None:
            figures = [report.number(figure) for figure in (fit.bic, fit.aic, fit.log_likelihood)]
            figures.append(str(fit.n_parameters))
        rows.append([repr(made), *figures, reason])
    print(report.table(rows), best, sep="\n\n")
    return 0


def _structures(arguments: argparse.Namespace) -> list[str | None]:
    if arguments.structures is None:
        if arguments.categorical:
            return [None]
        return list(STRUCTURES) if arguments.model == "gaussian" else [None]
    names = [name.strip() for name in arguments.structures.split(",")]
    for name in names:
        if name not in STRUCTURES:
            raise ValueError(f"--structures holds {name!r}: choose from {', '.join(STRUCTURES)}")
    return list(dict.fromkeys(names))


def _candidates(
    arguments: argparse.Namespace, structures: list[str | None], data: Any
) -> Iterator[tuple[Any, lem.Fit[Any] | None, str]]:
    """Each model with its fit and how that ended; one that cannot be fitted to the data does not stop the others."""
    for k, structure in product(arguments.components, structures):
        made = model(arguments.model, k, structure, data[0], arguments.categorical)
        try:
            fit = fitted(made, data, arguments, warn=False)
        except (ValueError, lem.Degenerate) as error:
            yield made, None, " ".join(str(error).split())
            continue
        if fit.status.ending is lem.run.Ending.INTERRUPTED:
            raise KeyboardInterrupt
        notes = [f"{len(fit.events)} events"] if fit.events else []
        yield made, fit, "; ".join(["converged" if fit.converged else "not converged", *notes])


def _described(made: Any, fit: lem.Fit[Any] | None, reason: str) -> dict[str, Any]:
    if fit is None:
        return {"model": repr(made), "error": reason}
    figures = {"bic": fit.bic, "aic": fit.aic, "log_likelihood": fit.log_likelihood, "n_parameters": fit.n_parameters}
    return {"model": repr(made), **figures, "converged": fit.converged, "events": len(fit.events)}
