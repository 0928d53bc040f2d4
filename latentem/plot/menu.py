"""Which pictures a fit has, and what is said where one is asked for that it has not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from itertools import combinations
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from latentem.core import Unavailable
from latentem.fitted import Fit
from latentem.plot.view import LEVEL, Components, width

A = ParamSpec("A")
T = TypeVar("T")

_TRIED = 6
"""So many columns are tried."""


def available(fit: Fit[Any]) -> tuple[str, ...]:
    """Names of the pictures that a fit has, as far as it tells without data."""
    return tuple(name for names, has in _ASKED for name in names if has(fit))


def picture(
    draw: Callable[Concatenate[Fit[Any], A], T],
) -> Callable[Concatenate[Fit[Any], A], T]:
    """A picture of a fit: where the model does not say what it needs, the message lists those that there are."""

    @wraps(draw)
    def drawn(fit: Fit[Any], /, *arguments: A.args, **named: A.kwargs) -> T:
        if not isinstance(fit, Fit):
            raise TypeError(
                f"{draw.__name__} was given a {type(fit).__name__}: give a Fit, as lem.fit gives it; of parameters "
                "that are known, lem.Fit.of(model, params, data)"
            )
        try:
            return draw(fit, *arguments, **named)
        except Unavailable as error:
            has = ", ".join(available(fit))
            raise Unavailable(f"no {draw.__name__} of {fit.model!r}: {error}. Pictures of it: {has}") from error

    return drawn


def first(fit: Fit[Any], number: int, needs: Callable[[Components], Any]) -> tuple[int, ...] | None:
    """The first so many columns whose components say what a picture needs, or None.

    Args:
        fit: The fit.
        number: How many columns.
        needs: Asks for it; it raises Unavailable where there is no such thing.
    """
    for columns in combinations(range(min(width(fit), _TRIED)), number):
        with suppress(Unavailable):
            needs(Components.of(fit, columns))
            return columns
    return None


def ringed(seen: Components) -> Any:
    """The ellipses of components; Unavailable where they have none."""
    return seen.family.elliptical(seen.params)


def _smooth(seen: Components) -> None:
    if seen.family.atoms(seen.draw(8)).any():
        raise Unavailable("its rows have probabilities")


def _labelled(fit: Fit[Any], columns: int) -> bool:
    with suppress(Unavailable):
        return fit.model.clusters() is not None and width(fit) >= columns
    return True  # data tell how many there are


def _described(fit: Fit[Any]) -> bool:
    described = fit.model.describe(fit.params, fit.expectation.statistics)
    return any(np.ndim(values) == 2 or bool(LEVEL.fullmatch(name)) for name, values in described.items())


def _asked(has: Callable[[Fit[Any]], bool]) -> Callable[[Fit[Any]], bool]:
    def answer(fit: Fit[Any]) -> bool:
        try:
            return has(fit)
        except Unavailable:
            return False

    return answer


_ASKED: list[tuple[tuple[str, ...], Callable[[Fit[Any]], bool]]] = [
    (("ellipses",), _asked(lambda fit: first(fit, 2, ringed) is not None)),
    (("density",), _asked(lambda fit: first(fit, 2, _smooth) is not None)),
    (("components",), _asked(lambda fit: first(fit, 1, lambda seen: seen) is not None)),
    (("classification", "pairs"), lambda fit: _labelled(fit, 2)),
    (("uncertainty", "responsibilities"), lambda fit: _labelled(fit, 1)),
    (("qq",), _asked(lambda fit: first(fit, 1, lambda seen: seen.draw(8)) is not None)),
    (("profile",), lambda fit: fit.model.noun != "factor" and _described(fit)),
    (("states",), lambda fit: fit.model.noun == "state"),
    (("loadings",), lambda fit: "loading" in fit.model.describe(fit.params, fit.expectation.statistics)),
    (("history",), lambda fit: True),
    (("starts",), lambda fit: bool(fit.starts)),
]
