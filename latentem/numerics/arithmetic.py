"""How the library computes: an underflow is no error to it, whatever its caller has told numpy to raise."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

Given = ParamSpec("Given")
T = TypeVar("T")


def own_arithmetic(function: Callable[Given, T]) -> Callable[Given, T]:
    """The function, for which no floating-point error is raised: it warns, but of underflows and what is ignored."""

    @wraps(function)
    def computed(*args: Given.args, **kwargs: Given.kwargs) -> T:
        told = np.geterr()
        with np.errstate(
            divide="ignore" if told["divide"] == "ignore" else "warn",
            over="ignore" if told["over"] == "ignore" else "warn",
            invalid="ignore" if told["invalid"] == "ignore" else "warn",
            under="ignore",
        ):
            return function(*args, **kwargs)

    return computed


def own_steps(function: Callable[Given, Generator[T, None, None]]) -> Callable[Given, Generator[T, None, None]]:
    """The generator, computing likewise: while its caller has a value, floating-point errors are the caller's."""

    @wraps(function)
    def stepped(*args: Given.args, **kwargs: Given.kwargs) -> Generator[T, None, None]:
        values = function(*args, **kwargs)
        advance = own_arithmetic(lambda: next(values, None))  # what it yields is never None
        try:
            while (value := advance()) is not None:
                yield value
        finally:
            values.close()

    return stepped
