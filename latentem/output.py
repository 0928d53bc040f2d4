"""A fit of a mixture as files: all of them whole, or none."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from latentem.family import Structure
from latentem.fitted import Fit
from latentem.run import Step

FILES = ("labels.csv", "responsibilities.csv", "params.json", "history.csv")


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


def write_fit(fit: Fit, data: Any, directory: Path) -> None:
    """Write `FILES` into a directory, which is made where it is missing.

    Each is first written beside its place and flushed to the disk. If anything fails, which is an OSError, the files of
    an earlier fit are as they were, and nothing new is left behind. The labels and responsibilities are of these data,
    shape (n, d).
    """
    created = not directory.exists()
    try:
        directory.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".latentem-", dir=directory, ignore_cleanup_errors=True) as stage:
            for name, text in zip(FILES, _texts(fit, data), strict=True):
                with open(Path(stage, name), "w", encoding="utf-8", newline="") as file:
                    file.write(text)
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


def _texts(fit: Fit, data: Any) -> Iterable[str]:
    """The contents of `FILES`; every float is written so that it reads back the same."""
    responsibilities = fit.predict_proba(data)
    yield _csv(["label"], fit.predict(data)[:, None].tolist())
    yield _csv([f"component_{j}" for j in range(responsibilities.shape[1])], responsibilities.tolist())
    description = {
        "format": "latentem parameters",
        "version": 1,
        "model": repr(fit.model),
        "columns": fit.columns,
        "status": str(fit.status),
        "log_likelihood": fit.log_likelihood,
        "params": attrs.asdict(fit.params, value_serializer=_plain),
    }
    yield json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    yield _csv(list(attrs.fields_dict(Step)), map(attrs.astuple, fit.history))


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in (header, *rows))


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
