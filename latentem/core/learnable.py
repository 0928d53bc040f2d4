"""The half of a model that statistics teach, which knows nothing of latents; and wholes, learnt part by part."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar, final

from attrs import evolve

from latentem.core.additive import Vector
from latentem.core.block import Block, Identified, Path, get, put
from latentem.core.events import Degenerate, Event

S = TypeVar("S", bound=Vector)
P = TypeVar("P")
Found = TypeVar("Found", Event, Degenerate)
Name = str | int | tuple[()]


class Learnable(abc.ABC, Generic[S, P]):
    """Parameters that statistics teach. Immutable; holds no data and no parameters.

    A model is one, and so are a family of densities and the weights of a mixture. S are sufficient statistics, P
    parameters. Log quantities are in nats, totals over data.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """A class that says its blocks anew has their M-step, and not the one that went with those of its base."""
        super().__init_subclass__()
        if "blocks" in vars(cls) and "m_step" not in vars(cls):
            cls.m_step = Learnable.m_step  # type: ignore[method-assign]  # what the class would say itself

    @abc.abstractmethod
    def log_joint(self, params: P, statistics: S) -> float:
        """Linear in the statistics; at expected ones it is Q, the expected complete-data log likelihood."""

    @abc.abstractmethod
    def blocks(self) -> Sequence[Block[S, P]]:
        """The closed-form M-step: one exact conditional maximiser a field, location before scale."""

    @abc.abstractmethod
    def first(self, statistics: S) -> P:
        """Parameters from statistics alone: how a start becomes parameters."""

    def m_step(self, statistics: S, params: P) -> P:
        """The parameters after the blocks in order, each applied to those that the last one left.

        A class may override it to make all of them at once, with the same answer.
        """
        for block in self.blocks():
            params = block.apply(statistics, params)
        return params

    def log_prior(self, params: P) -> float:
        """log p(params) up to a constant; zero means that there is no prior."""
        return 0.0

    def rounding(self, params: P) -> float:
        """Relative error of `log_joint` at these parameters, beyond the ordinary: where they are ill-conditioned."""
        return 0.0

    def cancellation(self, params: P, statistics: S) -> float:
        """How far rounding can put `log_joint` off at these statistics, in nats, where large terms of it cancel."""
        return 0.0

    def contradictions(self, params: P) -> Iterable[str]:
        """Claims that these parameters belie, in sentences; `check_model` asks."""
        return ()

    def shortcut(self, params: P, statistics: S) -> S | None:
        """Statistics to whose M-step a slow run may leap, where a way is known that is no step of EM.

        Conditional maxima of the likelihood itself, as in ECME (Liu and Rubin, 1994), are such ways. The leap is tried
        and audited as any other. None: none is known.

        Args:
            params: Where the statistics were taken.
            statistics: Expected sufficient statistics.
        """
        return None

    def diagnose(self, params: P, statistics: S) -> Sequence[Event]:
        """Events: components at a floor, empty, coincident. Pure; sees no data."""
        return ()

    def lift(self, params: P, statistics: S) -> tuple[P, Sequence[Event]]:
        """The nearest parameters that satisfy the constraints, and events; `params` itself if it is they."""
        return params, ()

    def attainable(self, statistics: S, params: P, ahead: S) -> S:
        """Statistics that data can have, near some that a leap has extrapolated; `statistics` itself if it is they.

        A count that vanishes may come out negative. It is made positive here, so that the M-step is one of the
        statistics that the run goes on from.

        Args:
            statistics: Where a leap would go.
            params: Where the run stands.
            ahead: Where a plain step goes from there.
        """
        return statistics


