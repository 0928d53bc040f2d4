"""`latentem select`: mixtures of several sizes and structures, ranked by BIC."""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import latentem as lem
from latentem import report
from latentem.command import files
from latentem.command.models import BY_NAME, STRUCTURES, model, options
from latentem.command.table import given
from latentem.selection import Contender


def run(arguments: argparse.Namespace) -> int:
    """Fit each candidate, print them from the best to the worst, and save the best."""
    structures = _structures(arguments)
    if arguments.save is not None:
        files.check_file(arguments.save, "--save", Path(arguments.file))
    with given(arguments, categorical=arguments.categorical) as table:
        x, weights = table.loaded()
        names = product(arguments.components, structures)
        models = [model(arguments.model, k, name, x, arguments.categorical) for k, name in names]
        how = options(arguments)
        found = lem.select(models, x, weights=weights, criterion=arguments.criterion, strict=False, **how)
    if arguments.json:
        print(json.dumps([_described(one) for one in found.ranked], indent=2, ensure_ascii=False))
    else:
        print(_table(found))
    best = found.best
    if arguments.save is not None:
        best.save(arguments.save)
    if not arguments.json:
        print("", best, sep="\n")
    return 130 if found.interrupted else 0


def _structures(arguments: argparse.Namespace) -> list[str | None]:
    if arguments.structures is None:
        if arguments.categorical:
            return [None]
        return list(STRUCTURES) if arguments.model == "gaussian" else [None]
    names = [name.strip() for name in arguments.structures.split(",")]
    if names == ["all"]:
        return list(lem.ALL_STRUCTURES)
    for name in names:
        if name not in BY_NAME:
            raise ValueError(f"--structures holds {name!r}: choose from {', '.join(BY_NAME)}, or give all")
    return list(dict.fromkeys(names))


def _table(found: lem.selection.Selection) -> str:
    rows = [["model", "BIC", "AIC", "ICL", "log likelihood", "parameters", "ended"]]
    for one in found.ranked:
        figures = [one.bic, one.aic, one.icl, one.log_likelihood]
        count = "" if one.n_parameters is None else str(one.n_parameters)
        told = ["" if figure is None else report.number(figure) for figure in figures]
        rows.append([one.name, *told, count, one.status])
    return report.table(rows)


def _described(one: Contender) -> dict[str, Any]:
    if one.fit is None:
        return {"model": one.name, "error": one.reason}
    figures = {name: getattr(one, name) for name in ("bic", "aic", "icl", "log_likelihood", "n_parameters")}
    ended = {"converged": one.fit.converged, "clean": one.clean, "events": len(one.events)}
    return {"model": one.name, **figures, **ended}
