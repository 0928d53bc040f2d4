"""Tables with columns of categories: in memory, as frames, whose text a fit codes and knows again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np
from attrs import frozen

import latentem as lem
from latentem.arrays import Array
from latentem.data.readers.grammar import MISSING
from latentem.data.readers.reader import chosen, optional
from latentem.data.readers.text import Csv


@final
@frozen(eq=False)
class Coded:
    """A table of numbers and categories, and the columns of it that are names of the rows.

    Attributes:
        frame: Numbers and categories, a table of pyarrow.
        ids: Names of the columns that say which row is which.
        words: What these say, a list for each row.
        weight: How much each row counts, or None.
    """

    frame: Any
    ids: Sequence[str]
    words: Sequence[list[str]]
    weight: Array | None

    def loaded(self) -> tuple[Any, Any]:
        """The table and the weights for a fit."""
        return self.frame, self.weight

    def stretches(self) -> Iterator[tuple[Sequence[list[str]], Any]]:
        """The rows, all at once: what the columns of names say of each, and the numbers and categories."""
        yield self.words, self.frame


def coded(
    path: str, ids: Sequence[str], wanted: Sequence[str] | None, categorical: Sequence[str], options: dict[str, Any]
) -> Coded:
    """The columns that are wanted, all but the names and the weights where None, and the categories.

    Args:
        path: Of a CSV or a Parquet file.
        ids: Names of the columns that say which row is which.
        wanted: Names of columns.
        categorical: Names of those that hold categories.
        options: Those of `lem.data.source`.

    Raises:
        ValueError: a column is not there.
        ImportError: pyarrow is missing; the message says how to install it.
    """
    pa = optional("pyarrow", "arrow")
    weights = [name for name in (options["weights"],) if name is not None]
    if (options["kind"] or path.rpartition(".")[2].lower()) in ("parquet", "pq"):
        whole = optional("pyarrow.parquet", "arrow").read_table(path)
        names, reader = whole.column_names, None
    else:
        found: Any = lem.data.source(path, columns=[categorical[0]], **options | {"weights": None})
        reader = found.table
        assert isinstance(reader, Csv)  # no others have names
        names = list(reader.names)
    if wanted is None:
        wanted = [name for name in names if name not in (*ids, *weights)]
    numeric = [name for name in wanted if name not in categorical]
    chosen([*numeric, *categorical], [*ids, *weights], names, f"{path}: ")  # an error names what is not there
    if reader is None:
        words = list(map(list, zip(*(map(_text, whole.column(name).to_pylist()) for name in ids), strict=True)))
        weight = None if not weights else np.asarray(whole.column(weights[0]), dtype=np.float64)
        return Coded(whole.select([*numeric, *categorical]), ids, words or [[]] * whole.num_rows, weight)
    parts = dict[str, Any]()
    if of_numbers := [*numeric, *weights]:
        tables: Any = lem.data.source(path, columns=of_numbers, **options | {"weights": None})
        x = tables.table.part(0, tables.shape[0], tables.numbers)
        parts = {name: x[:, i] for i, name in enumerate(of_numbers)}
    weight = parts.pop(weights[0]) if weights else None
    cells = list(reader.words([*categorical, *ids]))
    for i, name in enumerate(categorical):
        parts[name] = pa.array([None if row[i].strip().lower() in MISSING else row[i] for row in cells], pa.string())
    return Coded(pa.table(parts), ids, [row[len(categorical) :] for row in cells], weight)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
