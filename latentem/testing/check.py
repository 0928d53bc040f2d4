"""Holding a model to its contract, bare and transformed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, final

from attrs import frozen

from latentem.core import HasDraw, HasMode, HasPower, e_step
from latentem.numerics.arithmetic import own_steps
from latentem.testing.claims import CLAIMS
from latentem.testing.clauses import CLAUSES, Case, Model, cut
from latentem.transform import Hard, Sampled, Tempered, WithPrior

_MOVES = ((1e6, 1.0), (0.0, 1e-9), (-1e3, 1e6))
"""Shifts and scales at which moments about zero, or tolerances in the data's units, would show."""


@final
@frozen
class Failure:
    """One way in which a model breaks its contract.

    Attributes:
        clause: "identity", "half steps", "subsets", "linearity", "chunks", "optimality", "numbers",
            "draws" or "claims".
        where: Under which transformer, and on which copy of the data.
        message: What was found.
    """

    clause: str
    where: str
    message: str


@final
class BrokenContract(AssertionError):
    """A model breaks its contract; `failures` has each way in which it does."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self.failures = tuple(failures)
        super().__init__("\n".join(f"{f.clause} ({f.where}): {f.message}" for f in failures))


def check_model(
    model: Model,
    params: Any,
    data: Any,
    *,
    evidence: Callable[[Any, Any], Any] | None = None,
    moved: Callable[[Any, Any, float, float], tuple[Any, Any]] | None = None,
) -> None:
    """Hold a model to its contract, bare and under each transformer that applies.

    Of the bare model, what it says beside its five methods is held against them, too.

    1. identity: log_joint + entropy is the log evidence, and `expectation` is posterior, statistics and
       entropy; no q of neighbouring parameters beats the parameters' own.
    2. half steps: no E half and no M half loses.
    3. subsets: nor with any subset of blocks frozen, and what is frozen stays as it is, to the bit.
    4. linearity: `log_joint` is linear in the statistics.
    5. chunks: the data in 1, 7 or many chunks, in any order, leave the same statistics and entropy.
    6. optimality: no value that a block itself gives at other statistics does better than its maximum.
    7. numbers: a block has as many free numbers as there are ways in which its maximum moves the log evidence.
    8. draws: no step away from the parameters explains what `sample` draws better than chance allows.
    9. claims: the model contradicts itself in nothing that it can look at itself, such as a `mean` of a family.

    Args:
        model: The model.
        params: Parameters at which its densities are sound, best not at an optimum.
        data: A chunk, or what the model makes a chunk of. A chunk that can be sliced is cut.
        evidence: An independent log evidence of each unit, from (params, chunk). Of a model that has none, such as one
            of no density, what its bound must touch in its place.
        moved: From (params, chunk, shift, scale), both for data scale * x + shift; then all is checked there, too.

    Raises:
        BrokenContract: with every failure found.
    """
    found = tuple(failures(model, params, data, evidence, moved))
    if found:
        raise BrokenContract(found)


@own_steps
def failures(
    model: Model,
    params: Any,
    data: Any,
    evidence: Callable[[Any, Any], Any] | None = None,
    moved: Callable[[Any, Any, float, float], tuple[Any, Any]] | None = None,
) -> Generator[Failure, None, None]:
    """The ways in which a model breaks its contract, each as it is found."""
    chunk = model.chunk(data)
    yield from _failures(model, params, chunk, evidence, "as given")
    for shift, scale in _MOVES if moved is not None else ():
        assert moved is not None
        there, copy = moved(params, chunk, shift, scale)
        yield from _failures(model, there, copy, evidence, f"shifted by {shift:g}, scaled by {scale:g}")


def _failures(model: Model, params: Any, chunk: Any, evidence: Any, where: str) -> Iterator[Failure]:
    pieces = cut(chunk, 7)
    statistics = e_step(model, params, pieces).statistics
    params = model.lift(params, statistics)[0]
    for variant in _variants(model, params, pieces, statistics):
        case = Case(variant, params, pieces, evidence)
        name = type(variant).__name__ if variant is not model else "bare"
        for clause, check in {**CLAUSES, **(CLAIMS if variant is model else {})}.items():
            for message in itertools.islice(check(case, chunk), 1):
                yield Failure(clause, f"{name}, {where}", message)


def _variants(model: Model, params: Any, pieces: Sequence[Any], statistics: Any) -> Iterator[Model]:
    yield model
    posterior = model.posterior(params, pieces[0])
    if isinstance(posterior, HasMode):
        yield Hard(model)
    if isinstance(posterior, HasPower):
        yield from (Tempered(model, 0.5), Tempered(model, 2.0))
    if isinstance(posterior, HasDraw):
        yield Sampled(model, 1)
    yield WithPrior(model, 0.1 * statistics)
