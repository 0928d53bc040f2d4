"""The gate of a concomitant mixture: weights that depend on columns of the row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from attrs import frozen
from scipy.special import log_softmax, softmax

from latentem.arrays import Array, own
from latentem.core import Block, Event, Identified, Learnable
from latentem.family import WeightedSample
from latentem.family.regression.design import DEPENDENT, NO_INFORMATION, Design
from latentem.family.regression.predictor import linear_predictor
from latentem.numerics.solve import climb


def log_weights(gate: Array, concomitants: Array) -> Array:
    """The logarithms of the weights of the components at concomitant columns, (n, p), shape (n, k)."""
    return log_softmax(linear_predictor(gate, concomitants), axis=1)


@final
@frozen
class Gate(Learnable[WeightedSample, Array]):
    """Weights that depend on the row: a weighted multinomial logit, in which component 0 stays as it is."""

    def log_joint(self, params: Array, statistics: WeightedSample) -> float:
        return float(np.einsum("nk,nk->", statistics.weights, log_weights(params, statistics.rows)))

    def blocks(self) -> Sequence[Block[WeightedSample, Array]]:
        return [self._block()]

    def first(self, statistics: WeightedSample) -> Array:
        """Weights that are the same for every row: a sharp gate would lock them."""
        gate = np.zeros((statistics.weights.shape[1], statistics.rows.shape[1] + 1))
        gate[:, 0] = np.log(statistics.count + 0.5)
        return own(gate - gate[0])

    def diagnose(self, params: Array, statistics: WeightedSample) -> Sequence[Event]:
        design = Design.of(*statistics.pooled())
        weights = softmax(design.columns @ design.standardised(params).T, axis=1)
        return [
            Event(
                "separated",
                f"the concomitant columns separate the rows of component {j}, so that the gate grows without end",
                "use fewer components or columns, or look for columns that give the component away",
                j,
                "gate",
            )
            for j in np.flatnonzero(statistics.count > 0).tolist()
            if len(params) > 1 and design.information(weights[:, j] * (1 - weights[:, j])) < NO_INFORMATION
        ]

    def _block(self, held: tuple[int, ...] = ()) -> Block[WeightedSample, Array]:
        def free(params: Array) -> list[int]:
            return [j for j in range(1, len(params)) if j not in held]

        def maximize(statistics: WeightedSample, params: Array) -> Array:
            return _maximiser(statistics, params, np.array(free(params))) if free(params) else params

        def size(params: Array) -> int:
            return len(free(params)) * params.shape[1]

        def identified(statistics: WeightedSample, params: Array) -> Identified:
            return Identified(len(free(params)) * Design.of(*statistics.pooled()).rank(), DEPENDENT)

        return Block((), maximize, size, lambda more: self._block((*held, *more)), identified=identified)


def _maximiser(sample: WeightedSample, gate: Array, free: Any) -> Array:
    covariates, total = sample.pooled()
    design = Design.of(covariates, total)
    counts = sample.weights[sample.weights.any(axis=1)] / total.sum()
    start = design.standardised(gate)
    columns, width = design.columns, design.columns.shape[1]

    def joint(point: Array) -> tuple[float, Callable[[], tuple[Array, Array]]]:
        coefficients = start.copy()
        coefficients[free] = point.reshape(-1, width)
        log_weights = log_softmax(columns @ coefficients.T, axis=1)

        def derivatives() -> tuple[Array, Array]:
            weights = np.exp(log_weights[:, free])
            # (eq: concomitant)
            gradient = (counts[:, free] - design.share[:, None] * weights).T @ columns
            # minus the second derivative: for components f and g, sum share w_f (1{f = g} - w_g) z z'
            curvature = np.empty((len(free), width, len(free), width))
            for f, g in np.ndindex(len(free), len(free)):
                factor = design.share * weights[:, f] * (float(f == g) - weights[:, g])
                curvature[f, :, g] = columns.T @ (columns * factor[:, None])
            return gradient.ravel(), curvature.reshape(2 * (point.size,))

        return float(np.einsum("nk,nk->", counts, log_weights)), derivatives

    # The current gate may be far out, where the likelihood is flat: the same weights for all rows are another start.
    flat = np.zeros((len(free), width))
    shares = np.maximum(counts.sum(axis=0), 1e-12)
    flat[:, 0] = np.log(shares[free] / shares[0])
    best = max((start[free].ravel(), flat.ravel()), key=lambda point: joint(point)[0])
    new = gate.copy()
    new[free] = design.destandardised(climb(joint, best)[0].reshape(-1, width))
    before, after = (np.einsum("nk,nk->", counts, log_weights(each, covariates)) for each in (gate, new))
    return new if after >= before else gate  # where slopes are steep, rounding may cost more than they gain
