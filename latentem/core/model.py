"""The protocol: what a model with latent variables says about itself."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence, Set
from inspect import signature
from typing import Any, Generic, TypeVar

from latentem.core.additive import Vector
from latentem.core.block import Path
from latentem.core.chunk import observations
from latentem.core.clustering import Clustering
from latentem.core.engine import Cache, Placed
from latentem.core.events import Event, Unavailable
from latentem.core.expectation import Expectation
from latentem.core.inference import EXACT, Inference
from latentem.core.learnable import Learnable
from latentem.core.posterior import HasLabels, HasPower, Posterior

X = TypeVar("X")
R = TypeVar("R", bound=Posterior)
S = TypeVar("S", bound=Vector)
P = TypeVar("P")


class LatentModel(Learnable[S, P], Generic[X, R, S, P]):
    """p(x, z | params), as EM needs it. Immutable; holds no data and no parameters.

    X is a chunk of data, R a posterior over its latents, S sufficient statistics, P parameters.
    Five methods say everything: two here, and the three of `Learnable`. The rest has defaults.
    """

    __slots__ = ()

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        takes = signature(cls.expectation)
        for given in (("params", "chunk"), ("params", "chunk", "cache")):
            try:  # now, since a run would find it out in the midst of an engine
                takes.bind("self", *given)
            except TypeError:
                raise TypeError(
                    f"{cls.__name__}.expectation was defined with {takes}: it must take (self, params, chunk, "
                    "cache=None); it may leave the cache alone"
                ) from None

    @property
    def inference(self) -> Inference:
        """The nature of q, and the promises of its half steps."""
        return EXACT

    # What a model must say.

    @abc.abstractmethod
    def posterior(self, params: P, chunk: X) -> R:
        """q(z): the exact posterior, or any other q; the bound stays a bound."""

    @abc.abstractmethod
    def statistics(self, chunk: X, posterior: R) -> S:
        """Expected sufficient statistics under q, summed over the chunk."""

    # What follows from it.

    def expectation(self, params: P, chunk: X, cache: Cache | None = None) -> Expectation[S]:
        """The E-step on one chunk; one fused kernel may override it, with the same answer.

        Args:
            params: The parameters.
            chunk: The data.
            cache: What this method left beside this chunk, perhaps at other parameters; it may be empty at any time,
                and changes no bit of the answer. None keeps nothing.
        """
        posterior = self.posterior(params, chunk)
        if not isinstance(posterior, Posterior):
            raise TypeError(
                f"{type(self).__name__}.posterior gave a {type(posterior).__name__}: it must be a value with a method "
                "entropy(), such as LabelPosterior(responsibilities)"
            )
        # (eq: expected-log-joint)
        statistics = self.statistics(chunk, posterior)
        entropy = posterior.entropy()
        hidden = entropy - posterior.latent_entropy() if isinstance(posterior, HasPower) else 0.0
        return Expectation(statistics, entropy, observations(chunk), hidden)

    # What a model may say.

    def labels(self, params: P, chunk: X) -> Any:
        """The most probable label of each row, or path of each sequence, as one vector; no more memory than that.

        Raises:
            Unavailable: the latents are no labels.
        """
        posterior = self.posterior(params, chunk)
        if not isinstance(posterior, HasLabels):
            raise Unavailable(f"{self!r} has no labels: its latents are of another kind; use posterior")
        return posterior.labels()

    def log_evidence(self, params: P, chunk: X) -> Any:
        """log p(x | params) of each unit, shape (units,), unweighted, by its own route.

        Raises:
            Unavailable: the model does not say it.
        """
        raise Unavailable(f"{type(self).__name__} has no log_evidence: define it to score data and to audit the bound")

    def sample(self, params: P, size: int, rng: Any) -> tuple[Any, Any]:
        """Draw (x, z) for `size` units.

        Raises:
            Unavailable: the model does not say how.
        """
        raise Unavailable(f"{type(self).__name__} has no sample: define it to draw from the model")

    @property
    def noun(self) -> str:
        """The reader's word for a row of the table of `describe`: a component, a state, a factor."""
        return "component"

    @property
    def classes(self) -> Sequence[Any] | None:
        """Names of the labels, where these are known classes: `predict` gives them. None: labels are numbers."""
        return None

    def describe(self, params: P, statistics: S) -> Mapping[str, Any]:
        """The columns of a table of components: names to arrays of shape (k,) or (k, d); empty if there are none."""
        return {}

    def as_mixture(self, params: P, statistics: S) -> tuple[Any, Any, Any]:
        """What a row is drawn from where nothing else is known of it: shares (k,), a `Family`, and its parameters.

        Pictures are drawn from it.

        Raises:
            Unavailable: rows are not drawn so.
        """
        raise Unavailable(f"{type(self).__name__} does not say what its components look like: define as_mixture")

    def figures(self, params: P, statistics: S) -> Mapping[str, float]:
        """Figures of its own that a fit should report, by name; K-means has its inertia."""
        return {}

    def abreast(self, params: P, chunk: X, weightings: Any, steps: int = 1) -> Sequence[P] | None:
        """Parameters that some steps of EM lead to, for each of several weightings of the units, all at a time.

        They need not be exact, for runs go on from them. None: the model knows no faster way than one after the other.

        Args:
            params: Where all of them begin.
            chunk: The data.
            weightings: Weights of the units, shape (weightings, units).
            steps: How many steps.
        """
        return None

    def loops(self, rows: float) -> tuple[str, ...]:
        """Names of the compiled loops in which its E-step runs where they are there; none where numpy is as fast.

        Args:
            rows: How many rows the data have: few are not worth a compilation.
        """
        return ()

    # How a fit begins, and how it is repaired.

    def settled(self, data: Placed[X]) -> LatentModel[X, R, S, P]:
        """This model with what it takes from the data and does not learn, such as the region of noise.

        Raises:
            ValueError: they do not say it.
        """
        return self

    def clusters(self) -> Clustering | None:
        """How labels of rows become statistics, where the units carry labels; None where they do not."""
        return None

    def guess(self, chunk: X, seed: int) -> R:
        """A q to start from where the units carry no labels: a function of the seed, the same for all chunks.

        Raises:
            Unavailable: the model knows no random starts.
        """
        raise Unavailable(f"{type(self).__name__} knows no random starts: give start=params")

    def held(self, params: P, reference: P) -> P:
        """The parameters, with what is held as it is in the reference."""
        return params

    def drawn(self) -> Sequence[str]:
        """Names of the blocks that are held at whatever the start has, though nobody has said that it may be drawn."""
        return ()

    def repair(
        self, model: LatentModel[Any, Any, Any, Any], before: P, params: P, statistics: S, chunks: Placed[X]
    ) -> tuple[P, Sequence[Event]]:
        """The parameters after a repair that follows an M half, and events; both are audited together.

        Args:
            model: The model that is fitted, which may be made of this one.
            before: The parameters before the M half.
            params: Those after it.
            statistics: What it maximised at.
            chunks: The data.
        """
        return params, ()

    def check(self, chunks: Sequence[X], held: Set[Path] = frozenset()) -> None:
        """Refuse data that cannot be fitted; `held` are the blocks that will not be estimated.

        Raises:
            ValueError: saying what was given, what is allowed and what to do.
        """

    def check_params(self, params: P) -> None:
        """Refuse parameters that do not belong to this model.

        Raises:
            ValueError: saying what was given and what is allowed.
        """

    def chunk(self, data: Any, weights: Any = None, allowed: Any = None) -> X:
        """Raw data as one chunk; here the data are taken for a chunk already.

        Raises:
            Unavailable: weights or labels are given to a model that has not said how it takes them.
        """
        if weights is not None or allowed is not None:
            raise Unavailable(f"{type(self).__name__} takes no weights and no allowed: put them into its chunks")
        chunk: X = data
        return chunk

    def chunks(self, data: Any, weights: Any = None, allowed: Any = None) -> Sequence[X]:
        """Raw data as a sequence of chunks, cut where the data and the model alone say.

        A list or tuple of chunks is taken as it is.
        """
        if isinstance(data, list | tuple) and weights is None and allowed is None:
            return data
        return [self.chunk(data, weights, allowed)]
