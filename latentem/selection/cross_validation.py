"""Cross-validation: how likely a model makes data that it has not seen."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Unpack, final

import numpy as np
from attrs import evolve, field, frozen

from latentem.arrays import EQUAL, Array, Labels, own
from latentem.core import Degenerate, InOrder, LatentModel, Unavailable, evidence_of, unit_lengths, unit_weight
from latentem.fit import check, fit_admitted
from latentem.fitted import Fit
from latentem.numerics.arithmetic import own_arithmetic
from latentem.numerics.rng import generator
from latentem.run import Ending
from latentem.selection import parts
from latentem.selection.progress import Candidates
from latentem.settings import Running, Settings
from latentem.tables import admitted

Model = LatentModel[Any, Any, Any, Any]


@final
@frozen(repr=False)
class CrossValidation:
    """The held-out log likelihood of a model: each unit scored by a fit that has not seen it.

    Attributes:
        mean: Mean held-out log likelihood in nats an observation; higher is better.
        standard_error: Of the mean, from how the units differ (docs/mathematics.md, "Held-out likelihood").
        log_densities: log p(unit | the fit without its fold) in nats, shape (units,), in the order of the data. The
            folds of two models are the same, so that these may be subtracted.
        folds: Of each unit the number of its fold, shape (units,).
        fits: The fits, one for each fold.
    """

    mean: float
    standard_error: float
    log_densities: Array = field(eq=EQUAL)
    folds: Labels = field(eq=EQUAL)
    fits: tuple[Fit[Any], ...]

    def __repr__(self) -> str:
        model = self.fits[0].model
        return f"<{model!r}: {self.mean:.6f} ± {self.standard_error:.6f} nats an observation, {len(self.fits)} folds>"


@own_arithmetic
def cross_validate(
    model: Model,
    data: Any,
    *,
    folds: int = 5,
    weights: Any = None,
    allowed: Any = None,
    start: Any = None,
    progress: bool = False,
    rng: Any = 0,
    **how: Unpack[Running],
) -> CrossValidation:
    """The mean held-out log likelihood of a model (Smyth, 2000), with its standard error.

    Units, rows or whole sequences, are dealt to the folds at random, as evenly as can be; nothing else is evened.

    Args:
        model: Any model whose log evidence is known.
        data: As for `fit`; they are read as a whole.
        folds: How many parts there are, each of which is held out once; as many as units leave out one at a time.
        weights: As for `fit`: what counts twice counts twice in the mean.
        allowed: As for `fit`; a held-out unit is scored with its label, where that is known.
        start: Parameters at which each fit begins; None: random starts.
        progress: As for `fit`.
        rng: As for `fit`; it also deals the units. An int deals the same to each model.
        how: `n_starts`, `stop`, `max_steps`, `runner`, `accelerate` and `engine`, as for `fit`.

    Raises:
        TypeError, ValueError: the data or an option cannot be used, or there are too few units; nothing is computed.
        Unavailable: the posterior is not exact, or the model has no `log_evidence`.
        Degenerate: a fit failed; a note says at which fold.
    """
    if not isinstance(model, LatentModel):
        raise TypeError(f"model was given as {model!r}: give a LatentModel, such as GaussianMixture(2)")
    if not model.inference.exact:
        raise Unavailable(f"{model!r} has no likelihood: its posterior is not exact; give it without Hard or the like")
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer) or folds < 2:
        raise ValueError(f"folds was given as {folds!r}: give a whole number of folds, at least 2")
    settings = Settings.of(start=start, progress=progress, rng=rng, **how)
    given = admitted(model, data, weights, allowed)
    data, model = parts.whole(given), given.model
    units = parts.count(data)
    if units < folds:
        raise ValueError(f"{folds} folds were given for {units} units: give at most {units}")
    dealer = generator(rng)
    fold_of: Labels = dealer.permutation(np.arange(units) % folds)
    fold_of.flags.writeable = False
    seen = [evolve(given, data=_kept(data, fold_of != fold), weights=None, allowed=None) for fold in range(folds)]
    for fold, mine in enumerate(seen):
        try:
            check(mine, chunks := model.chunks(mine.data), InOrder(chunks))
        except ValueError as error:
            raise ValueError(f"without fold {fold} of {folds} the data cannot be fitted: {error}") from error
    found, fits = np.empty(units), []
    counted, weighing = np.empty(units), np.ones(units)
    with Candidates() if progress else nullcontext() as shown:
        for fold, mine in enumerate(seen):
            title = f"{model!r}, fold {fold + 1} of {folds}"
            try:
                fits.append(fit_admitted(mine, evolve(settings, shown=shown, title=title)))
            except Degenerate as error:
                error.add_note(f"at fold {fold} of {folds}, which was held out")
                raise
            if fits[-1].status.ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt
            held_out = np.flatnonzero(fold_of == fold)
            chunks = model.chunks(_kept(data, fold_of == fold))
            found[held_out] = np.concatenate([evidence_of(fits[-1].model, fits[-1].params, chunk) for chunk in chunks])
            sizes = [_sizes(chunk) for chunk in chunks]
            counted[held_out] = np.concatenate([size for size, _ in sizes])
            weighing[held_out] = np.concatenate([weight for _, weight in sizes])
    mean, error_of_mean = _ratio(found, counted, weighing)
    return CrossValidation(mean, error_of_mean, own(found), fold_of, tuple(fits))


def _kept(data: Any, which: Any) -> Any:
    return parts.part(data, np.flatnonzero(which))


def _sizes(chunk: Any) -> tuple[Array, Array]:
    """How many observations each unit is, and how often it counts, shapes (units,)."""
    weight, lengths = unit_weight(chunk), unit_lengths(chunk)
    sizes = np.ones(len(chunk)) if lengths is None else np.asarray(lengths, dtype=np.float64)
    return sizes, np.ones(len(chunk)) if weight is None else np.asarray(weight)


def _ratio(densities: Array, sizes: Array, weights: Array) -> tuple[float, float]:
    """Sum of the densities over the sum of the sizes, and its standard error over units, by linearisation."""
    counts = weights > 0
    densities, sizes, weights = densities[counts], sizes[counts], weights[counts]
    total, units = float(weights @ sizes), float(weights.sum())
    mean = float(weights @ densities) / total
    if not np.isfinite(mean):  # some unit is impossible
        return mean, float("inf")
    # (eq: held-out)
    spread = float(weights @ (densities - mean * sizes) ** 2)
    return mean, float(np.sqrt(spread * units / (units - 1))) / total if units > 1 else float("inf")
