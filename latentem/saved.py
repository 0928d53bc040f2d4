"""Fits in files: which classes a file may name, and what is looked at before a fit is given back."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from latentem.archive import BadArchive, Reading, Writing, name_of, pack, unpack
from latentem.numerics.arithmetic import own_arithmetic
from latentem.run.audit import Books

if TYPE_CHECKING:
    from latentem.fitted import Fit

_ROOMS = ("core", "discriminant", "family", "fitted", "kmeans", "model", "recipes", "run", "transform")
"""Where classes stand whose values may be in a file: none of these reads a file or starts a process when it is made."""

_ROUNDING = 1e-8
"""Relative difference between an objective here and on the machine that wrote it."""


def library() -> dict[str, type[Any]]:
    """The classes of the library that a file may hold values of, by their names."""
    found: dict[str, type[Any]] = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith("latentem.") and name.split(".")[1] in _ROOMS:
            for kind in vars(module).values():
                if (
                    isinstance(kind, type)
                    and kind.__module__ == name
                    and (attrs.has(kind) or issubclass(kind, enum.Enum))
                ):
                    found[kind.__name__] = kind
    return found


def save(fit: Fit[Any], path: str | os.PathLike[str]) -> None:
    """Write a fit to a file; see `Fit.save`."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path was given as {path!r}: give the path of a file, such as 'speeds.lem'")
    writing = Writing(library())
    root = writing.write(fit)
    pack(path, {"kind": "fit", "root": root, "values": writing.values}, writing.arrays)


@own_arithmetic
def load(path: str | os.PathLike[str], known: Iterable[type] = ()) -> Fit[Any]:
    """A fit from a file that `fit.save` has written: equal to the one that was saved, to the last bit.

    Nothing in the file is run, and nothing is imported because it says so; the file may come from anybody.

    Args:
        path: Of the file.
        known: Classes that are not the library's, of the model or its parameters: `known=[Maxwell]`.

    Raises:
        FileNotFoundError: there is no file.
        ValueError: a `BadArchive`: the file is damaged, was tampered with, is of a newer version, or holds a class
            that is not known; the message says which.
        TypeError: path or known are of the wrong kind.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path was given as {path!r}: give the path of a file, such as 'speeds.lem'")
    theirs: dict[str, type] = {}
    for kind in known:
        if theirs.setdefault(name_of(kind), kind) is not kind:
            raise ValueError(f"known was given with two classes called {kind.__name__}: rename one of them")
    document, arrays = unpack(path)
    try:
        if document.keys() != {"format", "version", "kind", "root", "values"} or document["kind"] != "fit":
            raise BadArchive(f"it holds no fit, but a {str(document.get('kind'))[:40]}")
        fit: Any = Reading(arrays, library(), theirs).read(document["values"], document["root"])
        refuse_strangers(fit)
    except BadArchive as error:
        raise BadArchive(f"{path}: {error}") from error.__cause__
    return fit


def refuse_strangers(fit: Fit[Any]) -> None:
    """Refuse a fit from a file whose parts do not belong together.

    Raises:
        BadArchive: the parameters are not those of the model, or the objective is not that of the parameters.
    """
    if type(fit) is not library()["Fit"]:
        raise BadArchive(f"it holds no fit, but a {type(fit).__name__}")
    if not len(fit.history):
        raise BadArchive("its history has no steps")
    if any(np.isnan(array).any() for array in _numbers(fit.params)):
        raise BadArchive("its parameters hold NaN")
    try:
        fit.model.check_params(fit.params)
        with np.errstate(all="ignore"):
            books = Books.of(fit.model, fit.params, fit.expectation)
    except Exception as error:  # by code of the model, on parts that need not belong to it
        raise BadArchive(f"its parameters or statistics are not those of {fit.model!r} ({error})") from error
    if not abs(books.objective - fit.objective) <= _ROUNDING * (books.observations + abs(fit.objective)):
        raise BadArchive(f"its objective is {fit.objective:.12g}, but {books.objective:.12g} at its parameters")


def _numbers(value: Any) -> Iterable[Any]:
    """The arrays and floats inside of parameters."""
    if isinstance(value, np.ndarray | float):
        yield np.asarray(value)
    elif attrs.has(type(value)):
        for part in attrs.fields(type(value)):
            yield from _numbers(getattr(value, part.name))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _numbers(part)
