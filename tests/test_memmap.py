"""Tables larger than what may be held: peak memory, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

resource = pytest.importorskip("resource", reason="peak memory is measured as Unix counts it")

ROWS, D = 3_000_000, 8
SCRIPT = """
import resource, sys, warnings
import numpy as np
import latentem as lem

def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

path, kind = sys.argv[1:]
warnings.simplefilter("ignore", lem.ConvergenceWarning)  # one step shows what memory a pass needs
model = lem.GaussianMixture(2, lem.Diagonal())
start = lem.fit(model, np.array(np.load(path, mmap_mode="r")[:100_000]), n_starts=1, max_steps=2).params
if kind == "path":
    data = path
elif kind == "memmap":
    data = np.load(path, mmap_mode="r")
else:
    data = np.load(path).astype(kind)
before = peak()
fit = lem.fit(model, data, start=start, max_steps=1)
fit.score_samples(data)
print(peak() - before)
memory = lem.fit(model, np.load(path).astype(data.dtype if kind == "float32" else float), start=start, max_steps=1)
assert memory.params == fit.params
assert memory.history.bound.tolist() == fit.history.bound.tolist()
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("large") / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.float64, (ROWS, D))
    for begin in range(0, ROWS, ROWS // 10):
        x[begin : begin + ROWS // 10] = rng.random((ROWS // 10, D)) + rng.integers(0, 2, (ROWS // 10, 1))
    x.flush()
    return path


@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", ["path", "memmap", "float32", "float64"])
def test_a_fit_of_a_file_needs_memory_for_some_chunks_only(path, kind):
    """A fit to a file of 192 MB, and the scores of its rows, add less than 80 MB to the peak; same bits as in memory.

    The scores take 24 MB of them. A table in memory is not copied as a whole either.
    """
    command = [sys.executable, "-c", SCRIPT, str(path), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 80
