"""Small real data sets that come with the package."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from latentem.arrays import Array


def old_faithful() -> Array:
    """272 eruptions of the Old Faithful geyser, shape (272, 2).

    Columns: how long the eruption lasted, and the waiting time to the next one, in minutes. Source:
    Azzalini and Bowman (1990), A look at some data on the Old Faithful geyser, Applied Statistics 39.
    """
    with (files(__package__) / "old_faithful.csv").open() as file:
        return np.loadtxt(file, delimiter=",")
