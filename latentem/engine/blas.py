"""Linear algebra held to one thread, while chunks are computed side by side."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        if not _held:
            _take_control()
        _held.append(None if _held else _controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            limiter = _held.pop(0)
            if _held:
                _held[0] = limiter
            else:
                _take_control()
                limiter.restore_original_limits()
                _take_control()  # so that nobody is in control, and others may set limits of their own


def hold_this_thread() -> None:
    """For a thread of ours, for good: where BLAS is built on OpenMP, each thread has a limit of its own."""
    for library in _controller().lib_controllers:
        if library.user_api == "blas" and getattr(library, "threading_layer", "") == "openmp":
            library.set_num_threads(1)


def _take_control() -> None:
    """Let the thread that asks set the limit: since 3.8 threadpoolctl listens to one thread alone, the first.

    Here the first to come in need not be the last to leave, and they are counted instead.
    """
    from threadpoolctl import OpenBLASController

    with suppress(AttributeError):  # older ones listen to all
        OpenBLASController.clear_controlling_thread(force=True)


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


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)
