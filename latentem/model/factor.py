"""Factor analysis, and probabilistic PCA as its case of one noise variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import Array, array, matrix, own, vector
from latentem.core import Additive, Block, ColumnError, Degenerate, Event, LatentModel, Path, Unavailable, Value
from latentem.data import Rows, row_chunks, rows
from latentem.family import CovariancePrior, Diagonal, Flat, Floor, Gaussian, InverseWishart, Shape, Spherical
from latentem.family.structure import VANISHED
from latentem.posterior.normal import NormalPosterior

_LOG_2PI = float(np.log(2 * np.pi))
_AT_FLOOR = 1 + 1e-6
_IDLE = 1e-8
_NOTICED = 1e-11
_LARGEST = 1e140
_CHUNK = 2**15


@final
@frozen
class FactorParams(Value):
    """Mean, loadings and noise variances of x = mean + loadings z + noise, z ~ N(0, I).

    Attributes:
        mean: Shape (d,).
        loadings: Shape (d, m). They are known up to a rotation: compare `covariance()`, or `canonical()`.
        noise: Variances, shape (d,) for diagonal noise, () for spherical.

    Raises:
        ValueError: shapes disagree, or a value is not finite.
    """

    mean: Array = vector("(d,)")
    loadings: Array = matrix("(d, m)")
    noise: Array = array()

    def __attrs_post_init__(self) -> None:
        d = len(self.mean)
        if len(self.loadings) != d or self.noise.shape not in ((), (d,)):
            given = f"loadings of shape {self.loadings.shape} and noise of shape {self.noise.shape} were given"
            raise ValueError(f"{given}: a mean of shape {(d,)} needs ({d}, m), and ({d},) or ()")
        for name in ("mean", "loadings", "noise"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} holds NaN or infinity: every value must be finite")

    @cached_property
    def regression(self) -> Array:
        """The mean beside the loadings, shape (d, 1 + m): E[x | z] is its product with (1, z)."""
        return own(np.column_stack([self.mean, self.loadings]))

    @cached_property
    def whitener(self) -> Array:
        """Inverse standard deviations of the noise, shape (d,) or (); Degenerate if a variance is not positive."""
        if not (self.noise > 0).all():
            raise Degenerate(None, "noise", f"its smallest variance is {self.noise.min():.3g}", "use a prior")
        return 1 / np.sqrt(self.noise)

    @cached_property
    def whitened(self) -> Array:
        """Loadings in units of the noise, shape (d, m)."""
        return own((self.whitener * self.loadings.T).T)

    @property
    def log_det_noise(self) -> float:
        """log det of the covariance of the noise, (d, d)."""
        return -2 * float(np.broadcast_to(np.log(self.whitener), self.mean.shape).sum())

    @cached_property
    def gain(self) -> tuple[Array, Array]:
        """What q is made of: E[z | x] = (x - mean) @ gain, shape (d, m), and a root of its covariance, (m, m)."""
        eye = np.eye(self.loadings.shape[1])
        q, r = np.linalg.qr(np.concatenate([self.whitened, eye]))  # r'r = I + L' Psi^-1 L, and nothing was squared
        root = np.linalg.solve(r, eye)
        return own((root @ q[: len(self.mean)].T * self.whitener).T), own(root)

    @cached_property
    def axes(self) -> tuple[Array, Array, Array]:
        """Singular value decomposition u, s, v' of the whitened loadings: (d, m), (m,), (m, m)."""
        u, s, v = np.linalg.svd(self.whitened, full_matrices=False)
        return own(u), own(s), own(v)

    def covariance(self) -> Array:
        """The covariance of x that the parameters imply, loadings loadings' + noise, shape (d, d)."""
        return self.loadings @ self.loadings.T + np.eye(len(self.mean)) * self.noise

    def variances(self) -> Array:
        """Its diagonal, shape (d,), without the matrix."""
        return (self.loadings**2).sum(axis=1) + self.noise

    def canonical(self) -> FactorParams:
        """The same distribution, the loadings rotated: L' Psi^-1 L diagonal and falling (Lawley and Maxwell, 1971).

        For spherical noise these are the principal axes. Whitened, the loadings of a factor sum to at least zero.
        """
        signs = np.where(self.axes[0].sum(axis=0) < 0, -1.0, 1.0)
        return evolve(self, loadings=self.loadings @ self.axes[2].T * signs)


