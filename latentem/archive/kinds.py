"""Whether a value is of the kind that its field is annotated with, as far as annotations say it plainly."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

import attrs
import numpy as np


@cache
def kinds_of(kind: type) -> Mapping[str, Any]:
    """What the fields of a class are annotated with; nothing where an annotation cannot be looked up."""
    try:
        return typing.get_type_hints(kind) if attrs.has(kind) else {}
    except NameError:  # a name that only a type checker imports
        return {}


def fits(wanted: Any, value: Any) -> bool:
    """Whether a value is of this kind; True also where the annotation leaves it open.

    A whole number is a float, and True is no whole number.
    """
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is None or wanted is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(fits(one, value) for one in inside)
    if origin is typing.Literal:
        return value in inside
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inside) == 2 and inside[1] is Ellipsis:
            return all(fits(inside[0], item) for item in value)
        return len(inside) == len(value) and all(map(fits, inside, value))
    if wanted is float:
        return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    of = wanted if origin is None else origin
    if isinstance(of, type) and of is not Any:
        # A protocol has no instances to ask for, unless it says so.
        return not getattr(of, "_is_runtime_protocol", True) or isinstance(value, of)
    return True
