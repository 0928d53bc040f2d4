"""Clusterings: how random starts are made for a model whose units carry labels."""

from __future__ import annotations

from typing import Any, Protocol

from latentem.core.block import Path


class Clustering(Protocol):
    """How a clustering of the rows becomes statistics, from which `first` makes parameters."""

    @property
    def k(self) -> int:
        """How many labels there are."""
        ...

    @property
    def background(self) -> int:
        """How many of them, the last ones, are noise: a start draws no places for these."""
        ...

    @property
    def ellipsoidal(self) -> bool:
        """Whether a cluster of rows, in their coordinates, is told by its mean and its scatter."""
        ...

    @property
    def location(self) -> Path:
        """Path of the block that says where the components are."""
        ...

    @property
    def hard(self) -> bool:
        """Whether every unit lies wholly in its cluster, so that labels are enough."""
        ...

    def coordinates(self, x: Any) -> Any:
        """Coordinates of rows, (n, d), in which starts measure distances; None: as they are."""
        ...

    def gathered(self, chunk: Any, responsibilities: Any, weight: Any = None) -> Any:
        """Statistics of rows with these responsibilities, (n, k), independent of one another.

        Args:
            chunk: The rows.
            responsibilities: Of each row, shape (n, k).
            weight: How much each row counts, shape (n,), instead of the chunk's own weights.
        """
        ...

    def clustered(self, chunk: Any, labels: Any) -> Any:
        """Statistics of rows in given clusters, (n,)."""
        ...

    def evened(self, chunk: Any) -> Any:
        """Statistics of rows that all clusters share alike."""
        ...