@final
@frozen
class FactorStatistics(Additive):
    """Second moments of h = (1, z), and of what a regression on h leaves of x.

    Attributes:
        shape: The structure of the noise.
        origin: The regression, a mean and loadings, that residuals r = x - origin h are about; shape (d, 1 + m).
        gram: Sum of weight E[h h'], shape (1 + m, 1 + m); its corner is the sum of weights.
        cross: Sum of weight E[r h'], shape (d, 1 + m).
        second: Sum of weight E[r r'], in that structure's own shape: (d,) or ().

    The chunk chooses the origin: its own regression. So neither offsets nor noise that is small beside the
    loadings cost digits: docs/mathematics.md. A sum keeps the origin of the operand with the larger |count|.
    """

    shape: Shape
    origin: Array = matrix("(d, 1 + m)")
    gram: Array = matrix("(1 + m, 1 + m)")
    cross: Array = matrix("(d, 1 + m)")
    second: Array = array()

    @classmethod
    def of(cls, x: Array, posterior: NormalPosterior, shape: Shape) -> Self:
        """Of rows x, shape (n, d), under q."""
        weight, z, root = posterior.multiplicity, posterior.means, posterior.root
        (n, m), d, count = z.shape, x.shape[1], float(weight.sum())
        if count <= np.finfo(float).tiny / np.finfo(float).eps:  # below, a ratio of sums has no digits
            return cls(shape, *(np.zeros(s) for s in ((d, m + 1), (m + 1, m + 1), (d, m + 1), shape.one(d))))
        near, middle = x[int(weight.argmax())], weight @ z / count
        y, u = x - near, weight[:, None] * (z - middle)
        spread = u.T @ (z - middle) + count * posterior.covariance
        slopes = np.linalg.lstsq(spread, u.T @ y, rcond=None)[0].T
        origin = np.column_stack([near + (weight @ y / count - slopes @ middle), slopes])

        h = np.column_stack([np.ones(n), z])
        weighted = weight[:, None] * h
        r = x - origin[:, 0] - z @ slopes.T
        gram, cross, blur = weighted.T @ h, r.T @ weighted, slopes @ root
        gram[1:, 1:] += count * posterior.covariance
        cross[:, 1:] -= count * blur @ root.T
        second = shape.scatter(r, weight) + count * _pair(shape, blur, blur)
        return cls(shape, own(origin), own(gram), own(cross), second)

    @property
    def count(self) -> float:
        """Sum of weights."""
        return float(self.gram[0, 0])

    def about(self, origin: Array) -> Self:
        """The same statistics about another regression, shape (d, 1 + m)."""
        # With D = old - new, r' = r + D h: exact, and a sum of squares where the old one is the data's own.
        shift = self.origin - origin
        cross = self.cross + shift @ self.gram
        second = self.second + _pair(self.shape, self.cross + cross, shift)
        return evolve(self, origin=origin, cross=cross, second=second)

    def middle(self) -> Array:
        """Mean of x, shape (d,)."""
        return self.origin[:, 0] + (self.origin[:, 1:] @ self.gram[1:, 0] + self.cross[:, 0]) / self.count

    def variances(self) -> Array:
        """Variances of the columns of x, (d,), or their mean for spherical noise, any q; one in place of zero."""
        still = np.zeros_like(self.origin)
        still[:, 0] = self.middle()
        variances = self.shape.variances(self.about(still).second, self.count, len(still))
        return np.where(variances > 0, variances, 1.0)

    def __add__(self, other: Self) -> Self:
        origin = other.origin if abs(other.count) > abs(self.count) else self.origin
        a, b = self.about(origin), other.about(origin)
        return evolve(a, gram=a.gram + b.gram, cross=a.cross + b.cross, second=a.second + b.second)

    def __rmul__(self, factor: float) -> Self:
        return evolve(self, gram=factor * self.gram, cross=factor * self.cross, second=factor * self.second)


