"""The E-step of Gaussian mixtures in a compiled loop, centred on each component: no width or offset costs digits."""

from __future__ import annotations

import math
from functools import cached_property
from typing import final

import numpy as np
from attrs import frozen

from latentem.arrays import Array, made
from latentem.compiled import running
from latentem.data import Rows
from latentem.family.gaussian.covariance.full import Full
from latentem.family.gaussian.covariance.structure import Structure
from latentem.family.gaussian.moments import Moments
from latentem.family.gaussian.params import GaussianParams
from latentem.kernel.base import FEW, NARROWED

_COLUMNS = 16
"""Columns up to which full covariances are faster so than by numpy."""
_ONCE = np.empty(0)


def plain(chunk: Rows) -> bool:
    """Whether loops are for the chunk: no cell is missing, and any row may be in any component."""
    return bool(np.isfinite(chunk.bounds).all()) and (chunk.allowed is None or bool(chunk.allowed.all()))


def weights_of(chunk: Rows) -> Array:
    """How much each row counts, as loops take it, shape (n,); of length 0 where each counts once."""
    return _ONCE if chunk.weight is None else chunk.weight


def loops_of(structure: Structure) -> tuple[str, ...]:
    """The names of the compiled loops for covariances of this structure."""
    if structure.tied:
        return ("products",)
    return ("products", "full") if isinstance(structure.each, Full) else ("diagonal",)


@final
@frozen(eq=False)
class CompiledPass:
    """Gaussian densities with what a compiled loop is given of them.

    Attributes:
        params: The means and covariances.
        constants: Log weights and normalising constants, shape (k,).
    """

    params: GaussianParams
    constants: Array

    @cached_property
    def _name(self) -> str | None:
        if self.params.structure.tied:
            return None
        name = loops_of(self.params.structure)[-1]
        return None if name == "full" and self.params.means.shape[1] > _COLUMNS else name

    @cached_property
    def _given(self) -> tuple[Array, Array]:
        """Means and whiteners, with zeros up to a multiple of four columns."""
        (whiteners, _), (k, d) = self.params.factors, self.params.means.shape
        wide = -(-d // 4) * 4
        means = np.zeros((k, wide))
        means[:, :d] = self.params.means
        padded = np.zeros((k, wide, wide) if whiteners.ndim == 3 else (k, wide))
        if whiteners.ndim == 3:
            padded[:, :d, :d] = whiteners
        else:
            padded[:, :d] = whiteners.reshape(k, -1)
        return means, padded

    def __call__(self, chunk: Rows) -> tuple[Array, Moments, float] | None:
        """Counts, moments and entropy; None where numpy must look at the chunk, or this thread runs in its loops."""
        loop = None if self._name is None else running(self._name)
        if loop is None or not plain(chunk):
            return None
        means, whiteners = self._given
        count, first, second = np.zeros(len(means)), np.zeros(means.shape), np.zeros(whiteners.shape)
        entropy = loop(chunk.x, weights_of(chunk), means, whiteners, self.constants, count, first, second)
        if math.isnan(entropy):
            return None
        moments = self._moments(count, first, second)
        return (count, moments, entropy) if moments.keep(NARROWED, self.params.distinct, len(chunk) <= FEW) else None

    def _moments(self, count: Array, first: Array, second: Array) -> Moments:
        """The moments in the form of the covariances."""
        form, d = self.params.form, self.params.means.shape[1]
        if second.ndim == 3:
            second = second[:, :d, :d].copy()
        else:
            second = np.array([form.kept(columns) for columns in second[:, :d]])
        return made(Moments, form, self.params.means, count.copy(), first[:, :d].copy(), second, None, None)
