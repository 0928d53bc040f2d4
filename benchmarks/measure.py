"""How things are timed here: in turn, in one process, as ratios with their spread; and what the machine can do."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

REPEATS, SPIN = 5, 0.3


@frozen
class Ratio:
    """Seconds of a rival over ours, from runs in turn.

    Attributes:
        rival: Its median, in seconds.
        ours: Ours.
        median: Of the ratios of neighbouring runs.
        low: Their least.
        high: Their largest.
    """

    rival: float
    ours: float
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def seconds(action: Callable[[], Any]) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def _steady(action: Callable[[], Any]) -> float:
    """The same after unmeasured calls: BLAS threads of the other go on spinning, for 120 ms as seen here."""
    begin = time.perf_counter()
    while time.perf_counter() < begin + SPIN:
        action()
    return seconds(action)


def in_turn(rival: Callable[[], Any], ours: Callable[[], Any], long: bool = False, repeats: int = REPEATS) -> Ratio:
    """Time two actions in turn; short ones each after unmeasured runs of the same."""
    timed = seconds if long else _steady
    pairs = np.array([(timed(rival), timed(ours)) for _ in range(repeats)])
    ratios = pairs[:, 0] / pairs[:, 1]
    return Ratio(*np.median(pairs, axis=0), float(np.median(ratios)), float(ratios.min()), float(ratios.max()))


@frozen
class Machine:
    """What this machine does at most, with all its cores.

    Attributes:
        name: Its processor, cores and versions.
        products: Floating point operations a second in large matrix products.
        exponentials: Exponentials a second, in cache.
        bytes: Bytes a second read from memory.
    """

    name: str
    products: float
    exponentials: float
    bytes: float

    @classmethod
    def measured(cls) -> Machine:
        """Measure it now."""
        rng = np.random.default_rng(0)
        a, many, big = rng.random((1500, 1500)), -5 * rng.random(8192), rng.random(2**25)
        out = np.empty_like(many)
        cores = len(os.sched_getaffinity(0))
        products = 2 * 1500**3 / min(seconds(lambda: a @ a) for _ in range(5))
        exponentials = cores * len(many) / min(seconds(lambda: np.exp(many, out=out)) for _ in range(2000))
        return cls(_name(cores), products, exponentials, big.nbytes / min(seconds(big.max) for _ in range(5)))

    def least(self, n: int, d: int, k: int) -> float:
        """Seconds that a pass of full covariances cannot do without: its products, exponentials and bytes.

        Two products with all squares, or whitening by triangular blocks and symmetric scatter, whichever is less.
        """
        squares = 4 * (1 + d + d * (d + 1) / 2)
        whitening = (1.25 + 1.0) * d * d
        return n * k * min(squares, whitening) / self.products + n * k / self.exponentials + 8 * n * d / self.bytes


def _name(cores: int) -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    processor = next(named, platform.machine())
    return f"{processor}, {cores} cores, Python {platform.python_version()}, numpy {np.__version__}"


def peak_above(code: str, arguments: Sequence[Any] = ()) -> float:
    """Bytes by which the resident memory of a fresh process grows at its peak in `run()` of this code (Linux)."""
    watch = (
        "import sys\n"
        f"{code}\n"
        "def resident(name):\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = resident('VmRSS')\nrun()\nprint('grown', resident('VmHWM') - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=3600
    )
    return float(done.stdout.split("grown")[1])
