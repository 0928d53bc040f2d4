"""A fit as pictures see it: its columns by name or number, the rows, and its components in some of the columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, Labels
from latentem.core import Chunk, Unavailable
from latentem.family import Family
from latentem.fitted import Fit
from latentem.report.components import called as names_of
from latentem.tables import recognised

LEVEL = re.compile(r"P\(x(\d+) = (\d+)\)")
"""How a description names the probability of a level of a column."""


@final
@frozen(eq=False)
class Rows:
    """Rows of data, one below the other.

    Attributes:
        x: Shape (n, d).
        weight: How much each counts, shape (n,).
    """

    x: Array
    weight: Array

    @classmethod
    def of(cls, fit: Fit[Any], data: Any) -> Rows:
        """Of data as the fit takes them: an array, a table, sequences, a file.

        Raises:
            Unavailable: the model's chunks have no rows.
        """
        chunks = fit.model.chunks(recognised(data, fit.columns, fit.categories))
        if not all(isinstance(chunk, Chunk) for chunk in chunks):
            raise Unavailable("its data are no rows of numbers")
        return cls(
            np.concatenate([chunk.x for chunk in chunks]), np.concatenate([chunk.row_weight for chunk in chunks])
        )


@final
@frozen(eq=False)
class Components:
    """The components of a fit in some of its columns.

    Attributes:
        shares: How much of the data each is, shape (k,).
        family: What they are in these columns alone.
        params: Its parameters.
    """

    shares: Array
    family: Family[Any, Any]
    params: Any

    @classmethod
    def of(cls, fit: Fit[Any], columns: tuple[int, ...]) -> Components:
        """Those in these columns, the others integrated out.

        Raises:
            Unavailable: the model does not say it.
        """
        shares, family, params = fit.model.as_mixture(fit.params, fit.expectation.statistics)
        return cls(np.asarray(shares), *family.marginal(params, columns, width(fit)))

    def densities(self, x: Array) -> Array:
        """Density or probability of each component times its share, (n, d) -> (n, k)."""
        with np.errstate(divide="ignore"):
            logs = self.family.log_density(self.params, x) + np.log(self.shares)
        return np.exp(logs)

    def draw(self, size: int) -> Array:
        """Rows that they draw, shape (size, d): always the same ones."""
        rng = np.random.default_rng(0)
        labels = rng.choice(len(self.shares), size, p=self.shares / self.shares.sum())
        return self.family.sample(self.params, labels, rng)


def width(fit: Fit[Any], rows: Rows | None = None) -> int:
    """The number of columns of a row: that of these rows, or as the fit knows.

    Raises:
        Unavailable: neither names of columns nor what the model describes or draws tell.
    """
    if rows is not None:
        return int(rows.x.shape[1])
    if fit.columns is not None:
        return len(fit.columns)
    described = fit.model.describe(fit.params, fit.expectation.statistics)
    wide = [np.shape(values)[1] for values in described.values() if np.ndim(values) == 2]
    levels = [int(found[1]) + 1 for found in map(LEVEL.fullmatch, described) if found]
    return max([*wide, *levels], default=0) or int(np.shape(fit.sample(1)[0])[1])


def names(fit: Fit[Any], rows: Rows | None = None) -> tuple[str, ...]:
    """Names of the columns, x0, x1, ... where they have none."""
    return fit.columns or tuple(f"x{i}" for i in range(width(fit, rows)))


def chosen(
    fit: Fit[Any], columns: Any, wanted: int | None = None, otherwise: str = "", rows: Rows | None = None
) -> tuple[int, ...]:
    """Numbers of columns that are given by name or number; None: all, if there are as many as are wanted.

    Args:
        fit: The fit.
        columns: One column, or several.
        wanted: How many a picture shows; None: any number.
        otherwise: What else to do where the fit has more, in words.
        rows: Rows of the data, where there are any at hand.

    Raises:
        TypeError, ValueError: a column is not there or is given twice, or there are too many or too few.
    """
    there = names(fit, rows)
    if columns is None:
        if wanted not in (None, len(there)):
            raise ValueError(f"{_listed(there)}: this picture shows {wanted}; {_advice(there, wanted, otherwise)}")
        return tuple(range(len(there)))
    given = list(columns) if isinstance(columns, Iterable) and not isinstance(columns, str) else [columns]
    numbers = tuple(_number(column, there) for column in given)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"columns were given as {given}: give each once")
    if not numbers or wanted not in (None, len(numbers)):
        raise ValueError(
            f"{len(numbers)} columns were given: this picture shows {wanted or 'one or more'}, and {_listed(there)}"
        )
    return numbers


def labelled(fit: Fit[Any], data: Any, rows: Rows | None = None) -> tuple[Labels, Array]:
    """The label of each row, shape (n,), and its responsibilities, (n, k).

    Raises:
        Unavailable: the model's latents are no labels, or its units are no rows of `rows`.
    """
    responsibilities = np.asarray(fit.predict_proba(data))
    if rows is not None and len(rows.x) != len(responsibilities):
        raise Unavailable(f"it has {len(responsibilities)} labels for {len(rows.x)} rows")
    return np.asarray(fit.labels(data)), responsibilities


def words(fit: Fit[Any], column: int) -> tuple[str, ...] | None:
    """The words of which the codes 0, 1, ... of a column stand, or None where it holds numbers."""
    return None if fit.categories is None else fit.categories[column]


def called(fit: Fit[Any], j: int) -> str:
    """What component j is called: "component 0", "state 0", "noise"; a class by its name."""
    clusters = fit.model.clusters()
    name = names_of(fit.model, j + 1 if clusters is None else clusters.k)[j]
    return f"{fit.model.noun} {name}" if name == str(j) else name


def called_each(fit: Fit[Any], seen: Components) -> list[str]:
    """What the components are called; one alone is the whole model."""
    k = len(seen.shares)
    return ["model"] if k == 1 else [called(fit, j) for j in range(k)]


def _number(column: Any, there: Sequence[str]) -> int:
    if isinstance(column, str):
        if column not in there:
            raise ValueError(f"column {column!r} is not there: {_listed(there)}")
        return list(there).index(column)
    if not isinstance(column, Integral) or isinstance(column, bool):
        raise TypeError(f"column {column!r} was given: give its name, or its number counted from 0")
    if not 0 <= int(column) < len(there):
        raise ValueError(f"column {column} is not there: the fit has columns 0 to {len(there) - 1}")
    return int(column)


def _listed(there: Sequence[str]) -> str:
    shown = ", ".join(map(repr, there[:8]))
    return f"the fit has {len(there)} column{'s' * (len(there) != 1)}, {shown}{', ...' if len(there) > 8 else ''}"


def _advice(there: Sequence[str], wanted: int | None, otherwise: str) -> str:
    if wanted is None or len(there) < wanted:
        return "use components for one column"
    given = f"column={there[0]!r}" if wanted == 1 else f"columns={tuple(there[:wanted])!r}"
    return f"give {given}{otherwise}"
