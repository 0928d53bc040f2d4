"""Small real data sets that come with the package."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from latentem.arrays import Array

__all__ = ["acidity", "carcinoma", "diabetes", "galaxies", "iris", "old_faithful"]


def old_faithful() -> Array:
    """272 eruptions of the Old Faithful geyser, shape (272, 2).

    Columns: how long the eruption lasted, and the waiting time to the next one, in minutes. Source:
    Azzalini and Bowman (1990), A look at some data on the Old Faithful geyser, Applied Statistics 39.
    """
    return _read("old_faithful")


def iris() -> Array:
    """Measurements of 150 irises, 50 of each of three species in order, shape (150, 4).

    Columns: length and width of the sepals, length and width of the petals, in cm. Source: Fisher (1936), The use
    of multiple measurements in taxonomic problems, Annals of Eugenics 7.
    """
    return _read("iris")


def carcinoma() -> Array:
    """Whether each of seven pathologists saw carcinoma on each of 118 slides, 0 or 1, shape (118, 7).

    Source: Agresti (2002), Categorical Data Analysis, table 13.1.
    """
    return _read("carcinoma")


def galaxies() -> Array:
    """Velocities of 82 galaxies in km/s, shape (82, 1).

    Source: Roeder (1990), Density estimation with confidence sets exemplified by superclusters and voids in the
    galaxies, Journal of the American Statistical Association 85.
    """
    return _read("galaxies")


def acidity() -> Array:
    """Logarithms of the acidity index of 155 lakes, shape (155, 1). Source: Crawford (1994), JASA 89."""
    return _read("acidity")


def diabetes() -> Array:
    """Glucose, insulin and steady state plasma glucose of 145 patients, shape (145, 3).

    Source: Reaven and Miller (1979), Diabetologia 16.
    """
    return _read("diabetes")


def _read(name: str) -> Array:
    with (files(__package__) / f"{name}.csv").open() as file:
        return np.loadtxt(file, delimiter=",", ndmin=2)
