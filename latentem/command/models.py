"""The models that the command line fits."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import latentem as lem

Model = lem.LatentModel[Any, Any, Any, Any]
MODELS = ("gaussian", "kmeans", "poisson")
STRUCTURES = {
    "full": lem.Full(),
    "diagonal": lem.Diagonal(),
    "spherical": lem.Spherical(),
    "tied": lem.Tied(),
    "tied-diagonal": lem.Tied(lem.Diagonal()),
    "tied-spherical": lem.Tied(lem.Spherical()),
}
"""The structures in words."""
BY_NAME = {**STRUCTURES, **lem.ALL_STRUCTURES}
"""The structures in words, or by the three letters for volume, shape and orientation."""


def model(name: str, k: int, structure: str | None, data: Any = None, categorical: Sequence[str] = ()) -> Model:
    """The model of this name with k components; columns of categories are independent of the others given those.

    Args:
        name: One of `MODELS`.
        k: How many components.
        structure: One of `BY_NAME`; None: full.
        data: The table, where some columns hold categories.
        categorical: Names of these columns.

    Raises:
        ValueError: a structure or categories were given to a model that has none.
    """
    if categorical:
        return _mixed(name, k, structure, [name for name in data.columns if name not in categorical], categorical)
    if name == "gaussian":
        return lem.GaussianMixture(k, structure=BY_NAME[structure or "full"])
    if structure is not None:
        raise ValueError(f"--structure was given with --model {name}: it is for --model gaussian")
    return lem.KMeans(k) if name == "kmeans" else lem.Mixture(lem.Poisson(), k)


def _mixed(name: str, k: int, structure: str | None, numeric: Sequence[str], categorical: Sequence[str]) -> Model:
    if name == "kmeans":
        raise ValueError("--categorical was given with --model kmeans, to which categories have no distance")
    if structure is not None and (name != "gaussian" or not numeric):
        raise ValueError("--structure was given where nothing is Gaussian: leave it out")
    kinds: dict[str, Any] = {"gaussian": lem.Gaussian(BY_NAME[structure or "full"]), "poisson": lem.Poisson()}
    parts = [kinds[name].on(*numeric)] if numeric else []
    return lem.Mixture(lem.Product(*parts, lem.Categorical().on(*categorical)), k)


def fitted(made: Model, data: tuple[Any, Any], arguments: argparse.Namespace) -> lem.Fit[Any]:
    """The fit of a model to numbers and their weights; a warning is one line on the standard error."""
    x, weights = data
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", lem.ConvergenceWarning)
        fit = lem.fit(made, x, weights=weights, **options(arguments))
    for warning in caught:
        print("latentem: warning:", " ".join(str(warning.message).split()), file=sys.stderr)
    return fit


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `fit`, and of `select`, that the command line has."""
    return {
        "n_starts": arguments.starts,
        "rng": arguments.seed,
        "max_steps": arguments.max_steps,
        "progress": arguments.progress,
    }
