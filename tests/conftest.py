"""What all tests share."""

import gc
import os
import signal

import pytest

# Small matrices gain nothing from BLAS threads, and tests run side by side: set before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture
def ctrl_c():
    """Python takes Ctrl-C as at a terminal, which a process in the background ignores, and nothing swallows it.

    An interrupt that comes while garbage is collected is told and forgotten: what earlier tests left, workers among it,
    goes before.
    """
    gc.collect()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
