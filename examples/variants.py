"""One model, five ways of running it: they take the same arguments and give the same kind of result.

1096 days of death notices (Hasselblad, 1969) are a mixture of two Poisson counts on which plain EM
needs a thousand passes. Every row of the table says what a way of running does with them.
"""

import numpy as np

import latentem as lem

days = np.repeat(np.arange(10), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])[:, None]
order = np.random.default_rng(0).permutation(len(days))
chunks = [lem.Rows(part) for part in np.array_split(days[order].astype(float), 4)]

model = lem.Mixture(lem.Poisson(), 2)
start = model.params([0.5, 0.5], lem.Poisson().params([[1.0], [3.0]]))
stop = lem.remaining_below(1e-7)
runners = {
    "plain": lem.EM(stop=stop),
    "incremental": lem.Incremental(stop=stop),
    "online": lem.Online(passes=50),
    "annealing": lem.Annealing(em=lem.EM(stop=stop)),
    "stochastic": lem.Stochastic(steps=200, burn_in=50),
}

ends = {}
for name, runner in runners.items():
    ends[name] = result = runner.run(model, start, chunks)
    step = result.history[-1]
    print(f"{name:12} {step.passes:5} passes, bound {result.bound:.6f}, {result.status}")

# The log likelihood at the maximum is -1989.945860; all but the stochastic average come to it, or near.
assert abs(ends["plain"].bound + 1989.945860) < 1e-3
assert abs(ends["incremental"].bound + 1989.945860) < 1e-3
assert ends["incremental"].history[-1].passes < 0.7 * ends["plain"].history[-1].passes
assert abs(ends["annealing"].bound + 1989.945860) < 1e-3
assert ends["online"].bound > ends["plain"].bound - 1.0
assert ends["stochastic"].bound > ends["plain"].bound - 1.0

# A stream without an end, its state kept as a small value from chunk to chunk.
rng = np.random.default_rng(1)
online = lem.Online()
state = online.begin(model, start)
for _ in range(500):
    rates = np.where(rng.random(200) < 0.4, 1.0, 5.0)
    state = online.update(model, state, rng.poisson(rates)[:, None])
print(f"online, {state.observations:.0f} rows: weights {state.params.weights}")
assert abs(state.params.weights[0] - 0.4) < 0.03
