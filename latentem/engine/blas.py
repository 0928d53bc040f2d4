"""Linear algebra held to one thread, while chunks are computed side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_held: list[Any] = []
"""The limiter of the first of those that hold now, and a None for each of the others."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, BLAS computes in the thread that calls it: its own threads would fight ours for the cores.

    The limit is the whole process's, so the first to come in sets it and the last to leave lifts it.
    """
    with _lock:
        _held.append(None if _held else _controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            limiter = _held.pop(0)
            if _held:
                _held[0] = limiter
            else:
                limiter.restore_original_limits()


@cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401 - it brings a BLAS of its own, which must be there to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _forget() -> None:
    """A forked child has none of the threads that held."""
    global _lock
    _lock = threading.Lock()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
