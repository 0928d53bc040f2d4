"""A source that is functions, each of which loads a chunk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, final

from attrs import evolve, frozen

from latentem.data.chunks import Chunks
from latentem.data.memory import one
from latentem.data.tables import Size, Source
from latentem.data.units import Units, first_that_counts

U = TypeVar("U", bound=Units)
Shape = tuple[tuple[int, ...], bool]
"""The shape of a chunk's rows, (n, d), and whether it says what is allowed."""


@final
@frozen(eq=False, repr=False)
class Functions(Source):
    """Functions without arguments: what function i loads is chunk i, and must have the same shape each time.

    Attributes:
        loads: The functions; each gives what a chunk is made of: a table, say, or `Rows`, or a list of sequences.
        weighted: Whether weights count that come with the chunks.
    """

    loads: tuple[Callable[[], Any], ...]
    weighted: bool = True

    def __repr__(self) -> str:
        return f"<{len(self.loads)} chunks, each loaded by a function>"

    @property
    def columns(self) -> tuple[str, ...] | None:
        return None

    def bare(self) -> Functions:
        return evolve(self, weighted=False)

    def chunks(self, kind: type[U], size: Size, k: int | None, missing: bool) -> Chunks[U]:
        load = partial(self._chunk, kind, k, missing)
        shapes = tuple(map(_shape, Chunks(partial(load, ()), len(self.loads))))
        if len({(shape[1:], labelled) for shape, labelled in shapes}) > 1:
            given = sorted({shape[1] for shape, _ in shapes})
            raise ValueError(
                f"chunks with {given} columns were loaded: give the same columns, and all or none with allowed"
            )
        chunks = Chunks(partial(load, shapes), len(self.loads))
        first_that_counts(chunks, kind.noun)
        return chunks

    def _chunk(self, kind: type[U], k: int | None, missing: bool, shapes: tuple[Shape, ...], i: int) -> U:
        """Chunk i, whose shape must be that of `shapes`, once these are known."""
        given = self.loads[i]()
        try:
            chunk = one(kind, given, k, missing, self.weighted)
        except (TypeError, ValueError) as error:
            raise type(error)(f"chunk {i}: {error}") from error
        if shapes and _shape(chunk) != shapes[i]:
            raise ValueError(
                f"chunk {i} has shape {_shape(chunk)[0]}, and had {shapes[i][0]} when it was loaded first: "
                "a function must load the same data each time"
            )
        return chunk


def _shape(chunk: Units) -> Shape:
    return chunk.x.shape, chunk.allowed is not None
