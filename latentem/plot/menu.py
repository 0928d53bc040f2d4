"""Which pictures a fit has, and what is said where one is asked for that it has not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from itertools import combinations
from typing import Any, Concatenate, ParamSpec, TypeVar

from latentem.core import Unavailable
from latentem.fitted import Fit
from latentem.plot.view import Components, width

A = ParamSpec("A")
T = TypeVar("T")

_TRIED = 6
"""So many columns are tried for a pair with ellipses."""


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


def _ellipses(fit: Fit[Any]) -> bool:
    for pair in combinations(range(min(width(fit), _TRIED)), 2):
        with suppress(Unavailable):
            seen = Components.of(fit, pair)
            seen.family.elliptical(seen.params)
            return True
    return False


def _densities(fit: Fit[Any], columns: int) -> bool:
    return width(fit) >= columns and bool(len(Components.of(fit, tuple(range(columns))).shares))


def _continuous(fit: Fit[Any]) -> bool:
    if not _densities(fit, 2):
        return False
    seen = Components.of(fit, (0, 1))
    return not seen.family.atoms(seen.draw(8)).any()


def _described(fit: Fit[Any], *names: str) -> bool:
    described = fit.model.describe(fit.params, fit.expectation.statistics)
    return any(values.ndim == 2 and (not names or name in names) for name, values in described.items())


def _asked(has: Callable[[Fit[Any]], bool]) -> Callable[[Fit[Any]], bool]:
    def answer(fit: Fit[Any]) -> bool:
        try:
            return has(fit)
        except Unavailable:
            return False

    return answer


_ASKED: list[tuple[tuple[str, ...], Callable[[Fit[Any]], bool]]] = [
    (("ellipses",), _asked(_ellipses)),
    (("density",), _asked(_continuous)),
    (("components",), _asked(lambda fit: _densities(fit, 1))),
    (("classification", "pairs"), _asked(lambda fit: fit.model.clusters() is not None and width(fit) > 1)),
    (("uncertainty", "responsibilities"), lambda fit: fit.model.clusters() is not None),
    (("profile",), lambda fit: fit.model.noun != "factor" and _described(fit)),
    (("states",), lambda fit: fit.model.noun == "state"),
    (("loadings",), lambda fit: _described(fit, "loading")),
    (("history",), lambda fit: True),
    (("starts",), lambda fit: bool(fit.starts)),
]
