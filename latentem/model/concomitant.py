"""Mixtures whose weights depend on columns of the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import field, frozen
from scipy.special import log_softmax, logsumexp, softmax

from latentem.arrays import Array, matrix, own, part, plain_int
from latentem.core import Additive, Block, ColumnError, Event, Identified, Learnable, Path, RowError, Unavailable, Value
from latentem.data import Rows
from latentem.family import Family, WeightedSample
from latentem.family.base import brief
from latentem.family.columns import refuse_extreme, refuse_outlying
from latentem.family.regression.design import DEPENDENT, NO_INFORMATION, Design
from latentem.family.regression.predictor import linear_predictor, refuse_coefficients
from latentem.model.components import ComponentModel, a_family, number_of
from latentem.numerics.rng import generator
from latentem.numerics.solve import maximise
from latentem.posterior import LabelPosterior

_ALIKE = 1e-10
"""Difference of log odds up to which the gate cannot tell two components apart."""


@final
@frozen
class ConcomitantParams(Value):
    """How weights depend on the row, and the parameters of the family.

    Attributes:
        gate: Coefficients of the log odds against component 0, the intercept first, shape (k, p + 1); its first
            row is zero.
        components: The family's parameters.

    Raises:
        ValueError: a coefficient is not finite, or the first row is not zero.
    """

    gate: Array = matrix("(k, p + 1)")
    components: Any = part()

    def __attrs_post_init__(self) -> None:
        refuse_coefficients(self.gate)
        if self.gate[0].any():
            raise ValueError(
                f"the first row of the gate was given as {self.gate[0]}: it must be zero; subtract it from every row"
            )


@final
@frozen
class ConcomitantStatistics(Additive):
    """Statistics of the gate and of the family, named as the parameters that they determine.

    Attributes:
        gate: The concomitant columns of the rows, and how much each counts in each component.
        components: The family's statistics.
    """

    gate: WeightedSample
    components: Any


def _columns(given: Any) -> tuple[int, ...]:
    columns = tuple(given)
    whole = all(isinstance(c, int | np.integer) and not isinstance(c, bool) and c >= 0 for c in columns)
    if not whole or len(set(columns)) < len(columns):
        raise ValueError(f"columns were given as {given!r}: give different whole numbers, from 0")
    return tuple(int(c) for c in columns)


@final
@frozen
class ConcomitantMixture(ComponentModel[Rows, LabelPosterior, ConcomitantStatistics, ConcomitantParams]):
    """p(x) = sum over k of weight_k(x) p(x | component k), the weights a softmax of linear functions of some columns.

    The latent class model with concomitant variables of Dayton and Macready (1988), and with regressions for
    components a mixture of experts (Jordan and Jacobs, 1994). The gate has no closed form: it is a weighted
    multinomial logit, taken to machine precision by Newton's method from the current one, and never below it.
    The memory of its statistics grows with the data.

    Attributes:
        family: What the components are; they see the whole row, so give `family.on(...)` for the columns that they
            are about.
        k: How many there are.
        columns: Numbers of the columns that the weights depend on, from 0; none makes an ordinary mixture.
    """

    family: Family[Any, Any] = field(validator=a_family)
    k: int = field(converter=plain_int, validator=number_of("components"))
    columns: tuple[int, ...] = field(converter=_columns)

    @cached_property
    def pieces(self) -> Mapping[str, Learnable[Any, Any]]:
        return {"gate": Gate(), "components": self.family}

    def assemble(self, pieces: Mapping[str, Any]) -> ConcomitantParams:
        return ConcomitantParams(**pieces)

    def params(self, gate: Any, components: Any) -> ConcomitantParams:
        """Parameters given by hand, checked at once; components as the family's `params` makes them.

        Raises:
            ValueError: the gate is no (k, p + 1) with a first row of zeros, or components are not the family's.
        """
        params = ConcomitantParams(gate, components)
        self.check_params(params)
        return params

    def weights(self, params: ConcomitantParams, x: Array) -> Array:
        """Weights of the components at rows x, (n, d), before anything else is seen of them, shape (n, k)."""
        return softmax(linear_predictor(params.gate, x[:, self.columns]), axis=1)

    def posterior(self, params: ConcomitantParams, chunk: Rows) -> LabelPosterior:
        chunk = self._as_chunk(chunk)
        density, hidden = self.infer(params, chunk)
        log_joint = _log_weights(params.gate, chunk.x[:, self.columns]) + density
        self.refuse_unsound(log_joint, chunk)
        return LabelPosterior.from_log(log_joint, chunk.weight, hidden)

    def statistics(self, chunk: Rows, posterior: LabelPosterior) -> ConcomitantStatistics:
        chunk = self._as_chunk(chunk)
        if posterior.weights.shape != (len(chunk), self.k):
            raise ValueError(f"the posterior has shape {posterior.weights.shape}: it must be {(len(chunk), self.k)}")
        counts = posterior.counts()
        gate = WeightedSample(own(chunk.x[:, self.columns]), counts)
        return ConcomitantStatistics(gate, self.emitted(chunk, counts, posterior.hidden))

    def log_evidence(self, params: ConcomitantParams, chunk: Rows) -> Array:
        chunk = self._as_chunk(chunk)
        density = self.masked(self.family.log_density(params.components, chunk.x), chunk)
        evidence: Array = logsumexp(_log_weights(params.gate, chunk.x[:, self.columns]) + density, axis=1)
        return evidence

    def sample(self, params: ConcomitantParams, size: int, rng: Any) -> tuple[Array, Any]:
        """Draw rows and labels, where the weights depend on no columns.

        Raises:
            Unavailable: they do, and the model says nothing of how these come about; `weights` takes them.
        """
        rng = generator(rng)
        if self.columns:
            raise Unavailable(
                f"the weights depend on columns {list(self.columns)}, of which the model does not say how they come "
                "about: draw labels with the probabilities model.weights(params, x)"
            )
        labels = rng.choice(self.k, size, p=self.weights(params, np.empty((1, 0)))[0])
        return self.family.sample(params.components, labels, rng), labels

    def describe(self, params: ConcomitantParams, statistics: ConcomitantStatistics) -> Mapping[str, Array]:
        gate = {"log odds": params.gate[:, 0]}
        slopes = {f"log odds by x{c}": params.gate[:, i + 1] for i, c in enumerate(self.columns)}
        return {**gate, **slopes, **super().describe(params, statistics)}

    def check(self, chunks: Sequence[Rows], held: Set[Path] = frozenset()) -> None:
        d = chunks[0].x.shape[1]
        if self.columns and max(self.columns) >= d:
            raise ValueError(f"columns {list(self.columns)} were asked for: the data have {d}, numbered from 0")
        begin = 0
        for chunk in chunks:
            missing = np.isnan(chunk.x[:, self.columns])
            if missing.any():
                row, column = (int(i[0]) for i in np.nonzero(missing))
                raise ValueError(
                    f"row {begin + row}, column {self.columns[column]} is missing, and the weights depend on it: leave "
                    "out such rows, or fill them in"
                )
            begin += len(chunk)
        try:
            concomitants = [chunk.x[:, self.columns] for chunk in chunks]
            refuse_extreme(concomitants)
            refuse_outlying(concomitants)
        except (ColumnError, RowError) as error:
            raise error.put(column=self.columns[error.column or 0]) from None
        super().check(chunks, held)

    def check_params(self, params: ConcomitantParams) -> None:
        if not isinstance(params, ConcomitantParams):
            raise ValueError(f"{brief(params)} was given: parameters of {self!r} are a ConcomitantParams")
        if params.gate.shape != (self.k, len(self.columns) + 1):
            raise ValueError(
                f"the gate has shape {params.gate.shape}: {self.k} components and {len(self.columns)} columns need "
                f"{(self.k, len(self.columns) + 1)}"
            )
        super().check_params(params)

    def units(self, statistics: ConcomitantStatistics) -> Array:
        return statistics.gate.count

    def gathered(self, chunk: Rows, responsibilities: Array, weight: Array | None = None) -> ConcomitantStatistics:
        return self.statistics(chunk, LabelPosterior(responsibilities, chunk.weight if weight is None else weight))

    def alike(self, params: ConcomitantParams, i: int, j: int) -> bool:
        return bool(np.isclose(params.gate[i], params.gate[j], rtol=_ALIKE, atol=_ALIKE).all())


def _log_weights(gate: Array, concomitants: Array) -> Array:
    return log_softmax(linear_predictor(gate, concomitants), axis=1)


@final
@frozen
class Gate(Learnable[WeightedSample, Array]):
    """Weights that depend on the row: a weighted multinomial logit, in which component 0 stays as it is."""

    def log_joint(self, params: Array, statistics: WeightedSample) -> float:
        return float(np.einsum("nk,nk->", statistics.weights, _log_weights(params, statistics.rows)))

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

    def joint(point: Array) -> tuple[float, Array, Array]:
        coefficients = start.copy()
        coefficients[free] = point.reshape(-1, width)
        log_weights = log_softmax(columns @ coefficients.T, axis=1)
        weights = np.exp(log_weights[:, free])
        gradient = (counts[:, free] - design.share[:, None] * weights).T @ columns
        # minus the second derivative: for components f and g, sum share w_f (1{f = g} - w_g) z z'
        curvature = np.empty((len(free), width, len(free), width))
        for f, g in np.ndindex(len(free), len(free)):
            factor = design.share * weights[:, f] * (float(f == g) - weights[:, g])
            curvature[f, :, g] = columns.T @ (columns * factor[:, None])
        return float(np.einsum("nk,nk->", counts, log_weights)), gradient.ravel(), curvature.reshape(2 * (point.size,))

    # The current gate may be far out, where the likelihood is flat: the same weights for all rows are another start.
    flat = np.zeros((len(free), width))
    shares = np.maximum(counts.sum(axis=0), 1e-12)
    flat[:, 0] = np.log(shares[free] / shares[0])
    best = max((start[free].ravel(), flat.ravel()), key=lambda point: joint(point)[0])
    new = gate.copy()
    new[free] = design.destandardised(maximise(joint, best).reshape(-1, width))
    before, after = (np.einsum("nk,nk->", counts, _log_weights(each, covariates)) for each in (gate, new))
    return new if after >= before else gate  # where slopes are steep, rounding may cost more than they gain
