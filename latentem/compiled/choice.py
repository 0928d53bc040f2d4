"""Which loops the passes of a fit run in: numpy's, or compiled ones. It is chosen once a fit, for bits differ."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, final

from attrs import frozen

_LOG = logging.getLogger(__name__)
VARIABLE = "LATENTEM_COMPILED"
"""The environment variable by which compiled loops are never used, "0", or for few rows too, "1"."""

_chosen: ContextVar[Loops | None] = ContextVar("latentem_loops", default=None)
_ready: dict[str, Callable[..., Any]] = {}
"""The loops that are compiled or loaded in this process, by name."""
_LOOPS = "latentem.compiled.loops"
_lock = threading.Lock()
_keeping = True


@final
@frozen
class Loops:
    """Compiled loops that a fit has chosen; a value that travels with the work to wherever it is done.

    Attributes:
        names: Their names in `latentem.compiled.loops`.
        numba: The version of numba, for another may give other bits.
    """

    names: tuple[str, ...]
    numba: str

    @property
    def ready(self) -> bool:
        """Whether this process has them."""
        return all(name in _ready for name in self.names)

    def prepare(self) -> None:
        """Compile them, or load what was compiled before: some seconds once on a machine, then less than one.

        Raises:
            RuntimeError: this process has no numba, or another version, or it cannot compile them.
        """
        if self.ready:
            return
        if found_numba() != self.numba:
            here = "it is not installed" if found_numba() is None else f"there is {found_numba()}"
            remedy = f"install that version, or set {VARIABLE}=0 where the fit begins"
            raise RuntimeError(f"this fit runs in loops compiled by numba {self.numba}, but here {here}: {remedy}")
        with _lock:
            for name in self.names:
                if name not in _ready:
                    _ready[name] = _compiled(name)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within, this thread runs in them."""
        self.prepare()
        with _within(self):
            yield

    def __str__(self) -> str:
        return f"numba {self.numba}"


def _compiled(name: str) -> Callable[..., Any]:
    """The loop of this name, also where a file that numba keeps is damaged, or its disk is full.

    Raises:
        RuntimeError: numba cannot compile it.
    """
    try:
        return _compiled_of(name)
    except Exception as error:  # numba raises whatever it meets on disk
        _LOG.warning("what numba keeps of compiled loops on disk cannot be used, and is made anew: %r", error)
        _forget_files()
    try:
        return _compiled_of(name)
    except Exception as error:
        remedy = f"install another version, or set {VARIABLE}=0 for fits without it"
        raise RuntimeError(f"numba {found_numba()} cannot compile the loop {name!r} ({error!r}): {remedy}") from error


def _compiled_of(name: str) -> Callable[..., Any]:
    loop, signature = import_module(_LOOPS).LOOPS[name]
    if not loop.signatures:
        loop.compile(signature)
        loop.disable_compile()  # arguments of other types are converted, or refused
    return loop


def kept_on_disk() -> bool:
    """Whether numba is to keep on disk what it compiles in this process."""
    return _keeping


def _forget_files() -> None:
    """Remove what numba has kept on disk, and have it keep nothing while this process lasts."""
    global _keeping
    _keeping = False
    loops = getattr(sys.modules.pop(_LOOPS, None), "LOOPS", {})
    for place in {loop.stats.cache_path for loop, _ in loops.values()} - {None}:
        for path in Path(place).glob("loops.*.nb[ci]"):
            with suppress(OSError):
                path.unlink()


@contextmanager
def in_numpy() -> Iterator[None]:
    """Within, this thread runs in the loops of numpy, also where it works for a fit that has chosen others."""
    with _within(None):
        yield


@contextmanager
def _within(loops: Loops | None) -> Iterator[None]:
    before = _chosen.set(loops)
    try:
        yield
    finally:
        _chosen.reset(before)


def in_loops() -> bool:
    """Whether this thread runs in any compiled loop."""
    return _chosen.get() is not None


def running(name: str) -> Callable[..., Any] | None:
    """The compiled loop of this name, where this thread runs in it; None where numpy is to compute."""
    chosen = _chosen.get()
    return _ready[name] if chosen is not None and name in chosen.names else None


def chosen(wanted: Callable[[float], tuple[str, ...]], rows: float) -> Loops | None:
    """The loops that a fit is to run in; None for those of numpy.

    Args:
        wanted: Names of the loops that are worth their while for so many rows.
        rows: How many there are.

    Raises:
        ValueError: the environment variable holds something else than 0 or 1.
        ImportError: it asks for compiled loops, and numba is not installed.
    """
    told = os.environ.get(VARIABLE, "")
    if told not in ("", "0", "1"):
        raise ValueError(f"{VARIABLE} is {told!r}: set it to 0, never, or 1, always; unset, many rows are compiled")
    names = () if told == "0" else wanted(math.inf if told == "1" else rows)
    if not names:
        return None
    numba = found_numba()
    if numba is None and told == "1":
        how = "pip install numba (in a checkout of latentem, pip install '.[fast]'), and leave NUMBA_DISABLE_JIT unset"
        raise ImportError(f"{VARIABLE}=1 asks for loops compiled by numba, which cannot be imported or used: {how}")
    return None if numba is None else Loops(names, numba)


@cache
def found_numba() -> str | None:
    """The version of numba, which is imported for it; None where that cannot be, or it is told not to compile."""
    try:
        numba: Any = import_module("numba")
    except Exception as error:  # it is not there, not for this numpy, or broken, as without its LLVM: an OSError
        _LOG.info("no compiled loops: %s", error)
        return None
    version: str = numba.__version__
    return None if numba.config.DISABLE_JIT else version


def _forget() -> None:
    """A forked child has none of the threads that may have held the lock."""
    global _lock
    _lock = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)
