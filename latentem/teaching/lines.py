"""Lines through the space of parameters, and what the log likelihood and its lower bound do along them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, final

import attrs
import numpy as np
from attrs import frozen

from latentem.arrays import Array, vector
from latentem.core import Degenerate, Expectation, LatentModel, Placed, log_likelihood
from latentem.uncertainty.named import Number, find, numbers

Model = LatentModel[Any, Any, Any, Any]
_DEPTH = 4.0
"""Nats by which A falls, beyond what is to be gained on the line, at the ends of the picture."""
_DOUBLINGS = 60


@final
@frozen
class Line:
    """Parameters along a line.

    Attributes:
        name: Of what changes along it.
        here: Where the line begins: `make(here)` are the parameters there.
        make: The parameters at a place; a ValueError where there are none.
        ends: The ends that a picture has, or None where it may choose.
    """

    name: str
    here: float
    make: Callable[[float], Any]
    ends: tuple[float, float] | None = None

    @classmethod
    def along(cls, model: Model, params: Any, name: str) -> Line:
        """The line on which one number changes, and no more than must change with it.

        With one share of a whole, the others keep their proportions; with a variance in a matrix, the correlations
        stay. "log " before the name measures the line in its logarithm.

        Raises:
            ValueError: the parameters have no number of this name, or one that has no logarithm.
        """
        logarithm = name.startswith("log ")
        number = find(model, params, name.removeprefix("log "))
        if not logarithm:
            return cls(name, number.value, number.changed)
        if not number.value > 0:
            raise ValueError(f"{number.name} is {number.value:.6g}, which has no logarithm: give its name without log")
        return cls(name, math.log(number.value), partial(_exponential, number))

    @classmethod
    def towards(cls, params: Any, other: Any, name: str = "towards the next parameters") -> Line:
        """The line from some parameters (0) to others (1); each number on it is a weighted mean of the two.

        Raises:
            ValueError: they are not of one kind.
        """
        between(params, other, 0.5)
        return cls(name, 0.0, partial(between, params, other), (-0.5, 1.5))


def lines(model: Model, params: Any) -> list[str]:
    """Names of the numbers along which there is a line: those that an M half sets."""
    paths = [block.path for block in model.blocks()]
    return [one.name for one in numbers(model, params) if any(one.path[: len(path)] == path for path in paths)]


def _exponential(number: Number, place: float) -> Any:
    return number.changed(math.exp(place))


def between(one: Any, other: Any, t: float) -> Any:
    """The value whose numbers are (1 - t) x those of one plus t x those of another.

    Raises:
        ValueError: they differ in something that is no real number.
    """
    if isinstance(one, np.ndarray) and one.dtype.kind == "f" and np.shape(one) == np.shape(other):
        return one + t * (other - one)
    if isinstance(one, float) and isinstance(other, float):
        return one + t * (other - one)
    if type(one) is type(other) and attrs.has(type(one)):
        parts = [part for part in attrs.fields(type(one)) if part.init]
        moved = {part.alias: between(getattr(one, part.name), getattr(other, part.name), t) for part in parts}
        return type(one)(**moved)
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return tuple(between(mine, theirs, t) for mine, theirs in zip(one, other, strict=True))
    if one is other or (type(one) is type(other) and bool(np.all(one == other))):
        return one
    raise ValueError(f"there is no line from {one!r} to {other!r}: give parameters of one model")


@final
@frozen
class Tangent:
    """The log likelihood along a line, and the lower bound that one q gives there.

    Where the model has a prior, its log density is in both. Where q is the exact posterior at the beginning of the
    line, the two touch there; everywhere the bound is below.

    Attributes:
        name: Of what changes along the line.
        here: Where the line begins.
        places: Places on the line, `here` among them, shape (m,).
        log_likelihood: log p(data | params) at each in nats, shape (m,).
        bound: A(params, q) at each in nats, shape (m,).
    """

    name: str
    here: float
    places: Array = vector()
    log_likelihood: Array = vector()
    bound: Array = vector()

    @property
    def touching(self) -> float:
        """The log likelihood less the bound at the beginning of the line, in nats: KL(q || posterior)."""
        at = int(np.flatnonzero(self.places == self.here)[0])
        return float(self.log_likelihood[at] - self.bound[at])

    @classmethod
    def of(
        cls, model: Model, line: Line, expectation: Expectation[Any], placed: Placed[Any], points: int = 201
    ) -> Tangent:
        """The two along a line, for the q of an E-step.

        Places where there are no parameters, or no density, are left out.

        Raises:
            ValueError: points is below 3.
            Unavailable: the model has no log evidence.
        """
        if isinstance(points, bool) or not isinstance(points, int) or points < 3:
            raise ValueError(f"points was given as {points!r}: give a whole number, at least 3")
        both = partial(_both, model, line, expectation, placed)
        here = line.make(line.here)
        log_likelihood(model, here, placed)  # so that a model without one says so
        low, high = line.ends or _ends(partial(_bound, model, line, expectation), line.here)
        before = max(1, min(points - 2, round((points - 1) * (line.here - low) / (high - low))))
        places = np.concatenate(
            [np.linspace(low, line.here, before, endpoint=False), np.linspace(line.here, high, points - before)]
        )
        found = np.array([(place, *both(place)) for place in places])
        found = found[np.isfinite(found).all(axis=1)]
        return cls(line.name, line.here, *found.T)


def _bound(model: Model, line: Line, expectation: Expectation[Any], place: float) -> float:
    """A at a place on the line, in nats; minus infinity where there are no parameters."""
    try:
        params = line.make(place)
        model.check_params(params)
        bound = model.log_joint(params, expectation.statistics) + expectation.entropy + model.log_prior(params)
    except (ValueError, OverflowError, Degenerate):
        return -math.inf
    return float(bound) if bound == bound else -math.inf


def _both(
    model: Model, line: Line, expectation: Expectation[Any], placed: Placed[Any], place: float
) -> tuple[float, float]:
    bound = _bound(model, line, expectation, place)
    if bound == -math.inf:
        return bound, bound
    params = line.make(place)
    try:
        return log_likelihood(model, params, placed) + model.log_prior(params), bound
    except Degenerate:
        return -math.inf, -math.inf


def _ends(bound: Callable[[float], float], here: float) -> tuple[float, float]:
    """Where A has fallen by some nats on either side, so that its whole arch is between."""
    low, high = (_end(bound, here, side) for side in (-1.0, 1.0))
    return low, high


def _end(bound: Callable[[float], float], here: float, side: float) -> float:
    top = bound(here)
    step = 1e-6 * max(abs(here), 1e-6)
    outside = None
    inside = here
    for _ in range(_DOUBLINGS):  # out until A has fallen, or there is no A
        place = here + side * step
        value = bound(place)
        top = max(top, value)
        if value < top - _DEPTH:
            outside = place
            break
        inside, step = place, 2 * step
    if outside is None:
        return inside
    for _ in range(_DOUBLINGS):  # and back to where it has just fallen so far
        middle = (inside + outside) / 2
        value = bound(middle)
        top = max(top, value)
        if value < top - _DEPTH:
            outside = middle
        else:
            inside = middle
        if abs(outside - inside) <= 1e-3 * abs(outside - here):
            break
    return inside if bound(outside) == -math.inf else outside
