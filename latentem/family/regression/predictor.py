"""Linear predictors: intercept + slopes . covariates, where offsets of the covariates cost no digits."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, Labels, matrix
from latentem.core import Unavailable, Value

_SOME = 64
"""Rows that say where covariates are, at least."""


class Regression(abc.ABC):
    """A family whose rows are (covariates..., response); it says nothing of how the covariates come about."""

    __slots__ = ()

    @abc.abstractmethod
    def respond(self, params: Any, covariates: Array, labels: Labels, rng: Any) -> Array:
        """A response for each row of covariates, (n, p), from the component of its label, shape (n,)."""

    def marginal(self, params: Any, columns: tuple[int, ...], d: int) -> Any:
        """No density of a row is known.

        Raises:
            Unavailable: it is a density of the response alone.
        """
        what = f"{type(self).__name__} is a density of the response given covariates"
        raise Unavailable(f"{what}, and says nothing of how rows lie")

    def sample(self, params: Any, labels: Labels, rng: Any) -> Array:
        """Responses where there are no covariates.

        Raises:
            Unavailable: there are covariates, which a regression does not draw; `respond` takes them.
        """
        if params.coefficients.shape[1] > 1:
            raise Unavailable(
                f"{type(self).__name__} says nothing of how covariates come about: "
                "draw responses with family.respond(params, covariates, labels, rng)"
            )
        return self.respond(params, np.empty((len(labels), 0)), labels, rng)[:, None]


@final
@frozen
class Coefficients(Value):
    """Coefficients of k regressions on p covariates.

    Attributes:
        coefficients: The intercept, then the slopes, shape (k, p + 1).

    Raises:
        ValueError: not such a table, or a value is not finite.
    """

    coefficients: Array = matrix("(k, p + 1)")

    def __attrs_post_init__(self) -> None:
        refuse_coefficients(self.coefficients)


def refuse_coefficients(coefficients: Array) -> None:
    """Refuse what are no coefficients: without a column for the intercept, or not finite."""
    if coefficients.shape[1] == 0 or not np.isfinite(coefficients).all():
        raise ValueError(
            f"coefficients were given as {coefficients}: give finite ones, the intercept first, shape (k, p + 1)"
        )


def refuse_other_rows(x: Array, coefficients: Array) -> None:
    """Refuse rows that are not the covariates of these coefficients and a response, which is the last column."""
    if x.shape[1] != coefficients.shape[1]:
        raise ValueError(
            f"rows of {x.shape[1]} columns were given: the parameters have {coefficients.shape[1] - 1} covariates, "
            "and the response is one more column, the last"
        )


def level(coefficients: Array, at: Array) -> Array:
    """Intercept + slopes . at, rounded once, shape (k,); `at` is one point, (p,), or one a component, (k, p).

    A column of years or of seconds since 1970 makes terms that cancel; exactly, here.
    """
    points = np.broadcast_to(at, (len(coefficients), coefficients.shape[1] - 1))
    return np.array([_affine(*both) for both in zip(coefficients.tolist(), points.tolist(), strict=True)])


def _affine(coefficients: list[float], point: list[float]) -> float:
    """One level in whole numbers, over the largest denominator: all of them are powers of two."""
    terms = [coefficients[0].as_integer_ratio()]
    for slope, value in zip(coefficients[1:], point, strict=True):
        (a, b), (c, d) = slope.as_integer_ratio(), value.as_integer_ratio()
        terms.append((a * c, b * d))
    common = max(denominator for _, denominator in terms)
    total = sum(numerator * (common // denominator) for numerator, denominator in terms)
    try:
        return total / common
    except OverflowError:  # beyond floats: a density of zero, or one that is refused by name
        return math.copysign(math.inf, total)


def linear_predictor(coefficients: Array, covariates: Array) -> Array:
    """Intercept + slopes . covariates of each row in each component, shape (n, k)."""
    if not len(covariates):
        return np.empty((0, len(coefficients)))
    centre = covariates[:: len(covariates) // _SOME + 1].mean(axis=0)  # anywhere among them will do
    predictor = (covariates - centre) @ coefficients[:, 1:].T
    predictor += level(coefficients, centre)
    return predictor


def described(coefficients: Array) -> Mapping[str, Any]:
    """The figures of a table: the intercept, and the slopes; the response, the last column, has none."""
    if coefficients.shape[1] == 1:
        return {"intercept": coefficients[:, 0]}
    none = np.full((len(coefficients), 1), np.nan)
    return {"intercept": coefficients[:, 0], "slope": np.hstack([coefficients[:, 1:], none])}
