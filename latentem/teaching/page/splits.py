"""The evidence split into A and KL, by a q of the reader's own, at each of the parameters of a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import evolve

from latentem.arrays import Array, own
from latentem.core import Degenerate, HasMode, Unavailable, allowed_of, tree_sum
from latentem.posterior import ChainPosterior, LabelPosterior
from latentem.teaching.page.study import Study

Choice = Callable[[Any, Any], Any]


def splits(study: Study) -> list[dict[str, Any]]:
    """Choices of q, each with [Q, H] at each of the parameters; None where there is no such q.

    The log likelihood is split into A = Q + H and KL = log likelihood - A; a prior is in neither.
    """
    k = _labels(study)
    choices: list[tuple[str, str, Choice]] = []
    if k is not None and k > 1:
        uniform = np.full(k, 1 / k)
        choices.append(
            (f"1/{k} each", "uniform: every label as probable as the others, whatever the row", _same(uniform))
        )
        if k > 2:
            first = np.where(np.arange(k) < 2, 0.5, 0.0)
            words = "every row half in the first component and half in the second"
            name = "1/2, 1/2, 0" if k == 3 else "1/2, 1/2, 0, ..."
            choices.append((name, words, _same(first)))
        choices.append(("hard", "each row, or path, wholly at the most probable label", _hard))
    found = [{"name": name, "words": words, "books": _books(study, ask)} for name, words, ask in choices]
    found.append({"name": "stale", "words": "q of one step before, at the parameters of now", "books": _stale(study)})
    return [one for one in found if any(books is not None for books in one["books"])]


def _labels(study: Study) -> int | None:
    """How many labels there are, or None where the latents are others."""
    q = study.trace.model.posterior(study.params[0], study.trace.chunks[0])
    return int(q.marginals().shape[1]) if isinstance(q, LabelPosterior | ChainPosterior) else None


def _books(study: Study, ask: Choice) -> list[list[float] | None]:
    return [_at(study, params, params, ask) for params in study.params]


def _stale(study: Study) -> list[list[float] | None]:
    before = [None, *study.params[:-1]]
    return [
        None if q is None else _at(study, params, q, lambda posterior, chunk: posterior)
        for params, q in zip(study.params, before, strict=True)
    ]


def _at(study: Study, params: Any, q_params: Any, ask: Choice) -> list[float] | None:
    """Q and H, in nats, of the q that is made of the posterior at `q_params`; None where there is none."""
    model, chunks = study.trace.model, study.trace.chunks
    try:
        posteriors = [ask(model.posterior(q_params, chunk), chunk) for chunk in chunks]
        statistics = tree_sum(model.statistics(chunk, q) for chunk, q in zip(chunks, posteriors, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = float(model.log_joint(params, statistics))
    except (Degenerate, Unavailable, ValueError):
        return None
    return None if np.isnan(expected) else [expected, float(sum(q.entropy() for q in posteriors))]


def _same(probabilities: Array) -> Choice:
    """The same label probabilities for every row, as far as the row may have these labels."""

    def ask(posterior: Any, chunk: Any) -> Any:
        allowed = allowed_of(chunk)
        rows = np.tile(probabilities, (len(posterior.marginals()), 1))
        if allowed is not None:
            rows = rows * allowed
            if not (rows.sum(axis=1) > 0).all():
                raise Unavailable("a row is known to be of none of these components")
            rows /= rows.sum(axis=1, keepdims=True)
        if isinstance(posterior, ChainPosterior):
            with np.errstate(divide="ignore"):
                return evolve(posterior, nodes=own(np.log(rows)), coupling=np.zeros_like(posterior.coupling))
        return LabelPosterior(own(rows), posterior.multiplicity, posterior.hidden)

    return ask


def _hard(posterior: Any, chunk: Any) -> Any:
    if not isinstance(posterior, HasMode):
        raise Unavailable("it has no mode")
    return posterior.mode()
