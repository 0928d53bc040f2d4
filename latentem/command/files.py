"""A fit as files: all of them whole, or none."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import attrs
import numpy as np

from latentem.command.table import Given
from latentem.family import Structure
from latentem.fitted import Fit
from latentem.run import Step

FILES = ("labels.csv", "responsibilities.csv", "params.json", "history.csv")


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path in the same folder: what is written there takes the place of `path` if all goes well, else it is gone."""
    with tempfile.TemporaryDirectory(prefix=".latentem-", dir=path.parent, ignore_cleanup_errors=True) as stage:
        made = Path(stage, path.name)
        yield made
        os.replace(made, path)


@contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """A text file to write to, which takes the place of `path` as a whole, flushed to the disk, or not at all."""
    with beside(path) as made, open(made, "w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_file(path: Path, option: str, source: Path) -> None:
    """Find out whether a file could be written, before there is anything to lose.

    Raises:
        OSError: it is a directory, nothing can be written beside it, or `source` would be written over.
    """
    if path.is_dir() or path.resolve() == source.resolve():
        raise FileExistsError(f"{path} cannot be written over: give another file to {option}")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(
            f"{path.parent} cannot be written into ({error.strerror}): give another file to {option}"
        ) from None


def check_directory(directory: Path, source: Path) -> None:
    """Find out whether `write_fit` could write, before there is anything to lose.

    Raises:
        OSError: it is no directory, nothing can be written into it, or `source` would be written over.
    """
    for file in (directory / name for name in FILES):
        if file.is_dir() or file.resolve() == source.resolve():
            raise FileExistsError(f"{file} cannot be written over: give another directory to --out")
    nearest = directory if os.path.lexists(directory) else directory.parent  # a dangling link can't be made, either
    try:
        tempfile.TemporaryDirectory(dir=nearest).cleanup()
    except OSError as error:
        raise OSError(f"{nearest} cannot be written into ({error.strerror}): give another directory to --out") from None


def write_fit(fit: Fit, table: Given, directory: Path) -> None:
    """Write `FILES` into a directory, which is made where it is missing.

    Each is first written beside its place and flushed to the disk. If anything fails, which is an OSError, the files of
    an earlier fit are as they were, and nothing new is left behind. The labels and responsibilities are of the rows of
    the table, beside its columns of names; some rows are in memory at a time.
    """
    created = not directory.exists()
    try:
        directory.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".latentem-", dir=directory, ignore_cleanup_errors=True) as stage:
            for name, write in zip(FILES, (_labels, _responsibilities, _params, _history), strict=True):
                with open(Path(stage, name), "w", encoding="utf-8", newline="") as file:
                    write(file, fit, table)
                    file.flush()
                    os.fsync(file.fileno())
            _move(Path(stage), directory)
    except BaseException as error:
        if created:
            with suppress(OSError):
                directory.rmdir()
        if isinstance(error, OSError):
            raise OSError(f"nothing was written to {directory}: {error.strerror or error}") from error
        raise


def described(fit: Fit) -> dict[str, Any]:
    """A fit as a JSON document: what was fitted, how it ended, its figures, and its parameters."""
    known = fit.log_evidence is not None
    exact = known and fit.model.inference.exact
    return {
        "format": "latentem parameters",
        "version": 1,
        "model": repr(fit.model),
        "columns": fit.columns,
        "categories": fit.categories,
        "observations": fit.observations,
        "status": str(fit.status),
        "converged": fit.converged,
        "log_likelihood": fit.log_evidence,
        "bound": fit.bound,
        "n_parameters": fit.n_parameters,
        "aic": fit.aic if exact else None,
        "bic": fit.bic if exact else None,
        "events": [event.describe(fit.columns) for event in fit.events],
        "params": attrs.asdict(fit.params, value_serializer=_plain)
        if attrs.has(type(fit.params))
        else _plain(None, None, fit.params),
    }


def _labels(file: TextIO, fit: Fit, table: Given) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*table.ids, "label"])
    for words, x in table.stretches():
        writer.writerows([*ids, label] for ids, label in zip(words, fit.predict(x).tolist(), strict=True))


def _responsibilities(file: TextIO, fit: Fit, table: Given) -> None:
    """Every float is written so that it reads back the same."""
    writer = csv.writer(file, lineterminator="\n")
    for i, (words, x) in enumerate(table.stretches()):
        shares = fit.predict_proba(x)
        if i == 0:
            writer.writerow([*table.ids, *(f"component_{j}" for j in range(shares.shape[1]))])
        writer.writerows([*ids, *row] for ids, row in zip(words, shares.tolist(), strict=True))


def _params(file: TextIO, fit: Fit, table: Given) -> None:
    file.write(json.dumps(described(fit), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _history(file: TextIO, fit: Fit, table: Given) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(attrs.fields_dict(Step))
    writer.writerows(map(attrs.astuple, fit.history))


def _plain(instance: Any, attribute: Any, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return repr(value) if isinstance(value, Structure) else value


def _move(stage: Path, directory: Path) -> None:
    """Move the files to their places; if one will not go, bring back what was there before."""
    earlier = stage / "earlier"
    earlier.mkdir()
    for name in FILES:
        if (directory / name).exists():
            shutil.copy2(directory / name, earlier / name)
    try:
        for name in FILES:
            os.replace(stage / name, directory / name)
    except BaseException:
        for name in FILES:
            if not (stage / name).exists():  # it has gone
                (directory / name).unlink()
                if (earlier / name).exists():
                    (earlier / name).rename(directory / name)
        raise
