"""Selection: each model fitted to the same data, and the answers side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import quote

import numpy as np
from attrs import evolve

from latentem.core import Degenerate, InOrder, LatentModel, Unavailable
from latentem.fit import book_of, check, fit_admitted
from latentem.numerics.arithmetic import own_arithmetic
from latentem.numerics.rng import children
from latentem.run import Ending
from latentem.run.checkpoint import digest
from latentem.selection.contender import CRITERIA, UNREACHED, Contender, Model, clusters_of
from latentem.selection.kept import Kept
from latentem.selection.progress import Candidates
from latentem.selection.selection import Selection, criterion_of
from latentem.settings import Running, Settings
from latentem.tables import Admitted


@own_arithmetic
def select(
    models: Mapping[str, Model] | Sequence[Model],
    data: Any,
    *,
    criterion: str = "bic",
    weights: Any = None,
    allowed: Any = None,
    start: Mapping[str, Any] | None = None,
    strict: bool = True,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    rng: Any = 0,
    **how: Unpack[Running],
) -> Selection:
    """Fit each of several models, and rank them.

    A fit in which something is degenerate, such as a component on one row, does not win, whatever its likelihood.
    Each fit is that of `lem.fit` with the same arguments, to the bit.

    Args:
        models: By name, as `lem.grid` makes them; or a sequence, in which each goes by what Python shows of it.
        data: As for `fit`. A file of up to 256 MB is read once, and kept; a larger one by each fit, whose starts share
            each pass.
        criterion: "bic", "icl" or "aic": what they are ranked by. `selection.by` ranks them by another one.
        weights: As for `fit`.
        allowed: As for `fit`.
        start: By name, where candidates begin, as for `fit`; those that are not named begin at random.
        strict: Whether a model that the data refuse, such as one of more components than rows, is an error. If not, it
            is a row of the table with its reason; if all are refused, that is an error in any case.
        progress: As for `fit`; the title says which candidate is under way.
        checkpoint: Path of a directory, made if need be, where each candidate has its checkpoint. The same call, after
            it was killed, goes on from there; with more models it fits those that are new.
        rng: As for `fit`, for each of them; a Generator gives each the same starts.
        how: `n_starts`, `stop`, `max_steps`, `runner`, `accelerate` and `engine`, as for `fit`.

    Returns:
        The candidates with their fits. One that fails, such as with `Degenerate`, has the reason in its place. Ctrl-C
        returns those that are done; before the first it raises.

    Raises:
        TypeError, ValueError: there are no models, the data are refused, the criterion is none of these models', an
            option cannot be used, or a checkpoint is that of another fit; nothing has been computed.
    """
    named = _named(models)
    _refuse_without(criterion_of(criterion), named)
    begins, folder = _begins(start, named), None if checkpoint is None else _folder(checkpoint)
    how_each = {"progress": progress, "rng": _repeatable(rng), **how}
    each = {
        name: Settings.of(start=begins.get(name), checkpoint=folder and folder / _file(name, model), **how_each)
        for name, model in named.items()
    }
    kept = Kept(data, weights, allowed)
    refused = _refused(named, kept, each, strict)
    done: list[Contender] = []
    with Candidates() if progress else nullcontext() as shown:
        for number, (name, model) in enumerate(named.items(), 1):
            if name in refused:
                done.append(Contender(name, model, None, refused[name]))
                continue
            mine = evolve(each[name], shown=shown, title=f"{name} ({number} of {len(named)})")
            try:
                candidate = _fitted(name, model, kept.of(name, model), mine)
            except KeyboardInterrupt:
                if not any(one.fit for one in done):
                    raise
                break
            done.append(candidate)
            if candidate.fit is not None and candidate.fit.status.ending is Ending.INTERRUPTED:
                break
    left = list(named.items())[len(done) :]
    return Selection((*done, *(Contender(*one, None, UNREACHED) for one in left)), criterion)


def _fitted(name: str, model: Model, given: Admitted, settings: Settings) -> Contender:
    """The candidate with its fit, or with the reason why there is none."""
    try:
        return Contender(name, model, fit_admitted(given, settings))
    except Exception as error:  # whatever it is, it is to lose nothing of the other candidates
        named = "" if isinstance(error, Degenerate | ValueError | Unavailable) else f"{type(error).__name__}: "
        return Contender(name, model, None, named + " ".join(str(error).split()))


def _named(models: Any) -> dict[str, Model]:
    if isinstance(models, LatentModel):
        raise TypeError(f"models was given as {models!r}: give several, in a mapping or a list; lem.grid makes them")
    if isinstance(models, Mapping):
        named = dict(models)
    elif isinstance(models, Sequence) and not isinstance(models, str):
        named = {repr(model): model for model in models}
        if len(named) < len(models):
            twice = next(name for name in named if [*map(repr, models)].count(name) > 1)
            raise ValueError(f"{twice} was given twice: give each model once, or a mapping from names to models")
    else:
        raise TypeError(f"models was given as {models!r}: give a mapping from names to models, or a list of models")
    if not named:
        raise ValueError(
            "no models were given: give at least one, such as lem.grid(lem.GaussianMixture, k=range(1, 6))"
        )
    for name, model in named.items():
        if not isinstance(name, str):
            raise TypeError(f"the name {name!r} was given: give names as text, such as {str(name)!r}")
        if not isinstance(model, LatentModel):
            raise TypeError(f"{name!r} was given as {model!r}: give a LatentModel, such as GaussianMixture(2)")
    return named


def _begins(start: Any, named: Mapping[str, Model]) -> Mapping[str, Any]:
    if start is None:
        return {}
    if not isinstance(start, Mapping):
        raise TypeError(f"start was given as {start!r}: give a mapping from names of candidates to where they begin")
    if strange := [name for name in start if name not in named]:
        raise ValueError(f"start was given for {strange[0]!r}, which is none of the candidates: {', '.join(named)}")
    return start


def _refuse_without(criterion: str, named: Mapping[str, Model]) -> None:
    """Refuse models that have no such criterion."""
    for name, model in named.items():
        if not model.inference.exact:
            what = "its posterior is not exact, so that its likelihood is not known"
        elif criterion == "icl" and clusters_of(model) is None:
            what = "its latents are no labels of components, or it does not say so in clusters()"
        else:
            continue
        advice = "leave it out" if criterion != "icl" or not model.inference.exact else "leave it out, or choose by BIC"
        raise Unavailable(f"{name!r}, {model!r}, has no {CRITERIA[criterion]}: {what}; {advice}")


def _refused(named: Mapping[str, Model], kept: Kept, each: Mapping[str, Settings], strict: bool) -> dict[str, str]:
    """The models that the data refuse, with the reason; all are asked before the first is fitted."""
    refused: dict[str, Exception] = {}
    for name, model in named.items():
        try:
            given = kept.of(name, model)
            chunks = given.model.chunks(given.data, given.weights, given.allowed)
            here = isinstance(chunks, list | tuple)  # an engine need not start for them
            check(given, chunks, InOrder(chunks) if here else each[name].engine.place(chunks))
        except (ValueError, TypeError) as error:
            refused[name] = error
            continue
        if (book := book_of(given.model, chunks, each[name])) is not None:
            book.read()  # that of another fit is refused now
    if refused and (strict or len(refused) == len(named)):
        name, first = next(iter(refused.items()))
        kind = TypeError if isinstance(first, TypeError) else ValueError
        if len(refused) == len(named):
            raise kind(f"none of the {len(named)} candidates could be fitted; {name!r}: {first}") from first
        what = f"{len(refused)} of the {len(named)} models cannot be fitted to these data"
        raise kind(f"{what}; {name!r}: {first}; leave them out, or give strict=False") from first
    return {name: " ".join(str(error).split()) for name, error in refused.items()}


def _repeatable(rng: Any) -> Any:
    """What gives each fit the same starts: a Generator, or None, gives other ones every time."""
    if isinstance(rng, int | np.integer | np.random.SeedSequence):
        return rng
    return children(rng, 1)[0]


def _folder(checkpoint: Any) -> Path:
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"checkpoint was given as {checkpoint!r}: give the path of a directory, or None")
    folder = Path(checkpoint)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"checkpoint was given as {str(folder)!r}, which is a file: give the path of a directory")
    if not folder.parent.is_dir():
        raise ValueError(f"checkpoint was given as {str(folder)!r}: there is no directory {str(folder.parent)!r}")
    folder.mkdir(exist_ok=True)
    return folder


def _file(name: str, model: Model) -> str:
    """The file of a candidate: its name, as far as files take it, and what tells models of one name apart."""
    return f"{quote(name, safe=',= ()')[:80]}.{digest(model)[:12]}.lem"
