"""Poisson and logistic regressions as components."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, ClassVar, final

import numpy as np
from attrs import field, frozen
from scipy.special import expit, gammaln, logit

from latentem.arrays import Array, Labels, own
from latentem.core import Block, Event, Path
from latentem.family.base import Mask
from latentem.family.columns import natural_number, refuse_extreme, refuse_outlying, whole
from latentem.family.regression.design import DEPENDENT, NO_INFORMATION, Design
from latentem.family.regression.predictor import (
    Coefficients,
    Regression,
    described,
    linear_predictor,
    refuse_other_rows,
)
from latentem.family.sample import SampleFamily, WeightedSample
from latentem.numerics.rng import generator
from latentem.numerics.solve import climb

_EDGE = 1e-12
"""How near 0 or 1 a share of successes may be for its log odds to begin from."""
_CLEAR = 1e-6
"""Gain in nats a row that rounding cannot be, where predictors lose less than its square."""
_NOTICED = 1e-11
"""Relative rounding below which the audit's own allowance covers it."""


class CanonicalRegression(Regression, SampleFamily[Coefficients]):
    """A generalised linear model with its canonical link (McCullagh and Nelder, 1989, ch. 2).

    A row is (covariates..., response): the response is the last column, as in `np.column_stack([x, y])`.
    There may be no covariates. The coefficients have no closed form: Newton's method, that is iteratively
    reweighted least squares with its steps halved where they overshoot, takes them to machine precision
    from the current ones, and never below these.
    """

    __slots__ = ()

    discrete: ClassVar[bool | None] = True
    kind: ClassVar[type] = Coefficients

    @abc.abstractmethod
    def log_response(self, predictor: Array, y: Array) -> Array:
        """log p(y) in nats at each linear predictor, broadcast; without regard to the support."""

    def log_kernel(self, predictor: Array, y: Array) -> Array:
        """`log_response` but for what the predictor does not change; by itself it may be quicker."""
        return self.log_response(predictor, y)

    @abc.abstractmethod
    def response(self, predictor: Array) -> tuple[Array, Array]:
        """Mean and variance of the response at each linear predictor."""

    @abc.abstractmethod
    def link(self, mean: float) -> float:
        """The predictor at which the response has this mean."""

    @abc.abstractmethod
    def possible(self, y: Array) -> Mask:
        """Which responses can occur."""

    @abc.abstractmethod
    def draw(self, predictor: Array, rng: Any) -> Array:
        """One response at each linear predictor."""

    @final
    def params(self, coefficients: Any) -> Coefficients:
        """Coefficients given by hand, the intercept first, shape (k, p + 1), checked at once.

        Raises:
            ValueError: of another shape, or a value is not finite.
        """
        return Coefficients(coefficients)

    @final
    def log_density(self, params: Coefficients, x: Array) -> Array:
        refuse_other_rows(x, params.coefficients)
        covariates, y = x[:, :-1], x[:, -1:]
        inside = self.possible(y)
        return np.where(
            inside,
            self.log_response(linear_predictor(params.coefficients, covariates), np.where(inside, y, 0)),
            -np.inf,
        )

    @final
    def estimate(self, x: Array, weight: Array, current: Coefficients | None) -> Coefficients:
        design, y = Design.of(x[:, :-1], weight), x[:, -1]
        columns, share = design.columns, design.share

        def joint(coefficients: Array) -> tuple[float, Callable[[], tuple[Array, Array]]]:
            with np.errstate(over="ignore", invalid="ignore"):  # a step too far is minus infinity, and halved
                predictor = columns @ coefficients
                value = float(share @ self.log_kernel(predictor, y))

            def derivatives() -> tuple[Array, Array]:
                with np.errstate(over="ignore", invalid="ignore"):
                    mean, variance = self.response(predictor)
                    # (eq: canonical-regression)
                    return columns.T @ (share * (y - mean)), columns.T @ (columns * (share * variance)[:, None])

            return value, derivatives

        # Half a success more keeps the flat start finite where no response, or every one, is a success.
        total = weight.sum()
        flat = np.zeros(columns.shape[1])
        flat[0] = self.link((float(share @ y) * total + 0.5) / (total + 1))
        starts = [flat] if current is None else [design.standardised(current.coefficients)[0], flat]
        best = max(starts, key=lambda start: joint(start)[0])
        found, gained = climb(joint, best)
        new = Coefficients(design.destandardised(found[None]))
        if current is None or (gained > _CLEAR and _lost(new) < _CLEAR**2):
            return new
        # Where slopes are steep, rounding may cost more than they gain.
        both = Coefficients(np.concatenate([current.coefficients, new.coefficients]))
        before, after = (weight @ self.log_density(both, x)).tolist()
        return new if after >= before else current

    def blocks(self) -> Sequence[Block[WeightedSample, Coefficients]]:
        def rank(x: Array, weight: Array) -> int:
            return Design.of(x[:, :-1], weight).rank()

        return [self.block(("coefficients",), self.estimate, rank, DEPENDENT)]

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        chunks = list(chunks)
        super().check(chunks, held)
        covariates = [x[:, :-1] for x in chunks]
        refuse_extreme(covariates)
        refuse_outlying(covariates)

    @final
    def cells(self, x: Array) -> Mask:
        possible = np.ones(x.shape, dtype=bool)
        possible[:, -1] = self.possible(x[:, -1])
        return possible

    def diagnose(self, params: Coefficients, statistics: WeightedSample) -> Sequence[Event]:
        """Components whose optimum is at infinity (Albert and Anderson, 1984), at the end of the walk there."""
        return [
            Event(
                "separated",
                f"the rows of component {j} separate its responses, so that its coefficients grow without end",
                "use fewer components or covariates, or look for covariates that tell one response from the rest",
                j,
                "coefficients",
            )
            for j in np.flatnonzero(statistics.count > 0).tolist()
            if self._information(params.coefficients[[j]], *statistics.component(j)) < NO_INFORMATION
        ]

    def rounding(self, params: Coefficients) -> float:
        """The square, as at a maximum, of a linear predictor's loss where an offset makes its terms cancel."""
        relative = _lost(params) ** 2
        return relative if relative > _NOTICED else 0.0

    def cancellation(self, params: Coefficients, statistics: WeightedSample) -> float:
        """The cost of that loss away from the maximum, in nats."""
        return _lost(params) * (abs(self.log_joint(params, statistics)) + float(np.abs(statistics.weights).sum()))

    def respond(self, params: Coefficients, covariates: Array, labels: Labels, rng: Any) -> Array:
        rng = generator(rng)
        predictor = linear_predictor(params.coefficients, covariates)
        return own(np.asarray(self.draw(predictor[np.arange(len(labels)), labels], rng), dtype=np.float64))

    def describe(self, params: Coefficients) -> Mapping[str, Array]:
        return described(params.coefficients)

    def _information(self, coefficients: Array, x: Array, weight: Array) -> float:
        with np.errstate(over="ignore"):
            least = float(self.response(linear_predictor(coefficients, x[:, :-1]))[1].min())
            if least > 2 * NO_INFORMATION:  # no direction has less than the least informative row
                return least
            design = Design.of(x[:, :-1], weight)
            _, variance = self.response(design.columns @ design.standardised(coefficients)[0])
        return design.information(variance)


