"""Random numbers: what may be given for `rng`, and generators from it."""

from __future__ import annotations

from typing import Any

import numpy as np


def children(rng: Any, count: int) -> list[np.random.SeedSequence]:
    """Independent seeds, the i-th the same however many are asked for; a Generator or RandomState moves on.

    Args:
        rng: An int, Generator, RandomState or SeedSequence; None for other numbers every time.
        count: How many.

    Raises:
        TypeError: rng is none of these.
    """
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator.seed_seq.spawn(count)  # type: ignore[attr-defined]  # its interface leaves spawn out
    if isinstance(rng, np.random.RandomState):
        rng = np.random.SeedSequence(rng.randint(2**32, size=4, dtype=np.uint64).tolist())
    if rng is None:
        rng = np.random.SeedSequence()
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        rng = np.random.SeedSequence(int(rng))
    if not isinstance(rng, np.random.SeedSequence):
        raise TypeError(
            f"rng was given as {rng!r}: give an int of at least 0, a Generator, RandomState or SeedSequence, or None"
        )
    keys = [(*rng.spawn_key, i) for i in range(count)]  # the caller's own is left as it is
    return [np.random.SeedSequence(rng.entropy, spawn_key=key, pool_size=rng.pool_size) for key in keys]


def generator(rng: Any) -> np.random.Generator:
    """One generator from whatever `children` takes; a Generator is used as it is, and moves on."""
    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng(children(rng, 1)[0])
