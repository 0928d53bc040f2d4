"""Factor analysis, and probabilistic PCA as its case of one noise variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import Array, own, plain_int
from latentem.core import Block, ColumnError, Degenerate, Event, Expectation, Identified, LatentModel, Path, Unavailable
from latentem.core.engine import Cache
from latentem.data import Rows, chunk_of, chunks_of
from latentem.data.values import refuse_extreme_weights
from latentem.family import CovariancePrior, Diagonal, Floor, Form, Gaussian, Spherical
from latentem.family.base import brief, refuse_other_columns
from latentem.family.columns import constant, seen
from latentem.family.gaussian.prior import or_flat
from latentem.model.components import number_of
from latentem.model.factor_profile import beyond
from latentem.model.factor_values import LOST, FactorParams, FactorStatistics, loadings_of, mean_of, solved
from latentem.numerics.log_gamma import LOG_2PI
from latentem.numerics.rng import generator
from latentem.posterior.normal import NormalPosterior

_AT_FLOOR = 1 + 1e-6
"""Variances up to so many times the floor count as held up by it."""
_IDLE = 1e-8
"""Length of whitened loadings below which a factor explains nothing: its share of a variance is the square."""
_NOTICED = 1e-11
"""Relative rounding below which the audit's own allowance covers it."""
_LARGEST = 1e140
"""Ratio of loadings to noise whose square, summed over columns, is a float yet."""
_CHUNK = 2**18
"""Numbers in the rows of a chunk, at most."""


