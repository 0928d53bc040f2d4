"""Grids of models: a model for each combination of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

from latentem.core import LatentModel

Model = LatentModel[Any, Any, Any, Any]


def grid(make: Callable[..., Model], /, **values: Any) -> dict[str, Model]:
    """Models of one kind, by name: one for each combination of values.

    A name is made of its values, with commas between them, and that of k comes last: `"VEV,3"`. A value of a mapping
    goes by its key there, another by what Python shows of it; numbers of anything but k say of what: `"m=2"`.

    >>> import latentem as lem
    >>> list(lem.grid(lem.GaussianMixture, k=[1, 2], structure={"full": lem.Full(), "tied": lem.Tied()}))
    ['full,1', 'tied,1', 'full,2', 'tied,2']

    Args:
        make: What makes a model of these arguments, such as `lem.GaussianMixture`.
        values: Of each argument the values to try: a range, a list, or a mapping from names to values. What is no such
            collection is one value, the same for all, and stands in no name.

    Raises:
        TypeError: `make` makes no models.
        ValueError: there is nothing to try of an argument, or two models would have one name. An error of `make` is
            passed on, with the name of the model noted.
    """
    if not callable(make):
        raise TypeError(f"{make!r} was given: give what makes a model, such as lem.GaussianMixture")
    named = {argument: _named(argument, given) for argument, given in values.items()}
    models: dict[str, Model] = {}
    for chosen in product(*(each.items() for each in named.values())):
        parts = dict(zip(named, chosen, strict=True))
        order = sorted(parts, key=lambda argument: argument == "k")
        name = ",".join(label for argument in order if (label := parts[argument][0]))
        if name in models:
            raise ValueError(f"two models would be called {name!r}: give the values in a mapping, which names them")
        try:
            made = make(**{argument: value for argument, (_, value) in parts.items()})
        except Exception as error:
            error.add_note(f"while the model {name!r} was made")
            raise
        if not isinstance(made, LatentModel):
            raise TypeError(f"{make!r} made {made!r}: give what makes a LatentModel")
        models[name] = made
    return models


def _named(argument: str, given: Any) -> dict[str, Any]:
    """The values to try of an argument, by their names."""
    if isinstance(given, Mapping):
        found = {str(name): value for name, value in given.items()}
        count = len(given)
    elif isinstance(given, Iterable) and not isinstance(given, str):
        values = list(given)
        found, count = {_name(argument, value): value for value in values}, len(values)
    else:
        return {"": given}
    if not found:
        raise ValueError(f"{argument} was given as {given!r}: give at least one value to try")
    if len(found) < count:
        raise ValueError(f"{argument} was given as {given!r}: two of these have one name")
    return found


def _name(argument: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    bare = argument == "k" or not isinstance(value, bool | int | float)
    return str(value) if bare else f"{argument}={value}"
