"""Data frames at the door: names become numbers, text becomes codes, and answers become frames again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, final

import numpy as np
from attrs import field, frozen

from latentem.arrays import Array, own
from latentem.core import LatentModel, Unavailable
from latentem.data import Source, Units, columns_of, found_source, source
from latentem.data.frames import Frame, frame_of
from latentem.data.readers.formats import header, is_elsewhere, is_path
from latentem.data.readers.reader import Table, chosen
from latentem.data.tables import Tables
from latentem.family.naming import Header, bound, parts_of, takes_text, wanted

Model = LatentModel[Any, Any, Any, Any]
Categories = tuple[tuple[str, ...] | None, ...]
"""Of each column what it holds, in the order of its codes, where it holds text; None for the others."""

_LABELS = "allowed: give whole numbers from 0, and -1, or a missing cell, for unknown"


@final
@frozen(eq=False)
class Admitted:
    """What is fitted, with the model as it is for these data.

    Attributes:
        model: The model, which knows where its columns are.
        data: What its `chunks` takes.
        weights: Likewise.
        allowed: Likewise.
        columns: Names of the columns of the data, if they have any.
        categories: What columns of text hold, if any does.
    """

    model: Model
    data: Any
    weights: Any = field(default=None)
    allowed: Any = field(default=None)
    columns: tuple[str, ...] | None = field(default=None)
    categories: Categories | None = field(default=None)


def admitted(model: Model, data: Any, weights: Any, allowed: Any) -> Admitted:
    """Data as they come, for `fit`: frames, arrays, paths, and whatever else the model takes.

    Raises:
        TypeError, ValueError: a column is not there, or holds what the model does not take.
    """
    frames = _frames(data)
    if frames and parts_of(model):
        return _of_frames(model, data, frames, weights, allowed)
    if frames and any(isinstance(given, str) for given in (weights, allowed)):
        return _of_frames(model, data, frames, weights, allowed)
    if (files := _files(data)) and (named := header(files[0])) is not None:
        names, beside = wanted(model), (weights, allowed)
        seen = [name for name in named if name not in beside] if names is None else names
        text: dict[str, Any] = dict.fromkeys(takes_text(model, seen))
        if isinstance(allowed, str) and model.classes is not None and isinstance(model.classes[0], str):
            text[allowed] = model.classes
        data = source(data, columns=names, weights=weights, allowed=allowed, categorical=text or None)
        weights = allowed = None
    elif (found := found_source(data, weights, allowed)) is not None:
        data, weights, allowed = found, None, None
    columns, categories = columns_of(data), data.categories if isinstance(data, Tables | Table) else None
    described = _header(data, columns, categories)
    model = model if described is None else bound(model, described)
    return Admitted(model, data, weights, allowed, columns, categories)


def _files(data: Any) -> list[Any]:
    """The paths that were given, one or a list of them; else none."""
    given = list(data) if isinstance(data, list | tuple) else [data]
    return given if given and all(map(is_path, given)) else []


def _frames(data: Any) -> list[Frame]:
    """Data as frames: one, or those of a list; none if they are anything else."""
    if isinstance(data, list | tuple):
        found = [frame_of(part) for part in data] if data and frame_of(data[0]) is not None else []
        return [frame for frame in found if frame is not None] if all(found) else []
    if isinstance(data, Source) or is_elsewhere(data):
        return []
    frame = frame_of(data)
    return [] if frame is None else [frame]


def _of_frames(model: Model, data: Any, frames: Sequence[Frame], weights: Any, allowed: Any) -> Admitted:
    first = frames[0]
    if not any(frame.shape[0] for frame in frames):
        raise ValueError(f"data of shape {first.shape} were given: give at least one row and one column")
    names, given = wanted(model), (weights, allowed)
    others = [name for name in given if isinstance(name, str) and not is_path(name)]
    if others and len(frames) > 1:
        raise ValueError(f"{others[0]!r} was given beside several tables: give an array, or a list with one for each")
    kept = first.columns
    if names is not None or others:
        chosen(names, others, first.columns, "")  # an error names the column that is not there
        kept = tuple(name for name in kept if name not in others and (names is None or name in names))
    categories = tuple(_categories(name, frames) for name in kept)

    def largest(i: int) -> float:
        return _largest([_column(frame, kept[i], categories[i]) for frame in frames])

    model = bound(model, Header(kept, categories, largest))
    named = model.classes is not None
    for name, what in zip(given, ("weights: give numbers of at least 0", None if named else _LABELS), strict=True):
        if what and name in others and first.is_text(first.columns.index(name)):
            raise TypeError(f"column {name!r} holds text, and was given as {what}")
    weights, allowed = (
        read(first.columns.index(name)) if name in others else name
        for name, read in zip(given, (first.numbers, first.values if named else first.labels), strict=True)
    )
    if not any(categories) and all(frame.columns == kept for frame in frames):
        return Admitted(model, data, weights, allowed, kept)  # the reader of tables does the rest
    data = _coded(data, frames, kept, categories)
    return Admitted(model, data, weights, allowed, kept, categories if any(categories) else None)


def recognised(data: Any, columns: tuple[str, ...] | None, categories: Categories | None) -> Any:
    """Data as they come, for a fit to these columns: what has names is taken by name, and text by its codes.

    Raises:
        TypeError, ValueError: a column is not there, or holds what was not there in the fit.
    """
    frames = _frames(data)
    if frames and columns is not None:
        for frame in frames:
            _refuse_absent(frame.columns, columns)
        if categories is None and all(frame.columns == columns for frame in frames):
            return data
        return _coded(data, frames, columns, categories or (None,) * len(columns))
    known = {name: words for name, words in zip(columns or (), categories or (), strict=False) if words}
    if columns is not None and (files := _files(data)) and (named := header(files[0])) is not None:
        _refuse_absent(named, columns)
        return source(data, columns=columns, categorical=known or None)
    data = found_source(data) or data
    if isinstance(data, Tables) and set(known) <= set(data.columns or ()):
        data = data.coded(known) if known else data
    given = columns_of(data)
    if columns is not None and isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] != len(columns):
        raise ValueError(f"data of shape {data.shape} were given: the model was fitted to the columns {list(columns)}")
    if given is None or columns is None or given == columns:
        return data
    _refuse_absent(given, columns)
    if isinstance(data, Tables):
        return data.of(tuple(map(given.index, columns)))
    return Table(np.asarray(data)[:, [given.index(name) for name in columns]], columns)


def answered(fit: Any, data: Any, prefix: str = "") -> Any:
    """The table of `Fit.table`."""
    if isinstance(data, Source) or is_elsewhere(data):
        what = os.fspath(data) if isinstance(data, str | os.PathLike) else repr(data)
        raise TypeError(f"{what} was given: a table goes with data in memory; fit.predict and others take any source")
    answers = {f"{prefix}{name}": values for name, values in _answers(fit, data).items()}
    frames = _frames(data)
    if not frames:
        kinds = [(name, values.dtype) for name, values in answers.items()]
        rows = np.empty(len(next(iter(answers.values()))), dtype=kinds)
        for name, values in answers.items():
            rows[name] = values
        return rows
    edges = np.cumsum([0, *(frame.shape[0] for frame in frames)])
    made = [
        frame.beside({name: values[begin:end] for name, values in answers.items()})
        for frame, begin, end in zip(frames, edges[:-1], edges[1:], strict=True)
    ]
    return made if isinstance(data, list | tuple) else made[0]


def _answers(fit: Any, data: Any) -> Mapping[str, Any]:
    """What a fit says of each row, by the name of the column; what its model does not say is left out."""
    columns: dict[str, Any] = {}
    with suppress(Unavailable):
        labels, classes = fit.labels(data), fit.model.classes
        columns["label"] = labels if classes is None else np.asarray(classes)[labels]
        shares = fit.predict_proba(data)
        columns["probability"] = shares[np.arange(len(labels)), labels]
        columns |= {f"responsibility_{name}": shares[:, j] for j, name in enumerate(classes or range(shares.shape[1]))}
    with suppress(Unavailable):
        density = fit.score_samples(data)
        rows = len(columns["label"]) if columns else len(density)
        columns["log_density"] = density if len(density) == rows else np.repeat(density, _lengths(data, rows))
    if not columns:
        raise Unavailable(f"{fit.model!r} has neither labels nor densities of rows: use posterior(data)")
    return columns


def _lengths(data: Any, rows: int) -> list[int]:
    """How many rows each sequence of the data has; `rows`, where they are one table."""
    lengths: list[int] = []
    for part in data if isinstance(data, list | tuple) else [data]:
        if isinstance(part, Units) and part.lengths is not None:
            lengths += part.lengths.tolist()
        else:
            lengths.append(len(part) if isinstance(data, list | tuple) else rows)
    return lengths


def _refuse_absent(given: Sequence[str], columns: Sequence[str]) -> None:
    if absent := [name for name in columns if name not in given]:
        raise ValueError(
            f"column {absent[0]!r} is not there: "
            f"the model was fitted to {list(columns)}, and the data have {list(given)}"
        )


def _coded(data: Any, frames: Sequence[Frame], columns: tuple[str, ...], categories: Categories) -> Any:
    """Some columns of frames, text as its codes; a list, where a list was given."""
    made = []
    for frame in frames:
        _refuse_absent(frame.columns, columns)
        x = np.empty((frame.shape[0], len(columns)))
        for i, (name, known) in enumerate(zip(columns, categories, strict=True)):
            x[:, i] = _column(frame, name, known)
        made.append(Table(own(x), columns))
    return made if isinstance(data, list | tuple) else made[0]


def _column(frame: Frame, name: str, known: tuple[str, ...] | None) -> Array:
    i = frame.columns.index(name)
    return frame.numbers(i) if known is None else frame.codes(i, known)


def _categories(name: str, frames: Sequence[Frame]) -> tuple[str, ...] | None:
    """What a column of text holds in any of the frames: in the order of the first, or sorted where these differ."""
    there = [(frame, frame.columns.index(name)) for frame in frames if name in frame.columns]
    if not any(frame.is_text(i) for frame, i in there):
        return None
    found = [frame.categories(i) for frame, i in there if frame.is_text(i)]
    if not any(found):
        raise ValueError(f"column {name!r} has no value at all: leave it out")
    return found[0] if len(set(found)) == 1 else tuple(sorted(set().union(*found)))


def _header(data: Any, columns: tuple[str, ...] | None, categories: Categories | None) -> Header | None:
    """The header of what is no frame; None of what has no columns that one could number."""
    if isinstance(data, Tables):
        largest = cache(data.largest)  # a pass, where a family is to find its levels in numbers
        return Header(columns, categories or (None,) * data.shape[1], lambda i: float(largest()[i]))
    parts = [data] if isinstance(data, np.ndarray) else list(data) if isinstance(data, list | tuple) else []
    if parts and all(isinstance(part, list | tuple) for part in parts):
        with suppress(ValueError):  # of ragged rows, which are refused where they are read
            parts = [np.asarray(data)]
    if parts and all(isinstance(part, np.ndarray) and part.ndim == 2 and part.dtype.kind in "biuf" for part in parts):
        d = min(part.shape[1] for part in parts)
        return Header(columns, (None,) * d, lambda i: _largest([part[:, i] for part in parts]))
    if isinstance(data, Table):
        return Header(columns, categories or (None,) * data.shape[1], lambda i: _largest([data.values[:, i]]))
    return None if columns is None else Header(columns, (None,) * len(columns), _unknown)


def _unknown(i: int) -> float | None:
    return None


def _largest(parts: Sequence[Any]) -> float:
    """The largest value of a column that is there in parts; 0 if there is none."""
    filled = [np.ma.filled(part.astype(np.float64), np.nan) for part in parts]
    present = [part[~np.isnan(part)] for part in filled]
    return max((float(part.max()) for part in present if len(part)), default=0.0)
