"""Costs beside the arithmetic: to import the library, Python calls of a step, memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np

import latentem as lem
from benchmarks import step
from benchmarks.measure import Machine, peak_above
from benchmarks.page import Row, Section

REPEATS = 7
BELOW, OURS = "import numpy, scipy.special", "import numpy, scipy.special, latentem"
_IN_MEMORY = """
import numpy as np, latentem as lem
x = np.random.default_rng(0).standard_normal((1_000_000, 8))
x[:500_000] += 3
model = lem.GaussianMixture(20)
params = model.params(np.full(20, 1 / 20), x[::50_000], np.array([np.eye(8)] * 20))
lem.fit(lem.GaussianMixture(2), x[:1000], n_starts=1)
def run():
    for state in lem.EM(lambda s: None, max_steps=3).iterate(model, params, lem.Threads(2).place(model.chunks(x))):
        pass
"""


def rows(_: Machine, quick: bool) -> Iterator[Row]:
    """Import, a step's calls, and memory where there is time."""
    pairs = np.array([(_startup(BELOW), _startup(OURS)) for _ in range(REPEATS)])
    extra = pairs[:, 1] - pairs[:, 0]
    spread = f"{np.median(extra):.2f} s of CPU ({extra.min():.2f} to {extra.max():.2f})"
    yield Row(("`import latentem`, above numpy and scipy.special", spread))
    for name, accelerate in (("plain", None), ("accelerated", lem.Anderson())):
        calls = sorted(one.total() for one in step.counted(accelerate)[0])[step.STEPS // 2]
        yield Row((f"Python calls of a step, 272 x 2, k = 2, {name}", f"{calls:,}"))
    if not quick:
        yield Row(
            (
                "peak memory above the data, 1,000,000 x 8, k = 20, two threads",
                f"{peak_above(_IN_MEMORY) / 2**20:.0f} MB",
            )
        )


def _startup(code: str) -> float:
    timed = f"import time; {code}; print(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)


SECTION = Section("Costs beside the arithmetic", "In fresh processes.", ("what", "how much"), rows)