class Whole(Learnable[S, P]):
    """Learnt part by part: its log joint is the sum of its parts', and its blocks are theirs.

    Parameters and statistics both hold what is a part's under the name of the part: a field, or a number. The name ()
    says that they are the part's own.
    """

    __slots__ = ()

    @property
    @abc.abstractmethod
    def pieces(self) -> Mapping[Any, Learnable[Any, Any]]:
        """The parts by name, in the order in which the M-step takes them."""

    @abc.abstractmethod
    def assemble(self, pieces: Mapping[Any, Any]) -> P:
        """Parameters of the whole from those of the parts, by name."""

    def seen(self, name: Name, statistics: S) -> bool:
        """Whether the data say anything of a part; if not, it stays as it is."""
        return True

    def told(self, name: Name, found: Found) -> Found:
        """A finding of a part in the whole's words: a numbered part has its number before the name of the field."""
        if found.field is None or not isinstance(name, int):
            return found
        return evolve(found, field=f"{name}.{found.field}")

    def block(self, name: Name, block: Block[Any, Any]) -> Block[S, P]:
        """A block of a part, as the whole's."""
        holding, share = block.holding, _share(name)

        def maximize(statistics: S, params: P) -> Any:
            if not self.seen(name, statistics):
                return get(share(params), block.path)
            return self._of(name, block.maximize, share(statistics), share(params))

        def identified(statistics: S, params: P) -> Identified:
            its, own = share(statistics), share(params)
            return block.free(its, own) if self.seen(name, statistics) else Identified(block.size(own))

        return Block(
            path=(*_path(name), *block.path),
            maximize=maximize,
            size=lambda params: block.size(share(params)),
            holding=None if holding is None else lambda components: self.block(name, holding(components)),
            place=block.place,
            identified=None if block.identified is None else identified,
        )

    # Loops rather than sums of generators: each step of EM asks all of these several times.

    def m_step(self, statistics: S, params: P) -> P:
        pieces = {}
        for name, part in self.pieces.items():
            share = _share(name)
            own = share(params)
            seen = self.seen(name, statistics)
            pieces[name] = self._of(name, part.m_step, share(statistics), own) if seen else own
        return self.assemble(pieces)

    def log_joint(self, params: P, statistics: S) -> float:
        total = 0.0
        for name, part in self.pieces.items():
            total += part.log_joint(_share(name)(params), _share(name)(statistics))  # (eq: expected-log-joint)
        return total

    def log_prior(self, params: P) -> float:
        total = 0.0
        for name, part in self.pieces.items():
            total += part.log_prior(_share(name)(params))
        return total

    def rounding(self, params: P) -> float:
        largest = 0.0
        for name, part in self.pieces.items():
            largest = max(largest, part.rounding(_share(name)(params)))
        return largest

    def cancellation(self, params: P, statistics: S) -> float:
        total = 0.0
        for name, part in self.pieces.items():
            total += part.cancellation(_share(name)(params), _share(name)(statistics))
        return total

    def shortcut(self, params: P, statistics: S) -> S | None:
        found = None
        for name, part in self.pieces.items():
            share = _share(name)
            mine = part.shortcut(share(params), share(statistics)) if self.seen(name, statistics) else None
            if mine is not None:
                found = put(statistics if found is None else found, _path(name), mine)
        return found

    def blocks(self) -> Sequence[Block[S, P]]:
        return [self.block(name, block) for name, part in self.pieces.items() for block in part.blocks()]

    def first(self, statistics: S) -> P:
        parts = self.pieces.items()
        return self.assemble({name: self._of(name, part.first, _share(name)(statistics)) for name, part in parts})

    def contradictions(self, params: P) -> Iterable[str]:
        for name, part in self.pieces.items():
            yield from part.contradictions(_share(name)(params))

    def diagnose(self, params: P, statistics: S) -> Sequence[Event]:
        return [
            self.told(name, event)
            for name, part in self.pieces.items()
            if self.seen(name, statistics)
            for event in self._of(name, part.diagnose, _share(name)(params), _share(name)(statistics))
        ]

    def lift(self, params: P, statistics: S) -> tuple[P, Sequence[Event]]:
        events: list[Event] = []
        for name, part in self.pieces.items():
            if self.seen(name, statistics):
                own = _share(name)(params)
                lifted, done = self._of(name, part.lift, own, _share(name)(statistics))
                if lifted is not own:
                    params = put(params, _path(name), lifted)
                    events += [self.told(name, event) for event in done]
        return params, events

    def attainable(self, statistics: S, params: P, ahead: S) -> S:
        for name, part in self.pieces.items():
            share = _share(name)
            own = share(statistics)
            moved = part.attainable(own, share(params), share(ahead)) if self.seen(name, statistics) else own
            if moved is not own:
                statistics = put(statistics, _path(name), moved)
        return statistics

    @final
    def _each(self, function: Callable[..., Any], *values: Any) -> list[Any]:
        """The answers of a function for each part and its own share of some values, in the order of the parts."""
        return [
            self._of(name, function, part, *[_share(name)(value) for value in values])
            for name, part in self.pieces.items()
        ]

    @final
    def _of(self, name: Name, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of a function of a part; a Degenerate is told in the whole's words."""
        try:
            return function(*arguments)
        except Degenerate as error:
            raise self.told(name, error) from None


@cache
def _share(name: Name) -> Callable[[Any], Any]:
    """The function from a value of the whole to the part's share of it: as `get` has it, but quickly."""
    if isinstance(name, str):
        return attrgetter(name)
    return itemgetter(name) if isinstance(name, int) else lambda value: value


def _path(name: Name) -> Path:
    return name if isinstance(name, tuple) else (name,)
