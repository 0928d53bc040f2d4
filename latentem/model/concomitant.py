"""Mixtures whose weights depend on columns of the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import evolve, field, frozen
from scipy.special import logsumexp, softmax

from latentem.arrays import Array, matrix, own, part, plain_int
from latentem.core import Additive, ColumnError, Learnable, Path, RowError, Unavailable, Value
from latentem.data import Rows, chunk_of, chunks_of
from latentem.family import Family, WeightedSample
from latentem.family.base import brief
from latentem.family.columns import refuse_extreme, refuse_outlying
from latentem.family.naming import Columns, Header, Named, bound, columns_given, merged, placed, refuse_text, wanted
from latentem.family.regression.predictor import linear_predictor, refuse_coefficients
from latentem.model.components import ComponentModel, a_family, number_of
from latentem.model.gate import Gate, log_weights
from latentem.numerics.rng import generator
from latentem.posterior import LabelPosterior

_CHUNK = 2**15
"""Numbers in the tables of a chunk, (rows, k) and (rows, d): so few that they stay in cache."""
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


@final
@frozen
class ConcomitantMixture(Named, ComponentModel[Rows, LabelPosterior, ConcomitantStatistics, ConcomitantParams]):
    """p(x) = sum over k of weight_k(x) p(x | component k), the weights a softmax of linear functions of some columns.

    The latent class model with concomitant variables of Dayton and Macready (1988), and with regressions for
    components a mixture of experts (Jordan and Jacobs, 1994). The gate has no closed form: it is a weighted
    multinomial logit, taken to machine precision by Newton's method from the current one, and never below it.
    The memory of its statistics grows with the data.

    Attributes:
        family: What the components are; they see the whole row, so give `family.on(...)` for the columns that they
            are about.
        k: How many there are.
        columns: The columns that the weights depend on, by number, from 0, or by name; none makes an ordinary mixture.
        places: The numbers of columns that were given by name: `fit` puts them in, for its table.
    """

    family: Family[Any, Any] = field(validator=a_family)
    k: int = field(converter=plain_int, validator=number_of("components"))
    columns: Columns = field(converter=columns_given)
    places: tuple[int, ...] | None = field(default=None, repr=False)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the columns that the weights depend on.

        Raises:
            ValueError: they have names, and no table has said where these are.
        """
        return placed(self.columns, self.places)

    def wanted(self) -> tuple[str, ...] | None:
        names = tuple(column for column in self.columns if isinstance(column, str))
        return merged([wanted(self.family), *([names] if self.columns else [])])

    def bound(self, header: Header) -> ConcomitantMixture:
        places = header.places(self.columns, self.places)
        numbers = self.columns if places is None else places
        refuse_text("the gate", header.of(numbers))
        return evolve(self, family=bound(self.family, header), places=places)

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
        return softmax(linear_predictor(params.gate, x[:, self.numbers]), axis=1)

    def posterior(self, params: ConcomitantParams, chunk: Rows) -> LabelPosterior:
        chunk = self._as_chunk(chunk)
        density, hidden = self.infer(params, chunk)
        log_joint = log_weights(params.gate, chunk.x[:, self.numbers]) + density
        self.refuse_unsound(log_joint, chunk)
        return LabelPosterior.from_log(log_joint, chunk.weight, hidden)

    def statistics(self, chunk: Rows, posterior: LabelPosterior) -> ConcomitantStatistics:
        chunk = self._as_chunk(chunk)
        if posterior.weights.shape != (len(chunk), self.k):
            raise ValueError(f"the posterior has shape {posterior.weights.shape}: it must be {(len(chunk), self.k)}")
        counts = posterior.counts()
        gate = WeightedSample(own(chunk.x[:, self.numbers]), counts)
        return ConcomitantStatistics(gate, self.emitted(chunk, counts, posterior.hidden))

    def log_evidence(self, params: ConcomitantParams, chunk: Rows) -> Array:
        chunk = self._as_chunk(chunk)
        density = self.masked(self.family.log_density(params.components, chunk.x), chunk)
        evidence: Array = logsumexp(log_weights(params.gate, chunk.x[:, self.numbers]) + density, axis=1)
        return evidence

    def sample(self, params: ConcomitantParams, size: int, rng: Any) -> tuple[Array, Any]:
        """Draw rows and labels, where the weights depend on no columns.

        Raises:
            Unavailable: they do, and the model says nothing of how these come about; `weights` takes them.
        """
        rng = generator(rng)
        if self.numbers:
            raise Unavailable(
                f"the weights depend on columns {list(self.numbers)}, of which the model does not say how they come "
                "about: draw labels with the probabilities model.weights(params, x)"
            )
        labels = rng.choice(self.k, size, p=self.weights(params, np.empty((1, 0)))[0])
        return self.family.sample(params.components, labels, rng), labels

    def describe(self, params: ConcomitantParams, statistics: ConcomitantStatistics) -> Mapping[str, Array]:
        gate = {"log odds": params.gate[:, 0]}
        slopes = {f"log odds by x{c}": params.gate[:, i + 1] for i, c in enumerate(self.numbers)}
        return {**gate, **slopes, **super().describe(params, statistics)}

    def check(self, chunks: Sequence[Rows], held: Set[Path] = frozenset()) -> None:
        d = chunks[0].x.shape[1]
        if self.numbers and max(self.numbers) >= d:
            raise ValueError(f"columns {list(self.numbers)} were asked for: the data have {d}, numbered from 0")
        begin = 0
        for chunk in chunks:
            missing = np.isnan(chunk.x[:, self.numbers])
            if missing.any():
                row, column = (int(i[0]) for i in np.nonzero(missing))
                raise ValueError(
                    f"row {begin + row}, column {self.numbers[column]} is missing, and the weights depend on it: leave "
                    "out such rows, or fill them in"
                )
            begin += len(chunk)
        try:
            concomitants = [chunk.x[:, self.numbers] for chunk in chunks]
            refuse_extreme(concomitants)
            refuse_outlying(concomitants)
        except (ColumnError, RowError) as error:
            raise error.put(column=self.numbers[error.column or 0]) from None
        super().check(chunks, held)

    def check_params(self, params: ConcomitantParams) -> None:
        if not isinstance(params, ConcomitantParams):
            raise ValueError(f"{brief(params)} was given: parameters of {self!r} are a ConcomitantParams")
        if params.gate.shape != (self.k, len(self.numbers) + 1):
            raise ValueError(
                f"the gate has shape {params.gate.shape}: {self.k} components and {len(self.numbers)} columns need "
                f"{(self.k, len(self.numbers) + 1)}"
            )
        super().check_params(params)

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Rows:
        return chunk_of(Rows, data, weights, allowed, self.k, self.family.takes_missing)

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Rows]:
        return chunks_of(Rows, data, weights, allowed, self._rows, self.k, self.family.takes_missing)

    def _rows(self, n: int, d: int) -> int:
        return max(256, _CHUNK // max(self.k, d))

    def _as_chunk(self, data: Any) -> Rows:
        return data if isinstance(data, Rows) else self.chunk(data)

    def units(self, statistics: ConcomitantStatistics) -> Array:
        return statistics.gate.count

    def gathered(self, chunk: Rows, responsibilities: Array, weight: Array | None = None) -> ConcomitantStatistics:
        return self.statistics(chunk, LabelPosterior(responsibilities, chunk.weight if weight is None else weight))

    def alike(self, params: ConcomitantParams, i: int, j: int) -> bool:
        return bool(np.isclose(params.gate[i], params.gate[j], rtol=_ALIKE, atol=_ALIKE).all())
