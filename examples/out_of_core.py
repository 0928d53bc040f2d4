"""A mixture fitted to a file that is never in memory as a whole, and the bits of the fit that is."""

import tempfile
import tracemalloc
import warnings
from pathlib import Path

import numpy as np

import latentem as lem

# Two million rows in a file, written a part at a time; with a row goes how much it counts.
rng = np.random.default_rng(0)
path = Path(tempfile.mkdtemp()) / "rows.npy"
table = np.lib.format.open_memmap(path, "w+", np.float32, (2_000_000, 9))
for part in np.split(table, 20):
    part[:, :8] = rng.normal(size=(len(part), 8)) + 2 * rng.integers(0, 3, size=(len(part), 1))
    part[:, 8] = rng.integers(0, 3, size=len(part))
table.flush()
del table, part

model = lem.GaussianMixture(3)
rows = lem.data.source(path, columns=range(8), weights=np.load(path, mmap_mode="r")[:, 8])
print(rows)

# A start from a sample, which fits into memory, and a few steps over all rows, which need not.
sample = np.load(path, mmap_mode="r")[:5000, :8]
start = lem.fit(model, np.array(sample), n_starts=5).params
with warnings.catch_warnings():
    warnings.simplefilter("ignore", lem.ConvergenceWarning)  # three steps are not meant to arrive
    tracemalloc.start()
    fit = lem.fit(model, rows, start=start, max_steps=3)
    needed = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(f"{needed:.0f} MB were needed for {8e-6 * 8 * 2_000_000:.0f} MB of rows")

    whole = np.load(path).astype(np.float64)
    memory = lem.fit(model, whole[:, :8].copy(), weights=whole[:, 8], start=start, max_steps=3)

print(fit)
print("labels of the first rows:", fit.predict(rows)[:10])

assert needed < 64
assert fit.params == memory.params
assert fit.history.bound.tolist() == memory.history.bound.tolist()