def _natural_number(instance: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{attribute.name} was given as {value!r}: give a whole number of factors, at least 1")


def _or_flat(prior: CovariancePrior | None) -> CovariancePrior:
    return Flat() if prior is None else prior


@final
@frozen
class FactorAnalysis(LatentModel[Rows, NormalPosterior, FactorStatistics, FactorParams]):
    """x = mean + loadings z + noise, with m factors z ~ N(0, I): fitted by EM as Rubin and Thayer (1982) do.

    Attributes:
        m: How many factors there are, fewer than the data have columns.
        noise: `Diagonal()`, or `Spherical()` for probabilistic PCA (Tipping and Bishop, 1999).
        prior: On the noise: `Floor(eps)`, `InverseWishart(scale, dof)`, or None for plain maximum likelihood.

    A noise variance whose likelihood is highest at zero (a Heywood case) falls slowly, as 1 / steps.
    """

    m: int = field(validator=_natural_number)
    noise: Shape = field(factory=Diagonal)
    prior: CovariancePrior = field(factory=Floor, converter=_or_flat)

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
        if chunk.x.shape[1] != len(params.mean):
            raise ValueError(f"data with {chunk.x.shape[1]} columns were given: the parameters have {len(params.mean)}")
        gain, root = params.gain
        return NormalPosterior.of_root(own((chunk.x - params.mean) @ gain), root, chunk.weight)

    def statistics(self, chunk: Rows, posterior: NormalPosterior) -> FactorStatistics:
        if posterior.means.shape != (len(chunk), self.m):
            raise ValueError(f"the posterior has shape {posterior.means.shape}: it must be {(len(chunk), self.m)}")
        return FactorStatistics.of(chunk.x, posterior, self.noise)

    def log_joint(self, params: FactorParams, statistics: FactorStatistics) -> float:
        d, m = params.loadings.shape
        residual = statistics.about(params.regression).second / params.noise
        per_unit = (d + m) * _LOG_2PI + params.log_det_noise
        return -0.5 * float(statistics.count * per_unit + np.trace(statistics.gram[1:, 1:]) + residual.sum())

    def log_prior(self, params: FactorParams) -> float:
        second, count = self.prior.pseudo(self.noise, len(params.mean))
        return -0.5 * float(count * params.log_det_noise + (second / params.noise).sum()) if count else 0.0

    def blocks(self) -> Sequence[Block[FactorStatistics, FactorParams]]:
        return [
            Block(("mean",), _mean, lambda params: len(params.mean)),
            Block(("loadings",), _loadings, _free_loadings),
            Block(("noise",), self._noise, self._free_noise),
        ]

    def first(self, statistics: FactorStatistics) -> FactorParams:
        """A regression on z with the mean and covariance that z has in the statistics, made N(0, I) afterwards.

        So it does not matter on which scale z was guessed (Liu, Rubin and Wu, 1998). Noise is kept off zero.
        """
        count, latent = statistics.count, statistics.gram[1:, 0] / statistics.count
        regression = statistics.origin + _solved(statistics.gram, statistics.cross)
        values, vectors = np.linalg.eigh(statistics.gram[1:, 1:] / count - np.multiply.outer(latent, latent))
        loadings = regression[:, 1:] @ vectors * np.sqrt(np.maximum(values, 0))
        left = self._estimate(statistics.about(regression).second, count, len(loadings))
        least = Floor().eps * statistics.variances()
        return FactorParams(statistics.middle(), loadings, self.noise.raised(left, least))

    def log_evidence(self, params: FactorParams, chunk: Rows) -> Array:
        u, s, _ = params.axes  # in units of the noise, along them and apart from them: a sum of squares, without q
        y = (chunk.x - params.mean) * params.whitener
        along = y @ u
        apart = y - along @ u.T
        distance = np.einsum("nd,nd->n", apart, apart) + ((along / np.hypot(1, s)) ** 2).sum(axis=1)
        log_det = params.log_det_noise + 2 * np.log(np.hypot(1, s)).sum()
        return -0.5 * (len(params.mean) * _LOG_2PI + log_det + distance)

    def sample(self, params: FactorParams, size: int, rng: Any) -> tuple[Array, Array]:
        """Draw x, shape (size, d), and the factors z, shape (size, m)."""
        z = rng.standard_normal((size, self.m))
        noise = np.sqrt(params.noise) * rng.standard_normal((size, len(params.mean)))
        return params.mean + z @ params.loadings.T + noise, z

    def rounding(self, params: FactorParams) -> float:
        """What is lost where residuals are small beside the factors' part of x: machine precision times their ratio."""
        relative = float(np.finfo(float).eps * np.hypot(1, params.axes[1][0]))
        return relative if relative > _NOTICED else 0.0

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

    def describe(self, params: FactorParams, statistics: FactorStatistics) -> Mapping[str, Array]:
        """For each canonical factor its share of the columns' variances, on average, (m,), and its loadings, (m, d)."""
        loadings = params.canonical().loadings.T
        return {"share": (loadings**2 / params.variances()).mean(axis=1), "loading": loadings}

    def check(self, chunks: Sequence[Rows], held: Set[Path] = frozenset()) -> None:
        first = chunks[0].x[0]
        d = len(first)
        if self.m >= d:
            raise ValueError(f"data with {d} columns were given for {self.m} factors: give fewer factors than columns")
        n = sum(np.count_nonzero(chunk.row_weight) for chunk in chunks)
        if n <= self.m:
            raise ValueError(f"{n} rows were given for {self.m} factors: give more rows that count than factors")
        Gaussian(self.noise).check((chunk.x for chunk in chunks), {("covariances",)})  # the range of floats
        if ("noise",) in held or isinstance(self.prior, InverseWishart):
            return
        constant = np.all([(chunk.x == first).all(axis=0) for chunk in chunks], axis=0)
        if constant.all() if self.noise == Spherical() else constant.any():
            column = int(constant.argmax())
            remedy = "leave it out, fix the noise, or give an InverseWishart prior"
            raise ColumnError(column, f"is constant ({first[column]:g}), so it has no variance: {remedy}")

    def check_params(self, params: FactorParams) -> None:
        if not isinstance(params, FactorParams):
            raise ValueError(f"{params!r} are no parameters of {self!r}")
        (d, m), noise = params.loadings.shape, params.noise
        if m != self.m or m >= d or noise.shape != self.noise.one(d):
            given = f"loadings of shape {(d, m)} and noise of shape {noise.shape} were given"
            raise ValueError(f"{given}: {self!r} needs (d, {self.m}), d > {self.m}, and {self.noise.one(d)}")
        if not (noise > 0).all():
            raise ValueError(f"noise was given as {noise}: give positive variances")
        if np.abs(params.loadings).max() > _LARGEST * np.sqrt(noise.min()):
            raise ValueError("the noise is too small beside the loadings for floats: give a larger one")

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> Rows:
        return _unlabelled(rows(data, weights), allowed)

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[Rows]:
        chunks = row_chunks(data, weights, None, lambda n, d: max(256, _CHUNK // d))
        _unlabelled(chunks[0], allowed)  # all chunks say what is allowed, or none does
        return chunks

    def guess(self, chunk: Rows, seed: Any) -> NormalPosterior:
        """A q to start from: a projection of the standardised columns, at random but the same for every chunk.

        A chunk is standardised by itself, so units and offsets do not matter. The seed is a Generator's.
        """
        share = chunk.row_weight / (chunk.row_weight.sum() or 1.0)
        y = chunk.x - chunk.x[int(share.argmax())]
        y -= share @ y
        width = np.sqrt(share @ (y * y))
        onto, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((chunk.x.shape[1], self.m)))
        return NormalPosterior(own(y / np.where(width > 0, width, 1.0) @ onto), np.eye(self.m), chunk.weight)

    def _noise(self, statistics: FactorStatistics, params: FactorParams) -> Array:
        if not statistics.count + self.prior.pseudo(self.noise, len(params.mean))[1] > 0:
            return params.noise
        noise = self._estimate(statistics.about(params.regression).second, statistics.count, len(params.mean))
        variances = statistics.variances()
        if (floor := self.prior.floor(variances)) is not None:
            return self.noise.raised(noise, floor)
        ratio, column = self.noise.weakest(noise[None], variances)
        if isinstance(self.prior, Flat) and not ratio[0] >= VANISHED:
            where = "" if column is None else f", in column {column[0]}"
            reason = f"collapsed (smallest variance {max(ratio[0], 0.0):.3g} of the data's{where})"
            raise Degenerate(None, "noise", reason, "use fewer factors, Spherical() noise, or a prior such as Floor()")
        return noise

    def _estimate(self, second: Array, count: float, d: int) -> Array:
        """The maximisers without a floor, shape (d,) or ()."""
        pseudo_second, pseudo_count = self.prior.pseudo(self.noise, d)
        return self.noise.estimate((second + pseudo_second)[None], np.array([count + pseudo_count]), d)[0]

    def _free_noise(self, params: FactorParams) -> int:
        """What is left of the d (d + 1) / 2 numbers of a covariance, if that is less (Ledermann, 1937)."""
        d = len(params.mean)
        return min(self.noise.free(d), d * (d + 1) // 2 - _free_loadings(params))


def _unlabelled(chunk: Rows, allowed: Any = None) -> Rows:
    if allowed is not None or chunk.allowed is not None:
        raise Unavailable("factors are no labels, so FactorAnalysis takes no allowed: leave it out")
    return chunk


def _mean(statistics: FactorStatistics, params: FactorParams) -> Array:
    left = statistics.about(params.regression).cross[:, 0]
    return params.mean + left / statistics.count if statistics.count > 0 else params.mean


def _loadings(statistics: FactorStatistics, params: FactorParams) -> Array:
    left = statistics.about(params.regression).cross[:, 1:]
    return params.loadings + _solved(statistics.gram[1:, 1:], left)


def _free_loadings(params: FactorParams) -> int:
    """Rotations, m (m - 1) / 2 numbers, make no difference."""
    d, m = params.loadings.shape
    return d * m - m * (m - 1) // 2


def _solved(gram: Array, cross: Array) -> Array:
    """Cross gram^-1, in the directions in which gram is not zero."""
    return np.linalg.lstsq(gram, cross.T, rcond=None)[0].T.astype(np.float64, copy=False)


def _pair(shape: Shape, a: Array, b: Array) -> Array:
    """A b' of two matrices (d, p), in the structure's shape: its diagonal, (d,), or its trace, ()."""
    return shape.product(a.T, b.T).sum(axis=0)