@final
@frozen
class FactorAnalysis(LatentModel[Rows, NormalPosterior, FactorStatistics, FactorParams]):
    """x = mean + loadings z + noise, with m factors z ~ N(0, I): fitted by EM as Rubin and Thayer (1982) do.

    Attributes:
        m: How many factors there are, fewer than the data have columns.
        noise: `Diagonal()`, or `Spherical()` for probabilistic PCA (Tipping and Bishop, 1999).
        prior: On the noise: `Floor(eps)`, `InverseWishart(scale, dof)`, or None for plain maximum likelihood.

    Steps are slow where noise is small, and a noise variance whose likelihood is highest at zero (a Heywood case) falls
    as 1 / steps. An accelerated run then leaps to the maximum over the noise, where the best loadings are known.
    """

    m: int = field(converter=plain_int, validator=number_of("factors"))
    noise: Form = field(factory=Diagonal)
    prior: CovariancePrior = field(factory=Floor, converter=or_flat)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.noise, Diagonal | Spherical):
            raise TypeError(f"noise was given as {self.noise!r}: give Diagonal() or Spherical()")
        if not isinstance(self.prior, CovariancePrior):
            raise TypeError(f"prior was given as {self.prior!r}: give Floor(eps), InverseWishart(scale, dof) or None")

    def params(self, mean: Any, loadings: Any, noise: Any) -> FactorParams:
        """Parameters given by hand, checked at once.

        Raises:
            ValueError: wrong shapes, values that are not finite, or noise that is not positive.
        """
        params = FactorParams(mean, loadings, noise)
        self.check_params(params)
        return params

    def posterior(self, params: FactorParams, chunk: Rows) -> NormalPosterior:
        chunk = self._as_chunk(params, chunk)
        gain, root = params.gain
        return NormalPosterior.of_root(own((chunk.x - params.mean) @ gain), root, chunk.weight)

    def statistics(self, chunk: Rows, posterior: NormalPosterior) -> FactorStatistics:
        chunk = chunk if isinstance(chunk, Rows) else self.chunk(chunk)
        if posterior.means.shape != (len(chunk), self.m):
            raise ValueError(f"the posterior has shape {posterior.means.shape}: it must be {(len(chunk), self.m)}")
        return FactorStatistics.of(chunk.x, posterior, self.noise)

    def expectation(
        self, params: FactorParams, chunk: Rows, cache: Cache | None = None
    ) -> Expectation[FactorStatistics]:
        chunk = self._as_chunk(params, chunk)
        if len(params.mean) > len(chunk):
            return super().expectation(params, chunk)
        statistics = FactorStatistics.of_chunk(chunk, params, self.noise)
        if statistics is None:
            seen = super().expectation(params, chunk)
            return evolve(seen, statistics=seen.statistics.beside(chunk))
        each = NormalPosterior.of_root(np.zeros((1, self.m)), params.gain[1]).entropy()
        return Expectation(statistics, each * statistics.count, chunk.observations)

    def log_joint(self, params: FactorParams, statistics: FactorStatistics) -> float:
        # "Factor analysis" in docs/mathematics.md: the trace is that of T there, the residual is D over psi.
        d, m = params.loadings.shape
        residual = statistics.about(params.regression).second / params.noise
        per_unit = (d + m) * LOG_2PI + params.log_det_noise
        return -0.5 * float(statistics.count * per_unit + np.trace(statistics.gram[1:, 1:]) + residual.sum())

    def log_prior(self, params: FactorParams) -> float:
        second, count = self.prior.pseudo(self.noise, len(params.mean))
        return -0.5 * float(count * params.log_det_noise + (second / params.noise).sum()) if count else 0.0

    def blocks(self) -> Sequence[Block[FactorStatistics, FactorParams]]:
        return [
            Block(("mean",), mean_of, lambda params: len(params.mean)),
            Block(("loadings",), loadings_of, lambda params: params.free_loadings),
            Block(("noise",), self._noise, self._free_noise, identified=self._identified_noise),
        ]

    def first(self, statistics: FactorStatistics) -> FactorParams:
        """A regression on z with the mean and covariance that z has in the statistics, made N(0, I) afterwards.

        So it does not matter on which scale z was guessed (Liu, Rubin and Wu, 1998). Noise is kept off zero.
        """
        count, latent = statistics.count, statistics.gram[1:, 0] / statistics.count
        regression = statistics.origin + solved(statistics.gram, statistics.cross)
        values, vectors = np.linalg.eigh(statistics.gram[1:, 1:] / count - np.multiply.outer(latent, latent))
        loadings = regression[:, 1:] @ vectors * np.sqrt(np.maximum(values, 0))
        left = self._estimate(statistics.about(regression).second, count, len(loadings))
        least = Floor().eps * statistics.variances()
        return FactorParams(statistics.middle(), loadings, self.noise.raised(left, least))

    def log_evidence(self, params: FactorParams, chunk: Rows) -> Array:
        chunk = self._as_chunk(params, chunk)
        u, s, _ = params.axes  # in units of the noise, along them and apart from them: a sum of squares, without q
        y = (chunk.x - params.mean) * params.whitener
        along = y @ u
        apart = y - along @ u.T
        distance = np.einsum("nd,nd->n", apart, apart) + ((along / np.hypot(1, s)) ** 2).sum(axis=1)
        log_det = params.log_det_noise + 2 * np.log(np.hypot(1, s)).sum()
        return -0.5 * (len(params.mean) * LOG_2PI + log_det + distance)  # (eq: factor-evidence)

    def shortcut(self, params: FactorParams, statistics: FactorStatistics) -> FactorStatistics | None:
        """The maximum of the likelihood over the noise, to each of which the best loadings are known.

        An M-step moves loadings by a share of the noise, and noise that vanishes by a share of itself; this does not.
        """
        return beyond(self.prior, params, statistics)

    def sample(self, params: FactorParams, size: int, rng: Any) -> tuple[Array, Array]:
        """Draw x, shape (size, d), and the factors z, shape (size, m)."""
        rng = generator(rng)
        z = rng.standard_normal((size, self.m))
        noise = np.sqrt(params.noise) * rng.standard_normal((size, len(params.mean)))
        return params.mean + z @ params.loadings.T + noise, z

    def rounding(self, params: FactorParams) -> float:
        """The loss where residuals are small beside the factors' part of x: machine precision times their ratio."""
        relative = float(np.finfo(float).eps * np.hypot(1, params.axes[1][0]))
        return relative if relative > _NOTICED else 0.0

    def cancellation(self, params: FactorParams, statistics: FactorStatistics) -> float:
        """The loss of residuals, as differences of second moments, beside the noise."""
        if not statistics.count > 0:
            return 0.0
        cells = statistics.count * len(params.mean) / np.size(params.noise)
        return float(4 * np.finfo(float).eps * cells * (statistics.variances() / params.noise).sum())

    def diagnose(self, params: FactorParams, statistics: FactorStatistics) -> Sequence[Event]:
        events = []
        if params.axes[1][-1] < _IDLE:
            what = "a factor has no loadings (in some rotation of them), and EM cannot give it any"
            events.append(Event("empty", what, "start from loadings of full rank, or use fewer factors"))
        floor = self.prior.floor(statistics.variances())
        if floor is not None and (held := np.count_nonzero(params.noise <= _AT_FLOOR * floor)):
            what = f"the floor holds up {held} of the noise variances (a Heywood case)"
            remedy = "use fewer factors, Spherical() noise or another Floor(eps), or leave out repeated columns"
            column = self.noise.weakest(params.noise[None], floor)[1]
            events.append(Event("floor", what, remedy, None, "noise", None if column is None else int(column[0])))
        return events

    def lift(self, params: FactorParams, statistics: FactorStatistics) -> tuple[FactorParams, Sequence[Event]]:
        floor = self.prior.floor(statistics.variances())
        if floor is None or (params.noise >= floor).all():
            return params, ()
        lifted = evolve(params, noise=self.noise.raised(params.noise, floor))
        if (params.noise * _AT_FLOOR >= floor).all():  # nearer to it than that is rounding
            return lifted, ()
        remedy = "give a wider start, or another floor (prior=Floor(eps), or None)"
        return lifted, [Event("lifted", "given noise was below the floor and was raised to it", remedy, None, "noise")]

    @property
    def noun(self) -> str:
        return "factor"

    def describe(self, params: FactorParams, statistics: FactorStatistics) -> Mapping[str, Array]:
        """For each canonical factor its share of the columns' variances, on average, (m,), and its loadings, (m, d)."""
        loadings = params.canonical().loadings.T
        return {"share": (loadings**2 / params.variances()).mean(axis=1), "loading": loadings}

    def as_mixture(self, params: FactorParams, statistics: FactorStatistics) -> tuple[Array, Gaussian, Any]:
        return np.ones(1), Gaussian(), Gaussian().params(params.mean[None], params.covariance()[None])

    def check(self, chunks: Sequence[Rows], held: Set[Path] = frozenset()) -> None:
        d = chunks[0].x.shape[1]
        if self.m >= d:
            raise ValueError(f"data with {d} columns were given for {self.m} factors: give fewer factors than columns")
        n = sum(np.count_nonzero(chunk.row_weight) for chunk in chunks)
        if n <= self.m:
            raise ValueError(f"{n} rows were given for {self.m} factors: give more rows that count than factors")
        refuse_extreme_weights(chunks)
        Gaussian(self.noise).check((chunk.x for chunk in chunks), {("covariances",)})  # the range of floats
        if ("noise",) in held or self.prior.widens:
            return
        low, high = np.min([c.x.min(axis=0) for c in chunks], axis=0), np.max([c.x.max(axis=0) for c in chunks], axis=0)
        still = constant(low, high)
        if still.all() if self.noise == Spherical() else still.any():
            column = int(still.argmax())
            remedy = "leave it out, fix the noise, or give an InverseWishart prior"
            what = f"is constant{seen(float(low[column]), float(high[column]))}, so it has no variance: {remedy}"
            raise ColumnError(column, what)

    def check_params(self, params: FactorParams) -> None:
        if not isinstance(params, FactorParams):
            raise ValueError(f"{brief(params)} was given: parameters of {self!r} are a FactorParams")
        (d, m), noise = params.loadings.shape, params.noise
        if m != self.m or m >= d or noise.shape != self.noise.one(d):
            given = f"loadings of shape {(d, m)} and noise of shape {noise.shape} were given"
            raise ValueError(f"{given}: {self!r} needs (d, {self.m}), d > {self.m}, and {self.noise.one(d)}")
        if not (noise > 0).all():
            raise ValueError(f"noise was given as {noise}: give positive variances")
        if np.abs(params.loadings).max() > _LARGEST * np.sqrt(noise.min()):
            raise ValueError("the noise is too small beside the loadings for floats: give a larger one")

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Rows:
        return _unlabelled(chunk_of(Rows, data, weights), allowed)

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Rows]:
        def size(n: int, d: int) -> int:
            rows = _CHUNK // d
            return max(256, rows // 8, min(-(-n // 8), rows))

        chunks = chunks_of(Rows, data, weights, None, size)
        _unlabelled(chunks[0], allowed)  # all chunks say what is allowed, or none does
        return chunks

    def guess(self, chunk: Rows, seed: Any) -> NormalPosterior:
        """A q to start from: a projection of the standardised columns, at random but the same for every chunk.

        A chunk is standardised by itself, so units and offsets do not matter. The seed is a Generator's.
        """
        share = chunk.row_weight / (chunk.row_weight.sum() or 1.0)
        y = chunk.x - chunk.x[int(share.argmax())]  # near a row that counts, so that an offset costs no digits
        y -= share @ y
        width = np.sqrt(share @ (y * y))
        onto, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((chunk.x.shape[1], self.m)))
        return NormalPosterior(own(y / np.where(width > 0, width, 1.0) @ onto), np.eye(self.m), chunk.weight)

    def _as_chunk(self, params: FactorParams, data: Any) -> Rows:
        """A chunk of the columns of the parameters; raw data are made one."""
        chunk = data if isinstance(data, Rows) else self.chunk(data)
        refuse_other_columns(chunk.x, len(params.mean))
        return chunk

    def _noise(self, statistics: FactorStatistics, params: FactorParams) -> Array:
        if not statistics.count + self.prior.pseudo(self.noise, len(params.mean))[1] > 0:
            return params.noise
        noise = self._estimate(statistics.about(params.regression).second, statistics.count, len(params.mean))
        variances = statistics.variances()
        if (floor := self.prior.floor(variances)) is not None:
            return self.noise.raised(noise, floor)
        ratio, column = self.noise.weakest(noise[None], variances)
        if not ratio[0] >= LOST:  # a residual is a difference of second moments, and has no digits beyond
            where = "" if column is None else f"in column {column[0]} "
            reason = f"collapsed: {where}it is {max(ratio[0], 0.0):.3g} times the variance of the data"
            raise Degenerate(None, "noise", reason, "use fewer factors, Spherical() noise, or a prior such as Floor()")
        return noise

    def _estimate(self, second: Array, count: float, d: int) -> Array:
        """The maximisers without a floor, shape (d,) or ()."""
        more, units = self.prior.pseudo(self.noise, d)
        return self.noise.average((second + more)[None], np.array([count + units]), d)[0]  # (eq: factor-m-step)

    def _free_noise(self, params: FactorParams) -> int:
        """The numbers left of the d (d + 1) / 2 of a covariance, if these are fewer (Ledermann, 1937)."""
        d = len(params.mean)
        return min(self.noise.free(d), d * (d + 1) // 2 - params.free_loadings)  # (eq: factor-free)

    def _identified_noise(self, statistics: FactorStatistics, params: FactorParams) -> Identified:
        """The free numbers of the noise, but for those at their floor, which cannot move; an event says so."""
        floor = self.prior.floor(statistics.variances())
        held = 0 if floor is None else int(np.count_nonzero(params.noise <= _AT_FLOOR * floor))
        return Identified(min(self._free_noise(params), self.noise.free(len(params.mean)) - held))


def _unlabelled(chunk: Rows, allowed: Any = None) -> Rows:
    if allowed is not None or chunk.allowed is not None:
        raise Unavailable("factors are no labels, so FactorAnalysis takes no allowed: leave it out")
    return chunk