@final
@frozen
class PoissonRegression(CanonicalRegression):
    """Counts whose log mean is linear in the covariates; a row is (covariates..., count).

    There is no closed form: see `CanonicalRegression`. A mean beyond the range of floats has density zero.
    """

    takes: ClassVar[str] = "counts, whole numbers of at least 0, as the response, which is the last column"

    def log_response(self, predictor: Array, y: Array) -> Array:
        with np.errstate(over="ignore"):
            return self.log_kernel(predictor, y) - gammaln(y + 1)

    def log_kernel(self, predictor: Array, y: Array) -> Array:
        return y * predictor - np.exp(predictor)

    def response(self, predictor: Array) -> tuple[Array, Array]:
        mean = np.exp(predictor)
        return mean, mean

    def link(self, mean: float) -> float:
        return float(np.log(mean))

    def possible(self, y: Array) -> Mask:
        return whole(y)

    def draw(self, predictor: Array, rng: Any) -> Array:
        return rng.poisson(np.exp(predictor))


def _whole(instance: Any, attribute: Any, value: Any) -> None:
    if not natural_number(value):
        raise ValueError(f"{attribute.name} was given as {value!r}: give a whole number, at least 1")


@final
@frozen
class LogisticRegression(CanonicalRegression):
    """Successes out of `trials` whose log odds are linear in the covariates; a row is (covariates..., successes).

    There is no closed form: see `CanonicalRegression`. Where the covariates separate the responses of a
    component, its coefficients stay finite and an event names it. With one trial a row, mixtures of these
    are identified only where the covariates repeat enough (Follmann and Lambert, 1991).

    Attributes:
        trials: How many a row has; 1 makes the response 0 or 1.
    """

    trials: int = field(default=1, validator=_whole)

    @property
    def takes(self) -> str:  # type: ignore[override]  # it depends on the trials
        """In words, what a response may be."""
        most = "0 or 1" if self.trials == 1 else f"whole numbers from 0 to {self.trials}"
        return f"{most} as the response, which is the last column"

    def log_response(self, predictor: Array, y: Array) -> Array:
        n = self.trials
        choices = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
        return choices - y * np.logaddexp(0, -predictor) - (n - y) * np.logaddexp(0, predictor)

    def response(self, predictor: Array) -> tuple[Array, Array]:
        success = expit(predictor)
        return self.trials * success, self.trials * success * expit(-predictor)

    def link(self, mean: float) -> float:
        return float(logit(np.clip(mean / self.trials, _EDGE, 1 - _EDGE)))

    def possible(self, y: Array) -> Mask:
        return whole(y) & (y <= self.trials)

    def draw(self, predictor: Array, rng: Any) -> Array:
        return rng.binomial(self.trials, expit(predictor))


def _lost(params: Coefficients) -> float:
    """The loss of a linear predictor where intercept and slopes cancel."""
    return float(np.finfo(float).eps * np.abs(params.coefficients[:, 0]).max())
