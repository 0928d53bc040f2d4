"""Recipes: well-known models, each made of the same few parts."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import evolve, field, fields, frozen

from latentem.arrays import Array, plain_int
from latentem.core import Placed
from latentem.data import Rows
from latentem.family import (
    AbsoluteFloor,
    Box,
    Family,
    Floor,
    Full,
    Gaussian,
    InverseWishart,
    Noise,
    Noisy,
    NoisyParams,
    Structure,
)
from latentem.family.columns import natural_number
from latentem.model import Mixture, MixtureParams, PseudoCounts
from latentem.transform import Fixed, Frozen
from latentem.transform.transformed import Model, SamePosterior

Prior = Floor | AbsoluteFloor | InverseWishart | PseudoCounts | None


def _brief(recipe: Any) -> str:
    """A recipe as one would write it: what is at its default is left out."""
    bare = type(recipe)(recipe.k)
    shown = [f.name for f in fields(type(recipe)) if f.name != "k" and getattr(recipe, f.name) != getattr(bare, f.name)]
    return (
        ", ".join([f"{type(recipe).__name__}({recipe.k}", *(f"{name}={getattr(recipe, name)}" for name in shown)]) + ")"
    )


def _fixed(value: Any) -> Fixed | None:
    if value is None or isinstance(value, Fixed):
        return value
    raise TypeError(f"{value!r} was given: to hold a field at a value, give Fixed(value)")


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python's own."""
    return value.item() if isinstance(value, np.generic) else value


@final
@frozen(repr=False)
class GaussianMixture(SamePosterior[MixtureParams]):
    """A mixture of k Gaussians.

    Attributes:
        k: Number of components.
        structure: `Full()`, `Diagonal()`, `Spherical()`, `Tied` of one of them, or one by its name, `structure("VEV")`.
        weights: `Fixed(value)` or `Fixed.uniform()` to hold them; None estimates them.
        means: `Fixed(value)`, or `Fixed(value, components=[0])` to hold some; None estimates them.
        covariances: Likewise; held for some components only where they are not tied.
        noise: True for one component more, the last, of noise for outlying rows: a constant density, one over the
            volume of the box that bounds the data. A number is the volume, of a box of those proportions;
            `Noise(low, high)` or `Uniform(low, high)` is the box. A fit's own model has the box in it.
        prior: `Floor(eps)`, `InverseWishart(scale, dof)`, `PseudoCounts(count)`, several in a tuple, or
            None for plain maximum likelihood. Pseudo-counts alone leave the floor where it is.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind, or components are held of what is tied.
    """

    k: int = field(converter=plain_int)
    structure: Structure = field(factory=Full)
    weights: Fixed | None = field(default=None, converter=_fixed)
    means: Fixed | None = field(default=None, converter=_fixed)
    covariances: Fixed | None = field(default=None, converter=_fixed)
    prior: Prior | tuple[Prior, ...] = field(factory=Floor)
    noise: bool | float | Box = field(default=False, converter=_plain)

    @noise.validator
    def _a_noise(self, attribute: Any, value: Any) -> None:
        if isinstance(value, bool | Box) or (isinstance(value, int | float) and 0 < value < math.inf):
            return
        raise ValueError(
            f"noise was given as {value!r}: give True, a volume above 0, Noise(low, high) or Uniform(low, high)"
        )

    def __attrs_post_init__(self) -> None:
        if not natural_number(self.k):
            raise ValueError(f"k was given as {self.k!r}: give a whole number of components, at least 1")
        if (self.means and self.means.equal) or (self.covariances and self.covariances.equal):
            raise ValueError("Fixed.uniform() was given for means or covariances: only weights can be uniform")
        self.inner.blocks()

    def __repr__(self) -> str:
        return _brief(self)

    @cached_property
    def inner(self) -> Model:
        given = self.prior if isinstance(self.prior, tuple) else (self.prior,)
        counts = [prior for prior in given if isinstance(prior, PseudoCounts)]
        rest = [prior for prior in given if not isinstance(prior, PseudoCounts)]
        if len(counts) > 1 or len(rest) > 1:
            raise ValueError(f"prior was given as {self.prior!r}: give at most one for weights and one for covariances")
        covariances = rest[0] if rest else Floor()
        family: Family[Any, Any] = Gaussian(self.structure, covariances)
        if self.noisy:
            family = Noisy(family, self.noise if isinstance(self.noise, Box) else None)
        mixture = Mixture(family, self.k + self.noisy, counts[0] if counts else None)
        named = {"weights": self.weights, "means": self.means, "covariances": self.covariances}
        held = {name: fixed for name, fixed in named.items() if fixed is not None}
        return Frozen(mixture, held) if held else mixture

    @property
    def noisy(self) -> bool:
        """Whether one component more, the last, is noise."""
        return self.noise is not False

    def settled(self, data: Placed[Any]) -> GaussianMixture:
        if not self.noisy or isinstance(self.noise, Box):
            return self
        ends = data.each(_ends)
        low, high = np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)
        volume = None if isinstance(self.noise, bool) else float(self.noise)
        return evolve(self, noise=Noise.around(low, high, volume))

    def params(self, weights: Any, means: Any, covariances: Any) -> MixtureParams:
        """Parameters given by hand, checked at once.

        Args:
            weights: Shape (k,), or (k + 1,) with noise, whose weight is the last.
            means: Shape (k, d).
            covariances: (k, d, d) full, (k, d) diagonal, (k,) spherical; (d, d), (d,) or () if tied.

        Raises:
            ValueError: weights off the simplex, wrong shapes, or covariances not positive definite.
        """
        if np.ndim(means) == 2 and len(means) != self.k:
            raise ValueError(f"{len(means)} means were given: the model has {self.k} components")
        components = Gaussian(self.structure).params(means, covariances)
        params = MixtureParams(weights, NoisyParams(components) if self.noisy else components)
        self.check_params(params)
        return params


def _ends(chunk: Rows) -> tuple[Array, Array]:
    """The least and the largest value of each column among the rows that count, infinite where there is none."""
    x = chunk.x[chunk.row_weight > 0]
    missing = np.isnan(x)
    low = np.where(missing, np.inf, x).min(axis=0, initial=np.inf)
    return low, np.where(missing, -np.inf, x).max(axis=0, initial=-np.inf)
