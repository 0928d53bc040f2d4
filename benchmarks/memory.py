"""Peak memory above the data, in fresh processes."""

from __future__ import annotations

from benchmarks.measure import peak_above

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


def in_memory() -> float:
    """Bytes above the data, 1,000,000 x 8, k = 20, three steps with two threads."""
    return peak_above(_IN_MEMORY)
