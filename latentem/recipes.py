"""Recipes: well-known models, each made of the same few parts."""

from __future__ import annotations

from functools import cached_property
from typing import Any, final

import numpy as np
from attrs import field, fields, frozen

from latentem.arrays import plain_int
from latentem.family import AbsoluteFloor, Floor, Full, Gaussian, InverseWishart, Structure
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


@final
@frozen(repr=False)
class GaussianMixture(SamePosterior[MixtureParams]):
    """A mixture of k Gaussians.

    Attributes:
        k: Number of components.
        structure: `Full()`, `Diagonal()`, `Spherical()`, or `Tied` of one of them.
        weights: `Fixed(value)` or `Fixed.uniform()` to hold them; None estimates them.
        means: `Fixed(value)`, or `Fixed(value, components=[0])` to hold some; None estimates them.
        covariances: Likewise; held for some components only where they are not tied.
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

    def __attrs_post_init__(self) -> None:
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
        mixture = Mixture(Gaussian(self.structure, covariances), self.k, counts[0] if counts else None)
        named = {"weights": self.weights, "means": self.means, "covariances": self.covariances}
        held = {name: fixed for name, fixed in named.items() if fixed is not None}
        return Frozen(mixture, held) if held else mixture

    def params(self, weights: Any, means: Any, covariances: Any) -> MixtureParams:
        """Parameters given by hand, checked at once.

        Args:
            weights: Shape (k,).
            means: Shape (k, d).
            covariances: (k, d, d) full, (k, d) diagonal, (k,) spherical; (d, d), (d,) or () if tied.

        Raises:
            ValueError: weights off the simplex, wrong shapes, or covariances not positive definite.
        """
        if np.ndim(means) == 2 and len(means) != self.k:
            raise ValueError(f"{len(means)} means were given: the model has {self.k} components")
        params = MixtureParams(weights, Gaussian(self.structure).params(means, covariances))
        self.check_params(params)
        return params
