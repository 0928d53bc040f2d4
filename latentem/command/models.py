"""The models that the command line fits."""

from __future__ import annotations

import argparse
import sys
import warnings
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


def model(name: str, k: int, structure: str | None) -> Model:
    """The model of this name with k components.

    Raises:
        ValueError: a structure was given to a model that has none.
    """
    if name == "gaussian":
        return lem.GaussianMixture(k, structure=STRUCTURES[structure or "full"])
    if structure is not None:
        raise ValueError(f"--structure was given with --model {name}: it is for --model gaussian")
    return lem.KMeans(k) if name == "kmeans" else lem.Mixture(lem.Poisson(), k)


def fitted(made: Model, data: tuple[Any, Any], arguments: argparse.Namespace, warn: bool = True) -> lem.Fit[Any]:
    """The fit of a model to numbers and their weights; `warn`: a warning is one line on the standard error."""
    x, weights = data
    options = {
        "n_starts": arguments.starts,
        "rng": arguments.seed,
        "max_steps": arguments.max_steps,
        "progress": arguments.progress,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", lem.ConvergenceWarning)
        fit = lem.fit(made, x, weights=weights, **options)
    for warning in caught if warn else ():
        print("latentem: warning:", " ".join(str(warning.message).split()), file=sys.stderr)
    return fit
