"""A mixture fitted on a Dask cluster, of which a worker is killed in mid-run: the bits are those of one process.

The family is defined here, in `__main__`, as it would be in a notebook; the workers get it with the model.
"""

import os
import signal
from typing import Any

import numpy as np
from attrs import frozen
from distributed import Client, LocalCluster

import latentem as lem
from latentem.arrays import Array


@frozen
class Geometric(lem.ExponentialFamily):
    """Counts before the first success; the parameters are its probabilities, shape (k, 1)."""

    def natural(self, params: Array) -> Array:
        return np.log1p(-params)

    def log_partition(self, params: Array) -> Array:
        return -np.log(params).sum(axis=1)

    def from_mean(self, mean: Array) -> Array:
        return 1 / (1 + mean)


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.geometric(np.where(rng.random(100_000) < 0.6, 0.6, 0.05))[:, None] - 1
    model = lem.Mixture(Geometric(), 2)
    here = lem.fit(model, x, engine=lem.Serial())

    options: dict[str, Any] = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options, silence_logs=50) as cluster, Client(cluster) as client:

        def kill_a_worker(state: lem.run.State[Any, Any]) -> None:
            if state.step.index == 5 and not killed:
                killed.append(min(client.run(os.getpid).values()))
                os.kill(killed[0], signal.SIGKILL)

        killed: list[int] = []
        there = lem.fit(model, x, engine=lem.Dask(client), callback=kill_a_worker)

    print(there)
    print(f"worker {killed[0]} was killed at step 5")
    assert there.params == here.params
    assert there.history.bound.tolist() == here.history.bound.tolist()
    np.testing.assert_allclose(np.sort(there.params.components[:, 0]), [0.05, 0.6], rtol=0.05)


if __name__ == "__main__":
    main()
