"""The bootstrap likelihood ratio test: whether the data ask for the larger of two models."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any, Unpack, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, own
from latentem.core import Degenerate, InOrder, LatentModel, Unavailable
from latentem.data import Units
from latentem.fit import check, fit_admitted
from latentem.fitted import Fit
from latentem.numerics.arithmetic import own_arithmetic
from latentem.numerics.rng import children, generator
from latentem.run import Ending
from latentem.selection import parts
from latentem.selection.contender import clusters_of
from latentem.selection.progress import Candidates
from latentem.settings import Running, Settings
from latentem.tables import Admitted, admitted

Model = LatentModel[Any, Any, Any, Any]
_SAMPLES = 1987
"""Key of the random numbers of the samples, which are others than those of the starts."""


@final
@frozen(repr=False)
class ComponentTest:
    """A bootstrap likelihood ratio test, with the fits that it compares.

    Attributes:
        statistic: Twice what the larger model gains in log likelihood over the smaller one, in nats.
        p_value: How often samples of the smaller fit reach that, the data counted among them.
        error: Monte Carlo standard error of the p value: what another `rng` would change it by.
        samples: The statistic of each sample, in order; infinite where it could not be fitted.
        planned: How many samples there were to be; fewer are drawn where the answer is clear before.
        smaller: The fit of the smaller model to the data.
        larger: The fit of the larger one.
    """

    statistic: float
    p_value: float
    error: float
    samples: Array = field(eq=EQUAL)
    planned: int
    smaller: Fit[Any]
    larger: Fit[Any]

    @property
    def failed(self) -> int:
        """How many samples could not be fitted; each counts against the larger model."""
        return int(np.isinf(self.samples).sum())

    def __repr__(self) -> str:
        drawn = f"{len(self.samples)} of {self.planned} samples"
        return (
            f"<{self.smaller.model!r} against {self.larger.model!r}: 2 log ratio {self.statistic:.4f}, "
            f"p {self.p_value:.4f} ± {self.error:.4f}, {drawn}>"
        )


@own_arithmetic
def test_components(
    model_k: Model,
    model_k1: Model,
    data: Any,
    *,
    n: int = 199,
    exceedances: int = 10,
    progress: bool = False,
    rng: Any = 0,
    **how: Unpack[Running],
) -> ComponentTest:
    """Test a smaller model against a larger one that contains it, such as k components against k + 1.

    The likelihood ratio of mixtures has no chi-squared law; so its law is that of samples drawn from the fit of the
    smaller model, each as large as the data and fitted as they are (McLachlan, 1987). Drawing ends when so many samples
    have reached the statistic of the data that the p value cannot be small (Besag and Clifford, 1991).

    Args:
        model_k: The smaller model.
        model_k1: The larger one.
        data: As for `fit`; they are read as a whole. Samples have missing cells where the data have them, and
            sequences of their lengths.
        n: The most samples that are drawn. The smallest p value is 1 / (n + 1).
        exceedances: How many samples must reach the statistic to end it before.
        progress: As for `fit`; the title says which sample is under way.
        rng: As for `fit`.
        how: `n_starts`, `stop`, `max_steps`, `runner`, `accelerate` and `engine`, as for `fit`.

    Raises:
        TypeError, ValueError: the data, a model or an option cannot be used; nothing has been computed.
        ValueError: the smaller model has more parameters than the larger one.
        Unavailable: a posterior is not exact, or the smaller model says not how to draw from it.
        Degenerate: a model cannot be fitted to the data.
    """
    _refuse_models(model_k, model_k1)
    for name, value in (("n", n), ("exceedances", exceedances)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} was given as {value!r}: give a whole number of samples, at least 1")
    settings = Settings.of(progress=progress, rng=rng, **how)
    pair = [admitted(model, data, None, None) for model in (model_k, model_k1)]
    pattern = parts.whole(pair[0])
    _refuse_counts(pattern)
    for given in pair:
        check(given, chunks := given.model.chunks(given.data), InOrder(chunks))
    root = children(rng, 1)[0]
    seeds = children(np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, _SAMPLES)), n)
    with Candidates() if progress else nullcontext() as shown:
        settings = evolve(settings, shown=shown)
        smaller, larger = (_fitted(given, settings, repr(given.model)) for given in pair)
        if smaller.n_parameters >= larger.n_parameters:
            raise ValueError(
                f"{smaller.model!r} has {smaller.n_parameters} parameters and {larger.model!r} {larger.n_parameters}: "
                "give the smaller model first, and one that contains it"
            )
        statistic = _ratio(smaller, larger)
        _draw(smaller, pattern, generator(seeds[0]))  # a model that cannot be drawn from is found out now
        found: list[float] = []
        while len(found) < n and sum(value >= statistic for value in found) < exceedances:
            draw, begin = children(seeds[len(found)], 2)
            sample = _draw(smaller, pattern, generator(draw))
            mine = evolve(settings, rng=begin)
            found.append(_of_sample(pair, sample, mine, f"sample {len(found) + 1} of {n}"))
    reached = sum(value >= statistic for value in found)
    p_value = reached / len(found) if len(found) < n else (reached + 1) / (n + 1)
    error = math.sqrt(p_value * (1 - p_value) / len(found))
    return ComponentTest(statistic, p_value, error, own(np.array(found)), n, smaller, larger)


setattr(test_components, "__test__", False)  # noqa: B010 - for pytest, which takes what is so called for a test


def _refuse_models(smaller: Model, larger: Model) -> None:
    for name, model in (("model_k", smaller), ("model_k1", larger)):
        if not isinstance(model, LatentModel):
            raise TypeError(f"{name} was given as {model!r}: give a LatentModel, such as GaussianMixture(2)")
        if not model.inference.exact:
            raise Unavailable(
                f"{model!r} has no likelihood: its posterior is not exact; give it without Hard or the like"
            )
    one, other = clusters_of(smaller), clusters_of(larger)
    if smaller == larger or (one is not None and other is not None and one.k > other.k):
        raise ValueError(f"{smaller!r} was given to be tested against {larger!r}: give the smaller model first")


def _refuse_counts(pattern: Any) -> None:
    if isinstance(pattern, Units) and (pattern.weight is not None or pattern.allowed is not None):
        what = "weights" if pattern.weight is not None else "known labels"
        raise ValueError(f"the data have {what}, of which no sample can be drawn: give rows that count once each")


def _fitted(given: Admitted, settings: Settings, title: str) -> Fit[Any]:
    fit = fit_admitted(given, evolve(settings, title=title))
    if fit.status.ending is Ending.INTERRUPTED:
        raise KeyboardInterrupt
    return fit


def _ratio(smaller: Fit[Any], larger: Fit[Any]) -> float:
    return 2 * (larger.log_likelihood - smaller.log_likelihood)


def _draw(fit: Fit[Any], pattern: Any, rng: np.random.Generator) -> Any:
    """A sample as large as the data, of the same kind."""
    if not isinstance(pattern, Units):
        return fit.model.sample(fit.params, parts.count(pattern), rng)[0]
    if pattern.lengths is None:
        x = fit.model.sample(fit.params, len(pattern), rng)[0]
    else:
        x = np.concatenate([fit.model.sample(fit.params, int(t), rng)[0] for t in pattern.lengths])
    x = np.asarray(x, dtype=np.float64).reshape(pattern.x.shape)
    return pattern.of(own(np.where(np.isnan(pattern.x), np.nan, x)), pattern.lengths, None, None)


def _of_sample(pair: list[Admitted], sample: Any, settings: Settings, title: str) -> float:
    """The statistic of a sample; infinite where it cannot be fitted, so that it speaks against the larger model."""
    try:
        smaller, larger = (_fitted(evolve(given, data=sample), settings, title) for given in pair)
    except (Degenerate, ValueError):
        return math.inf
    return _ratio(smaller, larger)
