"""Data for several models: a small file is read once, and kept."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, final

from attrs import evolve

from latentem.core import LatentModel
from latentem.data import Chunks
from latentem.data.readers.formats import Column
from latentem.data.readers.reader import Table
from latentem.data.tables import Tables
from latentem.tables import Admitted, admitted

Model = LatentModel[Any, Any, Any, Any]
SMALL = 2**28
"""Bytes of float64 that a file may have to be kept in memory."""


@final
class Kept:
    """The data of a selection, as each model takes them.

    Passes cannot be shared between models as they are between starts: where chunks begin depends on the model, and
    with it the last bits of a fit, which are to be those of `fit`.
    """

    def __init__(self, data: Any, weights: Any, allowed: Any) -> None:
        self._given = (data, weights, allowed)
        self._admitted: dict[str, Admitted] = {}
        self._tables: dict[Hashable, Tables] = {}

    def of(self, name: str, model: Model) -> Admitted:
        """The data for the model of this name.

        Raises:
            TypeError, ValueError: it cannot take them.
        """
        given = self._admitted.get(name)
        if given is None:
            given = admitted(model, *self._given)
            if not isinstance(given.data, Tables) or 8 * math.prod(given.data.shape) > SMALL:
                return given
            given = self._admitted[name] = evolve(given, data=self._read(given.data))
        chunks = given.model.chunks(given.data, given.weights, given.allowed)
        return evolve(given, data=chunks[:]) if isinstance(chunks, Chunks) else given

    def _read(self, tables: Tables) -> Tables:
        """These tables in memory. Models that ask for the same columns in the same words have them together."""
        asked = (tables.columns, tables.categories, tables.shape, tables.columns is None and tables.numbers)
        if asked not in self._tables:
            values = tables.table.part(0, tables.shape[0], tables.numbers)
            lengths = tuple(tables.table.lengths) if tables.lengths is None else tables.lengths
            self._tables[asked] = evolve(
                tables,
                table=Table(values, tables.columns, tables.table.name, tables.categories),
                numbers=None,
                weight=_in_memory(tables.weight),
                allowed=_in_memory(tables.allowed),
                lengths=lengths,
            )
        return self._tables[asked]


def _in_memory(column: Column | None) -> Column | None:
    return None if column is None else (Table(column[0].part(0, column[0].shape[0], column[1])), None)
