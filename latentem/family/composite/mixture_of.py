"""Components that are mixtures themselves: a family, several of it in each component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cached_property
from itertools import combinations
from typing import Any, final

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen
from scipy.special import logsumexp, xlogy

from latentem.arrays import Array, Labels, matrix, own, part, plain_int
from latentem.core import Additive, Block, Event, Hidden, Learnable, Path, Value, Whole
from latentem.core.learnable import Found
from latentem.family.base import Family, brief, refuse_other_params
from latentem.family.columns import natural_number
from latentem.family.composite.members import apart
from latentem.numerics.rng import generator
from latentem.numerics.shares import held_back, shares

_SAME = 1e-4
_ROUNDING = 1e-9


@final
@frozen
class MixtureOfParams(Value):
    """How the members share each component, and the parameters of all members.

    Attributes:
        shares: Probabilities of the members of each component, shape (k, m); rows sum to one.
        members: The family's parameters of k m members: those of the first component, then of the second.

    Raises:
        ValueError: the shares are no probabilities.
    """

    shares: Array = matrix("(k, m)")
    members: Any = part()

    def __attrs_post_init__(self) -> None:
        if not ((self.shares >= 0).all() and (abs(self.shares.sum(axis=1) - 1) <= _ROUNDING).all()):
            raise ValueError(
                f"shares were given as {self.shares}: give probabilities, shape (k, m), whose rows sum to 1"
            )


@final
@frozen
class MixtureOfStatistics(Additive):
    """Expected numbers and the family's statistics, named as the parameters that they determine.

    Attributes:
        shares: Expected number of rows of each member, shape (k, m).
        members: The family's statistics of k m members.
    """

    shares: Array = matrix("(k, m)")
    members: Any = part()


@final
@frozen
class Shares(Learnable[Array, Array]):
    """Probabilities of members, shape (k, m), from expected numbers; a component without rows keeps its own."""

    def log_joint(self, params: Array, statistics: Array) -> float:
        return float(xlogy(statistics, params).sum())

    def blocks(self) -> Sequence[Block[Array, Array]]:
        return [self._block()]

    def first(self, statistics: Array) -> Array:
        return own(shares(statistics, 1 / statistics.shape[1]))

    def attainable(self, statistics: Array, params: Array, ahead: Array) -> Array:
        moved = held_back(statistics, params, ahead)
        return statistics if moved is statistics else own(moved)

    def _block(self, held: tuple[int, ...] = ()) -> Block[Array, Array]:
        def maximize(statistics: Array, params: Array) -> Array:
            new = shares(np.maximum(statistics, 0.0), params)  # a running sum may make one negative
            new[list(held)] = params[list(held)]
            return own(new)

        def size(params: Array) -> int:
            return (len(params) - len(held)) * (params.shape[1] - 1)

        return Block((), maximize, size, lambda more: self._block((*held, *more)))


@final
@frozen
class Membership(Value):
    """q(m, h | z): which member of its component a row is of, and what the family hides of it there.

    Attributes:
        members: q(m | z), shape (n, k, m).
        inner: q(h | m, z), over all k m members, or None.
    """

    members: Array = field()
    inner: Hidden | None = None

    def entropies(self) -> Array:
        entropies: Array = -xlogy(self.members, self.members).sum(axis=2)
        if self.inner is not None:
            entropies = entropies + (self.members * self.inner.entropies().reshape(self.members.shape)).sum(axis=2)
        return entropies


@final
@frozen(repr=False)
class MixtureOf(Family[MixtureOfStatistics, MixtureOfParams], Whole[MixtureOfStatistics, MixtureOfParams]):
    """A mixture as a component: p(x | z) = sum over its m members of share_zm f(x | member zm).

    `HiddenMarkov(MixtureOf(Gaussian(), 2), 3)` is a chain of three states, each of which emits from a mixture of two
    Gaussians (Juang, Levinson and Sondhi, 1986). Which member a row is of is latent. In a `Mixture` only the k m
    members are identified, and not which of them belong together; a sequence, a covariate or labels tell that.

    Members are numbered through: of component z they are z m, z m + 1, and so on, and `Fixed(components=...)` on
    one of their blocks counts them so. A structure `TiedWithin(m)` is one covariance for the members of a component.

    Attributes:
        family: What the members are.
        m: How many each component has.
    """

    family: Family[Any, Any] = field()
    m: int = field(converter=plain_int)

    @family.validator
    def _a_family(self, attribute: Any, value: Any) -> None:
        if not isinstance(value, Family):
            raise TypeError(f"MixtureOf was given {value!r}: give a Family, such as Gaussian()")
        if value.background:
            raise ValueError(
                f"MixtureOf was given {value!r}: noise is beside all components, as in Noisy(MixtureOf(...))"
            )

    @m.validator
    def _a_number(self, attribute: Any, value: Any) -> None:
        if not natural_number(value):
            raise ValueError(f"m was given as {value!r}: give a whole number of members, at least 1")

    def __repr__(self) -> str:
        return f"MixtureOf({self.family!r}, {self.m})"

    def params(self, shares: Any, members: Any) -> MixtureOfParams:
        """Parameters given by hand, checked at once.

        Args:
            shares: Probabilities of the members, shape (k, m).
            members: As the family's `params` makes them, for k m members.

        Raises:
            ValueError: no probabilities, or not the family's parameters of as many members.
        """
        params = MixtureOfParams(shares, members)
        self.check_params(params, len(params.shares))
        return params

    @cached_property
    def pieces(self) -> Mapping[str, Learnable[Any, Any]]:
        return {"members": self.family, "shares": Shares()}

    def assemble(self, pieces: Mapping[str, Any]) -> MixtureOfParams:
        return MixtureOfParams(**pieces)

    def told(self, name: Any, found: Found) -> Found:
        """A finding about a member, with the number of its component; its words still name the member."""
        told = super().told(name, found)
        if name != "members" or told.component is None or self.m == 1:
            return told
        component, member = divmod(told.component, self.m)
        told = evolve(told, component=component)
        if isinstance(told, Event):
            here = f"member {member} of component {component}"
            return evolve(told, message=told.message.replace(f"component {found.component}", here))
        return evolve(told, reason=f"of member {member}: {told.reason}")

    def log_density(self, params: MixtureOfParams, x: Array) -> Array:
        return self._summed(params, self.family.log_density(params.members, x))[1]

    def infer(self, params: MixtureOfParams, x: Array) -> tuple[Array, Hidden | None]:
        density, inner = self.family.infer(params.members, x)
        log_joint, log_sum = self._summed(params, density)
        # (eq: mixture-of)
        possible = (log_sum > -np.inf)[:, :, None]
        with np.errstate(invalid="ignore"):  # where no member is possible nothing counts: any q will do
            members = np.where(possible, np.exp(log_joint - np.where(possible, log_sum[:, :, None], 0.0)), 1 / self.m)
        members /= members.sum(axis=2, keepdims=True)
        return log_sum, Membership(own(members), inner)

    def expected(self, x: Array, weights: Array, hidden: Membership) -> MixtureOfStatistics:
        return self._gathered(x, weights, hidden.members, hidden.inner)

    def statistics(self, x: Array, weights: Array) -> MixtureOfStatistics:
        """Something to start from: the rows of a component are parted, for EM cannot part members that are alike."""
        return self._gathered(x, weights, apart(x, weights, self.m), None)

    def count(self, params: MixtureOfParams) -> int:
        return len(params.shares)

    @property
    def takes_missing(self) -> bool:
        return self.family.takes_missing

    def sharing(self, statistics: MixtureOfStatistics, x: Array, weight: Array) -> MixtureOfStatistics:
        return evolve(statistics, members=self.family.sharing(statistics.members, x, weight))

    def support(self, x: Array) -> npt.NDArray[np.bool_]:
        return self.family.support(x)

    def cells(self, x: Array) -> npt.NDArray[np.bool_] | None:
        return self.family.cells(x)

    def atoms(self, x: Array) -> npt.NDArray[np.bool_]:
        return self.family.atoms(x)

    def coordinates(self, x: Array) -> Array | None:
        return self.family.coordinates(x)

    def check(self, chunks: Iterable[Array], held: Set[Path]) -> None:
        self.family.check(chunks, frozenset(path[1:] for path in held if path[:1] == ("members",)))

    def check_params(self, params: MixtureOfParams, k: int) -> None:
        refuse_other_params(self, params, MixtureOfParams, lambda given: len(given.shares), k)
        if params.shares.shape[1] != self.m:
            raise ValueError(f"shares of {params.shares.shape[1]} members were given for {self!r}: it has {self.m}")
        try:
            self.family.check_params(params.members, k * self.m)
        except ValueError as error:
            raise ValueError(f"members {brief(params.members)} of {self!r}: {error}") from None

    def coincident(self, params: MixtureOfParams) -> list[tuple[int, int]]:
        return self._pairs(params, self.family.coincident(params.members))

    def alike(self, params: MixtureOfParams, statistics: MixtureOfStatistics) -> list[tuple[int, int]]:
        return self._pairs(params, self.family.alike(params.members, statistics.members))

    def diagnose(self, params: MixtureOfParams, statistics: MixtureOfStatistics) -> Sequence[Event]:
        events = list(super().diagnose(params, statistics))
        for i, j in self.family.alike(params.members, statistics.members):
            component, first = divmod(i, self.m)
            if j // self.m == component:
                words = f"members {first} and {j % self.m} of component {component} are the same distribution"
                events.append(Event("coincident", words, "start from members that differ, or use fewer", component))
        return events

    def sample(self, params: MixtureOfParams, labels: Labels, rng: Any) -> Array:
        rng = generator(rng)
        ahead = params.shares.cumsum(axis=1)[labels]
        member = (ahead[:, :-1] <= (rng.random(len(labels)) * ahead[:, -1])[:, None]).sum(axis=1)
        return self.family.sample(params.members, labels * self.m + member, rng)

    def marginal(self, params: MixtureOfParams, columns: tuple[int, ...], d: int) -> tuple[MixtureOf, MixtureOfParams]:
        family, members = self.family.marginal(params.members, columns, d)
        return MixtureOf(family, self.m), evolve(params, members=members)

    def describe(self, params: MixtureOfParams) -> Mapping[str, Array]:
        shown = {f"share {r}": params.shares[:, r] for r in range(self.m)}
        for name, values in self.family.describe(params.members).items():
            each = values.reshape(-1, self.m, *values.shape[1:])
            shown |= {f"{name} of member {r}": each[:, r] for r in range(self.m)}
        return shown

    def _summed(self, params: MixtureOfParams, density: Array) -> tuple[Array, Array]:
        """log share + log density of each member, (n, k, m), and the log of their sums, (n, k)."""
        with np.errstate(divide="ignore"):
            log_joint = np.log(params.shares) + density.reshape(len(density), -1, self.m)
        return log_joint, np.asarray(logsumexp(log_joint, axis=2))

    def _gathered(self, x: Array, weights: Array, members: Array, inner: Any) -> MixtureOfStatistics:
        each = weights[:, :, None] * members
        flat = np.ascontiguousarray(each.reshape(len(x), -1))
        found = self.family.statistics(x, flat) if inner is None else self.family.expected(x, flat, inner)
        return MixtureOfStatistics(own(each.sum(axis=0)), found)

    def _pairs(self, params: MixtureOfParams, alike: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Components whose members are pairwise among those that are alike, in their order, with the same shares."""
        same, table = set(alike), params.shares
        return [
            (i, j)
            for i, j in combinations(range(len(table)), 2)
            if all((i * self.m + r, j * self.m + r) in same for r in range(self.m))
            and np.abs(table[i] - table[j]).max() <= _SAME
        ]
