"""The auxiliary lower bound for any q."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from attrs import frozen

from latentem.core import LatentModel, allowed_of, log_likelihood, unit_weight
from latentem.numerics.arithmetic import own_arithmetic
from latentem.posterior import LabelPosterior


@final
@frozen
class LowerBound:
    """The books of one posterior, in nats: bound = Q + H = log evidence - KL(q || p).

    Attributes:
        expected_log_joint: Q.
        entropy: H[q].
        log_evidence: log p(data | params).
    """

    expected_log_joint: float
    entropy: float
    log_evidence: float

    @property
    def bound(self) -> float:
        """A = Q + H, never above the log evidence."""
        return self.expected_log_joint + self.entropy  # (eq: bound)

    @property
    def gap(self) -> float:
        """KL(q || p(z | data, params)) = log evidence - A, at least 0 up to rounding."""
        return self.log_evidence - self.bound  # (eq: bound)


@own_arithmetic
def lower_bound(model: LatentModel[Any, Any, Any, Any], params: Any, data: Any, posterior: Any) -> LowerBound:
    """Q, H, A, the log evidence and their gap for a posterior of the caller's choice.

    Args:
        model: The model.
        params: Its parameters.
        data: The data, all in one chunk.
        posterior: Any q for these data: a posterior value, or for labels an array of probabilities (n, k).

    Raises:
        ValueError: the posterior does not fit the data: its shape, its multiplicities, or mass where none is allowed.
    """
    model.check_params(params)
    chunk = model.chunk(data)
    if isinstance(posterior, np.ndarray | list | tuple):
        posterior = LabelPosterior(np.asarray(posterior), unit_weight(chunk))
    _refuse_other_data(posterior, chunk)  # their evidence would not bound it
    expected = model.log_joint(params, model.statistics(chunk, posterior))
    return LowerBound(expected, posterior.entropy(), log_likelihood(model, params, [chunk]))


def _refuse_other_data(posterior: Any, chunk: Any) -> None:
    """Refuse with a ValueError a q of labels for other data, whose evidence is another."""
    if not isinstance(posterior, LabelPosterior):
        return
    weight, allowed = unit_weight(chunk), allowed_of(chunk)
    if not np.array_equal(posterior.multiplicity, np.ones(len(chunk)) if weight is None else weight):
        what = "the posterior's multiplicities are not the weights of the rows"
        raise ValueError(f"{what}: give them to both, or to neither")
    if allowed is not None and allowed.shape == posterior.weights.shape and (posterior.weights[~allowed] > 0).any():
        row = int(((posterior.weights > 0) & ~allowed).any(axis=1).argmax())
        raise ValueError(f"the posterior of row {row} has mass on a component that the row may not belong to")
