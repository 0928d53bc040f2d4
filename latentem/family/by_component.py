"""Parameters whose arrays have the component as their first axis: one component of them, several, and their blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from attrs import evolve, fields, has

from latentem.arrays import Array, frozen_array, own
from latentem.core import Block, Event, Identified, Path, get

S = TypeVar("S")
P = TypeVar("P")


def leaves(params: Any) -> Iterator[Array]:
    """The arrays of which parameters are made, in the order of the fields."""
    if isinstance(params, np.ndarray):
        yield params
    elif has(type(params)):
        for each in fields(type(params)):
            yield from leaves(getattr(params, each.name))


def length(params: Any) -> int:
    """The number of components k in parameters; 0 where they have no array."""
    return next((len(array) for array in leaves(params) if array.ndim), 0)


def by_field(combine: Callable[..., Array], *params: Any) -> Any:
    """Parameters of which each array is made from those that some have there; what is no array is that of the first."""
    one = params[0]
    if isinstance(one, np.ndarray):
        return combine(*params)
    if isinstance(one, tuple):
        return tuple(by_field(combine, *each) for each in zip(*params, strict=True))
    if not has(type(one)):
        return one
    names = [each.name for each in fields(type(one))]
    return evolve(one, **{name: by_field(combine, *(getattr(each, name) for each in params)) for name in names})


def component(params: Any, j: int) -> Any:
    """The parameters of one component, with a first axis of length one."""
    return by_field(lambda array: array[j : j + 1], params)


def stacked(params: Sequence[Any]) -> Any:
    """Parameters of several components, from those of each."""
    return by_field(lambda *arrays: own(np.concatenate(arrays)), *params)


def component_block(
    path: Path,
    maximize: Callable[[S, P, npt.NDArray[np.bool_]], Any],
    size: Callable[[P], int],
    determined: Callable[[S, P], Array] | None = None,
    reason: str = "",
    held: tuple[int, ...] = (),
    empty: bool = False,
) -> Block[S, P]:
    """A block that is maximised component by component; one that is held, or has no rows, stays as it is.

    Args:
        path: Where it is: a field, or () for all of the parameters.
        maximize: From statistics with a `count`, parameters and the components that are free, a mask of shape (k,),
            the field. What it holds of the others is not used.
        size: How many free numbers one component has.
        determined: How many of them the data determine, shape (k,); None: all.
        reason: Why they may not determine all.
        held: Components that stay as they are.
        empty: Whether one without rows is free too, as under a prior, which knows of it.
    """

    def maximized(statistics: Any, params: P) -> Any:
        # A count below zero is what rounding leaves of none, where statistics were subtracted.
        free = (statistics.count > 0) | empty
        free[list(held)] = False
        old = get(params, path)
        if not free.any():
            return old
        new = maximize(statistics, params, free)
        return new if free.all() else by_field(lambda new, old: _chosen(free, new, old), new, old)

    def total(params: P) -> int:
        return (length(get(params, path)) - len(held)) * size(params)

    def identified(statistics: S, params: P) -> Identified:
        numbers = np.zeros(0) if determined is None else np.delete(determined(statistics, params), held)
        return Identified(int(numbers.sum()), reason)

    return Block(
        path,
        maximized,
        total,
        lambda more: component_block(path, maximize, size, determined, reason, (*held, *more), empty),
        identified=None if determined is None else identified,
    )


def _chosen(free: npt.NDArray[np.bool_], new: Array, old: Array) -> Array:
    return frozen_array(np.where(free.reshape(-1, *(1,) * (new.ndim - 1)), new, old))


def at_boundary(component: int, what: str, limit: str, field: str, column: int | None = None) -> Event:
    """The event that a parameter of a component has gone to the end of its range.

    Args:
        component: Its number.
        what: The parameter, and where it is.
        limit: What the component is there, such as "Gaussian".
        field: The last part of the name of the block.
        column: Of the data, where the parameter belongs to one.
    """
    return Event(
        "boundary",
        f"{what} of component {component} is at its boundary: the component is {limit}",
        "it does not count in AIC and BIC",
        component,
        field,
        column,
    )


_UNSEEN = 1e-3
"""Share of a component's rows below which, if it is less than a row too, a column counts as observed in none."""


def unobserved(seen: Array, count: Array) -> list[Event]:
    """Events for components whose rows lack a column.

    Args:
        seen: Sum of the weights of the rows in which a column is observed, shape (k, d).
        count: Sum of the weights of all rows, shape (k,).
    """
    lacking = (seen <= _UNSEEN * count[:, None]) & (seen < 1) & (count[:, None] > 0)
    return [
        Event(
            "unobserved",
            f"the rows of component {j} lack a column, so that its parameters there come from the start",
            "leave the column out, or do not read them",
            j,
            f"column {column}",
            column,
        )
        for j, column in np.argwhere(lacking).tolist()
    ]
