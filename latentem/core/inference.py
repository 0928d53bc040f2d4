"""The nature of a model's q: whether it is exact, and what its half steps promise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, final

from attrs import field, frozen

from latentem.core.expectation import Expectation

Half = Literal["E", "M"]


def _halves(given: Iterable[Half]) -> frozenset[Half]:
    halves = frozenset(given)
    if not halves <= {"E", "M"}:
        raise ValueError(f'audited was given as {given!r}: the half steps are "E" and "M"')
    return halves


@final
@frozen
class Inference:
    """How a model infers its latents. The defaults are those of an exact posterior.

    Another q says what differs from that of the model which it is made from: `evolve(inner.inference, exact=False)`.

    Attributes:
        exact: Whether `posterior` is the exact one, so that the bound touches the log evidence.
        smooth: Whether a small change of the parameters makes a small one of q, so that progress can be extrapolated.
        audited: The half steps that may not lose.
        temperature: The weight of the entropy in the objective, but for its hidden part: one, unless q is tempered.
    """

    exact: bool = True
    smooth: bool = True
    audited: frozenset[Half] = field(default=frozenset[Half]({"E", "M"}), converter=_halves)
    temperature: float = 1.0

    def tempered(self, expectation: Expectation[Any]) -> float:
        """The entropy as the objective weighs it, in nats: temperature x H, the hidden H taken once."""
        if self.temperature == 1.0:
            return expectation.entropy  # to the last bit
        # (eq: tempered)
        return self.temperature * (expectation.entropy - expectation.hidden) + expectation.hidden


EXACT = Inference()
