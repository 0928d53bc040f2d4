"""Kernels side by side: the features of parts of a row, such as some columns or logarithms, in one product."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, own
from latentem.kernel.base import FeatureKernel, Kernel, Sums

View = Callable[[Array], Array]
"""Of rows, (n, d), what a part sees, (n, e). It is increasing in every value, so that it takes bounds to bounds."""


@final
@frozen(eq=False)
class SideBySide(FeatureKernel):
    """The product of densities of parts of a row: log densities add, so features stand side by side.

    Attributes:
        parts: A kernel and what it sees of the rows, one a part. One of the kernels has the log weights in it.
        joined: From the parts' statistics, those of the whole.
    """

    parts: Sequence[tuple[FeatureKernel, View]]
    joined: Callable[[list[Any]], Any]

    @classmethod
    def of(cls, parts: Iterable[tuple[Kernel | None, View]], joined: Callable[[list[Any]], Any]) -> Self | None:
        """Of these parts; None where one of them has no features."""
        found = []
        for kernel, view in parts:
            if not isinstance(kernel, FeatureKernel):
                return None
            found.append((kernel, view))
        return cls(found, joined)

    @cached_property
    def natural(self) -> Array:
        each = [kernel.natural for kernel, _ in self.parts]
        return own(np.hstack([sum(natural[:, :1] for natural in each), *(natural[:, 1:] for natural in each)]))

    @cached_property
    def _edges(self) -> list[slice]:
        """Where the features of each part stand, the first of all, which is one, not counted."""
        ends = np.cumsum([kernel.natural.shape[1] - 1 for kernel, _ in self.parts]).tolist()
        return [slice(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]

    @property
    def bounded(self) -> bool:
        return all(kernel.bounded for kernel, _ in self.parts)

    @cached_property
    def otherwise(self) -> Kernel | None:
        """Each part in the other form that it has; None where none has another one in features."""
        others = [kernel.otherwise for kernel, _ in self.parts]
        if not any(isinstance(other, FeatureKernel) for other in others):
            return None
        pairs = zip(self.parts, others, strict=True)
        parts = [(other if isinstance(other, FeatureKernel) else own, view) for (own, view), other in pairs]
        return SideBySide(parts, self.joined)

    def about(self, centre: Array) -> Kernel:
        def moved(kernel: FeatureKernel, view: View) -> Kernel:
            there = view(centre[None])[0]  # not finite for the logarithm of a centre that is not positive
            return kernel.about(np.where(np.isfinite(there), there, 0.0))

        return SideBySide.of([(moved(kernel, view), view) for kernel, view in self.parts], self.joined) or self

    def sound(self, low: Array, high: Array) -> bool:
        return all(kernel.sound(view(low[None])[0], view(high[None])[0]) for kernel, view in self.parts)

    def holds(self, features: Array, low: Array, high: Array) -> bool:
        return all(
            kernel.holds(features[edge], view(low[None])[0], view(high[None])[0])
            for (kernel, view), edge in zip(self.parts, self._edges, strict=True)
        )

    def features(self, x: Array, out: Array) -> None:
        for (kernel, view), edge in zip(self.parts, self._edges, strict=True):
            kernel.features(view(x), out[edge])

    def sums(self) -> Sums:
        return Sums(np.zeros(self.natural.T.shape), [kernel.sums() for kernel, _ in self.parts])

    @property
    def more(self) -> bool:
        return any(kernel.more for kernel, _ in self.parts)

    def beside(self, x: Array, features: Array, weight: Array | None, sums: Sums) -> None:
        for (kernel, view), edge, own_sums in zip(self.parts, self._edges, sums.beside, strict=True):
            if kernel.more:
                kernel.beside(view(x), features[edge], weight, own_sums)

    def statistics(self, sums: Sums) -> Any:
        found = []
        for (kernel, _), edge, own_sums in zip(self.parts, self._edges, sums.beside, strict=True):
            own_sums.products = np.vstack([sums.products[:1], sums.products[1:][edge]])
            own_sums.rows = sums.rows
            found.append(kernel.statistics(own_sums))
        return None if any(each is None for each in found) else self.joined(found)
